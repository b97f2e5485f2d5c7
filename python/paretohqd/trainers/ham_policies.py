"""K adapters on one base that are trained together: what they find likely, and their gradients."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch

from paretohqd.models.adapter_settings import adapter_config, head_target
from paretohqd.models.chat import pad_answers
from paretohqd.models.likelihood import answer_logps
from paretohqd.models.machine import Machine
from paretohqd.trainers.ham_values import Answers
from paretohqd.trainers.several import BODY, put_on, save_all


class Policies:
    """K adapters on one base, and the base itself."""

    def __init__(
        self,
        model: Any,
        tokenizer: Any,
        count: int,
        lora: Mapping[str, Any],
        *,
        machine: Machine,
        seed: int,
        body: bool = False,
    ) -> None:
        """Wrap the model; the adapters' names are those of their folders.

        Args:
            model: The base.
            tokenizer: Its tokenizer.
            count: K.
            lora: Settings for LoraConfig.
            machine: Device and number format.
            seed: Of the first adapter; the others follow as `put_on` has it, a body last.
            body: Whether the K adapters are heads on a body that they share, an adapter as well.
        """
        self.tokenizer, self.machine = tokenizer, machine
        self.names = [f"adapter-{k}" for k in range(count)]
        self.folders = [*self.names, BODY] if body else self.names
        head = {"target_modules": head_target(model, lora)} if body else {}
        adapters = {name: adapter_config(lora, **head) for name in self.names}
        if body:
            adapters[BODY] = adapter_config(lora)
        self.model = put_on(model, adapters, seed=seed)
        self.own = {
            name: [p for n, p in self.model.named_parameters() if f".{name}." in n]
            for name in self.folders
        }
        if not all(self.own.values()):
            raise ValueError("the adapters have no parameters: check lora.target_modules")

    def parameters(self) -> list[torch.nn.Parameter]:
        """The trained parameters of all adapters."""
        return [parameter for own in self.own.values() for parameter in own]

    def _switch(self, name: str) -> None:
        """To one of the K, on the body if there is one."""
        if BODY in self.own:
            self.model.base_model.set_adapter([BODY, name])
        else:
            self.model.set_adapter(name)

    def base_logps(self, batch: Sequence[Answers]) -> torch.Tensor:
        """(answers,) log-probabilities under the base."""
        with torch.no_grad(), self.model.disable_adapter():
            return torch.cat([self._read(answers) for answers in batch])

    def logps(self, batch: Sequence[Answers]) -> torch.Tensor:
        """(K, answers) log-probabilities, without gradient."""
        rows = []
        for name in self.names:
            self._switch(name)
            with torch.no_grad():
                rows.append(torch.cat([self._read(answers) for answers in batch]))
        return torch.stack(rows)

    def backward(
        self, batch: Sequence[Answers], slope: torch.Tensor, most: float | None
    ) -> list[float]:
        """Carry (K, answers) derivatives into the weights; returns each adapter's gradient norm.

        That of a body, if there is one, comes last.
        """
        norms = []
        for name, row in zip(self.names, slope, strict=True):
            self._switch(name)
            for answers, part in zip(
                batch, torch.split(row, [len(a.ids) for a in batch]), strict=True
            ):
                torch.autograd.backward((self._read(answers) * part).sum())
            # Each by itself: one adapter's steep slope must not hold back the others.
            norm = torch.nn.utils.clip_grad_norm_(self.own[name], most or float("inf"))
            norms.append(float(norm))
        if BODY in self.own:
            shared = torch.nn.utils.clip_grad_norm_(self.own[BODY], most or float("inf"))
            norms.append(float(shared))
        return norms

    def _read(self, answers: Answers) -> torch.Tensor:
        bfloat16 = self.machine.bfloat16
        with torch.autocast(self.machine.device, dtype=torch.bfloat16, enabled=bfloat16):
            batch = pad_answers(answers.ids, self.tokenizer, self.machine.device)
            return answer_logps(self.model, batch).double().cpu()

    def save(self, out: Path) -> None:
        """Write each adapter to a folder of its name."""
        save_all(self.model, out, self.folders)
