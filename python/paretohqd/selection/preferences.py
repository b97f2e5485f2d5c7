"""Preferences: how much each objective weighs, as points of the simplex."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import comb
from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from paretohqd.kernels.points import count, numbers
from paretohqd.kernels.rays import preference_grid
from paretohqd.selection.preference_rows import rows_and_names

TOLERANCE = 1e-6
"""How far from 1 the weights of a preference may sum."""

DEFAULT = 11
"""About how many preferences there are by default: as many as in the paper."""

Preferences = int | ArrayLike | Mapping[str, Any] | None
"""How many, weights in the objectives' order, or weights by the objectives' names, or a frame."""

Directions = Literal["paper", "tchebycheff"]
"""Which way a preference's ray runs from the ideal point."""

Floats = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Weights:
    """Preferences, checked.

    Attributes:
        values: (P, M), at least 0; each row sums to 1.
        names: The name of each, if they have any.
    """

    values: Floats
    names: tuple[str, ...] | None = None

    def named(self) -> dict[str, list[float]]:
        """The weights by their names; only for preferences that have some."""
        return dict(zip(self.names or (), self.values.tolist(), strict=True))


def preference_weights(preferences: Any, objectives: Sequence[str]) -> Weights:
    """The weights that `preferences` stand for.

    Weights in the objectives' order must sum to 1 within 1e-6. Those given by the objectives' names
    are divided by their sum if it is another: 7 and 3 mean 0.7 and 0.3. Every objective must be
    named: one that is forgotten or misspelt would weigh 0 without a word.

    Args:
        preferences: How many, spread evenly on the simplex (see `preference_grid`); or rows of
            weights, shape (P, M); or {objective: weight}, which is one preference; or a list of
            these; or {name: weights} with either for each name; or a frame (Polars, pandas, Arrow)
            with a column per objective, in any order, and perhaps a column of text that names the
            preferences. None: see `default_number`.
        objectives: Names of the M objectives, at least 2.

    Raises:
        ValueError: Weights that are negative, NaN, infinite or all 0, of other objectives, or in
            the objectives' order and of another sum than 1; a number of preferences that no even
            lattice on the simplex has; names of preferences that are empty or equal.

    Example:
        >>> preference_weights(3, ["helpful", "harmless"]).values.tolist()
        [[1.0, 0.0], [0.5, 0.5], [0.0, 1.0]]
        >>> weights = preference_weights(
        ...     {"brief": {"harmless": 3, "helpful": 7}}, ["helpful", "harmless"]
        ... )
        >>> weights.names, weights.values.tolist()
        (('brief',), [[0.7, 0.3]])
    """
    m = len(objectives)
    number = default_number(m) if preferences is None else _number(preferences)
    if number is not None:
        return Weights(preference_grid(m, _divisions(count("preferences", number), m)))
    rows, names = rows_and_names(preferences)
    if isinstance(rows, list):
        rows = [
            _by_name(row, objectives, repr(names[place]) if names else f"number {place}")
            if isinstance(row, Mapping)
            else row
            for place, row in enumerate(rows)
        ]
    try:
        # Adding 0 turns -0 into 0.
        values = numbers(rows) + 0
    except (TypeError, ValueError) as error:
        raise ValueError(f"preferences: expected a number or rows of weights ({error})") from None
    if values.ndim != 2 or values.shape[1] != m or not len(values):
        raise ValueError(
            f"preferences: expected one weight per objective in each row, shape (P, {m}), "
            f"got shape {values.shape}"
        )
    # A comparison with NaN is false, so NaN is off the simplex too.
    with np.errstate(over="ignore"):
        off = ~((values >= 0).all(axis=1) & (np.abs(values.sum(axis=1) - 1) <= TOLERANCE))
    if off.any():
        first = int(off.argmax())
        raise ValueError(
            f"preferences: {int(off.sum())} of {len(values)} are off the simplex (first: number "
            f"{first}, {values[first].tolist()}): weights are at least 0 and sum to 1"
        )
    return Weights(values, names)


def default_number(m: int) -> int:
    """How many preferences of m objectives there are by default: the lattice nearest to 11 points.

    From six objectives on these are the corners; the lattice after them has m (m + 1) / 2 points.

    Example:
        >>> [default_number(m) for m in range(2, 9)]
        [11, 10, 10, 15, 6, 7, 8]
    """
    fewest = _fewest_divisions(DEFAULT, m)
    sizes = [_lattice(each, m) for each in (fewest - 1, fewest) if each]
    return min(sizes, key=lambda size: abs(size - DEFAULT))


