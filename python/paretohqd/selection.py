"""The training set of each preference: rows of the best Pareto layers nearest to its ray."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import polars as pl
from numpy.typing import ArrayLike, NDArray

from paretohqd.columns import refuse_missing, refuse_taken, tradeable
from paretohqd.layers import group_ids, pareto_layers
from paretohqd.metrics import selection_overlap
from paretohqd.objectives import Objectives, count
from paretohqd.preferences import preference_weights
from paretohqd.rays import nearest_to_rays

Floats = NDArray[np.float64]
Rows = NDArray[np.int64]

ADDED = ("preference", "weights", "position", "distance", "layer", "row")
"""Columns that a selection adds to the input's own."""


@dataclass(frozen=True, eq=False)
class Selection:
    """A selection with what it was made from."""

    rows: pl.DataFrame
    """Long frame: k rows per preference, see `select`."""
    weights: Floats
    """(P, M) preferences."""
    layer: NDArray[np.int32]
    """(n,) Pareto layer of every input row; -1 beyond the pool."""
    r_min: Floats
    """(M,) nadir, in the input's units: the worst of the reference set per objective."""
    r_max: Floats
    """(M,) ideal, in the input's units: the best of the reference set per objective."""

    def layer_sizes(self) -> list[int]:
        """Rows in each layer of the pool, best first."""
        return [int(size) for size in np.bincount(self.layer[self.layer >= 0])]

    def overlap(self) -> Floats:
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
            `upto` or `at_least` is given, the pool is then the fewest layers that hold P * k rows
            and k different values.
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
    if bounds not in ("pool", "all"):
        raise ValueError(f"bounds: expected 'pool' or 'all', got {bounds!r}")
    points = tradeable(frame, objectives, nan=nan)
    weights = preference_weights(preferences, points.m)
    refuse_taken(frame, ADDED)
    if points.n < k:
        raise ValueError(f"k={k}, but there are only {points.n} rows to choose from: lower k")
    kept = np.arange(len(frame)) if points.kept is None else points.kept
    groups = None if distinct is None else _groups(frame, distinct)[kept]
    layer = _layers(points, groups, len(weights), k, upto, at_least, n_threads)
    pool = np.flatnonzero(layer >= 0)
    r_min, r_max = _box(points, pool if bounds == "pool" else None)
    units = _units(scale, r_min, r_max)
    rows, distances = _nearest(
        # In double precision whatever the scores' is, and whichever NumPy promotes.
        [
            (column[pool].astype(np.float64) - low) / unit
            for column, low, unit in zip(points.columns, r_min, units, strict=True)
        ],
        (r_max - r_min) / units,
        weights * (r_max - r_min) / units,
        None if groups is None else groups[pool],
        k,
        n_threads,
    )
    layer_of_input = np.full(len(frame), -1, dtype=np.int32)
    layer_of_input[kept] = layer
    sign = np.where(points.maximize, 1.0, -1.0)
    return Selection(
        rows=_long(frame, weights, kept[pool[rows]], distances, layer_of_input),
        weights=weights,
        layer=layer_of_input,
        r_min=sign * r_min,
        r_max=sign * r_max,
    )


def _groups(frame: pl.DataFrame, distinct: str) -> NDArray[np.uint32]:
    """A number for each row, the same for rows with the same value."""
    refuse_missing(frame, distinct, "distinct")
    missing = frame[distinct].is_null()
    if missing.any():
        raise ValueError(
            f"distinct: column {distinct!r} is null in {missing.sum()} of {len(frame)} rows "
            f"(first: row {missing.arg_max()}): fill or drop them"
        )
    return group_ids(frame[distinct], len(frame))[0]


