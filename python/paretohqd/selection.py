"""The training set of each preference: rows of the best Pareto layers nearest to its ray."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal

import numpy as np
import polars as pl
from numpy.typing import ArrayLike

from paretohqd.columns import (
    Named,
    Scores,
    column,
    key_columns,
    key_ids,
    refuse_missing,
    refuse_taken,
)
from paretohqd.first_layers import FirstLayers
from paretohqd.grouped import choose_in_groups
from paretohqd.objectives import count
from paretohqd.pool import Floats, Nearest, Pool, Rows, row_numbers
from paretohqd.pooling import Stop, pool_in_memory, pool_of, pool_streamed
from paretohqd.preferences import preference_names, preference_weights
from paretohqd.selected import Selection
from paretohqd.sources import Source
from paretohqd.streaming import Progress, bad_rows_named, gather

ADDED = ("preference", "weights", "position", "distance", "layer", "row")
"""Columns that a selection adds to the input's own, and `preference_name` if there are names."""

_TYPES: dict[str, Any] = {
    "preference": pl.Int32,
    "preference_name": pl.String,
    "weights": pl.List(pl.Float64),
    "position": pl.Int32,
    "distance": pl.Float64,
    "layer": pl.Int32,
    "row": pl.UInt32,
}


def added_types(*, named: bool) -> dict[str, Any]:
    """The columns that a selection adds, and their types."""
    return {name: kind for name, kind in _TYPES.items() if named or name in ADDED}


