"""HaM: K models trained together for the hypervolume that their values cover."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from paretohqd.compare.methods._groups import answer_groups
from paretohqd.compare.policy import Policy
from paretohqd.compare.workbench import Workbench, batch_size
from paretohqd.models.chat import prompt_lengths
from paretohqd.trainers import ham as ham_training
from paretohqd.trainers.ham_values import MAX_ADAPTERS
from paretohqd.trainers.rollouts import standard_constants


def ham(
    bench: Workbench,
    *,
    count: int | None = None,
    steps: int | None = None,
    prompts: int | None = None,
    learning_rate: float | None = None,
) -> list[Policy]:
    """Train K adapters together so that their values cover the most hypervolume.

    Source: Mukherjee et al., "Multi-Objective Alignment of Large Language Models Through
    Hypervolume Maximization" (arXiv 2412.05469), reconstructed from its abstract. Exact: the
    hypervolume and its gradient. Ours: the rest, above all that a policy's value is the
    importance-weighted mean of the standardised scores of answers that the base gave,
    with length-normalised log-probabilities; K LoRA adapters on one base; the reference, 2 standard
    deviations below the base; and what tells adapters apart that all start as the base. It takes
    no preference: K points, K times the tokens of one model for each answer.

    Args:
        bench: what all methods work with.
        count: K, at most 12; as many as there are preferences, up to that, if not given.
        steps: usual steps, where they are not the settings' own.
        prompts: prompts per step, each with all its answers; if not given, so many that a step has
            about as many answers as one of fine-tuning has.
        learning_rate: in place of the settings' own.

    Raises:
        ValueError: a count out of range, a reward that cannot be standardised, or a budget too
            small for one step.
    """
    count = min(MAX_ADAPTERS, len(bench.weights)) if count is None else count
    if not 1 <= count <= MAX_ADAPTERS:
        raise ValueError(f"count: expected 1 to {MAX_ADAPTERS} models, got {count}")
    frame = answer_groups(bench)
    constants = standard_constants(frame, bench.names)
    bench.notes["constants"] = {
        name: {"mean": mean, "deviation": deviation}
        for name, (mean, deviation) in constants.items()
    }
    train = bench.train_settings()
    if learning_rate is not None:
        train["learning_rate"] = learning_rate
    groups = _groups(bench, frame, constants, train["max_length"])
    answers = groups["response"].list.len()
    each = prompts or max(1, round(batch_size(train) / float(answers.to_numpy().mean())))
    order = bench.order(
        (count * groups["tokens"]).to_list(),
        batch=each,
        share=1.0,
        steps=steps or train["max_steps"],
    )
    train["max_steps"] = len(order) // each
    # One number to a prompt each time it comes, so that passes stay apart.
    rows = groups[order].drop("tokens").with_row_index(ham_training.GROUP)
    rows = rows.explode("response", "finished", *bench.names)

    def work(base: Any, tokenizer: Any, out: Path, on_step: Any) -> Mapping[str, Any]:
        return ham_training.fit_jointly(
            base,
            tokenizer,
            rows,
            bench.names,
            out,
            count=count,
            machine=bench.session.machine,
            train=train,
            lora=bench.settings.lora,
            seed=bench.seed,
            on_step=on_step,
        )

    made = bench.train(
        "ham",
        work,
        label=f"{count} models together",
        settings={"train": train, "lora": bench.settings.lora, "count": count},
        inputs={"rows": bench.session.folder.hash_frame(rows)},
    )
    notes = made.manifest["notes"]
    bench.charge(made, "train", "once", trained=notes["trained_tokens"])
    bench.notes["joint training"] = {
        "prompts": len(groups),
        "prompts a step": each,
        "steps": notes["steps"],
        "passes": float(np.round(len(order) / len(groups), 2)),
        "hypervolume, first and last step": notes["hypervolume"],
    }
    return [Policy(adapters=((made.path / f"adapter-{k}", 1.0),)) for k in range(count)]


def _groups(
    bench: Workbench,
    frame: pl.DataFrame,
    constants: Mapping[str, tuple[float, float]],
    longest: int | None,
) -> pl.DataFrame:
    """One row per prompt: its answers, their standardised scores, and the tokens of all of them."""
    frame = frame.unique(["prompt", "response"], keep="first", maintain_order=True)
    finished = frame["finished"] if "finished" in frame.columns else pl.Series([True] * len(frame))
    encoded = bench.tokenizer()(frame["response"].to_list(), add_special_tokens=False)["input_ids"]
    answers = pl.Series([len(ids) for ids in encoded], dtype=pl.Int64) + finished.cast(pl.Int64)
    tokens = prompt_lengths(bench.tokenizer(), frame.select("prompt")) + answers
    return (
        frame.select(
            "prompt",
            "response",
            *((pl.col(n) - mean) / deviation for n, (mean, deviation) in constants.items()),
        )
        .with_columns(
            finished=finished,
            tokens=tokens if longest is None else tokens.clip(upper_bound=longest),
        )
        .group_by("prompt", maintain_order=True)
        .agg(pl.exclude("tokens"), pl.col("tokens").sum())
    )
