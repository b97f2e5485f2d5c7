"""ParetoHqD: the rows of the best Pareto layers nearest to each ray, in one stage or in two."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Literal, Unpack

import numpy as np
import polars as pl

from paretohqd.compare.methods._ranking import best
from paretohqd.compare.methods._sft import fine_tune
from paretohqd.compare.policy import Policy
from paretohqd.compare.workbench import Workbench
from paretohqd.frames.objectives import column
from paretohqd.kernels.layers import pareto_layers
from paretohqd.runs.sampling import representatives
from paretohqd.selection.choosing import choose_by_rule
from paretohqd.selection.copies import copy_columns
from paretohqd.selection.rule import VariantOptions

Rank = Literal["ray", "linear", "ideal"]


def stage1(
    bench: Workbench,
    *,
    k: int | None = None,
    rank: Rank = "ray",
    **selection: Unpack[VariantOptions],
) -> list[Policy]:
    """ParetoHqD without its second stage: one model per preference on the selected rows.

    Source: Gu et al., "ParetoHqD" (arXiv 2504.16628). Exact: the ray of a preference, the choice
    from the best Pareto layers by nearness to it, plain SFT per preference. Ours: how many layers
    (at least as many rows as all preferences want), the nadir from those layers, the distance in
    units of the box, ties to the better layer, then the earlier row. The options are ablations.

    Args:
        bench: what all methods work with.
        k: rows per preference; selection.k if not given.
        rank: how rows of the best layers are ranked: by the distance to the preference's "ray"; by
            the weighted sum of the rewards in the unit box ("linear"); or by the weighted
            Euclidean distance to the ideal corner of the box ("ideal", compromise programming).
        selection: Options of `paretohqd.select` that stand in place of the settings' own.
    """
    frame = bench.scored()
    k = k or bench.settings.selection.k
    rows = chosen(bench, frame, k=k, rank=rank, **selection)
    share = 1 / len(bench.weights)
    adapters = [fit(bench, rows, number, 1, share, None) for number in range(len(bench.weights))]
    return _policies(bench, adapters)


def paretohqd(
    bench: Workbench, *, k: int | None = None, **selection: Unpack[VariantOptions]
) -> list[Policy]:
    """ParetoHqD, both stages: the second on answers that stage-1 models gave.

    Source: Gu et al., "ParetoHqD" (arXiv 2504.16628). Exact: as for stage 1; the corners' and the
    balanced model answer, k/2 of their answers per preference train its stage-1 adapter further.
    Ours: as for stage 1, and far fewer prompts and steps. It is what the matched budget is measured
    from, so it takes its usual steps under either budget.

    Args:
        bench: what all methods work with.
        k: rows per preference in stage 1; selection.k if not given.
        selection: as for `stage1`.
    """
    spec = bench.settings.selection
    frame = bench.scored()
    k = k or spec.k
    first = chosen(bench, frame, k=k, **selection)
    numbers = range(len(bench.weights))
    # A budget, where an ablation has one, is divided as the usual steps are.
    steps = [bench.train_settings(stage)["max_steps"] for stage in (1, 2)]
    shares = [count / sum(steps) / len(bench.weights) for count in steps]
    adapters = [fit(bench, first, number, 1, shares[0], None) for number in numbers]
    who = representatives(bench.weights)
    prompts = bench.prompts_to_answer()
    answers = []
    for turn, number in enumerate(who):
        policy = Policy(adapters=((adapters[number], 1.0),))
        made = bench.sample(
            policy,
            prompts,
            label=f"stage 2 {number}",
            per="representative",
            seed=bench.seed + 101 + number,
            rounds=len(who) - turn,
        )
        answers.append(made)
    # Only selection's columns: the answers of two models of one prompt are two rows.
    scored = pl.concat(answers).select("prompt", "response", *bench.names)
    second = chosen(bench, scored, k=spec.k_stage2 or max(1, k // 2), **selection)
    return _policies(
        bench, [fit(bench, second, number, 2, shares[1], adapters[number]) for number in numbers]
    )


def chosen(
    bench: Workbench,
    frame: pl.DataFrame,
    *,
    k: int,
    rank: Rank = "ray",
    **selection: Unpack[VariantOptions],
) -> pl.DataFrame:
    """The training rows of all preferences: prompt, response and preference.

    Where a fixed number of layers holds fewer rows than k, k is lowered, and that is noted.
    """
    rule = bench.rule(k=k, **selection)
    if rule.upto is not None:
        layer = pareto_layers(frame.select(bench.names), upto=rule.upto)
        pool = frame.filter(pl.Series(layer >= 0))
        if rule.duplicates == "drop":
            pool = pool.unique([*map(column, copy_columns(frame.schema, bench.names))])
        room = len(pool) if rule.distinct is None else pool[rule.distinct].n_unique()
        if room < k:
            bench.notes["k"] = f"{room} rows in {rule.upto} layers, {k} were wanted"
            rule = replace(rule, k=room)
    if rank == "ray":
        return bench.choose(frame, rule)

    def work() -> pl.DataFrame:
        selected = choose_by_rule(rule, frame, bench.names, bench.weights)
        pool = frame[selected.pool["row"].to_numpy()]
        width = np.where(selected.r_max > selected.r_min, selected.r_max - selected.r_min, 1.0)
        box = (pool.select(bench.names).to_numpy() - selected.r_min) / width
        parts = []
        for number, weights in enumerate(bench.weights):
            values = box @ weights if rank == "linear" else -(weights * (1 - box) ** 2).sum(axis=1)
            rows = best(pool, values, rule.k, one_per_prompt=rule.distinct is not None)
            parts.append(rows.with_columns(preference=pl.lit(number)))
        return pl.concat(parts)

    return bench.table("select", work, frame, rank=rank, **bench.rule_settings(rule))


def fit(
    bench: Workbench,
    rows: pl.DataFrame,
    number: int,
    stage: int,
    share: float,
    previous: Path | None,
) -> Path:
    """Train one preference's adapter on its rows."""
    own = rows.filter(pl.col("preference") == number)
    return fine_tune(
        bench,
        own,
        label=f"stage {stage} {number}",
        per="preference",
        share=share,
        stage=stage,
        start_from=previous,
    ).adapter


def _policies(bench: Workbench, adapters: list[Path]) -> list[Policy]:
    return [
        Policy(weights=weights, adapters=((adapter, 1.0),))
        for weights, adapter in zip(bench.preferences, adapters, strict=True)
    ]
