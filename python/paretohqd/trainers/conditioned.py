"""One model for every preference: adapters whose coefficients a small network writes.

After PSL-MORL (arXiv 2501.06773), whose hypernetwork writes the parameters of a policy from the
preference. Here it writes K numbers, the coefficients of K LoRA adapters whose sum is the update
(ours: a network that writes a language model's weights would be as large as the model). Adapters
and network are trained together, each step on rows for a preference of its own. With a network that
gives back the preference itself, and corners trained apart, this is Rewarded Soups.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypedDict

import numpy as np
import polars as pl
import torch
from numpy.typing import ArrayLike, NDArray
from trl import SFTConfig

from paretohqd.exceptions import WARNINGS
from paretohqd.frames.new_files import write_new
from paretohqd.kernels.rays import preference_grid
from paretohqd.models.adapter_settings import LORA_DEFAULTS, check_modules
from paretohqd.models.chat import pad_answers
from paretohqd.models.finite import check_trained
from paretohqd.models.library_calls import kept, without_bars
from paretohqd.models.machine import Machine
from paretohqd.trainers.descent import Descent
from paretohqd.trainers.keys import JOINT
from paretohqd.trainers.mixture import Mixture, load_network
from paretohqd.trainers.settings import Kind
from paretohqd.trainers.several import encoded
from paretohqd.trainers.sft import DEFAULTS
from paretohqd.trainers.training import OnStep

KIND = Kind(SFTConfig, JOINT, DEFAULTS)
"""What `train` is here: the number of steps, the length of rows, and what AdamW and its schedule
take."""

STEP = "step"
"""Column that numbers the steps: rows of one number are trained on together."""
WEIGHTS = "weights"
"""Column of a row's preference, the same in all rows of a step."""
HIDDEN = 16
"""Units of its hidden layer."""
NEAR = 0.25
"""How far from an anchor an adapter counts at the start, where there are not M of them."""

Floats = NDArray[np.float64]


class ConditionedFacts(TypedDict):
    """What the manifest says of a training."""

    steps: int
    trained_tokens: int
    generated_tokens: int
    scored: int
    adapters: int
    loss: list[float]
    """At the first and the last step."""
    trainable_parameters: int
    train: dict[str, Any]
    """The settings in force."""
    lora: dict[str, Any]


def anchors(count: int, objectives: int) -> Floats:
    """(count, M) preferences at which one of the adapters each counts most at the start.

    Example:
        >>> anchors(3, 2).tolist()
        [[1.0, 0.0], [0.5, 0.5], [0.0, 1.0]]
    """
    divisions = 1
    while len(lattice := preference_grid(objectives, divisions)) < count:
        divisions += 1
    return lattice[np.linspace(0, len(lattice) - 1, count).round().astype(np.int64)]


class Network(torch.nn.Module):
    """From a preference to the coefficients of K adapters.

    It starts as the preference itself where there is an adapter for each objective, else as weights
    that fall with the distance from each adapter's anchor; what it learns is added to that.
    """

    def __init__(self, count: int, objectives: int) -> None:
        """Start with nothing learned."""
        super().__init__()
        self.hidden = torch.nn.Linear(objectives, HIDDEN, dtype=torch.float64)
        self.out = torch.nn.Linear(HIDDEN, count, dtype=torch.float64)
        torch.nn.init.zeros_(self.out.weight)
        torch.nn.init.zeros_(self.out.bias)
        self.anchors = torch.from_numpy(anchors(count, objectives))

    def forward(self, weights: torch.Tensor) -> torch.Tensor:
        """(K,) coefficients of a preference of shape (M,)."""
        if len(self.anchors) == len(weights):
            start = weights
        else:
            apart = (self.anchors - weights).square().sum(dim=1)
            start = torch.softmax(-apart / (2 * NEAR**2), dim=0)
        learned: torch.Tensor = self.out(torch.tanh(self.hidden(weights)))
        return start + learned


