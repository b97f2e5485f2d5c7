"""Rewards-in-Context: one model that is told which scores to aim at."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import polars as pl
from numpy.typing import ArrayLike, NDArray

from paretohqd.compare.methods._ranking import center_and_spread, standardised
from paretohqd.compare.methods._sft import fine_tune
from paretohqd.compare.policy import Policy
from paretohqd.compare.workbench import Workbench

Floats = NDArray[np.float64]

ROUND_SHARE = 0.15
"""Part of the training that each online round gets."""
MOST_ROUNDS = math.ceil(1 / ROUND_SHARE) - 1
"""So many rounds leave something for the offline training."""


def ric(
    bench: Workbench,
    *,
    rounds: int = 0,
    steps: int | None = None,
    quantile: float = 0.7,
    low: float = 0.02,
    high: float = 0.98,
) -> list[Policy]:
    """Fine-tune on all rows with their scores before the prompt; then ask for the scores of w.

    Source: Yang et al., "Rewards-in-Context" (arXiv 2402.10207). Exact: standardised scores with
    one decimal as text, the l2 rule from w to targets, online rounds that keep what is at or above
    a quantile in any reward. Ours: the scores stand in the system message, so that the user's text
    stays as it is; the targets' range is given by quantiles of the training scores (the original's
    by extremes of normal samples); targets of online rounds come from random preferences; far fewer
    steps than the original's 20,000.

    Args:
        bench: what all methods work with.
        rounds: online rounds after the offline training.
        steps: usual offline steps; as many as all preferences' models have if not given.
        quantile: of the pool's rewards that an online row must reach in one of them.
        low: quantile of the scores that a weight of 0 asks for; the l2 rule asks for the worst of
            the other objectives at a corner.
        high: quantile that the whole weight asks for.
    """
    if not 0 <= rounds <= MOST_ROUNDS:
        share = f"{ROUND_SHARE:.0%} of the training"
        raise ValueError(f"rounds={rounds}: each takes {share}, so there can be 0 to {MOST_ROUNDS}")
    frame = bench.scored()
    mean, deviation = center_and_spread(frame, bench.names)
    reached = standardised(frame, bench.names, mean, deviation)
    ends = np.quantile(reached, [low, high], axis=0)
    bench.notes["targets"] = {
        name: {"mean": m, "deviation": d, "low": a, "high": b}
        for name, m, d, a, b in zip(
            bench.names, *(x.tolist() for x in (mean, deviation, *ends)), strict=True
        )
    }
    rows = _told(frame, bench.names, reached)
    usual = steps or len(bench.weights) * bench.train_settings()["max_steps"]
    adapter = fine_tune(
        bench,
        rows,
        label="scores in context",
        per="once",
        share=1 - rounds * ROUND_SHARE,
        steps=usual,
    ).adapter
    floor = np.quantile(reached, quantile, axis=0)
    good = rows.filter(np.any(reached >= floor, axis=1))
    for turn in range(rounds):
        policy = Policy(adapters=((adapter, 1.0),))
        rng = np.random.default_rng([bench.seed, 6, turn])
        prompts = bench.prompts_to_answer()
        asked = rng.dirichlet(np.ones(len(bench.names)), len(prompts))
        told = [scores_text(bench.names, targets(w, *ends)) for w in asked]
        answers = bench.sample(
            policy,
            prompts.with_columns(system_prompt=pl.Series(told)),
            label=f"round {turn + 1}",
            per="once",
            seed=bench.seed + 201 + turn,
            rounds=rounds - turn,
        )
        new = standardised(answers, bench.names, mean, deviation)
        kept = np.any(new >= floor, axis=1)
        bench.notes[f"round {turn + 1}"] = {"answers": len(answers), "kept": int(kept.sum())}
        fresh = _told(answers, bench.names, new).filter(kept)
        old = good[rng.permutation(len(good))[: len(fresh)]]
        adapter = fine_tune(
            bench,
            pl.concat([fresh, old]),
            label=f"round {turn + 1}",
            per="once",
            share=ROUND_SHARE,
            stage=2,
            steps=max(1, round(ROUND_SHARE * usual)),
            start_from=adapter,
        ).adapter
    return [
        Policy(
            weights=weights,
            adapters=((adapter, 1.0),),
            system_prompt=scores_text(bench.names, targets(weights, *ends)),
        )
        for weights in bench.preferences
    ]


def targets(weights: ArrayLike, low: ArrayLike, high: ArrayLike) -> Floats:
    """Scores to ask for at a preference: low + w / |w| (high - low), |w| the Euclidean length.

    Example:
        >>> targets([1.0, 0.0], [-2.0, -2.0], [2.0, 2.0]).tolist()
        [2.0, -2.0]
    """
    w, a, b = (np.asarray(x, dtype=np.float64) for x in (weights, low, high))
    return a + w / np.linalg.norm(w) * (b - a)


def scores_text(names: Sequence[str], values: ArrayLike) -> str:
    """Scores as the model reads them, with one decimal and no negative zero.

    Example:
        >>> scores_text(["help", "safe"], [0.71, -0.04])
        '<help> 0.7 <safe> 0.0'
    """
    rounded = np.round(np.asarray(values, dtype=np.float64), 1) + 0.0
    return " ".join(f"<{name}> {value:.1f}" for name, value in zip(names, rounded, strict=True))


def _told(frame: pl.DataFrame, names: Sequence[str], reached: Floats) -> pl.DataFrame:
    """Rows with their own scores before the prompt."""
    system_prompt = pl.Series(
        "system_prompt", [scores_text(names, row) for row in reached], dtype=pl.String
    )
    return frame.select("prompt", "response", system_prompt)
