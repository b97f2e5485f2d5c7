"""Subsets of a given size that keep most of a hypervolume."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from paretohqd.kernels import _core
from paretohqd.kernels.inputs import KernelInput
from paretohqd.kernels.points import count, optional_count


class Subset(NamedTuple):
    """Rows, and the hypervolume that they have.

    Attributes:
        rows: The rows, shape (k,), int64: in three objectives and more in the order of choice,
            else ascending; last, ascending, those that add no volume.
        volume: Their hypervolume, in the product of the objectives' units.
    """

    rows: NDArray[np.int64]
    volume: float


def hypervolume_subset(
    points: object,
    *,
    k: int,
    ref: ArrayLike,
    maximize: bool | Sequence[bool] = True,
    n_threads: int | None = None,
) -> Subset:
    """Choose k rows that keep most of the hypervolume.

    In one and two objectives no k rows have more, up to rounding: the best path of k points along
    the front, of which the steps are Monge (Aggarwal, Schieber, Tokuyama 1994; compare Bringmann,
    Friedrich, Klitzke 2014 and Kuhn et al. 2016 on hypervolume), O(n log n) for any k.

    In three and more, where the best k rows are NP-hard to find (Bringmann, Cabello, Emmerich
    2017), each row is the one that adds most to those chosen before. So the first j of the rows are
    those that are chosen for k = j, and they have at least 1 - 1/e, 63 %, of what the best k rows
    have (Nemhauser, Wolsey, Fisher 1978; Guerreiro, Fonseca, Paquete 2016); mostly it is nearly
    all. Bounds spare most measurements (Minoux 1978; Chen, Ishibuchi, Shang 2020), and no choice
    depends on the threads. O(k n m) for the bounds, and for each choice a few gains.

    Only rows that no row dominates are chosen, of equal ones the first. Rows that add equally much
    are chosen by their number. If fewer than k rows add volume, the first of the other rows follow,
    so that there are k in any case.

    Args:
        points: n points in m objectives, finite; as for `paretohqd.pareto_layers`.
        k: How many rows to choose, from 1 to n.
        ref: The reference point, one value per objective, as for `paretohqd.hypervolume`.
        maximize: Whether larger is better: one bool, or one per objective.
        n_threads: Threads to use; by default RAYON_NUM_THREADS, else one per core.

    Returns:
        `Subset(rows, volume)`: `volume` is what `paretohqd.hypervolume` says of these rows.

    Raises:
        ValueError: As for `paretohqd.hypervolume`, or `k` is not an integer from 1 to n.

    Example:
        >>> import paretohqd as pq
        >>> pq.hypervolume_subset([[1, 3], [2, 2.5], [3, 1], [0.5, 0.5]], k=2, ref=[0, 0])
        Subset(rows=array([1, 2]), volume=6.0)
        >>> points = [[1, 1, 3], [3, 1, 1], [2, 2, 2], [1, 3, 1]]
        >>> pq.hypervolume_subset(points, k=3, ref=[0, 0, 0]).rows
        array([2, 0, 1])
    """
    k, threads = count("k", k), optional_count("n_threads", n_threads)
    given = KernelInput.of(points, maximize, n_threads=threads)
    with given.refused(finite="hypervolume"):
        reference = given.point("ref", ref)
        if k > given.n:
            raise ValueError(
                f"k = {k} is more than the {given.n} rows there are; ask for at most {given.n}"
            )
        return Subset(*_core.hypervolume_subset(*given[:3], k, reference, threads))
