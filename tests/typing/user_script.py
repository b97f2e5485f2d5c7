"""What a user writes, for type checkers: they must find nothing, and know the types asserted here.

Polars' frames get `frame.pareto` at run time, of which checkers know nothing: a script that is
checked takes the functions, or `Pareto(frame)`, which is the same object.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Unpack, assert_type

import numpy as np
import polars as pl
from numpy.typing import NDArray

import paretohqd as pq
from paretohqd.selection.namespace import Pareto

FRAME = pl.DataFrame(
    {
        "prompt": ["Tea?", "Tea?", "Why?", "Why?"],
        "response": ["No.", "Yes, gladly.", "So.", "Because it is."],
        "help": [1.0, 0.75, 0.25, 0.5],
        "brief": [0.0, 0.5, 0.25, 1.0],
    }
)
NAMES = ["help", "brief"]
WAYS = {"help": "max", "brief": "min"}


def arrays() -> None:
    points = FRAME.select(NAMES).to_numpy()
    keys = FRAME["prompt"]
    assert_type(pq.pareto_layers(points, upto=2, by=keys), NDArray[np.int32])
    assert_type(
        pq.pareto_front(points, maximize=[True, False], groups=[1, 1, 2, 2]), NDArray[np.bool_]
    )
    assert_type(pq.hypervolume(points, ref=[0, 0]), float)
    assert_type(pq.hypervolume(points, ref=[0, 0], by=keys), NDArray[np.float64])
    assert_type(pq.hypervolume(points, ref=[0, 0], groups=[1, 1, 2, 2]), NDArray[np.float64])
    assert_type(pq.hypervolume_contributions(points, ref=[0, 0]), NDArray[np.float64])
    estimate = pq.hypervolume_estimate(points, ref=[0, 0], samples=256)
    assert_type(estimate, pq.Estimate)
    assert_type(estimate.standard_error, float)
    value, error = estimate
    assert_type(value + error, float)
    assert_type(pq.crowding_distance(points, by=keys), NDArray[np.float64])
    assert_type(pq.igd_plus(points, ref=FRAME.select(NAMES)), float)
    assert_type(pq.epsilon_additive(points, ref=points, maximize=[True, False]), float)
    assert_type(pq.r2_indicator(points, weights=pq.preference_grid(2, 4), ideal=[1, 1]), float)
    subset = pq.hypervolume_subset(points, k=2, ref=[0, 0])
    assert_type(subset, pq.Subset)
    assert_type(subset.rows, NDArray[np.int64])
    assert_type(subset.volume, float)
    nearest = pq.nearest_to_rays(points, [1, 1], pq.preference_grid(2, 4) * 0.5, k=1)
    assert_type(nearest.rows, NDArray[np.int64])
    rows, distances = nearest
    assert_type(distances, NDArray[np.float64])
    print(rows, distances)
    least = pq.least_achievement(points, None, [[1, 1]], k=1, maximize=[True, False], by=keys)
    assert_type(least, pq.Achievements)
    assert_type(least.values, NDArray[np.float64])


def frames() -> None:
    lazy = FRAME.lazy()
    assert_type(pq.layers(FRAME, NAMES, by="prompt", name="rank"), pl.DataFrame)
    assert_type(pq.layers(lazy, WAYS, at_least=2), pl.LazyFrame)
    assert_type(pq.front(FRAME, NAMES, nan="drop"), pl.DataFrame)
    assert_type(pq.front(lazy, WAYS, by=["prompt"]), pl.LazyFrame)
    assert_type(pq.rays(FRAME, NAMES, [1, 1], [[0, 0]], k=1), pl.DataFrame)
    assert_type(pq.rays(lazy, NAMES, [1, 1], [[0, 0]], k=1), pl.LazyFrame)
    assert_type(pq.achievement(FRAME, WAYS, None, [[1, 1]], k=1, by="prompt"), pl.DataFrame)
    assert_type(pq.achievement(lazy, NAMES, [1, 1], [[0, 1]], k=1), pl.LazyFrame)


def expressions() -> None:
    brief = pl.col("brief")
    assert_type(pq.layer_expr(NAMES, upto=2).over("prompt"), pl.Expr)
    assert_type(pq.layer_expr(WAYS, by=["prompt", brief > 0], at_least=1), pl.Expr)
    assert_type(FRAME.filter(pq.front_expr(["help", -brief], by="prompt")), pl.DataFrame)
    assert_type(pq.crowding_expr(brief.alias("r"), by=pq.layer_expr(NAMES), nan="drop"), pl.Expr)


def namespaces() -> None:
    eager, lazy = Pareto(FRAME), Pareto(FRAME.lazy())
    assert_type(eager.layers(NAMES, upto=1), pl.DataFrame)
    assert_type(lazy.front(WAYS), pl.LazyFrame)
    assert_type(eager.select(NAMES, 3, k=1, nan="drop"), pl.DataFrame)
    assert_type(lazy.select(NAMES, 3, k=1, duplicates="drop"), pl.LazyFrame)
    assert_type(lazy.choose(NAMES, 3, k=1), pq.Selection)
    assert_type(eager.hypervolume(NAMES, ref=[0, 0]), float)
    assert_type(eager.hypervolume(NAMES, ref=[0, 0], by="prompt"), pl.DataFrame)
    assert_type(lazy.hypervolume(NAMES, ref=[0, 0], by="prompt"), pl.LazyFrame)
    assert_type(lazy.rays(NAMES, [1, 1], [[0, 0]], k=1), pl.LazyFrame)
    assert_type(lazy.achievement(NAMES, None, [[0, 1]], k=1, by="prompt"), pl.LazyFrame)


def best(frame: pl.DataFrame, **options: Unpack[pq.SelectOptions]) -> pl.DataFrame:
    """A function of one's own that passes options on."""
    return pq.select(frame, NAMES, {"curt": {"help": 1, "brief": 3}}, **options)


