"""Rows of lazy frames: in batches of so many bytes, and by number.

Polars reads ahead: of a Parquet file whole row groups of all columns that are asked for, however
few rows are taken at a time. A slice reads its own pages alone, and a condition on a column of the
file has the other columns decoded for the rows that pass; both are used here where it matters.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Iterable, Iterator, Mapping

import numpy as np
import polars as pl
from numpy.typing import NDArray
from polars import selectors

MEMORY = 256_000_000
"""Bytes that reading may take where no limit is given."""

BATCH = 1_000_000
"""Rows of a batch, at most."""

CHUNK = 1 << 10
"""Rows that are taken at a time where their size is not known: 256 cost a half more."""

FEW = 64
"""Rows of the first slice of a file, which tells how large they are."""

NARROW = 128
"""Bytes of rows that may be read ahead: 34 MB are a row group of 262,144."""

SMALL = 1 << 18
"""Bytes of files that may be read ahead whatever is in them: a slice of each would take longer."""

GAP = 10_000
"""So many rows are read in the time of finding the next one by a slice of its own."""


def share(limit: int | None) -> int:
    """Bytes of a batch: with its copy and what is read ahead it stays within the limit."""
    return max(1, (limit or MEMORY) // 8)


def row_bytes(schema: Mapping[str, pl.DataType]) -> int | None:
    """Bytes of a row, or None where rows differ in size.

    Example:
        >>> row_bytes({"a": pl.Float64(), "b": pl.Float32()})
        12
        >>> row_bytes({"a": pl.Float64(), "text": pl.String()}) is None
        True
    """
    if any(map(_varies, schema.values())):
        return None
    # Called by numbers: Polars takes a name like "^x.*$" for a pattern here.
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
    """All rows of a query in order, in batches; Polars reads ahead what it wants."""
    most, width = share(limit), row_bytes(query.collect_schema())
    if width is not None:
        rows = max(1, min(BATCH, most // width))
        yield from query.collect_batches(chunk_size=rows, maintain_order=True)
        return
    held: list[pl.DataFrame] = []
    rows = size = 0
    for chunk in query.collect_batches(chunk_size=min(CHUNK, BATCH), maintain_order=True):
        more = int(chunk.estimated_size())
        if held and (rows + len(chunk) > BATCH or size + more > most):
            yield pl.concat(held, rechunk=False)
            held, rows, size = [], 0, 0
        held.append(chunk)
        rows, size = rows + len(chunk), size + more
    if held:
        yield pl.concat(held, rechunk=False)


def in_slices(files: Iterable[pl.LazyFrame], limit: int | None) -> Iterator[pl.DataFrame]:
    """All rows of files whose slices read no more than their own rows, in order."""
    rows = FEW
    for file in files:
        start = 0
        while True:
            batch = file.slice(start, min(rows, BATCH)).collect(engine="streaming")
            start += len(batch)
            whole = len(batch) < min(rows, BATCH)
            if len(batch) or not start:
                yield batch
            if whole:
                break
            rows = _next_rows(rows, batch, limit)


def _next_rows(rows: int, batch: pl.DataFrame, limit: int | None) -> int:
    """How many rows to read next, by the size of these: four times as many at most."""
    each = int(batch.estimated_size()) // max(len(batch), 1) + 1
    return max(1, min(4 * rows, share(limit) // each))


def by_number(
    numbered: pl.LazyFrame, number: str, rows: NDArray[np.int64], filled: Iterable[str]
) -> pl.DataFrame:
    """Rows of a frame in ascending order, by the column that numbers them.

    Args:
        numbered: The frame.
        number: The column of numbers; the result is without it.
        rows: Numbers, none twice.
        filled: Columns that are not null in these rows. A condition on numbers alone would have
            all columns of all rows decoded, one on columns of the file has not.
    """
    schema = numbered.collect_schema()
    wanted = pl.col(number).is_in(pl.Series(rows, dtype=schema[number]).implode())
    for name in filled:
        if not _varies(schema[name]):
            wanted = wanted & selectors.by_name(name).as_expr().is_not_null()
    found = numbered.filter(wanted).map_batches(compacted, streamable=True)
    return found.collect(engine="streaming").sort(number).drop(number)


def by_slices(
    opened: Callable[[int], pl.LazyFrame],
    starts: NDArray[np.int64],
    rows: NDArray[np.int64],
    limit: int | None,
) -> Iterator[pl.DataFrame]:
    """Rows of files by number, ascending: those that stand close together in one slice.

    Args:
        opened: Gives the file of a number; they are as for `in_slices`.
        starts: The number of each file's first row, and the number of all rows.
        rows: Ascending numbers, none twice.
        limit: Bytes that reading may take.
    """
    done, most, last = 0, FEW, -1
    while done < len(rows):
        first = rows[done]
        file = int(np.searchsorted(starts, first, side="right")) - 1
        if file != last:
            rows_of_file, last = opened(file), file
        reach = min(starts[file + 1], first + min(most, BATCH))
        near = rows[done : np.searchsorted(rows, reach)]
        far = np.flatnonzero(np.diff(near) > GAP)
        near = near[: far[0] + 1] if len(far) else near
        read = rows_of_file.slice(int(first - starts[file]), int(near[-1] - first) + 1)
        batch = read.collect(engine="streaming")
        # A file that has become shorter gives fewer: who asked finds some missing.
        yield compacted(batch[near[near < first + len(batch)] - first])
        done, most = done + len(near), _next_rows(most, batch, limit)


def compacted(frame: pl.DataFrame) -> pl.DataFrame:
    """The same rows in memory of their own: taken rows share, and so keep, the texts they are from.

    Example:
        >>> compacted(pl.DataFrame({"text": ["a", None]}))["text"].to_list()
        ['a', None]
    """
    kinds = frame.dtypes
    if not len(frame) or not any(map(_varies, kinds)) or any("Object" in str(k) for k in kinds):
        return frame
    held = io.BytesIO()
    # The older level writes the texts and lists that are there; the newer one all that is shared.
    frame.write_ipc(held, compat_level=pl.CompatLevel.oldest())
    held.seek(0)
    return pl.read_ipc(held)


def row_numbers(rows: NDArray[np.int64], n: int) -> pl.Series:
    """Row numbers below n in Polars' own type for them, if it holds them."""
    return pl.Series("row", rows, dtype=pl.UInt32 if n < 2**32 else pl.UInt64)
