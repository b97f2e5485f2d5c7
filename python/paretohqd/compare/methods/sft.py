"""Plain supervised fine-tuning without scores, on random rows."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from paretohqd.compare.method import Count, Method, MethodOptions
from paretohqd.compare.methods._sft import fine_tune
from paretohqd.compare.policy import Policy
from paretohqd.compare.workbench import Workbench


@dataclass(frozen=True, kw_only=True)
class Options(MethodOptions):
    """The options of `sft`."""

    rows: Count | None = None
    """How many rows are drawn; selection.k times the preferences if not given."""


def policies(bench: Workbench, options: Options) -> list[Policy]:
    """One model for every preference."""
    pool = bench.pool()
    count = min(len(pool), options.rows or bench.settings.selection.k * len(bench.weights))
    drawn = pool[np.sort(np.random.default_rng([bench.seed, 4]).permutation(len(pool))[:count])]
    tuned = fine_tune(bench, drawn, label="random rows", per="once", share=1.0)
    return [Policy(adapters=((tuned.adapter, 1.0),))]


METHOD = Method(
    run=policies,
    options=Options,
    family="sft",
    about="One model on random rows, for every preference: what training alone does.",
    source="the SFT baseline of arXiv 2504.16628.",
    exact="the loss and the steps of the other methods.",
    ours="the rows are drawn at random from all of the data, as many as ParetoHqD selects for all "
    "preferences together.",
)
