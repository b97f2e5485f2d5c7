"""When a training that samples stops: its tokens are known only after they were sampled."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from transformers import TrainerCallback

from paretohqd.trainers.training import OnStep


@dataclass(frozen=True, kw_only=True)
class Budget:
    """When to stop: after so many steps, or at the step nearest to so many tokens."""

    steps: int | None = None
    tokens: Mapping[str, int]
    """Limits by name: trained_tokens, generated_tokens, either or none."""
    seconds: float | None = None
    """What these tokens may cost together."""
    prices: Mapping[str, float] = field(default_factory=dict)
    """Seconds of a token, by the same names."""

    @property
    def limits(self) -> dict[str, float]:
        """All but the number of steps, by name."""
        return {**self.tokens, **({} if self.seconds is None else {"seconds": self.seconds})}

    def spent(self, record: Mapping[str, Any]) -> dict[str, float]:
        """What a record of tokens comes to, by the names of the limits."""
        seconds = sum(price * record[name] for name, price in self.prices.items())
        return {**{name: record[name] for name in self.tokens}, "seconds": seconds}

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
        step = self.spent(expected)["seconds"]
        if self.seconds is not None and self.seconds < step / 2:
            raise ValueError(
                f"a budget of {self.seconds:.3g} seconds is less than half of what one step costs, "
                f"{step:.3g}: raise it, or lower num_generations or max_completion_length"
            )

    def most(self, answers: int) -> int:
        """Steps that are never exceeded, because an answer has at least one token."""
        given = [] if self.steps is None else [self.steps]
        given += [limit // answers + 1 for limit in self.tokens.values()]
        if self.seconds is not None:
            given.append(int(self.seconds / (answers * sum(self.prices.values()))) + 1)
        return min(given)

    def left(self, records: Sequence[Mapping[str, Any]]) -> int:
        """Steps to go, 0 where stopping now comes nearest to a limit; later ones are estimates."""
        left = [] if self.steps is None else [self.steps - len(records)]
        spent = self.spent(records[-1])
        earlier = self.spent(records[-2]) if len(records) > 1 else dict.fromkeys(spent, 0)
        for name, limit in self.limits.items():
            last = spent[name] - earlier[name]
            # Half a step or more is left: one more comes nearer to the limit, or as near.
            left.append(math.floor((limit - spent[name]) / last + 0.5))
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
