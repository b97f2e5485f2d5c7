"""When a training that samples stops: its tokens are known only after they were sampled."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any


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
        """Steps that are never exceeded, for an answer has at least one token."""
        given = [] if self.steps is None else [self.steps]
        return min([*given, *(limit // answers + 1 for limit in self.tokens.values())])

    def left(self, records: Sequence[Mapping[str, Any]]) -> int:
        """Steps to go, 0 where stopping now comes nearest to a limit; later ones are estimates."""
        found = [] if self.steps is None else [self.steps - len(records)]
        before = records[-2] if len(records) > 1 else dict.fromkeys(self.tokens, 0)
        for name, limit in self.tokens.items():
            last = records[-1][name] - before[name]
            # Half a step or more is left: one more comes nearer to the limit, or as near.
            found.append(math.floor((limit - records[-1][name]) / last + 0.5))
        return max(0, min(found))
