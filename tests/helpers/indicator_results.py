"""Results of the indicators on arrays."""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np

import paretohqd as pq
from helpers.drawn_rows import KINDS, scores
from helpers.world import Call, World

SIZES = {1: 300, 2: 2000, 3: 1000, 4: 300, 5: 120, 6: 60}
"""How many points are drawn in so many objectives."""


def _crowding(points: Any, w: World, **more: Any) -> Any:
    return pq.crowding_distance(points, n_threads=w.threads, **more)


def _beside(points: Any, ref: Any, w: World, **more: Any) -> Any:
    options: dict[str, Any] = {"ref": ref, "n_threads": w.threads, **more}
    return [pq.igd_plus(points, **options), pq.epsilon_additive(points, **options)]


def _r2(points: Any, weights: Any, ideal: Any, w: World, **more: Any) -> Any:
    return pq.r2_indicator(points, weights=weights, ideal=ideal, n_threads=w.threads, **more)


def _subset(points: Any, k: int, ref: Any, w: World, **more: Any) -> Any:
    return pq.hypervolume_subset(points, k=k, ref=ref, n_threads=w.threads, **more)


RESULTS: dict[str, Call] = {}

for m, n in SIZES.items():
    for kind in KINDS:
        points = scores(kind, n, m, seed=7)
        low, high = points.min(axis=0), points.max(axis=0)
        ref = scores(kind, 40, m, seed=8)
        weights = np.abs(scores("uniform", 30, m, seed=9)) + 0.125
        title = f"{kind}, {n} x {m}"
        keys = np.random.default_rng(m).integers(0, n // 20, n)
        RESULTS |= {
            f"crowding_distance: {title}": partial(_crowding, points),
            f"crowding_distance: {title}: groups": partial(_crowding, points, groups=keys),
            f"igd_plus, epsilon_additive: {title}": partial(_beside, points, ref),
            f"igd_plus, epsilon_additive: {title}: minimised": partial(
                _beside, points, ref, maximize=False
            ),
            f"r2_indicator: {title}": partial(_r2, points, weights, high.tolist()),
            f"r2_indicator: {title}: minimised": partial(
                _r2, points, weights, low.tolist(), maximize=False
            ),
            f"hypervolume_subset: {title}": partial(_subset, points, 20, low.tolist()),
            f"hypervolume_subset: {title}: minimised": partial(
                _subset, points, 9, high.tolist(), maximize=False
            ),
        }

# Enough rows for the ways of the kernels that divide their work.
for m, n in {1: 100_000, 2: 100_000, 3: 60_000, 4: 20_000, 6: 6_000}.items():
    for kind in ("uniform", "front", "ties", "single"):
        many = scores(kind, n, m, seed=5)
        title = f"many points: {kind}, {n} x {m}"
        RESULTS |= {
            f"crowding_distance: {title}": partial(_crowding, many),
            f"igd_plus, epsilon_additive: {title}": partial(
                _beside, many, scores(kind, 500, m, seed=6)
            ),
        }
        if m <= 4:
            RESULTS[f"hypervolume_subset: {title}"] = partial(
                _subset, many, 30, many.min(axis=0).tolist()
            )
