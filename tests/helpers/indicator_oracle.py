"""The definitions of the indicators, word for word and slow. Larger is better."""

from itertools import combinations

import numpy as np
from numpy.typing import NDArray

from helpers import oracle


def crowding_distance(points: NDArray) -> NDArray[np.float64]:
    """Per objective, the gap between the next point above and the next below, over the range."""
    rows = [tuple(map(float, row)) for row in np.asarray(points, dtype=np.float64) + 0.0]
    result = np.zeros(len(rows))
    distinct = set(rows)
    for i, row in enumerate(rows):
        if row in rows[:i]:
            continue  # a copy
        if len(distinct) == 1:
            result[i] = np.inf
            continue
        for j in range(len(row)):
            # Ties in the objective are ordered by the others.
            keys = [(other[j], other) for other in distinct]
            width = max(keys)[0] - min(keys)[0]
            above = [key for key in keys if key > (row[j], row)]
            below = [key for key in keys if key < (row[j], row)]
            if not width:
                continue
            result[i] += (min(above)[0] - max(below)[0]) / width if above and below else np.inf
    return result


def igd_plus(points: NDArray, ref: NDArray) -> float:
    """Mean over the reference of the nearest point's distance in what it lacks."""
    lacks = np.maximum(ref[:, None] - points[None], 0)
    return float(np.sqrt((lacks**2).sum(axis=2)).min(axis=1).mean())


def epsilon_additive(points: NDArray, ref: NDArray) -> float:
    """What must be added to all points to reach every reference point."""
    return float((ref[:, None] - points[None]).max(axis=2).min(axis=1).max())


def r2_indicator(points: NDArray, weights: NDArray, ideal: NDArray) -> float:
    """Mean over the weights of the nearest point's weighted Tchebycheff distance."""
    return float((weights[:, None] * np.abs(ideal - points)[None]).max(axis=2).min(axis=1).mean())


def largest_volume(points: NDArray, ref: NDArray, k: int) -> float:
    """The largest hypervolume of k rows, of all choices."""
    choices = combinations(range(len(points)), k)
    return max(oracle.hypervolume(points[list(rows)], ref) for rows in choices)


def greedy_rows(points: NDArray, ref: NDArray, k: int) -> list[int]:
    """One row after another: of those that no row dominates the one that adds most, the first."""
    front = np.flatnonzero(oracle.layers(points) == 0).tolist()
    rows: list[int] = []
    while len(rows) < k:
        had = oracle.hypervolume(points[rows], ref)
        gains = {row: oracle.hypervolume(points[[*rows, row]], ref) - had for row in front}
        best = max(gains, key=lambda row: (gains[row], -row), default=0)
        if not gains.get(best, 0.0) > 0:
            break
        rows.append(best)
    others = [row for row in range(len(points)) if row not in rows]
    return rows + others[: k - len(rows)]
