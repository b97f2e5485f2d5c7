"""The rows that serve preferences best: least achievement, as far as one must go from the ideal."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from paretohqd.kernels import _core
from paretohqd.kernels.groups import Keys, group_by_group, group_ids, keys_of
from paretohqd.kernels.inputs import KernelInput
from paretohqd.kernels.points import count, optional_count


class Achievements(NamedTuple):
    """The k rows of least achievement for each of P preferences.

    Attributes:
        rows: Their indices, shape (P, k), int64, the best first.
        values: Their achievements, shape (P, k), float64, ascending; where a preference lets an
            objective not fall at all, the largest shortfall in such an objective.
    """

    rows: NDArray[np.int64]
    values: NDArray[np.float64]


def least_achievement(
    points: object,
    ideal: ArrayLike | None,
    directions: ArrayLike,
    *,
    k: int,
    maximize: bool | Sequence[bool] = True,
    groups: Keys | None = None,
    by: Keys | None = None,
    n_threads: int | None = None,
) -> Achievements:
    """Find the k rows of least achievement for each preference.

    The achievement of a row v, seen from the ideal point r along a direction d, is the largest of
    (r_j - v_j) / d_j over the objectives j (Wierzbicki 1980; on a cloud below r it is the weighted
    Chebyshev norm of Bowman 1976): how often one must go d down from r until v is at least as good
    in every objective. Unlike the nearest row to the ray, the best by it is never dominated, and a
    weighted sum finds only some of the rows that it finds.

    Where d_j is 0, objective j must not fall: the largest shortfall r_j - v_j in such objectives
    counts before all others, so that with d = (0, 1) the rows best in the first come first, and
    those equal in it by the second. Equal achievements go to the smaller sum of the terms (first
    of those with d_j = 0), equal sums to the earlier row. No row comes before one that dominates
    it, however numbers round, so the k rows are in the first k Pareto layers. The result does not
    depend on the threads. O(n m P) for P preferences.

    Args:
        points: n points in m objectives, finite; as for `paretohqd.pareto_layers`.
        ideal: The ideal point, shape (m,), in the units of the points; rows may surpass it. None:
            the best value of each objective, in each group if there are groups.
        directions: How far each preference lets each objective fall, relative to the others, in the
            units of the points; at least 0, not all 0; shape (P, m).
        k: Rows per preference, at most n; with groups, per group, or all of a smaller one.
        maximize: Whether larger is better: one bool, or one per objective.
        groups: A key per row: rows are found within each group.
        by: The same by the name that the functions on frames use; pass one of the two.
        n_threads: Threads to use; by default RAYON_NUM_THREADS, else one per core.

    Returns:
        `Achievements(rows, values)`: the rows, shape (P, k), int64, the best first, and their
        achievements, shape (P, k), float64. With groups the rows of each group follow one another,
        groups in the order of their first rows; shape (P, T), with T the sum of min(k, size).

    Raises:
        ValueError: A value is null, NaN or infinite, a shape does not fit, a direction is negative
            or 0 in all objectives, or `k` is not between 1 and n.

    Example:
        >>> import paretohqd as pq
        >>> points = [[1.0, 0.0], [0.6, 0.5], [0.0, 1.0], [1.0, 0.1]]
        >>> least = pq.least_achievement(points, [1, 1], [[0.5, 0.5], [0, 1]], k=2)
        >>> least.rows
        array([[1, 3],
               [3, 0]])
        >>> least.values
        array([[1. , 1.8],
               [0. , 0. ]])
    """
    k, threads = count("k", k), optional_count("n_threads", n_threads)
    keys = keys_of(groups, by)
    given = KernelInput.of(points, maximize, n_threads=threads)
    with given.refused(finite="an achievement"):
        falls = _directions(directions, given.m)
        best = None if ideal is None else np.array(given.point("ideal", ideal))
        if keys is not None:
            ids, size = group_ids(keys, given.n)
            return _in_groups(given, ids, size, best, falls, k, threads)
        if k > given.n:
            raise ValueError(f"k = {k} is more than the {given.n} rows there are")
        rows, values = _core.least_achievement(
            *given[:2],
            given.best() if best is None else best,
            falls.ravel(),
            k,
            threads,
        )
    return Achievements(rows.reshape(len(falls), k), values.reshape(len(falls), k))


def _in_groups(
    points: KernelInput,
    ids: NDArray[np.uint32],
    size: int,
    ideal: NDArray[np.float64] | None,
    falls: NDArray[np.float64],
    k: int,
    threads: int | None,
) -> Achievements:
    """The same within each group."""
    # No group has more rows than there are; a longer count might not fit the kernel's integers.
    k = min(k, max(points.n, 1))
    order, starts = group_by_group(ids, size)
    if (np.diff(order) != 1).any():
        points = points._replace(arrays=[column[order] for column in points.columns])
    shape = len(starts) - 1, points.m
    ideals = points.best(starts[:-1]) if ideal is None else np.broadcast_to(ideal, shape)
    rows, values = _core.least_achievement_in_groups(
        *points[:3],
        starts.astype(np.uint32),
        ideals.ravel(),
        np.ones(shape).ravel(),
        falls.ravel(),
        k,
        threads,
    )
    per_preference = int(np.minimum(np.diff(starts), k).sum())
    shape = len(falls), per_preference
    return Achievements(order[rows].reshape(shape), values.reshape(shape))


def _directions(directions: ArrayLike, m: int) -> NDArray[np.float64]:
    falls = _numbers("directions", directions)
    if falls.ndim != 2 or falls.shape[1] != m:
        raise ValueError(
            f"directions has shape {falls.shape} but there are {m} objectives; pass (P, {m}), a "
            "row per preference"
        )
    if (falls < 0).any():
        first = int((falls < 0).any(axis=1).argmax())
        raise ValueError(
            f"directions: {int((falls < 0).sum())} numbers are negative (first in row {first}); "
            "pass how far each objective may fall, at least 0"
        )
    still = (falls == 0).all(axis=1)
    if still.any():
        raise ValueError(
            f"direction {int(still.argmax())} is 0 in all objectives; pass how far each may fall, "
            "at least one above 0"
        )
    return np.ascontiguousarray(falls)


def _numbers(name: str, values: ArrayLike) -> NDArray[np.float64]:
    try:
        array = np.asarray(values, dtype=np.float64)
    except (TypeError, ValueError, OverflowError) as error:
        raise ValueError(f"{name} must hold numbers ({error})") from error
    finite = np.isfinite(array)
    if not finite.all():
        raise ValueError(f"{name} must be finite, but {int((~finite).sum())} values are not")
    return array
