"""The rows that keep most of a hypervolume: sizes, and the ratio that each is meant to reach."""

from __future__ import annotations

from collections.abc import Iterator

import paretohqd as pq
from paretohqd.bench import answers
from paretohqd.bench import subset_rivals as rivals
from paretohqd.bench.rivals import Rival
from paretohqd.bench.task import Task

CHOSEN = 50


def subsets() -> Iterator[Task]:
    """The best rows in two objectives, greedy ones in three."""
    greedy = rivals.greedy(CHOSEN)
    yield _subset(1_000, 2, greedy, rivals.best_of_all(CHOSEN))
    yield _subset(10_000, 2, greedy)
    yield _subset(100_000, 2, greedy)
    yield _subset(300, 3, greedy, rivals.plain_greedy(CHOSEN))
    yield _subset(3_000, 3, greedy)


def _subset(n: int, m: int, *against: Rival) -> Task:
    k = CHOSEN
    return Task(
        name=f"{k} rows of most hypervolume",
        data="sphere",
        n=n,
        m=m,
        ours=lambda cloud, threads: pq.hypervolume_subset(
            cloud.points, k=k, ref=cloud.reference, n_threads=threads
        ),
        rivals=against,
        same=answers.equal_subset,
        target=5,
        quick=(n, m) == (10_000, 2),
        seconds=3 if m == 3 else 1,
    )
