"""Volumes and contributions in fractions, slice after slice: right for every double."""

from __future__ import annotations

from fractions import Fraction
from itertools import pairwise
from typing import Any

from numpy.typing import NDArray

Row = tuple[Fraction, ...]


def rows_of(points: NDArray[Any]) -> list[Row]:
    """The rows as fractions."""
    return [tuple(Fraction(float(x)) for x in row) for row in points]


def volume(rows: list[Row], corner: Row) -> Fraction:
    """The volume of the union of the boxes from the corner up to each row."""
    rows = [row for row in rows if all(x > least for x, least in zip(row, corner, strict=True))]
    if not rows or len(corner) == 1:
        return max((x for (x,) in rows), default=corner[0]) - corner[0] if rows else Fraction(0)
    levels = sorted({row[-1] for row in rows}, reverse=True)
    total = Fraction(0)
    for high, low in pairwise([*levels, corner[-1]]):
        slab = list({row[:-1] for row in rows if row[-1] >= high})
        total += (high - low) * volume(slab, corner[:-1])
    return total


def contributions(rows: list[Row], corner: Row) -> list[Fraction]:
    """What is lost without each row."""
    whole = volume(rows, corner)
    return [whole - volume(rows[:i] + rows[i + 1 :], corner) for i in range(len(rows))]


def box(row: Row, corner: Row) -> Fraction:
    """The volume from the corner up to one row."""
    sides = Fraction(1)
    for x, least in zip(row, corner, strict=True):
        sides *= max(x - least, Fraction(0))
    return sides


def double(x: Fraction) -> float:
    """The nearest double; infinite beyond the largest."""
    try:
        return float(x)
    except OverflowError:
        return float("inf")
