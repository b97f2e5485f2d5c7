"""What trainings of the tiny model share."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import polars as pl

from paretohqd.models.machine import Machine
from paretohqd.trainers import sft

Load = Callable[..., tuple[Any, Any]]

CPU = Machine(device="cpu", bfloat16=False, threads=1)
TRAIN = {"max_steps": 3, "per_device_train_batch_size": 2, "learning_rate": 1e-2}
LORA = {"r": 4, "lora_alpha": 8}


class Killed(BaseException):
    """Stands in for a signal: nothing catches it."""


def fit(load: Load, rows: pl.DataFrame, out: Path, **more: Any) -> dict[str, Any]:
    """Fine-tune a fresh model for a few steps."""
    model, tokenizer = load()
    settings = {"machine": CPU, "train": TRAIN, "lora": LORA, **more}
    settings["train"] = {**TRAIN, **settings["train"]}
    return sft.fit(model, tokenizer, rows, out, **settings)


def weights(out: Path) -> bytes:
    """The adapter that a training left."""
    return (out / "adapter" / "adapter_model.safetensors").read_bytes()
