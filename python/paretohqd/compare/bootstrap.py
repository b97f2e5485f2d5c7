"""Bootstrap over held-out prompts for a run's hypervolume, all replicates at once.

All of a run's models answered the same prompts, so one replicate draws prompts with replacement
once and takes those of every model (Efron, Tibshirani, "An Introduction to the Bootstrap", 1993).
What it tells is of these models on other prompts; of other trainings it knows nothing.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

COVERAGE = 0.95
"""Share of the replicates that an interval holds."""


def volumes(points: Floats) -> Floats:
    """The hypervolume above 0 of many sets of as many points, all sets at once.

    One or two objectives are swept; more are cut into slices along the last one (hypervolume by
    slicing objectives, While et al. 2006). Each step works on all sets together, which for
    thousands of sets of a few points is far quicker than a call for each.
    `paretohqd.hypervolume` is the function for one set, and for many points.

    Args:
        points: Shape (..., P, m), larger is better; coordinates below 0 count as 0.

    Returns:
        Shape (...), one volume per set.

    Example:
        >>> volumes(np.array([[[3.0, 1.0], [1.0, 2.0]], [[1.0, 1.0], [-1.0, 9.0]]])).tolist()
        [4.0, 1.0]
    """
    clipped = np.maximum(points, 0.0)
    if clipped.shape[-1] == 1:
        best: Floats = clipped[..., 0].max(axis=-1)
        return best
    order = np.argsort(-clipped[..., -1], axis=-1, kind="stable")
    falling = np.take_along_axis(clipped, order[..., None], axis=-2)
    height, rest = falling[..., -1], falling[..., :-1]
    if rest.shape[-1] == 1:
        # From the highest down, each point adds what it reaches past those above it.
        reach = np.maximum.accumulate(rest[..., 0], axis=-1)
        area: Floats = (np.diff(reach, axis=-1, prepend=0.0) * height).sum(axis=-1)
        return area
    below = np.concatenate([height[..., 1:], np.zeros_like(height[..., :1])], axis=-1)
    slices = [volumes(rest[..., : i + 1, :]) for i in range(height.shape[-1])]
    total: Floats = ((height - below) * np.stack(slices, axis=-1)).sum(axis=-1)
    return total


def prompt_shares(prompts: int, replicates: int, seed: int) -> Floats:
    """How much each prompt weighs in the means of each replicate.

    Args:
        prompts: N, at least 1.
        replicates: B.
        seed: Seed of the draws.

    Returns:
        (B, N) multiples of 1 / N; every row sums to 1.

    Example:
        >>> prompt_shares(4, 2, 0).sum(axis=1).tolist()
        [1.0, 1.0]
    """
    rng = np.random.default_rng([seed, 0])
    drawn = rng.multinomial(prompts, np.full(prompts, 1 / prompts), size=replicates)
    shares: Floats = drawn / prompts
    return shares


def interval(replicates: Floats, estimate: float) -> tuple[float, float]:
    """The 95 % interval of a hypervolume, or of a difference of two, without the bias of noise.

    A set of noisy points covers more than the true ones do, and its replicates, noisy twice, more
    still: percentiles alone call three models that equal a single one better in a fourth of all
    cases. Their mean's distance from the estimate shows that bias, as it is where points lie apart;
    where they coincide the bias grows with the square root of the noise's variance, which
    replicates double, so that it is 1 / (sqrt 2 - 1) times as large. Which holds is not known:
    the interval spans the basic bootstrap interval (Davison, Hinkley, "Bootstrap Methods and their
    Application", 1997, section 5.2), which corrects for the first, and the percentiles moved to the
    second (ours). Three models that equal one are called better in up to 5 % of cases in place of
    2.5, eleven in 6 to 7 % (simulated: 200 prompts, 2 objectives).

    Where the bias is large the estimate itself can lie above its interval.

    Args:
        replicates: (B,) of the statistic.
        estimate: The statistic of all prompts.

    Example:
        >>> low, high = interval(np.linspace(0, 1, 1001), 0.5)
        >>> round(low, 3), round(high, 3)
        (0.025, 0.975)
        >>> low, high = interval(np.linspace(0, 1, 1001), 0.4)
        >>> round(low, 3), round(high, 3)
        (-0.316, 0.775)
    """
    tail = (1 - COVERAGE) / 2
    low, high = np.quantile(replicates, [tail, 1 - tail])
    mean = replicates.mean()
    moved = estimate - mean - (mean - estimate) / (np.sqrt(2) - 1)
    return (
        float(min(2 * estimate - high, low + moved)),
        float(max(2 * estimate - low, high + moved)),
    )
