"""Supervised fine-tuning of one LoRA adapter on the rows chosen for one preference.

The trainer is TRL's SFTTrainer, the adapter PEFT's LoRA; both follow the user's settings, each key
as `trainers.keys` and `models.adapter_keys` say.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, TypedDict

import polars as pl
import trl
from datasets import Dataset
from trl import SFTConfig

from paretohqd.models.adapter_settings import adapter_config, check_modules
from paretohqd.models.adapters import put_adapter
from paretohqd.models.chat import (
    check_prompt_lengths,
    check_trainable,
    encode_frame,
    stop_tokens,
)
from paretohqd.models.finite import StopsAtNan
from paretohqd.models.machine import Machine
from paretohqd.trainers.cpu_head import put_head
from paretohqd.trainers.keys import SFT
from paretohqd.trainers.settings import Kind
from paretohqd.trainers.tracking import tracked
from paretohqd.trainers.training import (
    OnStep,
    Steps,
    lora_settings,
    run_trainer,
    trainable_parameters,
)

DEFAULTS: dict[str, Any] = {
    "max_steps": 200,
    "per_device_train_batch_size": 8,
    "learning_rate": 1.4e-4,
    "max_length": 512,
    "logging_steps": 1,
    "report_to": "none",
    "save_strategy": "no",
    # Recomputing activations saves memory that LoRA on a small model does not need.
    "gradient_checkpointing": False,
    # Every adapter takes part in every step, so several processes need not look for idle ones.
    "ddp_find_unused_parameters": False,
}
"""200 steps of batch 8 are the paper's; the rest are Rewards-in-Context's public settings."""

KIND = Kind(SFTConfig, SFT, DEFAULTS)
"""What `train` is."""

IGNORED = -100
"""The label that torch's cross entropy leaves out."""


class SftFacts(TypedDict):
    """What the manifest says of a training."""

    rows: int
    cut_answers: int
    """Answers cut by max_length: they have no end token."""
    processes: int
    steps: int
    trainable_parameters: int
    train: dict[str, Any]
    """The settings in force."""
    lora: dict[str, Any]


class SFTTrainer(StopsAtNan, trl.SFTTrainer):  # type: ignore[misc]
    """TRL's, which stops where a number is not finite, and on a CPU reads no padding."""

    def __init__(self, *args: Any, **more: Any) -> None:
        """Take what TRL's takes, with a model that becomes or is one of PEFT's."""
        super().__init__(*args, **more)
        for weight in self.model.parameters():
            # TRL rounds the adapter of a quantized base to bfloat16, which loses small steps.
            if weight.requires_grad:
                weight.data = weight.data.float()
        put_head(
            self.model.get_base_model(),
            longest=self.args.max_length,
            rows=not self.args.neftune_noise_alpha,  # it divides its noise by the padded width
        )


def check_settings(train: Mapping[str, Any], lora: Mapping[str, Any], where: str = "train") -> None:
    """Refuse settings for SFTConfig and LoraConfig that could not be followed, before any work.

    Raises:
        ValueError: An unknown key (with the nearest known one), one that the run sets itself,
            cannot follow or does not let pass (see `paretohqd.run`), a value that the key cannot
            have, or settings that contradict each other; the message names the key.

    Example:
        >>> check_settings({"num_train_epochs": 2}, {"r": 16})
        >>> check_settings({"packing_strategy": "wrapped"}, {})
        Traceback (most recent call last):
        ValueError: train.packing_strategy: has no effect without packing: true
    """
    KIND.check_all(train, lora, where)


