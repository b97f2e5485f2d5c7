"""Settings of TRL's trainers and of PEFT's LoRA: checked before any work, then built.

What is followed and what is refused stands in `trainer_keys`; here it is enforced, for the command
line and for the Python API alike.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import MISSING, dataclass, fields
from typing import Any

import torch
from peft import LoraConfig
from peft.tuners.tuners_utils import check_target_module_exists
from peft.utils.other import get_pattern_key
from transformers import Trainer, get_scheduler
from transformers.integrations import get_available_reporting_integrations
from transformers.pytorch_utils import Conv1D

from paretohqd.loading import quiet
from paretohqd.models import Machine
from paretohqd.strict import check_keys
from paretohqd.trainer_keys import LENGTH, LORA, Keys

LORA_DEFAULTS: dict[str, Any] = {
    "r": 64,
    "lora_alpha": 128,
    "lora_dropout": 0.05,
    "target_modules": "all-linear",
    "task_type": "CAUSAL_LM",
}
"""Rewards-in-Context's public settings."""

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

    def check(self, given: Mapping[str, Any], where: str) -> None:
        """Refuse what could not be followed, before any work.

        Raises:
            ValueError: an unknown key (with the nearest known one), one that the run sets itself or
                that it cannot follow, a value that the key cannot have, or settings that contradict
                each other.
        """
        names = {f.name: _default(f) for f in fields(self.config) if f.init}
        check_judged(given, self.keys, {**names, **self.defaults}, where)
        _check_together({**self.defaults, **given}, given, where)

    def try_out(self, given: Mapping[str, Any], where: str) -> None:
        """Build the settings, an optimizer and a schedule once, as the first training would.

        Raises:
            ValueError: what the libraries refuse.
        """
        if int(os.environ.get("WORLD_SIZE", "1")) > 1:
            return  # the settings set up how processes meet: not before they are to
        settings = self.merged(given)
        arguments = self.build(settings, CPU, where, output_dir="checkpoints")
        steps = max(arguments.max_steps, 1)
        kind, options = Trainer.get_optimizer_cls_and_kwargs(arguments)
        optimizer = kind([torch.nn.Parameter(torch.zeros(1))], **options)
        with named(f"{where}.lr_scheduler_kwargs"):
            get_scheduler(
                arguments.lr_scheduler_type, optimizer, arguments.get_warmup_steps(steps), steps,
                arguments.lr_scheduler_kwargs,
            )  # fmt: skip

    def build(
        self, settings: Mapping[str, Any], machine: Machine, where: str, **own: Any
    ) -> Any:
        """The library's object for these settings, with what the run sets itself.

        Raises:
            ValueError: what the library refuses.
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


def check_lora(given: Mapping[str, Any]) -> None:
    """Refuse what an adapter could not follow, before any work.

    Raises:
        ValueError: an unknown key, one that is set by the run itself or refused, or a bad value.
    """
    defaults = {f.name: _default(f) for f in fields(LoraConfig) if f.init}
    check_judged(given, LORA, {**defaults, **LORA_DEFAULTS}, "lora")
    adapter_config(given)


def adapter_config(given: Mapping[str, Any], **own: Any) -> LoraConfig:
    """PEFT's object for the adapter; a new one each time, for PEFT writes into it."""
    with named("lora"), quiet():
        return LoraConfig(**{**LORA_DEFAULTS, **given, **own})


