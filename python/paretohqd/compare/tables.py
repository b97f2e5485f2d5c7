"""A comparison's numbers as tables: one row per run, per point, per method, per cost."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import polars as pl

from paretohqd.compare.measures import ComparisonResult, Interval, MethodResult, WinRate
from paretohqd.compare.over_seeds import average
from paretohqd.compare.prices import cost
from paretohqd.compare.records import RunRecord
from paretohqd.selection.preferences import format_weights

Row = dict[str, object]

PREFERENCES = (1, 3, 11)
"""Numbers of preferences whose costs are worked out; the paper has 11."""
PER = ("once", "objective", "preference", "representative")
COUNTED = {
    "seconds": "seconds",
    "trained_tokens": "trained",
    "generated_tokens": "generated",
    "passed_tokens": "passed",
    "scored": "scored",
}
"""Columns of costs, and the field of a `Cost` that each sums."""
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
COSTS = ("models", "trained_tokens", "generated_tokens", "cost", "scored")


def methods_table(result: ComparisonResult) -> pl.DataFrame:
    """One row per budget, method and seed: `methods.csv`. A failed run keeps its row.

    `utility` and `hypervolume` are on the scale of the data. `utility_se` and the 95 % interval of
    the hypervolume are over prompts: they describe this run's models, not its method.
    `utility_adjusted` and `echo_adjusted` are the two with echoed answers at no more than the
    base's scores, `utility_tchebycheff`, `following` and (with validation prompts) `missteering`
    those of `serving`; `rank NAME` is the rank correlation of the weight on an objective with its
    mean reward, `rank_mean` their mean; `cost` is that of the tokens in seconds at fixed prices.
    Where some method takes more than one forward pass for a token of an answer at use,
    `passes_at_use` says how many, and `sees_scorers` whether the scorers that evaluate choose what
    is answered. `reconstructed` says which methods were rebuilt without their authors' code.
    """
    served = _served(result)
    phases = dict.fromkeys(phase for measured in result.runs for phase in measured.seconds)
    rows = []
    for measured in result.runs:
        run = measured.run
        row: Row = _named(run) | {"kind": run.kind, "ablation": bool(run.ablation)}
        row |= _marked(result, run)
        row |= {"seed": run.seed, "status": measured.status, "error": run.error}
        row |= {"policies": len(run.policies), "n": measured.n}
        row |= {"utility": measured.utility, "utility_se": measured.utility_se}
        row |= measured.values(("utility_adjusted", *served, "hypervolume"))
        row |= {"hypervolume_low": measured.hypervolume_low}
        row |= {"hypervolume_high": measured.hypervolume_high}
        row |= measured.values(("echo_adjusted", *MEASURED))
        row |= {f"rank {name}": measured.rank_correlation.get(name) for name in result.objectives}
        row |= measured.values(("rank_mean", *COSTS)) | _at_use(result, run)
        row |= {f"seconds {phase}": measured.seconds.get(phase) for phase in phases}
        rows.append(row | {"seconds": measured.seconds_all})
    return pl.DataFrame(rows, infer_schema_length=None)


def points_table(result: ComparisonResult) -> pl.DataFrame:
    """One row per policy of each run that did not fail: `points.csv`.

    `preference` is the policy's number; `weights` is `-` where a method takes none; `NAME se` is
    over prompts, of this run's model.
    """
    rows = []
    for measured in result.runs:
        for number, point in enumerate(measured.points):
            weights = "-" if point.weights is None else format_weights(point.weights)
            row: Row = _named(measured.run) | {"seed": measured.run.seed}
            row |= {"preference": number, "weights": weights}
            for name in result.objectives:
                row |= {name: point.reward[name].mean, f"{name} se": point.reward[name].se}
            row |= {"n": point.n, "echo": point.echo, "collapse": point.collapse}
            row |= {"short": point.short, "repetitive": point.repetitive}
            row |= {"entropy": point.entropy, "words": point.words, "tokens": point.tokens}
            rows.append(row)
    if not rows:  # a CSV file needs a header even if all runs failed
        return pl.DataFrame(schema=["budget", "method", "seed", "preference", "weights"])
    return pl.DataFrame(rows, infer_schema_length=None)


def summary_table(result: ComparisonResult) -> pl.DataFrame:
    """One row per budget and method, averaged over its seeds, with the verdicts.

    `low`, `high` and `spread` are of the utility: its 95 % interval over prompts and seeds, and the
    standard deviation between seeds. `reference ...`, `echo_adjusted ...` and `base ...` are the
    differences in utility to the method that `reference name` names, to the same with echoes
    adjusted, and to the base; `tchebycheff ...` is the difference to the reference in
    `utility_tchebycheff`, `win_rate` how often the method lies above the reference (see `WinRate`).
    `reference corrected` is p after Holm, by which a verdict of better or worse is given, and
    `reference low_90` and `high_90` are the ends of the 90 % interval, by which the others are.
    With one seed there is no interval and no verdict. `chosen_on` tells by which prompts, test or
    validation, a method's policy for each preference was chosen, where one has several policies
    that take no weights.
    """
    rows, served = [], _served(result)
    choices = "missteering" in served or any(entry.chosen_on for entry in result.methods)
    for entry in result.methods:
        row: Row = {"budget": entry.budget, "method": entry.method}
        row |= {"kind": entry.kind, "ablation": entry.ablation}
        row |= _marked(result, entry)
        row |= {"seeds": len(entry.seeds), "failed": len(entry.failed)}
        row |= {"policies": entry.policies}
        row |= {"chosen_on": entry.chosen_on} if choices else {}
        row |= {"utility": entry.utility}
        row |= {"low": entry.low, "high": entry.high, "spread": entry.spread}
        row |= entry.values(("utility_adjusted", "hypervolume", "echo_adjusted"))
        for name in served:
            row |= {name: getattr(entry, name)}
            row |= _ends(name, entry.intervals.get(name))
        wins = entry.against.win_rate
        row |= {"win_rate": wins.mean if wins else None} | _ends("win_rate", wins)
        for side in ("reference", "echo_adjusted", "tchebycheff", "base"):
            difference = getattr(entry.against, side)
            columns: tuple[str, ...] = ("mean", "low", "high")
            if side == "reference":
                columns = ("name", *columns, "p", "corrected", "verdict")
            row |= {f"{side} {name}": getattr(difference, name, None) for name in columns}
            if side == "reference":
                whole = difference.whole if difference else None
                row |= {f"{side} {end}": getattr(whole, end, None) for end in ("low_90", "high_90")}
        row |= entry.values(MEASURED)
        row |= {f"rank {name}": rank for name, rank in entry.rank_correlation.items()}
        row |= entry.values(("rank_mean", *COSTS)) | _at_use(result, entry)
        rows.append(row | {"seconds": entry.seconds_all})
    return pl.DataFrame(rows, infer_schema_length=None)


def _served(result: ComparisonResult) -> tuple[str, ...]:
    """Measures of how preferences are served, beside utility."""
    validated = any(measured.run.chosen is not None for measured in result.runs)
    return ("utility_tchebycheff", "following", *(["missteering"] if validated else []))


def _at_use(result: ComparisonResult, one: RunRecord | MethodResult) -> Row:
    """What answers cost at use, where some method's cost more than one pass of the model."""
    if not any(entry.dear_at_use for entry in result.methods):
        return {}
    return {"passes_at_use": one.passes, "sees_scorers": one.sees_scorers}


