"""Preferences: how much each objective weighs, as points of the simplex."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import comb
from typing import Literal, get_args

import numpy as np
from numpy.typing import ArrayLike, NDArray

from paretohqd.objectives import count
from paretohqd.rays import preference_grid

TOLERANCE = 1e-6
"""How far from 1 the weights of a preference may sum."""

Directions = Literal["paper", "tchebycheff"]
"""Which way a preference's ray runs from the ideal point."""


def preference_weights(
    preferences: int | ArrayLike | Mapping[str, Sequence[float]], m: int
) -> NDArray[np.float64]:
    """The (P, m) weights that `preferences` stands for, checked.

    Args:
        preferences: how many, spread evenly on the simplex (see `preference_grid`), or the weights
            themselves, shape (P, m), or {name: weights}.
        m: number of objectives, at least 2.

    Raises:
        ValueError: weights that are negative, NaN or do not sum to 1 within 1e-6, of another number
            of objectives, or a number of preferences that no even lattice on the simplex has.

    Example:
        >>> preference_weights(3, 2).tolist()
        [[1.0, 0.0], [0.5, 0.5], [0.0, 1.0]]
    """
    if isinstance(preferences, Mapping):
        preferences = list(preferences.values())
    if isinstance(preferences, int | np.integer) and not isinstance(preferences, bool):
        return preference_grid(m, _divisions(count("preferences", preferences), m))
    try:
        weights = np.array(preferences, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise ValueError(f"preferences: expected a number or rows of weights ({error})") from None
    if weights.ndim != 2 or weights.shape[1] != m or not len(weights):
        raise ValueError(
            f"preferences: expected one weight per objective in each row, shape (P, {m}), "
            f"got shape {weights.shape}"
        )
    # A comparison with NaN is false, so NaN is off the simplex too.
    off = ~((weights >= 0).all(axis=1) & (np.abs(weights.sum(axis=1) - 1) <= TOLERANCE))
    if off.any():
        first = int(off.argmax())
        raise ValueError(
            f"preferences: {int(off.sum())} of {len(weights)} are off the simplex (first: number "
            f"{first}, {weights[first].tolist()}): weights are at least 0 and sum to 1"
        )
    return weights


def ray_weights(weights: NDArray[np.float64], directions: Directions) -> NDArray[np.float64]:
    """Where the ray of each preference goes through the box, from its ideal corner.

    In units of the box, r_min at 0 and r_max at 1, the paper's ray of preference w runs from 1
    through w: the shortfall of objective i grows with 1 - w_i. The ray of the weighted Tchebycheff
    utility min_i w_i (v_i - r_max_i) (Bowman 1976; Steuer, Choo 1983) has shortfalls in proportion
    to 1 / w_i, so that all weighted shortfalls are equal along it. An objective of weight 0 is free
    to fall, and in the limit only these fall, all alike. With two objectives the two rays are one;
    with three the paper's directions are a quarter of all, Tchebycheff's are all.

    Args:
        weights: preferences on the simplex, shape (P, M).
        directions: "paper" or "tchebycheff".

    Returns:
        A further point of each ray, shape (P, M), in units of the box.

    Raises:
        ValueError: no such directions.

    Example:
        >>> preferences = np.array([[0.5, 0.25, 0.25], [0.0, 0.5, 0.5], [1.0, 0.0, 0.0]])
        >>> 1 - ray_weights(preferences, "tchebycheff")
        array([[0.25, 0.5 , 0.5 ],
               [1.  , 0.  , 0.  ],
               [0.  , 1.  , 1.  ]])
        >>> 1 - ray_weights(preferences, "paper")
        array([[0.5 , 0.75, 0.75],
               [1.  , 0.5 , 0.5 ],
               [0.  , 1.  , 1.  ]])
    """
    if directions not in get_args(Directions):
        raise ValueError(f"directions: expected 'paper' or 'tchebycheff', got {directions!r}")
    # Of two objectives 1 / w_1 : 1 / w_2 is 1 - w_1 : 1 - w_2, and so even without rounding.
    if directions == "paper" or weights.shape[1] == 2:
        return weights
    least = weights.min(axis=1, keepdims=True)
    # least / w is 1 / w up to a factor, and its own limit: 0 beside a weight of 0. Half of that is
    # as good a point of the ray, and 0 stays what it is in the paper's: an objective of weight 0.
    short = np.ones_like(weights)
    np.divide(least, 2 * weights, out=short, where=weights > 0)
    return np.subtract(1, short)


def preference_names(
    preferences: int | ArrayLike | Mapping[str, Sequence[float]],
) -> tuple[str, ...] | None:
    """The names that preferences were given, if they were.

    Example:
        >>> preference_names({"kind": [0.2, 0.8], "frank": [0.8, 0.2]})
        ('kind', 'frank')
    """
    if not isinstance(preferences, Mapping):
        return None
    if wrong := [name for name in preferences if not isinstance(name, str)]:
        raise ValueError(f"preferences: names are text, got {wrong[0]!r}")
    return tuple(preferences)


def _divisions(number: int, m: int) -> int:
    """Steps from 0 to 1 of the lattice with that many points."""
    sizes = [comb(m, m - 1)]
    while sizes[-1] < number:
        sizes.append(comb(len(sizes) + m, m - 1))
    if sizes[-1] == number:
        return len(sizes)
    raise ValueError(
        f"preferences={number}: {m} objectives have no even lattice of that size; take "
        f"{' or '.join(map(str, sizes[-2:]))}, or pass the weights themselves"
    )
