"""How a method differs from another: over the prompts and the seeds that both have."""

from __future__ import annotations

from collections.abc import Container, Iterator, Mapping, Sequence
from dataclasses import replace

import numpy as np

from paretohqd.compare.crossed import Floats, crossed, holm, verdict
from paretohqd.compare.families import Families
from paretohqd.compare.measures import Against, Difference, MethodResult, RunResult, WinRate
from paretohqd.compare.serving import PerPrompt, wins

Values = Mapping[int, PerPrompt]
"""The measures of each prompt, by a run's place among the runs."""


def alive(places: Sequence[int], runs: Sequence[RunResult]) -> list[int]:
    """Those that did not fail, by seed; only the first of runs with the same answers."""
    lasting = sorted(
        (at for at in places if not runs[at].run.failed), key=lambda at: runs[at].run.seed
    )
    different: dict[tuple[str, ...], int] = {}
    for at in lasting:
        different.setdefault(tuple(policy.answers for policy in runs[at].run.policies), at)
    return list(different.values())


def table(values: Values, places: Sequence[int], name: str) -> Floats | None:
    """(N, S) of a measure of some runs; None where one does not know it, or there is none."""
    columns = [getattr(values[at], name) for at in places]
    if not columns or any(column is None for column in columns):
        return None
    return np.stack(columns, axis=1)


def against(
    entry: MethodResult,
    entries: Sequence[MethodResult],
    runs: Sequence[RunResult],
    values: Values,
    families: Families,
) -> Against:
    """How an entry differs from the method that it is compared with, and from the base.

    Args:
        entry: One of a comparison's.
        entries: All of them.
        runs: What was measured of each run.
        values: The measures of each prompt.
        families: What is known of seeds.
    """
    mine = alive(entry.places, runs)
    here = [other for other in entries if other.budget == entry.budget]
    # The base stands in for itself under another budget; a rival would have another cost.
    rivals = [other for other in here if other.method == entry.compared_with]
    bases = [other for other in (*here, *entries) if other.kind == "base"]
    rival, base = (
        next((lasting for other in side if (lasting := alive(other.places, runs))), [])
        for side in (rivals, bases)
    )
    found = Against()
    if mine and rival and mine != rival:
        found = Against(
            reference=_difference(runs, values, families, mine, rival, "utility"),
            echo_adjusted=_difference(runs, values, families, mine, rival, "utility_adjusted"),
            tchebycheff=_difference(runs, values, families, mine, rival, "utility_tchebycheff"),
            win_rate=_win_rate(runs, values, mine, rival),
        )
    if mine and base and entry.kind != "base":
        found = replace(found, base=_difference(runs, values, families, mine, base, "utility"))
    return found


def with_verdicts(entries: Sequence[MethodResult]) -> tuple[MethodResult, ...]:
    """Add `corrected` and `verdict` to the differences to references, after Holm for all tested.

    Nothing is tested of the base, which every method is held against without a verdict, nor where
    policies were chosen on the prompts that are measured.
    """
    flattered = {(each.budget, each.method) for each in entries if each.flattered}
    reasons = [_untested(entry, flattered) for entry in entries]
    tested = [
        difference.p
        for entry, reason in zip(entries, reasons, strict=True)
        if not reason and (difference := entry.against.reference) and difference.p is not None
    ]
    corrected = iter(holm(tested))
    return tuple(
        _with_verdict(entry, reason, corrected)
        for entry, reason in zip(entries, reasons, strict=True)
    )


def _untested(entry: MethodResult, flattered: Container[tuple[str, str]]) -> str:
    """Why its difference to the reference is not tested; empty where it is."""
    difference = entry.against.reference
    if difference is None:
        return ""
    if entry.kind == "base":
        return "the base"
    if entry.flattered or (difference.budget, difference.name) in flattered:
        return "chosen on these prompts"
    if difference.p is None:
        return {0: "no common seed", 1: "one seed"}.get(len(difference.seeds), "one prompt")
    return ""


def _with_verdict(entry: MethodResult, reason: str, corrected: Iterator[float]) -> MethodResult:
    """One of them; `corrected` gives the next of those that were tested."""
    difference = entry.against.reference
    if difference is None:
        return entry
    if reason:
        decided = replace(difference, verdict=f"{reason}: not tested")
    else:
        p = next(corrected)
        assert difference.whole is not None
        decided = replace(difference, corrected=p, verdict=verdict(difference.whole, p))
    return replace(entry, against=replace(entry.against, reference=decided))


def _pairs(
    runs: Sequence[RunResult], mine: Sequence[int], theirs: Sequence[int]
) -> list[tuple[int, int]]:
    """Runs of two methods with the same seed; one that is not trained beside each of the other's.

    A method with one seed would else be held against other seeds' luck as well.
    """
    if runs[mine[0]].run.untrained:
        return [(mine[0], at) for at in theirs]
    if runs[theirs[0]].run.untrained:
        return [(at, theirs[0]) for at in mine]
    other = {runs[at].run.seed: at for at in theirs}
    return [(at, other[runs[at].run.seed]) for at in mine if runs[at].run.seed in other]


def _difference(
    runs: Sequence[RunResult],
    values: Values,
    families: Families,
    mine: Sequence[int],
    theirs: Sequence[int],
    name: str,
) -> Difference | None:
    """The first side's measure less the second's, over the seeds that both have."""
    pairs = _pairs(runs, mine, theirs)
    if pairs:
        mine, theirs = [at for at, _ in pairs], [at for _, at in pairs]
    left, right = (table(values, places, name) for places in (mine, theirs))
    if left is None or right is None:
        return None
    own, other = runs[mine[0]].run, runs[theirs[0]].run
    seeds = families.square(name, [own, other], len(left))
    whole = crossed(left - right, seeds) if pairs else None
    both = [runs[at].run for pair in pairs for at in pair]
    seeded = [run for run in both if not run.untrained] or both
    return Difference(
        name=other.method,
        budget=other.budget,
        mean=float(left.mean() - right.mean()),
        whole=whole,
        seeds=tuple(sorted({run.seed for run in seeded})),
    )


def _win_rate(
    runs: Sequence[RunResult], values: Values, mine: Sequence[int], theirs: Sequence[int]
) -> WinRate | None:
    """How often the first side lies above the second, over the seeds that both have.

    It is of two methods, and of no family: the interval knows these seeds alone.
    """
    pairs = _pairs(runs, mine, theirs)
    if not pairs:
        return None
    share = np.stack(
        [wins(values[one].preferred, values[other].preferred) for one, other in pairs], axis=1
    )
    whole = crossed(share)
    return WinRate(
        name=runs[theirs[0]].run.method,
        mean=float(share.mean()),
        low=whole.low if whole else None,
        high=whole.high if whole else None,
    )
