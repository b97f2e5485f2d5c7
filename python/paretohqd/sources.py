"""What holds the answers: frames of this and other libraries, files, folders and patterns.

Everything becomes a Polars frame, files and what is lazy a LazyFrame that is read in batches. A
message about a file's contents names the file; Polars does not always.
"""

from __future__ import annotations

import glob
import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray
from polars import selectors

SCANS: dict[str, Callable[..., pl.LazyFrame]] = {
    # A name may hold brackets or a star: what is passed on are files, not patterns.
    ".parquet": lambda files, **more: pl.scan_parquet(files, glob=False, **more),
    ".arrow": lambda files, **more: pl.scan_ipc(files, glob=False, **more),
    # Types follow from all rows, not from the first hundred.
    ".csv": lambda files, **more: pl.scan_csv(files, glob=False, infer_schema_length=None, **more),
    ".jsonl": lambda files, **more: pl.scan_ndjson(
        [glob.escape(file) for file in files], infer_schema_length=None, **more
    ),
}
SCANS[".ndjson"] = SCANS[".jsonl"]

SLICE = 60_000
"""So many rows are read in the time of finding a single one in a Parquet file."""

BATCH = 1_000_000
"""Rows that are read at a time: 24 MB of three scores."""


@dataclass(frozen=True, eq=False)
class Source:
    """Rows to choose from.

    Attributes:
        frame: The rows.
        files: The files that hold them, in order, where they are known: on this machine.
        pattern: What was asked for, for messages.
        seekable: Whether a row is found in its file without reading the rows before it.
    """

    frame: pl.DataFrame | pl.LazyFrame
    files: tuple[str, ...] = ()
    pattern: str = "the frame"
    seekable: bool = False

    @classmethod
    def of(cls, data: object) -> Source:
        """Open a frame, a table of another library, or files.

        Args:
            data: A Polars DataFrame or LazyFrame; a path, a folder, a pattern such as
                "scores/*.parquet", a remote one ("s3://bucket/*.parquet", "hf://datasets/..."), or
                several of these; a pandas frame, a DuckDB relation, a Hugging Face Dataset, or
                anything that speaks Arrow's C interface; a mapping of names to columns.

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
        if isinstance(data, str | Path):
            return _of_files([str(data)])
        if (
            isinstance(data, Sequence)
            and data
            and all(isinstance(each, str | Path) for each in data)
        ):
            return _of_files([str(each) for each in data])
        frame = _of_table(data)
        if not isinstance(frame, pl.DataFrame):
            raise ValueError(
                f"frame: expected a Polars, pandas or Arrow frame, a DuckDB relation, a Hugging "
                f"Face Dataset, or a path, got {type(data).__name__}"
            )
        return cls(frame)

    @cached_property
    def schema(self) -> pl.Schema:
        """Names and types of the columns."""
        if isinstance(self.frame, pl.DataFrame):
            return self.frame.schema
        with self.reading():
            return self.frame.collect_schema()

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
        with self.reading(query):
            return query.collect(engine="streaming")

    def rows(self) -> int:
        """How many rows there are."""
        if isinstance(self.frame, pl.DataFrame):
            return len(self.frame)
        return int(self.collect(self.frame.select(pl.len())).item())

    def batches(self, expressions: Iterable[pl.Expr], size: int = BATCH) -> Iterator[pl.DataFrame]:
        """Some columns, in the rows' order, `size` rows at a time."""
        query = self.frame.lazy().select(expressions)
        with self.reading(query):
            yield from query.collect_batches(chunk_size=size, maintain_order=True)

    def take(self, rows: NDArray[np.int64]) -> pl.DataFrame:
        """Rows by number, with all columns; ascending numbers, none twice.

        A filter would keep the memory of all the texts that it has read, taking rows does not.
        """
        if isinstance(self.frame, pl.DataFrame):
            return self.frame[rows]
        found = [pl.DataFrame(schema=self.schema)]
        if self.seekable and len(rows) * SLICE < self._starts[-1]:
            with self.reading(self.frame.lazy()):
                for row in rows:
                    file = int(np.searchsorted(self._starts, row, side="right")) - 1
                    one = _scan([self.files[file]]).slice(int(row - self._starts[file]), 1)
                    found.append(one.collect().select(selectors.by_name(self.names)))
            return pl.concat(found)
        start = 0
        for batch in self.batches([pl.all()]):
            first, last = np.searchsorted(rows, [start, start + len(batch)])
            found.append(batch[rows[first:last] - start])
            start += len(batch)
        return pl.concat(found)

    @contextmanager
    def reading(self, query: pl.LazyFrame | None = None) -> Iterator[None]:
        """Turn Polars' errors into a ValueError that names the file."""
        try:
            yield
        except (pl.exceptions.PolarsError, OSError) as error:
            reason = _first_line(error)
            where = self._blamed(query)
            raise ValueError(f"{where or self.pattern}: cannot be read: {reason}") from error

    def place(self, row: int) -> str:
        """Where a row is, as a message says it: "row 7", or the file and the row in it."""
        if len(self.files) < 2:
            return f"row {row}"
        file = int(np.searchsorted(self._starts, row, side="right")) - 1
        return f"row {row}: row {row - self._starts[file]} of {self.files[file]}"

    @cached_property
    def _starts(self) -> NDArray[np.int64]:
        """The number of each file's first row, and the number of all rows."""
        sizes = [_scan([file]).select(pl.len()).collect().item() for file in self.files]
        return np.cumsum([0, *sizes])

    def _blamed(self, query: pl.LazyFrame | None) -> str:
        """The first file that cannot be read by itself, or differs from the first, and how."""
        expected: pl.Schema | None = None
        for file in self.files:
            try:
                schema = _scan([file]).collect_schema()
            except (pl.exceptions.PolarsError, OSError):
                return file
            for name, dtype in (expected or schema).items():
                if name not in schema:
                    return f"{file}: has no column {name!r}, which {self.files[0]} has"
                if schema[name] != dtype:
                    return (
                        f"{file}: column {name!r} is {schema[name]}, but {dtype} in {self.files[0]}"
                    )
            expected = expected or schema
        for file in self.files if query is not None else ():
            try:
                for _ in _scan([file]).collect_batches(chunk_size=BATCH):
                    pass
            except (pl.exceptions.PolarsError, OSError):
                return file
        return ""


