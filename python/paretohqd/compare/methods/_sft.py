"""What methods that fine-tune share: one supervised training on the bench."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from paretohqd.compare.workbench import Workbench, batch_size
from paretohqd.models import chat
from paretohqd.trainers import sft


@dataclass(frozen=True)
class Tuned:
    """What a training made."""

    adapter: Path
    """Its folder."""
    rows: pl.DataFrame
    """What it was trained on, in that order."""


def fine_tune(
    bench: Workbench,
    rows: pl.DataFrame,
    *,
    label: str,
    per: str,
    share: float,
    stage: int = 1,
    steps: int | None = None,
    start_from: Path | None = None,
) -> Tuned:
    """Supervised fine-tuning of one adapter.

    Args:
        bench: what all methods work with.
        rows: prompt, response and perhaps before; more or fewer than the steps need.
        label: what the progress bar calls it.
        per: what the training is repeated for: "once", "objective" or "preference".
        share: the part of the whole budget that this training may use.
        stage: 2 for the settings of `train_stage2`.
        steps: the usual number of steps, where it is not the settings' own.
        start_from: adapter to train further.
    """
    train, lora = bench.train_settings(stage), bench.settings.lora
    rows = rows.select(c for c in ("prompt", "response", chat.SYSTEM_PROMPT) if c in rows.columns)
    if chat.SYSTEM_PROMPT in rows.columns and not chat.find_form(bench.tokenizer()).system:
        bench.notes["system messages"] = (
            "stand before the user's text: the chat template writes none"
        )
    rows = _fitting(bench, rows, train["max_length"], label)
    lengths = chat.row_lengths(bench.tokenizer(), rows, train["max_length"])
    batch = batch_size(train)
    order = bench.order(lengths, batch=batch, share=share, steps=steps or train["max_steps"])
    ordered = rows[order]
    train |= {"max_steps": len(order) // batch, "train_sampling_strategy": "sequential"}

    def work(base: Any, tokenizer: Any, out: Path, on_step: Any) -> Mapping[str, Any]:
        return sft.fit(
            base,
            tokenizer,
            ordered,
            out,
            machine=bench.session.machine,
            train=train,
            lora=lora,
            seed=bench.seed,
            start_from=start_from,
            on_step=on_step,
        )

    inputs = {"rows": bench.session.folder.hash_frame(ordered)}
    if start_from is not None:
        inputs["adapter"] = bench.session.folder.hash_path(start_from)
    made = bench.train(
        "sft", work, label=label, settings={"train": train, "lora": lora}, inputs=inputs
    )
    bench.charge(made, "train", per, trained=int(np.asarray(lengths)[order].sum()))
    bench.note_training(label, rows=len(rows), order=order, steps=train["max_steps"])
    return Tuned(made.path / "adapter", ordered)


def _fitting(bench: Workbench, rows: pl.DataFrame, longest: int | None, label: str) -> pl.DataFrame:
    """Without rows of which the prompt, with its system message, leaves no token to train.

    The data are split by their prompts alone: a message before them makes some too long.
    """
    if longest is None:
        return rows
    long = chat.prompt_lengths(bench.tokenizer(), rows) >= longest
    if not long.any() or long.all():  # all: training says what to do
        return rows
    bench.notes[f"left out of {label}"] = f"{long.sum()} rows that fill max_length={longest}"
    return rows.filter(~long)
