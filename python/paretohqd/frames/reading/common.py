"""The columns that files have in common."""

from __future__ import annotations

import itertools
from collections.abc import Iterable

import polars as pl

from paretohqd.frames.reading.parts import Part, Schema, blank, scan_run
from paretohqd.frames.reading.schemas import column, common_type, loses_digits
from paretohqd.kernels.numerals import EXACT


def common_schema(parts: list[Part]) -> dict[str, pl.DataType]:
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
            pl.Null() if dtype == pl.String and blank(part, name) else dtype
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


def refuse_lost_digits(parts: list[Part], schema: Schema) -> None:
    """Raise a ValueError if integers of one file, which are floats in another, are too large."""
    for part in parts:
        if part.schema == schema:
            continue
        for name, dtype in part.schema.items():
            if not loses_digits(dtype, schema[name]):
                continue
            scan = scan_run([part], part.schema).select(
                low=column(name).min(), high=column(name).max()
            )
            low, high = scan.collect(engine="streaming").row(0)
            if low is not None and (low < -EXACT or high > EXACT):
                raise ValueError(
                    f"{part.file}: column {name!r} holds integers beyond 2**53, which the floats "
                    "of other files cannot tell apart: write it as one type in all files"
                )


def absent_columns(parts: list[Part], schema: Schema) -> dict[str, str]:
    """What to say of each column that some file does not have."""
    return {
        name: f"{lacking.file}: has no column {name!r}, which {having.file} has"
        for name in schema
        if (lacking := next((part for part in parts if name not in part.schema), None))
        for having in [next(part for part in parts if name in part.schema)]
    }
