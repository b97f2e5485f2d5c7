"""Distances to a ray that are the same but for the rounding of their computation."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Rows = NDArray[np.int64]
Bools = NDArray[np.bool_]


def rounding(ideal: Floats) -> Any:
    """How much equal distances may differ once they are computed.

    Scaling a row to units of the box, the ray's unit vector, the foot on the ray and the residual
    take fewer than 4 M roundings each, of numbers up to the ideal point's (r_min is 0); 32 M half
    units in the last place is more than they come to.

    Args:
        ideal: The ideal point in the scaled units, shape (.., M).

    Returns:
        The allowance, shape (..).

    Example:
        >>> rounding(np.array([1.0, 1.0])) == 2.0**-47
        np.True_
    """
    return 16 * ideal.shape[-1] * np.finfo(np.float64).eps * ideal.max(axis=-1)


def settle_ties(
    places: Rows, distances: Floats, heads: Bools, allowance: Any
) -> tuple[Rows, Floats, Bools]:
    """Give equal distances one value, and sort what shares it by place.

    Args:
        places: What is at each distance, shape (n,), ray after ray, nearest first.
        distances: Its distance, shape (n,).
        heads: Where a ray's first is, shape (n,).
        allowance: Neighbours that differ by no more are equal; one number, or shape (n,).

    Returns:
        The places and distances, sorted by both, and where another distance starts.

    Example:
        >>> heads = np.array([True, False, False])
        >>> places, distances, _ = settle_ties(
        ...     np.array([7, 3, 5]), np.array([0.5, 0.5 + 1e-16, 0.75]), heads, 1e-14
        ... )
        >>> places.tolist(), distances.tolist()
        ([3, 7, 5], [0.5, 0.5, 0.75])
    """
    fresh = heads.copy()
    with np.errstate(invalid="ignore"):  # infinite distances are equal
        fresh[1:] |= np.diff(distances) > np.broadcast_to(allowance, len(distances))[1:]
    first = np.maximum.accumulate(np.where(fresh, np.arange(len(fresh)), 0))
    # Distances that are equal to the bit are in order already.
    early = ~fresh[1:] & (places[1:] < places[:-1])
    if early.any():
        tied = np.flatnonzero(np.isin(first, first[1:][early]))
        places = places.copy()
        places[tied] = places[tied][np.lexsort((places[tied], first[tied]))]
    return places, distances[first], fresh
