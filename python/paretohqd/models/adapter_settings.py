"""Settings of an adapter, PEFT's LoRA: checked before any work, with the model, then built."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from peft import LoraConfig
from peft.tuners.tuners_utils import check_target_module_exists
from peft.utils.other import get_pattern_key
from transformers.pytorch_utils import Conv1D

from paretohqd.models.adapter_keys import LORA
from paretohqd.models.library_calls import without_bars
from paretohqd.models.setting_rules import check_judged, defaults_of, named

LORA_DEFAULTS: dict[str, Any] = {
    "r": 64,
    "lora_alpha": 128,
    "lora_dropout": 0.05,
    "target_modules": "all-linear",
    "task_type": "CAUSAL_LM",
}
"""Rewards-in-Context's public settings."""


def check_lora(given: Mapping[str, Any]) -> None:
    """Refuse what an adapter could not follow, before any work.

    Raises:
        ValueError: An unknown key, one that is set by the run itself or refused, or a bad value.
    """
    check_judged(given, LORA, {**defaults_of(LoraConfig), **LORA_DEFAULTS}, "lora")
    adapter_config(given)


def adapter_config(given: Mapping[str, Any], **own: Any) -> LoraConfig:
    """PEFT's object for the adapter; a new one each time, because PEFT writes into it."""
    with named("lora"), without_bars():
        return LoraConfig(**{**LORA_DEFAULTS, **given, **own})


def check_saved(folder: Path) -> None:
    """Refuse a saved adapter that a base could not carry and let go again unchanged.

    Raises:
        ValueError: No adapter of LoRA, or one trained with settings that are refused here.
    """
    try:
        saved = json.loads((folder / "adapter_config.json").read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ValueError(f"{folder}: holds no adapter: {error}") from None
    if saved.get("peft_type") != "LORA":
        raise ValueError(f"{folder}: an adapter of {saved.get('peft_type')}, not of LORA")
    defaults = defaults_of(LoraConfig)
    for key in LORA.refused.keys() & saved.keys() - {"fan_in_fan_out"}:  # as the layers lie
        if saved[key] and saved[key] != defaults[key]:
            raise ValueError(
                f"{folder}: trained with lora.{key}: {saved[key]!r} ({LORA.refused[key]}): train "
                "it without"
            )
    start = saved.get("init_lora_weights", True)
    # A start from random updates is no matter once it is trained: the base was not changed by it.
    if start is not False and not LORA.followed["init_lora_weights"].is_kind(start):
        raise ValueError(
            f"{folder}: trained with lora.init_lora_weights: {start!r}, which may change the base "
            "that all adapters share: convert it to plain LoRA, or train it anew"
        )


def adapter_weights(model: Any, given: Mapping[str, Any]) -> int:
    """How many numbers an adapter trains.

    Args:
        model: A causal language model without adapters; its weights are not looked at.
        given: Settings for LoraConfig.

    Raises:
        ValueError: As `check_modules`.
    """
    wanted = {**LORA_DEFAULTS, **given}
    ranks = wanted.get("rank_pattern") or {}
    total = 0
    for name in check_modules(model, given):
        weight = model.get_submodule(name).weight
        rank = ranks.get(get_pattern_key(ranks.keys(), name), wanted["r"])
        total += rank * sum(weight.shape)
        total += weight.shape[0] if wanted.get("use_dora") else 0  # its magnitudes
    return total


def check_modules(model: Any, given: Mapping[str, Any]) -> set[str]:
    """Refuse an adapter that would not be where it was asked for.

    Args:
        model: A causal language model without adapters; its weights are not looked at.
        given: Settings for LoraConfig.

    Returns:
        Names of the modules that it is put on.

    Raises:
        ValueError: A name of `target_modules`, `exclude_modules`, `layers_to_transform`,
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

    def matching(**changed: Any) -> set[str]:
        config = adapter_config({**given, **changed})
        if every and "target_modules" not in changed:
            config.target_modules = linear
        return {name for name in modules if check_target_module_exists(config, name)}

    targets = wanted["target_modules"]
    every = isinstance(targets, str) and targets.lower() == "all-linear"
    for one in [] if every else [targets] if isinstance(targets, str) else targets:
        alone = {"exclude_modules": None, "layers_to_transform": None, "layers_pattern": None}
        hit = matching(target_modules=one if isinstance(targets, str) else [one], **alone)
        if not hit:
            raise ValueError(f"lora.target_modules: {one!r} matches no module: there are {known}")
        if hit - linear:
            raise ValueError(
                f"lora.target_modules: {one!r} matches {min(hit - linear)}, which is no linear "
                f"layer of the model's blocks: there are {known}"
            )
    hit = matching()
    if not hit:
        raise ValueError(
            "lora: no module is left to train: check target_modules, exclude_modules and "
            "layers_to_transform"
        )
    excluded = wanted.get("exclude_modules") or []
    for one in [excluded] if isinstance(excluded, str) else excluded:
        if matching(exclude_modules=None) <= matching(
            exclude_modules=one if isinstance(excluded, str) else [one]
        ):
            raise ValueError(f"lora.exclude_modules: {one!r} excludes no module: there are {known}")
    layers = wanted.get("layers_to_transform")
    if layers is not None:
        for layer in [layers] if isinstance(layers, int) else layers:
            if not matching(layers_to_transform=[layer]):
                raise ValueError(f"lora.layers_to_transform: the model has no layer {layer}")
    for key in ("rank_pattern", "alpha_pattern"):
        for one in wanted.get(key, {}):
            if not any(get_pattern_key([one], name) == one for name in hit):
                raise ValueError(f"lora.{key}: {one!r} matches no module that is trained")
    return hit


def _name_of_head(model: Any) -> str:
    """The module that turns hidden states into logits."""
    head = model.get_output_embeddings()
    for name, module in model.named_modules():
        if module is head and isinstance(module, torch.nn.Linear):
            return str(name)
    raise ValueError("the base has no linear head of its own to put several beside")


def head_target(model: Any, lora: Mapping[str, Any]) -> str | list[str]:
    """`target_modules` of an adapter of the head alone, beside a body's with these settings.

    PEFT sums adapters whose modules are all lists, or all patterns.

    Raises:
        ValueError: The base has no head that is a linear layer of its own.
    """
    name, body = _name_of_head(model), {**LORA_DEFAULTS, **lora}["target_modules"]
    return re.escape(name) if isinstance(body, str) and body != "all-linear" else [name]
