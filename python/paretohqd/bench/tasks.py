"""All tasks that are measured, in the order in which they are."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import paretohqd as pq
from paretohqd.bench import (
    achievement_tasks,
    answers,
    indicator_tasks,
    layer_tasks,
    ray_tasks,
    rivals,
    subset_tasks,
    volume_tasks,
)
from paretohqd.bench.clouds import Cloud
from paretohqd.bench.task import Task


def tasks() -> list[Task]:
    """Every task; those on the same cloud follow each other, so that it is drawn once."""
    every = [
        *layer_tasks.layers(),
        *layer_tasks.fronts(),
        *layer_tasks.in_groups(),
        *volume_tasks.volumes(),
        *volume_tasks.in_groups(),
        *volume_tasks.contributions(),
        *volume_tasks.estimates(),
        *ray_tasks.rays(),
        *achievement_tasks.achievements(),
        *indicator_tasks.crowding(),
        *indicator_tasks.beside_a_reference(),
        *indicator_tasks.r2(),
        *subset_tasks.subsets(),
        *_single_precision(),
    ]
    first: dict[tuple[str, int, int], int] = {}
    for number, task in enumerate(every):
        first.setdefault((task.data, task.n, task.m), number)
    return sorted(every, key=lambda task: first[task.data, task.n, task.m])


def _single_precision() -> Iterator[Task]:
    """Points in f32 beside the same numbers in f64: what the half of the memory brings or costs."""
    for m in (2, 3, 5):
        yield _in_both("all layers", "uni f32", m, answers.equal, _layers())
    for m in (2, 3):
        yield _in_both("first 5 layers", "uni f32", m, answers.equal, _layers(upto=5))
        yield _in_both("single front", "uni f32", m, answers.equal, _layers(upto=1))
    for m in (2, 3):
        yield _in_both("hypervolume", "sphere f32", m, answers.close, _volume)
    yield _in_both(
        f"{ray_tasks.NEAREST} nearest to 11 rays", "uni f32", 3, answers.nearest, _nearest
    )


Call = Callable[[Cloud, Any, int | None], Any]
"""A call of ours on a cloud, with its points in one precision or the other."""


def _layers(upto: int | None = None) -> Call:
    return lambda cloud, points, threads: pq.pareto_layers(points, upto=upto, n_threads=threads)


def _volume(cloud: Cloud, points: Any, threads: int | None) -> Any:
    return pq.hypervolume(points, ref=cloud.reference, n_threads=threads)


def _nearest(cloud: Cloud, points: Any, threads: int | None) -> Any:
    k = ray_tasks.NEAREST
    return pq.nearest_to_rays(points, cloud.ideal, cloud.through(11), k=k, n_threads=threads)


def _in_both(
    name: str, data: str, m: int, same: Callable[[Any, Any, Cloud], str], call: Call
) -> Task:
    return Task(
        name=name,
        data=data,
        n=1_000_000,
        m=m,
        ours=lambda cloud, threads: call(cloud, cloud.points, threads),
        rivals=(rivals.in_double_precision(call),),
        same=same,
    )
