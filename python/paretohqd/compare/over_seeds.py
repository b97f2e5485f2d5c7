"""A method's runs with several seeds as one entry, and what tells it from another method."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from paretohqd.compare.crossed import Floats, crossed, holm, verdict

DESCRIBED = ("about", "source", "exact", "ours")
"""What a method says of itself."""
AVERAGED = (
    "utility",
    "utility_adjusted",
    "hypervolume",
    "echo_adjusted",
    "best_single",
    "front",
    "sparsity",
    "short",
    "repetitive",
    "collapse",
    "echo",
    "entropy",
    "words",
    "tokens",
    "finished",
    "rank_mean",
    "models",
    "trained_tokens",
    "generated_tokens",
    "scored",
    "seconds_all",
)
"""What is plainly averaged over a method's runs."""

Utilities = Mapping[int, Mapping[str, Floats]]
"""Utility of each prompt, plain and echo-adjusted, by a run's place among the runs."""


def average(values: Iterable[float | None]) -> float | None:
    """The mean of those that are known; None if none is.

    Example:
        >>> average([1.0, None, 2.0]), average([None])
        (1.5, None)
    """
    known = [value for value in values if value is not None]
    return sum(known) / len(known) if known else None


def over_seeds(
    runs: Sequence[Mapping[str, Any]],
    utilities: Utilities,
    scores: Mapping[str, Floats],
    *,
    objectives: Sequence[str],
    reference: str,
) -> list[dict[str, Any]]:
    """One entry per budget and method, in the order of their first runs.

    Runs that left the very same answers, as the base does under any seed, are one run. Utility and
    hypervolume are the means of the runs' (not those of mean points). Intervals and verdicts are of
    utility, over prompts and seeds (see `crossed`), and need two seeds; a method with one has none,
    whatever its prompts say. Verdicts against the reference are corrected for their number over the
    whole comparison; against the base, and with echoes adjusted, there are intervals alone.

    Args:
        runs: measured, as `standing.stand` makes them.
        utilities: of those that did not fail.
        scores: (N, m) scores of each policy's answers.
        objectives: names of the m.
        reference: the method to compare with, where a run's `against` names no other.

    Returns:
        Entries with what is averaged over seeds, `low` and `high` (of the utility), `spread`
        (standard deviation of the utility between seeds), `failed` (seed and reason), `points`
        (averaged over seeds, by place) and `against` the `reference`, the reference with both
        `echo_adjusted`, and the `base`: each None where there is nothing to compare, or `name`,
        `mean` (of this less that), `low`, `high`, `p`, and `seeds`, those that both have; the
        first with `corrected` (p after Holm) and `verdict` too.
    """
    groups: dict[tuple[str, str], list[int]] = {}
    for at, run in enumerate(runs):
        groups.setdefault((run["budget"], run["method"]), []).append(at)
    entries = []
    for places in groups.values():
        fine = _alive(places, runs)
        first = runs[(fine or places)[0]]
        own = _table(utilities, fine, "utility") if fine else None
        found = None if own is None else crossed(own)
        plain = ("budget", "method", "kind", "ablation", *DESCRIBED)
        entries.append(
            {
                **{name: first[name] for name in plain},
                "compared_with": first.get("against") or reference,
                "places": places,
                "seeds": [runs[at]["seed"] for at in fine],
                "failed": [
                    (runs[at]["seed"], runs[at]["error"])
                    for at in places
                    if runs[at]["status"] != "ok"
                ],
                "policies": len(first["policies"]),
                "steered": bool(fine) and all(p["weights"] is not None for p in first["policies"]),
                "low": found and found.low,
                "high": found and found.high,
                "spread": None
                if own is None or len(fine) < 2
                else float(own.mean(axis=0).std(ddof=1)),
                **{name: average(runs[at].get(name) for at in fine) for name in AVERAGED},
                "rank_correlation": {
                    name: average(runs[at]["rank_correlation"][name] for at in fine)
                    for name in objectives
                },
                "seconds": _phases([runs[at]["seconds"] for at in fine]),
                "points": _points([runs[at] for at in fine], scores, objectives),
            }
        )
    for entry in entries:
        entry["against"] = _against(entry, entries, runs, utilities)
    _decide([entry["against"]["reference"] for entry in entries])
    return entries


def _alive(places: Sequence[int], runs: Sequence[Mapping[str, Any]]) -> list[int]:
    """Those that did not fail, by seed; of runs with the same answers the first."""
    fine = sorted(
        (at for at in places if runs[at]["status"] == "ok"), key=lambda at: runs[at]["seed"]
    )
    found: dict[tuple[str, ...], int] = {}
    for at in fine:
        found.setdefault(tuple(policy["answers"] for policy in runs[at]["policies"]), at)
    return list(found.values())


