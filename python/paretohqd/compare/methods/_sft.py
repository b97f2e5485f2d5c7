"""What methods that fine-tune share: one supervised training."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

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
    rate: float | None = None,
) -> Tuned:
    """Supervised fine-tuning of one adapter.

    Args:
        bench: What all methods work with.
        rows: Columns prompt, response and perhaps system_prompt; more or fewer than the steps need.
        label: What the progress bar calls it.
        per: What the training is repeated for: "once", "objective" or "preference".
        share: The part of the whole budget that this training may use.
        stage: 2 for the settings of `train_stage2`.
        steps: The usual number of steps, where it is not the settings' own.
        start_from: Adapter to train further.
        rate: The learning rate, where it is not the settings' own.
    """
    train, lora = bench.train_settings(stage), bench.settings.lora
    if rate is not None:
        train["learning_rate"] = rate
    rows = rows.select(c for c in ("prompt", "response", chat.SYSTEM_PROMPT) if c in rows.columns)
    if chat.SYSTEM_PROMPT in rows.columns and not chat.find_form(bench.tokenizer()).system:
        bench.notes["system messages"] = (
            "stand before the user's text: the chat template writes none"
        )
    rows = _fitting(bench, rows, train["max_length"], label)
    lengths = chat.row_lengths(bench.tokenizer(), rows, train["max_length"])
    course = bench.course(
        rows,
        lengths,
        batch=batch_size(train),
        share=share,
        steps=steps or train["max_steps"],
    )
    train |= {"max_steps": course.steps, "train_sampling_strategy": "sequential"}
    inputs = {"rows": bench.hash_rows(course.rows)}
    if start_from is not None:
        inputs["adapter"] = bench.context.folder.hash_path(start_from)
    made = bench.train(
        "sft",
        lambda base, tokenizer, **common: sft.fit(
            base,
            tokenizer,
            course.rows,
            train=train,
            lora=lora,
            start_from=start_from,
            **common,
        ),
        label=label,
        per=per,
        settings={"train": train, "lora": lora},
        inputs=inputs,
        course=course,
    )
    return Tuned(made.path / "adapter", course.rows)


def _fitting(bench: Workbench, rows: pl.DataFrame, longest: int | None, label: str) -> pl.DataFrame:
    """Without rows whose prompt, with its system prompt, leaves no token to train.

    The data are split by their prompts alone: a system prompt makes some too long.
    """
    if longest is None:
        return rows
    long = chat.prompt_lengths(bench.tokenizer(), rows) >= longest
    if not long.any() or long.all():  # all: training says what to do
        return rows
    bench.notes[f"left out of {label}"] = f"{long.sum()} rows that fill max_length={longest}"
    return rows.filter(~long)