def check_modules(model: Any, given: Mapping[str, Any]) -> None:
    """Refuse an adapter that would not be where it was asked for.

    Args:
        model: a causal language model without adapters; its weights are not looked at.
        given: settings for LoraConfig.

    Raises:
        ValueError: a name of `target_modules`, `exclude_modules`, `layers_to_transform`,
            `rank_pattern` or `alpha_pattern` that the model does not have, or that is no linear
            layer of its blocks.
    """
    wanted = {**LORA_DEFAULTS, **given}
    modules = dict(model.named_modules())
    head = model.get_output_embeddings()
    linear = {
        name
        for name, module in modules.items()
        if isinstance(module, torch.nn.Linear | Conv1D) and module is not head
    }
    known = ", ".join(sorted({name.rsplit(".", 1)[-1] for name in linear}))

    def found(**changed: Any) -> set[str]:
        config = adapter_config({**given, **changed})
        if every and "target_modules" not in changed:
            config.target_modules = linear
        return {name for name in modules if check_target_module_exists(config, name)}

    targets = wanted["target_modules"]
    every = isinstance(targets, str) and targets.lower() == "all-linear"
    for one in [] if every else [targets] if isinstance(targets, str) else targets:
        alone = {"exclude_modules": None, "layers_to_transform": None, "layers_pattern": None}
        hit = found(target_modules=one if isinstance(targets, str) else [one], **alone)
        if not hit:
            raise ValueError(f"lora.target_modules: {one!r} matches no module: there are {known}")
        if hit - linear:
            raise ValueError(
                f"lora.target_modules: {one!r} matches {min(hit - linear)}, which is no linear "
                f"layer of the model's blocks: there are {known}"
            )
    hit = found()
    if not hit:
        raise ValueError(
            "lora: no module is left to train: check target_modules, exclude_modules and "
            "layers_to_transform"
        )
    excluded = wanted.get("exclude_modules") or []
    for one in [excluded] if isinstance(excluded, str) else excluded:
        if found(exclude_modules=None) <= found(
            exclude_modules=one if isinstance(excluded, str) else [one]
        ):
            raise ValueError(f"lora.exclude_modules: {one!r} excludes no module: there are {known}")
    layers = wanted.get("layers_to_transform")
    if layers is not None:
        for layer in [layers] if isinstance(layers, int) else layers:
            if not found(layers_to_transform=[layer]):
                raise ValueError(f"lora.layers_to_transform: the model has no layer {layer}")
    for key in ("rank_pattern", "alpha_pattern"):
        for one in wanted.get(key, {}):
            if not any(get_pattern_key([one], name) == one for name in hit):
                raise ValueError(f"lora.{key}: {one!r} matches no module that is trained")


def check_judged(
    given: Mapping[str, Any], keys: Keys, defaults: Mapping[str, Any], where: str
) -> None:
    """Refuse keys by what `trainer_keys` says of them; a refused key may state its default."""
    check_keys(given, defaults, where)
    for key, value in given.items():
        if key in keys.own:
            instead = f", and set {keys.own[key]}" if keys.own[key] else ""
            raise ValueError(f"{where}.{key} is set by the run itself: leave it out{instead}")
        rule = keys.followed.get(key)
        if rule is None:
            same = type(value) is type(defaults[key]) and value == defaults[key]
            if not same:
                reason = keys.refused.get(key, "a key that nobody has judged")
                raise ValueError(f"{where}.{key} is not followed ({reason}): leave it out")
            continue
        if not rule.is_kind(value):
            why = f" ({rule.why})" if rule.why else ""
            raise ValueError(f"{where}.{key}: expected {rule.kind}, got {value!r}{why}")
        if not rule.is_within(value):
            raise ValueError(f"{where}.{key}: expected {rule.kind} {rule.within}, got {value!r}")


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
    there = get_available_reporting_integrations() if names != ["none"] else []
    for name in names:
        if name not in (*there, "none"):
            found = ", ".join(there) or "no tracker is"
            raise ValueError(f"{where}.report_to: {name} is not installed: {found} installed")
        if name == "tensorboard" and "TENSORBOARD_LOGGING_DIR" not in os.environ:
            raise ValueError(
                f"{where}.report_to: set TENSORBOARD_LOGGING_DIR to a folder outside the run, which "
                "keeps no such files"
            )


@contextmanager
def named(where: str) -> Iterator[None]:
    """Say whose settings a library refuses."""
    try:
        yield
    except (ValueError, TypeError, ImportError, KeyError, AttributeError) as error:
        raise ValueError(f"{where}: {' '.join(str(error).split())}") from error


def _default(field: Any) -> Any:
    return field.default_factory() if field.default is MISSING else field.default
