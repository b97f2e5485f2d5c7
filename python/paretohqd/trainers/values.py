"""A value model: what scores an answer will have, told at each of its tokens.

After MAVIS (arXiv 2508.13415 and its public code), whose distilled form is one model with an output
per objective. Ours: a LoRA adapter on the policy's base and a linear head on its last hidden
states, fitted by least squares to the scores of whole answers at all of their tokens (one rollout
for each prefix, where the code samples trees of them). Which answers it is fitted to is which
policy's values it tells. `guide` uses it.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, TypedDict

import numpy as np
import polars as pl
import torch
from transformers import set_seed
from trl import SFTConfig

from paretohqd.exceptions import WARNINGS
from paretohqd.frames.new_files import write_new
from paretohqd.models.adapter_settings import LORA_DEFAULTS, adapter_config, check_modules
from paretohqd.models.chat import pad_answers
from paretohqd.models.finite import check_trained
from paretohqd.models.guide import (
    ADAPTER,
    ActionHead,
    Head,
    Kind,
    ValueHead,
    embeddings,
    hidden_states,
    save_head,
)
from paretohqd.models.library_calls import kept, without_bars
from paretohqd.models.machine import Machine
from paretohqd.trainers import settings
from paretohqd.trainers.descent import Descent
from paretohqd.trainers.keys import JOINT
from paretohqd.trainers.several import Ids, encoded, put_on, save_all
from paretohqd.trainers.sft import DEFAULTS
from paretohqd.trainers.training import OnStep

KIND = settings.Kind(SFTConfig, JOINT, DEFAULTS)
"""What `train` is here: the number of steps, the length of rows, and what AdamW and its schedule
take."""

RANK = 16
"""Numbers that an action head makes of a state and of a token, for each objective."""


class ValueFacts(TypedDict):
    """What the manifest says of a training."""

    steps: int
    trained_tokens: int
    generated_tokens: int
    scored: int
    loss: list[float]
    """At the first and the last step: 1 would be a model that says the mean of standardised
    scores."""
    trainable_parameters: int
    head: Kind
    train: dict[str, Any]
    """The settings in force."""
    lora: dict[str, Any]


def fit_values(
    model: Any,
    tokenizer: Any,
    rows: pl.DataFrame,
    objectives: Sequence[str],
    out: Path,
    *,
    head: Kind,
    machine: Machine,
    train: Mapping[str, Any],
    lora: Mapping[str, Any],
    seed: int = 0,
    on_step: OnStep | None = None,
) -> ValueFacts:
    """Train a value model and save it.

    A step's loss is the mean over the tokens of its answers, the end token included, and over the
    objectives of (V - z)^2, z being the answer's score.

    A training that was killed starts anew: it keeps no checkpoints.

    Args:
        model: The base model, freshly loaded (in float32 on a CPU); the call wraps it.
        tokenizer: Its tokenizer, with a chat template.
        rows: Columns prompt, response, one for each objective (scores, standardised), and perhaps
            system_prompt and finished; in the order of training, each step the same number.
        objectives: M columns.
        out: Folder for `adapter/`, `head.safetensors` and `log.json`.
        head: "value" tells the scores after a token, "action" before it, of every token at once.
        machine: Device and number format.
        train: Settings for SFTConfig, over sft.DEFAULTS; of these max_steps, max_length, and what
            AdamW and its schedule take.
        lora: Settings for LoraConfig, over adapter_settings.LORA_DEFAULTS; dropout is always 0.
        seed: Fixes the adapter's and the head's start.
        on_step: Called with (steps done, steps in all).

    Returns:
        Facts for the manifest.

    Raises:
        ValueError: Settings that could not be followed, rows that do not divide among the steps, a
            score that is not finite, an answer without a token to train on, or a training that
            diverged. Nothing is saved then.
    """
    KIND.check_all(train, lora, "train")
    check_modules(model, lora)
    chosen = KIND.merged(train)
    adapter = {**LORA_DEFAULTS, **lora, "lora_dropout": 0.0}
    steps = int(chosen["max_steps"])
    if not len(rows) or steps < 1 or len(rows) % steps:
        raise ValueError(f"{len(rows)} rows do not divide among {steps} steps")
    scores = rows.select(pl.col(name).cast(pl.Float64) for name in objectives).to_numpy()
    if not np.isfinite(scores).all():
        raise ValueError("a score is null, NaN or infinite: leave such rows out")
    ids = encoded(model, tokenizer, rows, chosen["max_length"])
    targets = torch.from_numpy(scores.astype(np.float32)).to(machine.device)
    tokenizer.padding_side = "right"
    model.eval()
    with kept(out / WARNINGS), without_bars():
        arguments = KIND.build(chosen, machine, "train", output_dir=str(out), seed=seed)
        values = Values(
            model, tokenizer, len(objectives), adapter, head=head, machine=machine, seed=seed
        )
        descent = Descent(values.parameters(), arguments, steps, on_step)
        each = len(rows) // steps
        for start in range(0, len(rows), each):
            part = slice(start, start + each)
            descent.step(loss=descent.backward(values.loss(ids[part], targets[part])))
        check_trained(values.model, steps)
    out.mkdir(parents=True, exist_ok=True)
    values.save(out)
    log = descent.log
    write_new(out / "log.json", json.dumps(log, indent=1))
    return {
        "steps": steps,
        "trained_tokens": sum(len(prompt) + len(answer) for prompt, answer in ids),
        "generated_tokens": 0,
        "scored": 0,
        "loss": [log[0]["loss"], log[-1]["loss"]],
        "trainable_parameters": sum(p.numel() for p in values.parameters()),
        "head": head,
        "train": chosen,
        "lora": adapter,
    }


class Values:
    """An adapter and a head on one base."""

    def __init__(
        self,
        model: Any,
        tokenizer: Any,
        objectives: int,
        lora: Mapping[str, Any],
        *,
        head: Kind,
        machine: Machine,
        seed: int,
    ) -> None:
        """Wrap the model."""
        self.tokenizer, self.machine = tokenizer, machine
        self._embeddings = embeddings(model)
        embedded, size = self._embeddings.shape[1], model.config.get_text_config().hidden_size
        self.model = put_on(model, {ADAPTER: adapter_config(lora)}, seed=seed)
        set_seed(seed + 1)
        made = (
            ValueHead(size, objectives)
            if head == "value"
            else ActionHead(size, embedded, objectives, RANK)
        )
        self.head: Head = made.to(machine.device)

    def parameters(self) -> list[torch.nn.Parameter]:
        """The trained parameters of adapter and head."""
        adapter = [p for name, p in self.model.named_parameters() if "lora_" in name]
        return [*adapter, *self.head.parameters()]

    def loss(self, rows: Sequence[Ids], targets: torch.Tensor) -> torch.Tensor:
        """Mean squared error over the tokens of some answers and over the objectives."""
        found, row = self.tell(rows)
        return (found - targets[row]).square().mean()

    def tell(self, rows: Sequence[Ids]) -> tuple[torch.Tensor, torch.Tensor]:
        """(tokens, M) expected scores at the tokens of answers, and (tokens,) the row of each."""
        batch = pad_answers(rows, self.tokenizer, self.machine.device)
        bfloat16 = self.machine.bfloat16
        with torch.autocast(self.machine.device, dtype=torch.bfloat16, enabled=bfloat16):
            states = hidden_states(
                self.model,
                input_ids=batch.tokens,
                attention_mask=batch.attention,
                use_cache=False,
            ).last_hidden_state
        row, place = batch.answer.nonzero(as_tuple=True)
        if isinstance(self.head, ValueHead):
            return self.head(states[row, place].float()), row
        taken = self._embeddings[batch.tokens[row, place]]
        return self.head(states[row, place - 1].float(), taken), row

    def save(self, out: Path) -> None:
        """Write the adapter and the head."""
        save_all(self.model, out, [ADAPTER])
        save_head(self.head, out)
