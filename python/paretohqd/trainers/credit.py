"""What a sampled answer is trained by, where it is not the weighted sum of its rewards.

GRPO's update is left as it is; each step's advantages come from here. Rewards are standardised by
constants that do not change, so that those of one step can be held against another's.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

EPSILON = 1e-4
"""What TRL's GRPO adds to a group's deviation before it divides by it."""


class Credited(NamedTuple):
    """The advantages of one step's answers."""

    advantages: Floats
    """(n,)."""
    facts: dict[str, Any]
    """What the log says of them."""


class Credit(Protocol):
    """How answers are credited; it may remember the steps before."""

    def __call__(self, rewards: Floats, group: int, prompts: Sequence[str]) -> Credited:
        """The advantages of (n, M) standardised rewards, answers to one prompt after another.

        Args:
            rewards: Larger is better.
            group: Answers to each prompt.
            prompts: (n,) what was asked, as the model read it.
        """


def in_groups(rewards: Floats, group: int) -> Floats:
    """(prompts, group, M) rewards less their prompt's mean."""
    by_prompt = rewards.reshape(-1, group, rewards.shape[1])
    return np.asarray(by_prompt - by_prompt.mean(axis=1, keepdims=True))


def min_norm(values: Floats) -> Floats:
    """(M,) weights on the simplex for which the weighted sum of M numbers is nearest to 0.

    MGDA's problem, min over c of (sum_i c_i v_i)^2, for numbers (as PAMA bounds it): all on the
    smallest if none is negative, all on the largest if none is positive, else on these two, so that
    the sum is 0.

    Example:
        >>> min_norm(np.array([0.3, 0.1, 0.2])).tolist()
        [0.0, 1.0, 0.0]
        >>> min_norm(np.array([-0.25, 0.75])).tolist()
        [0.75, 0.25]
    """
    low, high = int(values.argmin()), int(values.argmax())
    weights = np.zeros(len(values))
    if values[low] >= 0:
        weights[low] = 1
    elif values[high] <= 0:
        weights[high] = 1
    else:
        span = values[high] - values[low]
        weights[low], weights[high] = values[high] / span, -values[low] / span
    return weights


@dataclass(frozen=True)
class Weakest:
    """PAMA: only what is better than usual trains, and the objective that gains least decides.

    Attributes:
        per: "batch": all answers are credited by the objectives' min-norm weights, which are all on
            the one whose positive advantages have the smallest mean; "answer": each by its own
            smallest positive advantage, so that it counts where it beats its group in all.
    """

    per: Literal["batch", "answer"] = "batch"

    def __call__(self, rewards: Floats, group: int, prompts: Sequence[str]) -> Credited:
        """See `Credit`."""
        better = np.maximum(in_groups(rewards, group), 0).reshape(rewards.shape)
        means = better.mean(axis=0)
        weights = min_norm(means)
        advantages = better @ weights if self.per == "batch" else better.min(axis=1)
        return Credited(
            advantages, {"weights": weights.tolist(), "credited": float((advantages > 0).mean())}
        )


@dataclass
class Rising:
    """MOA: objectives ahead of their trend count more, and what hurts the foremost is left out.

    Attributes:
        window: Steps that the trend is fitted to.
        sharpness: How much a difference to the trend counts, in 1 / deviations.
        drop: Whether answers are left out that are better than their group by the weighted sum and
            worse in the objective that is furthest ahead.
    """

    window: int = 5
    sharpness: float = 1.0
    drop: bool = True
    _past: deque[Floats] = field(default_factory=deque, init=False)

    def __call__(self, rewards: Floats, group: int, prompts: Sequence[str]) -> Credited:
        """See `Credit`."""
        now = rewards.mean(axis=0)
        ahead = now - self._expected(now)
        power = self.sharpness * (ahead - ahead.max())
        weights = np.exp(power) / np.exp(power).sum()
        pivot = int(ahead.argmax())
        trend = bool(self._past)  # before there is one, no objective is ahead of another
        self._past.append(now)
        while len(self._past) > self.window:
            self._past.popleft()
        centred = in_groups(rewards, group)
        together = centred @ weights
        kept = np.ones(together.shape, dtype=bool)
        if self.drop and trend:
            kept = ~((together > 0) & (centred[..., pivot] < 0))
        count = np.maximum(kept.sum(axis=1, keepdims=True), 1)
        mean = np.where(kept, together, 0).sum(axis=1, keepdims=True) / count
        apart = np.where(kept, together - mean, 0)
        # As torch's deviation, which TRL divides by, with n - 1.
        spread = np.sqrt(np.square(apart).sum(axis=1, keepdims=True) / np.maximum(count - 1, 1))
        advantages = (apart / (spread + EPSILON)).reshape(-1)
        facts = {"weights": weights.tolist(), "pivot": pivot, "dropped": float((~kept).mean())}
        return Credited(advantages, facts)

    def _expected(self, now: Floats) -> Floats:
        """(M,) what the line through the last steps' means gives for this one."""
        if not self._past:
            return now
        past = np.array(self._past)
        steps = np.arange(len(past)) - len(past)
        centre = steps.mean()
        spread = np.square(steps - centre).sum()
        if spread == 0:
            return np.asarray(past[0])
        slope = (steps - centre) @ (past - past.mean(axis=0)) / spread
        return np.asarray(past.mean(axis=0) - centre * slope)


@dataclass(frozen=True)
class Asked:
    """One policy for all preferences: each prompt's answers by the preference that it asks for.

    Attributes:
        weights: (M,) the preference of each prompt, by its text as the model reads it.
    """

    weights: Mapping[str, tuple[float, ...]]

    def __call__(self, rewards: Floats, group: int, prompts: Sequence[str]) -> Credited:
        """See `Credit`."""
        weights = np.array([self.weights[prompt] for prompt in prompts])
        summed = (rewards * weights).sum(axis=1).reshape(-1, group)
        apart = summed - summed.mean(axis=1, keepdims=True)
        advantages = apart / (summed.std(axis=1, ddof=1, keepdims=True) + EPSILON)
        return Credited(advantages.reshape(-1), {"weights": weights.mean(axis=0).tolist()})
