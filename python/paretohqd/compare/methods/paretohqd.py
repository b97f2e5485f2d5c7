"""ParetoHqD in two stages: selected rows, then the best of what the first stage's models say."""

from __future__ import annotations

from dataclasses import dataclass

import polars as pl

from paretohqd.compare.method import Count, Method
from paretohqd.compare.methods._selection import (
    SelectionOptions,
    fit_preferences,
    policies_of,
    select_rows,
)
from paretohqd.compare.policy import Policy
from paretohqd.compare.sampling import sample
from paretohqd.compare.workbench import Workbench
from paretohqd.runs.sampling import representatives


@dataclass(frozen=True, kw_only=True)
class Options(SelectionOptions):
    """The options of `paretohqd`."""

    k: Count | None = None
    """Rows per preference in stage 1; selection.k if not given."""


def policies(bench: Workbench, options: Options) -> list[Policy]:
    """One model per preference, trained on selected rows and then on selected answers."""
    spec = bench.settings.selection
    frame = bench.scored()
    k = options.k or spec.k
    rows = select_rows(bench, frame, options, k=k)
    # A budget, where an ablation has one, is divided as the usual steps are.
    steps = [bench.train_settings(stage)["max_steps"] for stage in (1, 2)]
    shares = [count / sum(steps) / len(bench.weights) for count in steps]
    adapters = fit_preferences(bench, rows, stage=1, share=shares[0])
    who = representatives(bench.weights)
    prompts = bench.prompts_to_answer()
    answers = [
        sample(
            bench,
            Policy(adapters=((adapters[number], 1.0),)),
            prompts,
            label=f"stage 2 {number}",
            per="representative",
            seed=bench.seed + 101 + number,
            rounds=len(who) - turn,
        )
        for turn, number in enumerate(who)
    ]
    # Only selection's columns: the answers of two models of one prompt are two rows.
    scored = pl.concat(answers).select("prompt", "response", *bench.names)
    rows = select_rows(bench, scored, options, k=spec.k_stage2 or max(1, k // 2))
    adapters = fit_preferences(bench, rows, stage=2, share=shares[1], start_from=adapters)
    return policies_of(bench, adapters)


METHOD = Method(
    run=policies,
    options=Options,
    family="sft",
    about="ParetoHqD, both stages: the second on answers that stage-1 models gave.",
    source='Gu et al., "ParetoHqD" (arXiv 2504.16628).',
    exact="as for stage 1; the corners' and the balanced model answer, k/2 of their answers per "
    "preference train its stage-1 adapter further.",
    ours="as for stage 1, and far fewer prompts and steps. It is what the matched budget is "
    "measured from, so it takes its usual steps under either budget.",
)
