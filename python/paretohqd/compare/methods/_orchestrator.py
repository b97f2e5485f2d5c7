"""Weights that are read off a prompt: a regression on what the base knows of it."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

import numpy as np
import polars as pl
import torch
from numpy.typing import NDArray

from paretohqd.compare.methods._constants import center_and_spread, standardised
from paretohqd.compare.using import strangers
from paretohqd.compare.workbench import Workbench
from paretohqd.frames.new_files import write_new, write_parquet
from paretohqd.models.chat import encode_prompts
from paretohqd.models.prompt_features import prompt_features
from paretohqd.runs.manifest import Stage

Floats = NDArray[np.float64]
Told = Literal["learned", "constant", "shuffled"]

RIDGE = 0.01
"""How much the regression's squared coefficients count; features' squares sum to about 1."""
HELD_BACK = 0.2
"""Part of the prompts that shows what the regression is worth; it is fitted to the others."""
FITTED = "regression.json"


class Orchestrator:
    """A prompt's weights, as fitted to the scores of the answers that are preferred."""

    def __init__(self, bench: Workbench, frame: pl.DataFrame, *, prompts: int, told: Told) -> None:
        """Fit it, as a step.

        Args:
            bench: The method's.
            frame: Scored rows.
            prompts: How many it is fitted to, at most.
            told: "learned", or a control: "constant" gives every prompt the mean weights,
                "shuffled" those of another prompt.
        """
        self.bench, self.told = bench, told
        wanted = preferred_weights(frame, bench.names)
        if len(wanted) > prompts:
            rng = np.random.default_rng([bench.seed, 31])
            wanted = wanted[np.sort(rng.permutation(len(wanted))[:prompts])]
        s = bench.context

        def work(out: Path) -> dict[str, Any]:
            targets = np.array(wanted["weights"].to_list())
            features = self._features(wanted["prompt"].to_list())
            fitted, facts = fit(features, targets, seed=bench.seed)
            write_new(out / FITTED, json.dumps(fitted))
            return facts

        self._made = bench.step(
            "orchestrator",
            work,
            settings={
                "names": bench.names,
                "ridge": RIDGE,
                "seed": bench.seed,
                "bfloat16": s.machine.bfloat16,
            },
            inputs={"rows": s.folder.hash_frame(wanted), "model": s.model_id},
        )
        self._charge(self._made, wanted["prompt"].to_list())
        bench.notes["weights read off prompts"] = {"told": told, **self._made.notes}
        self._fitted = json.loads((self._made.path / FITTED).read_text(encoding="utf-8"))

    def __call__(self, prompts: Sequence[str], *, training: bool = False) -> Floats:
        """(n, M) weights of prompts, as a step; in training it is charged."""
        if self.told == "constant":
            return np.tile(np.array(self._fitted["mean weights"]), (len(prompts), 1))
        frame, s = pl.DataFrame({"prompt": list(prompts)}), self.bench.context

        def work(out: Path) -> None:
            told = predicted(self._fitted, self._features(prompts))
            write_parquet(frame.with_columns(weights=told), out / "weights.parquet")

        made = self.bench.step(
            "told",
            work,
            settings={"bfloat16": s.machine.bfloat16},
            inputs={"prompts": s.folder.hash_frame(frame), "fitted": self._made.digest},
        )
        if training:
            self._charge(made, prompts)
        told = np.array(pl.read_parquet(made.path / "weights.parquet")["weights"].to_list())
        if self.told == "shuffled" and len(told) > 1:
            told = told[strangers(len(told), [self.bench.seed, 37])]
        return told

    @property
    def digest(self) -> str:
        """Hash of what was fitted."""
        return self._made.digest

    def _charge(self, made: Stage, prompts: Sequence[str]) -> None:
        """Write down that the base has read prompts."""
        read = sum(map(len, encode_prompts(self.bench.tokenizer(), prompts)))
        self.bench.charge(made, "select", "once", passed=read)

    def _features(self, prompts: Sequence[str]) -> Floats:
        s = self.bench.context
        model, tokenizer = s.sampler()
        with s.screen.bar(f"{self.bench.title}: read prompts") as progress:
            return prompt_features(model, tokenizer, prompts, progress=progress)