def select(
    frame: object,
    objectives: Named | str,
    preferences: int | ArrayLike | Mapping[str, Sequence[float]] = 11,
    *,
    k: int = 100,
    upto: int | None = None,
    at_least: int | None = None,
    bounds: Literal["pool", "all"] = "pool",
    scale: Literal["box", "none"] | Sequence[float] = "box",
    distinct: str | None = None,
    by: str | Sequence[str] | None = None,
    nan: Literal["raise", "drop"] = "raise",
    memory_limit: int | None = None,
    progress: Progress | None = None,
    n_threads: int | None = None,
) -> pl.DataFrame:
    """Choose a training set for each preference from a frame of scored answers.

    ParetoHqD (arXiv 2504.16628): the pool is the first Pareto layers; preference w runs from the
    ideal point r_max through r_min + w (r_max - r_min) and takes the k rows of the pool nearest to
    that ray. Which layers make the pool, what r_min refers to, the distance and the scaling are
    this project's choices where the paper's are unknown.

    Args:
        frame: one row per answer, with a numeric column per objective; other columns are kept. A
            Polars DataFrame or LazyFrame; a path, folder or pattern of Parquet, CSV or JSONL files
            (also "s3://..", "hf://..", as Polars reads them); a pandas or Arrow table, a DuckDB
            relation, a Hugging Face Dataset. What is lazy or in files is streamed: only scores
            of the first layers stay in memory, other columns are read for the chosen rows alone.
        objectives: column names (larger is better), or {name: "max" | "min"}. A column of
            fixed-size arrays (`pl.Array`) stands for all its components.
        preferences: how many, spread evenly on the simplex from (1, 0, ..) to (.., 0, 1), or the
            weights themselves, shape (P, M), each row at least 0 and summing to 1, or
            {name: weights}.
        k: rows per preference; with `by`, at most, in each group.
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
        by: one or more columns within whose values rows are chosen, such as the prompt: each group
            has its own layers (all of them unless `upto` or `at_least` is given), bounds and rays,
            as if it were alone. An objective with one value in a group trades nothing there, and
            a group with fewer than k rows gives all it has. Scores and keys of all rows are held
            in memory.
        nan: "raise" refuses null and NaN scores, "drop" leaves such rows out.
        memory_limit: bytes that rows may take while they are streamed; a pool that needs more is
            refused.
        progress: is told how many rows have been read, batch by batch, while they are streamed.
        n_threads: threads; RAYON_NUM_THREADS or all cores by default. The result is the same.

    Returns:
        P * k rows, preference by preference (with `by`, then group by group in the order of their
        first rows), nearest first: the input's columns and `preference` (index), `weights`,
        `position` (0..k-1), `distance` (in the scaled units), `layer`, `row` (index in the input);
        also `preference_name` if they have names. Equal distances go to the earlier row. A row may
        serve several preferences.

    Raises:
        ValueError: a missing, non-numeric, constant or infinite score column, null or NaN, weights
            off the simplex, fewer rows than k, a column name that the result needs; files that
            cannot be read or differ; a pool beyond the memory limit.

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
        scale=scale, distinct=distinct, by=by, nan=nan, memory_limit=memory_limit,
        progress=progress, n_threads=n_threads,
    ).rows  # fmt: skip


def choose(
    frame: object,
    objectives: Named | str,
    preferences: int | ArrayLike | Mapping[str, Sequence[float]] = 11,
    *,
    k: int = 100,
    upto: int | None = None,
    at_least: int | None = None,
    bounds: Literal["pool", "all"] = "pool",
    scale: Literal["box", "none"] | Sequence[float] = "box",
    distinct: str | None = None,
    by: str | Sequence[str] | None = None,
    nan: Literal["raise", "drop"] = "raise",
    memory_limit: int | None = None,
    progress: Progress | None = None,
    n_threads: int | None = None,
) -> Selection:
    """As `select`, but return the pool, its layers, the bounds and the overlap with the rows."""
    k = count("k", k)
    if bounds not in ("pool", "all"):
        raise ValueError(f"bounds: expected 'pool' or 'all', got {bounds!r}")
    if upto is not None and at_least is not None:
        raise ValueError(f"choose one of upto ({upto}) and at_least ({at_least}); both are stops")
    source = Source.of(frame)
    scores = Scores.of(source.schema, objectives)
    scores.require_two()
    weights = preference_weights(preferences, len(scores.names))
    names = preference_names(preferences)
    refuse_taken(source.names, added_types(named=names is not None))
    if by is not None:
        if distinct is not None:
            raise ValueError("distinct cannot be combined with by: each group is chosen from alone")
        return _within(
            source, scores, key_columns(source.names, by), weights, names, nan=nan, k=k, upto=upto,
            at_least=at_least, bounds=bounds, scale=scale, n_threads=n_threads,
        )  # fmt: skip
    if distinct is not None:
        refuse_missing(source.names, distinct, "distinct")
    grow = upto is None and at_least is None
    stop = Stop(
        upto=upto, at_least=len(weights) * k if grow else at_least, distinct=distinct,
        different=k if grow else None, nan=nan, n_threads=n_threads,
    )  # fmt: skip
    if isinstance(source.frame, pl.DataFrame):
        pool, read = pool_in_memory(source.frame, scores, stop), None
    else:
        pool, read = pool_streamed(
            source, scores, objectives, stop, memory_limit=memory_limit, progress=progress
        )
    return _selection(
        pool, weights, names, k=k, bounds=bounds, scale=scale, n_threads=n_threads,
        rows=lambda places: _rows(source, pool, places, read),
        scores=source.frame.lazy().select(scores.expressions),
    )  # fmt: skip


def choose_from(
    state: FirstLayers,
    preferences: int | ArrayLike | Mapping[str, Sequence[float]] = 11,
    *,
    k: int = 100,
    bounds: Literal["pool", "all"] = "pool",
    scale: Literal["box", "none"] | Sequence[float] = "box",
    distinct: str | None = None,
    n_threads: int | None = None,
) -> Selection:
    """Choose as `select` does, from rows that were added in parts.

    Args:
        state: The first layers of all rows so far; its layers are the pool.
        preferences: As for `select`, as are the further options.
        k: Rows per preference.
        bounds: r_min and r_max over the "pool" or over "all" rows that were ever added.
        scale: Units of the distance.
        distinct: A column of which each preference gets no value twice.
        n_threads: Threads.

    Returns:
        The selection that `choose` makes from all rows with the same stop; its rows have the
        columns that were added.

    Raises:
        ValueError: As `select`, or the state must be read again (see `FirstLayers`).

    Example:
        >>> import polars as pl
        >>> import paretohqd as pq
        >>> state = pq.FirstLayers(["help", "safe"], at_least=2)
        >>> monday = pl.DataFrame({"help": [1.0, 0.8], "safe": [0.0, 0.7]})
        >>> tuesday = pl.DataFrame({"help": [0.0, 0.1], "safe": [1.0, 0.1]})
        >>> chosen = pq.choose_from(state.add(monday).add(tuesday), preferences=3, k=1)
        >>> chosen.rows.select("help", "safe", "preference", "row").rows()
        [(1.0, 0.0, 0, 0), (0.8, 0.7, 1, 1), (0.0, 1.0, 2, 2)]
    """
    k = count("k", k)
    rows = state.frame
    scores = Scores.of(rows.schema, state.objectives)
    scores.require_two()
    if distinct is not None:
        refuse_missing(rows.columns, distinct, "distinct")
    if not state.finite():
        raise ValueError("a score is infinite, but a preference's ray needs a finite range")
    weights = preference_weights(preferences, len(scores.names))
    pool, kept = pool_of(state, scores, distinct, state.needed() - 1)
    added = kept.drop("row", "layer")
    names = preference_names(preferences)
    refuse_taken(added.columns, added_types(named=names is not None))
    return _selection(
        pool, weights, names, k=k, bounds=bounds, scale=scale, n_threads=n_threads,
        rows=lambda places: added[places], scores=None,
    )  # fmt: skip


def _selection(
    pool: Pool,
    weights: Floats,
    names: tuple[str, ...] | None,
    *,
    rows: Callable[[Rows], pl.DataFrame],
    scores: pl.LazyFrame | None,
    bounds: Literal["pool", "all"],
    **options: Any,
) -> Selection:
    """Choose from a pool; `rows` gives those at some places of it."""
    nearest, r_min, r_max = pool.choose(weights, bounds=bounds, **options)
    return Selection(
        rows=_long(rows(nearest.places), pool, nearest, weights, names),
        weights=weights,
        objectives=pool.objectives(),
        pool=pool.frame(),
        r_min=pool.in_input_units(r_min),
        r_max=pool.in_input_units(r_max),
        n=pool.rows,
        scores=scores,
        names=names,
    )


def _within(
    source: Source,
    scores: Scores,
    keys: list[str],
    weights: Floats,
    names: tuple[str, ...] | None,
    *,
    nan: Literal["raise", "drop"],
    **options: Any,
) -> Selection:
    """Choose within the groups of rows that agree in the key columns."""
    frame = source.frame
    if isinstance(frame, pl.LazyFrame):
        needed = dict.fromkeys([*scores.columns, *keys])
        frame = source.collect(frame.select(map(column, needed)))
    with bad_rows_named(source, scores, nan, finite=True):
        points = scores.tradeable(frame, nan=nan)
    kept = np.arange(len(frame)) if points.kept is None else points.kept
    found = choose_in_groups(points, key_ids(frame, keys, "by")[kept], weights, **options)
    pool = Pool.of(points, kept, found.pool, found.layer, rows=len(frame))
    place = np.empty(points.n, dtype=np.int64)
    place[found.pool] = np.arange(len(found.pool))
    nearest = Nearest(place[found.rows], found.distances, found.preference, found.position)
    return Selection(
        rows=_long(
            _rows(source, pool, nearest.places, frame[pool.row]), pool, nearest, weights, names
        ),
        weights=weights,
        objectives=pool.objectives(),
        pool=pool.frame(),
        r_min=pool.in_input_units(pool.low),
        r_max=pool.in_input_units(pool.high),
        n=len(frame),
        scores=frame.lazy().select(scores.expressions),
        names=names,
        by=tuple(keys),
    )


def _rows(source: Source, pool: Pool, places: Rows, read: pl.DataFrame | None) -> pl.DataFrame:
    """The rows at some places of the pool; of its rows, `read` is known already."""
    rows = pool.row[places]
    if isinstance(source.frame, pl.DataFrame):
        return source.frame[rows]
    unique, again = np.unique(rows, return_inverse=True)
    if read is not None:
        columns = [name for name in read.columns if name in source.names]
        read = read.select(map(column, columns))[np.searchsorted(pool.row, unique)]
    return gather(source, unique, read)[again]


def _long(
    chosen: pl.DataFrame,
    pool: Pool,
    nearest: Nearest,
    weights: Floats,
    names: tuple[str, ...] | None,
) -> pl.DataFrame:
    """The chosen rows and what a selection adds."""
    preference = nearest.preference
    named = [] if names is None else [pl.Series("preference_name", names).gather(preference)]
    return chosen.with_columns(
        pl.Series("preference", preference),
        *named,
        pl.Series("weights", weights.tolist(), dtype=pl.List(pl.Float64)).gather(preference),
        pl.Series("position", nearest.position),
        pl.Series("distance", nearest.distances),
        pl.Series("layer", pool.layer[nearest.places]),
        row_numbers(pool.row[nearest.places], pool.rows),
    )
