"""Supervised fine-tuning on all the data, once for each preference."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

import numpy as np

from paretohqd.compare.method import Method, MethodOptions, Range, SetsLength
from paretohqd.compare.methods._sft import fine_tune
from paretohqd.compare.policy import Policy
from paretohqd.compare.workbench import Workbench, batch_size


@dataclass(frozen=True, kw_only=True)
class Options(MethodOptions):
    """The options of `full`."""

    passes: Annotated[float, Range(0, above=True), SetsLength()] = 1.0
    """Passes over the data, where the budget is the method's own."""


def policies(bench: Workbench, options: Options) -> list[Policy]:
    """One model per preference, which differ by the order of their rows."""
    pool = bench.pool()
    steps = max(1, round(options.passes * len(pool) / batch_size(bench.train_settings())))
    made = []
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
        made.append(Policy(weights=weights, adapters=((tuned.adapter, 1.0),)))
    return made


METHOD = Method(
    run=policies,
    options=Options,
    family="sft",
    about="All rows without a choice, one model per preference: the paper's ablation "
    '"full data set".',
    source="arXiv 2504.16628, ablations. Nothing in it depends on the preference: the P models "
    "differ by the order of their rows, and their spread shows how much hypervolume comes from "
    "having P models rather than one.",
    ours="that reading, and the passes. A matched budget may end long before a pass does: each "
    "model has then seen other rows, as many as the notes say.",
)
