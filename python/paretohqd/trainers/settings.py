"""Settings of TRL's trainers: checked before any work, then built.

`trainers.keys` lists what is followed and what is refused; here it is enforced, for the command
line and for the Python API alike.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from transformers import Trainer, get_scheduler
from transformers.integrations import get_available_reporting_integrations

from paretohqd.models.adapter_settings import check_lora
from paretohqd.models.machine import Machine
from paretohqd.models.setting_rules import Keys, check_judged, defaults_of, named
from paretohqd.trainers.shared_keys import LENGTH

CPU = Machine(device="cpu", bfloat16=False, threads=1)


@dataclass(frozen=True)
class Kind:
    """A kind of training: its class of settings, what is made of them, and our defaults."""

    config: type
    keys: Keys
    defaults: Mapping[str, Any]

    def merged(self, given: Mapping[str, Any]) -> dict[str, Any]:
        """What is given over the defaults."""
        return merged(self.defaults, given)

    def check_all(self, given: Mapping[str, Any], lora: Mapping[str, Any], where: str) -> None:
        """Refuse settings of the training and of its adapter that could not be followed.

        Raises:
            ValueError: As `check`, `check_lora` and `try_out`; the message names the key.
        """
        self.check(given, where)
        check_lora(lora)
        self.try_out(given, where)

    def check(self, given: Mapping[str, Any], where: str) -> None:
        """Refuse what could not be followed, before any work.

        Raises:
            ValueError: An unknown key (with the nearest known one), one that the run sets itself or
                that it cannot follow, a value that the key cannot have, or settings that contradict
                each other.
        """
        defaults = {**defaults_of(self.config), **self.defaults}
        check_judged(given, self.keys, defaults, where)
        _check_together({**self.defaults, **given}, given, where)

    def try_out(self, given: Mapping[str, Any], where: str) -> None:
        """Build the settings, an optimizer and a schedule once, as the first training would.

        Raises:
            ValueError: What the libraries refuse.
        """
        if int(os.environ.get("WORLD_SIZE", "1")) > 1:
            return  # the settings set up how processes meet: not before they are to
        settings = self.merged(given)
        arguments = self.build(settings, CPU, where, output_dir="checkpoints")
        steps = arguments.max_steps if arguments.max_steps > 0 else 1000  # epochs: nobody knows yet
        with named(f"{where}.optim"):
            kind, options = Trainer.get_optimizer_cls_and_kwargs(arguments)
            optimizer = kind([torch.nn.Parameter(torch.zeros(1))], **options)
        with named(f"{where}.lr_scheduler_kwargs"):
            rate = get_scheduler(
                arguments.lr_scheduler_type,
                optimizer,
                arguments.get_warmup_steps(steps),
                steps,
                arguments.lr_scheduler_kwargs,
            )
            for _ in range(min(steps, 1000)):
                optimizer.step()
                rate.step()

    def build(self, settings: Mapping[str, Any], machine: Machine, where: str, **own: Any) -> Any:
        """The library's object for these settings, with what the run sets itself.

        Raises:
            ValueError: What the library refuses.
        """
        given = dict(settings)
        # The library's new name; the old one brings a warning with each training.
        if "gradient_checkpointing" in given:
            given.setdefault("activation_checkpointing", given["gradient_checkpointing"])
            del given["gradient_checkpointing"]
        with named(where):
            arguments = self.config(
                **given,
                bf16=machine.bfloat16,
                use_cpu=machine.device == "cpu",
                disable_tqdm=True,
                # It would put the mean of earlier losses in the place of one that is not a number.
                logging_nan_inf_filter=False,
                **own,
            )
        if arguments.world_size == 1:
            arguments._n_gpu = min(arguments.n_gpu, 1)  # else several GPUs multiply the batch
        return arguments


def merged(before: Mapping[str, Any], then: Mapping[str, Any]) -> dict[str, Any]:
    """Settings with others over them; steps replace epochs, and epochs steps.

    >>> merged({"max_steps": 200, "seed": 1}, {"num_train_epochs": 2})
    {'seed': 1, 'num_train_epochs': 2}
    """
    again = any(key in then for key in LENGTH)
    return {**{k: v for k, v in before.items() if not (again and k in LENGTH)}, **then}


def _check_together(settings: Mapping[str, Any], given: Mapping[str, Any], where: str) -> None:
    """Refuse settings of which one would leave another without effect."""

    def refuse(key: str, reason: str) -> None:
        raise ValueError(f"{where}.{key}: {reason}")

    if given.get("num_train_epochs") is not None and given.get("max_steps", -1) > 0:
        refuse("num_train_epochs", "max_steps is given too: give one of them")
    schedule = settings.get("lr_scheduler_type", "linear")
    if schedule == "constant" and settings.get("warmup_steps", 0) > 0:
        refuse("warmup_steps", "constant has no warm-up: use constant_with_warmup")
    if schedule.startswith("constant") and settings.get("lr_scheduler_kwargs"):
        refuse("lr_scheduler_kwargs", f"{schedule} takes none")
    both = {"gradient_checkpointing", "activation_checkpointing"} & given.keys()
    if len({given[key] for key in both}) > 1:
        refuse("gradient_checkpointing", "activation_checkpointing says otherwise: give one")
    if not settings.get("dataloader_num_workers", 0):
        for key in ("dataloader_persistent_workers", "dataloader_prefetch_factor"):
            if settings.get(key):
                refuse(key, "needs dataloader_num_workers of 1 or more")
    if settings.get("packing") and settings.get("packing_strategy") != "wrapped":
        refuse("packing", "set packing_strategy: wrapped; others need flash attention")
    if "packing_strategy" in given and not settings.get("packing"):
        refuse("packing_strategy", "has no effect without packing: true")
    if settings.get("loss_type") == "dft" and settings.get("label_smoothing_factor"):
        refuse("label_smoothing_factor", "has no effect with loss_type: dft")
    _check_trackers(settings.get("report_to", "none"), where)


def _check_trackers(given: Any, where: str) -> None:
    """Trackers must be installed, or the first training would say so."""
    names = [given] if isinstance(given, str) else list(given)
    if names == ["none"]:
        return
    there = get_available_reporting_integrations()
    for name in names:
        if name not in there:
            installed = ", ".join(there) or "no tracker is"
            raise ValueError(f"{where}.report_to: {name} is not installed: {installed} installed")
    if "tensorboard" in names and "TENSORBOARD_LOGGING_DIR" not in os.environ:
        raise ValueError(
            f"{where}.report_to: set TENSORBOARD_LOGGING_DIR to a folder outside the run, "
            "which keeps no such files"
        )
