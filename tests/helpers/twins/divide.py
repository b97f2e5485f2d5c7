"""Four objectives and more, readable and slow: divide and conquer, and the bound for a stop.

Rows are distinct and in descending lexicographic order, as the kernel sees them, so that a row is
dominated only by rows before it, and by one of those exactly when it is no worse in the other
objectives.
"""

import numpy as np
from numpy.typing import NDArray

DIRECT = 4


def divide_and_conquer(points: NDArray) -> NDArray[np.int32]:
    """Number the layers of distinct rows in descending lexicographic order.

    Jensen 2003; Fortin, Grenier, Parizeau 2013 for ties; O(n log^(m-1) n), Buzdalov, Shalyto 2014.
    """
    layers = np.zeros(len(points), dtype=np.int32)

    def raise_by(low: list[int], i: int, k: int) -> None:
        above = [j for j in low if j < i and (points[j, 1:k] >= points[i, 1:k]).all()]
        layers[i] = max([layers[i], *(layers[j] + 1 for j in above)])

    def halves(rows: list[int], j: int, cut: float) -> tuple[list[int], list[int]]:
        better = points[:, j] > cut
        return [i for i in rows if better[i]], [i for i in rows if not better[i]]

    def cuts(rows: list[int], j: int) -> list[float]:
        """Values at which rows can be split: the median, or else the next smaller one."""
        values = points[rows, j]
        median = np.sort(values)[len(values) // 2]
        return [median, *np.sort(values[values < median])[-1:]]

    def within(rows: list[int], k: int) -> None:
        """Number rows among themselves by their first k objectives."""
        if len(rows) <= DIRECT or k == 1:
            for i in rows:
                raise_by(rows, i, k)
            return
        for cut in cuts(rows, k - 1):
            better, worse = halves(rows, k - 1, cut)
            if better and worse:
                within(better, k)
                across(better, worse, k - 1)
                within(worse, k)
                return
        within(rows, k - 1)

    def across(low: list[int], high: list[int], k: int) -> None:
        """Raise high by the finished low, by their first k objectives."""
        if not low or not high:
            return
        if min(len(low), len(high)) <= DIRECT or k == 1:
            for i in high:
                raise_by(low, i, k)
            return
        for cut in cuts(low + high, k - 1):
            (low_better, low_worse), (high_better, high_worse) = (
                halves(low, k - 1, cut),
                halves(high, k - 1, cut),
            )
            if (low_better or high_better) and (low_worse or high_worse):
                # In any order, or at once: a layer only ever rises, and low is finished.
                across(low_better, high_worse, k - 1)
                across(low_better, high_better, k)
                across(low_worse, high_worse, k)
                return
        across(low, high, k - 1)

    within(list(range(len(points))), points.shape[1])
    return layers


def past_the_stop(
    points: NDArray, sample: NDArray, sample_layers: NDArray, upto: int, side: int = 4
) -> NDArray[np.bool_]:
    """Mark rows that a sample proves to be past the first `upto` layers; ours.

    A row of layer upto - 1 in the sample has that layer or a later one among all rows, so what it
    dominates is past the stop. A grid over all objectives but the last keeps, per cell, the best
    last objective of such rows that lie in a better cell in each of them: one look per row.
    """
    low, high = sample[:, :-1].min(axis=0), sample[:, :-1].max(axis=0)
    width = np.where(high > low, (high - low) / (side - 3), 1)

    def cells(rows: NDArray) -> NDArray[np.int64]:
        return np.clip(((rows[:, :-1] - low) // width).astype(int) + 1, 0, side - 1)

    bounds = np.full((side,) * (points.shape[1] - 1), -np.inf)
    for row, cell in zip(sample, cells(sample), strict=True):
        if sample_layers[(sample == row).all(axis=1)][0] == upto - 1 and (cell > 0).all():
            worse = tuple(slice(0, c) for c in cell)
            bounds[worse] = np.maximum(bounds[worse], row[-1])
    bound = bounds[tuple(cells(points).T)]
    return (points[:, -1] <= bound) & (bound > -np.inf)
