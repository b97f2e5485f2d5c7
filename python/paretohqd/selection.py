"""The training set of each preference: rows of the best Pareto layers nearest to its ray."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import polars as pl
from numpy.typing import ArrayLike, NDArray

from paretohqd.layers import pareto_layers
from paretohqd.metrics import selection_overlap
from paretohqd.objectives import Objectives, count
from paretohqd.rays import nearest_to_rays, preference_grid

ADDED = ("preference", "weights", "position", "distance", "layer", "row")
"""Columns that a selection adds to the input's own."""


@dataclass(frozen=True, eq=False)
class Selection:
    """A selection with what it was made from."""

    rows: pl.DataFrame
    """Long frame: k rows per preference, see `select`."""
    weights: NDArray[np.float64]
    """(P, M) preferences."""
    layer: NDArray[np.int32]
    """(n,) Pareto layer of every input row; -1 beyond the pool."""
    r_min: NDArray[np.float64]
    """(M,) nadir, in the input's units: the worst of the reference set per objective."""
    r_max: NDArray[np.float64]
    """(M,) ideal, in the input's units: the best of the reference set per objective."""

    def layer_sizes(self) -> list[int]:
        """Rows in each layer of the pool, best first."""
        return [int(size) for size in np.bincount(self.layer[self.layer >= 0])]

    def overlap(self) -> NDArray[np.float64]:
        """(P, P) Jaccard index of the preferences' sets of rows; 1 on the diagonal."""
        return selection_overlap(self.rows)


def select(
    frame: pl.DataFrame,
    objectives: Sequence[str] | Mapping[str, str],
    preferences: int | ArrayLike = 11,
    *,
    k: int = 100,
    upto: int | None = None,
    at_least: int | None = None,
    bounds: Literal["pool", "all"] = "pool",
    scale: Literal["box", "none"] | Sequence[float] = "box",
    distinct: str | None = None,
    nan: Literal["raise", "drop"] = "raise",
    n_threads: int | None = None,
) -> pl.DataFrame:
    """Choose a training set for each preference from a frame of scored answers.

    ParetoHqD (arXiv 2504.16628): the pool is the first Pareto layers; preference w runs from the
    ideal point r_max through r_min + w (r_max - r_min) and takes the k rows of the pool nearest to
    that ray. Which layers make the pool, what r_min refers to, the distance and the scaling are
    this project's choices where the paper's are unknown.

    Args:
        frame: one row per answer, with a numeric column per objective; other columns are kept.
        objectives: column names (larger is better), or {name: "max" | "min"}.
        preferences: how many, spread evenly on the simplex from (1, 0, ..) to (.., 0, 1), or the
            weights themselves, shape (P, M), each row at least 0 and summing to 1.
        k: rows per preference.
        upto: the pool is this many layers.
        at_least: the pool is the fewest layers that hold this many rows. By default P * k, for with
            a small pool neighbouring preferences get nearly the same rows.
        bounds: r_min and r_max over the "pool" or over "all" rows.
        scale: units of the distance: "box" divides each objective by r_max - r_min, "none" leaves
            the rewards as they are, numbers divide by those (for z-scores: the standard
            deviations). With two objectives the ranking is the same for all.
        distinct: a column, such as the prompt, of which each preference gets no value twice. Unless
            `upto` or `at_least` is given, the pool grows until that is possible.
        nan: "raise" refuses null and NaN scores, "drop" leaves such rows out.
        n_threads: threads; RAYON_NUM_THREADS or all cores by default. The result is the same.

    Returns:
        P * k rows, preference by preference, nearest first: the input's columns and `preference`
        (index), `weights`, `position` (0..k-1), `distance` (in the scaled units), `layer`, `row`
        (index in the input). Equal distances go to the earlier row. A row may serve several
        preferences.

    Raises:
        ValueError: a missing, non-numeric, constant or infinite score column, null or NaN, weights
            off the simplex, fewer rows than k, a column name that the result needs.

    Example:
        >>> import polars as pl
        >>> import paretohqd as pq
        >>> frame = pl.DataFrame({"help": [1.0, 0.8, 0.0, 0.1], "safe": [0.0, 0.7, 1.0, 0.1]})
        >>> chosen = pq.select(frame, ["help", "safe"], preferences=3, k=1)
        >>> chosen.select("help", "safe", "preference", "layer", "row").rows()
        [(1.0, 0.0, 0, 0, 0), (0.8, 0.7, 1, 0, 1), (0.0, 1.0, 2, 0, 2)]
    """
    return choose(
        frame, objectives, preferences, k=k, upto=upto, at_least=at_least, bounds=bounds,
        scale=scale, distinct=distinct, nan=nan, n_threads=n_threads,
    ).rows  # fmt: skip


