"""Rewards on a scale that no method sets, and the utility that a set of policies serves on it.

The scale is fixed by the data before anything is trained: of each objective the 10 % quantile of
the offline answers' scores is 0 and the 90 % quantile is 1. A scale set by the compared methods'
own points moves whenever one of them is added or has another seed, and ranks move with it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import polars as pl
from numpy.typing import ArrayLike, NDArray

Floats = NDArray[np.float64]

QUANTILES = (0.1, 0.9)
"""The quantiles of the offline answers' scores that become 0 and 1."""


def data_bounds(scores: pl.DataFrame) -> dict[str, list[float]]:
    """What becomes 0 and 1 in each objective.

    Where the two quantiles are equal, as those of a score that is nearly always 0, the least and
    the greatest score take their place; where all scores are equal, that score and one more. Scores
    that are null, NaN or infinite do not count.

    Args:
        scores: A column per objective, larger is better, a row per offline answer.

    Raises:
        ValueError: An objective has no finite score.

    Example:
        >>> data_bounds(pl.DataFrame({"help": range(11), "rare": [0] * 10 + [3], "same": [2] * 11}))
        {'help': [1.0, 9.0], 'rare': [0.0, 3.0], 'same': [2.0, 3.0]}
    """
    bounds = {}
    for name in scores.columns:
        column = scores[name].cast(pl.Float64)
        column = column.filter(column.is_finite())
        if not len(column):
            raise ValueError(
                f"{name}: no finite score among {len(scores)} offline answers; the scale of the "
                "rewards is taken from them"
            )
        ends = [column.quantile(share) for share in QUANTILES]
        if ends[0] == ends[1]:
            ends = [column.min(), column.max()]  # type: ignore[list-item]
        low, high = map(float, ends)  # type: ignore[arg-type]
        bounds[name] = [low, high if high > low else low + 1]
    return bounds


def scaled(rewards: ArrayLike, bounds: Mapping[str, Sequence[float]]) -> Floats:
    """Rewards in the scale's units; what lies outside is not clipped.

    Args:
        rewards: Shape (..., m), the objectives in the order of `bounds`.
        bounds: What becomes 0 and 1, for each objective.

    Example:
        >>> scaled([[2.0, 5.0], [0.0, 1.0]], {"a": [0, 4], "b": [1, 3]}).tolist()
        [[0.5, 2.0], [0.0, 0.0]]
    """
    low, high = np.array(list(bounds.values()), dtype=np.float64).T
    units: Floats = (np.asarray(rewards, dtype=np.float64) - low) / (high - low)
    return units


def served(
    rewards: ArrayLike,
    policy_weights: Sequence[Sequence[float] | None],
    preferences: Sequence[Sequence[float]],
) -> Floats:
    """Utility of each prompt: the mean over the preferences w of w . z.

    z are the scaled rewards of the policy that serves w, see `serving`. A choice among several
    policies without weights is made on the very rewards that are measured, so it flatters them.

    Args:
        rewards: Scaled, shape (P, N, m): of P policies on N prompts.
        policy_weights: The weights that each policy was asked for; None if it takes none.
        preferences: Weights w to serve, each of m that sum to 1.

    Returns:
        Shape (N,); the mean is the utility of the set.

    Example:
        >>> rewards = [[[0.8, 0.2]], [[0.5, 0.6]]]  # two policies, one prompt
        >>> served(rewards, [(1, 0), (0, 1)], [(1, 0), (0, 1)]).round(3).tolist()
        [0.7]
        >>> served(rewards, [(0, 1), (1, 0)], [(1, 0), (0, 1)]).round(3).tolist()
        [0.35]
    """
    table = np.asarray(rewards, dtype=np.float64)
    policies = serving(table.mean(axis=1), policy_weights, preferences)
    mean: Floats = by_preference(table, policies, preferences).sum(axis=0) / len(preferences)
    return mean


def serving(
    points: ArrayLike,
    policy_weights: Sequence[Sequence[float] | None],
    preferences: Sequence[Sequence[float]],
) -> list[int]:
    """Which policy serves each preference.

    Among policies that were asked for weights it is the one whose weights are w (or nearest to it),
    otherwise the one whose mean rewards are best for w. A single policy serves all preferences.

    Args:
        points: Mean scaled rewards, shape (P, m).
        policy_weights: The weights that each policy was asked for; None if it takes none.
        preferences: Weights w to serve, each of m that sum to 1.

    Returns:
        A policy's number for each preference.

    Example:
        >>> serving([[0.8, 0.2], [0.5, 0.6]], [None, None], [(1, 0), (0.5, 0.5), (0, 1)])
        [0, 1, 1]
    """
    if any(own is None for own in policy_weights):
        return best_for(points, preferences)
    offered = np.array(policy_weights, dtype=np.float64)
    return [
        int(np.abs(offered - weights).sum(axis=1).argmin())
        for weights in np.asarray(preferences, dtype=np.float64)
    ]


def best_for(points: ArrayLike, preferences: Sequence[Sequence[float]]) -> list[int]:
    """For each preference w the policy of the largest w . z; of equal ones the first.

    Example:
        >>> best_for([[0.8, 0.2], [0.5, 0.6]], [(0.9, 0.1), (0.1, 0.9)])
        [0, 1]
    """
    table = np.asarray(points, dtype=np.float64)
    return [int((table @ weights).argmax()) for weights in np.asarray(preferences, dtype=float)]


def by_preference(
    rewards: ArrayLike, policies: Sequence[int], preferences: Sequence[Sequence[float]]
) -> Floats:
    """w . z of each prompt for each preference.

    Args:
        rewards: Scaled, shape (P, N, m): of P policies on N prompts.
        policies: The policy that serves each preference.
        preferences: Weights w, each of m.

    Returns:
        Shape (W, N).

    Example:
        >>> by_preference([[[0.8, 0.2]], [[0.5, 0.6]]], [0, 1], [(1, 0), (0, 1)]).tolist()
        [[0.8], [0.6]]
    """
    table = np.asarray(rewards, dtype=np.float64)
    rows: Floats = np.stack(
        [
            table[policy] @ weights
            for policy, weights in zip(
                policies, np.asarray(preferences, dtype=np.float64), strict=True
            )
        ]
    )
    return rows
