"""Larger than memory: the first layers of a source that is read in batches, and rows by number."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import polars as pl
from numpy.typing import NDArray

from paretohqd.frames.bad_rows import bad_rows_named
from paretohqd.frames.kept_layers import KeptLayers, Layered
from paretohqd.frames.keys import missing_keys
from paretohqd.frames.objectives import ObjectiveColumns, column
from paretohqd.frames.sources import Source
from paretohqd.kernels.points import optional_count

Progress = Callable[[int], object]
"""Called with how many rows have been read, batch by batch."""


@dataclass(frozen=True, kw_only=True)
class Resources:
    """What the work may take and who hears of it; the result is the same for all.

    Attributes:
        memory_limit: Bytes that kept rows and a batch may take together.
        progress: Called with how many rows have been read, batch by batch.
        n_threads: Threads of the kernels; RAYON_NUM_THREADS or all cores by default.

    Raises:
        ValueError: A number that is none of at least 1.
    """

    memory_limit: int | None = None
    progress: Progress | None = None
    n_threads: int | None = None

    def __post_init__(self) -> None:
        """Check the numbers."""
        optional_count("memory_limit", self.memory_limit)
        optional_count("n_threads", self.n_threads)
        if self.progress is not None and not callable(self.progress):
            raise ValueError(
                f"progress: expected a function of a number of rows, got {self.progress!r}"
            )


UNLIMITED = Resources()
"""All the memory and threads there are, and no one who wants to hear of it."""


def first_layers(
    source: Source,
    scores: ObjectiveColumns,
    state: KeptLayers,
    *,
    resources: Resources = UNLIMITED,
) -> Layered:
    """The rows of the first layers of a source, with their scores: those that a state keeps.

    Raises:
        ValueError: As `read_layers`.
    """
    while not read_layers(source, scores, state, resources=resources).enough():
        state = state.again()
    return state.answer()


def read_layers(
    source: Source,
    scores: ObjectiveColumns,
    state: KeptLayers,
    *,
    filled: Sequence[str] = (),
    others: Sequence[str] = (),
    resources: Resources = UNLIMITED,
) -> KeptLayers:
    """Read all rows of a source once and keep their first layers.

    Args:
        source: The rows.
        scores: The objectives among its columns.
        state: How many layers to keep; no rows came to it yet.
        filled: Further columns to keep of the rows in these layers, without null and NaN.
        others: Others to keep, whatever they hold.
        resources: The memory that reading may take, and who hears of its progress.

    Returns:
        The state, which may not suffice if it keeps as many layers as hold some number of rows.

    Raises:
        ValueError: A score is null or NaN (file, column, count and first row are named), a file
            cannot be read, or the layers need more memory than allowed.
    """
    columns = list(dict.fromkeys([*scores.columns, *filled, *others]))
    scores.refuse_types(source.schema)
    limit = resources.memory_limit
    for batch in source.batches(map(column, columns), limit):
        if filled:
            refuse_unfilled(source, batch, filled, state.rows, scores.inside(batch))
        with bad_rows_named(source, scores, state.nan):
            state.extend(batch, scores)
        if limit is not None and state.estimated_size() > limit:
            layers = "layers" if state.limit is None else f"{state.limit} layers"
            raise ValueError(
                f"{len(state.settled().row)} rows of the first {layers} take more "
                "than the memory limit: ask for fewer layers (upto, at_least, k) or raise it"
            )
        if resources.progress is not None:
            resources.progress(state.rows)
    if not state.rows:
        types = {name: source.schema[name] for name in columns}
        state.extend(pl.DataFrame(schema=types), scores)
    return state


def refuse_unfilled(
    source: Source,
    batch: pl.DataFrame,
    filled: Sequence[str],
    start: int,
    inside: NDArray[np.int64] | None = None,
) -> None:
    """Raise a ValueError if a column that must hold a value in each row does not.

    Args:
        source: Where the batch comes from.
        batch: Some rows.
        filled: The columns.
        start: The number of the batch's first row.
        inside: The rows that count, ascending; None: all.
    """
    for name in filled:
        missing = missing_keys(batch[name])
        if inside is not None:
            counts = pl.repeat(False, len(batch), dtype=pl.Boolean, eager=True)
            missing &= counts.scatter(inside, True)
        if missing.any():
            row = start + int(missing.arg_max() or 0)
            raise ValueError(
                f"column {name!r} is null or NaN (first at {source.locate(row)}): fill or drop "
                "such rows"
            )


def gather(
    source: Source,
    rows: NDArray[np.int64],
    expected: pl.DataFrame,
    *,
    memory_limit: int | None = None,
) -> pl.DataFrame:
    """Rows of a source by number, in ascending order, with all columns.

    Args:
        source: The rows.
        rows: Ascending numbers, none twice.
        expected: Columns that these rows had when they were chosen, none of them null.
        memory_limit: Bytes that reading may take.

    Raises:
        ValueError: The source gives its rows in another order this time.
    """
    frame = source.take(rows, expected.columns, memory_limit)
    if not frame.select(map(column, expected.columns)).equals(expected):
        raise out_of_order(source)
    return frame


def out_of_order(source: Source) -> ValueError:
    """What to say of a source that gives its rows in another order when it is read again."""
    return ValueError(
        f"{source.pattern}: the rows come in another order each time they are read, so that "
        "none can be found by number: write them to a file first (sink_parquet), or keep their "
        "order (maintain_order=True)"
    )


def with_layers(
    source: Source,
    dropped: ObjectiveColumns | None,
    name: str,
    rows: NDArray[np.int64],
    layer: pl.Series,
    expected: pl.DataFrame,
) -> Iterator[pl.DataFrame]:
    """All rows of a source in batches, with their layer; -1 for those not among `rows`.

    Args:
        source: The rows.
        dropped: Scores; a row with a null or NaN one has no layer. None: there are none such.
        name: The column to add.
        rows: Ascending numbers.
        layer: Their layers.
        expected: Columns that these rows had when their layers were found.

    Raises:
        ValueError: The source gives its rows in another order this time.
    """
    start, compared = 0, [column(other) for other in expected.columns]
    for batch in source.batches([pl.all()]):
        first, last = np.searchsorted(rows, [start, start + len(batch)])
        places = rows[first:last] - start
        if not batch.select(compared)[places].equals(expected[first:last]):
            raise out_of_order(source)
        layers = pl.Series(name, np.full(len(batch), -1, dtype=np.int32))
        layers.scatter(places, layer[first:last])
        if dropped is not None:
            missing = pl.any_horizontal(pl.all().cast(pl.Float64).is_nan().fill_null(True))
            unscored = dropped.numbers(batch).select(missing.arg_true()).collect()
            layers.scatter(unscored.to_series(), None)
        yield batch.with_columns(layers)
        start += len(batch)
    if len(rows) and rows[-1] >= start:
        raise out_of_order(source)
