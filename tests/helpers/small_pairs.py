"""Training on ten pairs with the tiny model, and log-probabilities by their definition."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import polars as pl
import torch

from helpers.small_fit import CPU, LORA, Load
from paretohqd.trainers import dpo

TRAIN = {"per_device_train_batch_size": 4, "learning_rate": 1e-2}


def fit(load: Load, pairs: pl.DataFrame, out: Path, **more: Any) -> dict[str, Any]:
    model, tokenizer = load()
    settings = {"machine": CPU, "train": {}, "lora": LORA, **more}
    settings["train"] = {**TRAIN, **settings["train"]}
    return dpo.fit_pairs(model, tokenizer, pairs, out, **settings)


def log_probability(model: Any, ids: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
    """Sum over the masked tokens of a row of their log-probability, by the plain definition."""
    with torch.no_grad():
        logits = model(input_ids=ids[None]).logits[0, :-1]
    each = torch.log_softmax(logits.double(), dim=-1).gather(-1, ids[1:, None])[:, 0]
    return (each * mask[1:]).sum()


def losses(out: Path) -> list[float]:
    return [entry["loss"] for entry in json.loads((out / "log.json").read_text())]
