"""The rows nearest to rays: sizes, and the ratio that each is meant to reach."""

from __future__ import annotations

from collections.abc import Iterator

import paretohqd as pq
from paretohqd.bench import answers
from paretohqd.bench import ray_rivals as rivals
from paretohqd.bench.task import Task

NEAREST = 100


def rays() -> Iterator[Task]:
    """Few and many rays, on tables and on columns."""
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
