"""UC-MOA: one model that reads by which utility its answer should be best."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import polars as pl
from numpy.typing import NDArray

from paretohqd.compare.method import Count, Method, MethodOptions, Steps
from paretohqd.compare.methods._sft import fine_tune
from paretohqd.compare.policy import Policy
from paretohqd.compare.workbench import Workbench
from paretohqd.kernels.rays import preference_grid

Floats = NDArray[np.float64]

KINDS: dict[str, Callable[[Floats, Floats], Floats]] = {
    "sum": lambda box, w: box @ w,
    "tchebycheff": lambda box, w: -(w * (1 - box)).max(axis=1),
    # The harmonic mean, which asks for balance, kept from dividing by zero at the box's edge.
    "harmonic": lambda box, w: 1 / (w / (box + 0.05)).sum(axis=1),
    "square": lambda box, w: np.sqrt((w * box**2).sum(axis=1)),
}
"""Increasing utilities of rewards in the unit box."""


@dataclass(frozen=True, kw_only=True)
class Options(MethodOptions):
    """The options of `ucmoa`."""

    divisions: Count | None = None
    """Divisions of the lattice of weights; 10 for two objectives and 3 for more if not given."""
    steps: Steps | None = None
    """Usual steps; as many as all preferences' models have if not given."""


def policies(bench: Workbench, options: Options) -> list[Policy]:
    """One model that reads a token: that of the utility by which an answer should be best."""
    frame = bench.scored()
    scores = frame.select(bench.names).to_numpy().astype(np.float64)
    low, high = np.quantile(scores, [0.02, 0.98], axis=0)
    box = np.clip((scores - low) / np.where(high > low, high - low, 1.0), 0.0, 1.0)
    divisions = options.divisions or (10 if len(bench.names) == 2 else 3)
    lattice = preference_grid(len(bench.names), divisions)
    tokens = [(kind, number) for kind in KINDS for number in range(len(lattice))]
    best = ranked_highest(box, [(KINDS[kind], lattice[number]) for kind, number in tokens])
    names = [f"<utility_{kind}_{number}>" for kind, number in tokens]
    rows = frame.select("prompt", "response").with_columns(
        system_prompt=pl.Series([names[token] for token in best], dtype=pl.String)
    )
    usual = options.steps or len(bench.weights) * bench.train_settings()["max_steps"]
    tuned = fine_tune(bench, rows, label="utility tokens", per="once", share=1.0, steps=usual)
    # Tokens that the training did not come to mean nothing: it may be shorter than the rows.
    seen = dict(tuned.rows["system_prompt"].value_counts().iter_rows())
    count = np.array([seen.get(name, 0) for name in names])
    bench.notes["utilities"] = {"tokens": len(tokens), "trained": int((count > 0).sum())}
    at = np.array([lattice[number] for _, number in tokens])
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


def ranked_highest(
    box: Floats, utilities: list[tuple[Callable[[Floats, Floats], Floats], Floats]]
) -> NDArray[np.int64]:
    """(n,) number of the utility by which each row has the highest percentile; ties: the first.

    Example:
        >>> box = np.array([[1.0, 0.0], [0.0, 1.0], [0.5, 0.5]])
        >>> corners = [(KINDS["sum"], np.array(w)) for w in ([1.0, 0.0], [0.0, 1.0])]
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
    exact="a library of increasing utilities, a token per utility, the choice by percentile.",
    ours="the library (weighted sums, Tchebycheff functions and two power means at the weights of "
    "a lattice, on rewards scaled to the unit box by their 2 % and 98 % quantiles), the token's "
    "place in the system message, and at use the token of the nearest weights that was trained, of "
    "equally near ones the most often.",
)
