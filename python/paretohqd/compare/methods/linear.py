"""Linear scalarisation: the rows of the largest weighted sum, then the same training."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from paretohqd.compare.method import Count, Method, MethodOptions
from paretohqd.compare.methods._constants import center_and_spread, standardised
from paretohqd.compare.methods._ranking import best_rows
from paretohqd.compare.methods._sft import fine_tune
from paretohqd.compare.policy import Policy
from paretohqd.compare.workbench import Workbench
from paretohqd.selection.preferences import format_weights


@dataclass(frozen=True, kw_only=True)
class Options(MethodOptions):
    """The options of `linear`."""

    k: Count | None = None
    """Rows per preference; selection.k if not given."""
    scale: Literal["z", "raw"] = "z"
    """"z" for standardised rewards, "raw" for the scorers' own units."""


def policies(bench: Workbench, options: Options) -> list[Policy]:
    """One model per preference on the k rows of the largest w . r."""
    frame = bench.scored()
    scores = frame.select(bench.names).to_numpy()
    if options.scale == "z":
        scores = standardised(frame, bench.names, *center_and_spread(frame, bench.names))
    made = []
    for number, weights in enumerate(bench.preferences):
        rows = best_rows(
            bench,
            frame,
            scores @ weights,
            k=options.k,
            per="preference",
            by=f"preference {format_weights(weights)}",
            rank="linear",
            scale=options.scale,
            w=weights,
        )
        tuned = fine_tune(
            bench, rows, label=f"linear {number}", per="preference", share=1 / len(bench.weights)
        )
        made.append(Policy(weights=weights, adapters=((tuned.adapter, 1.0),)))
    return made


METHOD = Method(
    run=policies,
    options=Options,
    family="sft",
    about="One model per preference on the k rows of the largest w . r.",
    source="the linear-scalarisation ablation of arXiv 2504.16628.",
    exact="everything but the rows is as in ParetoHqD's stage 1.",
    ours="rewards are standardised first, for raw sums follow the objective of the widest scores "
    "alone.",
)
