"""Sources of rows: frames of Polars and other libraries, files, folders and patterns of files.

All of them become Polars frames; files become a LazyFrame that is read in batches. Messages about a
file's contents name the file, which Polars' own do not always do.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

import numpy as np
import polars as pl
from numpy.typing import NDArray

from paretohqd.frames.batches import (
    MEMORY_BYTES,
    NARROW_BYTES,
    SMALL_BYTES,
    by_number,
    by_slices,
    in_batches,
    in_slices,
    row_bytes,
)
from paretohqd.frames.reading.formats import kind_of
from paretohqd.frames.reading.opening import (
    open_file,
    open_files,
    open_with_row_numbers,
    reading_error,
    row_counts,
)
from paretohqd.frames.reading.other_libraries import frame_of
from paretohqd.frames.reading.paths import local_path
from paretohqd.frames.reading.sizes import least_row_bytes, row_limit, too_large

SWELLING = 100
"""How many times larger than the files their rows may be to be read ahead."""

PathLike = str | os.PathLike  # type: ignore[type-arg]


@dataclass(frozen=True, eq=False)
class Source:
    """Rows to choose from.

    Attributes:
        frame: The rows.
        files: The files on this machine that hold them, in order.
        pattern: The files as the user gave them, for messages.
        seekable: Whether a row can be read without reading the rows before it in its file.
        folders: Columns that the names of subfolders hold.
        absent: For each column that some file lacks, a message that says so.
    """

    frame: pl.DataFrame | pl.LazyFrame
    files: tuple[str, ...] = ()
    pattern: str = "the frame"
    seekable: bool = False
    folders: tuple[str, ...] = ()
    absent: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def of(cls, data: object) -> Source:
        """Open a frame, a table of another library, or files.

        Args:
            data: A Polars DataFrame or LazyFrame; a path, a folder, a pattern such as
                "scores/*.parquet", a remote pattern ("s3://bucket/*.parquet", "hf://datasets/..."),
                or several paths; a pandas frame, a DuckDB relation, a Hugging Face Dataset, or any
                object with Arrow's C interface; a mapping of names to columns; a list of mappings,
                one for each row.

        Raises:
            ValueError: The data are none of these, or there is no such file, or its kind is
                unknown.

        Example:
            >>> Source.of({"help": [0.5], "safe": [1.0]}).names
            ['help', 'safe']
        """
        if isinstance(data, Source):
            return data
        if isinstance(data, pl.DataFrame | pl.LazyFrame):
            return cls(data)
        if isinstance(data, PathLike):
            return cls._of_files([data])
        if isinstance(data, Sequence) and data and all(isinstance(x, PathLike) for x in data):
            return cls._of_files(data)
        frame = frame_of(data)
        if frame is None:
            raise ValueError(
                f"frame: expected a Polars, pandas or Arrow frame, a DuckDB relation, a Hugging "
                f"Face Dataset, a mapping of names to columns, or a path, got {type(data).__name__}"
            )
        return cls(frame)

    @classmethod
    def _of_files(cls, paths: Sequence[PathLike]) -> Source:
        opened = open_files([os.fspath(path) for path in paths])
        return cls(
            frame=opened.frame,
            files=opened.files,
            pattern=opened.pattern,
            seekable=opened.seekable,
            folders=opened.folders,
            absent=opened.absent,
        )

    @cached_property
    def schema(self) -> pl.Schema:
        """Names and types of the columns."""
        if isinstance(self.frame, pl.DataFrame):
            return self.frame.schema
        with self.reading():
            # The schema of a copy: a scan that knows its own no longer takes in row numbers.
            return self.frame.select(pl.all()).collect_schema()

    @property
    def names(self) -> list[str]:
        """Names of the columns."""
        return self.schema.names()

    @property
    def lazy(self) -> bool:
        """Whether the rows are read in batches."""
        return isinstance(self.frame, pl.LazyFrame)

    def collect(self, query: pl.LazyFrame) -> pl.DataFrame:
        """The result of a query on this source's rows, read in streaming mode."""
        with self.reading():
            return query.collect(engine="streaming")

    def rows(self) -> int:
        """Count the rows."""
        if isinstance(self.frame, pl.DataFrame):
            return len(self.frame)
        return int(self.collect(self.frame.select(pl.len())).item())

    def batches(
        self, expressions: Iterable[pl.Expr], limit: int | None = None
    ) -> Iterator[pl.DataFrame]:
        """Read some columns in the order of the rows, in batches of a limited size.

        Args:
            expressions: The columns.
            limit: Bytes that reading may take; `batches.MEMORY_BYTES` by default. Polars reads
                ahead in a LazyFrame and in CSV, JSONL or Arrow files: that memory comes on top.
        """
        expressions = list(expressions)
        query = self.frame.lazy().select(expressions)
        with self.reading():
            if self.seekable and self._must_be_sliced(query.collect_schema()):
                files = (self._open(index) for index in range(len(self.files)))
                yield from in_slices((file.select(expressions) for file in files), limit)
            else:
                yield from in_batches(query, limit)

    def whole(self, limit: int | None = None) -> pl.DataFrame:
        """All rows in memory.

        Args:
            limit: Bytes that they may take; half of the machine's memory by default.

        Raises:
            ValueError: They take more: found out before they are all read.
        """
        if isinstance(self.frame, pl.DataFrame):
            return self.frame
        limit = limit or row_limit()
        typed = bool(self.files) and all(kind_of(file).typed for file in self.files)
        # Such files say how many rows they have.
        if typed and self.rows() * least_row_bytes(self.schema) > limit:
            raise too_large(self.pattern, limit)
        batches, size = [pl.DataFrame(schema=self.schema)], 0
        for batch in self.batches([pl.all()]):
            size += int(batch.estimated_size())
            if size > limit:
                raise too_large(self.pattern, limit)
            batches.append(batch)
        return pl.concat(batches)

    def _must_be_sliced(self, schema: pl.Schema) -> bool:
        """Whether row groups of Parquet files may take too much memory as a whole."""
        width = row_bytes(schema)
        sizes = [os.path.getsize(file) for file in self.files]
        if width is None or width > NARROW_BYTES:
            # A small file has few texts, but may have lists of any length: equal values take none.
            nested = any(dtype.is_nested() for dtype in schema.dtypes())
            return nested or any(size > SMALL_BYTES for size in sizes)
        # Row groups of ordinary files may be read ahead: but those of equal values may be huge.
        return self.rows() * width > max(MEMORY_BYTES, SWELLING * sum(sizes))

    def take(
        self, rows: NDArray[np.int64], filled: Iterable[str] = (), limit: int | None = None
    ) -> pl.DataFrame:
        """Read rows by their numbers, with all columns.

        Args:
            rows: Ascending row numbers, without duplicates.
            filled: Columns that are not null in these rows, such as their scores.
            limit: As for `batches`.
        """
        if isinstance(self.frame, pl.DataFrame):
            return self.frame[rows]
        with self.reading():
            number = max(self.names, key=len) + "_"  # Longer than all names, so it is none of them.
            numbered: pl.LazyFrame | None = None
            if not self.seekable:
                numbered = self.frame.with_row_index(number)
            elif not any(kind.is_nested() for kind in self.schema.dtypes()):
                numbered = open_with_row_numbers(self.files, self.schema, self.folders, number)
            if numbered is not None:
                return by_number(numbered, number, rows, filled)
            # A condition on rows would not keep Polars from decoding all lists, nor files whose
            # types differ.
            taken = by_slices(self._open, self._starts, rows, limit)
            return pl.concat([pl.DataFrame(schema=self.schema), *taken])

    def _open(self, index: int) -> pl.LazyFrame:
        """One of the files, with the columns of all."""
        return open_file(self.files[index], self.schema, self.folders)

    @contextmanager
    def reading(self) -> Iterator[None]:
        """Turn Polars' errors into a ValueError that names the file."""
        try:
            yield
        except (pl.exceptions.PolarsError, OSError) as error:
            raise reading_error(self.files, self.pattern, error) from error

    def locate(self, row: int) -> str:
        """Name a row in a message: "row 7", and the file and the row in it if there are several."""
        if len(self.files) < 2:
            return f"row {row}"
        index = int(np.searchsorted(self._starts, row, side="right")) - 1
        return f"row {row}: row {row - self._starts[index]} of {self.files[index]}"

    @cached_property
    def _starts(self) -> NDArray[np.int64]:
        """The number of each file's first row, and the number of all rows."""
        return np.cumsum([0, *row_counts(self.files)])


def read_frame(path: Path, *, memory_limit: int | None = None) -> pl.DataFrame:
    """Read a whole file of rows into memory: Parquet, Arrow, CSV, TSV or JSON.

    The types of columns in text files follow from all rows, not from the first hundred.

    Args:
        path: The file.
        memory_limit: Bytes that the rows may take; half of the machine's memory by default.

    Raises:
        ValueError: The ending is unknown, there is no such file, it cannot be parsed, or its rows
            take more memory than allowed: found out before they are all read.
    """
    file = local_path(path)
    kind_of(file)
    if not os.path.isfile(file):
        raise ValueError(f"{path}: {'not a file' if os.path.exists(file) else 'no such file'}")
    return Source.of(file).whole(memory_limit)
