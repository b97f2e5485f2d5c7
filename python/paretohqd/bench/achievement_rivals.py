"""The rows of least achievement in NumPy: no package has them."""

from __future__ import annotations

from typing import Any

import numpy as np

from paretohqd.bench.clouds import Cloud
from paretohqd.bench.rivals import Rival, Trial


def whole_columns(preferences: int, k: int) -> Rival:
    """The achievement of every row, of which the k least are sorted, preference by preference."""

    def prepare(cloud: Cloud) -> Trial:
        ideal, directions = cloud.ideal, cloud.directions(preferences)
        columns = np.ascontiguousarray(cloud.points.T)

        def call() -> Any:
            least = []
            for direction in directions:
                most, total = _terms(columns, ideal, direction)
                within = most <= np.partition(most, k - 1)[k - 1]
                rows = np.flatnonzero(within)
                order = np.lexsort((rows, total[rows], most[rows]))[:k]
                least.append((rows[order], most[rows[order]]))
            return tuple(map(np.array, zip(*least, strict=True)))

        return Trial(call=call)

    return Rival(package="numpy", call="our code, all rows", prepare=prepare)


def whole_groups(preferences: int, size: int) -> Rival:
    """The row of least achievement of each group, for its own ideal, groups side by side."""

    def prepare(cloud: Cloud) -> Trial:
        directions = cloud.directions(preferences)
        groups = cloud.n // size
        columns = np.ascontiguousarray(cloud.points[: groups * size].T)
        columns = columns.reshape(cloud.m, groups, size)
        first = np.arange(groups) * size

        def call() -> Any:
            ideals = columns.max(axis=2, keepdims=True)
            rows, values = [], []
            for direction in directions:
                most, _ = _terms(columns, ideals, direction)
                best = most.argmin(axis=1)
                rows.append(first + best)
                values.append(np.take_along_axis(most, best[:, None], axis=1)[:, 0])
            return np.array(rows), np.array(values)

        return Trial(call=call)

    return Rival(package="numpy", call="our code, all groups", prepare=prepare)


def _terms(columns: Any, ideal: Any, direction: Any) -> tuple[Any, Any]:
    """The largest term of each row, and the sum of its terms."""
    most = total = (ideal[0] - columns[0]) / direction[0]
    for column, best, fall in zip(columns[1:], ideal[1:], direction[1:], strict=True):
        term = (best - column) / fall
        most, total = np.maximum(most, term), total + term
    return most, total
