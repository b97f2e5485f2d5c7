"""Rewards that read columns, for callers that have prompts and answers alone."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from paretohqd.rewards.protocols import ColumnReward, Reward


class OfPrompts:
    """A reward whose columns are looked up by the prompt, in training on answers just made."""

    def __init__(self, reward: ColumnReward, prompts: pl.DataFrame) -> None:
        """Take the values of each prompt.

        Args:
            reward: What reads them.
            prompts: A row for each prompt: column prompt and those that are read.
        """
        self.reward, self.name = reward, reward.name
        self._names = reward.reads([name for name in prompts.columns if name != "prompt"])
        rows = prompts.select(self._names).iter_rows()
        self._values = dict(zip(prompts["prompt"], rows, strict=True))

    def score(self, prompts: Sequence[str], responses: Sequence[str]) -> NDArray[np.float64]:
        """(n,) scores of n pairs; the prompts are some of those given before."""
        rows = [self._values[prompt] for prompt in prompts]
        columns = {name: [row[i] for row in rows] for i, name in enumerate(self._names)}
        return self.reward.score_rows(prompts, responses, columns)

    def manifest(self) -> dict[str, Any]:
        """The reward's own."""
        return self.reward.manifest()


def by_prompts(rewards: Sequence[Reward], prompts: pl.DataFrame) -> list[Reward]:
    """Rewards of which none needs more than prompts and answers, if the prompts are some of these.

    Example:
        >>> from paretohqd.rewards.answer_rules import Number
        >>> table = pl.DataFrame({"prompt": ["1 + 1?"], "sum": [2]})
        >>> [reward] = by_prompts([Number(column="sum")], table)
        >>> reward.score(["1 + 1?"] * 2, ["It is 2.", "It is 3."])
        array([1., 0.])
    """
    return [OfPrompts(one, prompts) if isinstance(one, ColumnReward) else one for one in rewards]
