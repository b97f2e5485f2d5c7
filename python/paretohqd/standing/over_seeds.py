"""A method's runs with several seeds as one entry, and what tells it from another method."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from typing import Any

import numpy as np

from paretohqd.standing.resampling import Floats, interval, seed_shares, verdict

DESCRIBED = ("about", "source", "exact", "ours")
"""What a method says of itself."""
AVERAGED = (
    "best_single", "raw", "front", "sparsity", "short", "repetitive", "collapse", "echo", "entropy",
    "words", "tokens", "finished", "rank_mean", "models", "trained_tokens", "generated_tokens",
    "scored", "seconds_all", "unreached",
)  # fmt: skip
"""What is plainly averaged over a method's runs."""

Drawn = Mapping[int, Mapping[str, Floats]]
"""Replicates of each run's hypervolumes, by its place among the runs."""


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
    drawn: Drawn,
    scores: Mapping[str, Floats],
    *,
    objectives: Sequence[str],
    reference: str,
    replicates: int,
    seed: int,
) -> list[dict[str, Any]]:
    """One entry per budget and method, in the order of their first runs.

    Its hypervolume is the mean of its runs' (not that of mean points). In a replicate its seeds are
    drawn with replacement as the prompts are; methods that ran with the same seeds are given the
    same draws. Few seeds are a poor sample of all: with two or three an interval is rather too
    short than too long.

    Args:
        runs: measured, as `standing.stand` makes them.
        drawn: replicates of those that did not fail; empty where no interval can be drawn.
        scores: (N, m) scores of each policy's answers.
        objectives: names of the m.
        reference: the method to compare with, where a run's `against` names no other.
        replicates: of the bootstrap.
        seed: of the bootstrap.

    Returns:
        Entries with what is averaged over seeds, `low` and `high`, `spread` (standard deviation
        between seeds), `failed` (seed and reason), `points` (averaged over seeds, by place) and
        `against` the `reference`, the reference with both `echo_adjusted`, and the `base`: each
        None where there is nothing to compare, or `name`, `mean`, `low`, `high`, `verdict`,
        `paired` by what, and `seeds`. With the reference the seeds that both have are compared.
    """
    groups: dict[tuple[str, str], list[int]] = {}
    for at, run in enumerate(runs):
        groups.setdefault((run["budget"], run["method"]), []).append(at)
    entries = []
    for places in groups.values():
        fine = sorted((at for at in places if runs[at]["status"] == "ok"), key=_seed(runs))
        first = runs[(fine or places)[0]]
        volume = _mean_of(runs, fine, "hypervolume")
        own = _replicates(runs, drawn, fine, "hypervolume", replicates, seed)
        ends = (None, None) if own is None or volume is None else interval(own, volume)
        values = [runs[at]["hypervolume"] for at in fine]
        plain = ("budget", "method", "kind", "ablation", *DESCRIBED)
        entries.append(
            {
                **{name: first[name] for name in plain},
                "compared_with": first.get("against") or reference,
                "places": places,
                "seeds": [runs[at]["seed"] for at in fine],
                "failed": [
                    (runs[at]["seed"], runs[at]["error"]) for at in places if at not in fine
                ],
                "policies": len(first["policies"]),
                "steered": bool(fine) and all(p["weights"] is not None for p in first["policies"]),
                "hypervolume": volume,
                "low": None if ends[0] is None else max(0.0, ends[0]),
                "high": ends[1],
                "spread": float(np.std(values, ddof=1)) if len(values) > 1 else None,
                "echo_adjusted": _mean_of(runs, fine, "echo_adjusted"),
                **{name: average(runs[at].get(name) for at in fine) for name in AVERAGED},
                "rank_correlation": {
                    name: average(runs[at]["rank_correlation"][name] for at in fine)
                    for name in objectives
                },
                "seconds": _phases([runs[at]["seconds"] for at in fine]),
                "points": _points([runs[at] for at in fine], scores, objectives),
            }
        )
    difference = partial(_difference, runs, drawn, replicates=replicates, seed=seed)
    for entry in entries:
        entry["against"] = _against(entry, entries, runs, difference)
    return entries


