"""An adapter added to its base's weights for a while, so that sampling multiplies once."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from peft import PeftModel
from peft.tuners.lora import Linear

MOST_BYTES = 4_000_000_000
"""Weights that are held twice meanwhile; where it would be more, none is."""


@contextmanager
def merged(model: Any) -> Iterator[None]:
    """Hold W + B A in the place of W where that is as good, and the very same W afterwards.

    It is on a CPU in float32: the sum is rounded as any product is. Sums in bfloat16 would lose
    the small updates, and stay two products.

    Args:
        model: A model, with or without adapters.
    """
    layers = list(_layers(model))
    if sum(layer.base_layer.weight.nbytes for layer, _ in layers) > MOST_BYTES:
        layers = []
    kept = []
    try:
        for layer, name in layers:
            weight = layer.base_layer.weight
            kept.append((layer, weight, weight.data))
            # A tensor of inference mode could not be a weight's.
            with torch.inference_mode(False), torch.no_grad():
                weight.data = weight.data + layer.get_delta_weight(name)
            layer.merged_adapters.append(name)
        yield
    finally:
        for layer, weight, before in kept:
            weight.data = before
            layer.merged_adapters.clear()


def _layers(model: Any) -> Iterator[tuple[Linear, str]]:
    """Plain LoRA layers in float32 with one adapter, whose weights no other module holds."""
    if not isinstance(model, PeftModel) or model.device.type != "cpu":
        return
    owners = Counter(
        id(weight)
        for module in model.modules()
        for weight in module._parameters.values()
        if weight is not None
    )
    for layer in model.modules():
        if type(layer) is not Linear or layer.disable_adapters or layer.merged:
            continue
        names = [name for name in layer.active_adapters if name in layer.lora_A]
        if type(layer.base_layer) is not torch.nn.Linear or len(names) != 1:
            continue
        weight = layer.base_layer.weight
        if (
            names[0] not in layer.lora_variant
            and weight.dtype == layer.lora_B[names[0]].weight.dtype == torch.float32
            and owners[id(weight)] == 1
        ):
            yield layer, names[0]
