"""Supervised fine-tuning of one LoRA adapter on the rows chosen for one preference.

The trainer is TRL's SFTTrainer, the adapter PEFT's LoRA; both take the user's settings verbatim.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import fields
from pathlib import Path
from typing import Any

import polars as pl
from datasets import Dataset
from peft import LoraConfig, PeftModel, load_peft_weights, set_peft_model_state_dict
from transformers import PrinterCallback, TrainerCallback, TrainerState, set_seed
from transformers.trainer import TRAINER_STATE_NAME
from trl import SFTConfig, SFTTrainer

from paretohqd.dataset import text_dataset
from paretohqd.generation import asked, encode_prompts, stop_tokens
from paretohqd.loading import quiet
from paretohqd.models import Machine
from paretohqd.strict import check_keys, check_values

RESERVED = (
    "output_dir",
    "use_cpu",
    "seed",
    "data_seed",
    "completion_only_loss",
    "assistant_only_loss",
)
"""SFTConfig keys that the run decides itself."""

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

LORA_DEFAULTS: dict[str, Any] = {
    "r": 64,
    "lora_alpha": 128,
    "lora_dropout": 0.05,
    "target_modules": "all-linear",
    "task_type": "CAUSAL_LM",
}


BEFORE = "before"
"""Column of system messages, where rows have them."""

IGNORED = -100
"""The label that torch's cross entropy leaves out."""


def check_settings(
    train: Mapping[str, Any],
    lora: Mapping[str, Any],
    where: str = "train",
    *,
    kind: type = SFTConfig,
    reserved: Sequence[str] = RESERVED,
) -> None:
    """Refuse keys that the trainer's `kind` of settings or LoraConfig does not have, before work.

    Raises:
        ValueError: an unknown key (with the nearest known one) or one that the run sets itself.
    """
    taken = [key for key in train if key in reserved]
    if taken:
        raise ValueError(f"{where}.{taken[0]} is set by the run itself: leave it out")
    for given, known, section in ((train, kind, where), (lora, LoraConfig, "lora")):
        check_keys(given, [f.name for f in fields(known) if f.init], section)
        check_values(given, known, section)


def prompt_lengths(tokenizer: Any, frame: pl.DataFrame) -> pl.Series:
    """Tokens of each row's prompt in the chat template, up to where its answer starts."""
    keys = ["prompt", BEFORE] if BEFORE in frame.columns else ["prompt"]
    unique = frame.select(keys).unique(maintain_order=True)
    ids = encode_prompts(tokenizer, *(unique[key].to_list() for key in keys))
    table = unique.with_columns(length=pl.Series([len(row) for row in ids], dtype=pl.Int64))
    return frame.select(keys).join(table, on=keys, how="left", maintain_order="left")["length"]