def _marked(result: ComparisonResult, one: RunRecord | MethodResult) -> Row:
    """Which methods were rebuilt without their authors' code, where some were."""
    some = any(entry.reconstructed for entry in result.methods)
    return {"reconstructed": one.reconstructed} if some else {}


def _ends(name: str, interval: Interval | WinRate | None) -> Row:
    ends = (interval.low, interval.high) if interval else (None, None)
    return {f"{name} low": ends[0], f"{name} high": ends[1]}


def cost_table(result: ComparisonResult, preferences: Sequence[int] = PREFERENCES) -> pl.DataFrame:
    """What each method costs for some numbers of preferences, from its measured parts.

    The parts of a run add up to what it cost. Parts per preference grow with the number of
    preferences; parts per representative (of M corners and the balanced model, see
    `runs.sampling.representatives`) up to M + 1 of them; parts once and per objective do not. Where
    a model of all preferences trains longer the more there are, its cost is that of the training it
    had.

    Args:
        result: What was measured.
        preferences: Numbers of preferences; those that the runs had are added.

    Returns:
        One row per budget, method and number: `seconds`, `trained_tokens`, `generated_tokens`,
        `passed_tokens` (read without a gradient), `scored` and `cost` (of the tokens, at fixed
        prices), averaged over seeds, and `basis`: `measured` where a run had this number of
        preferences, `no preferences` where the method takes none, else `computed`. Methods without
        parts have no row.

    Raises:
        ValueError: A part is per something else than PER names.
    """
    rows = []
    had = {entry.policies for entry in result.methods if entry.steered}
    preferences = sorted({*preferences, *had})
    for entry in result.methods:
        own = [result.runs[at] for at in entry.places]
        runs = [measured.run for measured in own if not measured.run.failed and measured.run.costs]
        for number in preferences if runs else ():
            parts = [_cost(run, number, len(result.objectives) + 1) for run in runs]
            row: Row = {"budget": entry.budget, "method": entry.method, "preferences": number}
            row |= {name: average(part[name] for part in parts) for name in COUNTED}
            row |= {"cost": average(map(_price, parts))}
            basis = "measured" if number == entry.policies else "computed"
            rows.append(row | {"basis": basis if entry.steered else "no preferences"})
    schema = {"budget": pl.String, "method": pl.String, "preferences": pl.Int64}
    schema |= dict.fromkeys((*COUNTED, "cost"), pl.Float64)
    return pl.DataFrame(rows, schema={**schema, "basis": pl.String}, infer_schema_length=None)


def _cost(run: RunRecord, number: int, most: int) -> dict[str, float]:
    """What a run would have cost with another number of preferences; `most` representatives."""
    steered = all(policy.weights is not None for policy in run.policies)
    total = dict.fromkeys(COUNTED, 0.0)
    for part in run.costs:
        if part.per not in PER:
            raise ValueError(
                f"{run.method}: a cost is per {part.per!r}; it can be per {', '.join(PER)}"
            )
        times, own = 1.0, len(run.policies)
        if steered and part.per == "preference":
            times = number / own
        elif steered and part.per == "representative":
            times = min(number, most) / min(own, most)
        for name, counted in COUNTED.items():
            total[name] += times * getattr(part, counted)
    return total


def _price(counted: Mapping[str, float]) -> float:
    """What these tokens cost at fixed prices."""
    names = ("trained_tokens", "generated_tokens", "passed_tokens")
    return cost(*(counted[name] for name in names))


def _named(run: RunRecord) -> Row:
    return {"budget": run.budget, "method": run.method}
