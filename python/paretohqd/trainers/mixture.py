"""Adapters on one base, summed with coefficients that a network writes, all trained together."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch
from peft.tuners.lora import LoraLayer
from transformers import set_seed

from paretohqd.frames.new_files import write_new
from paretohqd.models.adapter_settings import adapter_config
from paretohqd.models.likelihood import answer_logps
from paretohqd.models.machine import Machine
from paretohqd.trainers.several import APART, put_on, save_all

NETWORK = "network.json"
"""File of the network."""


class Mixture:
    """K adapters on one base, and the network of their coefficients."""

    def __init__(
        self,
        model: Any,
        count: int,
        network: Callable[[], torch.nn.Module],
        lora: Mapping[str, Any],
        *,
        machine: Machine,
        seed: int,
    ) -> None:
        """Wrap the model; the adapters' names are those of their folders.

        Args:
            model: The base.
            count: K.
            network: Makes the network, whose coefficients `logps` takes.
            lora: Settings for LoraConfig.
            machine: Device and number format.
            seed: Of the first adapter; the others, and then the network, follow as `put_on` has it.
        """
        self.machine = machine
        self.names = [f"adapter-{k}" for k in range(count)]
        own = {name: adapter_config(lora) for name in self.names}
        self.model = put_on(model, own, seed=seed)
        self.model.base_model.set_adapter(self.names)
        set_seed(seed + APART * count)
        self.network = network()
        self.layers = [m for m in self.model.modules() if isinstance(m, LoraLayer)]
        self.scaling = [dict(layer.scaling) for layer in self.layers]

    def parameters(self) -> list[torch.nn.Parameter]:
        """The trained parameters of adapters and network."""
        adapters = [p for name, p in self.model.named_parameters() if "lora_" in name]
        return [*adapters, *self.network.parameters()]

    def logps(self, batch: Any, coefficients: torch.Tensor | None) -> torch.Tensor:
        """(rows,) log-probabilities of answers under a sum of the adapters; None: the base's.

        Args:
            batch: The rows, as `pad_answers` makes them.
            coefficients: (K,), with a gradient.
        """
        kind, bfloat16 = self.machine.device, self.machine.bfloat16
        with torch.autocast(kind, dtype=torch.bfloat16, enabled=bfloat16):
            if coefficients is None:
                with torch.no_grad(), self.model.disable_adapter():
                    return answer_logps(self.model, batch)
            each = coefficients.float().to(kind)
            for layer, before in zip(self.layers, self.scaling, strict=True):
                for k, name in enumerate(self.names):
                    # A factor of the update with a gradient, in the place of a number.
                    layer.scaling[name] = before[name] * each[k]
            logps = answer_logps(self.model, batch)
        for layer, before in zip(self.layers, self.scaling, strict=True):
            layer.scaling.update(before)
        return logps

    def save(self, out: Path) -> None:
        """Write each adapter to a folder of its name, and the network."""
        save_all(self.model, out, self.names)
        state = {name: value.tolist() for name, value in self.network.state_dict().items()}
        write_new(out / NETWORK, json.dumps(state))


def load_network(
    folder: Path, make: Callable[[Mapping[str, Any]], torch.nn.Module]
) -> torch.nn.Module:
    """The network in a folder; `make` builds one of its shape from what was saved.

    Raises:
        ValueError: The folder has no network.
    """
    try:
        state = json.loads((folder / NETWORK).read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ValueError(f"{folder}: holds no network: {error}") from None
    network = make(state)
    network.load_state_dict({n: torch.tensor(v, dtype=torch.float64) for n, v in state.items()})
    return network
