"""A slow, readable twin of rust/achievement: caps on the shortfalls, one row after another.

A row can be among the k best only if its shortfall in no objective is above what the k-th best so
far allows there: the largest shortfall itself where the direction is 0, else the largest term
times the direction, and a little for rounding. A sample of the rows sets the first caps; if fewer
than k rows are within, they are taken from k sampled rows, which is certain. O(n m) per preference.
"""

from __future__ import annotations

import math
from functools import cmp_to_key

import numpy as np
from numpy.typing import NDArray

from helpers.oracle import least_achievement


def least(
    points: NDArray, ideal: NDArray, direction: NDArray, k: int, *, stride: int = 8
) -> list[int]:
    """The k rows of least achievement for one preference, the best first."""
    shortfalls = np.asarray(ideal) - np.asarray(points, dtype=np.float64)
    sample, rows = range(0, len(points), stride), range(len(points))
    expected = k * len(sample) / len(points)
    guess = min(k, int(expected + 4 * math.sqrt(expected) + 4))
    before = in_order(points, ideal, direction)
    none = np.full(len(direction), np.inf)

    def look(rows: range, k: int, caps: NDArray) -> list[int]:
        """The k best of `rows` among those within the caps."""
        best: list[int] = []
        for row in rows:
            if (shortfalls[row] <= caps).all():
                best = sorted([*best, row], key=before)[:k]
                if len(best) == k:
                    caps = np.minimum(caps, caps_of(shortfalls[best[-1]], direction))
        return best

    def first_caps(count: int) -> NDArray:
        best = look(sample, count, none)
        return caps_of(shortfalls[best[-1]], direction) if len(best) == count else none

    best = look(rows, k, first_caps(guess))
    return best if len(best) == k else look(rows, k, first_caps(k))


def caps_of(shortfalls: NDArray, direction: NDArray) -> NDArray:
    """How much a row may fall short in each objective, if it is not to come after this one."""
    firm = direction == 0
    if firm.any():
        # Whoever is better in these may be anything in the others.
        return np.where(firm, shortfalls[firm].max(), np.inf)
    most = (shortfalls / direction).max()
    return most * direction + 1e-12 * abs(most) * direction


def in_order(points: NDArray, ideal: NDArray, direction: NDArray):
    """A key that sorts rows by the definition."""

    def compare(a: int, b: int) -> int:
        # Of two equal rows the earlier is first.
        pair = points[[min(a, b), max(a, b)]]
        first = least_achievement(pair, ideal, direction, 1)[0][0]
        return 0 if a == b else -1 if (first == 0) == (a < b) else 1

    return cmp_to_key(compare)
