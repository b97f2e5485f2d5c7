"""HaM: K models trained together for the hypervolume that their values cover."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any, Literal

import numpy as np
import polars as pl

from paretohqd.compare.method import Count, Method, MethodOptions, Positive, Range, Steps
from paretohqd.compare.methods._constants import reward_constants
from paretohqd.compare.methods._groups import answer_groups
from paretohqd.compare.policy import Policy
from paretohqd.compare.workbench import Workbench, batch_size
from paretohqd.models.chat import prompt_lengths
from paretohqd.trainers import ham as ham_training
from paretohqd.trainers.ham_values import MAX_ADAPTERS
from paretohqd.trainers.several import BODY


@dataclass(frozen=True, kw_only=True)
class Options(MethodOptions):
    """The options of `ham`."""

    count: Annotated[int, Range(1, MAX_ADAPTERS)] | None = None
    """K; as many as there are preferences, up to the most there can be, if not given."""
    steps: Steps | None = None
    """Usual steps, where they are not the settings' own."""
    prompts: Count | None = None
    """Prompts per step, each with all its answers; if not given, so many that a step has about as
    many answers as one of fine-tuning has."""
    learning_rate: Positive | None = None
    """In place of the settings' own."""
    value: Literal["weighted", "likelihood"] = "weighted"
    """What a policy is worth in an objective: the importance-weighted mean of the scores, or how
    likely it finds what scores well."""
    heads: bool = False
    """Whether the K models are heads on one body, which is trained too."""


def policies(bench: Workbench, options: Options) -> list[Policy]:
    """K models that take no preference.

    Raises:
        ValueError: A reward that cannot be standardised, or a budget too small for one step.
    """
    count = options.count or min(MAX_ADAPTERS, len(bench.weights))
    frame = answer_groups(bench)
    constants = reward_constants(bench, frame)
    train = bench.train_settings()
    if options.learning_rate is not None:
        train["learning_rate"] = options.learning_rate
    groups = _groups(bench, frame, constants, train["max_length"])
    answers = groups["response"].list.len()
    each = options.prompts or max(1, round(batch_size(train) / float(answers.to_numpy().mean())))
    # The base reads each answer once where values are ratios to it, and each adapter once more than
    # it is trained.
    passes = 1 + (1 / count if options.value == "weighted" else 0)
    order = bench.order(
        (count * groups["tokens"]).to_list(),
        batch=each,
        share=1.0,
        steps=options.steps or train["max_steps"],
        passes=passes,
    )
    train["max_steps"] = len(order) // each
    # One number to a prompt each time it comes, so that passes stay apart.
    rows = groups[order].drop("tokens").with_row_index(ham_training.GROUP)
    rows = rows.explode("response", "finished", *bench.names)

    # As steps were called when there was no choice.
    more: dict[str, Any] = {"value": options.value} if options.value != "weighted" else {}
    more |= {"heads": True} if options.heads else {}
    made = bench.train(
        "ham",
        lambda base, tokenizer, **common: ham_training.fit_jointly(
            base,
            tokenizer,
            rows,
            bench.names,
            count=count,
            train=train,
            lora=bench.settings.lora,
            value=options.value,
            body=options.heads,
            **common,
        ),
        label=f"{count} models together",
        per="once",
        passes=passes,
        settings={"train": train, "lora": bench.settings.lora, "count": count, **more},
        inputs={"rows": bench.context.folder.hash_frame(rows)},
    )
    notes = made.notes
    bench.notes["joint training"] = {
        "prompts": len(groups),
        "prompts a step": each,
        "steps": notes["steps"],
        "passes": float(np.round(len(order) / len(groups), 2)),
        "hypervolume, first and last step": notes["hypervolume"],
    }
    body = ((made.path / BODY, 1.0),) if options.heads else ()
    return [Policy(adapters=(*body, (made.path / f"adapter-{k}", 1.0))) for k in range(count)]


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


METHOD = Method(
    run=policies,
    options=Options,
    family="joint",
    reconstructed=True,
    about="Train K adapters together so that their values cover the most hypervolume.",
    source='Mukherjee et al., "Multi-Objective Alignment of Large Language Models Through '
    'Hypervolume Maximization" (arXiv 2412.05469), reconstructed from its abstract.',
    exact="the hypervolume and its gradient; with `value: likelihood` that a policy's value is the "
    "score-weighted mean of its log-probabilities, brought between 0 and 1, above the origin; with "
    "`heads: true` that the K models are heads on one body.",
    ours="the rest, above all that by default a policy's value is the importance-weighted mean of "
    "the standardised scores of the answers at hand (the base's where they were sampled from it), "
    "with length-normalised log-probabilities, and the reference 2 standard deviations below the "
    "base; how likelihoods are brought between 0 and 1 (that of a token, by its exponential); LoRA "
    "adapters on one base; and what tells adapters apart that all start as the base. It takes no "
    "preference: K points, K times the tokens of one model for each answer.",
)
