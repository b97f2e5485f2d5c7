"""Rewards-in-Context: one model that reads which scores to aim at."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated

import numpy as np
import polars as pl
from numpy.typing import ArrayLike, NDArray

from paretohqd.compare.method import Amount, Method, MethodOptions, Positive, Range, Share, Steps
from paretohqd.compare.methods._constants import center_and_spread, standardised
from paretohqd.compare.methods._sft import fine_tune
from paretohqd.compare.policy import Policy
from paretohqd.compare.sampling import sample
from paretohqd.compare.workbench import Workbench

Floats = NDArray[np.float64]

ROUND_SHARE = 0.15
"""Part of the training that each online round gets."""
MOST_ROUNDS = math.ceil(1 / ROUND_SHARE) - 1
"""More rounds would leave nothing for the offline training."""


@dataclass(frozen=True, kw_only=True)
class Options(MethodOptions):
    """The options of `ric`."""

    rounds: Annotated[int, Range(0, MOST_ROUNDS)] = 0
    """Online rounds after the offline training."""
    steps: Steps | None = None
    """Usual offline steps; as many as all preferences' models have if not given."""
    learning_rate: Positive | None = None
    """Of the offline training, in place of the settings' own."""
    quantile: Share = 0.7
    """Quantile that a row of a round must reach in one reward: of what was sampled a sampled one,
    of the pool's rows one of these."""
    offline: Amount = 0.5
    """Rows of the pool for each sampled one in a round, as 10,000 to 20,000."""
    low: Share = 0.02
    """Quantile of the scores that a weight of 0 asks for; the l2 rule asks for the worst of the
    other objectives at a corner."""
    high: Share = 0.98
    """Quantile that the whole weight asks for."""

    def __post_init__(self) -> None:
        """Refuse quantiles that are out of order.

        Raises:
            ValueError: `low` is not below `high`, or a number is out of range.
        """
        super().__post_init__()
        if not self.low < self.high:
            raise ValueError(f"low must be below high, got {self.low} and {self.high}")


def policies(bench: Workbench, options: Options) -> list[Policy]:
    """One model that reads the scores to aim at: those of w by the l2 rule."""
    frame = bench.scored()
    mean, deviation = center_and_spread(frame, bench.names)
    reached = standardised(frame, bench.names, mean, deviation)
    ends = np.quantile(reached, [options.low, options.high], axis=0)
    bench.notes["targets"] = {
        name: {"mean": m, "deviation": d, "low": a, "high": b}
        for name, m, d, a, b in zip(
            bench.names, *(x.tolist() for x in (mean, deviation, *ends)), strict=True
        )
    }
    rows = _with_scores(frame, bench.names, reached)
    usual = options.steps or len(bench.weights) * bench.train_settings()["max_steps"]
    adapter = fine_tune(
        bench,
        rows,
        label="scores in context",
        per="once",
        share=1 - options.rounds * ROUND_SHARE,
        steps=usual,
        rate=options.learning_rate,
    ).adapter
    if not options.rounds:
        bench.notes["form"] = "RiC, offline: no online rounds"
    good = rows.filter(_good(reached, options.quantile))
    for turn in range(options.rounds):
        policy = Policy(adapters=((adapter, 1.0),))
        rng = np.random.default_rng([bench.seed, 6, turn])
        prompts = bench.prompts_to_answer()
        texts = [scores_text(bench.names, goal) for goal in goals(rng, len(prompts), *ends)]
        answers = sample(
            bench,
            policy,
            prompts.with_columns(system_prompt=pl.Series(texts)),
            label=f"round {turn + 1}",
            per="once",
            seed=bench.seed + 201 + turn,
            rounds=options.rounds - turn,
        )
        new = standardised(answers, bench.names, mean, deviation)
        kept = _good(new, options.quantile)
        bench.notes[f"round {turn + 1}"] = {"answers": len(answers), "kept": int(kept.sum())}
        fresh = _with_scores(answers, bench.names, new).filter(kept)
        old = good[rng.permutation(len(good))[: round(options.offline * len(fresh))]]
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


def goals(rng: np.random.Generator, count: int, low: ArrayLike, high: ArrayLike) -> Floats:
    """(count, M) scores to ask for in a round: all at their best but one, which is drawn.

    Each score is drawn evenly between its ends, and all but the lowest, as a part of its range, are
    then set to the best: what is asked for lies where nothing can be raised any more.

    Example:
        >>> drawn = goals(np.random.default_rng(0), 3, [-2.0, -2.0], [2.0, 2.0])
        >>> (drawn == 2).sum(axis=1).tolist()
        [1, 1, 1]
    """
    a, b = (np.asarray(x, dtype=np.float64) for x in (low, high))
    part = rng.random((count, len(a)))
    part[part > part.min(axis=1, keepdims=True)] = 1
    return np.asarray(a + part * (b - a))


def _good(reached: Floats, quantile: float) -> NDArray[np.bool_]:
    """Which rows reach this quantile of all of them in some reward, and are not its worst.

    Of a rule that few rows keep the quantile is 0, which most rows reach.

    Example:
        >>> _good(np.array([[0.0, 1.0], [0.0, 2.0], [0.0, 3.0], [1.0, 1.0]]), 0.7).tolist()
        [False, False, True, True]
    """
    ends = np.quantile(reached, quantile, axis=0)
    good: NDArray[np.bool_] = np.any((reached >= ends) & (reached > reached.min(axis=0)), axis=1)
    return good


def scores_text(names: Sequence[str], values: ArrayLike) -> str:
    """Scores as the model reads them, with one decimal and no negative zero.

    Example:
        >>> scores_text(["help", "safe"], [0.71, -0.04])
        '<help> 0.7 <safe> 0.0'
    """
    rounded = np.round(np.asarray(values, dtype=np.float64), 1) + 0.0
    return " ".join(f"<{name}> {value:.1f}" for name, value in zip(names, rounded, strict=True))


def _with_scores(frame: pl.DataFrame, names: Sequence[str], reached: Floats) -> pl.DataFrame:
    """Rows with their own scores before the prompt."""
    system_prompt = pl.Series(
        "system_prompt", [scores_text(names, row) for row in reached], dtype=pl.String
    )
    return frame.select("prompt", "response", system_prompt)


METHOD = Method(
    run=policies,
    options=Options,
    family="in-context",
    about="Fine-tune on all rows with their scores before the prompt; then ask for the scores of "
    "w.",
    source='Yang et al., "Rewards-in-Context" (arXiv 2402.10207).',
    exact="standardised scores with one decimal as text, the l2 rule from w to targets; online "
    "rounds that ask for the best in all rewards but one, keep what is at or above a quantile of "
    "what was sampled in any reward, and mix it with half as many rows of the pool, kept likewise.",
    ours="the scores stand in the system message, so that the user's text stays as it is; the "
    "targets' range is given by quantiles of the training scores (the original's by extremes of "
    "normal samples); without rounds, the default here, it is RiC's offline part alone (the paper "
    "has two rounds); far fewer steps than the original's 20,000, of which a round gets 15 %.",
)
