"""CAID: the heaviest objective under constraints on the others, by DPO on pseudo-preferences."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Annotated

import numpy as np
import polars as pl

from paretohqd.compare.method import Method, MethodOptions, Positive, Range, Share, Steps
from paretohqd.compare.methods._constants import standardised
from paretohqd.compare.methods._dpo import fit_paired
from paretohqd.compare.methods._dual import Floats, weighed
from paretohqd.compare.methods._groups import answer_groups
from paretohqd.compare.policy import Policy
from paretohqd.compare.sampling import sample
from paretohqd.compare.workbench import Workbench
from paretohqd.selection.pairs import extreme_pairs, main_objective, standardise
from paretohqd.selection.preferences import format_weights

ANSWERS = 4
"""Answers per prompt of a round where `sample_pairs` is 0."""


@dataclass(frozen=True, kw_only=True)
class Options(MethodOptions):
    """The options of `caid`."""

    beta: Positive = 0.1
    """What the divergence from the base costs, of the dual and of the loss."""
    reach: Share = 1.0
    """Of what each other objective could gain alone, the part that a weight of 1 would ask for."""
    rounds: Annotated[int, Range(0, 8)] = 1
    """How often the model's own answers are measured, and it is trained again on those."""
    pace: Positive = 1.0
    """How far a multiplier moves for what its constraint lacks in a round."""
    steps: Steps | None = None
    """Usual steps of each training; pairs.max_steps or else train.max_steps if not given."""
    learning_rate: Positive | None = None
    """In place of the settings' own; 1e-4 without any."""


def policies(bench: Workbench, options: Options) -> list[Policy]:
    """One model per preference, the last of as many as there are rounds and one more.

    Raises:
        ValueError: Constraints that no weighing of the answers meets together.
    """
    names, count = bench.names, len(bench.weights)
    frame = answer_groups(bench, rounds=1 + count * options.rounds)
    # Prompt by prompt: the dual goes by groups.
    frame = frame.sort("prompt", maintain_order=True)
    z, constants = standardise(frame, names)
    bench.notes["constants"] = constants
    mean, deviation = (
        np.array([constants[name][what] for name in names]) for what in ("mean", "deviation")
    )
    # Gains are over the base's mean of prompts, each of which counts once.
    usual = z.group_by("prompt").agg(pl.col(names).mean()).select(names).mean().to_numpy()[0]
    mean = mean + usual * deviation
    scores = z.select(names).to_numpy() - usual
    gains = _gains(z, names) - usual
    starts = (frame["prompt"] != frame["prompt"].shift()).fill_null(True).arg_true().to_numpy()

    def constrained(weights: Sequence[float]) -> tuple[int, list[int], Floats, Floats]:
        """Its heaviest objective, the others, what is asked of them and the first multipliers."""
        main = main_objective(weights)
        others = [m for m in range(len(names)) if m != main and weights[m] > 0]
        asked = options.reach * np.asarray(weights)[others] * gains[others]
        found = weighed(
            scores[:, main],
            scores[:, others],
            asked,
            tau=options.beta,
            starts=starts.astype(np.int64),
            names=[names[m] for m in others],
            about=f"preference {format_weights(weights)}",
        )
        return main, others, asked, found.multipliers

    made = []
    # All before the first training: what one asks for may be out of reach.
    problems = [constrained(weights) for weights in bench.preferences]
    for number, weights in enumerate(bench.preferences):
        main, others, asked, multipliers = problems[number]
        history = [{"multipliers": multipliers.tolist(), "gains": None}]
        answers = frame
        for turn in range(options.rounds + 1):
            combined = _combined(multipliers, main, others, len(names))
            adapter = fit_paired(
                bench,
                bench.table(
                    "pairs",
                    partial(
                        extreme_pairs,
                        answers,
                        standardised(answers, names, mean, deviation) @ combined,
                    ),
                    answers,
                    per="preference",
                    rule="combined",
                    combined=combined.tolist(),
                    constants=constants,
                ),
                label=f"caid {number}, round {turn}",
                per="preference",
                share=1 / count / (options.rounds + 1),
                beta=options.beta,
                steps=options.steps,
                learning_rate=options.learning_rate,
            )
            policy = Policy(
                weights=weights,
                adapters=((adapter, 1.0),),
                least=tuple(
                    (names[m], float(mean[m] + gain * deviation[m]))
                    for m, gain in zip(others, asked, strict=True)
                ),
            )
            if turn == options.rounds:
                break
            answers = sample(
                bench,
                policy,
                bench.prompts_to_answer(),
                label=f"caid {number}, round {turn + 1}",
                per="preference",
                seed=bench.seed + 401 + turn,
                samples=bench.settings.sample_pairs or ANSWERS,
                rounds=(count - number) * options.rounds - turn,
            )
            gained = standardised(answers, names, mean, deviation).mean(axis=0)[others]
            multipliers = np.maximum(0, multipliers - options.pace * (gained - asked))
            history.append({"multipliers": multipliers.tolist(), "gains": gained.tolist()})
        bench.notes.setdefault("constraints", []).append(
            {
                "main": names[main],
                "gains asked": dict(zip((names[m] for m in others), asked, strict=True)),
                "rounds": history,
            }
        )
        made.append(policy)
    return made


def _gains(z: pl.DataFrame, names: list[str]) -> Floats:
    """(M,) how far each prompt's best answer in an objective is above the mean, on average."""
    best = z.group_by("prompt").agg(pl.col(names).max()).select(pl.col(names).mean())
    return np.asarray(best.to_numpy()[0])


def _combined(multipliers: Floats, main: int, others: list[int], count: int) -> Floats:
    """(M,) what each objective counts in r + lambda . g."""
    weights = np.zeros(count)
    weights[main] = 1
    weights[others] = multipliers
    return weights


METHOD = Method(
    run=policies,
    options=Options,
    family="pairs",
    reconstructed=True,
    about="The heaviest objective under a constraint on each other one: DPO on pairs ordered by "
    "r + lambda . g, lambda renewed on the model's own answers.",
    source='"Alignment of large language models with constrained learning" (CAID, arXiv '
    "2505.19387), from notes on its text; no code was found.",
    exact="the first lambda >= 0 from the dual of E[r] - beta KL under E_pi g_k - E_ref g_k >= "
    "b_k, DPO on pseudo-preferences by r + lambda . g, and lambda less a step along what the "
    "model's answers have above b_k, not below 0, in each round.",
    ours="w, which the paper does not have: the heaviest objective is r, another of weight w_k is "
    "asked for w_k of what each prompt's best answer in it has above the mean, and one of weight 0 "
    "for nothing; scores standardised over these answers; pairs of each prompt's best and worst "
    "answer; each round's adapter trained from the base; E_ref is of the answers at hand, which "
    "are the base's only where they were sampled from it. Few answers per prompt make the dual "
    "hopeful: what it reaches is held against the held-out answers in the notes.",
)