def row_lengths(tokenizer: Any, rows: pl.DataFrame, max_length: int | None) -> list[int]:
    """Tokens of each row as `fit` trains on it: prompt, answer and what the template adds."""
    before = rows[BEFORE] if BEFORE in rows.columns else [""] * len(rows)
    texts = [
        tokenizer.apply_chat_template(
            [*asked(prompt, first), {"role": "assistant", "content": response}], tokenize=False
        )
        for prompt, first, response in zip(rows["prompt"], before, rows["response"], strict=True)
    ]
    found = tokenizer(texts, add_special_tokens=False)["input_ids"] if texts else []
    return [min(len(ids), max_length or len(ids)) for ids in found]


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
        rows: the training set, columns prompt and response, and perhaps before: a system message.
        out: folder for `adapter/` and `log.json`. Checkpoints that an interrupted call left there
            (`save_strategy: steps`) are continued from.
        machine: device and number format.
        train: settings for SFTConfig, over DEFAULTS.
        lora: settings for LoraConfig, over LORA_DEFAULTS; unused with `start_from`.
        seed: fixes the adapter's start, dropout and the order of rows.
        start_from: an adapter to train further (stage 2) in place of a new one.
        on_step: called with (steps done, steps in all).

    Returns:
        Facts for the manifest: rows, answers cut by max_length (they have no end token),
        processes, steps, trainable parameters, the settings in force.

    Raises:
        ValueError: no rows, a prompt that fills max_length so that no token of the answer is
            trained on, a chat template that does not end answers, or an adapter without trainable
            parameters.
    """
    settings = {**DEFAULTS, **train}
    if rows.is_empty():
        raise ValueError("no rows to train on")
    check_lengths(tokenizer, rows, settings["max_length"])
    stop = stop_tokens(model, tokenizer)
    check_end(tokenizer, stop)
    set_seed(seed)
    tokenizer.padding_side = "right"
    if start_from is not None:
        # is_trainable, and no peft_config below: without the first nothing would train.
        with quiet():
            model = PeftModel.from_pretrained(model, str(start_from.absolute()), is_trainable=True)
    with quiet():
        arguments = SFTConfig(
            **for_machine(settings, machine),
            output_dir=str(out / "checkpoints"),
            seed=seed,
            disable_tqdm=True,
        )
        if arguments.world_size == 1:
            arguments._n_gpu = min(arguments.n_gpu, 1)  # else several GPUs multiply the batch
        trainer = SFTTrainer(
            model=model,
            args=arguments,
            train_dataset=text_dataset(rows, before=BEFORE if BEFORE in rows.columns else None),
            processing_class=tokenizer,
            peft_config=None if start_from else LoraConfig(**{**LORA_DEFAULTS, **lora}),
            callbacks=[Steps(on_step)] if on_step else None,
        )
        trainer.pop_callback(PrinterCallback)
        trainer.train_dataset, cut = end_at_stop(trainer.train_dataset, stop)
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


def for_machine(settings: dict[str, Any], machine: Machine) -> dict[str, Any]:
    """Add what SFTConfig must be told where there is no GPU (it turns bf16 on by itself)."""
    return {"bf16": machine.bfloat16, **settings, "use_cpu": machine.device == "cpu"}


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


def check_end(tokenizer: Any, stop: list[int]) -> None:
    """A model that is never shown how an answer ends never stops."""
    chat = [{"role": "user", "content": "?"}, {"role": "assistant", "content": "!"}]
    text = tokenizer.apply_chat_template(chat, tokenize=False)
    last = tokenizer(text, add_special_tokens=False)["input_ids"]
    prompt = encode_prompts(tokenizer, ["?"])[0]
    if not set(last[len(prompt) :]) & set(stop):
        names = " or ".join(tokenizer.convert_ids_to_tokens(stop))
        raise ValueError(
            f"the chat template ends an answer without {names}, so a model trained with it would "
            "never stop: add the token to model.chat_template"
        )


def end_at_stop(dataset: Dataset, stop: list[int]) -> tuple[Dataset, int]:
    """Take what follows an answer's end token out of the loss.

    Templates write a newline or more there, which a sampled answer never gets to.

    Returns:
        The dataset, and the number of its rows without an end token: cut off by max_length.
    """
    labels = [_until_stop(row, set(stop)) for row in dataset["labels"]]
    cut = sum(not set(row) & set(stop) for row in labels)
    return dataset.remove_columns("labels").add_column("labels", labels), cut


def _until_stop(labels: list[int], stop: set[int]) -> list[int]:
    """Mask what follows the last stop token of each stretch of labels; -100 is no label."""
    kept = list(labels)
    ended, after = False, list[int]()
    for place, label in enumerate([*labels, IGNORED]):
        if label == IGNORED:
            for tail in after if ended else ():
                kept[tail] = IGNORED
            ended, after = False, []
        elif label in stop:
            ended, after = True, []
        else:
            after.append(place)
    return kept


def train_on(trainer: Any, checkpoints: Path) -> None:
    """Train, going on from the newest whole checkpoint."""
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
    """Save the adapter and the log, with `more` of what the trainer logs than every one has."""
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