def _table(utilities: Utilities, places: Sequence[int], kind: str) -> Floats:
    """(N, S) utilities of some runs."""
    return np.stack([utilities[at][kind] for at in places], axis=1)


def _against(
    entry: Mapping[str, Any],
    entries: Sequence[Mapping[str, Any]],
    runs: Sequence[Mapping[str, Any]],
    utilities: Utilities,
) -> dict[str, Any]:
    """What tells an entry from the method that it is compared with, and from the base."""
    found: dict[str, Any] = dict.fromkeys(("reference", "echo_adjusted", "base"))
    mine, here = (
        _alive(entry["places"], runs),
        [e for e in entries if e["budget"] == entry["budget"]],
    )
    # The base stands in for itself under another budget; a rival would have another cost.
    rivals = [e for e in here if e["method"] == entry["compared_with"]]
    bases = [e for e in (*here, *entries) if e["kind"] == "base"]
    rival, base = (
        next((p for e in side if (p := _alive(e["places"], runs))), []) for side in (rivals, bases)
    )
    if mine and rival and mine != rival:
        found["reference"] = _difference(runs, utilities, mine, rival, "utility")
        found["echo_adjusted"] = _difference(runs, utilities, mine, rival, "utility_adjusted")
    if mine and base and entry["kind"] != "base":
        found["base"] = _difference(runs, utilities, mine, base, "utility")
    return found


def _pairs(
    runs: Sequence[Mapping[str, Any]], mine: Sequence[int], theirs: Sequence[int]
) -> list[tuple[int, int]]:
    """Runs of two methods with the same seed; the base, which has none, beside each of the other's.

    A method with one seed would else be held against other seeds' luck as well.
    """
    if runs[mine[0]]["kind"] == "base":
        return [(mine[0], at) for at in theirs]
    if runs[theirs[0]]["kind"] == "base":
        return [(at, theirs[0]) for at in mine]
    other = {runs[at]["seed"]: at for at in theirs}
    return [(at, other[runs[at]["seed"]]) for at in mine if runs[at]["seed"] in other]


def _difference(
    runs: Sequence[Mapping[str, Any]],
    utilities: Utilities,
    mine: Sequence[int],
    theirs: Sequence[int],
    kind: str,
) -> dict[str, Any] | None:
    """The first side's utility less the second's, over the seeds that both have."""
    if any(kind not in utilities[at] for at in (*mine, *theirs)):
        return None
    pairs = _pairs(runs, mine, theirs)
    if pairs:
        mine, theirs = [at for at, _ in pairs], [at for _, at in pairs]
    tables = [_table(utilities, places, kind) for places in (mine, theirs)]
    found = crossed(tables[0] - tables[1]) if pairs else None
    other = runs[theirs[0]]
    return {
        "name": other["method"],
        "budget": other["budget"],
        "mean": float(tables[0].mean() - tables[1].mean()),
        "low": found and found.low,
        "high": found and found.high,
        "p": found and found.p,
        "seeds": sorted(
            {runs[at]["seed"] for pair in pairs for at in pair if runs[at]["kind"] != "base"}
        ),
    }


def _decide(differences: Sequence[dict[str, Any] | None]) -> None:
    """Add `corrected` and `verdict`: over all that can be tested, Holm's correction."""
    given = [found for found in differences if found is not None]
    tested = [found for found in given if found["p"] is not None]
    for found in given:
        found["corrected"] = None
        seeds = len(found["seeds"])
        few = {0: "no common seed", 1: "one seed"}.get(seeds, "one prompt")
        found["verdict"] = f"{few}: not tested"
    for found, p in zip(tested, holm([found["p"] for found in tested]), strict=True):
        found["corrected"], found["verdict"] = p, verdict(found["mean"], p)


def _phases(seconds: Sequence[Mapping[str, float]]) -> dict[str, float]:
    """Seconds of each phase, averaged over runs; a run without a phase took none for it."""
    names = dict.fromkeys(name for row in seconds for name in row)
    return {name: sum(row.get(name, 0.0) for row in seconds) / len(seconds) for name in names}


def _points(
    runs: Sequence[Mapping[str, Any]], scores: Mapping[str, Floats], names: Sequence[str]
) -> list[dict[str, Any]]:
    """Each policy's mean reward over seeds; its standard error is over prompts."""
    points = []
    for place in range(max((len(run["policies"]) for run in runs), default=0)):
        having = [run["policies"][place] for run in runs if len(run["policies"]) > place]
        table = np.mean([scores[policy["answers"]] for policy in having], axis=0)
        error = table.std(axis=0, ddof=1) / np.sqrt(len(table)) if len(table) > 1 else None
        points.append(
            {
                "weights": having[0]["weights"],
                "reward": {
                    name: {
                        "mean": float(table[:, i].mean()),
                        "se": None if error is None else float(error[i]),
                    }
                    for i, name in enumerate(names)
                },
            }
        )
    return points
