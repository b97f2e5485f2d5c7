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
"""At most this is the chance of any false "better" or "worse", over all of a comparison's."""
MARGIN = 0.02
"""Differences in utility below this are called none: a fiftieth of the way from the data's poor end
to its good one, set before the runs that it judges. It is about what the spread between seeds of
fine-tuning is, and what 200 prompts and three seeds can tell apart at best."""


@dataclass(frozen=True, kw_only=True)
class Crossed:
    """A mean over prompts and seeds: the ends of its intervals, and p for a mean of 0."""

    mean: float
    low: float
    """The ends of the 95 % interval."""
    high: float
    low_90: float
    """The ends of the 90 % interval, which tells whether two are equal within a margin."""
    high_90: float
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
    deviation = np.sqrt(total / (n * s))
    degrees, p = 1.0, float(mean == 0)
    if total > 0:  # else the same number is everywhere
        degrees = total**2 / (squares**2 / free).sum()
        p = float(2 * t.sf(abs(mean) / deviation, degrees))
    half, half_90 = (
        t.ppf((1 + share) / 2, degrees) * deviation for share in (COVERAGE, 1 - 2 * LEVEL)
    )
    return Crossed(
        mean=float(mean),
        low=float(mean - half),
        high=float(mean + half),
        low_90=float(mean - half_90),
        high_90=float(mean + half_90),
        p=p,
    )


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


def verdict(whole: Crossed, corrected: float) -> str:
    """What a difference in utility says; larger is better.

    `better` or `worse` where p, corrected for the number of tests, is below 5 %; else what the 90 %
    interval leaves: `equal within .02` where it lies between, `no worse than .02` where its lower
    end lies above (two and one tests at 5 %, not corrected for their number: Schuirmann, "A
    comparison of the two one-sided tests procedure", 1987). Otherwise the question is `open`, and
    the 95 % interval says what is still possible.

    Args:
        whole: The difference over prompts and seeds.
        corrected: Its p after Holm.

    Example:
        >>> def seen(low, high):
        ...     ends = {"low": low - 0.01, "low_90": low, "high_90": high, "high": high + 0.01}
        ...     return Crossed(mean=(low + high) / 2, p=0.1, **ends)
        >>> verdict(seen(0.05, 0.07), 0.001)
        'better'
        >>> [verdict(seen(*ends), 0.2) for ends in [(-0.01, 0.015), (-0.01, 0.03), (-0.03, 0.03)]]
        ['equal within .02', 'no worse than .02', 'open: from -0.040 to +0.040']
    """
    within = f"{MARGIN:.2f}".lstrip("0")
    if corrected < LEVEL:
        return "better" if whole.mean > 0 else "worse"
    if whole.low_90 > -MARGIN and whole.high_90 < MARGIN:
        return f"equal within {within}"
    if whole.low_90 > -MARGIN:
        return f"no worse than {within}"
    return f"open: from {whole.low:+.3f} to {whole.high:+.3f}"
