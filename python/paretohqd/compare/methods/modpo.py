"""MODPO: DPO on one objective's preferences, the other rewards as a margin, per preference."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial

import polars as pl

from paretohqd.compare.method import Amount, Method, MethodOptions, Positive, Steps
from paretohqd.compare.methods._dpo import fit_paired
from paretohqd.compare.methods._groups import answer_groups
from paretohqd.compare.policy import Policy
from paretohqd.compare.workbench import Workbench
from paretohqd.selection.pairs import main_objective, objective_pairs, standardise
from paretohqd.trainers import dpo

RATE = 5e-4
"""The official code's learning rate."""


@dataclass(frozen=True, kw_only=True)
class Options(MethodOptions):
    """The options of `modpo`."""

    beta: Positive = 0.1
    """How much a difference of log-probabilities counts."""
    margin: Amount = 1.0
    """What the margin is multiplied by: with 1 and a beta of .1 equal weights ask for five nats
    per deviation, which short trainings do not come near."""
    steps: Steps | None = None
    """Usual steps of a model; pairs.max_steps or else train.max_steps if not given."""
    learning_rate: Positive | None = None
    """In place of the settings' own; without any 5e-4, the official code's."""


def policies(bench: Workbench, options: Options) -> list[Policy]:
    """One model per preference, trained on pairs of its main objective.

    The loss is -log sigmoid((beta (dc - dr) - w_rest . (r_rest(chosen) - r_rest(rejected))) /
    w_main), dc and dr the log-ratios of policy and base.
    """
    frame, names = answer_groups(bench), bench.names
    bench.notes["constants"] = standardise(frame, names)[1]
    bench.notes["main objectives"] = [names[main_objective(w)] for w in bench.preferences]
    rate = options.learning_rate or bench.settings.pairs.get("learning_rate", RATE)
    made = []
    for number, weights in enumerate(bench.preferences):
        pairs = bench.table(
            "pairs",
            partial(objective_pairs, frame, names, weights=weights),
            frame,
            per="preference",
            rule="objective",
            weights=weights,
        )
        adapter = fit_paired(
            bench,
            pairs.with_columns(pl.col(dpo.MARGIN) * options.margin),
            label=f"modpo {number}",
            per="preference",
            share=1 / len(bench.weights),
            beta=options.beta,
            weight=max(weights),
            steps=options.steps,
            learning_rate=rate,
        )
        made.append(Policy(weights=weights, adapters=((adapter, 1.0),)))
    return made


METHOD = Method(
    run=policies,
    options=Options,
    family="pairs",
    about="One model per preference on pairs, with a margin of the other objectives' rewards.",
    source='Zhou et al., "Beyond One-Preference-Fits-All Alignment: Multi-Objective Direct '
    'Preference Optimization" (arXiv 2310.03708).',
    exact="the loss -log sigmoid((beta (dc - dr) - w_rest . (r_rest(chosen) - r_rest(rejected))) / "
    "w_main), dc and dr the log-ratios of policy and base; one training per preference, at the "
    "official code's learning rate.",
    ours="the pairs are each prompt's best and worst answer in the main objective (the paper has "
    "human preferences and trains margin models); the rewards are the scorers', standardised over "
    "these answers; the main objective is the heaviest one, the first of equal ones, so its weight "
    "is at least 1/M, and where it switches the pairs change too. Where the data have one answer "
    "per prompt the pairs are sampled from the base.",
)
