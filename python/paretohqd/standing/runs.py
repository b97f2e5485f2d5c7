"""Where each method of a comparison stands: hypervolumes, their intervals and what they hide.

A *run* is one method with one seed under one budget; its policies' mean rewards on the held-out
prompts are its points. Every number here comes from the answers themselves, so it can be worked out
again from a finished comparison.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import polars as pl

from paretohqd import metrics
from paretohqd.findings import mean_and_error
from paretohqd.hypervolume import hypervolume
from paretohqd.layers import pareto_front
from paretohqd.standing.over_seeds import DESCRIBED, average, over_seeds
from paretohqd.standing.resampling import Floats, interval, prompt_shares, volumes

REPLICATES = 2000
TEXT = ("short", "repetitive", "echo", "words", "tokens", "finished")


def stand(
    runs: Sequence[Mapping[str, Any]],
    answers: Mapping[str, pl.DataFrame],
    *,
    objectives: Sequence[str],
    raw_reference: Sequence[float],
    reference: str,
    replicates: int = REPLICATES,
    seed: int = 0,
) -> dict[str, Any]:
    """Measure every run, and every method over its seeds.

    Hypervolumes are of mean rewards, scaled per objective so that all runs' points (but ablations')
    span [0, 1], and reference 0; the scale stays the same in all replicates. *Echo-adjusted*: each
    echoed answer counts with the base's scores on the same prompt, so that a scorer that pays for
    echoes shows. Intervals are of a paired bootstrap (see `resampling`); a method's also draws its
    seeds.

    The hypervolume of noisy means lies above that of the true ones, more so with more points; the
    intervals allow for it. And a front of several points covers more than its best point does:
    `best_single` stands beside it.

    Args:
        runs: one per budget, method and seed, with `method`, `kind`, `budget`, `seed`, `error` and
            `policies` (`weights` or None, `answers`), what they cost (`costs`, see
            `standing_tables.cost_table`; `seconds` by phase, else summed from those; `models`,
            `trained_tokens`, `generated_tokens`, `scored`), and what is only shown.
        answers: `answers` of each policy to its held-out answers: `prompt`, `response`, a column
            per objective, and `short`, `repetitive`, `echo`, `words`, `tokens`, `finished` and, if
            known, `entropy`. All answer the same prompts in the same order.
        objectives: their names, larger is better.
        raw_reference: reference point of the hypervolume in the rewards' own units.
        reference: the method that every other is compared with, under the same budget; a run's
            `against` names another one.
        replicates: of the bootstrap.
        seed: of the bootstrap.

    Returns:
        `objectives`, `prompts`, `bounds`, `raw_reference`, `reference`, `replicates`, `seed`; the
        `runs` with what was measured, their `points` among it; and the `methods`, one entry per
        budget and method. What cannot be known is None: of a failed run everything, with one prompt
        every interval, without a base what is measured against it.

    Raises:
        ValueError: two runs are the same, a run that did not fail has no policy, answers are
            missing, lack a column, hold a score that is not finite, or answer other prompts.

    Example:
        >>> frame = pl.DataFrame({
        ...     "prompt": ["a", "b"], "x": [1.0, 3.0], "y": [0.0, 2.0], "words": [5, 7],
        ...     "tokens": [6, 8], **dict.fromkeys(["short", "repetitive", "echo"], [False, False]),
        ...     "finished": [True, True]})
        >>> run = {"method": "base", "kind": "base", "budget": "own", "seed": 0, "error": None,
        ...     "policies": [{"weights": None, "answers": "base"}]}
        >>> found = stand(
        ...     [run], {"base": frame}, objectives=["x", "y"], raw_reference=[0, 0], reference="a")
        >>> found["bounds"]["x"]["low"], found["runs"][0]["raw"]
        ({'value': 2.0, 'method': 'base'}, 2.0)
    """
    names = list(objectives)
    alive = [at for at, run in enumerate(runs) if run["error"] is None]
    _distinct(runs)
    scores, prompts = _scores([runs[at] for at in alive], answers, names)
    shares = prompt_shares(prompts, replicates, seed) if prompts > 1 else None
    ends = _ends([runs[at] for at in alive], scores, names)
    low, high = (
        np.array([end[side]["value"] for end in ends.values()]) for side in ("low", "high")
    )
    span = np.where(high > low, high - low, 1.0)
    measured: list[dict[str, Any]] = []
    drawn: dict[int, dict[str, Floats]] = {}
    for at, run in enumerate(runs):
        if run["error"] is not None:
            measured.append({**_facts(run), "status": "failed"})
            continue
        own = [scores[policy["answers"]] for policy in run["policies"]]
        adjusted = _adjusted(run, runs, scores, answers)
        kinds = {"hypervolume": own} | ({} if adjusted is None else {"echo_adjusted": adjusted})
        if shares is not None:
            drawn[at] = {
                kind: volumes((np.stack([shares @ s for s in tables], axis=1) - low) / span)
                for kind, tables in kinds.items()
            }
        exact = {kind: _points(tables, low, span) for kind, tables in kinds.items()}
        volume = _volume(exact["hypervolume"])
        reached = interval(drawn[at]["hypervolume"], volume) if at in drawn else (None, None)
        measured.append(
            {
                **_facts(run),
                "status": "ok",
                "n": prompts,
                "low": None if reached[0] is None else max(0.0, reached[0]),
                "high": reached[1],
                "echo_adjusted": None,
                **{kind: _volume(points) for kind, points in exact.items()},
                "best_single": max(_volume(point[None]) for point in exact["hypervolume"]),
                "raw": hypervolume(_points(own, 0.0, 1.0), ref=list(raw_reference)),
                **_front(exact["hypervolume"]),
                **_text(run, answers, names),
            }
        )
    return {
        "objectives": names,
        "prompts": prompts,
        "bounds": ends if alive else None,
        "raw_reference": list(raw_reference),
        "reference": reference,
        "replicates": replicates,
        "seed": seed,
        "runs": measured,
        "methods": over_seeds(
            measured,
            drawn,
            scores,
            objectives=names,
            reference=reference,
            replicates=replicates,
            seed=seed,
        ),
    }


def _distinct(runs: Sequence[Mapping[str, Any]]) -> None:
    seen = set()
    for run in runs:
        key = (run["budget"], run["method"], run["seed"])
        if key in seen:
            raise ValueError(
                f"two runs are of method {key[1]!r}, budget {key[0]!r}, seed {key[2]}: give one"
            )
        seen.add(key)
        if run["error"] is None and not run["policies"]:
            raise ValueError(
                f"{key[1]}, budget {key[0]}, seed {key[2]} has no policy and no error: a run "
                "without policies says in `error` why"
            )


def _scores(
    runs: Sequence[Mapping[str, Any]], answers: Mapping[str, pl.DataFrame], names: Sequence[str]
) -> tuple[dict[str, Floats], int]:
    """(N, m) scores of each policy's answers, once they are known to be comparable; and N."""
    found: dict[str, Floats] = {}
    first: tuple[str, pl.Series] | None = None
    for key in (policy["answers"] for run in runs for policy in run["policies"]):
        if key in found:
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
        found[key] = np.ascontiguousarray(table)
    return found, len(first[1]) if first else 0