def _seed(runs: Sequence[Mapping[str, Any]]) -> Any:
    return lambda at: runs[at]["seed"]


def _alive(entry: Mapping[str, Any], runs: Sequence[Mapping[str, Any]]) -> list[int]:
    places = [at for at in entry["places"] if runs[at]["status"] == "ok"]
    return sorted(places, key=_seed(runs))


def _against(
    entry: Mapping[str, Any],
    entries: Sequence[Mapping[str, Any]],
    runs: Sequence[Mapping[str, Any]],
    difference: Callable[[list[int], list[int], str], dict[str, Any] | None],
) -> dict[str, Any]:
    """What tells an entry from the method that it is compared with, and from the base."""
    found: dict[str, Any] = dict.fromkeys(("reference", "echo_adjusted", "base"))
    mine, here = _alive(entry, runs), [e for e in entries if e["budget"] == entry["budget"]]
    # The base stands in for itself under another budget; a rival would have another cost.
    rivals = [e for e in here if e["method"] == entry["compared_with"]]
    bases = [e for e in (*here, *entries) if e["kind"] == "base"]
    rival, base = (
        next((p for e in side if (p := _alive(e, runs))), []) for side in (rivals, bases)
    )
    if mine and rival and mine != rival:
        sides = _common(runs, mine, rival)
        found["reference"] = difference(*sides, "hypervolume")
        found["echo_adjusted"] = difference(*sides, "echo_adjusted")
    if mine and base and entry["kind"] != "base":
        found["base"] = difference(mine, base, "hypervolume")
    return found


def _common(
    runs: Sequence[Mapping[str, Any]], mine: list[int], theirs: list[int]
) -> tuple[list[int], list[int]]:
    """Both sides' runs with the seeds that both have, so that seeds pair; all if they share none.

    A method with one seed would else be held against other seeds' luck as well.
    """
    shared = {runs[at]["seed"] for at in mine} & {runs[at]["seed"] for at in theirs}
    if not shared:
        return mine, theirs
    ours, others = ([at for at in side if runs[at]["seed"] in shared] for side in (mine, theirs))
    return ours, others


def _mean_of(runs: Sequence[Mapping[str, Any]], places: Sequence[int], name: str) -> float | None:
    return average(runs[at][name] for at in places)


def _replicates(
    runs: Sequence[Mapping[str, Any]],
    drawn: Drawn,
    places: Sequence[int],
    kind: str,
    replicates: int,
    seed: int,
) -> Floats | None:
    """Replicates of the mean over these runs' seeds, or None where some run has none."""
    if not places or any(kind not in drawn.get(at, {}) for at in places):
        return None
    shares = seed_shares([runs[at]["seed"] for at in places], replicates, seed)
    table = np.stack([drawn[at][kind] for at in places], axis=1)
    mean: Floats = (shares * table).sum(axis=1)
    return mean


def _difference(
    runs: Sequence[Mapping[str, Any]],
    drawn: Drawn,
    mine: list[int],
    theirs: list[int],
    kind: str,
    *,
    replicates: int,
    seed: int,
) -> dict[str, Any] | None:
    """The first side's mean less the second's, with its interval and what that says."""
    sides = (mine, theirs)
    means = [_mean_of(runs, places, kind) for places in sides]
    if means[0] is None or means[1] is None:
        return None
    draws = [_replicates(runs, drawn, places, kind, replicates, seed) for places in sides]
    gain = means[0] - means[1]
    ends = None if draws[0] is None or draws[1] is None else interval(draws[0] - draws[1], gain)
    seeds = [[runs[at]["seed"] for at in places] for places in sides]
    other = runs[theirs[0]]
    return {
        "name": other["method"],
        "budget": other["budget"],
        "mean": gain,
        "low": None if ends is None else ends[0],
        "high": None if ends is None else ends[1],
        "verdict": verdict(ends),
        "paired": "prompts and seeds" if seeds[0] == seeds[1] else "prompts",
        "seeds": seeds[0],
    }


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
