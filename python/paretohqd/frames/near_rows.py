"""The rows of a frame that are nearest to rays: in memory, lazy, or in files."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, overload

import numpy as np
import polars as pl
from numpy.typing import ArrayLike, NDArray

from paretohqd.frames.bad_rows import bad_rows_named
from paretohqd.frames.batches import row_numbers
from paretohqd.frames.functions import Frame
from paretohqd.frames.objectives import ObjectiveColumns, ObjectivesLike, column, refuse_taken
from paretohqd.frames.sources import Source
from paretohqd.frames.streaming import out_of_order
from paretohqd.kernels.points import count
from paretohqd.kernels.rays import nearest_to_rays


@overload
def rays(
    frame: pl.DataFrame,
    objectives: ObjectivesLike | str,
    origin: ArrayLike,
    through: ArrayLike,
    *,
    k: int,
    n_threads: int | None = None,
) -> pl.DataFrame: ...


@overload
def rays(
    frame: pl.LazyFrame,
    objectives: ObjectivesLike | str,
    origin: ArrayLike,
    through: ArrayLike,
    *,
    k: int,
    n_threads: int | None = None,
) -> pl.LazyFrame: ...


@overload
def rays(
    frame: object,
    objectives: ObjectivesLike | str,
    origin: ArrayLike,
    through: ArrayLike,
    *,
    k: int,
    n_threads: int | None = None,
) -> Frame: ...


def rays(
    frame: object,
    objectives: ObjectivesLike | str,
    origin: ArrayLike,
    through: ArrayLike,
    *,
    k: int,
    n_threads: int | None = None,
) -> Frame:
    """The k rows of a frame nearest to each ray, with all their columns.

    Args:
        frame: A frame or files, as for `paretohqd.select`.
        objectives: Column names; directions do not matter, since rays are in the columns' units.
        origin: Where the rays start, shape (M,) or (P, M).
        through: A further point of each, shape (P, M).
        k: Rows per ray.
        n_threads: Threads; RAYON_NUM_THREADS or all cores by default.

    Returns:
        The rows ray by ray, nearest first, with `ray`, `position`, `distance` and `row`.

    Raises:
        ValueError: As `paretohqd.nearest_to_rays`, or a column name that the result adds.

    Example:
        >>> import polars as pl
        >>> import paretohqd as pq
        >>> frame = pl.DataFrame({"help": [1.0, 0.5, 0.0], "safe": [0.0, 0.4, 1.0]})
        >>> near = pq.rays(frame, ["help", "safe"], [1, 1], [[0, 0], [1, 0]], k=1)
        >>> near.select("ray", "row", "help").rows()
        [(0, 1, 0.5), (1, 0, 1.0)]
    """
    source, k = Source.of(frame), count("k", k)
    scores = ObjectiveColumns.of(source.schema, objectives)
    scores.refuse_absent(source.absent)
    refuse_taken(source.names, ["ray", "position", "distance", "row"])

    def nearest() -> pl.DataFrame:
        rows, distances, values, n = _nearest(source, scores, origin, through, k, n_threads)
        added = [
            pl.Series("ray", np.repeat(np.arange(len(rows), dtype=np.int32), k)),
            pl.Series("position", np.tile(np.arange(k, dtype=np.int32), len(rows))),
            pl.Series("distance", distances.ravel()),
        ]
        return rows_with(source, scores, rows.ravel(), values.reshape(rows.size, -1), n, added)

    if isinstance(source.frame, pl.DataFrame):
        return nearest()
    added = {"ray": pl.Int32, "position": pl.Int32, "distance": pl.Float64, "row": pl.UInt32}
    return pl.defer(nearest, schema={**source.schema, **added}, validate_schema=False)


def rows_with(
    source: Source,
    scores: ObjectiveColumns,
    rows: NDArray[np.int64],
    values: NDArray[np.float64],
    n: int,
    added: Sequence[pl.Series],
) -> pl.DataFrame:
    """Rows of a source by number, in any order and as often as asked for, with further columns.

    Args:
        source: The rows.
        scores: The objectives among its columns.
        rows: The numbers.
        values: The scores that these rows had when they were chosen, shape (len(rows), M).
        n: How many rows there are.
        added: The further columns; the row numbers follow.

    Raises:
        ValueError: The source gives its rows in another order this time.
    """
    unique, again = np.unique(rows, return_inverse=True)
    taken = source.take(unique, scores.columns)
    if len(taken) == len(unique):
        taken = taken[again]
    if not np.array_equal(_values(taken, scores), values):
        raise out_of_order(source)
    return taken.with_columns(*added, row_numbers(rows, n))


def _nearest(
    source: Source,
    scores: ObjectiveColumns,
    origin: ArrayLike,
    through: ArrayLike,
    k: int,
    n_threads: int | None,
) -> tuple[NDArray[np.int64], NDArray[np.float64], NDArray[np.float64], int]:
    """The rows, their distances, their scores (P, k, M), and how many rows there are."""
    if isinstance(source.frame, pl.DataFrame):
        points = source.frame.select(scores.expressions)
        rows, distances = nearest_to_rays(points, origin, through, k=k, n_threads=n_threads)
        return rows, distances, _values(source.frame, scores)[rows], len(points)
    best: tuple[NDArray[Any], ...] | None = None
    n = 0
    for batch in source.batches(scores.expressions):
        if not len(batch):
            continue
        with bad_rows_named(source, scores, "raise", finite=True):
            rows, distances = nearest_to_rays(
                batch, origin, through, k=min(k, len(batch)), n_threads=n_threads
            )
        these: tuple[NDArray[Any], ...] = (rows + n, distances, _values(batch, scores, rows))
        if best is not None:
            these = tuple(np.concatenate(pair, axis=1) for pair in zip(best, these, strict=True))
            # Earlier rows come first, so a stable sort leaves ties to them.
            nearest = np.argsort(these[1], axis=1, kind="stable")[:, :k]
            ray = np.arange(len(nearest))[:, None]
            these = tuple(part[ray, nearest] for part in these)
        best = these
        n += len(batch)
    if best is None or best[0].shape[1] < k:
        raise ValueError(f"k = {k} is more than the {n} rows there are")
    rows, distances, values = best
    return rows, distances, values, n


def _values(
    frame: pl.DataFrame, scores: ObjectiveColumns, rows: NDArray[np.int64] | None = None
) -> NDArray[np.float64]:
    """The scores of some rows, or of all, as numbers: one more axis, of M."""
    names = [name for name in scores.names if name in frame.columns]
    whole = len(names) == len(scores.names)
    table = frame.select(map(column, names)) if whole else scores.numbers(frame).collect()
    values = table.cast(pl.Float64).to_numpy()
    return values if rows is None else values[rows]