def _ends(
    runs: Sequence[Mapping[str, Any]], scores: Mapping[str, Floats], names: Sequence[str]
) -> dict[str, dict[str, dict[str, Any]]]:
    """Each objective's lowest and highest mean reward, and whose it is.

    Ablations count only where there is nothing else: a setting that ruins a model must not move
    the scale of all others.
    """
    plain = [run for run in runs if not run.get("ablation")] or runs
    points = [
        (scores[policy["answers"]].mean(axis=0), run["method"])
        for run in plain
        for policy in run["policies"]
    ] or [(np.zeros(len(names)), "")]
    found = {}
    for place, name in enumerate(names):
        low, high = (end(points, key=lambda point: point[0][place]) for end in (min, max))
        found[name] = {
            side: {"value": float(point[place]), "method": method}
            for side, (point, method) in (("low", low), ("high", high))
        }
    return found


def _points(tables: Sequence[Floats], low: Floats | float, span: Floats | float) -> Floats:
    points: Floats = (np.array([table.mean(axis=0) for table in tables]) - low) / span
    return points


def _volume(points: Floats) -> float:
    return hypervolume(points, ref=[0.0] * points.shape[1])


def _facts(run: Mapping[str, Any]) -> dict[str, Any]:
    """What is known of a run without its answers."""
    seconds = {phase: float(value) for phase, value in (run.get("seconds") or {}).items()}
    if not seconds:
        for part in run.get("costs") or []:
            seconds[part["phase"]] = seconds.get(part["phase"], 0.0) + part["seconds"]
    plain = ("method", "kind", "budget", "seed", "error")
    shown = ("ablation", "against", "unreached", *DESCRIBED, "options", "notes")
    counts = ("models", "trained_tokens", "generated_tokens", "scored")
    return {
        **{name: run[name] for name in plain},
        **{name: run.get(name) for name in (*shown, *counts)},
        "costs": list(run.get("costs") or []),
        "seconds": seconds,
        "seconds_all": sum(seconds.values()) if seconds else None,
        "policies": [dict(policy) for policy in run.get("policies") or []],
        "points": [],
    }