def choose(
    frame: pl.DataFrame,
    objectives: Sequence[str] | Mapping[str, str],
    preferences: int | ArrayLike = 11,
    *,
    k: int = 100,
    upto: int | None = None,
    at_least: int | None = None,
    bounds: Literal["pool", "all"] = "pool",
    scale: Literal["box", "none"] | Sequence[float] = "box",
    distinct: str | None = None,
    nan: Literal["raise", "drop"] = "raise",
    n_threads: int | None = None,
) -> Selection:
    """As `select`, but return the layers, bounds and overlap with the rows."""
    k = count("k", k)
    points = _objectives(frame, objectives, nan)
    weights = preference_weights(preferences, points.m)
    if points.n < k:
        raise ValueError(f"k={k}, but there are only {points.n} rows to choose from: lower k")
    _refuse_taken(frame)
    if distinct is not None and distinct not in frame.columns:
        raise ValueError(f"distinct: no column {distinct!r}: it has {', '.join(frame.columns)}")
    if bounds not in ("pool", "all"):
        raise ValueError(f"bounds: expected 'pool' or 'all', got {bounds!r}")
    kept = np.arange(len(frame)) if points.kept is None else points.kept
    values = None if distinct is None else frame[distinct].rank("dense").to_numpy()[kept]
    grow = upto is None and at_least is None
    wanted = len(weights) * k if grow else at_least
    while True:
        layer = pareto_layers(points.columns, upto=upto, at_least=wanted, n_threads=n_threads)
        pool = np.flatnonzero(layer >= 0)
        found = len(pool) if values is None else len(np.unique(values[pool]))
        if found >= k or not grow or len(pool) == points.n:
            break
        wanted = 2 * len(pool)
    if found < k:
        what = "rows" if distinct is None else f"rows with different {distinct!r}"
        advice = "lower k" if len(pool) == points.n else "raise upto or at_least, or lower k"
        raise ValueError(f"k={k}, but the pool has only {found} {what}: {advice}")
    r_min, r_max = _box(points, pool if bounds == "pool" else slice(None), bounds)
    sizes = _units(scale, r_min, r_max)
    rows, distances = nearest_to_rays(
        [
            (column[pool] - low) / size
            for column, low, size in zip(points.columns, r_min, sizes, strict=True)
        ],
        (r_max - r_min) / sizes,
        weights * (r_max - r_min) / sizes,
        k=k if values is None else len(pool),
        n_threads=n_threads,
    )
    if values is not None:
        rows, distances = _first_of_each(rows, distances, values[pool], k)
    layers_of_frame = np.full(len(frame), -1, dtype=np.int32)
    layers_of_frame[kept] = layer
    chosen = kept[pool[rows]]
    sign = np.where(points.maximize, 1.0, -1.0)
    return Selection(
        rows=_long(frame, weights, chosen, distances, layers_of_frame),
        weights=weights,
        layer=layers_of_frame,
        r_min=sign * r_min,
        r_max=sign * r_max,
    )


