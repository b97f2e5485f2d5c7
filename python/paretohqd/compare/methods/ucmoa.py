"""UC-MOA: one model that reads by which utility its answer should be best."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import polars as pl
from numpy.typing import NDArray

from paretohqd.compare.method import Count, Method, MethodOptions, Positive, Steps
from paretohqd.compare.methods._sft import fine_tune
from paretohqd.compare.policy import Policy
from paretohqd.compare.workbench import Workbench
from paretohqd.kernels.rays import preference_grid

Floats = NDArray[np.float64]

SHARPNESS = 20.0
"""How near the smooth Tchebycheff function is to the largest shortfall."""

LEAST_WEIGHT = 0.01
"""What a weight of 0 counts: a utility that is flat in an objective is not strictly increasing."""

KINDS: dict[str, Callable[[Floats, Floats], Floats]] = {
    "tchebycheff": lambda box, w: -_log_sum_exp(SHARPNESS * w * (1 - box)) / SHARPNESS,
    # The harmonic mean, which asks for balance.
    "harmonic": lambda box, w: 1 / (w / box).sum(axis=1),
    "square": lambda box, w: np.sqrt((w * box**2).sum(axis=1)),
}
"""Utilities of rewards above 0 and below 1 that are strictly increasing in each and not linear, as
the paper's theorem asks, for weights above 0."""


@dataclass(frozen=True, kw_only=True)
class Options(MethodOptions):
    """The options of `ucmoa`."""

    divisions: Count | None = None
    """Divisions of the lattice of weights; 10 for two objectives and 3 for more if not given."""
    steps: Steps | None = None
    """Usual steps; as many as all preferences' models have if not given."""
    learning_rate: Positive | None = None
    """In place of the settings' own."""


def policies(bench: Workbench, options: Options) -> list[Policy]:
    """One model that reads a token: that of the utility by which an answer should be best."""
    frame = bench.scored()
    scores = frame.select(bench.names).to_numpy().astype(np.float64)
    box = squashed(scores)
    divisions = options.divisions or (10 if len(bench.names) == 2 else 3)
    lattice = preference_grid(len(bench.names), divisions)
    tokens = [(kind, number) for kind in KINDS for number in range(len(lattice))]
    at = np.array([lattice[number] for _, number in tokens])
    counted = np.maximum(at, LEAST_WEIGHT)
    best = ranked_highest(
        box, [(KINDS[kind], w) for (kind, _), w in zip(tokens, counted, strict=True)]
    )
    names = [f"<utility_{kind}_{number}>" for kind, number in tokens]
    rows = frame.select("prompt", "response").with_columns(
        system_prompt=pl.Series([names[token] for token in best], dtype=pl.String)
    )
    usual = options.steps or len(bench.weights) * bench.train_settings()["max_steps"]
    tuned = fine_tune(
        bench,
        rows,
        label="utility tokens",
        per="once",
        share=1.0,
        steps=usual,
        rate=options.learning_rate,
    )
    # Tokens that the training did not come to mean nothing: it may be shorter than the rows.
    seen = dict(tuned.rows["system_prompt"].value_counts().iter_rows())
    count = np.array([seen.get(name, 0) for name in names])
    bench.notes["utilities"] = {"tokens": len(tokens), "trained": int((count > 0).sum())}
    made = []
    for weights in bench.preferences:
        distance = np.linalg.norm(at - np.array(weights), axis=1)
        # Among equally near ones, the one that was trained most often wins.
        distance[count == 0] = np.inf
        near = np.flatnonzero(distance <= distance.min() + 1e-9)
        token = int(near[count[near].argmax()])
        made.append(
            Policy(weights=weights, adapters=((tuned.adapter, 1.0),), system_prompt=names[token])
        )
    return made


def squashed(scores: Floats) -> Floats:
    """(n, M) scores between 0 and 1, in their order and without an edge.

    A logistic curve, .12 and .88 at an objective's 2 % and 98 % quantiles.

    Example:
        >>> squashed(np.linspace(0, 1, 101)[:, None])[[2, 50, 98]].ravel().round(2).tolist()
        [0.12, 0.5, 0.88]
    """
    low, high = np.quantile(scores, [0.02, 0.98], axis=0)
    part = (scores - low) / np.where(high > low, high - low, 1.0)
    return np.asarray(1 / (1 + np.exp(-4 * (part - 0.5))))


def _log_sum_exp(values: Floats) -> Floats:
    """(n,) log sum exp of each row."""
    top = values.max(axis=1)
    return np.asarray(top + np.log(np.exp(values - top[:, None]).sum(axis=1)))


def ranked_highest(
    box: Floats, utilities: list[tuple[Callable[[Floats, Floats], Floats], Floats]]
) -> NDArray[np.int64]:
    """(n,) number of the utility by which each row has the highest percentile; ties: the first.

    Example:
        >>> box = np.array([[0.9, 0.1], [0.1, 0.9], [0.5, 0.5]])
        >>> corners = [(KINDS["square"], np.array(w)) for w in ([0.9, 0.1], [0.1, 0.9])]
        >>> ranked_highest(box, corners).tolist()
        [0, 1, 0]
    """
    ranks = []
    for utility, weights in utilities:
        value = np.round(utility(box, weights), 12)
        # Rows that are equally good share the rank of the last of them.
        ranks.append(np.searchsorted(np.sort(value), value, side="right"))
    highest: NDArray[np.int64] = np.argmax(np.stack(ranks), axis=0)
    return highest


METHOD = Method(
    run=policies,
    options=Options,
    family="in-context",
    reconstructed=True,
    about="Fine-tune on all rows, each with the token of the utility that ranks it highest.",
    source='Cheng et al., "UC-MOA: Utility-Conditioned Multi-Objective Alignment for '
    'Distributional Pareto-Optimality" (arXiv 2503.10669), reconstructed from its abstract.',
    exact="a library of strictly increasing utilities that are not linear, a token per utility, "
    "the choice by percentile.",
    ours="the library (smooth Tchebycheff functions and two power means at the weights of a "
    "lattice, of which none is less than .01, on rewards squashed between 0 and 1 by their 2 % and "
    "98 % quantiles), offline training alone, the token's place in the system message, and at use "
    "the token of the nearest weights that was trained, of equally near ones the most often.",
)
