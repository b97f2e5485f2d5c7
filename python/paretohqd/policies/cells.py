"""Which trained preferences stand for one that nobody trained: its cell of the simplex."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.optimize import linprog, nnls

Floats = NDArray[np.float64]

SAME = 1e-6
"""Distance up to which two preferences are one."""
LEAST = 1e-9
"""Shares below this are rounding."""


@dataclass(frozen=True, kw_only=True)
class Parts:
    """Trained preferences that stand for another one."""

    places: tuple[int, ...]
    """Numbers of the trained preferences."""
    shares: tuple[float, ...]
    """How much of each; they sum to 1."""
    weights: tuple[float, ...]
    """The preference that these make: the one that was asked for, or the nearest that there is."""

    @property
    def exact(self) -> bool:
        """Whether it is a trained one."""
        return len(self.places) == 1


def parts_of(weights: Sequence[float], trained: ArrayLike) -> Parts:
    """The trained preferences around a point of the simplex, and how much each counts there.

    A trained preference stands for itself. Any other lies in a cell of the Delaunay triangulation
    of the trained ones, and its shares are its barycentric coordinates there: of all ways to write
    it as a mean of trained preferences that with the nearest ones (of the least mean squared
    distance), found by a linear program. Where it lies outside of all cells, the nearest mean of
    trained preferences takes its place.

    Args:
        weights: M numbers, at least 0, that sum to 1.
        trained: (P, M), preferences.

    Returns:
        At most M of them.

    Example:
        >>> trained = [(1, 0), (0.5, 0.5), (0, 1)]
        >>> parts_of((0.7, 0.3), trained)
        Parts(places=(0, 1), shares=(0.4, 0.6), weights=(0.7, 0.3))
        >>> parts_of((0.5, 0.5), trained).exact
        True
    """
    w, points = np.asarray(weights, dtype=np.float64), np.asarray(trained, dtype=np.float64)
    distances = np.square(points - w).sum(axis=1)
    nearest = int(distances.argmin())
    if distances[nearest] <= SAME**2:
        return Parts(places=(nearest,), shares=(1.0,), weights=tuple(points[nearest].tolist()))
    # The last row holds the shares' sum to 1, a thousand times as hard as the rest to the point.
    sums = np.vstack([points.T, np.full(len(points), 1e3)])
    near, _ = nnls(sums, np.append(w, 1e3))
    reached = points.T @ (near / near.sum())
    if np.abs(reached - w).max() <= SAME:
        reached = w
    distances = np.square(points - reached).sum(axis=1)
    found = linprog(
        distances,
        A_eq=np.vstack([points.T, np.ones(len(points))]),
        b_eq=np.append(reached, 1.0),
        method="highs-ds",
    )
    shares: Floats = found.x if found.success else near / near.sum()
    shares = np.where(shares > LEAST, shares, 0.0)
    shares = (shares / shares.sum()).round(12)
    places = np.flatnonzero(shares)
    return Parts(
        places=tuple(places.tolist()),
        shares=tuple(shares[places].tolist()),
        weights=tuple(reached.round(12).tolist()),
    )
