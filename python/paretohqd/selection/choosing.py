"""The training set of each preference: rows of the best Pareto layers nearest to its ray."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

import numpy as np
import polars as pl

from paretohqd.frames.first_layers import FirstLayers
from paretohqd.frames.objectives import ObjectivesLike, column, key_columns, key_ids
from paretohqd.frames.sources import Source
from paretohqd.frames.streaming import Progress, bad_rows_named, gather
from paretohqd.kernels.points import optional_count
from paretohqd.selection.copies import copy_ids
from paretohqd.selection.groups import choose_in_groups
from paretohqd.selection.pool import Nearest, Pool, Rows
from paretohqd.selection.pooling import pool_in_memory, pool_of, pool_streamed
from paretohqd.selection.preferences import Directions, Preferences
from paretohqd.selection.request import ADDED, Request
from paretohqd.selection.result import Selection
from paretohqd.selection.rule import Duplicates

__all__ = ["ADDED", "choose", "choose_from", "select"]


def select(
    frame: object,
    objectives: ObjectivesLike | str,
    preferences: Preferences = None,
    *,
    k: int = 100,
    upto: int | None = None,
    at_least: int | None = None,
    bounds: Literal["pool", "all"] = "pool",
    scale: Literal["box", "none"] | Sequence[float] = "box",
    directions: Directions = "paper",
    distinct: str | None = None,
    duplicates: Duplicates = "keep",
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
        preferences: how many, spread evenly on the simplex from (1, 0, ..) to (.., 0, 1); or the
            weights themselves, shape (P, M), each row at least 0 and summing to 1; or weights by
            the objectives' names, {"helpful": 7, "harmless": 3}, of any sum; or {name: weights},
            either way; or a frame with a column per objective. By default 11 with two objectives,
            else the even lattice of nearly as many; see `paretohqd.selection.preferences`.
        k: rows per preference; with `by`, at most, in each group.
        upto: the pool is this many layers.
        at_least: the pool is the fewest layers that hold this many rows. By default P * k, for with
            a small pool neighbouring preferences get nearly the same rows; and if an objective has
            one value in these, as whole-number scores may have, the fewest in which none has.
        bounds: r_min and r_max over the "pool" or over "all" rows.
        scale: units of the distance: "box" divides each objective by r_max - r_min, "none" leaves
            the rewards as they are, numbers divide by those (for z-scores: the standard
            deviations). With two objectives the ranking is the same for all.
        directions: which way the ray of preference w runs from r_max. "paper": the shortfalls of
            the objectives are as 1 - w. "tchebycheff": as 1 / w, along which the weighted
            Tchebycheff utility is equal in all objectives; where weights are 0 only these fall.
            With two objectives the two are the same; with three or more the paper's rays reach
            only a part of all directions.
        distinct: a column, such as the prompt, of which each preference gets no value twice. Unless
            `upto` or `at_least` is given, the pool is then the fewest layers that hold P * k rows
            and k different values.
        duplicates: "keep", or "drop": of rows with the same prompt and answer, whatever their
            scores, only the first of the best layer can be chosen. These are the columns named as
            `Selection.to_dataset` looks for them and those beside them, such as `input` and
            `system`; where there are none, copies are equal in all columns. Numbers of rows
            (`at_least`, P * k) do not count copies then. With `by`: copies in one group.
        by: one or more columns within whose values rows are chosen, such as the prompt: each group
            has its own layers, bounds and rays, as if it were alone. Its pool is the fewest layers
            that hold k rows unless `upto` or `at_least` is given. An objective with one value in a
            group trades nothing there, and a group with fewer than k rows gives all it has. Scores
            and keys of all rows are held in memory.
        nan: "raise" refuses null and NaN scores, "drop" leaves such rows out and counts them
            (`Selection.dropped`).
        memory_limit: bytes that the pool and a batch may take together, when scores are read and
            again when the chosen rows are; batches follow it (and a default of 256 MB), a pool
            that needs more is refused. On top come the chosen rows themselves and what Polars
            reads ahead on its own: row groups of up to 16 numbers a row, and of a LazyFrame, a
            CSV, JSONL or Arrow file as much as it needs.
        progress: is told how many rows have been read, batch by batch, while they are streamed.
        n_threads: threads; RAYON_NUM_THREADS or all cores by default. The result is the same.

    Returns:
        P * k rows, preference by preference (with `by`, then group by group in the order of their
        first rows), nearest first: the input's columns and `preference` (index), `weights`,
        `position` (0..k-1), `distance` (in the scaled units), `layer`, `row` (index in the input);
        also `preference_name` if they have names. Equal distances go to the better layer, then to
        the earlier row, so that no row is taken before one that beats it at the same distance.
        Distances that differ by their rounding alone (no more than 16 M times 2.2e-16 of the box's
        largest side) are equal, and are given as one. A row may serve several preferences.

    Warns:
        SameRowsWarning: all preferences get the same rows.

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
        frame,
        objectives,
        preferences,
        k=k,
        upto=upto,
        at_least=at_least,
        bounds=bounds,
        scale=scale,
        directions=directions,
        distinct=distinct,
        duplicates=duplicates,
        by=by,
        nan=nan,
        memory_limit=memory_limit,
        progress=progress,
        n_threads=n_threads,
    ).rows


def choose(
    frame: object,
    objectives: ObjectivesLike | str,
    preferences: Preferences = None,
    *,
    k: int = 100,
    upto: int | None = None,
    at_least: int | None = None,
    bounds: Literal["pool", "all"] = "pool",
    scale: Literal["box", "none"] | Sequence[float] = "box",
    directions: Directions = "paper",
    distinct: str | None = None,
    duplicates: Duplicates = "keep",
    by: str | Sequence[str] | None = None,
    nan: Literal["raise", "drop"] = "raise",
    memory_limit: int | None = None,
    progress: Progress | None = None,
    n_threads: int | None = None,
) -> Selection:
    """As `select`, but return the pool, its layers, the bounds and the overlap with the rows."""
    memory_limit = optional_count("memory_limit", memory_limit)
    source = Source.of(frame)
    asked = Request.of(
        source.schema,
        objectives,
        preferences,
        k=k,
        bounds=bounds,
        scale=scale,
        directions=directions,
        duplicates=duplicates,
    )
    asked.scores.refuse_absent(source.absent)
    stop = asked.stop(
        source.names, upto=upto, at_least=at_least, distinct=distinct, nan=nan, n_threads=n_threads
    )
    if by is not None:
        if distinct is not None:
            raise ValueError("distinct cannot be combined with by: each group is chosen from alone")
        if memory_limit is not None:
            raise ValueError("memory_limit cannot be combined with by: all scores are held")
        return _within(
            source,
            asked,
            key_columns(source.names, by),
            nan=nan,
            upto=upto,
            at_least=at_least,
            n_threads=n_threads,
        )
    if isinstance(source.frame, pl.DataFrame):
        pool, read = pool_in_memory(source.frame, asked.scores, stop), None
    else:
        pool, read = pool_streamed(
            source, asked.scores, objectives, stop, memory_limit=memory_limit, progress=progress
        )
    return asked.selection(
        pool,
        lambda places: _rows(source, pool, places, read, memory_limit),
        scores=asked.scores.numbers(source.frame),
        n_threads=n_threads,
    )


def choose_from(
    state: FirstLayers,
    preferences: Preferences = None,
    *,
    k: int = 100,
    bounds: Literal["pool", "all"] = "pool",
    scale: Literal["box", "none"] | Sequence[float] = "box",
    directions: Directions = "paper",
    distinct: str | None = None,
    duplicates: Duplicates = "keep",
    n_threads: int | None = None,
) -> Selection:
    """Choose as `select` does, from rows that were added in parts.

    Args:
        state: The first layers of all rows so far; its layers are the pool, which does not grow.
        preferences: As for `select`, as are the further options.
        k: Rows per preference.
        bounds: r_min and r_max over the "pool" or over "all" rows that were ever added.
        scale: Units of the distance.
        directions: Which way the rays run.
        distinct: A column of which each preference gets no value twice.
        duplicates: Whether copies of a row may be chosen too.
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
    rows = state.frame.drop("row", "layer")
    asked = Request.of(
        rows.schema,
        state.objectives,
        preferences,
        k=k,
        bounds=bounds,
        scale=scale,
        directions=directions,
        duplicates=duplicates,
    )
    if not state.finite():
        raise ValueError("a score is infinite, but a preference's ray needs a finite range")
    stop = asked.stop(
        rows.columns, upto=max(1, state.needed()), at_least=None, distinct=distinct, nan=state.nan
    )
    pool, kept = pool_of(state, asked.scores, stop)
    rows = kept.drop("row", "layer")
    return asked.selection(pool, lambda places: rows[places], scores=None, n_threads=n_threads)


