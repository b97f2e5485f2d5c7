"""One step after another, for trainings that are not TRL's: what each step checks and logs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch

from paretohqd.models.finite import check_step
from paretohqd.trainers.training import OnStep, optimiser


class Descent:
    """AdamW on some parameters, by the settings of a trainer of TRL's."""

    def __init__(
        self,
        parameters: Sequence[torch.nn.Parameter],
        arguments: Any,
        steps: int,
        on_step: OnStep | None,
    ) -> None:
        """Begin before the first step.

        Args:
            parameters: What is trained.
            arguments: The trainer's arguments: those of AdamW and its schedule, and max_grad_norm.
            steps: Steps in all.
            on_step: Called with (steps done, steps in all).
        """
        self.log: list[dict[str, Any]] = []
        """An entry per step."""
        self._parameters, self._steps, self._on_step = parameters, steps, on_step
        self._most = arguments.max_grad_norm or float("inf")
        self._adam, self._rate = optimiser(parameters, arguments, steps)

    def backward(self, loss: torch.Tensor, share: float = 1.0) -> float:
        """Add a loss's gradient, of which the step takes this share; returns the loss.

        Raises:
            ValueError: It is not finite.
        """
        value = float(loss)
        check_step(value, "loss", len(self.log) + 1)
        torch.autograd.backward(loss * share)
        return value

    def step(self, **entry: Any) -> None:
        """Change the parameters, and log the step with what is given here.

        Raises:
            ValueError: A gradient is not finite: nothing is changed.
        """
        number = len(self.log) + 1
        norm = float(torch.nn.utils.clip_grad_norm_(self._parameters, self._most))
        check_step(norm, "gradient's norm", number)
        rate = self._rate.get_last_lr()[0]
        self.log.append({"step": number, **entry, "learning_rate": rate, "grad_norm": norm})
        self._adam.step()
        self._rate.step()
        self._adam.zero_grad()
        if self._on_step:
            self._on_step(number, self._steps)
