"""MODPO: DPO on one objective's preferences, the other rewards as a margin, per preference."""

from __future__ import annotations

from functools import partial

from paretohqd.compare.methods._dpo import fit_paired
from paretohqd.compare.methods._groups import answer_groups
from paretohqd.compare.policy import Policy
from paretohqd.compare.workbench import Workbench
from paretohqd.selection.pairs import main_objective, objective_pairs, standardise


def modpo(
    bench: Workbench,
    *,
    beta: float = 0.1,
    steps: int | None = None,
    learning_rate: float | None = None,
) -> list[Policy]:
    """One model per preference on pairs, with a margin of the other objectives' rewards.

    Source: Zhou et al., "Beyond One-Preference-Fits-All Alignment: Multi-Objective Direct
    Preference Optimization" (arXiv 2310.03708). Exact: the loss -log sigmoid((beta (dc - dr) -
    w_rest . (r_rest(chosen) - r_rest(rejected))) / w_main), dc and dr the log-ratios of policy and
    base; one training per preference. Ours: the pairs are each prompt's best and worst answer in
    the main objective (the paper has human preferences and trains margin models); the rewards are
    the scorers', standardised over these answers; the main objective is the heaviest one, the
    first of equal ones, so its weight is at least 1/M, and where it switches the pairs change too.
    Where the data have one answer per prompt the pairs are sampled from the base.

    Args:
        bench: what all methods work with.
        beta: how much a difference of log-probabilities counts.
        steps: usual steps of a model; pairs.max_steps or else train.max_steps if not given.
        learning_rate: in place of the settings' own; 1e-4 without any.
    """
    frame, names = answer_groups(bench), bench.names
    bench.notes["constants"] = standardise(frame, names)[1]
    bench.notes["main objectives"] = [names[main_objective(w)] for w in bench.preferences]
    policies = []
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
            pairs,
            label=f"modpo {number}",
            per="preference",
            share=1 / len(bench.weights),
            beta=beta,
            weight=max(weights),
            steps=steps,
            learning_rate=learning_rate,
        )
        policies.append(Policy(weights=weights, adapters=((adapter, 1.0),)))
    return policies
