"""Files as one LazyFrame whose columns have the types that all the files share."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import polars as pl

from paretohqd.exceptions import first_line
from paretohqd.frames import offline
from paretohqd.frames.reading.formats import PARQUET, kind_of
from paretohqd.frames.reading.hive_folders import (
    all_folder_types,
    folder_columns,
    folder_types,
    scan_in_folders,
)
from paretohqd.frames.reading.paths import find_files, is_remote, local_path, refuse_duplicates
from paretohqd.frames.reading.schemas import aligned
from paretohqd.frames.reading.shared_columns import (
    absent_columns,
    refuse_lost_digits,
    shared_schema,
)
from paretohqd.frames.reading.table_files import (
    Schema,
    TableFile,
    group_alike,
    read_schema,
    row_count,
    scan,
    scan_alike,
    unreadable,
)
from paretohqd.safety.secrets import without_secrets


@dataclass(frozen=True, eq=False)
class OpenedFiles:
    """Files, ready to be read.

    Attributes:
        frame: Their rows, one file's after the other's.
        schema: Names and types of the columns.
        files: Their paths; none if they are on another machine.
        pattern: The paths as the user gave them, for messages.
        seekable: Whether a row can be read without reading the rows before it in its file.
        folders: Columns that the names of subfolders hold.
        absent: For each column that some file lacks, a message that says so.
    """

    frame: pl.LazyFrame
    schema: pl.Schema
    files: tuple[str, ...]
    pattern: str
    seekable: bool = False
    folders: tuple[str, ...] = ()
    absent: Mapping[str, str] = field(default_factory=dict)


def open_files(given: Sequence[str]) -> OpenedFiles:
    """Open files, folders and patterns of files.

    Args:
        given: Paths. The files within a folder or a pattern are of one kind.

    Returns:
        Their rows, in the order given; those of a folder or a pattern are sorted by name. A column
        has the type that holds the values of all files: numbers widen, null takes any type, and a
        column with numbers in one text file and words in another is text. Where a file lacks a
        column, its rows are null.

    Raises:
        ValueError: There is no such file, one cannot be read, or the types of a column have none
            in common.
    """
    pattern = ", ".join(given)
    if any(map(is_remote, given)):
        if len(given) > 1:
            shown = without_secrets(pattern)
            raise ValueError(f"{shown}: pass one remote pattern, or a LazyFrame of your own")
        offline.refuse(pattern)
        return _open_remote(pattern)
    patterns = [local_path(each) for each in given]
    paths = [path for each in patterns for path in _files_of_one_kind(each)]
    refuse_duplicates(paths)
    columns_of_folders = folder_columns(patterns, paths)
    files = _with_columns(paths)
    if not files:
        raise ValueError(f"{paths[0]}: cannot be read: it is empty")
    schema = shared_schema(files)
    absent = absent_columns(files, schema)
    refuse_lost_digits(files, schema)
    groups = group_alike(files)
    if columns_of_folders:
        folders = folder_types(paths, columns_of_folders)
        schema |= folders
        frame = pl.concat(scan_in_folders(group, schema, folders) for group in groups)
    else:
        frame = pl.concat(scan_alike(group, schema) for group in groups)
    return OpenedFiles(
        frame,
        schema=pl.Schema(schema),
        files=tuple(paths),
        pattern=pattern,
        seekable=all(file.kind is PARQUET for file in files),
        folders=tuple(columns_of_folders),
        absent=absent,
    )


def open_file(path: str, schema: Schema, folders: Iterable[str] = ()) -> pl.LazyFrame:
    """One of the files that were opened, with the columns of all.

    Args:
        path: The file.
        schema: The columns of all files.
        folders: Those of them that the names of subfolders hold.
    """
    file = TableFile.of(path)
    if file is None:
        return pl.LazyFrame(schema=schema)
    if folders:
        return scan_in_folders([file], schema, {name: schema[name] for name in folders})
    return scan_alike([file], schema)


def open_with_row_numbers(
    paths: Sequence[str], schema: Schema, folders: Iterable[str], number: str
) -> pl.LazyFrame | None:
    """Parquet files that were opened, with a column of row numbers that the scan itself makes.

    A condition on a column that is added after a scan would decode all columns of all rows.

    Args:
        paths: The files.
        schema: The columns of all files.
        folders: Those of them that the names of subfolders hold.
        number: The name of the column to add in front.

    Returns:
        None if the files' types differ: they would be several scans.
    """
    groups = group_alike(_with_columns(list(paths)))
    if len(groups) != 1:
        return None
    (files,) = groups
    types = {name: schema[name] for name in folders}
    if types:
        types = all_folder_types(paths[0], types)
    numbered = pl.scan_parquet(
        [file.file for file in files],
        glob=False,
        row_index_name=number,
        hive_partitioning=bool(types),
        hive_schema=types or None,
    )
    first: dict[str, pl.DataType] = {number: numbered.collect_schema()[number]}
    return aligned(numbered, {**first, **files[0].schema, **types}, {**first, **schema})


def row_counts(paths: Sequence[str]) -> list[int]:
    """How many rows each file has; Parquet files store it at their ends, others are read."""
    if not all(kind_of(path) is PARQUET for path in paths):
        files = [TableFile.of(path) for path in paths]
        return [0 if file is None else row_count(file) for file in files]
    source = "\0path"  # A name that no column has.
    rows = pl.scan_parquet(
        list(paths),
        glob=False,
        include_file_paths=source,
        missing_columns="insert",
        extra_columns="ignore",
    )
    lengths = rows.select(source).group_by(source).len().collect(engine="streaming")
    count = dict(lengths.iter_rows())
    return [count.get(path, 0) for path in paths]


def reading_error(paths: Sequence[str], pattern: str, error: Exception) -> ValueError:
    """What to say after an error while files were read: the first unreadable file, and why."""
    for path in paths:
        try:
            file = TableFile.of(path)
            for _ in () if file is None else scan_alike([file], file.schema).collect_batches():
                pass
        except (pl.exceptions.PolarsError, OSError) as cause:
            return unreadable(path, cause)
        except ValueError as cause:
            return cause
    return ValueError(f"{pattern}: cannot be read: {without_secrets(first_line(error))}")


def _with_columns(paths: list[str]) -> list[TableFile]:
    """The files that have rows, with their columns."""
    if len(paths) > 1 and all(kind_of(path) is PARQUET for path in paths):
        # Polars compares the columns of many small files faster than we can read each schema.
        try:
            pl.scan_parquet(paths, glob=False).filter(pl.lit(False)).collect(engine="streaming")
        except (pl.exceptions.PolarsError, OSError):
            pass  # The columns differ, or a file cannot be read.
        else:
            schema = read_schema(paths[0], PARQUET)
            return [TableFile(path, PARQUET, schema) for path in paths]
    return [file for file in map(TableFile.of, paths) if file is not None]


def _files_of_one_kind(pattern: str) -> list[str]:
    paths = find_files(pattern)
    kinds = {kind_of(path).endings[0] for path in paths}
    if len(kinds) > 1:
        raise ValueError(
            f"{pattern}: files of different kinds: {', '.join(sorted(kinds))}: name those to read"
        )
    return paths


def _open_remote(pattern: str) -> OpenedFiles:
    # A URL may carry a password or a permission: what is shown and written does not.
    shown = without_secrets(pattern)
    kind = kind_of(shown) if Path(shown).suffix else PARQUET
    frame = scan(pattern, kind, pattern=True)
    try:
        return OpenedFiles(frame, schema=frame.collect_schema(), files=(), pattern=shown)
    except (pl.exceptions.PolarsError, OSError) as error:
        reason = without_secrets(first_line(error))
        raise ValueError(f"{shown}: cannot be read: {reason}") from None
