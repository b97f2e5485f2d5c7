"""A slow, readable twin of rust/rays: the screen and the bounds, one row after another.

The distance to a ray is |q - t u| with q = v - o and t = max(0, q.u). Its square is at least
|q|² - (q.u)²; in single precision that is cheap but cancels, so with an allowance for rounding
(Higham, Accuracy and Stability of Numerical Algorithms, 2002, section 3.1) it only screens rows
out. A sample of the rows guesses a first bound; if fewer than k rows lie within, the bound is
taken from k sampled rows, which is certain. O(n m) per ray.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

Found = tuple[float, int]
NONE: Found = (math.inf, 2**62)


def nearest(
    points: NDArray, origin: NDArray, through: NDArray, k: int, *, stride: int = 8
) -> list[Found]:
    """The k nearest rows to one ray as (distance, row); equal distances go to the earlier row."""
    u = (through - origin) / np.linalg.norm(through - origin)
    q = np.asarray(points, dtype=np.float64) - origin
    sample, rows = range(0, len(q), stride), range(len(q))
    expected = k * len(sample) / len(q)
    guess = min(k, int(expected + 4 * math.sqrt(expected) + 4))
    result = look(q, u, rows, k, bound(look(q, u, sample, guess, NONE), guess))
    if len(result) < k:
        result = look(q, u, rows, k, bound(look(q, u, sample, k, NONE), k))
    return result


def bound(result: list[Found], k: int) -> Found:
    """What a row must be nearer than, once k rows are found."""
    return result[-1] if len(result) == k else NONE


def look(q: NDArray, u: NDArray, rows: range, k: int, limit: Found) -> list[Found]:
    """The k nearest of `rows` among those within the limit."""
    results: list[Found] = []
    for row in rows:
        if screened(q[row], u) > limit[0] ** 2 * (1 + 2.0**-22) + 2.0**-100:
            continue
        residual = q[row] - max(0.0, float(q[row] @ u)) * u
        entry = (math.sqrt(float(residual @ residual)), row)
        if entry <= limit:
            results = sorted([*results, entry])[:k]
            limit = min(limit, bound(results, k))
    return results


def screened(q: NDArray, u: NDArray) -> float:
    """At most the squared distance, whatever single precision rounds."""
    rounded = q.astype(np.float32)
    along = np.dot(rounded, u.astype(np.float32))
    less = np.float32(1 - (4 * len(q) + 16) * 2.0**-24)
    return float(np.dot(rounded, rounded) * less - along * along)
