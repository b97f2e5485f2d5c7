"""Rank correlation, and how evenly a front is covered."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

Floats = NDArray[np.float64]


def _average_ranks(values: Floats) -> Floats:
    _, inverse, counts = np.unique(values, return_inverse=True, return_counts=True)
    last = np.cumsum(counts)
    # Equal values share the mean of the ranks that they would take in some order.
    ranks: Floats = (last - (counts - 1) / 2)[inverse]
    return ranks


def rank_correlation(a: ArrayLike, b: ArrayLike) -> float:
    """Spearman's rank correlation, equal values sharing their average rank.

    For instance of a preference's weight on an objective with the reward achieved in it: 1 when
    asking for more always gives more.

    Args:
        a: n numbers.
        b: n numbers.

    Returns:
        A value in [-1, 1]; NaN where it is undefined, when either side is constant or n < 2.

    Raises:
        ValueError: Not two flat sequences of one length, or a NaN in one.

    Example:
        >>> rank_correlation([0.0, 0.5, 1.0], [2.1, 2.4, 9.0])
        1.0
        >>> rank_correlation([0.0, 0.5, 1.0], [3.0, 3.0, 3.0])
        nan
    """
    x, y = np.asarray(a, dtype=np.float64), np.asarray(b, dtype=np.float64)
    if x.ndim != 1 or x.shape != y.shape:
        raise ValueError(f"need two flat sequences of one length; got {x.shape} and {y.shape}")
    for side, values in (("a", x), ("b", y)):
        nans = np.flatnonzero(np.isnan(values))
        if nans.size:
            raise ValueError(f"{side} has {nans.size} NaN, the first at {nans[0]}: drop the pairs")
    if x.size < 2:
        return float("nan")
    # One root of the product, not a product of roots: a perfect correlation is then exactly 1.
    x, y = (_average_ranks(values) - (x.size + 1) / 2 for values in (x, y))
    scale = float(np.sqrt((x @ x) * (y @ y)))
    return float(np.clip(x @ y / scale, -1.0, 1.0)) if scale else float("nan")


def sparsity(front: ArrayLike) -> float:
    """How thinly a front is covered: the mean squared gap between neighbours; smaller is denser.

    1 / (P - 1) times the sum, over objectives, of the squared gaps between consecutive values of
    that objective in sorted order: the sparsity of Xu et al., "Prediction-Guided Multi-Objective
    Reinforcement Learning for Continuous Robot Control" (ICML 2020). It depends on the units of the
    objectives, and dominated points make a front look denser: pass a front, scaled like the
    hypervolume beside it.

    Args:
        front: (P, m) mutually non-dominated points.

    Returns:
        The sparsity, 0 for a single point, as in the reference code: read it beside P.

    Raises:
        ValueError: Not a non-empty (P, m) array of finite numbers.

    Example:
        >>> sparsity([[0.0, 1.0], [0.5, 0.5], [1.0, 0.0]])
        0.5
    """
    points = np.asarray(front, dtype=np.float64)
    if points.ndim != 2 or not points.size or not np.isfinite(points).all():
        raise ValueError(f"front must be finite numbers of shape (P, m), P, m >= 1; got {points!r}")
    if len(points) == 1:
        return 0.0
    gaps = np.diff(np.sort(points, axis=0), axis=0)
    return float(np.square(gaps).sum() / (len(points) - 1))
