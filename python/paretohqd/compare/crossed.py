"""What a paired difference over prompts and seeds tells: interval, p-value, verdict.

A difference in utility has one number per prompt and seed. Prompts are a sample of all prompts and
seeds one of all trainings, and each number has noise of its own: a two-way layout of random effects
without repeats. Its standard error adds the variances of both samples once.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

COVERAGE = 0.95
"""How often an interval is to hold the true value."""
LEVEL = 0.05
"""At most this is the chance of any false verdict, over all of a comparison's."""


@dataclass(frozen=True, kw_only=True)
class Crossed:
    """A mean over prompts and seeds: the ends of its 95 % interval, and p for a mean of 0."""

    low: float
    high: float
    p: float


@dataclass(frozen=True, kw_only=True)
class SeedSquare:
    """A mean square of seeds that several methods' seeds were pooled for."""

    square: float
    degrees: float


def crossed(values: Floats, seeds: SeedSquare | None = None) -> Crossed | None:
    """The interval of the mean of a prompts x seeds table, both drawn at random.

    With the mean squares of prompts, seeds and what is left, the variance of the mean is (prompts
    + seeds - rest) / (N S), and not below what the prompts alone say; its degrees of freedom are
    Satterthwaite's (Searle, Casella, McCulloch, "Variance Components", 1992). With two seeds the
    interval is wide; with one nothing is known of seeds.

    Args:
        values: (N, S), one per prompt and seed.
        seeds: The mean square of seeds, where other methods' seeds tell it better than these few;
            by default these values' own.

    Returns:
        None for fewer than two prompts or two seeds.

    Raises:
        ImportError: scipy is not installed.

    Example:
        >>> whole = crossed(np.array([[0.1, 0.3], [0.3, 0.5], [0.2, 0.4]]))
        >>> round(whole.low, 2), round(whole.high, 2)
        (-0.3, 0.9)
        >>> crossed(np.array([[0.1], [0.3]])) is None
        True
    """
    n, s = values.shape
    if min(n, s) < 2:
        return None
    try:
        from scipy.stats import t
    except ImportError as error:
        raise ImportError("intervals need scipy: pip install 'paretohqd[train]'") from error
    mean, rows, columns = values.mean(), values.mean(axis=1), values.mean(axis=0)
    rest = values - rows[:, None] - columns + mean
    free = np.array([n - 1, s - 1, (n - 1) * (s - 1)], dtype=np.float64)
    squares = (
        np.array(
            [s * ((rows - mean) ** 2).sum(), n * ((columns - mean) ** 2).sum(), (rest**2).sum()]
        )
        / free
    )
    if seeds is not None:
        squares[1], free[1] = seeds.square, seeds.degrees
    total = max(squares[0] + squares[1] - squares[2], squares[0])
    if total == 0:  # the same number everywhere
        return Crossed(low=float(mean), high=float(mean), p=float(mean == 0))
    deviation = np.sqrt(total / (n * s))
    degrees = total**2 / (squares**2 / free).sum()
    half = t.ppf((1 + COVERAGE) / 2, degrees) * deviation
    p = 2 * t.sf(abs(mean) / deviation, degrees)
    return Crossed(low=float(mean - half), high=float(mean + half), p=float(p))


def holm(values: Sequence[float]) -> list[float]:
    """p-values corrected for their number (Holm 1979), in their order.

    Example:
        >>> [round(p, 3) for p in holm([0.01, 0.04, 0.03])]
        [0.03, 0.06, 0.06]
    """
    order = sorted(range(len(values)), key=lambda at: values[at])
    corrected, largest = [0.0] * len(values), 0.0
    for rank, at in enumerate(order):
        largest = max(largest, min(1.0, (len(values) - rank) * values[at]))
        corrected[at] = largest
    return corrected


def verdict(mean: float, corrected: float) -> str:
    """What a difference says; larger is better.

    Example:
        >>> verdict(0.1, 0.01), verdict(-0.1, 0.01), verdict(0.1, 0.2)
        ('better', 'worse', 'open')
    """
    if corrected >= LEVEL:
        return "open"
    return "better" if mean > 0 else "worse"
