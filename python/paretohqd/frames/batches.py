"""Rows of lazy frames: in batches of a limited size in bytes, and by number.

Polars reads ahead: from a Parquet file it reads whole row groups of all selected columns, however
few rows are taken at a time. A slice reads its own pages only, and under a condition on one column
of the file the other columns are decoded only for the rows that pass. Both save memory here.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Iterable, Iterator, Mapping

import numpy as np
import polars as pl
from numpy.typing import NDArray
from polars import selectors

MEMORY_BYTES = 256_000_000
"""Bytes that reading may take if no limit is given."""

MAX_ROWS = 1_000_000
"""The most rows of a batch."""

CHUNK_ROWS = 1 << 10
"""Rows to take at a time while their size is unknown: with 256 reading took half as long again."""

FIRST_ROWS = 64
"""Rows of a file's first slice, which shows how large its rows are."""

NARROW_BYTES = 128
"""The widest rows, in bytes, that may be read ahead: a row group of 262,144 then has 34 MB."""

SMALL_BYTES = 1 << 18
"""The largest file, in bytes, that may be read ahead whatever it holds: slices would be slower."""

GAP_ROWS = 10_000
"""Rows between two wanted ones from which on a slice of its own for the second is faster."""


def share(limit: int | None) -> int:
    """Bytes of a batch, such that its copy and the rows read ahead stay within the limit too."""
    return max(1, (limit or MEMORY_BYTES) // 8)


def row_bytes(schema: Mapping[str, pl.DataType]) -> int | None:
    """Bytes of a row, or None if rows differ in size.

    Example:
        >>> row_bytes({"a": pl.Float64(), "b": pl.Float32()})
        12
        >>> row_bytes({"a": pl.Float64(), "text": pl.String()}) is None
        True
    """
    if any(map(_varies, schema.values())):
        return None
    # Numbers as names: Polars takes a name like "^x.*$" for a pattern here.
    empty = pl.DataFrame(schema={str(i): dtype for i, dtype in enumerate(schema.values())})
    return max(1, int(empty.clear(1024).estimated_size()) // 1024)


def _varies(dtype: pl.DataType) -> bool:
    """Whether values of this type differ in size."""
    if isinstance(dtype, pl.Struct):
        return any(_varies(field.dtype) for field in dtype.fields)  # type: ignore[arg-type]
    if isinstance(dtype, pl.Array):
        return _varies(dtype.inner)  # type: ignore[arg-type]
    return isinstance(dtype, pl.List) or dtype in (pl.String, pl.Binary, pl.Object)


def in_batches(query: pl.LazyFrame, limit: int | None) -> Iterator[pl.DataFrame]:
    """All rows of a query in order, in batches; Polars reads ahead as it likes."""
    max_bytes, width = share(limit), row_bytes(query.collect_schema())
    if width is not None:
        rows = max(1, min(MAX_ROWS, max_bytes // width))
        yield from query.collect_batches(chunk_size=rows, maintain_order=True)
        return
    held: list[pl.DataFrame] = []
    rows = size = 0
    for chunk in query.collect_batches(chunk_size=min(CHUNK_ROWS, MAX_ROWS), maintain_order=True):
        more = int(chunk.estimated_size())
        if held and (rows + len(chunk) > MAX_ROWS or size + more > max_bytes):
            yield pl.concat(held, rechunk=False)
            held, rows, size = [], 0, 0
        held.append(chunk)
        rows, size = rows + len(chunk), size + more
    if held:
        yield pl.concat(held, rechunk=False)


def in_slices(files: Iterable[pl.LazyFrame], limit: int | None) -> Iterator[pl.DataFrame]:
    """All rows of files in order, slice by slice, for formats that read a slice's rows only."""
    rows = FIRST_ROWS
    for file in files:
        start = 0
        while True:
            batch = file.slice(start, min(rows, MAX_ROWS)).collect(engine="streaming")
            start += len(batch)
            at_end = len(batch) < min(rows, MAX_ROWS)
            if len(batch) or not start:
                yield batch
            if at_end:
                break
            rows = _next_rows(rows, batch, limit)


def _next_rows(rows: int, batch: pl.DataFrame, limit: int | None) -> int:
    """How many rows to read next, given the size of these; at most four times as many."""
    each = int(batch.estimated_size()) // max(len(batch), 1) + 1
    return max(1, min(4 * rows, share(limit) // each))


def by_number(
    numbered: pl.LazyFrame, number: str, rows: NDArray[np.int64], filled: Iterable[str]
) -> pl.DataFrame:
    """Rows of a frame in ascending order, by the column that numbers them.

    Args:
        numbered: The frame.
        number: The column of row numbers, which is dropped from the result.
        rows: The row numbers, without duplicates.
        filled: Columns that are not null in these rows. Under a condition on row numbers only,
            Polars would decode all columns of all rows; a condition on a column of the file
            prevents that.
    """
    schema = numbered.collect_schema()
    wanted = pl.col(number).is_in(pl.Series(rows, dtype=schema[number]).implode())
    for name in filled:
        if not _varies(schema[name]):
            wanted = wanted & selectors.by_name(name).as_expr().is_not_null()
    taken = numbered.filter(wanted).map_batches(compacted, streamable=True)
    return taken.collect(engine="streaming").sort(number).drop(number)


def by_slices(
    open_file: Callable[[int], pl.LazyFrame],
    starts: NDArray[np.int64],
    rows: NDArray[np.int64],
    limit: int | None,
) -> Iterator[pl.DataFrame]:
    """Rows of several files by their numbers, ascending; rows close together share a slice.

    Args:
        open_file: Opens the file with an index; its format is one for `in_slices`.
        starts: The number of each file's first row, then the number of all rows.
        rows: Ascending row numbers, without duplicates.
        limit: Bytes that reading may take.
    """
    done, max_rows, opened = 0, FIRST_ROWS, -1
    while done < len(rows):
        first = rows[done]
        index = int(np.searchsorted(starts, first, side="right")) - 1
        if index != opened:
            file, opened = open_file(index), index
        end = min(starts[index + 1], first + min(max_rows, MAX_ROWS))
        near = rows[done : np.searchsorted(rows, end)]
        gaps = np.flatnonzero(np.diff(near) > GAP_ROWS)
        near = near[: gaps[0] + 1] if len(gaps) else near
        rows_read = file.slice(int(first - starts[index]), int(near[-1] - first) + 1)
        batch = rows_read.collect(engine="streaming")
        # A file that has become shorter yields fewer rows: the caller notices.
        yield compacted(batch[near[near < first + len(batch)] - first])
        done, max_rows = done + len(near), _next_rows(max_rows, batch, limit)


def compacted(frame: pl.DataFrame) -> pl.DataFrame:
    """The same rows in memory of their own, as rows taken from a frame keep all its texts alive.

    Example:
        >>> compacted(pl.DataFrame({"text": ["a", None]}))["text"].to_list()
        ['a', None]
    """
    types = frame.dtypes
    if not len(frame) or not any(map(_varies, types)) or any("Object" in str(t) for t in types):
        return frame
    buffer = io.BytesIO()
    # The oldest level writes the texts of these rows only; the newest one the whole shared buffer.
    frame.write_ipc(buffer, compat_level=pl.CompatLevel.oldest())
    buffer.seek(0)
    return pl.read_ipc(buffer)


def row_numbers(rows: NDArray[np.int64], n: int) -> pl.Series:
    """Row numbers below n as a Series, in Polars' own type for row numbers if it holds them."""
    return pl.Series("row", rows, dtype=pl.UInt32 if n < 2**32 else pl.UInt64)
