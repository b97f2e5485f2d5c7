"""Layers and fronts of frames: in memory, lazy, or in files.

What is in memory gives a DataFrame. What is lazy or in files gives a LazyFrame, which is computed
when it is collected or sunk, in batches: nothing that is larger than memory needs to fit.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Any, Literal, TypedDict, Unpack, overload

import numpy as np
import polars as pl
from numpy.typing import NDArray
from polars.io.plugins import register_io_source

from paretohqd.frames.bad_rows import bad_rows_named
from paretohqd.frames.batches import compacted
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
    with_layers,
)
from paretohqd.kernels.layers import pareto_layers
from paretohqd.kernels.points import Objectives

Frame = pl.DataFrame | pl.LazyFrame


class FrontOptions(TypedDict, total=False):
    """The options of `front`."""

    by: str | Sequence[str] | None
    nan: Literal["raise", "drop"]
    n_threads: int | None


class LayerOptions(FrontOptions, total=False):
    """The options of `layers`."""

    name: str
    upto: int | None
    at_least: int | None
    progress: Progress | None


@overload
def layers(
    frame: pl.DataFrame, objectives: ObjectivesLike | str, **options: Unpack[LayerOptions]
) -> pl.DataFrame: ...


@overload
def layers(
    frame: pl.LazyFrame, objectives: ObjectivesLike | str, **options: Unpack[LayerOptions]
) -> pl.LazyFrame: ...


@overload
def layers(
    frame: object, objectives: ObjectivesLike | str, **options: Unpack[LayerOptions]
) -> Frame: ...


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
        progress: Called with the number of rows read so far, batch by batch, on the first reading.
        n_threads: Threads; RAYON_NUM_THREADS or all cores by default.

    Returns:
        The frame with an Int32 column: 0 is the front, -1 is past the stop, null is what has no
        score. A DataFrame of what is in memory, a LazyFrame of what is lazy or in files.

    Raises:
        ValueError: A missing or non-numeric column, null or NaN, or a name that is taken.

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
        layer = _all_layers(source, source.frame, scores, keys, upto, at_least, nan, n_threads)
        return source.frame.hstack([layer.alias(name)])
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


@overload
def front(
    frame: pl.DataFrame, objectives: ObjectivesLike | str, **options: Unpack[FrontOptions]
) -> pl.DataFrame: ...


@overload
def front(
    frame: pl.LazyFrame, objectives: ObjectivesLike | str, **options: Unpack[FrontOptions]
) -> pl.LazyFrame: ...


@overload
def front(
    frame: object, objectives: ObjectivesLike | str, **options: Unpack[FrontOptions]
) -> Frame: ...


def front(
    frame: object,
    objectives: ObjectivesLike | str,
    *,
    by: str | Sequence[str] | None = None,
    nan: Literal["raise", "drop"] = "raise",
    n_threads: int | None = None,
) -> Frame:
    """The rows of a frame that no row dominates.

    Args:
        frame: A frame or files, as for `paretohqd.select`.
        objectives: Column names, larger is better, or {name: "max" | "min"}.
        by: One or more columns within whose values rows are compared.
        nan: "raise" refuses null and NaN scores; with "drop" their rows are in no front.
        n_threads: Threads; RAYON_NUM_THREADS or all cores by default.

    Returns:
        The rows in their order, with the frame's columns: a DataFrame of what is in memory, a
        LazyFrame of what is lazy or in files. `paretohqd.pareto_front` gives a mask for arrays.

    Raises:
        ValueError: As `layers`.

    Example:
        >>> import polars as pl
        >>> import paretohqd as pq
        >>> frame = pl.DataFrame({"help": [1.0, 0.75, 0.25], "safe": [0.0, 0.5, 0.25]})
        >>> pq.front(frame, ["help", "safe"]).rows()
        [(1.0, 0.0), (0.75, 0.5)]
    """
    source = Source.of(frame)
    if isinstance(source.frame, pl.DataFrame):
        scores = ObjectiveColumns.of(source.schema, objectives)
        keys = None if by is None else key_columns(source.names, by)
        layer = _all_layers(source, source.frame, scores, keys, 1, None, nan, n_threads)
        return source.frame.filter(layer == 0)
    name = unused(source.names, "layer")
    numbered = layers(source, objectives, by=by, name=name, upto=1, nan=nan, n_threads=n_threads)
    return numbered.filter(pl.col(name) == 0).drop(name)


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
    kernel = partial(pareto_layers, upto=upto, at_least=at_least, n_threads=n_threads)
    with bad_rows_named(source, scores, nan):
        return computed(kernel, scores.taken(held), scores.larger, groups, nan, n_threads)


def computed(
    kernel: Callable[..., NDArray[Any]],
    taken: pl.DataFrame | dict[str, pl.Series],
    larger: list[bool],
    groups: NDArray[np.uint32] | None,
    nan: Literal["raise", "drop"],
    n_threads: int | None,
) -> pl.Series:
    """What a kernel finds for rows that are in memory; null for those without scores.

    Args:
        kernel: A function of points, `maximize` and `by` that gives a value for each row.
        taken: The objectives by name, as `ObjectiveColumns.taken` gives them.
        larger: Whether larger is better in each.
        groups: A key per row.
        nan: "raise" refuses null and NaN; "drop" computes the others without their rows.
        n_threads: Threads that look for these.

    Raises:
        ValueError: Null or NaN that is not dropped, or what the kernel refuses.
    """
    if nan == "raise":
        return pl.Series(kernel(taken, maximize=larger, by=groups))
    points = Objectives.of(taken, maximize=larger, nan=nan, n_threads=n_threads)
    kept = points.kept
    if groups is not None and kept is not None:
        groups = groups[kept]
    found = pl.Series(kernel(points, by=groups))
    if kept is None:
        return found
    rows = len(next(iter(taken.values()))) if isinstance(taken, dict) else len(taken)
    return pl.Series([None], dtype=found.dtype).new_from_index(0, rows).scatter(kept, found)


def _deferred(
    batches: Callable[[], Iterator[pl.DataFrame]], schema: dict[str, pl.DataType]
) -> pl.LazyFrame:
    """A LazyFrame whose rows are computed, batch by batch, when they are needed."""

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
