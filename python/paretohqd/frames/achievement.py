"""The rows of a frame that serve preferences best: in memory, lazy, or in files."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, overload

import numpy as np
import polars as pl
from numpy.typing import ArrayLike, NDArray

from paretohqd.frames.bad_rows import bad_rows_named
from paretohqd.frames.functions import Frame
from paretohqd.frames.keys import key_columns, key_ids
from paretohqd.frames.near_rows import rows_with
from paretohqd.frames.objectives import ObjectiveColumns, ObjectivesLike, column, refuse_taken
from paretohqd.frames.sources import Source
from paretohqd.kernels.achievement import Achievements, least_achievement
from paretohqd.kernels.arrays import Column
from paretohqd.kernels.points import Objectives, count

_ADDED: dict[str, Any] = {
    "preference": pl.Int32,
    "position": pl.Int32,
    "achievement": pl.Float64,
}


@overload
def achievement(
    frame: pl.DataFrame,
    objectives: ObjectivesLike | str,
    ideal: ArrayLike | None,
    directions: ArrayLike,
    *,
    k: int,
    by: str | Sequence[str] | None = None,
    n_threads: int | None = None,
) -> pl.DataFrame: ...


@overload
def achievement(
    frame: pl.LazyFrame,
    objectives: ObjectivesLike | str,
    ideal: ArrayLike | None,
    directions: ArrayLike,
    *,
    k: int,
    by: str | Sequence[str] | None = None,
    n_threads: int | None = None,
) -> pl.LazyFrame: ...


@overload
def achievement(
    frame: object,
    objectives: ObjectivesLike | str,
    ideal: ArrayLike | None,
    directions: ArrayLike,
    *,
    k: int,
    by: str | Sequence[str] | None = None,
    n_threads: int | None = None,
) -> Frame: ...


def achievement(
    frame: object,
    objectives: ObjectivesLike | str,
    ideal: ArrayLike | None,
    directions: ArrayLike,
    *,
    k: int,
    by: str | Sequence[str] | None = None,
    n_threads: int | None = None,
) -> Frame:
    """The k rows of a frame of least achievement for each preference, with all their columns.

    What is lazy is read once, once more for an ideal that is not given, and once for the rows; only
    the scores of the best so far are held. With `by` the scores and keys of all rows are.

    Args:
        frame: A frame or files, as for `paretohqd.select`.
        objectives: Column names, larger is better, or {name: "max" | "min"}.
        ideal: The ideal point, shape (M,), in the columns' units; None: the best of each column, in
            each group if there are groups.
        directions: How far each preference lets each objective fall, shape (P, M), at least 0; see
            `paretohqd.least_achievement`.
        k: Rows per preference; with `by`, per group, or all of a smaller one.
        by: One or more columns within whose values rows are found.
        n_threads: Threads; RAYON_NUM_THREADS or all cores by default.

    Returns:
        The rows preference by preference, the best first, with `preference`, `position`,
        `achievement` and `row`; with `by`, for each preference group by group, in the order of the
        groups' first rows, and positions within the group.

    Raises:
        ValueError: As `paretohqd.least_achievement`, or a column name that the result adds.

    Example:
        >>> import polars as pl
        >>> import paretohqd as pq
        >>> frame = pl.DataFrame({"help": [1.0, 0.6, 0.0], "safe": [0.0, 0.5, 1.0]})
        >>> best = pq.achievement(frame, ["help", "safe"], [1, 1], [[1, 1], [0, 1]], k=1)
        >>> best.select("preference", "row", "achievement").rows()
        [(0, 1, 0.5), (1, 0, 0.0)]
    """
    source, k = Source.of(frame), count("k", k)
    scores = ObjectiveColumns.of(source.schema, objectives)
    scores.refuse_absent(source.absent)
    keys = None if by is None else key_columns(source.names, by)
    refuse_taken(source.names, [*_ADDED, "row"])

    def least() -> pl.DataFrame:
        if keys is None:
            best, values, n = _least(source, scores, ideal, directions, k, n_threads)
            position = np.arange(k, dtype=np.int32)
        else:
            best, values, n, position = _in_groups(
                source, scores, keys, ideal, directions, k, n_threads
            )
        per_preference = best.rows.shape[1]
        numbers = np.repeat(np.arange(len(best.rows), dtype=np.int32), per_preference)
        added = [
            pl.Series("preference", numbers),
            pl.Series("position", np.tile(position, len(best.rows))),
            pl.Series("achievement", best.values.ravel()),
        ]
        return rows_with(source, scores, best.rows.ravel(), values, n, added)

    if isinstance(source.frame, pl.DataFrame):
        return least()
    schema = {**source.schema, **_ADDED, "row": pl.UInt32}
    return pl.defer(least, schema=schema, validate_schema=False)


def _least(
    source: Source,
    scores: ObjectiveColumns,
    ideal: ArrayLike | None,
    directions: ArrayLike,
    k: int,
    n_threads: int | None,
) -> tuple[Achievements, NDArray[np.float64], int]:
    """The rows and their achievements, their scores (P * k, M), and how many rows there are."""
    options: dict[str, Any] = {"maximize": scores.larger, "n_threads": n_threads}
    if isinstance(source.frame, pl.DataFrame):
        points = source.frame.select(scores.expressions)
        best = least_achievement(points, ideal, directions, k=k, **options)
        columns = Objectives.of(points).columns
        return best, _table(columns, best.rows.ravel()), len(points)
    given = _ideal(source, scores) if ideal is None else ideal
    held: _Held | None = None
    n = 0
    for batch in source.batches(scores.expressions):
        if not len(batch):
            continue
        with bad_rows_named(source, scores, "raise", finite=True):
            objectives = Objectives.of(batch).require_finite("an achievement")
            here = _Held(np.arange(n, n + len(batch)), objectives.columns)
            here = here.best(given, directions, k, options)
        held = here if held is None else held.and_these(here).best(given, directions, k, options)
        n += len(batch)
    if held is None or n < k:
        raise ValueError(f"k = {k} is more than the {n} rows there are")
    best = least_achievement(held.columns, given, directions, k=k, **options)
    places = best.rows.ravel()
    return best._replace(rows=held.rows[best.rows]), _table(held.columns, places), n


class _Held:
    """Rows that are among the best so far for some preference, ascending, and their scores."""

    def __init__(self, rows: NDArray[np.int64], columns: Sequence[Column]) -> None:
        self.rows = rows
        self.columns = list(columns)

    def best(self, ideal: ArrayLike, directions: ArrayLike, k: int, options: Any) -> _Held:
        """Those of them that are among the k best of some preference."""
        k = min(k, len(self.rows))
        found = least_achievement(self.columns, ideal, directions, k=k, **options)
        places = np.unique(found.rows)
        return _Held(self.rows[places], [each[places] for each in self.columns])

    def and_these(self, later: _Held) -> _Held:
        """These rows and later ones."""
        pairs: Any = zip(self.columns, later.columns, strict=True)
        return _Held(np.concatenate([self.rows, later.rows]), [np.concatenate(p) for p in pairs])


def _ideal(source: Source, scores: ObjectiveColumns) -> NDArray[np.float64]:
    """The best of each objective in all rows, in the columns' units."""
    best = np.full(len(scores.names), -np.inf)
    for batch in source.batches(scores.expressions):
        with bad_rows_named(source, scores, "raise", finite=True):
            objectives = Objectives.of(batch, maximize=scores.larger)
            best = np.maximum(best, objectives.require_finite("an achievement").best())
    best = np.where(np.isfinite(best), best, 0.0)  # without rows it does not matter
    return np.where(scores.larger, best, -best)


