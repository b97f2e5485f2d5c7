"""When a training that samples stops: its tokens are known only after they were sampled."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from transformers import TrainerCallback

from paretohqd.trainers.training import OnStep


@dataclass(frozen=True, kw_only=True)
class Budget:
    """When to stop: after so many steps, or at the step nearest to so many tokens."""

    steps: int | None = None
    tokens: Mapping[str, int]
    """Limits by name: trained_tokens, generated_tokens, either or none."""

    def check(self, expected: Mapping[str, int]) -> None:
        """Refuse a budget that not even half of a first step of `expected` tokens fits into."""
        if self.steps is not None and self.steps < 1:
            raise ValueError(f"steps={self.steps}: at least one step is trained")
        for name, limit in self.tokens.items():
            if limit < expected[name] / 2:
                raise ValueError(
                    f"{name}={limit} is less than half of one step's {expected[name]} tokens: "
                    f"raise {name}, or lower num_generations or max_completion_length"
                )

    def most(self, answers: int) -> int:
        """Steps that are never exceeded, because an answer has at least one token."""
        given = [] if self.steps is None else [self.steps]
        return min([*given, *(limit // answers + 1 for limit in self.tokens.values())])

    def left(self, records: Sequence[Mapping[str, Any]]) -> int:
        """Steps to go, 0 where stopping now comes nearest to a limit; later ones are estimates."""
        left = [] if self.steps is None else [self.steps - len(records)]
        earlier = records[-2] if len(records) > 1 else dict.fromkeys(self.tokens, 0)
        for name, limit in self.tokens.items():
            last = records[-1][name] - earlier[name]
            # Half a step or more is left: one more comes nearer to the limit, or as near.
            left.append(math.floor((limit - records[-1][name]) / last + 0.5))
        return max(0, min(left))


class StopsAtBudget(TrainerCallback):  # type: ignore[misc]
    """Stops a training when the budget is met, and passes its progress on."""

    def __init__(
        self, budget: Budget, records: Sequence[Mapping[str, Any]], on_step: OnStep | None
    ) -> None:
        """Take the records of the steps, to which each step adds its own."""
        self.budget, self.records, self.on_step = budget, records, on_step

    def on_step_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """Stop where one more step would lead further away from the budget."""
        left = self.budget.left(self.records)
        if left == 0:
            control.should_training_stop = True
        if self.on_step:
            self.on_step(state.global_step, state.global_step + left)
