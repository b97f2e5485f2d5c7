"""The definitions, word for word and slow: what every kernel is tested against."""

from fractions import Fraction
from itertools import pairwise, product

import numpy as np
from numpy.typing import NDArray


def dominates(a: NDArray, b: NDArray) -> NDArray[np.bool_]:
    """At least as good in every objective and better in one; of arrays of points, pair by pair."""
    return (a >= b).all(axis=-1) & (a > b).any(axis=-1)


def layers(points: NDArray) -> NDArray[np.int32]:
    """Peel the front off until no row is left."""
    points = np.asarray(points, dtype=np.float64)
    by_each = dominates(points[:, None], points[None])
    result = np.full(len(points), -1, dtype=np.int32)
    layer = 0
    while (left := result == -1).any():
        result[left & ~by_each[left].any(axis=0)] = layer
        layer += 1
    return result


def stopped(all_layers: NDArray[np.int32], *, upto: int | None = None, at_least: int | None = None):
    """What a stop leaves of all layers."""
    if at_least is not None:
        sizes = np.bincount(all_layers).cumsum() if len(all_layers) else np.zeros(1, dtype=int)
        enough = np.flatnonzero(sizes >= at_least)
        upto = int(enough[0]) + 1 if len(enough) else len(sizes)
    return np.where(all_layers < upto, all_layers, -1).astype(np.int32)


def hypervolume(points: NDArray, ref: NDArray) -> float:
    """Cut space along all coordinates and add up the cells that some point covers, in fractions."""
    exact = [[Fraction(float(x)) for x in row] for row in points]
    corner = [Fraction(float(x)) for x in ref]
    exact = [row for row in exact if all(x > r for x, r in zip(row, corner, strict=True))]
    edges = [sorted({r, *(row[j] for row in exact)}) for j, r in enumerate(corner)]
    total = Fraction(0)
    for cell in product(*(list(pairwise(e)) for e in edges)):
        if any(all(x >= high for x, (_, high) in zip(row, cell, strict=True)) for row in exact):
            volume = Fraction(1)
            for low, high in cell:
                volume *= high - low
            total += volume
    return float(total)


def contributions(points: NDArray, ref: NDArray) -> NDArray[np.float64]:
    """What is lost without each point."""
    whole = hypervolume(points, ref)
    return np.array(
        [whole - hypervolume(np.delete(points, i, axis=0), ref) for i in range(len(points))]
    )


def distance(point: NDArray, origin: NDArray, through: NDArray) -> float:
    """Distance of a point to the ray from origin through a further point."""
    u = (through - origin) / np.linalg.norm(through - origin)
    t = max(0.0, float((point - origin) @ u))
    return float(np.linalg.norm(point - origin - t * u))


def least_achievement(
    points: NDArray, ideal: NDArray, direction: NDArray, k: int
) -> tuple[list[int], list[float]]:
    """The k rows of least achievement, sorted by the whole of what orders them, and their values.

    The largest shortfall where the direction is 0, then the largest term of the others, then both
    sums as they round, then both without rounding, then the row.
    """
    largest = float(np.finfo(np.float64).max)
    keys = []
    for row, point in enumerate(np.asarray(points, dtype=np.float64).tolist()):
        most, sums, exact = [-np.inf, -np.inf], [0.0, 0.0], [Fraction(0), Fraction(0)]
        for value, best, d in zip(point, map(float, ideal), map(float, direction), strict=True):
            side = int(d > 0)
            term = (best - value) / (d or 1.0)
            most[side] = max(most[side], term)
            sums[side] += min(max(term, -largest), largest)
            exact[side] -= Fraction(value) / Fraction(d or 1.0)
        keys.append((most, sums, exact, row))
    keys = sorted(keys)[:k]
    first = int(all(direction))
    return [key[3] for key in keys], [key[0][first] for key in keys]
