"""MOPO: the heaviest objective as far as the others keep a floor, by weighted behaviour cloning."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
import polars as pl

from paretohqd.compare.method import Method, MethodOptions, Positive, Share, Steps
from paretohqd.compare.methods._dual import Floats, Weighed, weighed
from paretohqd.compare.methods._groups import answer_groups
from paretohqd.compare.methods._sft import fine_tune
from paretohqd.compare.policy import Policy
from paretohqd.compare.workbench import Workbench
from paretohqd.selection.pairs import main_objective, win_rates
from paretohqd.selection.preferences import format_weights


@dataclass(frozen=True, kw_only=True)
class Options(MethodOptions):
    """The options of `mopo`."""

    tau: Positive = 0.08
    """What the divergence from the answers at hand costs, in win rates."""
    reach: Share = 1.0
    """Of what each other objective could gain alone, the part that a weight of 1 would ask for."""
    steps: Steps | None = None
    """Usual steps of a model, where they are not the settings' own."""
    learning_rate: Positive | None = None
    """In place of the settings' own."""


def policies(bench: Workbench, options: Options) -> list[Policy]:
    """One model per preference, fine-tuned on answers drawn in proportion to their weights.

    Raises:
        ValueError: Floors that no weighing of the answers reaches together.
    """
    frame, names = answer_groups(bench), bench.names
    rates = win_rates(frame, names)
    best = _best_rates(frame, rates)

    def constrained(weights: Sequence[float]) -> tuple[int, list[int], Floats, Weighed]:
        """Its heaviest objective, the others, their floors and the answers weighed."""
        main = main_objective(weights)
        floors = 0.5 + options.reach * np.asarray(weights) * (best - 0.5)
        others = [m for m in range(len(names)) if m != main and weights[m] > 0]
        found = weighed(
            rates[:, main],
            rates[:, others],
            floors[others],
            tau=options.tau,
            starts=np.zeros(1, dtype=np.int64),
            names=[names[m] for m in others],
            about=f"preference {format_weights(weights)}",
        )
        return main, others, floors[others], found

    made = []
    # All before the first training: what one asks for may be out of reach.
    problems = [constrained(weights) for weights in bench.preferences]
    for number, weights in enumerate(bench.preferences):
        main, others, floors, found = problems[number]
        bench.notes.setdefault("constraints", []).append(
            {
                "main": names[main],
                "floors": dict(zip((names[m] for m in others), floors, strict=True)),
                "multipliers": found.multipliers.tolist(),
                "slack": found.slack.tolist(),
                "effective answers": float(1 / np.square(found.weights).sum()),
            }
        )
        rows = bench.table(
            "select",
            partial(_drawn, frame, found, bench.settings.selection.k, bench.seed),
            frame,
            per="preference",
            rank="mopo",
            weights=weights,
            k=bench.settings.selection.k,
            seed=bench.seed,
            tau=options.tau,
            reach=options.reach,
        )
        tuned = fine_tune(
            bench,
            rows,
            label=f"mopo {number}",
            per="preference",
            share=1 / len(bench.weights),
            steps=options.steps,
            rate=options.learning_rate,
        )
        made.append(Policy(weights=weights, adapters=((tuned.adapter, 1.0),)))
    return made


def _best_rates(frame: pl.DataFrame, rates: Floats) -> Floats:
    """(M,) the mean win rate in each objective of every prompt's best answer in it."""
    table = pl.DataFrame(rates).with_columns(frame["prompt"])
    return np.asarray(table.group_by("prompt").max().drop("prompt").mean().to_numpy()[0])


def _drawn(frame: pl.DataFrame, found: Weighed, k: int, seed: int) -> pl.DataFrame:
    """k rows in proportion to their weights: each as often as its share of k, up or down to a whole
    number (systematic sampling), in random order."""
    rng = np.random.default_rng([seed, 17])
    ends = np.cumsum(found.weights)
    places = np.searchsorted(ends / ends[-1], (np.arange(k) + rng.random()) / k, side="right")
    return frame[rng.permutation(places)]


METHOD = Method(
    run=policies,
    options=Options,
    family="sft",
    reconstructed=True,
    about="The heaviest objective is raised as far as each other one keeps its floor: answers are "
    "weighed by the dual's solution and imitated.",
    source='"MOPO" (arXiv 2505.10892), from notes on its text; no code was found.',
    exact="the weights exp((p + lambda . q) / tau) of an answer that wins with rates p in the main "
    "objective and q in the others, lambda >= 0 from the dual of E[q_k] >= b_k, tau .08, and "
    "behaviour cloning by these weights.",
    ours="w, which the paper does not have: the heaviest objective is the main one, the floor of "
    "another of weight w_k is w_k of the way from .5 to the win rate of each prompt's best answer "
    "in it, and objectives of weight 0 have none; win rates among the answers to one prompt by "
    "their scores; cloning by rows drawn in proportion to their weights; no lagged reference, "
    "whose renewals need long runs, and no robust bound.",
)
