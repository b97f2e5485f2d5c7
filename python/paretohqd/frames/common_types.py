"""Columns of rows that come in parts: which types hold the values of all."""

from __future__ import annotations

from collections.abc import Mapping

import polars as pl

from paretohqd.frames.reading.schemas import common_type


def types_of_both(before: pl.Schema, now: pl.Schema) -> dict[str, pl.DataType]:
    """The types that hold the values of two frames with the same columns.

    Args:
        before: The columns of the rows before.
        now: Those of further rows.

    Raises:
        ValueError: The columns have other names or another order, or two types have none in common.

    Example:
        >>> types_of_both(pl.Schema({"a": pl.Int64()}), pl.Schema({"a": pl.Float64()}))
        {'a': Float64}
    """
    types = {name: common_type(kind, now.get(name, pl.Null())) for name, kind in before.items()}
    if now.names() != before.names() or None in types.values():
        raise ValueError(
            f"the columns differ from those of the rows before: {_difference(before, now, types)}"
        )
    return types  # type: ignore[return-value]


def _difference(before: pl.Schema, now: pl.Schema, types: Mapping[str, pl.DataType | None]) -> str:
    for name, kind in before.items():
        if name not in now:
            return f"no column {name!r}"
        if types[name] is None:
            return f"column {name!r} is {now[name]}, was {kind}"
    if more := [name for name in now.names() if name not in before]:
        return f"a new column {more[0]!r}"
    return f"another order of columns: {', '.join(now.names())}"
