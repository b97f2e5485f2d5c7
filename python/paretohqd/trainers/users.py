"""One model for users who say what they want by a few pairs: NP-DPO, with adapters.

After "Few-shot steerable alignment" (NP-DPO, arXiv 2412.13998, and its public code): from some
labelled pairs of a user a network infers what the user wants, and DPO on further pairs of the same
user trains model and network together. Ours: what is inferred are the coefficients of K LoRA
adapters (there a vector that modulates every block), users are preferences, and labels are scores.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypedDict

import polars as pl
import torch
from torch.nn.functional import logsigmoid
from trl import DPOConfig

from paretohqd.exceptions import WARNINGS
from paretohqd.frames.new_files import write_new
from paretohqd.models.adapter_settings import LORA_DEFAULTS, check_modules
from paretohqd.models.chat import AnswerBatch, pad_answers
from paretohqd.models.finite import check_trained
from paretohqd.models.library_calls import kept, without_bars
from paretohqd.models.machine import Machine
from paretohqd.trainers import dpo
from paretohqd.trainers.descent import Descent
from paretohqd.trainers.keys import HEADS
from paretohqd.trainers.mixture import Mixture
from paretohqd.trainers.settings import Kind
from paretohqd.trainers.several import Ids, encoded
from paretohqd.trainers.training import OnStep

KIND = Kind(DPOConfig, HEADS, dpo.DEFAULTS)
"""What `pairs` is here: the number of steps, the length of rows, and what AdamW and its schedule
take."""

HIDDEN = 32
"""Numbers that a labelled pair becomes."""
READ_AT_ONCE = 16
"""Answers that are read side by side for their features."""

Pair = tuple[int, int]
"""Numbers of the answer that a user likes better, and of the other."""

Features = Mapping[int, torch.Tensor]
"""What the base makes of answers, by their numbers."""


@dataclass(frozen=True)
class Step:
    """What one step trains on: some pairs of a user, given others of the same."""

    shown: Sequence[Pair]
    """What the network infers from."""
    learned: Sequence[Pair]
    """What the loss is of; none of the others."""


class UserFacts(TypedDict):
    """What the manifest says of a training."""

    steps: int
    trained_tokens: int
    """Those of both answers of each pair in the loss, with their prompts."""
    generated_tokens: int
    scored: int
    coefficients: list[list[float]]
    """What was inferred for each user who is asked for."""
    trainable_parameters: int
    beta: float
    train: dict[str, Any]
    """The settings in force."""
    lora: dict[str, Any]


class Inference(torch.nn.Module):
    """From a user's labelled pairs to the coefficients of K adapters, whatever the pairs' order.

    Each pair is the difference of its answers' features; what a layer makes of them is averaged. At
    the start all users have about the same coefficients, near 1 / K each.
    """

    def __init__(self, count: int, features: int) -> None:
        """Start with nothing learned."""
        super().__init__()
        self.pair = torch.nn.Linear(features, HIDDEN, dtype=torch.float64)
        self.out = torch.nn.Linear(HIDDEN, count, dtype=torch.float64)
        torch.nn.init.zeros_(self.out.bias)

    def forward(self, shown: torch.Tensor) -> torch.Tensor:
        """(K,) coefficients, which sum to 1, of a user with (n, features) differences."""
        found: torch.Tensor = self.out(torch.tanh(self.pair(shown)).mean(dim=0))
        return torch.softmax(found, dim=0)


def fit_users(
    model: Any,
    tokenizer: Any,
    rows: pl.DataFrame,
    steps: Sequence[Step],
    asked: Sequence[Sequence[Pair]],
    out: Path,
    *,
    count: int,
    machine: Machine,
    train: Mapping[str, Any],
    lora: Mapping[str, Any],
    seed: int = 0,
    beta: float = 0.1,
    on_step: OnStep | None = None,
) -> UserFacts:
    """Train K adapters and the inference of their coefficients.

    A step's loss is the mean over the user's pairs of -log sigmoid(beta (dc - dr)), with dc and dr
    for log pi - log pi_ref of the answer that is liked better and of the other; pi has the adapters
    with the coefficients that are inferred from the user's other pairs, pi_ref has none. Features
    of answers are the base's mean last hidden states over their tokens, and do not change.

    A training that was killed starts anew: it keeps no checkpoints.

    Args:
        model: The base model, freshly loaded (in float32 on a CPU); the call wraps it.
        tokenizer: Its tokenizer, with a chat template.
        rows: Columns prompt and response.
        steps: What each step trains on, by the numbers of rows.
        asked: The labelled pairs of users whose coefficients are wanted.
        out: Folder for `adapter-0/`, `adapter-1/`, .., `network.json` and `log.json`.
        count: K adapters.
        machine: Device and number format.
        train: Settings for DPOConfig, over dpo.DEFAULTS; of these max_length, and what AdamW and
            its schedule take.
        lora: Settings for LoraConfig, over adapter_settings.LORA_DEFAULTS; dropout is always 0.
        seed: Of the first adapter; the others, and then the network, follow as `put_on` has it.
        beta: How much a difference of log-probabilities counts.
        on_step: Called with (steps done, steps in all).

    Returns:
        Facts for the manifest.

    Raises:
        ValueError: Settings that could not be followed, a step or a user without pairs, an answer
            without a token to train on, or a training that diverged. Nothing is saved then.
    """
    KIND.check_all(train, lora, "pairs")
    check_modules(model, lora)
    settings = KIND.merged(train)
    adapter = {**LORA_DEFAULTS, **lora, "lora_dropout": 0.0}
    if not steps or not all(step.shown and step.learned for step in steps) or not all(asked):
        raise ValueError("each step and each user that is asked for needs labelled pairs")
    answers = encoded(model, tokenizer, rows, settings["max_length"], setting="pairs")
    tokenizer.padding_side = "right"
    model.eval()
    with kept(out / WARNINGS), without_bars():
        arguments = KIND.build(settings, machine, "pairs", output_dir=str(out), seed=seed)
        told = [*(step.shown for step in steps), *asked]
        seen = sorted({row for pairs in told for pair in pairs for row in pair})
        read = answer_features(model, tokenizer, [answers[row] for row in seen], machine)
        features = dict(zip(seen, read, strict=True))
        network = lambda: Inference(count, read.shape[1])  # noqa: E731
        mixture = Mixture(model, count, network, adapter, machine=machine, seed=seed)
        log = _train(mixture, tokenizer, answers, features, steps, arguments, beta, on_step)
        check_trained(mixture.model, len(steps))
        with torch.no_grad():
            found = [mixture.network(_differences(features, own)).tolist() for own in asked]
    out.mkdir(parents=True, exist_ok=True)
    mixture.save(out)
    write_new(out / "log.json", json.dumps(log, indent=1))
    learned = [row for step in steps for pair in step.learned for row in pair]
    return {
        "steps": len(steps),
        "trained_tokens": sum(len(part) for row in learned for part in answers[row]),
        "generated_tokens": 0,
        "scored": 0,
        "coefficients": found,
        "trainable_parameters": sum(p.numel() for p in mixture.parameters()),
        "beta": beta,
        "train": settings,
        "lora": adapter,
    }


@torch.no_grad()
def answer_features(
    model: Any, tokenizer: Any, answers: Sequence[Ids], machine: Machine
) -> torch.Tensor:
    """(answers, hidden size) the base's mean last hidden states over each answer's tokens."""
    parts = []
    for start in range(0, len(answers), READ_AT_ONCE):
        batch = pad_answers(answers[start : start + READ_AT_ONCE], tokenizer, machine.device)
        with torch.autocast(machine.device, dtype=torch.bfloat16, enabled=machine.bfloat16):
            hidden = _hidden(model, batch)
        inside = batch.answer[..., None]
        parts.append((hidden.double() * inside).sum(dim=1) / inside.sum(dim=1))
    features = torch.cat(parts).cpu()
    # In deviations: of raw states some are a hundred times as large as others.
    spread = features.std(dim=0).clamp(min=1e-9) if len(features) > 1 else 1.0
    return (features - features.mean(dim=0)) / spread


def _hidden(model: Any, batch: AnswerBatch) -> torch.Tensor:
    read: torch.Tensor = model.base_model(
        input_ids=batch.tokens, attention_mask=batch.attention, use_cache=False
    ).last_hidden_state
    return read


def _differences(features: Features, pairs: Sequence[Pair]) -> torch.Tensor:
    return torch.stack([features[better] - features[worse] for better, worse in pairs])


def _train(
    mixture: Mixture,
    tokenizer: Any,
    answers: Sequence[Ids],
    features: Features,
    steps: Sequence[Step],
    arguments: Any,
    beta: float,
    on_step: OnStep | None,
) -> list[dict[str, Any]]:
    """All steps; returns the log's entries."""
    descent = Descent(mixture.parameters(), arguments, len(steps), on_step)
    for step in steps:
        rows = [answers[row] for side in zip(*step.learned, strict=True) for row in side]
        batch = pad_answers(rows, tokenizer, mixture.machine.device)
        found = mixture.network(_differences(features, step.shown))
        ratios = mixture.logps(batch, found) - mixture.logps(batch, None)
        better, worse = ratios[: len(step.learned)], ratios[len(step.learned) :]
        loss = descent.backward(-logsigmoid(beta * (better - worse)).mean())
        descent.step(
            loss=loss,
            accuracy=float((better > worse).float().mean()),
            coefficients=found.detach().tolist(),
        )
    return descent.log