def selections() -> None:
    chosen = pq.choose(FRAME, WAYS, {"curt": [0.1, 0.9], "full": [0.9, 0.1]}, k=1, scale=[1.0, 2.0])
    assert_type(chosen, pq.Selection)
    assert_type(chosen["curt"], pl.DataFrame)
    assert_type(chosen[0], pl.DataFrame)
    assert_type(len(chosen), int)
    for name, rows in chosen:
        assert_type(name, str | int)
        assert_type(rows, pl.DataFrame)
    assert_type("curt" in chosen, bool)
    assert_type(chosen.preferences, NDArray[np.float64])
    assert_type(chosen.preference_names, tuple[str, ...] | None)
    assert_type(chosen.n_rows, int)
    assert_type(chosen.why(0).table, pl.DataFrame)
    assert_type(chosen.why(0).layer, int | None)
    assert_type(chosen.explain(), str)
    assert_type(chosen.summary(), dict[str, Any])
    assert_type(pq.select(FRAME, NAMES, 3, k=1, by="prompt"), pl.DataFrame)
    assert_type(best(FRAME, k=1, upto=2), pl.DataFrame)
    state = pq.FirstLayers(NAMES, at_least=2).add(FRAME)
    assert_type(pq.choose_from(state, 3, k=1), pq.Selection)
    assert_type(pq.selection_overlap(chosen.rows), NDArray[np.float64])


class Short:
    """A reward of one's own."""

    name = "short"

    def score(self, prompts: Sequence[str], responses: Sequence[str]) -> NDArray[np.float64]:
        return np.array([-float(len(response)) for response in responses])

    def manifest(self) -> dict[str, Any]:
        return {"kind": "own"}


def verbs() -> None:
    assert_type(pq.score(FRAME, [Short()]), pl.DataFrame)
    print(pq.__version__)


if __name__ == "__main__":
    arrays()
    frames()
    expressions()
    namespaces()
    selections()
    verbs()
