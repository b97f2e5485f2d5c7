"""Where each method of a comparison stands: utility, hypervolume and what they hide.

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

from paretohqd.compare.bootstrap import Floats, interval, prompt_shares, volumes
from paretohqd.compare.over_seeds import DESCRIBED, average, over_seeds
from paretohqd.kernels import statistics
from paretohqd.kernels.hypervolume import hypervolume
from paretohqd.kernels.layers import pareto_front
from paretohqd.runs.utility import scaled, served
from paretohqd.runs.verdicts import mean_and_error

REPLICATES = 2000
TEXT = ("short", "repetitive", "echo", "words", "tokens", "finished")


def measure_runs(
    runs: Sequence[Mapping[str, Any]],
    answers: Mapping[str, pl.DataFrame],
    *,
    objectives: Sequence[str],
    preferences: Sequence[Sequence[float]],
    bounds: Mapping[str, Sequence[float]],
    reference: str,
    replicates: int = REPLICATES,
    seed: int = 0,
) -> dict[str, Any]:
    """Measure every run, and every method over its seeds.

    Rewards are scaled by `bounds`, which the data fix before any training, so that no method moves
    the scale of another. *Utility* is the mean over the preferences of w . z, z being the scaled
    rewards of the policy that serves w (see `utility.served`). Hypervolumes are of mean scaled
    rewards above 0. *Echo-adjusted*: an echoed answer counts in each objective with its own score
    or the base's on the same prompt, whichever is lower, so that a scorer that pays for echoes
    shows and no echo gains; where the base echoes as well its score is at most the scale's 0.

    The hypervolume of noisy means lies above that of the true ones, more so with more points; a
    run's interval (paired bootstrap over prompts, see `resampling`) allows for it. And a front of
    several points covers more than its best point does: `best_single` stands beside it.

    Args:
        runs: one per budget, method and seed, with `method`, `kind`, `budget`, `seed`, `error` and
            `policies` (`weights` or None, `answers`), what they cost (`costs`, see
            `standing_tables.cost_table`; `seconds` by phase, else summed from those; `models`,
            `trained_tokens`, `generated_tokens`, `scored`), and what is only shown.
        answers: `answers` of each policy to its held-out answers: `prompt`, `response`, a column
            per objective, and `short`, `repetitive`, `echo`, `words`, `tokens`, `finished` and, if
            known, `entropy`. All answer the same prompts in the same order.
        objectives: their names, larger is better.
        preferences: the weights w that are to be served.
        bounds: of each objective the reward that is 0 on the scale and the one that is 1.
        reference: the method that every other is compared with, under the same budget; a run's
            `against` names another one.
        replicates: of the bootstrap.
        seed: of the bootstrap.

    Returns:
        `objectives`, `prompts`, `bounds`, `reference`, `replicates`, `seed`; the `runs` with what
        was measured, their `points` among it; and the `methods`, one entry per budget and method.
        What cannot be known is None: of a failed run everything, with one prompt every interval,
        without a base what is measured against it.

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
        ...     [run], {"base": frame}, objectives=["x", "y"], preferences=[(1, 0), (0.5, 0.5)],
        ...     bounds={"x": (0, 4), "y": (0, 5)}, reference="a")
        >>> round(found["runs"][0]["utility"], 3), round(found["runs"][0]["hypervolume"], 3)
        (0.425, 0.1)
    """
    names = list(objectives)
    alive = [at for at, run in enumerate(runs) if run["error"] is None]
    _distinct(runs)
    scores, prompts = _scores([runs[at] for at in alive], answers, names)
    shares = prompt_shares(prompts, replicates, seed) if prompts > 1 else None
    scale = {name: bounds[name] for name in names}
    on_scale = {key: scaled(table, scale) for key, table in scores.items()}
    measured: list[dict[str, Any]] = []
    utilities: dict[int, dict[str, Floats]] = {}
    for at, run in enumerate(runs):
        if run["error"] is not None:
            measured.append({**_facts(run), "status": "failed"})
            continue
        asked = [policy["weights"] for policy in run["policies"]]
        own = np.stack([on_scale[policy["answers"]] for policy in run["policies"]])
        adjusted = _adjusted(run, runs, on_scale, answers)
        utilities[at] = {"utility": served(own, asked, preferences)}
        if adjusted is not None:
            utilities[at]["utility_adjusted"] = served(adjusted, asked, preferences)
        points = own.mean(axis=1)
        volume = _volume(points)
        ends: tuple[float | None, float | None] = (None, None)
        if shares is not None:
            low, high = interval(volumes(np.tensordot(shares, own, axes=(1, 1))), volume)
            ends = max(0.0, low), high
        measured.append(
            {
                **_facts(run),
                "status": "ok",
                "n": prompts,
                "utility_se": mean_and_error(pl.Series(utilities[at]["utility"])).se,
                "utility_adjusted": None,
                **{kind: float(values.mean()) for kind, values in utilities[at].items()},
                "hypervolume": volume,
                "hypervolume_low": ends[0],
                "hypervolume_high": ends[1],
                "echo_adjusted": None if adjusted is None else _volume(adjusted.mean(axis=1)),
                "best_single": max(_volume(point[None]) for point in points),
                **_front(points),
                **_text(run, answers, names),
            }
        )
    return {
        "objectives": names,
        "prompts": prompts,
        "bounds": {name: list(ends) for name, ends in scale.items()},
        "reference": reference,
        "replicates": replicates,
        "seed": seed,
        "runs": measured,
        "methods": over_seeds(measured, utilities, scores, objectives=names, reference=reference),
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


def _volume(points: Floats) -> float:
    return hypervolume(points, ref=[0.0] * points.shape[1])


def _facts(run: Mapping[str, Any]) -> dict[str, Any]:
    """What is known of a run without its answers."""
    seconds = {phase: float(value) for phase, value in (run.get("seconds") or {}).items()}
    if not seconds:
        for part in run.get("costs") or []:
            seconds[part["phase"]] = seconds.get(part["phase"], 0.0) + part["seconds"]
    plain = ("method", "kind", "budget", "seed", "error")
    shown = ("ablation", "against", *DESCRIBED, "options", "notes")
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
) -> Floats | None:
    """(P, N, m) scaled scores of which echoed answers have no more than the base's on the prompt.

    What the base echoes earns it no more than the scale's 0.
    """
    base = _base(run, runs)
    if base is None:
        return None

    def at_most(key: str, most: Floats | float) -> Floats:
        echo = answers[key]["echo"].to_numpy()[:, None]
        found: Floats = np.where(echo, np.minimum(scores[key], most), scores[key])
        return found

    plain = at_most(base["policies"][0]["answers"], 0.0)
    return np.stack([at_most(policy["answers"], plain) for policy in run["policies"]])


def _front(points: Floats) -> dict[str, Any]:
    front = np.unique(points[pareto_front(points)], axis=0)
    return {"front": len(front), "sparsity": statistics.sparsity(front)}


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
                "reward": {name: vars(mean_and_error(frame[name])) for name in names},
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
            value = statistics.rank_correlation(asked, [p["reward"][name]["mean"] for p in points])
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
