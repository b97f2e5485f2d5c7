"""The tasks that are measured, their sizes, and the ratio that each is meant to reach."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import paretohqd as pq
from paretohqd.bench import answers, rivals
from paretohqd.bench.rivals import Rival
from paretohqd.bench.task import Task

NEAREST = 100


def tasks() -> list[Task]:
    """Every task; those on the same cloud follow each other, so that it is drawn once."""
    every = [*_layers(), *_groups(), *_volumes(), *_contributions(), *_estimates(), *_rays()]
    first: dict[tuple[str, int, int], int] = {}
    for number, task in enumerate(every):
        first.setdefault((task.data, task.n, task.m), number)
    return sorted(every, key=lambda task: first[task.data, task.n, task.m])


# Data, points, objectives, the target for all layers (None: measured without one), seconds.
_ALL_LAYERS: list[tuple[str, int, int, float | None, int]] = [
    *((data, 10_000, 2, 4, 1) for data in ("uni", "disc")),
    *((data, 10_000, 3, 3, 1) for data in ("uni", "corr", "anti", "disc")),
    *((data, 10_000, m, 4, 1) for m in (4, 5) for data in ("uni", "anti", "disc")),
    ("uni", 10_000, 8, 5, 1),
    *((data, 100_000, 2, None, 1) for data in ("uni", "disc")),
    *((data, 100_000, 3, None, 1) for data in ("uni", "corr", "anti", "disc")),
    ("uni", 100_000, 5, None, 3),
    ("uni", 100_000, 8, 8, 4),
    ("uni", 1_000_000, 2, 10, 2),
    ("disc", 1_000_000, 2, 6, 2),
    ("uni", 1_000_000, 3, 25, 7),
    ("corr", 1_000_000, 3, 25, 8),
    ("anti", 1_000_000, 3, 6, 5),
    ("disc", 1_000_000, 3, 12, 3),
    ("uni", 1_000_000, 4, 7, 15),
    ("anti", 1_000_000, 4, 5, 9),
    ("disc", 1_000_000, 4, 7, 8),
    ("uni", 1_000_000, 5, 7, 20),
    ("corr", 1_000_000, 5, None, 20),
    ("anti", 1_000_000, 5, 5, 20),
    ("disc", 1_000_000, 5, 7, 10),
    ("uni", 10_000_000, 2, 10, 10),
    ("uni", 10_000_000, 3, 25, 90),
    ("anti", 10_000_000, 3, 6, 60),
    ("uni", 1_000_000, 8, 8, 60),
]
_HUGE = {("uni", 10_000_000, 3), ("anti", 10_000_000, 3), ("uni", 1_000_000, 8)}
_QUICK_LAYERS = {
    ("uni", 10_000, 3),
    ("uni", 10_000, 8),
    ("uni", 100_000, 5),
    ("uni", 1_000_000, 2),
    ("anti", 1_000_000, 3),
    ("disc", 1_000_000, 3),
}

# Data, points, objectives, the target for the first layers.
_FIRST_LAYERS: list[tuple[str, int, int, float | None]] = [
    *(("uni", 10_000, m, 2) for m in (2, 3, 4, 5)),
    ("uni", 100_000, 3, None),
    ("uni", 1_000_000, 2, 15),
    ("uni", 1_000_000, 3, 15),
    ("anti", 1_000_000, 3, 6),
    ("uni", 1_000_000, 4, 30),
    ("anti", 1_000_000, 4, 6),
    ("uni", 1_000_000, 5, 25),
    ("corr", 1_000_000, 5, 25),
    ("anti", 1_000_000, 5, 6),
    ("disc", 1_000_000, 5, 5),
    ("uni", 10_000_000, 2, 15),
    ("uni", 10_000_000, 3, 15),
    ("anti", 10_000_000, 3, 6),
]


def _layers() -> Iterator[Task]:
    for data, n, m, target, seconds in _ALL_LAYERS:
        yield Task(
            name="all layers",
            data=data,
            n=n,
            m=m,
            target=target,
            seconds=seconds,
            ours=lambda cloud, threads: pq.pareto_layers(cloud.points, n_threads=threads),
            rivals=(rivals.pareto_rank(),),
            same=answers.equal,
            quick=(data, n, m) in _QUICK_LAYERS,
            huge=(data, n, m) in _HUGE,
        )
    for data, n, m, target in _FIRST_LAYERS:
        for upto in (5, 20):
            yield _first_layers(data, n, m, target, upto)


def _first_layers(data: str, n: int, m: int, target: float | None, upto: int) -> Task:
    against = [] if (data, n, m) == ("uni", 10_000_000, 3) else [rivals.pareto_rank(upto)]
    # Peeling takes minutes where fronts are large, so it is compared only where it is quick.
    peels_fast = {("uni", 2), ("uni", 3), ("corr", 3)} | (
        {("uni", 4), ("corr", 5)} if upto == 5 else set()
    )
    if n <= 10_000 or (data, m) in peels_fast:
        against.append(rivals.peeled(upto, "paretoset"))
    if m >= 4 and n > 10_000 and (upto == 5 or (data, m) in {("uni", 4), ("disc", 5)}):
        against.append(rivals.peeled(upto, "moocore"))
    return Task(
        name=f"first {upto} layers",
        data=data,
        n=n,
        m=m,
        target=target,
        rivals=tuple(against),
        ours=lambda cloud, threads: pq.pareto_layers(cloud.points, upto=upto, n_threads=threads),
        same=answers.equal,
        seconds=4 if n >= 1_000_000 else 1,
        quick=upto == 5 and (data, n, m) in {("uni", 1_000_000, 2), ("anti", 1_000_000, 3)},
        huge=(data, n) == ("anti", 10_000_000),
    )


def _groups() -> Iterator[Task]:
    yield _in_groups("layers", pq.pareto_layers, rivals.ranked_sets(), seconds=2)
    yield _in_groups("fronts", pq.pareto_front, rivals.fronts_within_sets(), seconds=3)


def _in_groups(what: str, call: Callable[..., Any], rival: Rival, *, seconds: int) -> Task:
    return Task(
        name=f"{what} in groups of 8",
        data="uni",
        n=1_000_000,
        m=3,
        target=50,
        seconds=seconds,
        ours=lambda cloud, threads: call(cloud.points, groups=cloud.groups, n_threads=threads),
        rivals=(rival,),
        same=answers.equal_where_compared,
        quick=True,
    )


def _volumes() -> Iterator[Task]:
    few = (("moocore", "pygmo", "hvwfg"), 1.0)
    # Points, objectives, packages that finish, target; small sets must never be slower.
    sizes: list[tuple[int, int, tuple[tuple[str, ...], float | None]]] = [
        *((100, m, few) for m in (2, 3, 4, 5, 6)),
        (1_000, 3, (("moocore", "pygmo"), 1)),
        (10_000, 2, (("moocore", "pygmo", "optuna"), 1)),
        (100_000, 2, (("moocore", "pygmo", "optuna"), 3)),
        (1_000_000, 2, (("moocore", "pygmo", "optuna"), 3)),
        (10_000, 3, (("moocore", "pygmo"), 1)),
        (100_000, 3, (("moocore", "pygmo"), 5)),
        (1_000_000, 3, (("moocore", "pygmo"), 5)),
        (1_000, 4, (("moocore", "pygmo", "hvwfg"), 2)),
        (10_000, 4, (("moocore",), 2)),
        (1_000, 5, (("moocore", "pygmo", "hvwfg"), 2)),
        (3_000, 5, (("moocore", "hvwfg"), 2)),
        (1_000, 6, (("moocore", "pygmo", "hvwfg"), 2)),
        (200, 8, (("moocore", "hvwfg"), 2)),
        (200, 10, (("hvwfg",), 2)),
    ]
    quick = {(100_000, 2), (100_000, 3), (1_000, 4), (1_000, 5), (1_000, 6)}
    for n, m, (packages, target) in sizes:
        for data in ("sphere",) if m == 2 or n == 100 else ("sphere", "simplex"):
            yield Task(
                name="hypervolume",
                data=data,
                n=n,
                m=m,
                target=target,
                ours=lambda cloud, threads: pq.hypervolume(
                    cloud.points, ref=cloud.reference, n_threads=threads
                ),
                rivals=tuple(map(rivals.volume, packages)),
                same=answers.close,
                quick=data == "sphere" and (n, m) in quick,
                seconds=8 if m == 8 else 3 if n == 1_000_000 or m in (6, 10) else 1,
            )


def _contributions() -> Iterator[Task]:
    # With more than three objectives moocore takes from seconds to minutes.
    sizes = [
        (100_000, 2, "moocore", 3),
        (100_000, 3, "moocore", 3),
        (3_000, 4, "pygmo", 4),
        (1_000, 5, "pygmo", 4),
        (1_000, 6, "pygmo", 4),
        (200, 8, "pygmo", 4),
    ]
    for n, m, package, target in sizes:
        against = (package, "pygmo") if m == 3 else (package,)
        yield Task(
            name="contributions",
            data="sphere",
            n=n,
            m=m,
            target=target,
            ours=lambda cloud, threads: pq.hypervolume_contributions(
                cloud.points, ref=cloud.reference, n_threads=threads
            ),
            rivals=tuple(map(rivals.contributions, against)),
            same=answers.contributions,
            quick=m in (3, 5),
            seconds=2 if m > 3 else 1,
        )


def _estimates() -> Iterator[Task]:
    for n in (200, 1_000, 10_000):
        yield Task(
            name="hypervolume estimate",
            data="sphere",
            n=n,
            m=8,
            ours=lambda cloud, _: pq.hypervolume_estimate(
                cloud.points, ref=cloud.reference, seed=0
            ),
            rivals=(rivals.approximation(),),
            same=answers.estimates,
            quick=n == 1_000,
            seconds=8 if n == 10_000 else 2,
        )


def _rays() -> Iterator[Task]:
    sizes = [("uni", 10_000), ("uni", 100_000), ("uni", 1_000_000), ("uni", 10_000_000)]
    for data, n in [*sizes, ("uni columns", 1_000_000), ("uni columns", 10_000_000)]:
        for rays, large in ((1, 0.5), (11, 4), (100, 10)):
            yield _nearest(data, n, rays, large)


def _nearest(data: str, n: int, rays: int, large: float) -> Task:
    k = NEAREST
    # One ray is bound by memory: the aim is half the speed of reading what no cache holds.
    reads = rays == 1 and n >= 1_000_000
    judged = not reads or n >= 10_000_000
    against = [
        rivals.nearest("row_by_row", rays, k, judged=not reads),
        rivals.nearest("in_blocks", rays, k, judged=not reads),
    ]
    if reads:
        against.append(rivals.reading(judged=judged))
    return Task(
        name=f"{k} nearest to {rays} {'ray' if rays == 1 else 'rays'}",
        data=data,
        n=n,
        m=3,
        ours=lambda cloud, threads: pq.nearest_to_rays(
            cloud.points, cloud.ideal, cloud.through(rays), k=k, n_threads=threads
        ),
        rivals=tuple(against),
        same=answers.nearest,
        seconds=3 if n == 10_000_000 else 1,
        target={10_000: 2, 100_000: None}.get(n, large) if judged else None,
        quick=(data, n) == ("uni", 1_000_000),
    )
