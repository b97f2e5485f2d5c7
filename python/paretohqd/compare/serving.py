"""How a run serves the preferences, prompt by prompt: utility and what stands beside it.

Each measure has one number per prompt, whose mean over prompts is the run's, so that the interval
of `crossed` holds for all of them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from paretohqd.compare.crossed import Floats
from paretohqd.runs.utility import by_preference, serving

Weights = Sequence[Sequence[float]]


@dataclass(frozen=True, kw_only=True)
class PerPrompt:
    """A run's measures on each of N prompts; None: not known."""

    preferred: Floats
    """(W, N), w . z of the policy that serves each preference."""
    utility: Floats
    utility_tchebycheff: Floats
    utility_adjusted: Floats | None = None
    following: Floats | None = None
    missteering: Floats | None = None
    """w . z of the policy that is best for w on validation prompts, less that of the one asked for
    w: what is lost by steering wrongly. None for methods that take no weights."""


def per_prompt(
    rewards: Floats,
    adjusted: Floats | None,
    policy_weights: Sequence[Sequence[float] | None],
    preferences: Weights,
    chosen: Sequence[int] | None = None,
) -> PerPrompt:
    """The measures of a run.

    Which policy serves a preference says `utility.serving`; of several that take no weights it is
    the one that is best on validation prompts, where there are some.

    Args:
        rewards: Scaled, shape (P, N, m): of P policies on N prompts.
        adjusted: The same with echoed answers at no more than the base's.
        policy_weights: The weights that each policy was asked for; None if it takes none.
        preferences: Weights w to serve, each of m that sum to 1.
        chosen: The policy that is best on validation prompts for each preference.

    Example:
        >>> rewards = np.array([[[0.8, 0.2]], [[0.5, 0.6]]])  # two policies, one prompt
        >>> run = per_prompt(rewards, None, [(1, 0), (0, 1)], [(1, 0), (0, 1)])
        >>> run.utility.round(3).tolist(), run.utility_adjusted
        ([0.7], None)
    """
    steered = all(weights is not None for weights in policy_weights)

    def serve(table: Floats) -> Sequence[int]:
        if chosen is not None and not steered:
            return chosen
        return serving(table.mean(axis=1), policy_weights, preferences)

    def mean(table: Floats, policies: Sequence[int]) -> Floats:
        values: Floats = by_preference(table, policies, preferences).sum(axis=0) / len(preferences)
        return values

    policies = serve(rewards)
    utility = mean(rewards, policies)
    if adjusted is not None:
        adjusted = mean(adjusted, serve(adjusted))
    known = chosen is not None and steered and len(policy_weights) > 1
    return PerPrompt(
        preferred=by_preference(rewards, policies, preferences),
        utility=utility,
        missteering=mean(rewards, chosen) - utility if known and chosen is not None else None,
        utility_tchebycheff=tchebycheff(rewards, policies, preferences),
        utility_adjusted=adjusted,
        following=following(rewards, policy_weights),
    )


def tchebycheff(rewards: Floats, policies: Sequence[int], preferences: Weights) -> Floats:
    """Utility that counts the objective which falls short most: balance.

    The mean over w of 1 - max_m w_m (1 - z_m), z being the mean scaled rewards of the policy that
    serves w (weighted Tchebycheff distance to 1, the data's good end: Miettinen, "Nonlinear
    Multiobjective Optimization", 1999, section 3.4). It is a function of means, not a mean of
    prompts' values; a prompt's value is what the function's gradient at the means says of it, so
    that the values' mean is the measure itself and their spread tells its error.

    Args:
        rewards: Scaled, shape (P, N, m).
        policies: The policy that serves each preference.
        preferences: Weights w, each of m.

    Returns:
        Shape (N,).

    Example:
        >>> one = np.array([[[0.9, 0.2], [0.7, 0.4]]])  # one policy, mean (.8, .3)
        >>> tchebycheff(one, [0], [(0.5, 0.5)]).round(3).tolist()
        [0.6, 0.7]
    """
    total = np.zeros(rewards.shape[1])
    for policy, weights in zip(policies, np.asarray(preferences, dtype=np.float64), strict=True):
        own = rewards[policy]
        short = int((weights * (1 - own.mean(axis=0))).argmax())
        total += 1 - weights[short] * (1 - own[:, short])
    return total / len(preferences)


def following(rewards: Floats, policy_weights: Sequence[Sequence[float] | None]) -> Floats | None:
    """How much an objective rises with its weight: the slope of z_m on w_m, mean over objectives.

    Over the policies that were asked for weights, by least squares on each prompt. 1: from no
    weight to all weight an objective goes from the data's poor end to the good one; 0: weights
    change nothing. Objectives whose weight is the same everywhere do not count.

    Args:
        rewards: Scaled, shape (P, N, m).
        policy_weights: The weights that each policy was asked for; None if it takes none.

    Returns:
        Shape (N,), or None where fewer than two different weights were asked for.

    Example:
        >>> rewards = np.array([[[0.8, 0.2]], [[0.5, 0.6]]])  # two policies, one prompt
        >>> following(rewards, [(1, 0), (0, 1)]).round(3).tolist()
        [0.35]
        >>> following(rewards, [None, None]) is None
        True
    """
    asked = [at for at, weights in enumerate(policy_weights) if weights is not None]
    if not asked:
        return None
    offered = np.array([policy_weights[at] for at in asked], dtype=np.float64)
    varied = np.ptp(offered, axis=0) > 0
    if not varied.any():
        return None
    away = (offered - offered.mean(axis=0))[:, varied]
    slopes = np.einsum("pm,pnm->nm", away, rewards[asked][..., varied]) / (away**2).sum(axis=0)
    mean: Floats = slopes.mean(axis=1)
    return mean


def wins(mine: Floats, theirs: Floats) -> Floats:
    """The share of preferences in which one run has the larger w . z; half where it is the same.

    Args:
        mine: (W, N) of the one run.
        theirs: (W, N) of the other one.

    Returns:
        Shape (N,).

    Example:
        >>> wins(np.array([[0.8, 0.1], [0.6, 0.1]]), np.array([[0.7, 0.1], [0.7, 0.0]])).tolist()
        [0.5, 0.75]
    """
    share: Floats = ((mine > theirs) + (mine == theirs) / 2).mean(axis=0)
    return share
