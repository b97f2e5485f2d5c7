"""One currency for what methods spend: seconds, by a list of fixed prices.

Trained and generated tokens cannot be exchanged for each other, and measured seconds change with
the machine and its load. At fixed prices whatever a method does has a cost, everywhere the same.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Protocol

TRAINED = 0.0086
"""Seconds of a token that is trained on. As the next: of SmolLM2-135M with LoRA in bfloat16 on two
cores of an AMD EPYC (Zen 5), the CPU's seconds over the tokens of ParetoHqD's first seed in the
comparison of 2026-11-22 (benches/results). Their ratio, 1.5, is what counts; by floating-point
operations alone (6 N and 2 N) it would be 3."""
GENERATED = 0.0058
"""Seconds of a token that is sampled."""
PASSED = TRAINED / 3
"""Seconds of a token that is read without a gradient, as by a reference model: the forward pass, of
which a training step's backward pass takes twice the time."""


class Counted(Protocol):
    """What has a price: the tokens of a step."""

    @property
    def trained(self) -> int:
        """Tokens trained on."""

    @property
    def generated(self) -> int:
        """Tokens sampled."""

    @property
    def passed(self) -> int:
        """Tokens read without a gradient."""


def cost(trained: float, generated: float, passed: float = 0.0) -> float:
    """What so many tokens cost, in seconds.

    Example:
        >>> round(cost(56_728, 21_097), 1)
        610.2
    """
    return TRAINED * trained + GENERATED * generated + PASSED * passed


def cost_of(steps: Iterable[Counted]) -> float:
    """What some steps cost together."""
    return sum(cost(step.trained, step.generated, step.passed) for step in steps)