def _within(
    source: Source,
    asked: Request,
    keys: list[str],
    *,
    nan: Literal["raise", "drop"],
    **options: Any,
) -> Selection:
    """Choose within the groups of rows that agree in the key columns."""
    frame, scores = source.frame, asked.scores
    dropped = asked.copies if asked.duplicates == "drop" else ()
    if isinstance(frame, pl.LazyFrame):
        needed = dict.fromkeys([*scores.columns, *keys, *dropped])
        frame = source.collect(frame.select(map(column, needed)))
    with bad_rows_named(source, scores, nan, finite=True):
        points = scores.tradeable(frame, nan=nan)
    if not points.n:
        raise ValueError("there are no rows to choose from")
    kept = np.arange(len(frame)) if points.kept is None else points.kept
    found = choose_in_groups(
        points,
        key_ids(frame, keys, "by")[kept],
        asked.through,
        k=asked.k,
        bounds=asked.bounds,
        scale=asked.scale,
        copies=copy_ids(frame, dropped)[kept] if dropped else None,
        **options,
    )
    pool = Pool.of(points, kept, found.pool, found.layer, rows=len(frame), copies=found.copies)
    place = np.empty(points.n, dtype=np.int64)
    place[found.pool] = np.arange(len(found.pool))
    nearest = Nearest(place[found.rows], found.distances, found.preference, found.position)
    return asked.answer(
        pool,
        _rows(source, pool, nearest.places, frame[pool.row] if source.lazy else None),
        nearest,
        pool.low,
        pool.high,
        scores=scores.numbers(frame),
        by=tuple(keys),
    )


def _rows(
    source: Source,
    pool: Pool,
    places: Rows,
    read: pl.DataFrame | None,
    memory_limit: int | None = None,
) -> pl.DataFrame:
    """The rows at some places of the pool; where they must be read again, `read` is of its rows."""
    rows = pool.row[places]
    if read is None:
        return source.take(rows)
    unique, again = np.unique(rows, return_inverse=True)
    # A null, which the texts of copies may be, is no value to find a row by.
    columns = [c.name for c in read if c.name in source.names and not c.null_count()]
    known = read.select(map(column, columns))[np.searchsorted(pool.row, unique)]
    return gather(source, unique, known, memory_limit=memory_limit)[again]