def _of_files(patterns: list[str]) -> Source:
    pattern = ", ".join(patterns)
    if any("://" in each for each in patterns):
        if len(patterns) > 1:
            raise ValueError(f"{pattern}: pass one remote pattern, or a LazyFrame of your own")
        remote: dict[str, Callable[..., pl.LazyFrame]] = {
            ".csv": pl.scan_csv,
            ".arrow": pl.scan_ipc,
            ".jsonl": pl.scan_ndjson,
        }
        scan = remote.get(Path(pattern).suffix, pl.scan_parquet)
        return Source(scan(pattern), pattern=pattern)
    files = [file for each in patterns for file in _expanded(each)]
    kinds = {_kind(file) for file in files}
    if len(kinds) > 1:
        raise ValueError(f"{pattern}: files of different kinds: {', '.join(sorted(kinds))}")
    keys = _hive_keys(patterns, files) if kinds == {".parquet"} else []
    if keys:
        frame = _scan(files, hive_partitioning=True)
        # Names of folders above the one that was asked for say nothing of its rows.
        above = {part.partition("=")[0] for part in Path(patterns[0]).parts if "=" in part}
        source = Source(frame.drop(above - set(keys), strict=False), tuple(files), pattern)
    else:
        source = Source(_scan(files), tuple(files), pattern, seekable=kinds == {".parquet"})
    _ = source.schema
    return source


def _scan(files: list[str], **options: Any) -> pl.LazyFrame:
    return SCANS[_kind(files[0])](files, **options)


def _expanded(pattern: str) -> list[str]:
    """The files that a path stands for."""
    path = Path(pattern)
    if path.is_file():
        return [pattern]
    if path.is_dir():
        files = sorted(str(file) for file in _inside(path) if file.suffix.lower() in SCANS)
        if not files:
            raise ValueError(f"{pattern}: a folder without a file in {', '.join(SCANS)}")
        return files
    if glob.has_magic(pattern):
        files = [
            file for file in sorted(glob.glob(pattern, recursive=True)) if Path(file).is_file()
        ]
        if not files:
            raise ValueError(f"{pattern}: no file matches")
        return files
    _kind(pattern)
    raise ValueError(f"{pattern}: no such file")


def _inside(folder: Path) -> Iterator[Path]:
    """The files below a folder; what is hidden, as other programs' scraps are, is left out."""
    seen = set()
    for place, folders, names in os.walk(folder, followlinks=True):
        # A link may lead back to where it is.
        here = os.path.realpath(place)
        shown = [] if here in seen else [f for f in folders if not f.startswith((".", "_"))]
        seen.add(here)
        folders[:] = shown
        yield from (Path(place) / name for name in names if not name.startswith((".", "_")))


def _kind(file: str) -> str:
    kind = Path(file).suffix.lower()
    if kind not in SCANS:
        raise ValueError(f"{file}: expected a name that ends in {', '.join(SCANS)}")
    return kind


def _hive_keys(patterns: list[str], files: list[str]) -> list[str]:
    """The columns that names of subfolders stand for ("week=3"), if a single folder has any."""
    (first, *more) = patterns
    if more or not Path(first).is_dir():
        return []
    keys: list[str] = []
    for number, file in enumerate(files):
        parts = Path(file).relative_to(first).parts[:-1]
        here = [part.partition("=")[0] for part in parts if "=" in part]
        if number and here != keys:
            raise ValueError(
                f"{file}: is in folders for {', '.join(here) or 'nothing'}, {files[0]} for "
                f"{', '.join(keys) or 'nothing'}: move it, or name the files"
            )
        keys = here
    return keys


def _of_table(data: Any) -> object:
    """A table of another library as a Polars frame, or what it is otherwise."""
    if hasattr(data, "iloc"):
        return pl.from_pandas(data)
    if hasattr(data, "to_polars"):
        return data.to_polars()
    if hasattr(data, "__arrow_c_stream__") or hasattr(data, "__arrow_c_array__"):
        table = pl.from_arrow(data)
        rows = isinstance(table, pl.Series) and isinstance(table.dtype, pl.Struct)
        return table.struct.unnest() if rows else table  # type: ignore[union-attr]
    if isinstance(data, Mapping) and data:
        try:
            return pl.DataFrame(data)
        except (TypeError, ValueError, pl.exceptions.PolarsError) as error:
            raise ValueError(f"frame: columns that make no frame: {_first_line(error)}") from error
    return data


def _first_line(error: Exception) -> str:
    return (str(error) or type(error).__name__).splitlines()[0]
