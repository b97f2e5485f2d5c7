"""A method's runs with several seeds as one entry, and how it differs from other methods."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from paretohqd.compare.crossed import Floats, crossed, holm, verdict
from paretohqd.compare.measures import (
    AVERAGED,
    Against,
    Difference,
    MeanPoint,
    MethodResult,
    RunResult,
)
from paretohqd.runs.metrics import SampleMean

Utilities = Mapping[int, Mapping[str, Floats]]
"""Utility of each prompt, plain and echo-adjusted, by a run's place among the runs."""


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
    utilities: Utilities,
    scores: Mapping[str, Floats],
    *,
    objectives: Sequence[str],
    reference: str,
) -> tuple[MethodResult, ...]:
    """One entry per budget and method, in the order of their first runs.

    Runs that left the very same answers, as the base does under any seed, are one run. Utility and
    hypervolume are the means of the runs' (not those of mean points). Intervals and verdicts are of
    utility, over prompts and seeds (see `crossed`), and need two seeds; a method with one has none,
    whatever its prompts say. Verdicts against the reference are corrected for their number over the
    whole comparison; against the base, and with echoes adjusted, there are intervals alone.

    Args:
        runs: What was measured of each.
        utilities: The utilities of those that did not fail.
        scores: (N, m) scores of each policy's answers.
        objectives: Names of the m.
        reference: The method to compare with, where a run's `against` names no other.
    """
    groups: dict[tuple[str, str], list[int]] = {}
    for at, result in enumerate(runs):
        groups.setdefault((result.run.budget, result.run.method), []).append(at)
    entries = [
        _entry(places, runs, utilities, scores, objectives, reference) for places in groups.values()
    ]
    compared = [_against(entry, entries, runs, utilities) for entry in entries]
    decided = _with_verdicts([against.reference for against in compared])
    return tuple(
        replace(entry, against=replace(against, reference=difference))
        for entry, against, difference in zip(entries, compared, decided, strict=True)
    )


def _entry(
    places: Sequence[int],
    runs: Sequence[RunResult],
    utilities: Utilities,
    scores: Mapping[str, Floats],
    objectives: Sequence[str],
    reference: str,
) -> MethodResult:
    """A method's runs as one entry, not yet compared with others."""
    alive = _alive(places, runs)
    results = [runs[at] for at in alive]
    first = runs[(alive or places)[0]].run
    own = _table(utilities, alive, "utility") if alive else None
    whole = None if own is None else crossed(own)
    several = own is not None and len(alive) > 1
    averages: dict[str, Any] = {
        name: average(getattr(result, name) for result in results) for name in AVERAGED
    }
    return MethodResult(
        budget=first.budget,
        method=first.method,
        kind=first.kind,
        ablation=bool(first.ablation),
        reconstructed=first.reconstructed,
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
        steered=bool(alive) and all(policy.weights is not None for policy in first.policies),
        low=whole.low if whole else None,
        high=whole.high if whole else None,
        spread=float(own.mean(axis=0).std(ddof=1)) if own is not None and several else None,
        **averages,
        rank_correlation={
            name: average(result.rank_correlation[name] for result in results)
            for name in objectives
        },
        seconds=_phases([result.seconds for result in results]),
        points=_points(results, scores, objectives),
    )


def _alive(places: Sequence[int], runs: Sequence[RunResult]) -> list[int]:
    """Those that did not fail, by seed; only the first of runs with the same answers."""
    alive = sorted(
        (at for at in places if not runs[at].run.failed), key=lambda at: runs[at].run.seed
    )
    different: dict[tuple[str, ...], int] = {}
    for at in alive:
        different.setdefault(tuple(policy.answers for policy in runs[at].run.policies), at)
    return list(different.values())


def _table(utilities: Utilities, places: Sequence[int], kind: str) -> Floats:
    """(N, S) utilities of some runs."""
    return np.stack([utilities[at][kind] for at in places], axis=1)


