"""One file of rows with its columns, and files that are alike as one scan."""

from __future__ import annotations

import glob
import itertools
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import polars as pl

from paretohqd.exceptions import first_line
from paretohqd.frames.reading import csv_files, json_files
from paretohqd.frames.reading.formats import ARROW, JSON, PARQUET, Kind, kind_of
from paretohqd.frames.reading.schemas import aligned, column
from paretohqd.frames.reading.sizes import refuse_large_array, refuse_large_packed

Schema = Mapping[str, pl.DataType]

_TEXT_TYPES = (pl.String, pl.Float64, pl.Int64, pl.Int128, pl.Boolean)
"""The types that values of a text file can turn out to have."""


@dataclass(frozen=True, eq=False)
class TableFile:
    """A file of rows whose columns are known.

    Attributes:
        file: Its path.
        kind: Its format.
        schema: Its columns.
        by_python: Whether Python reads its JSON lines, because Polars would fail or be wrong.
        rows: The rows, if they had to be read to know the columns: those of a JSON array.
    """

    file: str
    kind: Kind
    schema: Schema
    by_python: bool = False
    rows: pl.DataFrame | None = None

    @classmethod
    def of(cls, file: str) -> TableFile | None:
        """Read the columns of a file; None if it is a text file without a single row.

        Raises:
            ValueError: The file cannot be read.
        """
        kind = kind_of(file)
        try:
            if not kind.typed:
                if not Path(file).stat().st_size:
                    return None
                refuse_large_packed(file)
            if kind is JSON:
                return cls._of_json(file)
            if kind.separator:
                if not csv_files.column_names(file, kind.separator):
                    return None
                csv_files.refuse_single_quotes(file, kind.separator)
            return cls(file, kind, read_schema(file, kind))
        except (pl.exceptions.PolarsError, OSError, EOFError) as error:
            raise unreadable(file, error) from error

    @classmethod
    def _of_json(cls, file: str) -> TableFile | None:
        first, by_python = json_files.peek(file)
        if not first:
            return None
        if first == b"[":
            refuse_large_array(file)
            rows = json_files.read_array(file)
            return cls(file, JSON, rows.schema, rows=rows)
        if not by_python:
            try:
                return cls(file, JSON, read_schema(file, JSON))
            except pl.exceptions.PolarsError:
                pass  # Python reads more, or says which line is wrong.
        return cls(file, JSON, json_files.schema_of_lines(file), by_python=True)

    @property
    def scan_key(self) -> object:
        """Neighbouring files with equal keys are scanned together."""
        if self.by_python or self.rows is not None:
            return self.file
        if self.kind is JSON:
            return self.kind.name
        return self.kind.name, tuple(self.schema.items() if self.kind.typed else self.schema)


def scan(
    files: str | list[str], kind: Kind, *, schema: Schema | None = None, pattern: bool = False
) -> pl.LazyFrame:
    """Polars' own scan of files of one kind: here, and only here, formats are told apart.

    Args:
        files: The files, or the pattern.
        kind: Their format.
        schema: For text files, the types to parse; by default those that all values allow.
        pattern: Whether brackets and stars are a pattern, and not part of a file's name.
    """
    types: dict[str, Any] = (
        {"infer_schema_length": None} if schema is None else {"schema": dict(schema)}
    )
    if kind is PARQUET:
        return pl.scan_parquet(files, glob=pattern)
    if kind is ARROW:
        return pl.scan_ipc(files, glob=pattern)
    if kind is JSON:
        names = files if pattern else [glob.escape(file) for file in files]
        return pl.scan_ndjson(names, **types)
    return pl.scan_csv(files, glob=pattern, separator=kind.separator, **types)


def read_schema(file: str, kind: Kind) -> pl.Schema:
    """The columns of a file; in text files their types follow from all rows."""
    return scan([file], kind).collect_schema()


def group_alike(files: Iterable[TableFile]) -> list[list[TableFile]]:
    """Files in groups of neighbours that can be scanned together."""
    return [list(group) for _, group in itertools.groupby(files, key=lambda file: file.scan_key)]


def scan_alike(group: list[TableFile], schema: Schema) -> pl.LazyFrame:
    """The rows of files that are alike, with the columns of `schema`."""
    first, files = group[0], [each.file for each in group]
    if first.rows is not None:
        same = first.schema == schema
        return (first.rows if same else json_files.read_array(first.file, schema)).lazy()
    if first.by_python:
        return json_files.scan_lines(first.file, schema)
    if first.kind is JSON:
        return scan(files, JSON, schema=schema)
    if first.kind.typed:
        return aligned(scan(files, first.kind), first.schema, schema)
    # Text is parsed as its final type: "01" stays "01" if another file has "a" in this column.
    parsed = {
        name: schema[name] if schema.get(name) in _TEXT_TYPES else dtype
        for name, dtype in first.schema.items()
    }
    return aligned(scan(files, first.kind, schema=parsed), parsed, schema)


def row_count(file: TableFile) -> int:
    """How many rows a file has."""
    rows = scan_alike([file], file.schema)
    return int(rows.select(pl.len()).collect(engine="streaming").item())


def has_no_values(file: TableFile, name: str) -> bool:
    """Whether a text file's column, whose type its values would tell, is null in all rows."""
    if file.kind.typed:
        return False
    nulls = scan_alike([file], file.schema).select(column(name).is_null().all())
    return bool(nulls.collect(engine="streaming").item())


def unreadable(file: str, error: BaseException) -> ValueError:
    """The error for a file that cannot be read: it names the line if the file is text."""
    kind = kind_of(file)
    try:
        if kind.separator:
            csv_files.refuse_broken_lines(file, kind.separator)
        if kind is JSON:
            json_files.schema_of_lines(file)
        if kind is ARROW and not _begins_with(file, b"ARROW1"):
            return ValueError(
                f"{file}: cannot be read: it is no Arrow file, but perhaps a stream of Arrow's, as "
                "datasets' save_to_disk writes: pass datasets.load_from_disk(...), or write Parquet"
            )
    except ValueError as better:
        return better
    except (pl.exceptions.PolarsError, OSError, EOFError):
        pass  # It cannot be unpacked, or not even be opened: the first error says so.
    return ValueError(f"{file}: cannot be read: {first_line(error)}")


def _begins_with(file: str, magic: bytes) -> bool:
    with open(file, "rb") as opened:
        return opened.read(len(magic)) == magic
