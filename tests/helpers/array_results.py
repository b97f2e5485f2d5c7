"""Results of the functions on arrays."""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np
import polars as pl

import paretohqd as pq
from helpers.drawn_rows import KINDS, names, rows, scores
from helpers.world import Call, World

SIZES = {1: 3000, 2: 3000, 3: 2000, 4: 800, 5: 400, 6: 300}
"""How many points are drawn in so many objectives."""


def _layers(points: Any, w: World, **more: Any) -> Any:
    return pq.pareto_layers(points, n_threads=w.threads, **more)


def _front(points: Any, w: World, **more: Any) -> Any:
    return pq.pareto_front(points, n_threads=w.threads, **more)


def _volumes(points: Any, ref: Any, w: World, **more: Any) -> Any:
    options: dict[str, Any] = {"ref": ref, "n_threads": w.threads, **more}
    return [pq.hypervolume(points, **options), pq.hypervolume_contributions(points, **options)]


def _estimate(points: Any, ref: Any, w: World, **more: Any) -> Any:
    return pq.hypervolume_estimate(points, ref=ref, n_threads=w.threads, **more)


def _rays(points: Any, origin: Any, through: Any, k: int, w: World) -> Any:
    return pq.nearest_to_rays(points, origin, through, k=k, n_threads=w.threads)


def _least(points: Any, falls: Any, k: int, w: World, **more: Any) -> Any:
    return pq.least_achievement(points, None, falls, k=k, n_threads=w.threads, **more)


def _turned(points: Any) -> Any:
    """Another container of the same numbers."""
    return [np.ascontiguousarray(column) for column in points.T]


def _ways(m: int) -> list[bool]:
    return [j % 2 == 0 for j in range(m)]


RESULTS: dict[str, Call] = {}

