"""Plain supervised fine-tuning without scores: on random rows, and on all the data."""

from __future__ import annotations

import numpy as np

from paretohqd.compare.methods._sft import fine_tune
from paretohqd.compare.policy import Policy
from paretohqd.compare.workbench import Workbench, batch_size


def sft(bench: Workbench, *, rows: int | None = None) -> list[Policy]:
    """One model on random rows, for every preference: what training alone does.

    Source: the SFT baseline of arXiv 2504.16628. Exact: the loss and the steps of the other
    methods. Ours: the rows are drawn at random from all of the data, as many as ParetoHqD selects
    for all preferences together.

    Args:
        bench: what all methods work with.
        rows: number of rows to draw; selection.k times the preferences if not given.
    """
    pool = bench.pool()
    count = min(len(pool), rows or bench.settings.selection.k * len(bench.weights))
    drawn = pool[np.sort(np.random.default_rng([bench.seed, 4]).permutation(len(pool))[:count])]
    tuned = fine_tune(bench, drawn, label="random rows", per="once", share=1.0)
    return [Policy(adapters=((tuned.adapter, 1.0),))]


def full(bench: Workbench, *, passes: float = 1.0) -> list[Policy]:
    """All rows without a choice, one model per preference: the paper's ablation "full data set".

    Source: arXiv 2504.16628, ablations. Nothing in it depends on the preference: the P models
    differ by the order of their rows, and their spread shows how much hypervolume comes from having
    P models rather than one. Ours: that reading, and the passes. A matched budget may end long
    before a pass does: each model has then seen other rows, as many as the notes say.

    Args:
        bench: what all methods work with.
        passes: over the data, where the budget is the method's own.
    """
    pool = bench.pool()
    steps = max(1, round(passes * len(pool) / batch_size(bench.train_settings())))
    policies = []
    for number, weights in enumerate(bench.preferences):
        order = np.random.default_rng([bench.seed, 5, number]).permutation(len(pool))
        tuned = fine_tune(
            bench,
            pool[order],
            label=f"all rows {number}",
            per="preference",
            share=1 / len(bench.weights),
            steps=steps,
        )
        policies.append(Policy(weights=weights, adapters=((tuned.adapter, 1.0),)))
    return policies
