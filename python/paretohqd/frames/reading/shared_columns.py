"""The columns that several files share, and the type that each has in all of them."""

from __future__ import annotations

import itertools
from collections.abc import Iterable

import polars as pl

from paretohqd.frames.reading.schemas import column, common_type, loses_digits
from paretohqd.frames.reading.table_files import Schema, TableFile, has_no_values, scan_alike
from paretohqd.kernels.numerals import EXACT


def shared_schema(files: list[TableFile]) -> dict[str, pl.DataType]:
    """Names and types of all files' columns, in the order in which they first appear.

    Raises:
        ValueError: The types of a column have none in common.
    """
    holders: dict[str, dict[object, TableFile]] = {}
    # Files that are known to be alike share one schema object.
    for file in {id(file.schema): file for file in files}.values():
        for name, dtype in file.schema.items():
            # One file of each type is enough; a text file's column may turn out to be blank.
            key = dtype if file.kind.typed else file.file
            holders.setdefault(name, {}).setdefault(key, file)
    return {name: _shared_type(name, list(of.values())) for name, of in holders.items()}


def _shared_type(name: str, files: list[TableFile]) -> pl.DataType:
    types = [file.schema[name] for file in files]
    shared = _common_type_of_all(types)
    if shared is None:
        types = [
            pl.Null() if dtype == pl.String and has_no_values(file, name) else dtype
            for file, dtype in zip(files, types, strict=True)
        ]
        shared = _common_type_of_all(types)
    if shared is None and any(dtype == pl.String for dtype in types):
        # Numbers in one text file and words in another are text, as they are within one file.
        shared = _common_type_of_all(
            dtype if file.kind.typed or dtype == pl.Null else pl.String()
            for file, dtype in zip(files, types, strict=True)
        )
    if shared is not None:
        return shared
    for file, other in itertools.combinations(files, 2):
        if common_type(file.schema[name], other.schema[name]) is None:
            raise ValueError(
                f"{other.file}: column {name!r} is {other.schema[name]}, but {file.schema[name]} "
                f"in {file.file}: write it as one type in all files"
            )
    raise AssertionError("unreachable: types that agree in pairs have a type in common")


def _common_type_of_all(types: Iterable[pl.DataType]) -> pl.DataType | None:
    shared: pl.DataType | None = pl.Null()
    for dtype in types:
        shared = None if shared is None else common_type(shared, dtype)
    return shared


def refuse_lost_digits(files: list[TableFile], schema: Schema) -> None:
    """Raise a ValueError if integers of one file, which are floats in another, are too large."""
    for file in files:
        if file.schema == schema:
            continue
        for name, dtype in file.schema.items():
            if not loses_digits(dtype, schema[name]):
                continue
            extremes = scan_alike([file], file.schema).select(
                low=column(name).min(), high=column(name).max()
            )
            low, high = extremes.collect(engine="streaming").row(0)
            if low is not None and (low < -EXACT or high > EXACT):
                raise ValueError(
                    f"{file.file}: column {name!r} holds integers beyond 2**53, which the floats "
                    "of other files cannot tell apart: write it as one type in all files"
                )


def absent_columns(files: list[TableFile], schema: Schema) -> dict[str, str]:
    """For each column that some file lacks, a message that says which file, and which has it."""
    messages = {}
    for name in schema:
        lacking = next((file for file in files if name not in file.schema), None)
        if lacking is not None:
            having = next(file for file in files if name in file.schema)
            messages[name] = f"{lacking.file}: has no column {name!r}, which {having.file} has"
    return messages
