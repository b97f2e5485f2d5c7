"""Files as one LazyFrame whose columns have the types that all the files have in common."""

from __future__ import annotations

import glob
import itertools
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import polars as pl

from paretohqd.reading import delimited, jsonlines
from paretohqd.reading.finding import find_files, hive_keys, is_remote, local_path
from paretohqd.reading.formats import ARROW, JSON, PARQUET, Kind, kind_of
from paretohqd.reading.schemas import EXACT, aligned, column, common_type, loses_digits
from paretohqd.reading.text import first_line

Schema = Mapping[str, pl.DataType]


@dataclass(frozen=True, eq=False)
class Opened:
    """Files, ready to be read.

    Attributes:
        frame: Their rows, one file's after the other's.
        schema: Names and types of the columns.
        files: The files; none that are on another machine.
        pattern: What was asked for, for messages.
        seekable: Whether a row is found in its file without reading the rows before it.
        folders: Columns that the names of subfolders stand for.
        absent: Columns that some file does not have: what to say of that.
    """

    frame: pl.LazyFrame
    schema: pl.Schema
    files: tuple[str, ...]
    pattern: str
    seekable: bool = False
    folders: tuple[str, ...] = ()
    absent: Mapping[str, str] = field(default_factory=dict)


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
            if kind.separator and not delimited.refuse_head(file, kind.separator):
                return None
            return cls(file, kind, _schema(file, kind))
        except (pl.exceptions.PolarsError, OSError, EOFError) as error:
            raise cannot_be_read(file, error) from error

    @classmethod
    def _of_json(cls, file: str) -> Part | None:
        mark = jsonlines.first_mark(file)
        if not mark:
            return None
        if mark == b"[":
            rows = jsonlines.read_array(file)
            return cls(file, JSON, rows.schema, rows=rows)
        if not jsonlines.needs_care(file):
            try:
                return cls(file, JSON, _schema(file, JSON))
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


def open_files(given: Sequence[str]) -> Opened:
    """Open files, folders and patterns of files.

    Args:
        given: Paths; within a folder or a pattern all files are of one kind.

    Returns:
        Their rows, in the order given, a folder's and a pattern's sorted by name. A column has the
        type that holds the values of all files: numbers widen, null takes any type, and values of
        text files that are numbers here and words there are text. Where a file lacks a column its
        rows are null there.

    Raises:
        ValueError: no such file, one that cannot be read, or columns of types that have none in
            common.
    """
    pattern = ", ".join(given)
    if any(map(is_remote, given)):
        if len(given) > 1:
            raise ValueError(f"{pattern}: pass one remote pattern, or a LazyFrame of your own")
        return _open_remote(pattern)
    patterns = [local_path(each) for each in given]
    files = [file for each in patterns for file in _of_one_kind(each, find_files(each))]
    keys = hive_keys(patterns, files) if {kind_of(file) for file in files} == {PARQUET} else []
    parts = _looked_at(files)
    if not parts:
        raise ValueError(f"{files[0]}: cannot be read: it is empty")
    schema = _common_schema(parts)
    absent = _absent(parts, schema)
    _refuse_lost_digits(parts, schema)
    if keys:
        types = pl.scan_parquet(files, glob=False, hive_partitioning=True).collect_schema()
        folders = {key: types[key] for key in keys}
        schema |= folders
        frame = pl.concat(_in_folders(run, schema, folders) for run in _runs(parts))
    else:
        frame = pl.concat(_scan(run, schema) for run in _runs(parts))
    return Opened(
        frame,
        schema=pl.Schema(schema),
        files=tuple(files),
        pattern=pattern,
        seekable=all(part.kind is PARQUET for part in parts),
        folders=tuple(keys),
        absent=absent,
    )


def open_file(file: str, schema: Schema, folders: Iterable[str] = ()) -> pl.LazyFrame:
    """One of the files that were opened, with the columns of all.

    Args:
        file: The file.
        schema: The columns of all files.
        folders: Those of them that the names of subfolders stand for.
    """
    part = Part.of(file)
    if part is None:
        return pl.LazyFrame(schema=schema)
    if folders:
        return _in_folders([part], schema, {name: schema[name] for name in folders})
    return _scan([part], schema)


