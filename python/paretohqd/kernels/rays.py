"""Rays: the rows nearest to the half-line of each preference, and lattices of preferences."""

from __future__ import annotations

import sys
from itertools import chain, combinations
from math import comb
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from paretohqd.kernels import _core
from paretohqd.kernels.inputs import KernelInput
from paretohqd.kernels.points import count, optional_count


class Nearest(NamedTuple):
    """The k rows nearest to each of P rays.

    Attributes:
        rows: Their indices, shape (P, k), int64, nearest first.
        distances: Their distances, shape (P, k), float64.
    """

    rows: NDArray[np.int64]
    distances: NDArray[np.float64]


def nearest_to_rays(
    points: object,
    origin: ArrayLike,
    through: ArrayLike,
    *,
    k: int,
    n_threads: int | None = None,
) -> Nearest:
    """Find the k rows nearest to each ray.

    A ray starts at its origin and runs through a further point without end. The distance of a row
    v is Euclidean: with u the unit vector along the ray and t = max(0, <v - origin, u>), it is
    `|v - origin - t u|`. Rows behind the origin are thus as far as the origin itself. The distance
    is computed in this residual form, which does not cancel. Equal distances go to the earlier
    row (one beyond the largest float is returned as infinite, but compared before that); the
    result does not depend on the threads. O(n m P) for P rays.

    Args:
        points: n points in m objectives, finite; as for `paretohqd.pareto_layers`. No objective is
            negated: rays are given in the units of the points.
        origin: Where the rays start: shape (m,) for all, or (P, m).
        through: A further point of each ray, shape (P, m).
        k: Rows per ray, at most n.
        n_threads: Threads to use; by default RAYON_NUM_THREADS, else one per core.

    Returns:
        `Nearest(rows, distances)`: the rows, shape (P, k), int64, nearest first, and their
        distances, shape (P, k), float64. Other libraries' queries give distances first: use the
        names.

    Raises:
        ValueError: A value is null, NaN or infinite, a shape does not fit, `k` is not between 1
            and n, or a ray has no direction because it goes through its own origin.

    Example:
        >>> import paretohqd as pq
        >>> nearest = pq.nearest_to_rays(
        ...     [[1.0, 0.0], [0.5, 0.4], [0.0, 1.0]], [1, 1], [[0, 0], [1, 0]], k=1
        ... )
        >>> nearest.rows
        array([[1],
               [0]])
        >>> nearest.distances.round(3)
        array([[0.071],
               [0.   ]])
    """
    k, threads = count("k", k), optional_count("n_threads", n_threads)
    given = KernelInput.of(points, n_threads=threads)
    n, m = given.n, given.m
    ends = _vectors("through", through, m)
    if ends.ndim != 2:
        raise ValueError(f"through has shape {ends.shape}; pass (P, {m}), a row per ray")
    starts = _vectors("origin", origin, m)
    if starts.ndim == 2 and len(starts) != len(ends):
        raise ValueError(
            f"origin has {len(starts)} rows but through has {len(ends)}; pass one origin for all "
            "rays or one per ray"
        )
    if k > n:
        raise ValueError(f"k = {k} is more than the {n} rows there are")
    still = (ends == starts).all(axis=1)
    if still.any():
        raise ValueError(
            f"ray {int(still.argmax())} has no direction: it goes through its own origin; pass a "
            "point that differs from the origin"
        )
    with given.refused(finite="a distance"):
        rows, distances = _core.nearest_to_rays(
            given.arrays, starts.ravel(), ends.ravel(), k, threads
        )
    return Nearest(rows.reshape(len(ends), k), distances.reshape(len(ends), k))


def _vectors(name: str, values: ArrayLike, m: int) -> NDArray[np.float64]:
    try:
        array = np.asarray(values, dtype=np.float64)
    except (TypeError, ValueError, OverflowError) as error:
        raise ValueError(f"{name} must hold rows of {m} numbers ({error})") from error
    if array.ndim not in (1, 2) or array.shape[-1] != m:
        raise ValueError(
            f"{name} has shape {array.shape} but there are {m} objectives; pass one value per "
            "objective in each row"
        )
    finite = np.isfinite(array)
    if not finite.all():
        raise ValueError(f"{name} must be finite, but {int((~finite).sum())} values are not")
    return array


def preference_grid(m: int, divisions: int) -> NDArray[np.float64]:
    """Lay an even grid of preferences over the simplex.

    The rows are all vectors (i_1, .., i_m) / divisions of integers >= 0 that sum to divisions, in
    descending lexicographic order: from (1, 0, .., 0), all weight on the first objective, to
    (0, .., 0, 1). There are C(divisions + m - 1, m - 1) of them (Das, Dennis 1998).

    Args:
        m: Number of objectives, at least 1.
        divisions: Steps from 0 to 1, at least 1.

    Returns:
        The preferences, shape (P, m), float64; each row sums to 1.

    Raises:
        ValueError: An argument is no integer of at least 1.
        MemoryError: So many rows do not fit into memory.

    Example:
        >>> import paretohqd as pq
        >>> pq.preference_grid(2, 2)
        array([[1. , 0. ],
               [0.5, 0.5],
               [0. , 1. ]])
        >>> pq.preference_grid(3, 4).shape
        (15, 3)
    """
    m, divisions = count("m", m), count("divisions", divisions)
    if m == 1:
        return np.ones((1, 1))
    # Stars and bars: m - 1 bars among the stars; the stars between them are the integers.
    places, fewer = divisions + m - 1, min(divisions, m - 1)
    # Beyond 64 of each there are more than 2**64, and counting how many would take long, too.
    rows = comb(places, fewer) if fewer <= 64 else 2**64
    if rows * m >= sys.maxsize // np.dtype(np.float64).itemsize:
        raise MemoryError(
            f"a grid of {divisions} divisions in {m} objectives has too many rows for any memory; "
            "lower one of the two"
        )
    chosen = chain.from_iterable(combinations(range(places), m - 1))
    bars = np.fromiter(chosen, dtype=np.int64, count=rows * (m - 1)).reshape(rows, m - 1)
    edges = np.hstack([np.full((len(bars), 1), -1), bars, np.full((len(bars), 1), places)])
    stars = np.diff(edges, axis=1) - 1
    return stars[::-1] / divisions
