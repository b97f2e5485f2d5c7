"""The rows of least achievement: sizes, and the ratio that each is meant to reach."""

from __future__ import annotations

from collections.abc import Iterator

import paretohqd as pq
from paretohqd.bench import achievement_rivals as rivals
from paretohqd.bench import answers
from paretohqd.bench.task import Task

LEAST = 100
PREFERENCES = 11


def achievements() -> Iterator[Task]:
    """Of all rows, and of each group."""
    k, preferences = LEAST, PREFERENCES
    sizes = [("uni", 10_000, 3), *(("uni", 1_000_000, m) for m in (2, 3, 5))]
    for data, n, m in [*sizes, ("uni columns", 1_000_000, 3)]:
        yield Task(
            name=f"{k} of least achievement for {preferences}",
            data=data,
            n=n,
            m=m,
            ours=lambda cloud, threads: pq.least_achievement(
                cloud.points, cloud.ideal, cloud.directions(preferences), k=k, n_threads=threads
            ),
            rivals=(rivals.whole_columns(preferences, k),),
            same=answers.nearest,
            target=2 if n == 10_000 else 4,
            quick=(data, n, m) == ("uni", 1_000_000, 3),
            seconds=2 if n == 1_000_000 else 1,
        )
    size = 8
    yield Task(
        name=f"least achievement for {preferences} in groups of {size}",
        data="uni",
        n=1_000_000,
        m=3,
        ours=lambda cloud, threads: pq.least_achievement(
            cloud.points,
            None,
            cloud.directions(preferences),
            k=1,
            groups=cloud.groups(size),
            n_threads=threads,
        ),
        rivals=(rivals.whole_groups(preferences, size),),
        same=answers.nearest,
        target=2,
        seconds=2,
    )
