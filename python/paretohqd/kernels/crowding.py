"""Crowding distance: how far apart the neighbours of each point lie."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from paretohqd.kernels import _core
from paretohqd.kernels.groups import Keys, group_ids, keys_of
from paretohqd.kernels.inputs import KernelInput
from paretohqd.kernels.points import optional_count


def crowding_distance(
    points: object,
    *,
    maximize: bool | Sequence[bool] = True,
    groups: Keys | None = None,
    by: Keys | None = None,
    n_threads: int | None = None,
) -> NDArray[np.float64]:
    """Compute the crowding distance of every point (Deb et al. 2002, NSGA-II, section III-B).

    In each objective the points are sorted; a point gets the gap between its two neighbours'
    values, divided by the range of all values; the first and the last point get infinity. The
    distance is the sum over the objectives (pymoo divides it by their number). An objective in
    which all points are equal adds nothing.

    Of points that are equal in every objective the first gets the distance that it has without the
    others, and these get 0. Points that are equal in one objective are ordered there by the other
    objectives, from the first on: so one alone of the points that share the largest value is an
    extreme, and a distance does not depend on the order of the rows. A point that is alone, or
    alone with its copies, gets infinity.

    O(m n log n).

    Args:
        points: n points in m objectives, finite; as for `paretohqd.pareto_layers`.
        maximize: Whether larger is better: one bool, or one per objective. It matters only to the
            order of ties.
        groups: A key per row: distances within each group, such as the Pareto layers, which is how
            NSGA-II takes them.
        by: Another name for `groups`, which is what the functions on frames call it.
        n_threads: Threads to use; by default RAYON_NUM_THREADS, else one per core.

    Returns:
        The distance of each point, shape (n,), float64; it has no unit.

    Raises:
        ValueError: A value is null, NaN or infinite, or `groups` has another length or a null or is
            given under both names.

    Example:
        >>> import paretohqd as pq
        >>> pq.crowding_distance([[0, 4], [1, 2], [2, 1], [4, 0], [2, 1]])
        array([ inf, 1.25, 1.25,  inf, 0.  ])
        >>> points = [[0, 3], [1, 2], [3, 0], [0, 1], [1, 0]]
        >>> pq.crowding_distance(points, groups=pq.pareto_layers(points))
        array([inf,  2., inf, inf, inf])
    """
    keys, threads = keys_of(groups, by), optional_count("n_threads", n_threads)
    given = KernelInput.of(points, maximize, n_threads=threads)
    with given.refused(finite="crowding distance"):
        if keys is None:
            return _core.crowding_distance(*given[:3], threads)
        ids, size = group_ids(keys, given.n)
        return _core.crowding_distance_in_groups(*given[:3], ids, size, threads)