def _against(
    entry: MethodResult,
    entries: Sequence[MethodResult],
    runs: Sequence[RunResult],
    utilities: Utilities,
) -> Against:
    """How an entry differs from the method that it is compared with, and from the base."""
    mine = _alive(entry.places, runs)
    here = [other for other in entries if other.budget == entry.budget]
    # The base stands in for itself under another budget; a rival would have another cost.
    rivals = [other for other in here if other.method == entry.compared_with]
    bases = [other for other in (*here, *entries) if other.kind == "base"]
    rival, base = (
        next((alive for other in side if (alive := _alive(other.places, runs))), [])
        for side in (rivals, bases)
    )
    against = Against()
    if mine and rival and mine != rival:
        against = Against(
            reference=_difference(runs, utilities, mine, rival, "utility"),
            echo_adjusted=_difference(runs, utilities, mine, rival, "utility_adjusted"),
        )
    if mine and base and entry.kind != "base":
        against = replace(against, base=_difference(runs, utilities, mine, base, "utility"))
    return against


def _pairs(
    runs: Sequence[RunResult], mine: Sequence[int], theirs: Sequence[int]
) -> list[tuple[int, int]]:
    """Runs of two methods with the same seed; the base, which has none, beside each of the other's.

    A method with one seed would else be held against other seeds' luck as well.
    """
    if runs[mine[0]].run.kind == "base":
        return [(mine[0], at) for at in theirs]
    if runs[theirs[0]].run.kind == "base":
        return [(at, theirs[0]) for at in mine]
    other = {runs[at].run.seed: at for at in theirs}
    return [(at, other[runs[at].run.seed]) for at in mine if runs[at].run.seed in other]


def _difference(
    runs: Sequence[RunResult],
    utilities: Utilities,
    mine: Sequence[int],
    theirs: Sequence[int],
    kind: str,
) -> Difference | None:
    """The first side's utility less the second's, over the seeds that both have."""
    if any(kind not in utilities[at] for at in (*mine, *theirs)):
        return None
    pairs = _pairs(runs, mine, theirs)
    if pairs:
        mine, theirs = [at for at, _ in pairs], [at for _, at in pairs]
    tables = [_table(utilities, places, kind) for places in (mine, theirs)]
    whole = crossed(tables[0] - tables[1]) if pairs else None
    other = runs[theirs[0]].run
    both = (runs[at].run for pair in pairs for at in pair)
    return Difference(
        name=other.method,
        budget=other.budget,
        mean=float(tables[0].mean() - tables[1].mean()),
        low=whole.low if whole else None,
        high=whole.high if whole else None,
        p=whole.p if whole else None,
        seeds=tuple(sorted({run.seed for run in both if run.kind != "base"})),
    )


def _with_verdicts(differences: Sequence[Difference | None]) -> list[Difference | None]:
    """Add `corrected` and `verdict`: over all that can be tested, Holm's correction."""
    tested = [each.p for each in differences if each is not None and each.p is not None]
    corrected = iter(holm(tested))
    return [each and _with_verdict(each, corrected) for each in differences]


def _with_verdict(difference: Difference, corrected: Iterator[float]) -> Difference:
    """One of them; `corrected` gives the next of those that were tested."""
    if difference.p is not None:
        p = next(corrected)
        return replace(difference, corrected=p, verdict=verdict(difference.mean, p))
    few = {0: "no common seed", 1: "one seed"}.get(len(difference.seeds), "one prompt")
    return replace(difference, verdict=f"{few}: not tested")


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
        table = np.mean([scores[policy.answers] for policy in having], axis=0)
        error = table.std(axis=0, ddof=1) / np.sqrt(len(table)) if len(table) > 1 else None
        rewards = {
            name: SampleMean(
                mean=float(table[:, i].mean()), se=None if error is None else float(error[i])
            )
            for i, name in enumerate(names)
        }
        points.append(MeanPoint(weights=having[0].weights, reward=rewards))
    return tuple(points)
