"""A file with its columns, and files that are alike as one scan."""

from __future__ import annotations

import glob
import itertools
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

import polars as pl

from paretohqd.exceptions import first_line
from paretohqd.frames.reading import delimited, jsonlines
from paretohqd.frames.reading.formats import ARROW, JSON, PARQUET, Kind, kind_of
from paretohqd.frames.reading.schemas import aligned, column

Schema = Mapping[str, pl.DataType]

_OF_TEXT = (pl.String, pl.Float64, pl.Int64, pl.Int128, pl.Boolean)
"""The types that values of text may be found to have."""


@dataclass(frozen=True, eq=False)
class Part:
    """A file with its columns.

    Attributes:
        file: The file.
        kind: What it is.
        schema: The columns.
        careful: Whether Polars does not read it as it is: JSON lines that only Python can read.
        rows: The rows, where they had to be read: of a JSON array.
    """

    file: str
    kind: Kind
    schema: Schema
    careful: bool = False
    rows: pl.DataFrame | None = None

    @classmethod
    def of(cls, file: str) -> Part | None:
        """Look at a file, once; None if it is one of text without a single row.

        Raises:
            ValueError: it cannot be read.
        """
        kind = kind_of(file)
        try:
            if not Path(file).stat().st_size and not kind.typed:
                return None
            if kind is JSON:
                return cls._of_json(file)
            if kind.separator:
                if not delimited.refuse_head(file, kind.separator):
                    return None
                delimited.refuse_quotes(file, kind.separator)
            return cls(file, kind, file_schema(file, kind))
        except (pl.exceptions.PolarsError, OSError, EOFError) as error:
            raise cannot_be_read(file, error) from error

    @classmethod
    def _of_json(cls, file: str) -> Part | None:
        mark, careful = jsonlines.glance(file)
        if not mark:
            return None
        if mark == b"[":
            rows = jsonlines.read_array(file)
            return cls(file, JSON, rows.schema, rows=rows)
        if not careful:
            try:
                return cls(file, JSON, file_schema(file, JSON))
            except pl.exceptions.PolarsError:
                pass  # Python reads more, or says what is wrong in which line.
        return cls(file, JSON, jsonlines.schema_of_lines(file), careful=True)

    @property
    def alike(self) -> object:
        """Parts in a row that agree in this are scanned together."""
        if self.careful or self.rows is not None:
            return self.file
        if self.kind is JSON:
            return self.kind.name
        return self.kind.name, tuple(self.schema.items() if self.kind.typed else self.schema)


def runs(parts: Iterable[Part]) -> list[list[Part]]:
    """Parts that follow one another and can be scanned together."""
    return [list(run) for _, run in itertools.groupby(parts, key=lambda part: part.alike)]


def scan_run(run: list[Part], schema: Schema) -> pl.LazyFrame:
    """The rows of parts that are alike, with the columns of these types."""
    part, files = run[0], [each.file for each in run]
    if part.rows is not None:
        same = part.schema == schema
        return (part.rows if same else jsonlines.read_array(part.file, schema)).lazy()
    if part.careful:
        return jsonlines.scan_lines(part.file, schema)
    # A name may hold brackets or a star: what is passed on are files, not patterns.
    if part.kind is JSON:
        return pl.scan_ndjson([glob.escape(file) for file in files], schema=dict(schema))
    if part.kind is PARQUET:
        return aligned(pl.scan_parquet(files, glob=False), part.schema, schema)
    if part.kind is ARROW:
        return aligned(pl.scan_ipc(files, glob=False), part.schema, schema)
    # Text is parsed as what it is to be: "01" beside "a" stays "01".
    parsed = {
        name: schema[name] if schema.get(name) in _OF_TEXT else dtype
        for name, dtype in part.schema.items()
    }
    scan = pl.scan_csv(files, glob=False, separator=part.kind.separator, schema=parsed)
    return aligned(scan, parsed, schema)


def row_count(part: Part) -> int:
    """How many rows a file has."""
    scan = scan_run([part], part.schema)
    return int(scan.select(pl.len()).collect(engine="streaming").item())


def blank(part: Part, name: str) -> bool:
    """Whether a column of a file of text, whose values would say its type, has none."""
    if part.kind.typed:
        return False
    rows = scan_run([part], part.schema).select(column(name).is_null().all())
    return bool(rows.collect(engine="streaming").item())


def file_schema(file: str, kind: Kind) -> pl.Schema:
    """A file's columns; of text their types follow from all rows."""
    if kind is PARQUET:
        return pl.scan_parquet(file, glob=False).collect_schema()
    if kind is ARROW:
        return pl.scan_ipc(file, glob=False).collect_schema()
    if kind is JSON:
        return pl.scan_ndjson(glob.escape(file), infer_schema_length=None).collect_schema()
    scan = pl.scan_csv(file, glob=False, separator=kind.separator, infer_schema_length=None)
    return scan.collect_schema()


def _begins(file: str, mark: bytes) -> bool:
    with open(file, "rb") as opened:
        return opened.read(len(mark)) == mark


def cannot_be_read(file: str, error: BaseException) -> ValueError:
    """What to say of a file that Polars or the system cannot read: in which line, if it is text."""
    kind = kind_of(file)
    try:
        if kind.separator and (reason := delimited.whats_wrong(file, kind.separator)):
            return ValueError(reason)
        if kind is JSON:
            jsonlines.schema_of_lines(file)
        if kind is ARROW and not _begins(file, b"ARROW1"):
            return ValueError(
                f"{file}: cannot be read: it is no Arrow file, but perhaps a stream of Arrow's, as "
                "datasets' save_to_disk writes: pass datasets.load_from_disk(...), or write Parquet"
            )
    except ValueError as found:
        return found
    except (pl.exceptions.PolarsError, OSError, EOFError):
        pass  # It cannot be unpacked, or not even opened: so the first error says.
    return ValueError(f"{file}: cannot be read: {first_line(error)}")
