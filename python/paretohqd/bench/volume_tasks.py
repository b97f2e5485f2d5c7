"""Volumes and contributions: sizes, and the ratio that each is meant to reach."""

from __future__ import annotations

from collections.abc import Iterator

import paretohqd as pq
from paretohqd.bench import answers
from paretohqd.bench import volume_rivals as rivals
from paretohqd.bench.task import Task


def volumes() -> Iterator[Task]:
    """The exact hypervolume of fronts."""
    few = (("moocore", "pygmo", "hvwfg"), 1.0)
    # Points, objectives, packages that finish, target; small sets must never be slower.
    sizes: list[tuple[int, int, tuple[tuple[str, ...], float | None]]] = [
        *((10, m, few) for m in (2, 3, 4, 5)),
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
        for data in ("sphere",) if m == 2 or n <= 100 else ("sphere", "simplex"):
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


def contributions() -> Iterator[Task]:
    """What each point adds to it."""
    # With more than three objectives moocore takes from seconds to minutes.
    sizes = [
        (100_000, 2, "moocore", 3),
        (100_000, 3, "moocore", 3),
        (3_000, 4, "pygmo", 4),
        (1_000, 5, "pygmo", 4),
        (3_000, 5, "pygmo", 4),
        (300, 6, "pygmo", 4),
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
            quick=(n, m) in {(100_000, 3), (1_000, 5)},
            seconds=6 if n * m == 15_000 else 2 if m > 3 else 1,
        )


def estimates() -> Iterator[Task]:
    """An estimate of it for many objectives."""
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


def in_groups() -> Iterator[Task]:
    """The hypervolume of each group."""
    for m, size in ((2, 8), (3, 8), (4, 8), (3, 65), (3, 256), (4, 65)):
        yield _in_groups(m, size)


def _in_groups(m: int, size: int) -> Task:
    return Task(
        name=f"hypervolume in groups of {size}",
        data="uni",
        n=1_000_000,
        m=m,
        seconds=3,
        ours=lambda cloud, threads: pq.hypervolume(
            cloud.points, ref=cloud.reference, groups=cloud.groups(size), n_threads=threads
        ),
        rivals=(rivals.volume_of_sets(size),),
        same=answers.close_where_compared,
        quick=(m, size) == (3, 8),
    )
