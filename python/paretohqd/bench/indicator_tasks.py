"""Crowding distance, IGD+, epsilon and R2: sizes, and the ratio that each is meant to reach."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace

import paretohqd as pq
from paretohqd.bench import answers
from paretohqd.bench import indicator_rivals as rivals
from paretohqd.bench.task import Task

# Points, objectives, reference points or weight vectors, seconds.
_SIZES = [
    (10_000, 2, 1_000, 1),
    (10_000, 3, 1_000, 1),
    (10_000, 5, 1_000, 1),
    (100_000, 3, 1_000, 2),
    (1_000_000, 3, 100, 3),
]


def crowding() -> Iterator[Task]:
    """The crowding distance of all points, and of each group."""
    for n, m in ((10_000, 2), (10_000, 3), (10_000, 5), (100_000, 3), (1_000_000, 3)):
        packages = ("pymoo",) if n == 1_000_000 else ("pymoo", "pygmo")
        yield Task(
            name="crowding distance",
            data="uni",
            n=n,
            m=m,
            ours=lambda cloud, threads: pq.crowding_distance(cloud.points, n_threads=threads),
            rivals=tuple(map(rivals.crowding, packages)),
            same=answers.crowding,
            target=5,
            quick=n == 100_000,
            seconds=6 if n == 1_000_000 else 1,
        )
    size = 100
    yield Task(
        name=f"crowding distance in groups of {size}",
        data="uni",
        n=100_000,
        m=3,
        ours=lambda cloud, threads: pq.crowding_distance(
            cloud.points, groups=cloud.groups(size), n_threads=threads
        ),
        rivals=(rivals.crowding_of_sets(size),),
        same=answers.crowding,
        target=5,
        seconds=2,
    )


def beside_a_reference() -> Iterator[Task]:
    """IGD+ and the additive epsilon beside a reference set."""
    for n, m, rows, seconds in _SIZES:
        igd_plus = _beside("IGD+", pq.igd_plus, n, m, rows)
        yield replace(igd_plus, target=5, quick=n == 100_000, seconds=seconds)
        yield replace(_beside("epsilon", pq.epsilon_additive, n, m, rows), target=2)


def _beside(name: str, indicator: Callable[..., float], n: int, m: int, rows: int) -> Task:
    return Task(
        name=f"{name} beside {rows:,}",
        data="sphere",
        n=n,
        m=m,
        ours=lambda cloud, threads: indicator(
            cloud.points, ref=cloud.others(rows), n_threads=threads
        ),
        rivals=(rivals.beside(indicator.__name__, rows),),
        same=answers.close,
    )


def r2() -> Iterator[Task]:
    """R2 for given weights."""
    for n, m, count, seconds in _SIZES:
        yield _r2(n, m, count, seconds)


def _r2(n: int, m: int, count: int, seconds: int) -> Task:
    by_vector = rivals.r2_by_vector(count)
    return Task(
        name=f"R2 of {count:,} weights",
        data="sphere",
        n=n,
        m=m,
        ours=lambda cloud, threads: pq.r2_indicator(
            cloud.points, weights=cloud.weights(count), ideal=cloud.ideal, n_threads=threads
        ),
        rivals=(by_vector, rivals.r2_of_all_weights()) if m == 2 else (by_vector,),
        same=answers.close,
        target=5,
        seconds=seconds,
    )
