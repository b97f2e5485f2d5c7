"""RCS: DPO on the pairs that all objectives agree on; one model for every preference.

With `references: corners` DPO's reference is several models at once, weighted by w: MRPO's, which
makes a model for each preference.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import Literal

import polars as pl

from paretohqd.compare.method import Method, MethodOptions, Positive, Steps
from paretohqd.compare.methods._dpo import fit_paired, pair_settings
from paretohqd.compare.methods._groups import answer_groups
from paretohqd.compare.methods._references import mixed_gain, reference_gains
from paretohqd.compare.methods.soups import sft_corner
from paretohqd.compare.policy import Policy
from paretohqd.compare.workbench import Workbench
from paretohqd.selection.pairs import consistent_pairs, standardise
from paretohqd.trainers import dpo


@dataclass(frozen=True, kw_only=True)
class Options(MethodOptions):
    """The options of `rcs`."""

    gap: Literal["min", "sum"] = "min"
    """How the differences of a pair become one number."""
    beta: Positive = 0.1
    """How much a difference of log-probabilities counts."""
    steps: Steps | None = None
    """Usual steps; pairs.max_steps or else train.max_steps if not given."""
    learning_rate: Positive | None = None
    """In place of the settings' own; 1e-4 without any."""
    references: Literal["base", "corners"] = "base"
    """What DPO compares with: the base, or the corner models of `soups` as one reference (MRPO),
    weighted by each preference."""


def policies(bench: Workbench, options: Options) -> list[Policy]:
    """One model for every preference; one for each where the reference depends on it."""
    frame, names = answer_groups(bench), bench.names
    bench.notes["constants"] = standardise(frame, names)[1]
    pairs = bench.table(
        "pairs",
        lambda: consistent_pairs(frame, names, gap=options.gap),
        frame,
        rule="consistent",
        gap=options.gap,
    )
    bench.notes["prompts with a consistent pair"] = len(pairs) / frame["prompt"].n_unique()
    train = partial(
        fit_paired,
        bench,
        beta=options.beta,
        steps=options.steps,
        learning_rate=options.learning_rate,
    )
    if options.references == "base":
        adapter = train(pairs, label="consistent pairs", per="once", share=1.0)
        return [Policy(adapters=((adapter, 1.0),))]
    # Corners and models alike get the steps of one.
    share = 1 / (len(names) + len(bench.weights))
    corners = [sft_corner(bench, name, k=None, share=share, steps=options.steps) for name in names]
    gains = reference_gains(bench, pairs, corners, longest=pair_settings(bench)["max_length"])
    made = []
    for weights in bench.preferences:
        moved = pl.Series(dpo.MARGIN, options.beta * mixed_gain(gains, weights))
        adapter = train(
            pairs.with_columns(moved),
            label="w = " + ", ".join(f"{w:.3g}" for w in weights),
            per="preference",
            share=share,
        )
        made.append(Policy(weights=weights, adapters=((adapter, 1.0),)))
    return made


METHOD = Method(
    run=policies,
    options=Options,
    family="pairs",
    reconstructed=True,
    about="One model on pairs whose winner is better in every objective: one point, no preference.",
    source='Xu et al., "Reward Consistency: Improving Multi-Objective Alignment from a '
    'Data-Centric Perspective" (arXiv 2504.11337), from its abstract and a summary.',
    exact="several answers per prompt, pairs whose winner is better in every objective, of each "
    "prompt the one of the largest gap, and DPO (arXiv 2305.18290) on them.",
    ours='the gap is the smallest difference among the standardised objectives ("sum" adds them '
    "up), for the method's own is not known here. Where the data have one answer per prompt the "
    "answers are sampled from the base. `references: corners` is an ablation after MRPO (arXiv "
    "2405.16388): 1 / reference is the sum of alpha_k / reference_k, here with soups' corners for "
    "references and w for alpha, where MRPO has one objective, two references and an alpha from "
    "the pairs' labels, and clips the second reference.",
)
