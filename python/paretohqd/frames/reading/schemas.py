"""The type that two columns have in common, and frames whose columns are cast to such types."""

from __future__ import annotations

from collections.abc import Mapping

import polars as pl
from polars import selectors

from paretohqd.kernels.numerals import refuse_inexact

_UNITS = ("ms", "us", "ns")
_FLOATS = (pl.Float16, pl.Float32, pl.Float64)
_TEXT = (pl.String, pl.Categorical, pl.Enum)


def column(name: str) -> pl.Expr:
    """The column with exactly this name: `pl.col` takes "^x.*$" for a pattern."""
    return selectors.by_name(name).as_expr()


def common_type(one: pl.DataType, other: pl.DataType) -> pl.DataType | None:
    """The type that holds the values of both types as they are, or None if there is none.

    Integers and floats become floats, even if these cannot hold all of the integers: callers check
    that with `loses_digits`.

    Example:
        >>> common_type(pl.Int8(), pl.Int64()), common_type(pl.Int64(), pl.Float32())
        (Int64, Float64)
        >>> common_type(pl.Null(), pl.List(pl.Int8)), common_type(pl.String(), pl.Int8())
        (List(Int8), None)
    """
    if one == other or other == pl.Null:
        return one
    if one == pl.Null:
        return other
    if one.is_numeric() and other.is_numeric():
        return _common_number(one, other)
    if one in _TEXT and other in _TEXT:
        return pl.String()
    if isinstance(one, pl.Datetime | pl.Date) and isinstance(other, pl.Datetime | pl.Date):
        return _common_time(one, other)
    if isinstance(one, pl.Duration) and isinstance(other, pl.Duration):
        return pl.Duration(max(one.time_unit, other.time_unit, key=_UNITS.index))
    if isinstance(one, pl.List | pl.Array) and isinstance(other, pl.List | pl.Array):
        inner = common_type(_inner(one), _inner(other))
        if inner is None:
            return None
        arrays = isinstance(one, pl.Array) and isinstance(other, pl.Array)
        if arrays and one.size == other.size:  # type: ignore[union-attr]
            return pl.Array(inner, one.size)  # type: ignore[union-attr]
        return pl.List(inner)
    if isinstance(one, pl.Struct) and isinstance(other, pl.Struct):
        fields = dict(one)
        for name, dtype in dict(other).items():
            common = common_type(fields.get(name, pl.Null()), dtype)  # type: ignore[arg-type]
            if common is None:
                return None
            fields[name] = common
        return pl.Struct(fields)
    return None


def _inner(dtype: pl.List | pl.Array) -> pl.DataType:
    return dtype.inner  # type: ignore[return-value]


def _common_number(one: pl.DataType, other: pl.DataType) -> pl.DataType:
    if isinstance(one, pl.Decimal) and isinstance(other, pl.Decimal):
        return pl.Decimal(38, max(one.scale, other.scale))
    if one.is_integer() and other.is_integer():
        for dtype in (pl.Int16, pl.Int32, pl.Int64, pl.UInt16, pl.UInt32, pl.UInt64):
            if _holds(dtype, one) and _holds(dtype, other):
                return dtype()
        return pl.Int128()
    if one in _FLOATS and other in _FLOATS:
        return max(one, other, key=lambda each: _FLOATS.index(type(each)))
    small = (pl.Int8, pl.UInt8, pl.Int16, pl.UInt16, pl.Float32)
    return pl.Float32() if one in small and other in small else pl.Float64()


def _holds(dtype: type[pl.DataType], integer: pl.DataType) -> bool:
    low, high = (pl.select(end).item() for end in (dtype.min(), dtype.max()))  # type: ignore[attr-defined]
    least, most = (pl.select(end).item() for end in (integer.min(), integer.max()))  # type: ignore[attr-defined]
    return bool(low <= least and most <= high)


def _common_time(one: pl.Datetime | pl.Date, other: pl.Datetime | pl.Date) -> pl.DataType | None:
    if isinstance(one, pl.Date):
        return other
    if isinstance(other, pl.Date):
        return one
    if one.time_zone != other.time_zone:
        return None
    return pl.Datetime(max(one.time_unit, other.time_unit, key=_UNITS.index), one.time_zone)


def loses_digits(one: pl.DataType, other: pl.DataType) -> bool:
    """Whether a value of one type may lose digits in the other: large integers as floats."""
    return one in (pl.Int64, pl.UInt64, pl.Int128, pl.UInt128) and other in _FLOATS


def aligned(
    frame: pl.LazyFrame, have: Mapping[str, pl.DataType], want: Mapping[str, pl.DataType]
) -> pl.LazyFrame:
    """A frame with the wanted columns, in their order; columns that it lacks are null.

    Args:
        frame: The frame.
        have: Its columns.
        want: The columns to return; each type can hold all values of the frame's own type.
    """
    if list(have.items()) == list(want.items()):
        return frame
    return frame.select(
        pl.lit(None, dtype).alias(name)
        if name not in have
        else column(name)
        if have[name] == dtype
        # Fields of structs are matched by name, and missing ones become null, unless `strict`.
        else column(name).cast(dtype, strict=not dtype.is_nested())
        for name, dtype in want.items()
    )


def converted(frame: pl.DataFrame, want: Mapping[str, pl.DataType]) -> pl.DataFrame:
    """A frame in memory with its columns cast to types that they share with other frames.

    Raises:
        ValueError: A column holds integers that floats cannot tell apart.
    """
    for name, dtype in want.items():
        if loses_digits(frame.schema[name], dtype):
            refuse_inexact(
                name,
                frame[name].alias(""),  # Polars takes some names for patterns.
                problem="the floats of other parts cannot tell apart: write it as one type in all "
                "parts",
            )
    return frame.with_columns(
        column(name).cast(dtype, strict=not dtype.is_nested())
        for name, dtype in want.items()
        if frame.schema[name] != dtype
    )