def file_sizes(files: Sequence[str]) -> list[int]:
    """How many rows each file has; Parquet files say so at their ends, the others are read."""
    if not all(kind_of(file) is PARQUET for file in files):
        parts = [Part.of(file) for file in files]
        return [0 if part is None else _rows(part) for part in parts]
    path = "\0path"  # A name that no column has.
    scan = pl.scan_parquet(
        list(files), glob=False, include_file_paths=path, missing_columns="insert",
        extra_columns="ignore",
    )  # fmt: skip
    found = scan.select(path).group_by(path).len().collect(engine="streaming")
    sizes = dict(found.iter_rows())
    return [sizes.get(file, 0) for file in files]


def blamed(files: Sequence[str], pattern: str, error: Exception) -> ValueError:
    """What to say of an error while files were read: the first that cannot be read, and why."""
    for file in files:
        try:
            part = Part.of(file)
            for _ in () if part is None else _scan([part], part.schema).collect_batches():
                pass
        except (pl.exceptions.PolarsError, OSError) as found:
            return cannot_be_read(file, found)
        except ValueError as found:
            return found
    return ValueError(f"{pattern}: cannot be read: {first_line(error)}")


def cannot_be_read(file: str, error: BaseException) -> ValueError:
    """What to say of a file that Polars or the system cannot read: in which line, if it is text."""
    kind = kind_of(file)
    try:
        if kind.separator and (reason := delimited.whats_wrong(file, kind.separator)):
            return ValueError(reason)
        if kind is JSON:
            jsonlines.schema_of_lines(file)
    except ValueError as found:
        return found
    except (pl.exceptions.PolarsError, OSError, EOFError):
        pass  # It cannot be unpacked, or not even opened: so the first error says.
    return ValueError(f"{file}: cannot be read: {first_line(error)}")


def _looked_at(files: list[str]) -> list[Part]:
    """The files that have rows, with their columns."""
    if len(files) > 1 and all(kind_of(file) is PARQUET for file in files):
        # Of many small files Polars compares the columns faster than they are told one by one.
        try:
            pl.scan_parquet(files, glob=False).filter(pl.lit(False)).collect(engine="streaming")
        except (pl.exceptions.PolarsError, OSError):
            pass  # They differ, or one cannot be read.
        else:
            schema = _schema(files[0], PARQUET)
            return [Part(file, PARQUET, schema) for file in files]
    return [part for part in map(Part.of, files) if part is not None]


def _of_one_kind(pattern: str, files: list[str]) -> list[str]:
    kinds = {kind_of(file).endings[0] for file in files}
    if len(kinds) > 1:
        raise ValueError(
            f"{pattern}: files of different kinds: {', '.join(sorted(kinds))}: name those to read"
        )
    return files


def _open_remote(pattern: str) -> Opened:
    kind = kind_of(pattern) if Path(pattern).suffix else PARQUET
    if kind is PARQUET:
        frame = pl.scan_parquet(pattern)
    elif kind is ARROW:
        frame = pl.scan_ipc(pattern)
    elif kind is JSON:
        frame = pl.scan_ndjson(pattern, infer_schema_length=None)
    else:
        frame = pl.scan_csv(pattern, separator=kind.separator, infer_schema_length=None)
    try:
        return Opened(frame, schema=frame.collect_schema(), files=(), pattern=pattern)
    except (pl.exceptions.PolarsError, OSError) as error:
        raise ValueError(f"{pattern}: cannot be read: {first_line(error)}") from error


def _schema(file: str, kind: Kind) -> pl.Schema:
    """A file's columns; of text their types follow from all rows."""
    if kind is PARQUET:
        return pl.scan_parquet(file, glob=False).collect_schema()
    if kind is ARROW:
        return pl.scan_ipc(file, glob=False).collect_schema()
    if kind is JSON:
        return pl.scan_ndjson(glob.escape(file), infer_schema_length=None).collect_schema()
    scan = pl.scan_csv(file, glob=False, separator=kind.separator, infer_schema_length=None)
    return scan.collect_schema()


def _scan(run: list[Part], schema: Schema) -> pl.LazyFrame:
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
        name: schema[name] if schema[name] in (pl.String, pl.Float64, pl.Int64) else dtype
        for name, dtype in part.schema.items()
    }
    scan = pl.scan_csv(files, glob=False, separator=part.kind.separator, schema=parsed)
    return aligned(scan, parsed, schema)


