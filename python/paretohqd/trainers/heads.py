"""Several heads on one body, trained together on pairs of several objectives: MAH-DPO.

Source: "MAHALO" (MAH-DPO, arXiv 2510.01167, and its public code): one head per objective on a body
that all share, the mean over the objectives of DPO's loss on their own pairs, the model as it was
for a reference. At use the logits of the heads are summed by the preference, which is the head of
the summed weights: a sum of adapters is exactly that. Ours: body and heads are LoRA adapters (the
paper trains all weights), which start as nothing, so that no noise is needed to tell heads apart.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, TypedDict

import polars as pl
import torch
from torch.nn.functional import logsigmoid
from trl import DPOConfig

from paretohqd.exceptions import WARNINGS
from paretohqd.frames.new_files import write_new
from paretohqd.models.adapter_settings import (
    LORA_DEFAULTS,
    adapter_config,
    check_modules,
    head_target,
)
from paretohqd.models.chat import SIDES, pad_answers
from paretohqd.models.finite import check_trained
from paretohqd.models.library_calls import kept, without_bars
from paretohqd.models.likelihood import answer_logps
from paretohqd.models.machine import Machine
from paretohqd.trainers import dpo
from paretohqd.trainers.descent import Descent
from paretohqd.trainers.keys import HEADS
from paretohqd.trainers.settings import Kind
from paretohqd.trainers.several import BODY, Ids, encoded, put_on, save_all
from paretohqd.trainers.training import OnStep

KIND = Kind(DPOConfig, HEADS, dpo.DEFAULTS)
"""What `pairs` is here: the number of steps, the length of rows, and what AdamW and its schedule
take."""

OBJECTIVE = "objective"
"""Column that says whose pair a row is."""


class HeadFacts(TypedDict):
    """What the manifest says of a training."""

    steps: int
    trained_tokens: int
    """Those of both answers of each pair, with their prompts."""
    generated_tokens: int
    scored: int
    heads: list[str]
    """Folders of the heads, in the order of the objectives."""
    trainable_parameters: int
    beta: float
    train: dict[str, Any]
    """The settings in force."""
    lora: dict[str, Any]


def head_name(place: int) -> str:
    """The adapter of an objective's head, and its folder.

    Example:
        >>> head_name(1)
        'head-1'
    """
    return f"head-{place}"


def fit_heads(
    model: Any,
    tokenizer: Any,
    pairs: pl.DataFrame,
    objectives: Sequence[str],
    out: Path,
    *,
    machine: Machine,
    train: Mapping[str, Any],
    lora: Mapping[str, Any],
    seed: int = 0,
    beta: float = 0.1,
    on_step: OnStep | None = None,
) -> HeadFacts:
    """Train a body and one head per objective, and save an adapter of each.

    A step's loss is the mean over the objectives of the mean over their pairs of -log sigmoid(beta
    (dc - dr)), with dc and dr for log pi - log pi_ref of the chosen and the rejected answer: pi has
    the body and the objective's own head, pi_ref neither. A pair is read under its own head alone.

    A training that was killed starts anew: it keeps no checkpoints.

    Args:
        model: The base model, freshly loaded (in float32 on a CPU); the call wraps it.
        tokenizer: Its tokenizer, with a chat template.
        pairs: Columns prompt, chosen, rejected and `objective`, in the order of training: each
            step takes the same number of rows, and of these the same number from each objective.
        objectives: M names, those in the column.
        out: Folder for `body/`, `head-0/`, `head-1/`, .. and `log.json`, an entry per step.
        machine: Device and number format.
        train: Settings for DPOConfig, over dpo.DEFAULTS; of these max_steps, max_length, and what
            AdamW and its schedule take.
        lora: Settings for LoraConfig, over adapter_settings.LORA_DEFAULTS: of the body; a head has
            the same rank. Dropout is always 0, because the reference has none.
        seed: Fixes the adapters' start.
        beta: How much a difference of log-probabilities counts.
        on_step: Called with (steps done, steps in all).

    Returns:
        Facts for the manifest.

    Raises:
        ValueError: Settings that could not be followed, rows that do not divide among steps and
            objectives, an answer without a token to train on, a model without a head of its own,
            or a training that diverged. Nothing is saved then.
    """
    KIND.check_all(train, lora, "pairs")
    check_modules(model, lora)
    settings = KIND.merged(train)
    adapter = {**LORA_DEFAULTS, **lora, "lora_dropout": 0.0}
    steps = int(settings["max_steps"])
    batches = _batches(pairs, objectives, steps)
    longest = settings["max_length"]
    ids = {
        side: encoded(model, tokenizer, pairs, longest, answers=side, setting="pairs")
        for side in SIDES
    }
    tokenizer.padding_side = "right"
    model.eval()  # no dropout: the reference has none
    with kept(out / WARNINGS), without_bars():
        arguments = KIND.build(settings, machine, "pairs", output_dir=str(out), seed=seed)
        heads = Heads(model, tokenizer, objectives, adapter, machine=machine, seed=seed)
        log = _train(heads, batches, ids, arguments, beta, on_step)
        check_trained(heads.model, steps)
    out.mkdir(parents=True, exist_ok=True)
    heads.save(out)
    write_new(out / "log.json", json.dumps(log, indent=1))
    return {
        "steps": steps,
        "trained_tokens": sum(len(p) + len(a) for side in SIDES for p, a in ids[side]),
        "generated_tokens": 0,
        "scored": 0,
        "heads": [head_name(place) for place in range(len(objectives))],
        "trainable_parameters": sum(p.numel() for p in heads.parameters()),
        "beta": beta,
        "train": settings,
        "lora": adapter,
    }


class Heads:
    """A body's adapter and one of the head for each objective, on one base."""

    def __init__(
        self,
        model: Any,
        tokenizer: Any,
        objectives: Sequence[str],
        lora: Mapping[str, Any],
        *,
        machine: Machine,
        seed: int,
    ) -> None:
        """Wrap the model; the adapters' names are those of their folders."""
        self.tokenizer, self.machine = tokenizer, machine
        self.names = [head_name(place) for place in range(len(objectives))]
        head = head_target(model, lora)
        own = {name: adapter_config(lora, target_modules=head) for name in self.names}
        self.model = put_on(model, {BODY: adapter_config(lora), **own}, seed=seed)

    def parameters(self) -> list[torch.nn.Parameter]:
        """The trained parameters of all adapters."""
        return [p for name, p in self.model.named_parameters() if "lora_" in name]

    def logps(self, rows: Sequence[Ids], place: int | None) -> torch.Tensor:
        """(rows,) log-probabilities of answers under an objective's head; None: the base's."""
        bfloat16 = self.machine.bfloat16
        with torch.autocast(self.machine.device, dtype=torch.bfloat16, enabled=bfloat16):
            batch = pad_answers(rows, self.tokenizer, self.machine.device)
            if place is None:
                with torch.no_grad(), self.model.disable_adapter():
                    return answer_logps(self.model, batch)
            # Which of the heads gets a gradient is switched with it.
            self.model.base_model.set_adapter([BODY, self.names[place]])
            return answer_logps(self.model, batch)

    def save(self, out: Path) -> None:
        """Write each adapter to a folder of its name."""
        save_all(self.model, out, [BODY, *self.names])


