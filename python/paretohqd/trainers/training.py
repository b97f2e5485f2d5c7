"""What all trainings with TRL share: how one runs, goes on where it was killed, and is saved."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from peft import load_peft_weights, set_peft_model_state_dict
from transformers import (
    PrinterCallback,
    TrainerCallback,
    TrainerState,
    get_scheduler,
    set_seed,
)
from transformers.trainer import TRAINER_STATE_NAME

from paretohqd.exceptions import WARNINGS
from paretohqd.frames.new_files import write_new
from paretohqd.models.base_names import base_identity, without_places
from paretohqd.models.finite import check_trained
from paretohqd.models.library_calls import kept, without_bars

OnStep = Callable[[int, int], None]
"""Called with (steps done, steps in all)."""

LOGGED = ("step", "loss", "learning_rate", "grad_norm", "mean_token_accuracy")
"""What the log keeps of each step. Not num_tokens: it starts at zero again where a training goes on
from a checkpoint."""


def run_trainer(
    make: Callable[[], Any],
    out: Path,
    *,
    seed: int,
    train: Callable[[Any], None] | None = None,
    log: Callable[[Any], list[Any]] | None = None,
) -> Any:
    """Make a trainer, train its adapter to the last step, and save the adapter and a log.

    The libraries' bars are off, and what they warn of is kept in a file. Where several processes
    train together, the first saves and all wait for it.

    Args:
        make: Builds the trainer, after the seed was set.
        out: Folder for `adapter/`, `log.json` and, where there were any, warnings.
        seed: Fixes the adapter's start.
        train: Trains; by default `train_on` the checkpoints of an interrupted call in `out`.
        log: The entries of the log; by default those of `logged`.

    Returns:
        The trainer, with the adapter trained.

    Raises:
        ValueError: An adapter without trainable parameters, or a training that diverged or ended
            before its last step. Nothing is saved then.
    """
    set_seed(seed)
    with kept(out / WARNINGS), without_bars():
        trainer = make()
        trainer.pop_callback(PrinterCallback)
        if trainable_parameters(trainer) == 0:
            raise ValueError("the adapter has no trainable parameters: check lora.target_modules")
        if train is None:
            train_on(trainer, out / "checkpoints")
        else:
            train(trainer)
        if trainer.is_world_process_zero():
            entries = logged(trainer) if log is None else log(trainer)
            save_adapter(trainer, out, entries)
        trainer.accelerator.wait_for_everyone()
    return trainer


def optimiser(parameters: Sequence[Any], arguments: Any, steps: int) -> tuple[Any, Any]:
    """AdamW and its schedule, for trainings that go step by step by themselves."""
    adam = torch.optim.AdamW(
        parameters,
        lr=arguments.learning_rate,
        weight_decay=arguments.weight_decay,
        betas=(arguments.adam_beta1, arguments.adam_beta2),
        eps=arguments.adam_epsilon,
    )
    rate = get_scheduler(
        arguments.lr_scheduler_type,
        adam,
        arguments.get_warmup_steps(steps),
        steps,
        arguments.lr_scheduler_kwargs,
    )
    return adam, rate


def trainable_parameters(trainer: Any) -> int:
    """How many numbers the training may change."""
    return sum(p.numel() for p in trainer.model.parameters() if p.requires_grad)


def lora_settings(trainer: Any) -> dict[str, Any]:
    """The settings of the trained adapter, all of them."""
    settings: dict[str, Any] = trainer.model.peft_config[trainer.model.active_adapter].to_dict()
    return settings | base_identity(trainer.model)


def train_on(trainer: Any, checkpoints: Path) -> None:
    """Train to the last step, going on from the newest whole checkpoint.

    Raises:
        ValueError: The training diverged, or ended before its last step.
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
    numbers = {
        path: path.name.split("-")[-1]
        for path in checkpoints.glob("checkpoint-*")
        if path.name.split("-")[-1].isdecimal()
    }
    return sorted(numbers, key=lambda path: int(numbers[path]), reverse=True)


def logged(trainer: Any, more: Sequence[str] = ()) -> list[Mapping[str, Any]]:
    """What the trainer logged of each step: LOGGED, and `more` where it is there."""
    names = (*LOGGED, *more)
    history = [entry for entry in trainer.state.log_history if "loss" in entry]
    return [{name: entry[name] for name in names if name in entry} for entry in history]


def save_adapter(trainer: Any, out: Path, log: Sequence[Any]) -> None:
    """Save the adapter and the log, and remove the checkpoints.

    Raises:
        ValueError: A weight that is not finite.
    """
    check_trained(trainer.model, trainer.state.global_step)
    # Or the library would ask the hub how large the base's vocabulary is.
    trainer.model.save_pretrained(out / "adapter", save_embedding_layers=False)
    without_places(out / "adapter", trainer.model)
    write_new(out / "log.json", json.dumps(log, indent=1))
    shutil.rmtree(out / "checkpoints", ignore_errors=True)


class Steps(TrainerCallback):  # type: ignore[misc]
    """Passes the trainer's progress on."""

    def __init__(self, on_step: OnStep) -> None:
        """Take what is called with (steps done, steps in all)."""
        self.on_step = on_step

    def on_step_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """Tell how far the training is."""
        self.on_step(state.global_step, state.max_steps)
