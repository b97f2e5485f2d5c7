"""Layers, fronts, volumes and rays of frames: in memory, lazy, or in files.

What is in memory gives a DataFrame. What is lazy or in files gives a LazyFrame, which is computed
when it is collected or sunk, in batches: nothing that is larger than memory needs to fit.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import ArrayLike, NDArray
from polars.io.plugins import register_io_source

from paretohqd.columns import Named, Scores, column, key_columns, key_ids, refuse_taken, unused
from paretohqd.hypervolume import hypervolume
from paretohqd.layers import pareto_layers
from paretohqd.objectives import count
from paretohqd.pool import row_numbers
from paretohqd.rays import nearest_to_rays
from paretohqd.sources import Source
from paretohqd.streaming import Progress, bad_rows_named, first_layers, gather, with_layers

Frame = pl.DataFrame | pl.LazyFrame


def layers(
    frame: object,
    objectives: Named | str,
    *,
    by: str | Sequence[str] | None = None,
    name: str = "layer",
    upto: int | None = None,
    at_least: int | None = None,
    progress: Progress | None = None,
    n_threads: int | None = None,
) -> Frame:
    """A frame with each row's Pareto layer.

    With a stop and without `by`, what is lazy is read twice and only the score columns of the
    first layers' rows are held; otherwise the scores and keys of all rows are.

    Args:
        frame: A frame or files, as for `paretohqd.select`.
        objectives: Column names, larger is better, or {name: "max" | "min"}.
        by: One or more columns within whose values layers are counted.
        name: The column to add.
        upto: Stop after this many layers; within groups, of each.
        at_least: Stop after the first layer with which this many rows are covered.
        progress: Is told how many rows have been read, batch by batch, on the first reading.
        n_threads: Threads; RAYON_NUM_THREADS or all cores by default.

    Returns:
        The frame with an Int32 column: 0 is the front, -1 is past the stop.

    Raises:
        ValueError: a missing or non-numeric column, null or NaN, or a name that is taken.

    Example:
        >>> import polars as pl
        >>> import paretohqd as pq
        >>> frame = pl.LazyFrame({"help": [1.0, 0.75, 0.25], "safe": [0.0, 0.5, 0.25]})
        >>> pq.layers(frame, ["help", "safe"]).collect()["layer"].to_list()
        [0, 0, 1]
    """
    source = Source.of(frame)
    scores = Scores.of(source.schema, objectives)
    keys = None if by is None else key_columns(source.names, by)
    refuse_taken(source.names, [name])
    if isinstance(source.frame, pl.DataFrame):
        found = _all_layers(source, source.frame, scores, keys, upto, at_least, n_threads)
        return source.frame.with_columns(pl.Series(name, found))
    scores.refuse_types(source.schema)
    if upto is not None and at_least is not None:
        raise ValueError(f"choose one of upto ({upto}) and at_least ({at_least}); both are stops")

    def batches() -> Iterator[pl.DataFrame]:
        if keys is None and (upto is not None or at_least is not None):
            state = first_layers(
                source, scores, objectives, upto=upto, at_least=at_least, progress=progress,
                n_threads=n_threads,
            )  # fmt: skip
            first = state.frame
            rows, layer = first["row"].to_numpy(), first["layer"].to_numpy()
        else:
            needed = dict.fromkeys([*scores.columns, *(keys or [])])
            held = source.collect(source.frame.lazy().select(map(column, needed)))
            layer = _all_layers(source, held, scores, keys, upto, at_least, n_threads)
            rows = np.arange(len(held))
        yield from with_layers(source, name, rows, layer)

    return _deferred(batches, {**source.schema, name: pl.Int32()})


def front(
    frame: object,
    objectives: Named | str,
    *,
    by: str | Sequence[str] | None = None,
    n_threads: int | None = None,
) -> Frame:
    """The rows of a frame that no row dominates, within groups of `by`; see `layers`."""
    source = Source.of(frame)
    name = unused(source.names, "layer")
    found = layers(source, objectives, by=by, name=name, upto=1, n_threads=n_threads)
    return found.filter(pl.col(name) == 0).drop(name)


def volume(
    frame: object, objectives: Named | str, *, ref: ArrayLike, n_threads: int | None = None
) -> float:
    """The volume that the rows dominate above a reference point, given in the columns' units.

    Raises:
        ValueError: as `layers` and `paretohqd.hypervolume`.
    """
    source = Source.of(frame)
    scores = Scores.of(source.schema, objectives)
    if isinstance(source.frame, pl.DataFrame):
        points = source.frame.select(scores.expressions)
    else:
        state = first_layers(source, scores, objectives, upto=1, n_threads=n_threads)
        points = state.frame.select(scores.expressions)
    return hypervolume(points, ref=ref, maximize=scores.larger, n_threads=n_threads)


def rays(
    frame: object,
    objectives: Named | str,
    origin: ArrayLike,
    through: ArrayLike,
    *,
    k: int,
    n_threads: int | None = None,
) -> Frame:
    """The k rows of a frame nearest to each ray, with all their columns.

    Args:
        frame: A frame or files, as for `paretohqd.select`.
        objectives: Column names; directions do not matter, for rays are in the columns' units.
        origin: Where the rays start, shape (M,) or (P, M).
        through: A further point of each, shape (P, M).
        k: Rows per ray.
        n_threads: Threads; RAYON_NUM_THREADS or all cores by default.

    Returns:
        The rows ray by ray, nearest first, with `ray`, `position`, `distance` and `row`.

    Raises:
        ValueError: as `paretohqd.nearest_to_rays`, or a column name that the result adds.
    """
    source, k = Source.of(frame), count("k", k)
    scores = Scores.of(source.schema, objectives)
    refuse_taken(source.names, ["ray", "position", "distance", "row"])

    def found() -> pl.DataFrame:
        rows, distances, n = _nearest(source, scores, origin, through, k, n_threads)
        flat = rows.ravel()
        unique, again = np.unique(flat, return_inverse=True)
        return gather(source, unique)[again].with_columns(
            pl.Series("ray", np.repeat(np.arange(len(rows), dtype=np.int32), k)),
            pl.Series("position", np.tile(np.arange(k, dtype=np.int32), len(rows))),
            pl.Series("distance", distances.ravel()),
            row_numbers(flat, n),
        )

    if isinstance(source.frame, pl.DataFrame):
        return found()
    added = {"ray": pl.Int32, "position": pl.Int32, "distance": pl.Float64, "row": pl.UInt32}
    return pl.defer(found, schema={**source.schema, **added}, validate_schema=False)


def _nearest(
    source: Source,
    scores: Scores,
    origin: ArrayLike,
    through: ArrayLike,
    k: int,
    n_threads: int | None,
) -> tuple[NDArray[np.int64], NDArray[np.float64], int]:
    """The rows, their distances, and how many rows there are."""
    if isinstance(source.frame, pl.DataFrame):
        points = source.frame.select(scores.expressions)
        rows, distances = nearest_to_rays(points, origin, through, k=k, n_threads=n_threads)
        return rows, distances, len(points)
    found: tuple[NDArray[np.int64], NDArray[np.float64]] | None = None
    n = 0
    for batch in source.batches(scores.expressions):
        if not len(batch):
            continue
        with bad_rows_named(source, scores, "raise", finite=True):
            rows, distances = nearest_to_rays(
                batch, origin, through, k=min(k, len(batch)), n_threads=n_threads
            )
        rows += n
        if found is not None:
            rows = np.concatenate([found[0], rows], axis=1)
            distances = np.concatenate([found[1], distances], axis=1)
            # Earlier rows come first, so a stable sort leaves ties to them.
            nearest = np.argsort(distances, axis=1, kind="stable")[:, :k]
            rows = np.take_along_axis(rows, nearest, 1)
            distances = np.take_along_axis(distances, nearest, 1)
        found = rows, distances
        n += len(batch)
    if found is None or found[0].shape[1] < k:
        raise ValueError(f"k = {k} is more than the {n} rows there are")
    return *found, n


def _all_layers(
    source: Source,
    held: pl.DataFrame,
    scores: Scores,
    keys: list[str] | None,
    upto: int | None,
    at_least: int | None,
    n_threads: int | None,
) -> NDArray[np.int32]:
    """The layers of rows whose scores and keys are in memory."""
    groups = None if keys is None else key_ids(held, keys, "by")
    with bad_rows_named(source, scores, "raise"):
        return pareto_layers(
            held.select(scores.expressions), maximize=scores.larger, upto=upto, at_least=at_least,
            groups=groups, n_threads=n_threads,
        )  # fmt: skip


def _deferred(
    batches: Callable[[], Iterator[pl.DataFrame]], schema: dict[str, pl.DataType]
) -> pl.LazyFrame:
    """A LazyFrame whose rows are computed, batch by batch, when they are asked for."""

    def read(
        columns: list[str] | None, predicate: pl.Expr | None, rows: int | None, size: int | None
    ) -> Iterator[pl.DataFrame]:
        for batch in batches():
            batch = batch if rows is None else batch.head(rows)
            rows = None if rows is None else rows - len(batch)
            if predicate is not None:
                # A filter would keep the memory of texts that are gone.
                batch = batch[batch.select(predicate).to_series().arg_true()]
            yield batch if columns is None else batch.select(map(column, columns))
            if rows == 0:
                return

    options: dict[str, Any] = {"schema": schema, "is_pure": True}
    return register_io_source(read, **options)
