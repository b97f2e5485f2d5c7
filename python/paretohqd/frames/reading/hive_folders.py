"""Columns in the names of folders, as Hive and Spark write them: "scores/week=3/part.parquet"."""

from __future__ import annotations

import re
import urllib.parse
from pathlib import Path

import polars as pl

from paretohqd.frames.reading.formats import PARQUET, kind_of
from paretohqd.frames.reading.schemas import aligned, column
from paretohqd.frames.reading.table_files import Schema, TableFile, scan_alike


def folder_columns(patterns: list[str], files: list[str]) -> list[str]:
    """The columns that names of subfolders hold, if a single folder was given and has any.

    Raises:
        ValueError: Files are in folders for different columns.
    """
    (first, *more) = patterns
    if more or not Path(first).is_dir() or not any("=" in file for file in files):
        return []
    columns: list[str] = []
    for number, file in enumerate(files):
        parts = Path(file).relative_to(first).parts[:-1]
        own = [part.partition("=")[0] for part in parts if "=" in part]
        if number and own != columns:
            raise ValueError(
                f"{file}: is in folders for {', '.join(own) or 'nothing'}, {files[0]} for "
                f"{', '.join(columns) or 'nothing'}: move it, or name the files"
            )
        columns = own
    return columns


def folder_values(file: str) -> dict[str, str | None]:
    """The columns and values that the names of the folders above a file hold.

    Example:
        >>> folder_values("/scores/week=3/by=__HIVE_DEFAULT_PARTITION__/x.csv")
        {'week': '3', 'by': None}
    """
    values: dict[str, str | None] = {}
    for part in Path(file).parts[:-1]:
        name, mark, value = part.partition("=")
        if mark:
            text = urllib.parse.unquote(value)
            values[name] = None if text == "__HIVE_DEFAULT_PARTITION__" else text
    return values


def folder_types(files: list[str], columns: list[str]) -> dict[str, pl.DataType]:
    """The types of columns in the names of folders."""
    if all(kind_of(file) is PARQUET for file in files):
        types = pl.scan_parquet(files, glob=False, hive_partitioning=True).collect_schema()
        return {name: types[name] for name in columns}
    values = [folder_values(file) for file in files]
    return {
        name: pl.Int64() if all(_is_integer(each[name]) for each in values) else pl.String()
        for name in columns
    }


def _is_integer(value: str | None) -> bool:
    return value is None or re.fullmatch(r"-?\d{1,18}", value) is not None


def scan_in_folders(group: list[TableFile], schema: Schema, folders: Schema) -> pl.LazyFrame:
    """The rows of files that are alike, with the columns in the names of their folders.

    Args:
        group: The files.
        schema: All columns to return.
        folders: Those of them that the names of folders hold.
    """
    if group[0].kind is not PARQUET:
        inside = {name: dtype for name, dtype in schema.items() if name not in folders}
        return pl.concat(
            scan_alike([file], inside)
            .with_columns(
                pl.lit(folder_values(file.file)[name]).cast(dtype).alias(name)
                for name, dtype in folders.items()
            )
            .select(map(column, schema))
            for file in group
        )
    files = [file.file for file in group]
    types = all_folder_types(files[0], folders)
    scan = pl.scan_parquet(files, glob=False, hive_partitioning=True, hive_schema=types)
    return aligned(scan, {**group[0].schema, **types}, schema)


def all_folder_types(file: str, folders: Schema) -> dict[str, pl.DataType]:
    """The types of all columns that Polars finds in the names of the folders above a file.

    Folders above the one that was given may have such names too, which say nothing about the rows:
    Polars wants types for them as well.
    """
    return {name: folders.get(name, pl.String()) for name in folder_values(file)}