def ray_weights(weights: NDArray[np.float64], directions: Directions) -> NDArray[np.float64]:
    """Where the ray of each preference goes through the box, from its ideal corner.

    In units of the box, r_min at 0 and r_max at 1, the paper's ray of preference w runs from 1
    through w: the shortfall of objective i grows with 1 - w_i. The ray of the weighted Tchebycheff
    utility min_i w_i (v_i - r_max_i) (Bowman 1976; Steuer, Choo 1983) has shortfalls in proportion
    to 1 / w_i, so that all weighted shortfalls are equal along it. An objective of weight 0 is free
    to fall, and in the limit only these fall, all alike. With two objectives the two rays are one;
    with three the paper's directions are a quarter of all, Tchebycheff's are all.

    Args:
        weights: Preferences on the simplex, shape (P, M).
        directions: "paper" or "tchebycheff".

    Returns:
        A further point of each ray, shape (P, M), in units of the box.

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
    # With two objectives 1 / w_1 : 1 / w_2 is 1 - w_1 : 1 - w_2: the same ray, without rounding.
    if directions == "paper" or weights.shape[1] == 2:
        return weights
    least = weights.min(axis=1, keepdims=True)
    # least / w is 1 / w up to a factor, and its own limit: 0 beside a weight of 0. Half of that is
    # as good a point of the ray, and 0 stays what it is in the paper's: an objective of weight 0.
    short = np.ones_like(weights)
    np.divide(least, 2 * weights, out=short, where=weights > 0)
    return np.subtract(1, short)


def _number(preferences: object) -> int | None:
    """A whole number of Python or NumPy."""
    if isinstance(preferences, np.ndarray) and preferences.dtype.kind in "iu":
        preferences = preferences.item() if preferences.ndim == 0 else None
    whole = isinstance(preferences, int | np.integer) and not isinstance(preferences, bool)
    return int(preferences) if whole else None  # type: ignore[call-overload]


def _by_name(given: Mapping[str, Any], objectives: Sequence[str], which: str) -> Floats:
    """The weights of one preference in the objectives' order, with the sum 1."""
    where = f"preferences: {which}"
    these = f"the objectives are {', '.join(objectives)}"
    if wrong := [name for name in given if name not in objectives]:
        raise ValueError(f"{where} weighs {wrong[0]!r}: {these}")
    if missing := [name for name in objectives if name not in given]:
        raise ValueError(f"{where} has no weight for {missing[0]!r} (give 0 to ignore it): {these}")
    try:
        weights = numbers([given[name] for name in objectives])
    except (TypeError, ValueError):
        weights = np.full(len(objectives), np.nan)
    if weights.ndim != 1 or not (np.isfinite(weights) & (weights >= 0)).all() or not weights.any():
        raise ValueError(
            f"{where}: weights are numbers of at least 0, one of them above, got {dict(given)}"
        )
    with np.errstate(over="ignore"):
        total = weights.sum()
    if abs(total - 1) <= TOLERANCE:
        return weights
    if np.isinf(total):
        weights /= len(weights)
        total = weights.sum()
    weights /= total
    return weights


def _divisions(number: int, m: int) -> int:
    """Steps from 0 to 1 of the lattice with that many points."""
    divisions = _fewest_divisions(number, m)
    if _lattice(divisions, m) == number:
        return divisions
    sizes = [_lattice(each, m) for each in (divisions - 1, divisions) if each]
    raise ValueError(
        f"preferences={number}: {m} objectives have no even lattice of that size; take "
        f"{' or '.join(map(str, sizes))}, or pass the weights themselves"
    )


def _fewest_divisions(number: int, m: int) -> int:
    """The fewest steps of a lattice with at least so many points, two objectives or more."""
    low, high = 1, 1
    while _lattice(high, m) < number:
        low, high = high + 1, 2 * high
    while low < high:
        middle = (low + high) // 2
        low, high = (middle + 1, high) if _lattice(middle, m) < number else (low, middle)
    return low


def _lattice(divisions: int, m: int) -> int:
    """Points of the lattice with so many steps from 0 to 1."""
    return comb(divisions + m - 1, m - 1)


def format_weights(weights: Sequence[float]) -> str:
    """Weights as they are written on the page.

    Example:
        >>> format_weights([1 / 3, 2 / 3])
        '(0.333, 0.667)'
    """
    return "(" + ", ".join(f"{weight:.3g}" for weight in weights) + ")"