def _layers(
    points: Objectives,
    groups: NDArray[np.uint32] | None,
    preferences: int,
    k: int,
    upto: int | None,
    at_least: int | None,
    n_threads: int | None,
) -> NDArray[np.int32]:
    """The layer of every row, -1 beyond the pool; the pool has k rows to choose, or it raises."""
    grow = upto is None and at_least is None
    at_least = preferences * k if grow else at_least
    layer = pareto_layers(points.columns, upto=upto, at_least=at_least, n_threads=n_threads)
    if groups is not None and grow:
        layer = _until_distinct(points, layer, groups, k, n_threads)
    pool = layer >= 0
    found = int(pool.sum()) if groups is None else len(np.unique(groups[pool]))
    if found < k:
        what = "rows" if groups is None else "different values of the column `distinct`"
        advice = "lower k" if pool.all() else "raise upto or at_least, or lower k"
        raise ValueError(f"k={k}, but the pool has only {found} {what}: {advice}")
    return layer


def _until_distinct(
    points: Objectives,
    layer: NDArray[np.int32],
    groups: NDArray[np.uint32],
    k: int,
    n_threads: int | None,
) -> NDArray[np.int32]:
    """These layers and the fewest further ones that bring k groups, or else all."""
    last = layer.max()
    while True:
        pool = np.flatnonzero(layer >= 0)
        by_layer = pool[np.argsort(layer[pool], kind="stable")]
        first = np.sort(np.unique(groups[by_layer], return_index=True)[1])
        if len(first) >= k:
            last = max(last, layer[by_layer[first[k - 1]]])
            return np.where(layer <= last, layer, np.int32(-1))
        if len(pool) == points.n:
            return layer
        layer = pareto_layers(points.columns, at_least=2 * len(pool), n_threads=n_threads)


def _box(points: Objectives, pool: Rows | None) -> tuple[Floats, Floats]:
    """Worst and best of every objective in the pool, or in all rows."""
    columns = [column if pool is None else column[pool] for column in points.columns]
    r_min = np.array([column.min() for column in columns], dtype=np.float64)
    r_max = np.array([column.max() for column in columns], dtype=np.float64)
    with np.errstate(over="ignore"):
        spans = r_max - r_min
    for name, span in zip(points.names, spans, strict=True):
        if span == 0:
            raise ValueError(
                f"column {name!r} has one value in the whole pool, so a ray may have no "
                "direction: take more layers (upto, at_least), or bounds='all'"
            )
        if not np.isfinite(span):
            raise ValueError(f"column {name!r} spans more than doubles can hold: scale it down")
    return r_min, r_max


def _units(scale: Any, r_min: Floats, r_max: Floats) -> Floats:
    """What one unit of the distance is, in each objective's own."""
    if isinstance(scale, str) and scale == "box":
        return r_max - r_min
    if isinstance(scale, str) and scale == "none":
        return np.ones(len(r_min))
    try:
        sizes = np.asarray(scale, dtype=np.float64)
    except (TypeError, ValueError):
        sizes = np.zeros(0)
    if sizes.shape != r_min.shape or not (np.isfinite(sizes) & (sizes > 0)).all():
        raise ValueError(
            f"scale: expected 'box', 'none' or {len(r_min)} numbers above 0, got {scale!r}"
        )
    return sizes


def _nearest(
    columns: list[Floats],
    origin: Floats,
    through: Floats,
    groups: NDArray[np.uint32] | None,
    k: int,
    n_threads: int | None,
) -> tuple[Rows, Floats]:
    """The k rows nearest to each ray; of each group at most one."""
    if groups is None:
        return nearest_to_rays(columns, origin, through, k=k, n_threads=n_threads)
    asked = min(2 * k, len(groups))
    while True:
        rows, distances = nearest_to_rays(columns, origin, through, k=asked, n_threads=n_threads)
        # Rows come nearest first, so the first place of a group is that of its nearest row.
        first = [np.unique(groups[ray], return_index=True)[1] for ray in rows]
        if asked == len(groups) or min(map(len, first)) >= k:
            break
        asked = min(4 * asked, len(groups))
    places = np.array([np.sort(of_ray)[:k] for of_ray in first])
    return np.take_along_axis(rows, places, 1), np.take_along_axis(distances, places, 1)


def _long(
    frame: pl.DataFrame,
    weights: Floats,
    chosen: Rows,
    distances: Floats,
    layer: NDArray[np.int32],
) -> pl.DataFrame:
    """The chosen rows of the frame, preference by preference, and what a selection adds."""
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