for m, n in SIZES.items():
    for kind in KINDS:
        points = scores(kind, n, m)
        title = f"{kind}, {n} x {m}"
        keys = np.random.default_rng(m).integers(0, n // 40 + 1, n)
        RESULTS |= {
            f"pareto_layers: {title}": partial(_layers, points),
            f"pareto_layers: {title}: upto=3": partial(_layers, points, upto=3),
            f"pareto_layers: {title}: at_least": partial(_layers, points, at_least=n // 10),
            f"pareto_layers: {title}: minimised": partial(_layers, points, maximize=False),
            f"pareto_layers: {title}: both ways": partial(_layers, points, maximize=_ways(m)),
            f"pareto_layers: {title}: groups": partial(_layers, points, groups=keys),
            f"pareto_layers: {title}: sorted groups, upto=1": partial(
                _layers, points, groups=np.sort(keys), upto=1
            ),
            f"pareto_layers: {title}: groups of text": partial(
                _layers, points, groups=[f"key {i}" for i in keys], at_least=5
            ),
            f"pareto_front: {title}": partial(_front, points),
            f"pareto_front: {title}: groups": partial(_front, points, groups=keys),
        }

for n in (0, 1, 2, 7):
    for m in (1, 2, 3, 5):
        few = scores("uniform", n, m)
        RESULTS[f"pareto_layers: few points: {n} x {m}"] = partial(_layers, few)
        RESULTS[f"hypervolume: few points: {n} x {m}"] = partial(_volumes, few, [0.25] * m)

# Enough rows for the ways of the kernels that divide their work.
for m, n in {1: 200_000, 2: 200_000, 3: 60_000, 4: 20_000, 6: 4_000}.items():
    for kind in ("uniform", "front", "ties", "single"):
        many = scores(kind, n, m, seed=5)
        title = f"many points: {kind}, {n} x {m}"
        keys = np.random.default_rng(m).integers(0, n // 100, n)
        RESULTS |= {
            f"pareto_layers: {title}: upto=4": partial(_layers, many, upto=4),
            f"pareto_layers: {title}: at_least": partial(_layers, many, at_least=n // 50),
            f"pareto_layers: {title}: groups": partial(_layers, many, groups=keys, upto=2),
            f"nearest_to_rays: {title}": partial(
                _rays, many, [1.0] * m, scores("ties", 5, m, seed=6) - 3.0, 30
            ),
        }
        if m <= 3:
            RESULTS[f"pareto_layers: {title}"] = partial(_layers, many)
            RESULTS[f"hypervolume: {title}"] = partial(_volumes, many, [0.0] * m)

INFINITE = np.where(scores("ties", 200, 3) > 1, np.inf, scores("uniform", 200, 3))
SHAPES = {
    "columns": _turned(scores("uniform", 300, 3)),
    "a frame": rows("uniform", 300, 3).select(names(3)),
    "integers of several types": pl.DataFrame(
        {"a": [3, 1, 2, 2], "b": [1, 3, 2, 1]}, schema={"a": pl.Int8, "b": pl.UInt32}
    ),
    "text that is numbers": pl.DataFrame({"a": ["3", "1.5", "2"], "b": [" 1", "3e0", "2"]}),
    "true and false": pl.DataFrame({"a": [1, 0, 1], "b": [0.5, 0.25, 0.75]}),
    "arrays": pl.DataFrame({"r": [[1.0, 2.0], [2.0, 1.0], [0.0, 0.0]]}).cast(
        {"r": pl.Array(pl.Float32, 2)}
    ),
    "infinite scores": INFINITE,
    "signed zeros": np.array([[0.0, -0.0], [-0.0, 0.0], [0.0, 0.0]]),
    "a strided array": scores("uniform", 300, 6)[::2, ::2],
    "reversed rows": scores("ties", 300, 2)[::-1],
}
RESULTS |= {f"pareto_layers: {name}": partial(_layers, given) for name, given in SHAPES.items()}

for m, n in {1: 300, 2: 2000, 3: 1000, 4: 150, 5: 60, 6: 40}.items():
    for kind in KINDS:
        points = scores(kind, n, m, seed=1)
        low, high = points.min(axis=0), points.max(axis=0)
        middle = low + (high - low) / 4
        title = f"{kind}, {n} x {m}"
        RESULTS |= {
            f"hypervolume: {title}": partial(_volumes, points, middle.tolist()),
            f"hypervolume: {title}: minimised": partial(
                _volumes, points, high.tolist(), maximize=False
            ),
            f"hypervolume: {title}: both ways": partial(
                _volumes,
                points,
                np.where(_ways(m), low, high).tolist(),
                maximize=_ways(m),
            ),
            f"hypervolume_estimate: {title}": partial(
                _estimate, points, low.tolist(), samples=512, seed=m
            ),
        }

for m in (2, 4, 8):
    points = scores("uniform", 100, m, seed=2)
    RESULTS |= {
        f"hypervolume_estimate: 100 x {m}: {samples} samples, seed {seed}": partial(
            _estimate, points, [0.0] * m, samples=samples, seed=seed
        )
        for samples, seed in ((256, 0), (1000, 1), (4096, 2**64 - 1))
    }
    RESULTS[f"hypervolume_estimate: 100 x {m}: minimised"] = partial(
        _estimate, points, [1.0] * m, samples=256, maximize=False
    )

for m in (1, 2, 3, 4, 6):
    through = scores("ties", 9, m, seed=3) - 2.0
    for kind in KINDS:
        points = scores(kind, 1500, m, seed=4)
        title = f"{kind}, 1500 x {m}"
        ideal = points.max(axis=0).astype(float)
        RESULTS |= {
            f"nearest_to_rays: {title}: k=1": partial(_rays, points, ideal, through, 1),
            f"nearest_to_rays: {title}: k=40": partial(_rays, points, ideal, through, 40),
            f"nearest_to_rays: {title}: all": partial(_rays, points, ideal, through[:1], 1500),
            f"nearest_to_rays: {title}: own origins": partial(
                _rays, points, through + 7.0, through, 10
            ),
        }

for m in (1, 2, 3, 5):
    falls = np.vstack([np.ones(m), np.eye(m), scores("ties", 9, m, seed=3) + 0.25])
    for kind in KINDS:
        points = scores(kind, 1500, m, seed=4)
        title = f"least_achievement: {kind}, 1500 x {m}"
        keys = np.random.default_rng(m).integers(0, 40, 1500)
        RESULTS |= {
            f"{title}: k=40": partial(_least, points, falls, 40),
            f"{title}: all": partial(_least, points, falls[:3], 1500),
            f"{title}: groups": partial(_least, points, falls, 3, groups=keys),
            f"{title}: ways": partial(_least, points, falls, 9, maximize=_ways(m)),
        }

RESULTS |= {
    f"preference_grid: {m}, {divisions}": lambda w, m=m, divisions=divisions: pq.preference_grid(
        m, divisions
    )
    for m in range(1, 7)
    for divisions in (1, 2, 3, 7, 10)
}
