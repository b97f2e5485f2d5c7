"""Files as one LazyFrame whose columns have the types that all the files have in common."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import polars as pl

from paretohqd.exceptions import first_line
from paretohqd.frames.reading.common import absent_columns, common_schema, refuse_lost_digits
from paretohqd.frames.reading.finding import (
    find_files,
    folder_values,
    hive_keys,
    is_remote,
    local_path,
    refuse_twice,
)
from paretohqd.frames.reading.formats import ARROW, JSON, PARQUET, kind_of
from paretohqd.frames.reading.parts import (
    Part,
    Schema,
    cannot_be_read,
    file_schema,
    row_count,
    runs,
    scan_run,
)
from paretohqd.frames.reading.schemas import aligned, column


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
    refuse_twice(files)
    keys = hive_keys(patterns, files)
    parts = _looked_at(files)
    if not parts:
        raise ValueError(f"{files[0]}: cannot be read: it is empty")
    schema = common_schema(parts)
    absent = absent_columns(parts, schema)
    refuse_lost_digits(parts, schema)
    alike = runs(parts)
    if keys:
        folders = _folder_types(files, keys)
        schema |= folders
        frame = pl.concat(_in_folders(run, schema, folders) for run in alike)
    else:
        frame = pl.concat(scan_run(run, schema) for run in alike)
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
    return scan_run([part], schema)


def open_numbered(
    files: Sequence[str], schema: Schema, folders: Iterable[str], number: str
) -> pl.LazyFrame | None:
    """Parquet files that were opened, with a column of their rows' numbers that the scan makes.

    A condition on a column that is added above a scan has all columns of all rows decoded.

    Args:
        files: The files.
        schema: As for `open_file`, as are the folders.
        folders: Columns that the names of subfolders stand for.
        number: The column to add, as the first.

    Returns:
        None where the files' types differ: they are several scans.
    """
    alike = runs(_looked_at(list(files)))
    if len(alike) != 1:
        return None
    named: dict[str, pl.DataType] = {}
    if known := {name: schema[name] for name in folders}:
        named = {name: known.get(name, pl.String()) for name in folder_values(files[0])}
    scan = pl.scan_parquet(
        [part.file for part in alike[0]],
        glob=False,
        row_index_name=number,
        hive_partitioning=bool(named),
        hive_schema=named or None,
    )
    added: dict[str, pl.DataType] = {number: scan.collect_schema()[number]}
    return aligned(scan, {**added, **alike[0][0].schema, **named}, {**added, **schema})


def file_sizes(files: Sequence[str]) -> list[int]:
    """How many rows each file has; Parquet files say so at their ends, the others are read."""
    if not all(kind_of(file) is PARQUET for file in files):
        parts = [Part.of(file) for file in files]
        return [0 if part is None else row_count(part) for part in parts]
    path = "\0path"  # A name that no column has.
    scan = pl.scan_parquet(
        list(files),
        glob=False,
        include_file_paths=path,
        missing_columns="insert",
        extra_columns="ignore",
    )
    found = scan.select(path).group_by(path).len().collect(engine="streaming")
    sizes = dict(found.iter_rows())
    return [sizes.get(file, 0) for file in files]


def blamed(files: Sequence[str], pattern: str, error: Exception) -> ValueError:
    """What to say of an error while files were read: the first that cannot be read, and why."""
    for file in files:
        try:
            part = Part.of(file)
            for _ in () if part is None else scan_run([part], part.schema).collect_batches():
                pass
        except (pl.exceptions.PolarsError, OSError) as found:
            return cannot_be_read(file, found)
        except ValueError as found:
            return found
    return ValueError(f"{pattern}: cannot be read: {first_line(error)}")


def _looked_at(files: list[str]) -> list[Part]:
    """The files that have rows, with their columns."""
    if len(files) > 1 and all(kind_of(file) is PARQUET for file in files):
        # Of many small files Polars compares the columns faster than they are told one by one.
        try:
            pl.scan_parquet(files, glob=False).filter(pl.lit(False)).collect(engine="streaming")
        except (pl.exceptions.PolarsError, OSError):
            pass  # They differ, or one cannot be read.
        else:
            schema = file_schema(files[0], PARQUET)
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


def _folder_types(files: list[str], keys: list[str]) -> dict[str, pl.DataType]:
    """The types of columns that the names of folders stand for."""
    if all(kind_of(file) is PARQUET for file in files):
        types = pl.scan_parquet(files, glob=False, hive_partitioning=True).collect_schema()
        return {key: types[key] for key in keys}
    values = [folder_values(file) for file in files]
    whole = {
        key: all(
            each[key] is None or re.fullmatch(r"-?\d{1,18}", each[key] or "") for each in values
        )
        for key in keys
    }
    return {key: pl.Int64() if whole[key] else pl.String() for key in keys}


def _in_folders(run: list[Part], schema: Schema, folders: Schema) -> pl.LazyFrame:
    """The rows of files that are alike, in folders whose names stand for columns."""
    if run[0].kind is not PARQUET:
        inside = {name: dtype for name, dtype in schema.items() if name not in folders}
        return pl.concat(
            scan_run([part], inside)
            .with_columns(
                pl.lit(folder_values(part.file)[name]).cast(dtype).alias(name)
                for name, dtype in folders.items()
            )
            .select(map(column, schema))
            for part in run
        )
    files = [part.file for part in run]
    # Folders above the one that was asked for may have such names, too; they say nothing of rows.
    types = {name: folders.get(name, pl.String()) for name in folder_values(files[0])}
    scan = pl.scan_parquet(files, glob=False, hive_partitioning=True, hive_schema=types)
    return aligned(scan, {**run[0].schema, **types}, schema)
