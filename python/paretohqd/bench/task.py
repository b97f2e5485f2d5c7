"""What is measured: a call of ours on some data, and the calls of other packages."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from fnmatch import fnmatch
from typing import Any

from paretohqd.bench.clouds import Cloud
from paretohqd.bench.rivals import Rival


@dataclass(frozen=True, kw_only=True)
class Task:
    """One line of the table.

    Attributes:
        name: What is computed.
        data: Name of the cloud.
        n: Points.
        m: Objectives.
        ours: Our public call on a cloud and a number of threads (None: all).
        rivals: What it is compared with.
        same: Raises AssertionError where two answers differ; may return a remark.
        target: The ratio to reach on all threads, against each judged rival.
        quick: Measured by `--quick` too.
        huge: Measured by `--huge` only.
        seconds: About how long it takes, for the progress bar.
    """

    name: str
    data: str
    n: int
    m: int
    ours: Callable[[Cloud, int | None], Any]
    rivals: tuple[Rival, ...]
    same: Callable[[Any, Any, Cloud], str]
    target: float | None = None
    quick: bool = False
    huge: bool = False
    seconds: int = 1

    def matches(self, pattern: str) -> bool:
        """Whether the name, or "name data n m", fits a pattern such as `*layers*`."""
        whole = f"{self.name} {self.data} n={self.n} m={self.m}"
        return fnmatch(self.name, pattern) or fnmatch(whole, pattern)
