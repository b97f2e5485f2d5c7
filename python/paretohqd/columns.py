"""The score columns of a frame: which ones they are and whether they can be traded off."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Literal

import polars as pl

from paretohqd.objectives import Objectives


def columns_of(
    frame: pl.DataFrame, objectives: Sequence[str] | Mapping[str, str]
) -> tuple[pl.DataFrame, list[bool]]:
    """The objectives' columns of a frame, and whether larger is better in each.

    Raises:
        ValueError: no such column, one named twice, one of arrays, or a direction that is not
            "max" or "min".

    Example:
        >>> frame = pl.DataFrame({"id": [7], "helpful": [0.5], "length": [12]})
        >>> scores, larger = columns_of(frame, {"helpful": "max", "length": "min"})
        >>> scores.columns, larger
        (['helpful', 'length'], [True, False])
    """
    if not isinstance(frame, pl.DataFrame):
        hint = ": collect it first" if isinstance(frame, pl.LazyFrame) else ""
        raise ValueError(f"frame: expected a polars.DataFrame, got {type(frame).__name__}{hint}")
    if isinstance(objectives, str) or not isinstance(objectives, Iterable):
        raise ValueError(f"objectives: expected a list of column names, got {objectives!r}")
    names = list(objectives)
    for name in names:
        refuse_missing(frame, name, "objectives")
        if names.count(name) > 1:
            raise ValueError(f"objectives: column {name!r} is named twice")
        if isinstance(frame.schema[name], pl.Array):
            raise ValueError(f"objectives: column {name!r} holds arrays: make each score a column")
    if not isinstance(objectives, Mapping):
        return frame.select(names), [True] * len(names)
    for name, direction in objectives.items():
        if direction not in ("max", "min"):
            raise ValueError(f"objectives: {name}: expected 'max' or 'min', got {direction!r}")
    return frame.select(names), [direction == "max" for direction in objectives.values()]


def tradeable(
    frame: pl.DataFrame,
    objectives: Sequence[str] | Mapping[str, str],
    *,
    nan: Literal["raise", "drop"] = "raise",
) -> Objectives:
    """The objectives of a frame, refused where no preference could have a ray among them.

    Raises:
        ValueError: as `columns_of`; fewer than two objectives, null or NaN, an infinite or a
            constant column.
    """
    scores, larger = columns_of(frame, objectives)
    if len(larger) < 2:
        raise ValueError("objectives: a trade-off needs two or more columns; for one, sort by it")
    points = Objectives.of(scores, maximize=larger, nan=nan)
    points.require_finite("a preference's ray")
    for name, column, up in zip(points.names, points.columns, larger, strict=True):
        if points.n and column.min() == column.max():
            value = column[0] if up else -column[0]
            raise ValueError(
                f"column {name!r} is constant ({value:g} in all {points.n} rows), so that nothing "
                "can be traded for it: leave it out of the objectives"
            )
    return points


def refuse_missing(frame: pl.DataFrame, name: object, where: str) -> None:
    """Raise a ValueError if the frame has no such column."""
    if name not in frame.columns:
        raise ValueError(f"{where}: no column {name!r}: the frame has {', '.join(frame.columns)}")


def refuse_taken(frame: pl.DataFrame, added: Iterable[str]) -> None:
    """Raise a ValueError if the frame already has a column that a result adds."""
    for name in added:
        if name in frame.columns:
            raise ValueError(f"the frame already has a column {name!r}, which is added: rename it")
