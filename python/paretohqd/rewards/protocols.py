"""What a reward is, and the rewards and functions that a call is given."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol, cast, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from paretohqd.rewards.callables import CallableReward, Columns, Progress
from paretohqd.rewards.signatures import called

Scores = NDArray[np.float64]


class Reward(Protocol):
    """A scorer of answers; larger is better."""

    @property
    def name(self) -> str:
        """Name of the column that its scores get."""

    def score(self, prompts: Sequence[str], responses: Sequence[str]) -> Scores:
        """(n,) finite scores of n pairs; a pair's score does not depend on the other pairs.

        A prompt of several messages is their JSON: `read_prompt` in `frames.conversations.prompts`
        reads any prompt.
        """

    def manifest(self) -> dict[str, Any]:
        """What to keep beside the scores: kind, model or package, versions, constants."""


@runtime_checkable
class ColumnReward(Reward, Protocol):
    """A reward that reads further columns than prompt and response."""

    def reads(self, available: Sequence[str]) -> list[str]:
        """Names of the columns that it wants, of those that there are or besides them."""

    def score_rows(
        self,
        prompts: Sequence[str],
        responses: Sequence[str],
        columns: Columns,
        progress: Progress | None = None,
    ) -> Scores:
        """(n,) finite scores of n pairs with these columns."""


Scorer = Reward | Callable[..., Any]
"""What `score` takes: a reward, or a function as TRL's trainers take reward functions."""


def named_rewards(rewards: Sequence[Scorer] | Mapping[str, Scorer]) -> list[tuple[str, Reward]]:
    """Rewards with the names of their columns; functions become rewards.

    Raises:
        ValueError: What is neither a reward nor a function, or a function without a name.
    """
    if isinstance(rewards, Mapping):
        given = list(rewards.items())
    else:
        given = [(_name(reward), reward) for reward in rewards]
    named: list[tuple[str, Reward]] = []
    for name, reward in given:
        if hasattr(reward, "score"):
            named.append((name, cast(Reward, reward)))
        elif callable(reward):
            named.append((name, CallableReward(name=name, function=reward)))
        else:
            raise ValueError(
                f"reward {name!r}: {type(reward).__name__} is neither a function nor an object "
                "with name, score and manifest"
            )
    return named


def _name(reward: Scorer) -> str:
    name = getattr(reward, "name", None)
    if isinstance(name, str):
        return name
    name = called(reward)
    if not name.isidentifier():
        raise ValueError(f"the reward {name} has no name: pass {{name: function}}")
    return name