def _batches(pairs: pl.DataFrame, objectives: Sequence[str], steps: int) -> list[list[list[int]]]:
    """For each step the numbers of each objective's rows."""
    if steps < 1 or not len(pairs) or len(pairs) % steps:
        raise ValueError(f"{len(pairs)} pairs do not divide among {steps} steps")
    each = len(pairs) // steps
    whose = pairs[OBJECTIVE].to_list()
    batches = []
    for start in range(0, len(pairs), each):
        rows = range(start, start + each)
        batch = [[row for row in rows if whose[row] == name] for name in objectives]
        if any(len(own) * len(objectives) != each for own in batch):
            raise ValueError(
                f"step {start // each + 1} has {[len(own) for own in batch]} pairs of "
                f"{', '.join(objectives)}: each objective must have as many"
            )
        batches.append(batch)
    return batches


def _train(
    heads: Heads,
    batches: Sequence[Sequence[Sequence[int]]],
    ids: Mapping[str, Sequence[Ids]],
    arguments: Any,
    beta: float,
    on_step: OnStep | None,
) -> list[dict[str, Any]]:
    """All steps; returns the log's entries."""
    descent = Descent(heads.parameters(), arguments, len(batches), on_step)
    for batch in batches:
        losses, right = [], []
        for place, own in enumerate(batch):
            rows = [ids[side][row] for side in SIDES for row in own]
            ratios = heads.logps(rows, place) - heads.logps(rows, None)
            chosen, rejected = ratios[: len(own)], ratios[len(own) :]
            loss = -logsigmoid(beta * (chosen - rejected)).mean()
            losses.append(descent.backward(loss, 1 / len(batch)))
            right.append(float((chosen > rejected).float().mean()))
        descent.step(loss=sum(losses) / len(losses), losses=losses, accuracies=right)
    return descent.log
