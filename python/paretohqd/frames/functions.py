"""Layers, fronts, volumes and rays of frames: in memory, lazy, or in files.

What is in memory gives a DataFrame. What is lazy or in files gives a LazyFrame, which is computed
when it is collected or sunk, in batches: nothing that is larger than memory needs to fit.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any, Literal

import numpy as np
import polars as pl
from numpy.typing import ArrayLike, NDArray
from polars.io.plugins import register_io_source

from paretohqd.frames.bad_rows import bad_rows_named
from paretohqd.frames.batches import compacted, row_numbers
from paretohqd.frames.kept_layers import KeptLayers
from paretohqd.frames.keys import key_columns, key_ids
from paretohqd.frames.objectives import (
    ObjectiveColumns,
    ObjectivesLike,
    column,
    refuse_taken,
    unused,
)
from paretohqd.frames.sources import Source
from paretohqd.frames.streaming import (
    Progress,
    Resources,
    first_layers,
    out_of_order,
    with_layers,
)
from paretohqd.kernels.hypervolume import hypervolume
from paretohqd.kernels.layers import pareto_layers
from paretohqd.kernels.points import count
from paretohqd.kernels.rays import nearest_to_rays

Frame = pl.DataFrame | pl.LazyFrame


def layers(
    frame: object,
    objectives: ObjectivesLike | str,
    *,
    by: str | Sequence[str] | None = None,
    name: str = "layer",
    upto: int | None = None,
    at_least: int | None = None,
    nan: Literal["raise", "drop"] = "raise",
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
        nan: "raise" refuses null and NaN scores. "drop" gives their rows no layer, null, and counts
            the others' without them.
        progress: Is told how many rows have been read, batch by batch, on the first reading.
        n_threads: Threads; RAYON_NUM_THREADS or all cores by default.

    Returns:
        The frame with an Int32 column: 0 is the front, -1 is past the stop, null is
        what has no score.

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
    scores = ObjectiveColumns.of(source.schema, objectives)
    scores.refuse_absent(source.absent)
    if not isinstance(name, str):
        raise ValueError(f"name: expected text, got {name!r}")
    keys = None if by is None else key_columns(source.names, by)
    refuse_taken(source.names, [name])
    if isinstance(source.frame, pl.DataFrame):
        found = _all_layers(source, source.frame, scores, keys, upto, at_least, nan, n_threads)
        return source.frame.with_columns(found.alias(name))
    scores.refuse_types(source.schema)
    if nan not in ("raise", "drop"):
        raise ValueError(f"nan must be 'raise' or 'drop', got {nan!r}")
    if upto is not None and at_least is not None:
        raise ValueError(f"choose one of upto ({upto}) and at_least ({at_least}); both are stops")

    def batches() -> Iterator[pl.DataFrame]:
        if keys is None and (upto is not None or at_least is not None):
            stop = KeptLayers(upto=upto, at_least=at_least, nan=nan, n_threads=n_threads)
            resources = Resources(progress=progress)
            first = first_layers(source, scores, stop, resources=resources)
            rows, layer, known = first.row, pl.Series(first.layer), first.frame
        else:
            needed = dict.fromkeys([*scores.columns, *(keys or [])])
            held = source.collect(source.frame.lazy().select(map(column, needed)))
            layer = _all_layers(source, held, scores, keys, upto, at_least, nan, n_threads)
            rows, known = np.arange(len(held)), held.select(map(column, scores.columns))
        yield from with_layers(source, scores if nan == "drop" else None, name, rows, layer, known)

    return _deferred(batches, {**source.schema, name: pl.Int32()})


def front(
    frame: object,
    objectives: ObjectivesLike | str,
    *,
    by: str | Sequence[str] | None = None,
    nan: Literal["raise", "drop"] = "raise",
    n_threads: int | None = None,
) -> Frame:
    """The rows of a frame that no row dominates, within groups of `by`; see `layers`.

    With nan="drop", rows with a null or NaN score are in no front.
    """
    source = Source.of(frame)
    name = unused(source.names, "layer")
    found = layers(source, objectives, by=by, name=name, upto=1, nan=nan, n_threads=n_threads)
    return found.filter(pl.col(name) == 0).drop(name)


def volume(
    frame: object, objectives: ObjectivesLike | str, *, ref: ArrayLike, n_threads: int | None = None
) -> float:
    """The volume that the rows dominate above a reference point, given in the columns' units.

    Raises:
        ValueError: as `layers` and `paretohqd.hypervolume`.
    """
    source = Source.of(frame)
    scores = ObjectiveColumns.of(source.schema, objectives)
    scores.refuse_absent(source.absent)
    if isinstance(source.frame, pl.DataFrame):
        points = source.frame.select(scores.expressions)
    else:
        front_alone = KeptLayers(upto=1, n_threads=n_threads)
        first = first_layers(source, scores, front_alone)
        points = first.frame.select(scores.expressions)
    return hypervolume(points, ref=ref, maximize=scores.larger, n_threads=n_threads)


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
    scores = ObjectiveColumns.of(source.schema, objectives)
    scores.refuse_absent(source.absent)
    refuse_taken(source.names, ["ray", "position", "distance", "row"])

    def found() -> pl.DataFrame:
        rows, distances, known, n = _nearest(source, scores, origin, through, k, n_threads)
        flat = rows.ravel()
        unique, again = np.unique(flat, return_inverse=True)
        near = source.take(unique, scores.columns)
        if len(near) == len(unique):
            near = near[again]
        if not np.array_equal(_values(near, scores), known.reshape(len(flat), -1)):
            raise out_of_order(source)
        return near.with_columns(
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
    found: tuple[NDArray[Any], ...] | None = None
    n = 0
    for batch in source.batches(scores.expressions):
        if not len(batch):
            continue
        with bad_rows_named(source, scores, "raise", finite=True):
            rows, distances = nearest_to_rays(
                batch, origin, through, k=min(k, len(batch)), n_threads=n_threads
            )
        these: tuple[NDArray[Any], ...] = (rows + n, distances, _values(batch, scores, rows))
        if found is not None:
            these = tuple(np.concatenate(pair, axis=1) for pair in zip(found, these, strict=True))
            # Earlier rows come first, so a stable sort leaves ties to them.
            nearest = np.argsort(these[1], axis=1, kind="stable")[:, :k]
            ray = np.arange(len(nearest))[:, None]
            these = tuple(part[ray, nearest] for part in these)
        found = these
        n += len(batch)
    if found is None or found[0].shape[1] < k:
        raise ValueError(f"k = {k} is more than the {n} rows there are")
    rows, distances, values = found
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


def _all_layers(
    source: Source,
    held: pl.DataFrame,
    scores: ObjectiveColumns,
    keys: list[str] | None,
    upto: int | None,
    at_least: int | None,
    nan: Literal["raise", "drop"],
    n_threads: int | None,
) -> pl.Series:
    """The layers of rows whose scores and keys are in memory; null for those without scores."""
    groups = None if keys is None else key_ids(held, keys, "by")
    with bad_rows_named(source, scores, nan):
        points = scores.points(held, nan=nan)
    kept = points.kept
    found = pareto_layers(
        points.columns,
        upto=upto,
        at_least=at_least,
        groups=groups if groups is None or kept is None else groups[kept],
        n_threads=n_threads,
    )
    if kept is None:
        return pl.Series(found)
    layer = pl.Series([None], dtype=pl.Int32).new_from_index(0, len(held))
    return layer.scatter(kept, found)


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
                batch = compacted(batch.filter(predicate))
            yield batch if columns is None else batch.select(map(column, columns))
            if rows == 0:
                return

    options: dict[str, Any] = {"schema": schema, "is_pure": True}
    return register_io_source(read, **options)
