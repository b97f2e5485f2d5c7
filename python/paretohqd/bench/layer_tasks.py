"""Layers and fronts: sizes, and the ratio that each is meant to reach."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import paretohqd as pq
from paretohqd.bench import answers
from paretohqd.bench import layer_rivals as rivals
from paretohqd.bench.rivals import Rival
from paretohqd.bench.task import Task

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


def layers() -> Iterator[Task]:
    """All layers, and the first 5 and 20."""
    for data, n, m, target, seconds in _ALL_LAYERS:
        yield Task(
            name="all layers",
            data=data,
            n=n,
            m=m,
            target=target,
            seconds=seconds,
            ours=lambda cloud, threads: pq.pareto_layers(cloud.points, n_threads=threads),
            rivals=(rivals.pareto_rank(), *_with_pymoo(data, n)),
            same=answers.equal,
            quick=(data, n, m) in _QUICK_LAYERS,
            huge=(data, n, m) in _HUGE,
        )
    for n, m in ((10, 2), (10, 3), (10, 5), (100, 2), (100, 3), (100, 5)):
        yield Task(
            name="all layers",
            data="uni",
            n=n,
            m=m,
            target=1,
            ours=lambda cloud, threads: pq.pareto_layers(cloud.points, n_threads=threads),
            rivals=(rivals.pareto_rank(), *_with_pymoo("uni", n)),
            same=answers.equal,
            quick=m == 3,
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


def _with_pymoo(data: str, n: int) -> list[Rival]:
    """pymoo's sorts where they take seconds."""
    if data != "uni" or n > 100_000:
        return []
    efficient = [rivals.efficient_sort()] if n <= 10_000 else []
    return [rivals.sorted_with_pymoo(), *efficient]


def fronts() -> Iterator[Task]:
    """A single front, layer 0, of uniform clouds."""
    for n in (10_000, 100_000, 1_000_000, 10_000_000):
        # pymoo's is a call of moocore's: at ten million rows that is known.
        packages = ("paretoset", "moocore", "pymoo") if n < 10_000_000 else ("paretoset", "moocore")
        for m in (2, 3):
            yield Task(
                name="single front",
                data="uni",
                n=n,
                m=m,
                ours=lambda cloud, threads: pq.pareto_front(cloud.points, n_threads=threads),
                rivals=tuple(map(rivals.front, packages)),
                same=answers.equal,
                seconds={10_000_000: 25, 1_000_000: 4}.get(n, 1),
                quick=n == 1_000_000,
            )


def in_groups() -> Iterator[Task]:
    """Layers and fronts within groups: of answers to a prompt, and of more than a word of bits."""
    for size in (8, 65, 256):
        yield _in_groups("layers", size, pq.pareto_layers, rivals.ranked_sets(size))
    yield _in_groups("fronts", 8, pq.pareto_front, rivals.fronts_within_sets(8))


def _in_groups(what: str, size: int, call: Callable[..., Any], rival: Rival) -> Task:
    return Task(
        name=f"{what} in groups of {size}",
        data="uni",
        n=1_000_000,
        m=3,
        target=50 if size == 8 else None,
        seconds=3,
        ours=lambda cloud, threads: call(
            cloud.points, groups=cloud.groups(size), n_threads=threads
        ),
        rivals=(rival,),
        same=answers.equal_where_compared,
        quick=size == 8,
    )
