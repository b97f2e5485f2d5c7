"""How much each constraint must count: the dual of a reward with a pull to the reference.

Of all ways to weigh the answers at hand, the one of the largest value E[a], less tau times its KL
divergence from equal weights, that has E[c_k] >= b_k for each constraint, weighs an answer by
exp((a + lambda . c) / tau), where lambda >= 0 is least for the convex

    D(lambda) = mean over groups of tau log mean exp((a + lambda . (c - b)) / tau).

One group of all answers is MOPO's problem, one of each prompt's answers is CAID's.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

STEPS = 500
CLOSE = 1e-9
"""What a constraint may lack, and the slope at which a multiplier is found."""
MOST = 1e6
"""A multiplier beyond this, in units of tau, means that no weighing of the answers is enough."""


@dataclass(frozen=True, eq=False)
class Weighed:
    """The answers weighed so that all constraints hold.

    Attributes:
        multipliers: (K,) lambda.
        weights: (n,) the answers' weights, whose sum is 1 over each group.
        slack: (K,) E[c_k] - b_k, 0 where a constraint binds.
    """

    multipliers: Floats
    weights: Floats
    slack: Floats


def weighed(
    values: Floats,
    constraints: Floats,
    least: Floats,
    *,
    tau: float,
    starts: NDArray[np.int64],
    names: Sequence[str],
    about: str = "constraints",
) -> Weighed:
    """Find the multipliers and the weights that they give.

    Newton's method on the free multipliers, with a line search, projected to lambda >= 0.

    Args:
        values: (n,) a, of answers group by group.
        constraints: (n, K) c.
        least: (K,) b.
        tau: How much the divergence from equal weights costs, above 0.
        starts: Where each group begins, from 0.
        names: What the K constraints are called, for the message.
        about: What they are of, for the same.

    Raises:
        ValueError: No weighing of the answers meets the constraints together.

    Example:
        >>> c = np.array([[0.0], [1.0]])
        >>> found = weighed(np.array([1.0, 0.0]), c, np.array([0.5]), tau=0.5,
        ...                 starts=np.array([0]), names=["safe"])
        >>> found.weights.round(6).tolist(), found.multipliers.round(6).tolist()
        ([0.5, 0.5], [1.0])
    """
    count, over = constraints.shape[1], constraints - least
    sizes = np.diff(np.append(starts, len(values)))

    def at(multipliers: Floats) -> tuple[float, Floats]:
        """D, and the weights; each group counts once, however many answers it has."""
        power = (values + over @ multipliers) / tau
        top = np.maximum.reduceat(power, starts)
        raised = np.exp(power - np.repeat(top, sizes))
        total = np.add.reduceat(raised, starts)
        dual = float(np.mean(tau * (top + np.log(total / sizes))))
        return dual, raised / np.repeat(total, sizes) / len(starts)

    found = np.zeros(count)
    dual, weights = at(found)
    for _ in range(STEPS):
        slack = over.T @ weights
        # One that is barely above 0 and is to fall would shorten every step to what it has left.
        if (spent := (found > 0) & (found <= 1e-6 * tau) & (slack > 0)).any():
            found[spent] = 0
            dual, weights = at(found)
            slack = over.T @ weights
        free = (found > 0) | (slack < 0)
        if np.abs(slack[free]).max(initial=0) <= CLOSE:
            break
        group_mean = np.add.reduceat(over * weights[:, None], starts) * len(starts)
        apart = (over - np.repeat(group_mean, sizes, axis=0))[:, free]
        bend = apart.T @ (apart * weights[:, None]) / tau
        bend += 1e-12 * (1 + np.trace(bend)) * np.eye(len(bend))
        step = np.zeros(count)
        step[free] = np.linalg.solve(bend, -slack[free])
        step *= min(1.0, 1e3 * tau / np.abs(step).max())
        size = 1.0
        while True:
            tried = np.maximum(found + size * step, 0)
            tried_dual, tried_weights = at(tried)
            if tried_dual <= dual + 1e-4 * float(slack @ (tried - found)) or size < 1e-12:
                break
            size /= 2
        if size < 1e-12:
            break
        found, dual, weights = tried, tried_dual, tried_weights
        if found.max(initial=0) > MOST * tau:
            break
    slack = over.T @ weights
    lacking = [
        f"{name} ({value:.3g} of {bound:.3g})"
        for name, value, bound in zip(names, slack + least, least, strict=True)
        if value < bound - 1e-6 * (1 + abs(bound))
    ]
    if lacking:
        raise ValueError(
            f"{about}: no weighing of the {len(values)} answers reaches what is asked of "
            f"{', '.join(lacking)}: lower reach, or sample more answers to each prompt"
        )
    # Every step went down, but one could end where rounding stops it: that is no answer.
    if np.abs(found * slack).max(initial=0) > 1e-3 * tau:
        raise ValueError(
            f"{about}: the multipliers of {', '.join(names)} were not found: change tau"
        )
    return Weighed(found, weights * len(starts), slack)
