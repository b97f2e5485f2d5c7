"""What holds the answers: frames of this and other libraries, files, folders and patterns.

Everything becomes a Polars frame, files and what is lazy a LazyFrame that is read in batches. A
message about a file's contents names the file; Polars does not always.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
import polars as pl
from numpy.typing import NDArray

from paretohqd.frames.batches import (
    NARROW,
    SMALL,
    by_number,
    by_slices,
    in_batches,
    in_slices,
    row_bytes,
)
from paretohqd.frames.reading.opening import (
    open_file,
    open_files,
    open_with_row_numbers,
    reading_error,
    row_counts,
)
from paretohqd.frames.reading.other_libraries import frame_of

Path = str | os.PathLike  # type: ignore[type-arg]


@dataclass(frozen=True, eq=False)
class Source:
    """Rows to choose from.

    Attributes:
        frame: The rows.
        files: The files that hold them, in order, where they are known: on this machine.
        pattern: What was asked for, for messages.
        seekable: Whether a row is found in its file without reading the rows before it.
        folders: Columns that the names of subfolders stand for.
        absent: Columns that some of the files do not have, and what to say of that.
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
                "scores/*.parquet", a remote one ("s3://bucket/*.parquet", "hf://datasets/..."), or
                several of these; a pandas frame, a DuckDB relation, a Hugging Face Dataset, or
                anything that speaks Arrow's C interface; a mapping of names to columns; a list of
                mappings, one for each row.

        Raises:
            ValueError: None of these, no such file, or a file of an unknown kind.

        Example:
            >>> Source.of({"help": [0.5], "safe": [1.0]}).names
            ['help', 'safe']
        """
        if isinstance(data, Source):
            return data
        if isinstance(data, pl.DataFrame | pl.LazyFrame):
            return cls(data)
        if isinstance(data, Path):
            return cls._of_files([data])
        if isinstance(data, Sequence) and data and all(isinstance(each, Path) for each in data):
            return cls._of_files(data)
        frame = frame_of(data)
        if frame is None:
            raise ValueError(
                f"frame: expected a Polars, pandas or Arrow frame, a DuckDB relation, a Hugging "
                f"Face Dataset, a mapping of names to columns, or a path, got {type(data).__name__}"
            )
        return cls(frame)

    @classmethod
    def _of_files(cls, given: Sequence[Path]) -> Source:
        found = open_files([os.fspath(each) for each in given])
        return cls(
            found.frame, found.files, found.pattern, found.seekable, found.folders, found.absent
        )

    @cached_property
    def schema(self) -> pl.Schema:
        """Names and types of the columns."""
        if isinstance(self.frame, pl.DataFrame):
            return self.frame.schema
        with self.reading():
            # Of a copy: a scan whose own schema was asked for no longer takes row numbers in.
            return self.frame.select(pl.all()).collect_schema()

    @property
    def names(self) -> list[str]:
        """Names of the columns."""
        return self.schema.names()

    @property
    def lazy(self) -> bool:
        """Whether rows are to be read in batches."""
        return isinstance(self.frame, pl.LazyFrame)

    def collect(self, query: pl.LazyFrame) -> pl.DataFrame:
        """The result of a query on this source's rows, read in streaming mode."""
        with self.reading():
            return query.collect(engine="streaming")

    def rows(self) -> int:
        """How many rows there are."""
        if isinstance(self.frame, pl.DataFrame):
            return len(self.frame)
        return int(self.collect(self.frame.select(pl.len())).item())

    def batches(
        self, expressions: Iterable[pl.Expr], limit: int | None = None
    ) -> Iterator[pl.DataFrame]:
        """Some columns, in the rows' order, in batches by their size in bytes.

        Args:
            expressions: What to read.
            limit: Bytes that reading may take; `batches.MEMORY` by default. What Polars itself
                reads ahead of a LazyFrame, CSV, JSONL or Arrow files comes on top.
        """
        expressions = list(expressions)
        query = self.frame.lazy().select(expressions)
        with self.reading():
            width = row_bytes(query.collect_schema())
            wide = width is None or width > NARROW
            if self.seekable and wide and any(os.path.getsize(f) > SMALL for f in self.files):
                parts = (self._part(number) for number in range(len(self.files)))
                yield from in_slices((part.select(expressions) for part in parts), limit)
            else:
                yield from in_batches(query, limit)

    def take(
        self, rows: NDArray[np.int64], filled: Iterable[str] = (), limit: int | None = None
    ) -> pl.DataFrame:
        """Rows by number, with all columns.

        Args:
            rows: Ascending numbers, none twice.
            filled: Columns that are not null in these rows, such as their scores.
            limit: As for `batches`.
        """
        if isinstance(self.frame, pl.DataFrame):
            return self.frame[rows]
        with self.reading():
            number = max(self.names, key=len) + "_"  # Longer than all others, it is none of them.
            numbered: pl.LazyFrame | None = None
            if not self.seekable:
                numbered = self.frame.with_row_index(number)
            elif not any(kind.is_nested() for kind in self.schema.dtypes()):
                numbered = open_with_row_numbers(self.files, self.schema, self.folders, number)
            if numbered is not None:
                return by_number(numbered, number, rows, filled)
            # Lists are decoded whole, whatever the condition, and so are files of several types.
            found = by_slices(self._part, self._starts, rows, limit)
            return pl.concat([pl.DataFrame(schema=self.schema), *found])

    def _part(self, number: int) -> pl.LazyFrame:
        """One of the files, with the columns of all."""
        return open_file(self.files[number], self.schema, self.folders)

    @contextmanager
    def reading(self) -> Iterator[None]:
        """Turn Polars' errors into a ValueError that names the file."""
        try:
            yield
        except (pl.exceptions.PolarsError, OSError) as error:
            raise reading_error(self.files, self.pattern, error) from error

    def place(self, row: int) -> str:
        """Where a row is, as a message says it: "row 7", or the file and the row in it."""
        if len(self.files) < 2:
            return f"row {row}"
        file = int(np.searchsorted(self._starts, row, side="right")) - 1
        return f"row {row}: row {row - self._starts[file]} of {self.files[file]}"

    @cached_property
    def _starts(self) -> NDArray[np.int64]:
        """The number of each file's first row, and the number of all rows."""
        return np.cumsum([0, *row_counts(self.files)])
