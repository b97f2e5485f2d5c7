"""Linear scalarisation: the rows of the largest weighted sum, then the same training."""

from __future__ import annotations

from typing import Literal

from paretohqd.compare.methods._ranking import best_rows, center_and_spread, standardised
from paretohqd.compare.methods._sft import fine_tune
from paretohqd.compare.policy import Policy
from paretohqd.compare.workbench import Workbench


def linear(
    bench: Workbench, *, k: int | None = None, scale: Literal["z", "raw"] = "z"
) -> list[Policy]:
    """One model per preference on the k rows of the largest w . r.

    Source: the linear-scalarisation ablation of arXiv 2504.16628. Exact: everything but the rows is
    as in ParetoHqD's stage 1. Ours: rewards are standardised first, for raw sums follow the
    objective of the widest scores alone.

    Args:
        bench: what all methods work with.
        k: rows per preference; selection.k if not given.
        scale: "z" for standardised rewards, "raw" for the scorers' own units.
    """
    frame = bench.scored()
    scores = frame.select(bench.names).to_numpy()
    if scale == "z":
        scores = standardised(frame, bench.names, *center_and_spread(frame, bench.names))
    policies = []
    for number, weights in enumerate(bench.preferences):
        rows = best_rows(
            bench,
            frame,
            scores @ weights,
            k=k,
            per="preference",
            rank="linear",
            scale=scale,
            w=weights,
        )
        tuned = fine_tune(
            bench, rows, label=f"linear {number}", per="preference", share=1 / len(bench.weights)
        )
        policies.append(Policy(weights=weights, adapters=((tuned.adapter, 1.0),)))
    return policies
