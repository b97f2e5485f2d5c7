"""A method's runs with several seeds as one entry, and how it differs from other methods."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from paretohqd.compare.crossed import Floats, crossed
from paretohqd.compare.differences import Values, against, alive, table, with_verdicts
from paretohqd.compare.families import Families
from paretohqd.compare.measures import AVERAGED, Interval, MeanPoint, MethodResult, RunResult
from paretohqd.compare.records import RunRecord
from paretohqd.runs.metrics import SampleMean

WITH_INTERVALS = ("utility_tchebycheff", "following", "missteering")
"""Measures with an interval besides utility."""
POOLED = ("utility", "utility_adjusted", *WITH_INTERVALS)
"""Measures whose spread between seeds is pooled over a family."""


def average(values: Iterable[float | None]) -> float | None:
    """The mean of those that are known; None if none is.

    Example:
        >>> average([1.0, None, 2.0]), average([None])
        (1.5, None)
    """
    given = [value for value in values if value is not None]
    return sum(given) / len(given) if given else None


def over_seeds(
    runs: Sequence[RunResult],
    values: Values,
    scores: Mapping[str, Floats],
    *,
    objectives: Sequence[str],
    reference: str,
) -> tuple[MethodResult, ...]:
    """One entry per budget and method, in the order of their first runs.

    Runs that left the very same answers, as the base does under any seed, are one run. Utility and
    hypervolume are the means of the runs' (not those of mean points). Intervals and verdicts are of
    utility, over prompts and seeds (see `crossed`; of seeds those of a family together, see
    `families`), and need two seeds; a method with one has none,
    whatever its prompts say. Verdicts against the reference are corrected for their number over the
    whole comparison; against the base, with echoes adjusted, and of all other measures there are
    intervals alone.

    Args:
        runs: What was measured of each.
        values: The measures of each prompt, of the runs that did not fail.
        scores: (N, m) scores of each policy's answers.
        objectives: Names of the m.
        reference: The method to compare with, where a run's `against` names no other.
    """
    groups: dict[tuple[str, str], list[int]] = {}
    for at, result in enumerate(runs):
        groups.setdefault((result.run.budget, result.run.method), []).append(at)
    families = _families(groups.values(), runs, values)
    entries = [
        _entry(places, runs, values, scores, families, objectives, reference)
        for places in groups.values()
    ]
    return with_verdicts(
        [
            replace(entry, against=against(entry, entries, runs, values, families))
            for entry in entries
        ]
    )


def _entry(
    places: Sequence[int],
    runs: Sequence[RunResult],
    values: Values,
    scores: Mapping[str, Floats],
    families: Families,
    objectives: Sequence[str],
    reference: str,
) -> MethodResult:
    """A method's runs as one entry, not yet compared with others."""
    lasting = alive(places, runs)
    results = [runs[at] for at in lasting]
    first = runs[(lasting or places)[0]].run
    own = table(values, lasting, "utility")
    intervals = _intervals(values, lasting, families, first)
    whole = intervals.pop("utility", None)
    steered = bool(lasting) and all(policy.weights is not None for policy in first.policies)
    several = own is not None and len(lasting) > 1
    averages: dict[str, Any] = {
        name: average(getattr(result, name) for result in results) for name in AVERAGED
    }
    return MethodResult(
        budget=first.budget,
        method=first.method,
        kind=first.kind,
        ablation=bool(first.ablation),
        family=first.family,
        reconstructed=first.reconstructed,
        passes=first.passes,
        sees_scorers=first.sees_scorers,
        about=first.about,
        source=first.source,
        exact=first.exact,
        ours=first.ours,
        compared_with=first.against or reference,
        places=tuple(places),
        seeds=tuple(result.run.seed for result in results),
        failed=tuple(
            (run.seed, run.error)
            for run in (runs[at].run for at in places)
            if run.error is not None
        ),
        policies=len(first.policies),
        steered=steered,
        chosen_on=None
        if steered or len(first.policies) < 2
        else "test"
        if first.chosen is None
        else "validation",
        low=whole.low if whole else None,
        high=whole.high if whole else None,
        intervals=intervals,
        spread=float(own.mean(axis=0).std(ddof=1)) if own is not None and several else None,
        **averages,
        rank_correlation={
            name: average(result.rank_correlation[name] for result in results)
            for name in objectives
        },
        seconds=_phases([result.seconds for result in results]),
        points=_points(results, scores, objectives),
    )


def _families(
    groups: Iterable[Sequence[int]], runs: Sequence[RunResult], values: Values
) -> Families:
    """What the seeds of each family say of every measure."""
    methods = [lasting for places in groups if (lasting := alive(places, runs))]
    return Families(
        {
            name: [
                (runs[places[0]].run, own)
                for places in methods
                if (own := table(values, places, name)) is not None
            ]
            for name in POOLED
        }
    )


def _intervals(
    values: Values, places: Sequence[int], families: Families, run: RunRecord
) -> dict[str, Interval]:
    """Of the measures that have one, those that are known of all runs of a method."""
    found = {}
    for name in ("utility", *WITH_INTERVALS):
        own = table(values, places, name)
        if own is None:
            continue
        whole = crossed(own, families.square(name, [run], len(own)))
        if whole is not None:
            found[name] = Interval(low=whole.low, high=whole.high)
    return found


def _phases(seconds: Sequence[Mapping[str, float]]) -> dict[str, float]:
    """Seconds of each phase, averaged over runs; a run without a phase took none for it."""
    names = dict.fromkeys(name for row in seconds for name in row)
    return {name: sum(row.get(name, 0.0) for row in seconds) / len(seconds) for name in names}


def _points(
    runs: Sequence[RunResult], scores: Mapping[str, Floats], names: Sequence[str]
) -> tuple[MeanPoint, ...]:
    """Each policy's mean reward over seeds; its standard error is over prompts."""
    policies = [result.run.policies for result in runs]
    points = []
    for place in range(max(map(len, policies), default=0)):
        having = [own[place] for own in policies if len(own) > place]
        mean = np.mean([scores[policy.answers] for policy in having], axis=0)
        error = mean.std(axis=0, ddof=1) / np.sqrt(len(mean)) if len(mean) > 1 else None
        rewards = {
            name: SampleMean(
                mean=float(mean[:, i].mean()), se=None if error is None else float(error[i])
            )
            for i, name in enumerate(names)
        }
        points.append(MeanPoint(weights=having[0].weights, reward=rewards))
    return tuple(points)