def fit(
    model: Any,
    tokenizer: Any,
    rows: pl.DataFrame,
    out: Path,
    *,
    machine: Machine,
    train: Mapping[str, Any],
    lora: Mapping[str, Any],
    seed: int = 0,
    start_from: Path | None = None,
    group: str | None = None,
    run_name: str | None = None,
    on_step: OnStep | None = None,
) -> SftFacts:
    """Train one adapter and save it.

    Args:
        model: The base model, freshly loaded (in float32 on a CPU); the call wraps it.
        tokenizer: Its tokenizer, with a chat template.
        rows: The training set, columns prompt and response, and perhaps system_prompt.
        out: Folder for `adapter/` and `log.json`. Checkpoints that an interrupted call left there
            (`save_strategy: steps`) are continued from.
        machine: Device and number format.
        train: Settings for SFTConfig, over DEFAULTS: a number of epochs takes the place of the
            default number of steps.
        lora: Settings for LoraConfig, over adapter_settings.LORA_DEFAULTS; unused with
            `start_from`.
        seed: Fixes the adapter's start, dropout and the order of rows.
        start_from: An adapter to train further (stage 2) in place of a new one.
        group: What trackers (`report_to`) are told that this training belongs to.
        run_name: What they call it, behind `train.run_name` and the group where these are given.
        on_step: Called with (steps done, steps in all).

    Returns:
        Facts for the manifest.

    Raises:
        ValueError: Settings that could not be followed, no rows, a prompt that fills max_length so
            that no token of the answer is trained on, a chat template that does not end answers, an
            adapter without trainable parameters, or a training that diverged: a loss, gradient or
            weight that is not finite. Nothing is saved then.
    """
    check_settings(train, lora)
    if start_from is None:
        check_modules(model, lora)
    chosen = KIND.merged(train)
    if rows.is_empty():
        raise ValueError("no rows to train on")
    check_prompt_lengths(tokenizer, rows, chosen["max_length"])
    stop = stop_tokens(model, tokenizer)
    check_trainable(tokenizer, stop)
    tokenizer.padding_side = "right"
    title = " ".join(part for part in (chosen.get("run_name"), group, run_name) if part)
    titled = {**chosen, "run_name": title} if title else chosen

    def make() -> SFTTrainer:
        base = model
        if start_from is not None:
            # trainable, and no peft_config below: without the first nothing would train.
            base = put_adapter(model, start_from, "default", trainable=True, exact=True)
        trainer = SFTTrainer(
            model=base,
            args=KIND.build(
                titled, machine, "train", output_dir=str(out / "checkpoints"), seed=seed
            ),
            train_dataset=_dataset(tokenizer, rows, stop),
            processing_class=tokenizer,
            peft_config=None if start_from else adapter_config(lora),
            callbacks=[Steps(on_step)] if on_step else None,
        )
        if _cut_answers(trainer, chosen, stop) == len(trainer.train_dataset):
            raise ValueError(
                f"max_length={chosen['max_length']} cuts all {len(trainer.train_dataset)} answers "
                "short: no end token would be trained, and the model would never stop: raise "
                "train.max_length"
            )
        return trainer

    with tracked(group, run_name):
        trainer = run_trainer(make, out, seed=seed)
    return {
        "rows": len(rows),
        "cut_answers": _cut_answers(trainer, chosen, stop),
        "processes": trainer.args.world_size,
        "steps": trainer.state.global_step,
        "trainable_parameters": trainable_parameters(trainer),
        "train": chosen,
        "lora": lora_settings(trainer),
    }


def _cut_answers(trainer: SFTTrainer, chosen: Mapping[str, Any], stop: Sequence[int]) -> int:
    """Answers whose end token the trainer has cut off."""
    if chosen.get("packing"):
        return 0  # what does not fit goes on in the next row
    return sum(not set(labels) & set(stop) for labels in trainer.train_dataset["labels"])


def _dataset(tokenizer: Any, rows: pl.DataFrame, stop: Sequence[int]) -> Dataset:
    """Rows as SFTTrainer leaves them: ids, and labels for the answer and its end token alone.

    Templates write a newline or more behind an end token, which a sampled answer never gets to.
    """
    ids, labels = [], []
    for prompt, answer, rest in encode_frame(tokenizer, rows, stop=stop):
        ids.append(prompt + answer + rest)
        labels.append([IGNORED] * len(prompt) + answer + [IGNORED] * len(rest))
    return Dataset.from_dict({"input_ids": ids, "labels": labels})