def _base(run: Mapping[str, Any], runs: Sequence[Mapping[str, Any]]) -> Mapping[str, Any] | None:
    """The base's run nearest to this one: of its seed if there is one, then of its budget."""
    bases = [r for r in runs if r["kind"] == "base" and r["error"] is None]
    near = sorted(bases, key=lambda r: (r["seed"] != run["seed"], r["budget"] != run["budget"]))
    return near[0] if near else None


def _adjusted(
    run: Mapping[str, Any],
    runs: Sequence[Mapping[str, Any]],
    scores: Mapping[str, Floats],
    answers: Mapping[str, pl.DataFrame],
) -> list[Floats] | None:
    """The run's scores with those of echoed answers replaced by the base's on the same prompt."""
    base = _base(run, runs)
    if base is None:
        return None
    plain = scores[base["policies"][0]["answers"]]
    keys = [policy["answers"] for policy in run["policies"]]
    return [np.where(answers[k]["echo"].to_numpy()[:, None], plain, scores[k]) for k in keys]


def _front(points: Floats) -> dict[str, Any]:
    front = np.unique(points[pareto_front(points)], axis=0)
    return {"front": len(front), "sparsity": metrics.sparsity(front)}


def _text(
    run: Mapping[str, Any], answers: Mapping[str, pl.DataFrame], names: Sequence[str]
) -> dict[str, Any]:
    """What the answers' text says, per policy (`points`) and over all; whether w was followed."""
    points = []
    for policy in run["policies"]:
        frame = answers[policy["answers"]]
        points.append(
            {
                "weights": policy["weights"],
                "n": len(frame),
                "reward": {name: mean_and_error(frame[name]) for name in names},
                "short": _mean(frame["short"]),
                "repetitive": _mean(frame["repetitive"]),
                "collapse": _mean(frame["short"] | frame["repetitive"]),
                "echo": _mean(frame["echo"]),
                "entropy": _mean(frame["entropy"]) if "entropy" in frame.columns else None,
                **{name: _mean(frame[name]) for name in ("words", "tokens", "finished")},
            }
        )
    over = ("short", "repetitive", "collapse", "echo", "entropy", "words", "tokens", "finished")
    ranks: dict[str, float | None] = dict.fromkeys(names)
    if all(point["weights"] is not None for point in points):
        for i, name in enumerate(names):
            asked = [point["weights"][i] for point in points]
            value = metrics.rank_correlation(asked, [p["reward"][name]["mean"] for p in points])
            ranks[name] = None if math.isnan(value) else value
    return {
        "points": points,
        **{name: average(point[name] for point in points) for name in over},
        "rank_correlation": ranks,
        "rank_mean": average(ranks.values()),
    }


def _mean(column: pl.Series) -> float | None:
    values = column.cast(pl.Float64).drop_nulls().drop_nans()
    return float(values.mean()) if len(values) else None  # type: ignore[arg-type]
