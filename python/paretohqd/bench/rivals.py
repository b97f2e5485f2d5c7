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

from paretohqd.bench.clouds import Cloud

PACKAGES = ("moocore", "paretoset", "pygmo", "hvwfg", "optuna", "numba")
"""All that can be compared with; the extra `bench` installs them."""

SAMPLED_GROUPS = 20_000


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
        note: What a reader of the record must know.
    """

    package: str
    call: str
    prepare: Callable[[Cloud], Trial]
    judged: bool = True
    once: bool = False
    note: str = ""

    @property
    def version(self) -> str | None:
        """The installed version; None if there is none."""
        try:
            return version(self.package)
        except PackageNotFoundError:
            return None


def installed() -> list[str]:
    """The packages to compare with that are there."""
    return [name for name in PACKAGES if importlib.util.find_spec(name)]


def _use(name: str) -> Any:
    return importlib.import_module(name)


def pareto_rank(upto: int | None = None) -> Rival:
    """All layers with moocore; past the stop, rows become -1 off the clock."""

    def prepare(cloud: Cloud) -> Trial:
        moocore = _use("moocore")
        return Trial(
            call=lambda: moocore.pareto_rank(cloud.points, maximise=True),
            finish=lambda rank: rank if upto is None else np.where(rank < upto, rank, -1),
        )

    return Rival(package="moocore", call="pareto_rank", prepare=prepare, once=True)


def peeled(upto: int, package: str) -> Rival:
    """The front with paretoset or moocore, then that of the rest, and so on."""

    def prepare(cloud: Cloud) -> Trial:
        front_of = _front_of(package, cloud.m)

        def call() -> Any:
            layers = np.full(cloud.n, -1)
            rest = np.arange(cloud.n)
            left = cloud.points
            for layer in range(upto):
                if not len(rest):
                    break
                front = front_of(left)
                layers[rest[front]] = layer
                rest, left = rest[~front], left[~front]
            return layers

        front_of(cloud.points[:50])
        return Trial(call=call)

    name = "paretoset" if package == "paretoset" else "is_nondominated"
    return Rival(package=package, call=f"{name}, peeled", prepare=prepare)


def _front_of(package: str, m: int) -> Callable[[Any], Any]:
    if package == "paretoset":
        paretoset = _use("paretoset").paretoset
        return lambda points: paretoset(points, sense=["max"] * m, distinct=False)
    moocore = _use("moocore")
    return lambda points: moocore.is_nondominated(points, maximise=True, keep_weakly=True)


def ranked_sets() -> Rival:
    """moocore's layers of one group after the other."""

    def prepare(cloud: Cloud) -> Trial:
        pareto_rank = _use("moocore").pareto_rank
        groups = min(SAMPLED_GROUPS, cloud.n // 8)
        sets = cloud.points[: 8 * groups].reshape(groups, 8, cloud.m)
        return Trial(
            call=lambda: np.concatenate([pareto_rank(one, maximise=True) for one in sets]),
            share=8 * groups / cloud.n,
        )

    note = f"timed on {SAMPLED_GROUPS:,} groups and scaled"
    return Rival(package="moocore", call="pareto_rank per set", prepare=prepare, note=note)


def fronts_within_sets() -> Rival:
    """moocore's own facility for the front of each group."""

    def prepare(cloud: Cloud) -> Trial:
        within = _use("moocore").is_nondominated_within_sets
        rows = 8 * min(SAMPLED_GROUPS, cloud.n // 8)
        points, sets = cloud.points[:rows], cloud.groups[:rows]
        return Trial(
            call=lambda: within(points, sets=sets, maximise=True, keep_weakly=True),
            share=rows / cloud.n,
        )

    note = f"timed on {SAMPLED_GROUPS:,} groups and scaled"
    return Rival(package="moocore", call="is_nondominated_within_sets", prepare=prepare, note=note)


def volume(package: str) -> Rival:
    """The exact hypervolume with moocore, pygmo, hvwfg or optuna."""

    def prepare(cloud: Cloud) -> Trial:
        points, ref, costs = cloud.points, cloud.reference, cloud.costs
        if package == "moocore":
            moocore = _use("moocore")
            return Trial(call=lambda: moocore.hypervolume(points, ref=ref, maximise=True))
        if package == "pygmo":
            pygmo = _use("pygmo")
            return Trial(call=lambda: pygmo.hypervolume(costs).compute(-ref))
        if package == "hvwfg":
            wfg = _use("hvwfg").wfg
            return Trial(call=lambda: wfg(costs, -ref))
        compute = _use("optuna._hypervolume").compute_hypervolume
        return Trial(call=lambda: compute(costs, -ref, assume_pareto=True))

    calls = {
        "moocore": "hypervolume",
        "pygmo": "hypervolume.compute",
        "hvwfg": "wfg",
        "optuna": "compute_hypervolume",
    }
    note = "told that no point is dominated" if package == "optuna" else ""
    return Rival(package=package, call=calls[package], prepare=prepare, note=note)


def contributions(package: str) -> Rival:
    """What each point adds to the hypervolume, with moocore or pygmo."""

    def prepare(cloud: Cloud) -> Trial:
        points, ref, costs = cloud.points, cloud.reference, cloud.costs
        if package == "moocore":
            moocore = _use("moocore")
            return Trial(call=lambda: moocore.hv_contributions(points, ref=ref, maximise=True))
        pygmo = _use("pygmo")
        return Trial(call=lambda: np.array(pygmo.hypervolume(costs).contributions(-ref)))

    call = "hv_contributions" if package == "moocore" else "hypervolume.contributions"
    return Rival(package=package, call=call, prepare=prepare)


def approximation() -> Rival:
    """moocore's estimate of the hypervolume, at its defaults."""

    def prepare(cloud: Cloud) -> Trial:
        moocore = _use("moocore")
        return Trial(
            call=lambda: moocore.hv_approx(cloud.points, ref=cloud.reference, maximise=True)
        )

    return Rival(package="moocore", call="hv_approx", prepare=prepare)


def nearest(how: str, rays: int, k: int, *, judged: bool) -> Rival:
    """The rows nearest to rays in numba, `row_by_row` or `in_blocks`."""

    def prepare(cloud: Cloud) -> Trial:
        from paretohqd.bench import raykernel

        find = raykernel.nearest_with_numba(getattr(raykernel, how)())
        points, origin, through = cloud.points, cloud.ideal, cloud.through(rays)
        find(points[:200], origin, through, k)
        return Trial(call=lambda: find(points, origin, through, k))

    call = f"our loop, {how.replace('_', ' ')}"
    return Rival(package="numba", call=call, prepare=prepare, judged=judged)


def reading(*, judged: bool) -> Rival:
    """Reading every value once, by a product of the points with themselves on all threads."""

    def prepare(cloud: Cloud) -> Trial:
        flat = cloud.points.ravel(order="K")
        return Trial(call=lambda: np.dot(flat, flat), finish=lambda _: None)

    call = "dot: reads all once"
    return Rival(package="numpy", call=call, prepare=prepare, judged=judged)
