"""Pareto layers: how many times the front must be peeled off before a row is on it."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from paretohqd.kernels import _core
from paretohqd.kernels.groups import Keys, group_ids, keys_of
from paretohqd.kernels.inputs import KernelInput
from paretohqd.kernels.points import optional_count


def pareto_layers(
    points: object,
    *,
    maximize: bool | Sequence[bool] = True,
    upto: int | None = None,
    at_least: int | None = None,
    groups: Keys | None = None,
    by: Keys | None = None,
    n_threads: int | None = None,
) -> NDArray[np.int32]:
    """Number the Pareto layer of every row.

    Layer 0 is the front: the rows that no row dominates. Layer i + 1 is the front of what is left
    without the layers up to i. A row dominates another when it is at least as good in every
    objective and better in one; equal rows share a layer. Infinities are ordered like numbers.

    One objective is sorted; two are patience-sorted, O(n log n); three keep a staircase per front,
    O(n log² n); more are divided and conquered (Jensen 2003; Fortin, Grenier, Parizeau 2013;
    Buzdalov, Shalyto 2014), O(n log^(m-1) n). Up to 256 rows are sorted into fronts one by one
    (Zhang, Tian, Cheng, Jin 2015). The result does not depend on the threads.

    Args:
        points: n points in m objectives: an (n, m) array of floats or integers, a frame, or a
            sequence of 1-D columns; see `paretohqd.kernels.points.Objectives.of`.
        maximize: Whether larger is better: one bool, or one per objective.
        upto: Stop after this many layers.
        at_least: Stop after the first layer with which at least this many rows are covered.
            Layers are never cut; if there are fewer rows, all are numbered.
        groups: A key per row (integers, strings, any hashable): layers are counted within each
            group, and a stop acts in each group on its own.
        by: Another name for `groups`, which is what the functions on frames call it.
        n_threads: Threads to use; by default RAYON_NUM_THREADS, else one per core.

    Returns:
        The layer of each row, shape (n,), int32: 0 is the front, -1 is past the stop.

    Raises:
        ValueError: A value is null or NaN, a column is not numeric, `groups` has another length
            or a null or is given under both names, or the stop is not one positive integer.

    Example:
        >>> import paretohqd as pq
        >>> pq.pareto_layers([[3, 1], [1, 3], [2, 1], [0, 0]])
        array([0, 0, 1, 2], dtype=int32)
        >>> pq.pareto_layers([[3, 1], [1, 3], [2, 1], [0, 0]], upto=1)
        array([ 0,  0, -1, -1], dtype=int32)
        >>> pq.pareto_layers([[3, 1], [1, 3], [2, 1], [0, 0]], by=["a", "a", "b", "b"])
        array([0, 0, 0, 1], dtype=int32)
    """
    upto, at_least = optional_count("upto", upto), optional_count("at_least", at_least)
    if upto is not None and at_least is not None:
        raise ValueError(f"choose one of upto ({upto}) and at_least ({at_least}); both are stops")
    keys, threads = keys_of(groups, by), optional_count("n_threads", n_threads)
    given = KernelInput.of(points, maximize, n_threads=threads)
    # No stop lies beyond the rows; a longer count might not fit the kernels' integers.
    upto = None if upto is None else min(upto, max(given.n, 1))
    at_least = None if at_least is None else min(at_least, max(given.n, 1))
    with given.refused():
        if keys is None:
            return _core.pareto_layers(*given[:3], upto, at_least, threads)
        ids, size = group_ids(keys, given.n)
        return _core.pareto_layers_by_group(*given[:3], ids, size, upto, at_least, threads)


def pareto_front(
    points: object,
    *,
    maximize: bool | Sequence[bool] = True,
    groups: Keys | None = None,
    by: Keys | None = None,
    n_threads: int | None = None,
) -> NDArray[np.bool_]:
    """Mark the rows that no row dominates.

    Equal rows on the front are all marked.

    Args:
        points: n points in m objectives, as for `pareto_layers`.
        maximize: Whether larger is better: one bool, or one per objective.
        groups: A key per row: the front of each group is marked.
        by: Another name for `groups`.
        n_threads: Threads to use; by default RAYON_NUM_THREADS, else one per core.

    Returns:
        Whether each row is on the front, shape (n,), bool.

    Raises:
        ValueError: As for `pareto_layers`.

    Example:
        >>> import paretohqd as pq
        >>> pq.pareto_front([[3, 1], [1, 3], [2, 1], [0, 0]])
        array([ True,  True, False, False])
    """
    layers = pareto_layers(
        points, maximize=maximize, upto=1, groups=groups, by=by, n_threads=n_threads
    )
    return np.equal(layers, 0)
