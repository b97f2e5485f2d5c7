"""ParetoHqD in two stages: selected rows, then the best of what the first stage's models say."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import polars as pl

from paretohqd.compare.method import Count, Method, Positive
from paretohqd.compare.methods._selection import (
    SelectionOptions,
    fit_preferences,
    policies_of,
    refuse_pool,
    rule_of,
    select_rows,
)
from paretohqd.compare.policy import Policy
from paretohqd.compare.sampling import sample
from paretohqd.compare.workbench import Workbench
from paretohqd.runs.sampling import representatives
from paretohqd.selection.choosing import choose_by_rule


@dataclass(frozen=True, kw_only=True)
class Options(SelectionOptions):
    """The options of `paretohqd`; those of the second stage are the paper's if not given."""

    k: Count | None = None
    """Rows per preference in stage 1; selection.k if not given."""
    rank: Literal["ray", "achievement", "sum"] = "ray"
    """By what rows are ranked in both stages, see `paretohqd.select`."""
    answerers: Literal["representatives", "all"] = "representatives"
    """Whose answers stage 2 chooses from: the M + 1 models of the paper, or those of all
    preferences."""
    samples: Count = 1
    """Answers of each of them to each prompt."""
    candidates: Literal["new", "both"] = "new"
    """What stage 2 chooses from: these answers, or these and the offline ones together."""
    start: Literal["stage1", "base"] = "stage1"
    """What stage 2 trains: the first stage's adapter further, or a new one on the base."""
    rate: Positive | None = None
    """The learning rate of stage 2, in multiples of stage 1's; `train_stage2`'s if not given."""
    reference: Literal["new", "first"] = "new"
    """The reference points of stage 2's rays: of its own candidates, or stage 1's again."""

    def __post_init__(self) -> None:
        """Refuse an end of a pool where there is none.

        Raises:
            ValueError: `upto` or `at_least` beside a rank of all rows, or as `SelectionOptions`.
        """
        super().__post_init__()
        refuse_pool(self, self.rank)


def policies(bench: Workbench, options: Options) -> list[Policy]:
    """One model per preference, trained on selected rows and then on selected answers."""
    spec = bench.settings.selection
    frame = bench.scored()
    k = options.k or spec.k
    rows = select_rows(bench, frame, options, k=k, rank=options.rank)
    # A budget, where an ablation has one, is divided as the usual steps are.
    steps = [bench.train_settings(stage)["max_steps"] for stage in (1, 2)]
    shares = [count / sum(steps) / len(bench.weights) for count in steps]
    adapters = fit_preferences(bench, rows, stage=1, share=shares[0])
    candidates = _answers(bench, options, adapters)
    bounds = None
    if options.reference == "first":
        rule = rule_of(bench, options, k=k, rank=options.rank)
        first = choose_by_rule(rule, frame, bench.names, bench.weights)
        bounds = (first.r_min.tolist(), first.r_max.tolist())
    if options.candidates == "both":
        candidates = pl.concat([candidates, frame.select(candidates.columns)])
    rows = select_rows(
        bench,
        candidates,
        options,
        k=spec.k_stage2 or max(1, k // 2),
        rank=options.rank,
        reference=bounds,
    )
    first_rate = bench.train_settings(1)["learning_rate"]
    adapters = fit_preferences(
        bench,
        rows,
        stage=2,
        share=shares[1],
        start_from=adapters if options.start == "stage1" else None,
        rate=None if options.rate is None else options.rate * first_rate,
    )
    return policies_of(bench, adapters)


def _answers(bench: Workbench, options: Options, adapters: Sequence[Path]) -> pl.DataFrame:
    """What the first stage's models answer, scored."""
    who = representatives(bench.weights)
    if options.answerers == "all":
        who = list(range(len(bench.weights)))
    prompts = bench.prompts_to_answer()
    answers = [
        sample(
            bench,
            Policy(adapters=((adapters[number], 1.0),)),
            prompts,
            label=f"stage 2 {number}",
            per="representative" if options.answerers == "representatives" else "preference",
            seed=bench.seed + 101 + number,
            samples=options.samples,
            rounds=len(who) - turn,
        )
        for turn, number in enumerate(who)
    ]
    # Only selection's columns: the answers of two models of one prompt are two rows.
    return pl.concat(answers).select("prompt", "response", *bench.names)


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
