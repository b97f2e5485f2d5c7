"""A comparison's numbers as tables: one row per run, per point, per method, per cost."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import polars as pl

from paretohqd.compare.over_seeds import average
from paretohqd.selection.preferences import format_weights

PREFERENCES = (1, 3, 11)
"""Numbers of preferences that a cost is told for; the paper has 11."""
PER = ("once", "objective", "preference", "representative")
COUNTED = ("seconds", "trained", "generated", "scored")
MEASURED = (
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
)
STANDING = (
    "utility",
    "utility_se",
    "utility_adjusted",
    "hypervolume",
    "hypervolume_low",
    "hypervolume_high",
    "echo_adjusted",
)
COSTS = ("models", "trained_tokens", "generated_tokens", "scored")


def methods_table(standing: Mapping[str, Any]) -> pl.DataFrame:
    """One row per budget, method and seed: `methods.csv`. A failed run keeps its row.

    `utility` and `hypervolume` are on the scale of the data. `utility_se` and the 95 % interval of
    the hypervolume are over prompts: they tell of this run's models, not of its method.
    `utility_adjusted` and `echo_adjusted` are the two with echoed answers at no more than the
    base's scores; `rank NAME` is the rank correlation of the weight on an objective with its mean
    reward, `rank_mean` their mean.
    """
    phases = dict.fromkeys(phase for run in standing["runs"] for phase in run["seconds"])
    rows = []
    for run in standing["runs"]:
        ranks = run.get("rank_correlation") or {}
        row = {name: run[name] for name in ("budget", "method", "kind")}
        row |= {"ablation": bool(run["ablation"])}
        row |= {name: run[name] for name in ("seed", "status", "error")}
        row |= {"policies": len(run["policies"]), "n": run.get("n")}
        row |= {name: run.get(name) for name in (*STANDING, *MEASURED)}
        row |= {f"rank {name}": ranks.get(name) for name in standing["objectives"]}
        row |= {"rank_mean": run.get("rank_mean"), **{name: run[name] for name in COSTS}}
        row |= {f"seconds {phase}": run["seconds"].get(phase) for phase in phases}
        rows.append(row | {"seconds": run["seconds_all"]})
    return pl.DataFrame(rows, infer_schema_length=None)


def points_table(standing: Mapping[str, Any]) -> pl.DataFrame:
    """One row per policy of each run that did not fail: `points.csv`.

    `preference` is the policy's place; `weights` is `-` where a method takes none; `NAME se` is
    over prompts, of this run's model.
    """
    names = standing["objectives"]
    rows = []
    for run in standing["runs"]:
        for place, point in enumerate(run["points"]):
            weights = point["weights"]
            row = {name: run[name] for name in ("budget", "method", "seed")}
            row |= {
                "preference": place,
                "weights": "-" if weights is None else format_weights(weights),
            }
            for name in names:
                row[name] = point["reward"][name]["mean"]
                row[f"{name} se"] = point["reward"][name]["se"]
            told = ("n", "echo", "collapse", "short", "repetitive", "entropy", "words", "tokens")
            rows.append(row | {name: point[name] for name in told})
    if not rows:  # a CSV file needs a header even if all runs failed
        return pl.DataFrame(schema=["budget", "method", "seed", "preference", "weights"])
    return pl.DataFrame(rows, infer_schema_length=None)


def summary_table(standing: Mapping[str, Any]) -> pl.DataFrame:
    """One row per budget and method, averaged over its seeds, with the verdicts.

    `low`, `high` and `spread` are of the utility: its 95 % interval over prompts and seeds, and the
    standard deviation between seeds. `reference ...`, `echo_adjusted ...` and `base ...` are the
    differences in utility to the method that `reference name` names, to the same with echoes
    adjusted, and to the base; `reference corrected` is p after Holm, on which the verdict stands.
    With one seed there is no interval and no verdict.
    """
    rows = []
    for entry in standing["methods"]:
        row = {name: entry[name] for name in ("budget", "method", "kind")}
        row |= {"ablation": bool(entry["ablation"])}
        row |= {"seeds": len(entry["seeds"]), "failed": len(entry["failed"])}
        row |= {"policies": entry["policies"]}
        row |= {name: entry[name] for name in ("utility", "low", "high", "spread")}
        row |= {name: entry[name] for name in ("utility_adjusted", "hypervolume", "echo_adjusted")}
        for side, found in entry["against"].items():
            told: tuple[str, ...] = ("mean", "low", "high")
            if side == "reference":
                told = ("name", *told, "p", "corrected", "verdict")
            row |= {f"{side} {name}": found[name] if found else None for name in told}
        row |= {name: entry[name] for name in MEASURED}
        row |= {f"rank {name}": rank for name, rank in entry["rank_correlation"].items()}
        row |= {"rank_mean": entry["rank_mean"], **{name: entry[name] for name in COSTS}}
        rows.append(row | {"seconds": entry["seconds_all"]})
    return pl.DataFrame(rows, infer_schema_length=None)


def cost_table(
    standing: Mapping[str, Any], preferences: Sequence[int] = PREFERENCES
) -> pl.DataFrame:
    """What each method costs for some numbers of preferences, from its measured parts.

    The parts of a run add up to what it cost. Parts per preference grow with the number of
    preferences; parts per representative (of M corners and the balanced model, see
    `answers.representatives`) up to M + 1 of them; parts once and per objective do not. Where a
    model of all preferences trains longer the more there are, it is told as it was trained.

    Args:
        standing: from `standing.stand`.
        preferences: numbers of preferences; those that the runs had come besides.

    Returns:
        One row per budget, method and number: `seconds`, `trained_tokens`, `generated_tokens`,
        `scored`, averaged over seeds, and `basis`: `measured` where a run had this number of
        preferences, `no preferences` where the method takes none, else `computed`. Methods without
        parts have no row.

    Raises:
        ValueError: a part is per something else than PER names.
    """
    rows = []
    had = {entry["policies"] for entry in standing["methods"] if entry["steered"]}
    preferences = sorted({*preferences, *had})
    for entry in standing["methods"]:
        runs = [standing["runs"][at] for at in entry["places"]]
        runs = [run for run in runs if run["status"] == "ok" and run["costs"]]
        for number in preferences if runs else ():
            costs = [_cost(run, number, len(standing["objectives"]) + 1) for run in runs]
            row = {"budget": entry["budget"], "method": entry["method"], "preferences": number}
            for name, counted in zip(
                ("seconds", "trained_tokens", "generated_tokens", "scored"), COUNTED, strict=True
            ):
                row[name] = average(cost[counted] for cost in costs)
            own = entry["policies"]
            basis = "measured" if number == own else "computed"
            rows.append(row | {"basis": basis if entry["steered"] else "no preferences"})
    counts = dict.fromkeys(("seconds", "trained_tokens", "generated_tokens", "scored"), pl.Float64)
    schema = {"budget": pl.String, "method": pl.String, "preferences": pl.Int64, **counts}
    return pl.DataFrame(rows, schema={**schema, "basis": pl.String}, infer_schema_length=None)


def _cost(run: Mapping[str, Any], number: int, most: int) -> dict[str, float]:
    """What a run would have cost with another number of preferences; `most` representatives."""
    steered = all(policy["weights"] is not None for policy in run["policies"])
    total = dict.fromkeys(COUNTED, 0.0)
    for part in run["costs"]:
        if part["per"] not in PER:
            raise ValueError(
                f"{run['method']}: a cost is per {part['per']!r}; it can be per {', '.join(PER)}"
            )
        times, own = 1.0, len(run["policies"])
        if steered and part["per"] == "preference":
            times = number / own
        elif steered and part["per"] == "representative":
            times = min(number, most) / min(own, most)
        for name in COUNTED:
            total[name] += times * part.get(name, 0)
    return total
