"""How good each method of a comparison is: utility, hypervolume and what they hide.

A *run* is one method with one seed under one budget; its policies' mean rewards on the held-out
prompts are its points. Every number here comes from the answers themselves, so it can be worked out
again from a finished comparison.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import polars as pl

from paretohqd.compare.bootstrap import Floats, interval, prompt_shares, volumes
from paretohqd.compare.echoes import adjusted
from paretohqd.compare.measures import ComparisonResult, Point, RunResult
from paretohqd.compare.over_seeds import average, over_seeds
from paretohqd.compare.records import ComparisonRecord, RunRecord
from paretohqd.compare.serving import PerPrompt, per_prompt
from paretohqd.kernels import statistics
from paretohqd.kernels.hypervolume import hypervolume
from paretohqd.kernels.layers import pareto_front
from paretohqd.runs.utility import scaled
from paretohqd.runs.verdicts import mean_and_error

REPLICATES = 2000
"""Draws of the bootstrap by default."""
TEXT = ("short", "repetitive", "echo", "words", "tokens", "finished")


def measure_runs(
    runs: Sequence[RunRecord],
    answers: Mapping[str, pl.DataFrame],
    *,
    objectives: Sequence[str],
    preferences: Sequence[Sequence[float]],
    bounds: Mapping[str, Sequence[float]],
    reference: str,
    replicates: int = REPLICATES,
    seed: int = 0,
) -> ComparisonResult:
    """Measure every run, and every method over its seeds.

    Rewards are scaled by `bounds`, which the data fix before any training, so that no method moves
    the scale of another. *Utility* is the mean over the preferences of w . z, z being the scaled
    rewards of the policy that serves w (see `utility.serving`); beside it stand the measures of
    `serving`. Hypervolumes are of mean scaled
    rewards above 0. *Echo-adjusted*: an echoed answer counts in each objective with its own score
    or the base's on the same prompt, whichever is lower, so that a scorer that pays for echoes
    shows and no echo gains; where the base echoes as well its score is at most the scale's 0.

    The hypervolume of noisy means lies above that of the true ones, more so with more points; a
    run's interval (paired bootstrap over prompts, see `bootstrap`) allows for it. And a front of
    several points covers more than its best point does: compare `best_single`.

    Args:
        runs: One per budget, method and seed.
        answers: `answers` of each policy to its held-out answers: `prompt`, `response`, a column
            per objective, and `short`, `repetitive`, `echo`, `words`, `tokens`, `finished` and, if
            known, `entropy`. All answer the same prompts in the same order.
        objectives: Their names, larger is better.
        preferences: The weights w that are to be served.
        bounds: The rewards that are 0 and 1 on the scale, for each objective.
        reference: The method that every other is compared with, under the same budget; a run's
            `against` names another one.
        replicates: Draws of the bootstrap.
        seed: Seed of the bootstrap.

    Returns:
        The runs with what was measured, and one entry per budget and method. What cannot be known
        is None: of a failed run everything, with one prompt every interval, without a base what is
        measured against it.

    Raises:
        ValueError: Two runs are the same, a run that did not fail has no policy, answers are
            missing, lack a column, hold a score that is not finite, or answer other prompts.

    Example:
        >>> frame = pl.DataFrame({
        ...     "prompt": ["a", "b"], "x": [1.0, 3.0], "y": [0.0, 2.0], "words": [5, 7],
        ...     "tokens": [6, 8], **dict.fromkeys(["short", "repetitive", "echo"], [False, False]),
        ...     "finished": [True, True]})
        >>> run = RunRecord.of({
        ...     "method": "base", "kind": "base", "budget": "own", "seed": 0, "error": None,
        ...     "policies": [{"weights": None, "answers": "base"}]})
        >>> result = measure_runs(
        ...     [run], {"base": frame}, objectives=["x", "y"], preferences=[(1, 0), (0.5, 0.5)],
        ...     bounds={"x": (0, 4), "y": (0, 5)}, reference="a")
        >>> round(result.runs[0].utility, 3), round(result.runs[0].hypervolume, 3)
        (0.425, 0.1)
    """
    names = list(objectives)
    _check_runs(runs)
    scores, prompts = _scores([run for run in runs if not run.failed], answers, names)
    shares = prompt_shares(prompts, replicates, seed) if prompts > 1 else None
    scale = {name: bounds[name] for name in names}
    on_scale = {key: scaled(table, scale) for key, table in scores.items()}
    measured: list[RunResult] = []
    values: dict[int, PerPrompt] = {}
    for at, run in enumerate(runs):
        if run.failed:
            measured.append(_unmeasured(run))
            continue
        weights = [policy.weights for policy in run.policies]
        own = np.stack([on_scale[policy.answers] for policy in run.policies])
        without_echoes = adjusted(run, runs, on_scale, answers)
        values[at] = per_prompt(own, without_echoes, weights, preferences, run.chosen)
        points = own.mean(axis=1)
        volume = _volume(points)
        ends: tuple[float | None, float | None] = (None, None)
        if shares is not None:
            low, high = interval(volumes(np.tensordot(shares, own, axes=(1, 1))), volume)
            ends = max(0.0, low), high
        front = np.unique(points[pareto_front(points)], axis=0)
        measured.append(
            replace(
                _with_text(_unmeasured(run), answers, names),
                n=prompts,
                utility_se=mean_and_error(pl.Series(values[at].utility)).se,
                utility=float(values[at].utility.mean()),
                utility_adjusted=_mean_of(values[at].utility_adjusted),
                utility_tchebycheff=float(values[at].utility_tchebycheff.mean()),
                following=_mean_of(values[at].following),
                missteering=_mean_of(values[at].missteering),
                hypervolume=volume,
                hypervolume_low=ends[0],
                hypervolume_high=ends[1],
                echo_adjusted=None
                if without_echoes is None
                else _volume(without_echoes.mean(axis=1)),
                best_single=max(_volume(point[None]) for point in points),
                front=len(front),
                sparsity=statistics.sparsity(front),
            )
        )
    return ComparisonResult(
        objectives=tuple(names),
        prompts=prompts,
        bounds={name: tuple(ends) for name, ends in scale.items()},
        reference=reference,
        replicates=replicates,
        seed=seed,
        runs=tuple(measured),
        methods=over_seeds(measured, values, scores, objectives=names, reference=reference),
    )


def measure_record(
    record: ComparisonRecord, answers: Mapping[str, pl.DataFrame]
) -> ComparisonResult:
    """Measure a comparison as it was left, see `measure_runs`."""
    return measure_runs(
        record.runs,
        answers,
        objectives=record.objectives,
        preferences=record.preferences,
        bounds=record.bounds,
        reference=record.reference,
        seed=record.seed,
    )


def _check_runs(runs: Sequence[RunRecord]) -> None:
    """Refuse two that are the same, and one that neither failed nor has a policy."""
    seen = set()
    for run in runs:
        key = (run.budget, run.method, run.seed)
        if key in seen:
            raise ValueError(
                f"two runs are of method {run.method!r}, budget {run.budget!r}, seed {run.seed}: "
                "give one"
            )
        seen.add(key)
        if not run.failed and not run.policies:
            raise ValueError(
                f"{run.method}, budget {run.budget}, seed {run.seed} has no policy and no error: "
                "a run without policies says in `error` why"
            )


def _scores(
    runs: Sequence[RunRecord], answers: Mapping[str, pl.DataFrame], names: Sequence[str]
) -> tuple[dict[str, Floats], int]:
    """(N, m) scores of each policy's answers, which are checked to be comparable; and N."""
    scores: dict[str, Floats] = {}
    first: tuple[str, pl.Series] | None = None
    for key in (policy.answers for run in runs for policy in run.policies):
        if key in scores:
            continue
        if key not in answers:
            raise ValueError(f"no answers under {key!r}: finish the comparison")
        frame = answers[key]
        if missing := [c for c in ("prompt", *names, *TEXT) if c not in frame.columns]:
            raise ValueError(f"the answers {key!r} lack the column(s) {', '.join(missing)}")
        first = first or (key, frame["prompt"])
        if not len(frame) or not frame["prompt"].equals(first[1]):
            raise ValueError(
                f"the answers {key!r} and {first[0]!r} are not to the same prompts in the same "
                "order, at least one: evaluate them again together"
            )
        table = frame.select(pl.col(list(names)).cast(pl.Float64)).to_numpy()
        if not np.isfinite(table).all():
            row, column = np.argwhere(~np.isfinite(table))[0]
            raise ValueError(
                f"the answers {key!r} have no finite {names[column]} in row {row}: score them again"
            )
        scores[key] = np.ascontiguousarray(table)
    return scores, len(first[1]) if first else 0


