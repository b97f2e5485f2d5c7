"""Numbers that are not finite end a training or a sampling: what came after would mean nothing."""

from __future__ import annotations

import math
from typing import Any

import torch
from transformers import LogitsProcessor


class StopsAtNan:
    """Put before a trainer of transformers: it stops at a loss or gradient that is not finite."""

    def training_step(self, *given: Any, **more: Any) -> Any:
        """Loss of a part of a step."""
        loss = super().training_step(*given, **more)  # type: ignore[misc]
        check_step(float(loss), "loss", self.state.global_step + 1)  # type: ignore[attr-defined]
        return loss

    def _get_grad_norm(self, *given: Any, **more: Any) -> Any:
        """Norm of the gradient, before the weights are changed by it."""
        norm = super()._get_grad_norm(*given, **more)  # type: ignore[misc]
        step = self.state.global_step + 1  # type: ignore[attr-defined]
        check_step(float(norm), "gradient's norm", step)
        return norm


def check_step(value: float, what: str, step: int) -> None:
    """Stop a training that diverged.

    Raises:
        ValueError: The value is not finite.
    """
    if math.isfinite(value):
        return
    if step == 1:
        raise ValueError(
            f"the {what} of step 1 is {value}, before any weight was changed: the base or the "
            "adapter that it starts from is not finite, or its numbers are too large for bfloat16: "
            "try float32"
        )
    raise ValueError(
        f"the {what} of step {step} is {value}: the training diverged, and nothing of it is kept: "
        "lower the learning rate, let it warm up (warmup_steps), or clip gradients sooner "
        "(max_grad_norm)"
    )


def check_trained(model: Any, steps: int) -> None:
    """Refuse to save weights that are not finite.

    Raises:
        ValueError: The first such weight, by name.
    """
    bad = _first_bad(model, trained=True)
    if bad:
        raise ValueError(
            f"after step {steps} {bad} is not finite: the training diverged, and nothing of it is "
            "kept: lower the learning rate"
        )


def check_loaded(model: Any, adapter: str, folder: Any) -> None:
    """Refuse an adapter whose weights are not finite.

    Raises:
        ValueError: The first such weight, by name.
    """
    bad = _first_bad(model, adapter=adapter)
    if bad:
        raise ValueError(
            f"{folder}: {bad} is not finite: the training of this adapter diverged or its file is "
            "damaged: train it anew"
        )


def _first_bad(model: Any, *, trained: bool = False, adapter: str = "") -> str | None:
    names = (
        name
        for name, weight in model.named_parameters()
        if (weight.requires_grad if trained else f".{adapter}" in name)
        and not bool(torch.isfinite(weight).all())
    )
    return next(names, None)


def check_logits(scores: torch.Tensor) -> None:
    """Stop a sampling whose next token is not defined: any token would come out otherwise.

    Raises:
        ValueError: A row's largest score is not finite.
    """
    largest = scores.amax(dim=-1)  # NaN, where one of them is
    bad = ~torch.isfinite(largest)
    if bool(bad.any()):
        raise ValueError(
            f"the model's scores of the next token are {largest[bad][0].item()} in "
            f"{int(bad.sum())} of {len(scores)} answers: its weights are too large or not "
            "finite: train the adapter anew with a lower learning rate, or sample in float32"
        )


class FiniteLogits(LogitsProcessor):  # type: ignore[misc]
    """`check_logits` within a search of transformers."""

    def __call__(self, input_ids: torch.Tensor, scores: torch.Tensor) -> torch.Tensor:
        """Return the scores as they are.

        Raises:
            ValueError: A row's largest score is not finite.
        """
        check_logits(scores)
        return scores
