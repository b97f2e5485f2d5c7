"""What methods that train on preference pairs share: pairs of one objective, and one training."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import polars as pl

from paretohqd.compare.workbench import Workbench, batch_size
from paretohqd.models.chat import pair_lengths
from paretohqd.selection.pairs import extreme_pairs
from paretohqd.trainers import dpo

PASSES = 1.0
"""The base reads every pair once, without a gradient."""


def corner_pairs(bench: Workbench, frame: pl.DataFrame, name: str, *, per: str) -> pl.DataFrame:
    """Each prompt's best and worst answer in one objective, as a step.

    Raises:
        ValueError: No prompt has two answers that the objective tells apart.
    """

    def work() -> pl.DataFrame:
        try:
            return extreme_pairs(frame, frame[name])
        except ValueError as error:
            raise ValueError(f"objective {name!r}: {error}") from None

    return bench.table("pairs", work, frame, per=per, rule="corner", objective=name)


def pair_settings(bench: Workbench) -> dict[str, Any]:
    """DPOConfig's settings with the defaults; rows are as long as those of fine-tuning."""
    longest = bench.train_settings()["max_length"]
    return {**dpo.DEFAULTS, "max_length": longest, **bench.settings.pairs}


def fit_paired(
    bench: Workbench,
    pairs: pl.DataFrame,
    *,
    label: str,
    per: str,
    share: float,
    beta: float,
    weight: float = 1.0,
    steps: int | None = None,
    learning_rate: float | None = None,
) -> Path:
    """Train one adapter on pairs, repeated and shuffled to the steps or the budget.

    Args:
        bench: What all methods work with.
        pairs: Columns prompt, chosen, rejected and perhaps margin.
        label: What the progress bar calls it.
        per: What the training is repeated for: "once" or "preference".
        share: The part of the whole budget that this training may use.
        beta: The loss's beta, see `dpo.fit_pairs`.
        weight: Weight of the main objective.
        steps: Usual steps; pairs.max_steps or else train.max_steps if not given.
        learning_rate: In place of the settings' own.

    Returns:
        Folder of the adapter.

    Raises:
        ValueError: Settings that DPOConfig does not have, or a budget too small for one step.
    """
    given, lora = dict(bench.settings.pairs), bench.settings.lora
    dpo.check_settings(given, lora)
    usual, train = bench.train_settings(), pair_settings(bench)
    if learning_rate is not None:
        train["learning_rate"] = learning_rate
    steps = steps or given.get("max_steps") or usual["max_steps"]
    pairs = pairs.select(
        c for c in ("prompt", "chosen", "rejected", dpo.MARGIN) if c in pairs.columns
    )
    lengths = pair_lengths(bench.tokenizer(), pairs, train["max_length"])
    course = bench.course(
        pairs, lengths, batch=batch_size(train), share=share, steps=steps, passes=PASSES
    )
    train["max_steps"] = course.steps
    made = bench.train(
        "dpo",
        lambda base, tokenizer, **common: dpo.fit_pairs(
            base,
            tokenizer,
            course.rows,
            train=train,
            lora=lora,
            beta=beta,
            weight=weight,
            **common,
        ),
        label=label,
        per=per,
        settings={"train": train, "lora": lora, "beta": beta, "weight": weight},
        inputs={"pairs": bench.context.folder.hash_frame(course.rows)},
        course=course,
        unit="pairs",
        passes=PASSES,
    )
    return made.path / "adapter"