def _mean_of(values: Floats | None) -> float | None:
    return None if values is None else float(values.mean())


def _volume(points: Floats) -> float:
    return hypervolume(points, ref=[0.0] * points.shape[1])


def _unmeasured(run: RunRecord) -> RunResult:
    """What is known of a run without its answers."""
    seconds = run.seconds_by_phase()
    return RunResult(
        run=run,
        models=run.models,
        trained_tokens=run.trained_tokens,
        generated_tokens=run.generated_tokens,
        cost=run.cost,
        scored=run.scored,
        seconds=seconds,
        seconds_all=sum(seconds.values()) if seconds else None,
    )


def _with_text(
    result: RunResult, answers: Mapping[str, pl.DataFrame], names: Sequence[str]
) -> RunResult:
    """Add what the answers' text says, per policy and over all; and whether w was followed."""
    points = []
    for policy in result.run.policies:
        frame = answers[policy.answers]
        points.append(
            Point(
                weights=policy.weights,
                n=len(frame),
                reward={name: mean_and_error(frame[name]) for name in names},
                collapse=_mean(frame["short"] | frame["repetitive"]),
                entropy=_mean(frame["entropy"]) if "entropy" in frame.columns else None,
                **{name: _mean(frame[name]) for name in TEXT},
            )
        )
    averages: dict[str, Any] = {
        name: average(getattr(point, name) for point in points)
        for name in (*TEXT, "collapse", "entropy")
    }
    ranks: dict[str, float | None] = dict.fromkeys(names)
    weights = [point.weights for point in points if point.weights is not None]
    if len(weights) == len(points):
        for i, name in enumerate(names):
            rewards = [point.reward[name].mean for point in points]
            value = statistics.rank_correlation([w[i] for w in weights], rewards)
            ranks[name] = None if math.isnan(value) else value
    return replace(
        result,
        points=tuple(points),
        **averages,
        rank_correlation=ranks,
        rank_mean=average(ranks.values()),
    )


def _mean(column: pl.Series) -> float | None:
    values = column.cast(pl.Float64).drop_nulls().drop_nans()
    return float(values.mean()) if len(values) else None  # type: ignore[arg-type]