def coefficients(folder: Path, weights: ArrayLike) -> Floats:
    """(K,) the coefficients of the adapters in a folder for a preference.

    Raises:
        ValueError: The folder has no network.
    """
    w = torch.tensor(np.asarray(weights, dtype=np.float64))
    network = load_network(folder, lambda state: Network(len(state["out.bias"]), len(w)))
    with torch.no_grad():
        return np.asarray(network(w).numpy())


def fit_conditioned(
    model: Any,
    tokenizer: Any,
    rows: pl.DataFrame,
    out: Path,
    *,
    count: int,
    machine: Machine,
    train: Mapping[str, Any],
    lora: Mapping[str, Any],
    seed: int = 0,
    on_step: OnStep | None = None,
) -> ConditionedFacts:
    """Train adapters and the network of their coefficients by fine-tuning on rows for preferences.

    A step's loss is the mean over the answers' tokens of -log pi(token), pi being the base with the
    adapters' sum for the step's preference; it has a gradient for adapters and coefficients alike.

    A training that was killed starts anew: it keeps no checkpoints.

    Args:
        model: The base model, freshly loaded (in float32 on a CPU); the call wraps it.
        tokenizer: Its tokenizer, with a chat template.
        rows: Columns prompt, response, `step` (0, 1, ..), `weights` (M numbers, one preference a
            step), and perhaps system_prompt and finished; in the order of training.
        out: Folder for `adapter-0/`, `adapter-1/`, .., `network.json` and `log.json`.
        count: K adapters.
        machine: Device and number format.
        train: Settings for SFTConfig, over training's DEFAULTS; of these max_steps, max_length, and
            what AdamW and its schedule take.
        lora: Settings for LoraConfig, over adapter_settings.LORA_DEFAULTS; dropout is always 0.
        seed: Of the first adapter; the others, and then the network, follow as `put_on` has it.
        on_step: Called with (steps done, steps in all).

    Returns:
        Facts for the manifest.

    Raises:
        ValueError: Settings that could not be followed, steps that are not numbered 0 to
            max_steps - 1, an answer without a token to train on, or a training that diverged.
            Nothing is saved then.
    """
    KIND.check_all(train, lora, "train")
    check_modules(model, lora)
    settings = KIND.merged(train)
    adapter = {**LORA_DEFAULTS, **lora, "lora_dropout": 0.0}
    steps = int(settings["max_steps"])
    batches = [part for _, part in rows.group_by(STEP, maintain_order=True)]
    if [part[STEP][0] for part in batches] != list(range(steps)):
        raise ValueError(f"rows: expected steps 0 to {steps - 1} one after the other")
    longest = settings["max_length"]
    ids = [encoded(model, tokenizer, part, longest) for part in batches]
    weights = [torch.tensor(part[WEIGHTS][0].to_list(), dtype=torch.float64) for part in batches]
    tokenizer.padding_side = "right"
    model.eval()
    with kept(out / WARNINGS), without_bars():
        arguments = KIND.build(settings, machine, "train", output_dir=str(out), seed=seed)
        objectives = len(weights[0])
        mixture = Mixture(
            model, count, lambda: Network(count, objectives), adapter, machine=machine, seed=seed
        )
        descent = Descent(mixture.parameters(), arguments, steps, on_step)
        for batch, w in zip(ids, weights, strict=True):
            found = mixture.network(w)
            padded = pad_answers(batch, tokenizer, machine.device)
            loss = -mixture.logps(padded, found).sum() / int(padded.answer.sum())
            descent.step(
                loss=descent.backward(loss),
                weights=w.tolist(),
                coefficients=found.detach().tolist(),
            )
        check_trained(mixture.model, steps)
    out.mkdir(parents=True, exist_ok=True)
    mixture.save(out)
    write_new(out / "log.json", json.dumps(descent.log, indent=1))
    return {
        "steps": steps,
        "trained_tokens": sum(len(p) + len(a) for batch in ids for p, a in batch),
        "generated_tokens": 0,
        "scored": 0,
        "adapters": count,
        "loss": [descent.log[0]["loss"], descent.log[-1]["loss"]],
        "trainable_parameters": sum(p.numel() for p in mixture.parameters()),
        "train": settings,
        "lora": adapter,
    }