def preferred_weights(frame: pl.DataFrame, names: Sequence[str]) -> pl.DataFrame:
    """For each prompt the softmax of its preferred answer's standardised scores.

    Preferred is the answer that is better than the prompt's others in the mean of the standardised
    objectives, the first of equal ones.

    Args:
        frame: Columns prompt, response and the objectives.
        names: The objectives.

    Returns:
        prompt and weights (M numbers that sum to 1), prompts as they first come.

    Example:
        >>> frame = pl.DataFrame({"prompt": ["Tea?"] * 2, "response": ["No.", "Yes, gladly."],
        ...                       "kind": [0.0, 2.0], "brief": [1.0, 0.0]})
        >>> preferred_weights(frame, ["kind", "brief"])["weights"][0].round(2).to_list()
        [0.12, 0.88]
    """
    z = standardised(frame, names, *center_and_spread(frame, names))
    power = np.exp(z - z.max(axis=1, keepdims=True))
    told = pl.Series("weights", power / power.sum(axis=1, keepdims=True))
    ranked = frame.select("prompt", told.cast(pl.List(pl.Float64)), mean=pl.Series(z.mean(axis=1)))
    return ranked.group_by("prompt", maintain_order=True).agg(
        pl.col("weights").get(pl.col("mean").arg_max())
    )


def fit(features: Floats, targets: Floats, *, seed: int) -> tuple[dict[str, Any], dict[str, Any]]:
    """Softmax regression by the smallest mean KL(target || told), and what it is worth.

    Args:
        features: (n, d).
        targets: (n, M), each row sums to 1.
        seed: Draws the rows that are held back.

    Returns:
        The regression, and facts: nats of KL on the rows held back, of it and of the mean weights
        of the other rows.

    Example:
        >>> x = np.linspace(-1, 1, 40)[:, None]
        >>> targets = np.hstack([x > 0, x <= 0]).astype(float)
        >>> fitted, facts = fit(x, targets, seed=0)
        >>> facts["nats learned"] < facts["nats constant"]
        True
    """
    order = np.random.default_rng([seed, 41]).permutation(len(features))
    back = order[: int(HELD_BACK * len(order))]
    rest = np.setdiff1d(order, back)
    mean = features[rest].mean(axis=0)
    spread = np.maximum(features[rest].std(axis=0), 1e-9) * np.sqrt(features.shape[1])
    x = torch.from_numpy((features[rest] - mean) / spread)
    y = torch.from_numpy(targets[rest])
    weight = torch.zeros(x.shape[1], y.shape[1], dtype=torch.float64, requires_grad=True)
    bias = y.mean(dim=0).log().requires_grad_()
    descent = torch.optim.LBFGS([weight, bias], max_iter=200, line_search_fn="strong_wolfe")

    def loss() -> torch.Tensor:
        descent.zero_grad()
        told = (x @ weight + bias).log_softmax(dim=1)
        value = -(y * told).sum(dim=1).mean() + RIDGE / 2 * weight.square().sum()
        torch.autograd.backward(value)
        return value

    descent.step(loss)  # type: ignore[no-untyped-call]
    fitted = {
        "mean": mean.tolist(),
        "spread": spread.tolist(),
        "weight": weight.detach().tolist(),
        "bias": bias.detach().tolist(),
        "mean weights": targets[rest].mean(axis=0).tolist(),
    }
    facts: dict[str, Any] = {"prompts": len(rest), "held back": len(back)}
    if len(back):
        constant = np.tile(np.array(fitted["mean weights"]), (len(back), 1))
        facts["nats learned"] = _nats(targets[back], predicted(fitted, features[back]))
        facts["nats constant"] = _nats(targets[back], constant)
    return fitted, facts


def predicted(fitted: dict[str, Any], features: Floats) -> Floats:
    """(n, M) weights of prompts with these features."""
    x = (features - np.array(fitted["mean"])) / np.array(fitted["spread"])
    power = x @ np.array(fitted["weight"]) + np.array(fitted["bias"])
    power = np.exp(power - power.max(axis=1, keepdims=True))
    return np.asarray(power / power.sum(axis=1, keepdims=True))


def _nats(targets: Floats, told: Floats) -> float:
    ratio = np.log(np.maximum(targets, 1e-12)) - np.log(np.maximum(told, 1e-12))
    return float((targets * ratio).sum(axis=1).mean())
