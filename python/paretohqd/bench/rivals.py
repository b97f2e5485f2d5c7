"""What other packages offer for the same tasks, each as its users would call it.

Nothing is imported until a task needs it. What a caller does once, such as compiling or turning
signs, is done before the clock starts.
"""

from __future__ import annotations

import importlib
import importlib.util
from collections.abc import Callable
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from typing import Any

import numpy as np

import paretohqd as pq
from paretohqd.bench.clouds import Cloud

PACKAGES = ("moocore", "paretoset", "pymoo", "pygmo", "hvwfg", "optuna", "numba")
"""All that can be compared with; the extra `bench` installs them."""

SAMPLED_GROUPS = 20_000
"""So many groups one after the other are enough to know how long all take."""

SAMPLED_NOTE = f"timed on up to {SAMPLED_GROUPS:,} groups and scaled"


@dataclass(frozen=True, kw_only=True)
class Trial:
    """A call that is ready to be timed.

    Attributes:
        call: What the clock runs on.
        finish: Turns its answer into ours, off the clock.
        share: How much of the task the call does; its time is divided by this.
    """

    call: Callable[[], Any]
    finish: Callable[[Any], Any] = lambda answer: answer
    share: float = 1.0


@dataclass(frozen=True, kw_only=True)
class Rival:
    """Another package's way to do a task.

    Attributes:
        package: Its name on PyPI.
        call: The function, as the record names it.
        prepare: Makes the trial on a cloud.
        judged: Whether the task's target is a ratio to this one.
        once: The same call on the same cloud serves several tasks: time it once in a run.
        own: It is a call of ours, in another way: no other package.
        note: What a reader of the record must know.
        same: As the task's, where that does not fit this one; see `Task`.
    """

    package: str
    call: str
    prepare: Callable[[Cloud], Trial]
    judged: bool = True
    once: bool = False
    own: bool = False
    note: str = ""
    same: Callable[[Any, Any, Cloud], str] | None = None

    @property
    def version(self) -> str | None:
        """The installed version; None if there is none."""
        if self.own:
            return pq.__version__
        try:
            return version(self.package)
        except PackageNotFoundError:
            return None


def installed() -> list[str]:
    """The packages to compare with that are there."""
    return [name for name in PACKAGES if importlib.util.find_spec(name)]


def use(name: str) -> Any:
    """Another package's module, imported when a task needs it."""
    return importlib.import_module(name)


def sampled_sets(cloud: Cloud, size: int) -> tuple[Any, float]:
    """Groups of so many rows each, shape (groups, size, m), and their share of all rows."""
    groups = min(SAMPLED_GROUPS, cloud.n // size)
    rows = groups * size
    return cloud.points[:rows].reshape(groups, size, cloud.m), rows / cloud.n


def in_double_precision(call: Callable[[Cloud, Any, int | None], Any]) -> Rival:
    """Our own call on the same numbers in double precision, on all threads."""

    def prepare(cloud: Cloud) -> Trial:
        points = cloud.points.astype(np.float64)
        return Trial(call=lambda: call(cloud, points, None))

    call_name = "the same in f64, all threads"
    return Rival(package="paretohqd", call=call_name, prepare=prepare, judged=False, own=True)
