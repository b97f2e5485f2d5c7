"""Supervised fine-tuning of one LoRA adapter on the rows chosen for one preference.

The trainer is TRL's SFTTrainer, the adapter PEFT's LoRA; both follow the user's settings, each key
as `trainer_keys` and `adapter_keys` say.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import polars as pl
import trl
from datasets import Dataset
from peft import load_peft_weights, set_peft_model_state_dict
from transformers import PrinterCallback, TrainerCallback, TrainerState, set_seed
from transformers.trainer import TRAINER_STATE_NAME
from trl import SFTConfig

from paretohqd.exceptions import WARNINGS
from paretohqd.models.adapter_settings import adapter_config, check_lora, check_modules
from paretohqd.models.adapters import put_adapter
from paretohqd.models.base import Machine
from paretohqd.models.chat import frame_rows, prompt_lengths, stop_tokens, until_end
from paretohqd.models.finite import StopsAtNan, check_trained
from paretohqd.models.loading import kept, without_bars
from paretohqd.models.templates import check_trainable
from paretohqd.trainers.keys import SFT
from paretohqd.trainers.settings import Kind

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


class SFTTrainer(StopsAtNan, trl.SFTTrainer):  # type: ignore[misc]
    """TRL's, which stops where a number is not finite."""


def check_settings(
    train: Mapping[str, Any], lora: Mapping[str, Any], where: str = "train", *, kind: Kind = KIND
) -> None:
    """Refuse settings of a `kind` of training that could not be followed, before any work.

    Raises:
        ValueError: an unknown key (with the nearest known one), one that the run sets itself or
            that it cannot follow, a value that the key cannot have, or settings that contradict
            each other; the message names the key.

    Example:
        >>> check_settings({"num_train_epochs": 2}, {"r": 16})
        >>> check_settings({"push_to_hub": True}, {})
        Traceback (most recent call last):
        ValueError: train.push_to_hub is not followed (a run sends nothing anywhere): leave it out
    """
    kind.check(train, where)
    check_lora(lora)
    kind.try_out(train, where)


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
    on_step: Callable[[int, int], None] | None = None,
) -> dict[str, Any]:
    """Train one adapter and save it.

    Args:
        model: the base model, freshly loaded (in float32 on a CPU); the call wraps it.
        tokenizer: its tokenizer, with a chat template.
        rows: the training set, columns prompt and response, and perhaps system_prompt.
        out: folder for `adapter/` and `log.json`. Checkpoints that an interrupted call left there
            (`save_strategy: steps`) are continued from.
        machine: device and number format.
        train: settings for SFTConfig, over DEFAULTS: a number of epochs takes the place of the
            default number of steps.
        lora: settings for LoraConfig, over adapter_settings.LORA_DEFAULTS; unused with
            `start_from`.
        seed: fixes the adapter's start, dropout and the order of rows.
        start_from: an adapter to train further (stage 2) in place of a new one.
        on_step: called with (steps done, steps in all).

    Returns:
        Facts for the manifest: rows, answers cut by max_length (they have no end token),
        processes, steps, trainable parameters, the settings in force.

    Raises:
        ValueError: settings that could not be followed, no rows, a prompt that fills max_length so
            that no token of the answer is trained on, a chat template that does not end answers, an
            adapter without trainable parameters, or a training that diverged: a loss, gradient or
            weight that is not finite. Nothing is saved then.
    """
    check_settings(train, lora)
    if start_from is None:
        check_modules(model, lora)
    settings = KIND.merged(train)
    if rows.is_empty():
        raise ValueError("no rows to train on")
    check_lengths(tokenizer, rows, settings["max_length"])
    stop = stop_tokens(model, tokenizer)
    check_trainable(tokenizer, stop)
    set_seed(seed)
    tokenizer.padding_side = "right"
    with kept(out / WARNINGS), without_bars():
        if start_from is not None:
            # trainable, and no peft_config below: without the first nothing would train.
            model = put_adapter(model, start_from, "default", trainable=True, exact=True)
        arguments = KIND.build(
            settings, machine, "train", output_dir=str(out / "checkpoints"), seed=seed
        )
        trainer = SFTTrainer(
            model=model,
            args=arguments,
            train_dataset=_dataset(tokenizer, rows, stop),
            processing_class=tokenizer,
            peft_config=None if start_from else adapter_config(lora),
            callbacks=[Steps(on_step)] if on_step else None,
        )
        trainer.pop_callback(PrinterCallback)
        cut = sum(not set(labels) & set(stop) for labels in trainer.train_dataset["labels"])
        if settings.get("packing"):
            cut = 0  # what does not fit goes on in the next row
        if cut == len(trainer.train_dataset):
            raise ValueError(
                f"max_length={settings['max_length']} cuts all {cut} answers short: no end token "
                "would be trained, and the model would never stop: raise train.max_length"
            )
        trainable = sum(p.numel() for p in trainer.model.parameters() if p.requires_grad)
        if trainable == 0:
            raise ValueError("the adapter has no trainable parameters: check lora.target_modules")
        train_on(trainer, out / "checkpoints")
        if trainer.is_world_process_zero():
            save_adapter(trainer, out)
        trainer.accelerator.wait_for_everyone()
    return {
        "rows": len(rows),
        "cut_answers": cut,
        "processes": trainer.args.world_size,
        "steps": trainer.state.global_step,
        "trainable_parameters": trainable,
        "train": settings,
        "lora": trainer.model.peft_config[trainer.model.active_adapter].to_dict(),
    }