def preference_weights(preferences: int | ArrayLike, m: int) -> NDArray[np.float64]:
    """The (P, m) weights that `preferences` stands for, checked.

    Raises:
        ValueError: weights that are negative, NaN or do not sum to 1 within 1e-6, of another number
            of objectives, or a number of preferences that no even lattice on the simplex has.

    Example:
        >>> preference_weights(3, 2).tolist()
        [[1.0, 0.0], [0.5, 0.5], [0.0, 1.0]]
    """
    if isinstance(preferences, int | np.integer) and not isinstance(preferences, bool):
        number = count("preferences", preferences)
        sizes = {math.comb(d + m - 1, m - 1): d for d in range(1, max(number, 8))}
        if number in sizes:
            return preference_grid(m, sizes[number])
        nearest = sorted(sizes, key=lambda size: abs(size - number))[:3]
        raise ValueError(
            f"preferences={number}: {m} objectives have no even lattice of that size; take "
            f"{', '.join(map(str, sorted(nearest)))} or pass the weights themselves"
        )
    try:
        weights = np.array(preferences, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise ValueError(f"preferences: expected a number or rows of weights ({error})") from None
    if weights.ndim != 2 or weights.shape[1] != m or not len(weights):
        raise ValueError(
            f"preferences: expected one weight per objective in each row, shape (P, {m}), "
            f"got shape {weights.shape}"
        )
    off = ~((weights >= 0).all(axis=1) & (np.abs(weights.sum(axis=1) - 1) <= 1e-6))
    if off.any():
        first = int(off.argmax())
        raise ValueError(
            f"preferences: {int(off.sum())} of {len(weights)} are off the simplex (first: number "
            f"{first}, {weights[first].tolist()}): weights are at least 0 and sum to 1"
        )
    return weights


def columns_of(
    frame: pl.DataFrame, objectives: Sequence[str] | Mapping[str, str]
) -> tuple[pl.DataFrame, list[bool]]:
    """The objectives' columns of a frame, and whether larger is better in each.

    Raises:
        ValueError: no such column, one named twice, or a direction that is not "max" or "min".
    """
    if not isinstance(frame, pl.DataFrame):
        raise ValueError(f"frame: expected a polars.DataFrame, got {type(frame).__name__}")
    if isinstance(objectives, str):
        raise ValueError("objectives: expected a list of column names, got one string")
    names = list(objectives)
    if len(set(names)) < len(names):
        raise ValueError(f"objectives: a column is named twice: {', '.join(names)}")
    missing = [name for name in names if name not in frame.columns]
    if missing:
        raise ValueError(
            f"objectives: no column {missing[0]!r}: the frame has {', '.join(frame.columns)}"
        )
    if not isinstance(objectives, Mapping):
        return frame.select(names), [True] * len(names)
    for name, direction in objectives.items():
        if direction not in ("max", "min"):
            raise ValueError(f"objectives: {name}: expected 'max' or 'min', got {direction!r}")
    return frame.select(names), [direction == "max" for direction in objectives.values()]


def _objectives(
    frame: pl.DataFrame,
    objectives: Sequence[str] | Mapping[str, str],
    nan: Literal["raise", "drop"],
) -> Objectives:
    scores, larger = columns_of(frame, objectives)
    names = scores.columns
    if len(names) < 2:
        raise ValueError("objectives: a trade-off needs two or more columns; for one, sort by it")
    points = Objectives.of(scores, maximize=larger, nan=nan)
    points.require_finite("a preference's ray")
    for name, column in zip(names, points.columns, strict=True):
        if points.n > 1 and column.min() == column.max():
            raise ValueError(
                f"column {name!r} is constant ({points.n} rows of {frame[name].drop_nulls()[0]}): it "
                "cannot be traded off; leave it out of the objectives"
            )
    return points


def _refuse_taken(frame: pl.DataFrame) -> None:
    taken = [name for name in ADDED if name in frame.columns]
    if taken:
        raise ValueError(
            f"the frame already has a column {taken[0]!r}, which the result adds: rename it"
        )


def _box(points: Objectives, rows: Any, bounds: str) -> tuple[NDArray[np.float64], ...]:
    r_min = np.array([column[rows].min() for column in points.columns], dtype=np.float64)
    r_max = np.array([column[rows].max() for column in points.columns], dtype=np.float64)
    flat = np.flatnonzero(r_min == r_max)
    if len(flat):
        raise ValueError(
            f"column {points.names[flat[0]]!r} has one value in the whole pool, so no ray has a "
            "direction: take more layers (upto, at_least) or bounds='all'"
            if bounds == "pool"
            else f"column {points.names[flat[0]]!r} is constant: leave it out of the objectives"
        )
    return r_min, r_max


def _units(
    scale: Any, r_min: NDArray[np.float64], r_max: NDArray[np.float64]
) -> NDArray[np.float64]:
    if isinstance(scale, str):
        if scale not in ("box", "none"):
            raise ValueError(
                f"scale: expected 'box', 'none' or {len(r_min)} numbers, got {scale!r}"
            )
        return r_max - r_min if scale == "box" else np.ones(len(r_min))
    sizes = np.asarray(scale, dtype=np.float64)
    if sizes.shape != r_min.shape or not (np.isfinite(sizes) & (sizes > 0)).all():
        raise ValueError(f"scale: expected {len(r_min)} numbers above 0, got {scale!r}")
    return sizes


def _first_of_each(
    rows: NDArray[np.int64], distances: NDArray[np.float64], values: NDArray[Any], k: int
) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Of each ray's rows, nearest first, keep the first of every value, k in all."""
    kept = []
    for ray in rows:
        _, first = np.unique(values[ray], return_index=True)
        kept.append(np.sort(first)[:k])
    places = np.array(kept)
    return np.take_along_axis(rows, places, 1), np.take_along_axis(distances, places, 1)


def _long(
    frame: pl.DataFrame,
    weights: NDArray[np.float64],
    chosen: NDArray[np.int64],
    distances: NDArray[np.float64],
    layer: NDArray[np.int32],
) -> pl.DataFrame:
    number, k = chosen.shape
    flat = chosen.ravel()
    preference = np.repeat(np.arange(number, dtype=np.int32), k)
    return frame[flat].with_columns(
        pl.Series("preference", preference),
        pl.Series("weights", weights.tolist(), dtype=pl.List(pl.Float64)).gather(preference),
        pl.Series("position", np.tile(np.arange(k, dtype=np.int32), number)),
        pl.Series("distance", distances.ravel()),
        pl.Series("layer", layer[flat]),
        pl.Series("row", flat.astype(np.uint32)),
    )