def _in_groups(
    source: Source,
    scores: ObjectiveColumns,
    keys: list[str],
    ideal: ArrayLike | None,
    directions: ArrayLike,
    k: int,
    n_threads: int | None,
) -> tuple[Achievements, NDArray[np.float64], int, NDArray[np.int32]]:
    """The same within groups, and the positions of one preference's rows."""
    needed = dict.fromkeys([*keys, *scores.columns])
    frame = source.collect(source.frame.lazy().select(map(column, needed)))
    ids = key_ids(frame, keys, "by")
    points = frame.select(scores.expressions)
    with bad_rows_named(source, scores, "raise", finite=True):
        best = least_achievement(
            points,
            ideal,
            directions,
            k=k,
            maximize=scores.larger,
            groups=ids,
            n_threads=n_threads,
        )
        columns = Objectives.of(points).columns
    group = ids[best.rows[0]] if len(best.rows) else ids[:0]
    heads = np.ones(len(group), dtype=np.bool_)
    heads[1:] = group[1:] != group[:-1]
    places = np.arange(len(group))
    position = places - np.maximum.accumulate(np.where(heads, places, 0))
    values = _table(columns, best.rows.ravel())
    return best, values, len(frame), position.astype(np.int32)


def _table(columns: Sequence[Column], rows: NDArray[np.int64]) -> NDArray[np.float64]:
    """The values of some rows, shape (len(rows), M)."""
    return np.column_stack([np.asarray(each[rows], dtype=np.float64) for each in columns])