def check_lengths(tokenizer: Any, rows: pl.DataFrame, max_length: int | None) -> None:
    """TRL drops rows whose answer is cut off whole without a word; here that is an error."""
    if max_length is None:
        return
    cut = prompt_lengths(tokenizer, rows) >= max_length
    if cut.any():
        what = "all" if cut.all() else str(cut.sum())
        raise ValueError(
            f"{what} of {len(rows)} answers would be cut off whole: their prompts have "
            f"max_length={max_length} tokens or more (first: row {cut.arg_max()}): raise "
            "train.max_length or leave these rows out"
        )


def _dataset(tokenizer: Any, rows: pl.DataFrame, stop: Sequence[int]) -> Dataset:
    """Rows as SFTTrainer leaves them: ids, and labels for the answer and its end token alone.

    Templates write a newline or more behind an end token, which a sampled answer never gets to.
    """
    ids, labels = [], []
    for prompt, rest in frame_rows(tokenizer, rows, stop=stop):
        answer = until_end(rest, stop)
        ids.append(prompt + rest)
        labels.append([IGNORED] * len(prompt) + answer + [IGNORED] * (len(rest) - len(answer)))
    return Dataset.from_dict({"input_ids": ids, "labels": labels})


def train_on(trainer: Any, checkpoints: Path) -> None:
    """Train to the last step, going on from the newest whole checkpoint.

    Raises:
        ValueError: the training diverged, or ended before its last step.
    """
    _train(trainer, checkpoints)
    done, wanted = trainer.state.global_step, trainer.state.max_steps
    if done < wanted:
        raise ValueError(
            f"only {done} of {wanted} steps were trained: dataloader_drop_last leaves no whole "
            "batch of so few rows: leave it out or lower per_device_train_batch_size"
        )


def _train(trainer: Any, checkpoints: Path) -> None:
    for last in _newest_first(checkpoints):
        try:
            state = TrainerState.load_from_json(str(last / TRAINER_STATE_NAME))  # written last
        except (OSError, ValueError, TypeError):
            continue  # half written by an attempt that was killed
        if state.global_step < state.max_steps:
            trainer.train(resume_from_checkpoint=str(last))
        else:  # the trainer would take a step too many
            weights = load_peft_weights(str(last), device=str(trainer.args.device))
            set_peft_model_state_dict(trainer.model, weights)
            trainer.state = state
        return
    trainer.train()


def _newest_first(checkpoints: Path) -> list[Path]:
    found = [p for p in checkpoints.glob("checkpoint-*") if p.name.split("-")[-1].isdecimal()]
    return sorted(found, key=lambda p: int(p.name.split("-")[-1]), reverse=True)


def save_adapter(trainer: Any, out: Path, *, more: Sequence[str] = ()) -> None:
    """Save the adapter and the log, with `more` of what the trainer logs than every one has.

    Raises:
        ValueError: a weight that is not finite.
    """
    check_trained(trainer.model, trainer.state.global_step)
    trainer.model.save_pretrained(out / "adapter")
    # The model card names the base by its path on this machine and tells nothing else.
    (out / "adapter" / "README.md").unlink(missing_ok=True)
    # Not num_tokens: it starts at zero again where a run goes on from a checkpoint.
    kept = ("step", "loss", "learning_rate", "grad_norm", "mean_token_accuracy", *more)
    log = [{k: e[k] for k in kept if k in e} for e in trainer.state.log_history if "loss" in e]
    (out / "log.json").write_text(json.dumps(log, indent=1))
    shutil.rmtree(out / "checkpoints", ignore_errors=True)


class Steps(TrainerCallback):  # type: ignore[misc]
    """Passes the trainer's progress on."""

    def __init__(self, on_step: Callable[[int, int], None]) -> None:
        """Take what is called with (steps done, steps in all)."""
        self.on_step = on_step

    def on_step_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """Tell how far it is."""
        self.on_step(state.global_step, state.max_steps)