def _runs(parts: Iterable[Part]) -> list[list[Part]]:
    """Parts that follow one another and can be scanned together."""
    return [list(run) for _, run in itertools.groupby(parts, key=lambda part: part.alike)]


def _common_schema(parts: list[Part]) -> dict[str, pl.DataType]:
    """Names and types of all parts' columns, in the order in which they first appear.

    Raises:
        ValueError: the types of a column have none in common.
    """
    held: dict[str, dict[object, Part]] = {}
    # Files that were found to be alike share what says so.
    for part in {id(part.schema): part for part in parts}.values():
        for name, dtype in part.schema.items():
            # One part of each type stands for all; of text each may turn out to hold no value.
            held.setdefault(name, {}).setdefault(dtype if part.kind.typed else part.file, part)
    return {name: _common_type(name, list(of.values())) for name, of in held.items()}


def _common_type(name: str, parts: list[Part]) -> pl.DataType:
    types = [part.schema[name] for part in parts]
    found = _folded(types)
    if found is None:
        types = [
            pl.Null() if dtype == pl.String and _blank(part, name) else dtype
            for part, dtype in zip(parts, types, strict=True)
        ]
        found = _folded(types)
    if found is None and any(dtype == pl.String for dtype in types):
        # In files of text numbers here and words there are text, as they are within one file.
        found = _folded(
            [
                dtype if part.kind.typed or dtype == pl.Null else pl.String()
                for part, dtype in zip(parts, types, strict=True)
            ]
        )
    if found is not None:
        return found
    for part, other in itertools.combinations(parts, 2):
        if common_type(part.schema[name], other.schema[name]) is None:
            raise ValueError(
                f"{other.file}: column {name!r} is {other.schema[name]}, but {part.schema[name]} "
                f"in {part.file}: write it as one type in all files"
            )
    raise AssertionError("unreachable: types that agree in pairs have a type in common")


def _folded(types: Iterable[pl.DataType]) -> pl.DataType | None:
    found: pl.DataType | None = pl.Null()
    for dtype in types:
        found = None if found is None else common_type(found, dtype)
    return found


def _rows(part: Part) -> int:
    scan = _scan([part], part.schema)
    return int(scan.select(pl.len()).collect(engine="streaming").item())


def _blank(part: Part, name: str) -> bool:
    """Whether a column of a file of text, whose values would say its type, has none."""
    if part.kind.typed:
        return False
    rows = _scan([part], part.schema).select(column(name).is_null().all())
    return bool(rows.collect(engine="streaming").item())


def _in_folders(run: list[Part], schema: Schema, folders: Schema) -> pl.LazyFrame:
    """The rows of Parquet files that are alike, in folders whose names stand for columns."""
    files = [part.file for part in run]
    # Folders above the one that was asked for may have such names, too; they say nothing of rows.
    names = dict.fromkeys(p.partition("=")[0] for f in files for p in Path(f).parts if "=" in p)
    scan = pl.scan_parquet(
        files, glob=False, hive_partitioning=True,
        hive_schema={name: folders.get(name, pl.String()) for name in names},
    )  # fmt: skip
    return aligned(scan, {**run[0].schema, **folders}, schema)


def _refuse_lost_digits(parts: list[Part], schema: Schema) -> None:
    """Raise a ValueError if integers of one file, which are floats in another, are too large."""
    for part in parts:
        if part.schema == schema:
            continue
        for name, dtype in part.schema.items():
            if not loses_digits(dtype, schema[name]):
                continue
            scan = _scan([part], part.schema).select(
                low=column(name).min(), high=column(name).max()
            )
            low, high = scan.collect(engine="streaming").row(0)
            if low is not None and (low < -EXACT or high > EXACT):
                raise ValueError(
                    f"{part.file}: column {name!r} holds integers beyond 2**53, which the floats "
                    "of other files cannot tell apart: write it as one type in all files"
                )


def _absent(parts: list[Part], schema: Schema) -> dict[str, str]:
    """What to say of each column that some file does not have."""
    return {
        name: f"{lacking.file}: has no column {name!r}, which {having.file} has"
        for name in schema
        if (lacking := next((part for part in parts if name not in part.schema), None))
        for having in [next(part for part in parts if name in part.schema)]
    }
