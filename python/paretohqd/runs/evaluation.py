"""What the tuned models achieve on held-out prompts, and the table that says so."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import polars as pl

from paretohqd.frames import text_metrics
from paretohqd.kernels import statistics
from paretohqd.kernels.hypervolume import hypervolume
from paretohqd.runs import layout
from paretohqd.runs.config import Evaluation
from paretohqd.runs.utility import scaled, served
from paretohqd.runs.verdicts import findings, mean_and_error, sentence
from paretohqd.selection.preferences import format_weights


def measure(answers: pl.DataFrame, spec: Evaluation) -> pl.DataFrame:
    """Add what can be told from the text alone: words, short, repetitive, echo (per answer)."""
    responses = answers["response"].to_list()
    collapsed = text_metrics.collapse(
        responses,
        min_words=spec.min_words,
        max_ngram=spec.max_ngram,
        repeats=spec.repeats,
        distinct=spec.distinct,
    )
    echo = text_metrics.echo(answers["prompt"].to_list(), responses, threshold=spec.echo)
    return answers.with_columns(
        words=pl.Series([len(text_metrics.words(text)) for text in responses], dtype=pl.Int32),
        short=pl.Series(collapsed.short),
        repetitive=pl.Series(collapsed.repetitive),
        echo=pl.Series(echo),
    )


def summarise(
    answers: Mapping[str, pl.DataFrame],
    *,
    objectives: Sequence[str],
    preferences: Sequence[Sequence[float]],
    bounds: Mapping[str, Sequence[float]],
) -> dict[str, Any]:
    """Everything that the report and the table need, from every model's measured answers.

    Args:
        answers: model name (`base`, `stage1-00`, ...) to its answers, the same prompts in the same
            order, with one column per objective and those of `measure`.
        objectives: their names.
        preferences: weights of each preference.
        bounds: of each objective the reward that is 0 on the scale and the one that is 1.
    """
    names = list(objectives)
    base = answers[layout.BASE]
    models: list[dict[str, Any]] = []
    for model, frame in answers.items():
        stage, preference = layout.parse_model(model)
        models.append(
            {
                "model": model,
                "stage": stage,
                "preference": preference,
                "weights": None if preference is None else list(preferences[preference]),
                "n": len(frame),
                "reward": {name: mean_and_error(frame[name]) for name in names},
                "gain": None
                if model == layout.BASE
                else {name: mean_and_error(frame[name] - base[name]) for name in names},
                "collapse": {
                    "short": _share(frame["short"]),
                    "repetitive": _share(frame["repetitive"]),
                    "any": _share(frame["short"] | frame["repetitive"]),
                },
                "echo": _share(frame["echo"]),
                "words": float(frame["words"].mean()),  # type: ignore[arg-type]
                "tokens": float(frame["tokens"].mean()),  # type: ignore[arg-type]
                "finished": _share(frame["finished"]),
            }
        )
    stages = sorted({m["stage"] for m in models if m["stage"]})
    return {
        "objectives": names,
        "preferences": [list(w) for w in preferences],
        "models": models,
        "bounds": {name: list(bounds[name]) for name in names},
        **_of_sets(models, names, {name: bounds[name] for name in names}, preferences),
        "findings": findings([m for m in models if m["stage"] in (0, stages[-1])], answers, names),
        "rank_correlation": {layout.stage_name(s): _agreement(models, names, s) for s in stages},
    }


def _share(flags: pl.Series) -> float:
    return float(flags.to_numpy().mean())


def _of_sets(
    models: Sequence[dict[str, Any]],
    names: list[str],
    bounds: Mapping[str, Sequence[float]],
    preferences: Sequence[Sequence[float]],
) -> dict[str, Any]:
    """Utility and hypervolume of the base, of each stage's models and of the best single one.

    Of mean rewards, scaled by the data's bounds; the hypervolume's reference is 0. Several models
    cover more than one does whatever they are, so the best single model stands beside the sets.
    """
    points = scaled([[m["reward"][name]["mean"] for name in names] for m in models], bounds)
    sets = {layout.BASE: [0]}
    for stage in sorted({m["stage"] for m in models if m["stage"]}):
        sets[layout.stage_name(stage)] = [i for i, m in enumerate(models) if m["stage"] == stage]

    def utility(rows: list[int]) -> float:
        asked = [models[row]["weights"] for row in rows] if len(rows) > 1 else [None]
        return float(served(points[rows, None], asked, preferences)[0])

    def volume(rows: list[int]) -> float:
        return hypervolume(points[rows], ref=[0.0] * len(names))

    found = {}
    for kind, worth in (("utility", utility), ("hypervolume", volume)):
        alone = [worth([row]) for row in range(len(models))]
        best = alone.index(max(alone))
        found[kind] = {
            "sets": {name: worth(rows) for name, rows in sets.items()}
            | {"best_single": alone[best]},
            "best_single_model": models[best]["model"],
        }
    return found


def _agreement(
    models: Sequence[dict[str, Any]], names: list[str], stage: int
) -> dict[str, float | None]:
    """Rank correlation of what was asked for and what was achieved, per objective."""
    chosen = [m for m in models if m["stage"] == stage]
    found = {}
    for i, name in enumerate(names):
        asked = [m["weights"][i] for m in chosen]
        value = statistics.rank_correlation(asked, [m["reward"][name]["mean"] for m in chosen])
        found[name] = None if math.isnan(value) else value
    return found


def table(summary: Mapping[str, Any]) -> pl.DataFrame:
    """One row per model: weights, rewards with their errors, gains over the base, text measures."""
    rows = []
    for m in summary["models"]:
        row: dict[str, Any] = {"model": m["model"]}
        row["weights"] = "-" if m["weights"] is None else format_weights(m["weights"])
        for name in summary["objectives"]:
            row[name] = m["reward"][name]["mean"]
            row[f"{name} se"] = m["reward"][name]["se"]
            row[f"{name} gain"] = m["gain"][name]["mean"] if m["gain"] else None
            row[f"{name} gain se"] = m["gain"][name]["se"] if m["gain"] else None
        row |= {f"collapse {cause}": rate for cause, rate in m["collapse"].items()}
        row |= {key: m[key] for key in ("echo", "words", "tokens", "finished", "n")}
        rows.append(row)
    return pl.DataFrame(rows, infer_schema_length=None)


def render(summary: Mapping[str, Any]) -> str:
    """The table and what stands below it, as plain text for a terminal or a log."""
    names = summary["objectives"]
    head = ["model", "w", *(f"{n} (se)" for n in names), *(f"vs base (se): {n}" for n in names)]
    head += ["short", "loops", "echo", "words", "ended"]
    rows = [head]
    for m in summary["models"]:
        row = [m["model"], "" if m["weights"] is None else format_weights(m["weights"])]
        row += [_pair(m["reward"][n], "") for n in names]
        row += [_pair(m["gain"][n], "+") if m["gain"] else "" for n in names]
        row += [f"{100 * m['collapse'][cause]:.0f} %" for cause in ("short", "repetitive")]
        row += [f"{100 * m['echo']:.0f} %", f"{m['words']:.0f}", f"{100 * m['finished']:.0f} %"]
        rows.append(row)
    widths = [max(len(row[i]) for row in rows) for i in range(len(head))]
    lines = ["  ".join(c.ljust(w) for c, w in zip(r, widths, strict=True)).rstrip() for r in rows]
    lines.insert(1, "  ".join("-" * w for w in widths))
    return "\n".join([*lines, "", *_below(summary)])


def render_seconds(seconds: Mapping[str, float]) -> str:
    """Seconds per phase: stages of one kind added up.

    >>> render_seconds({"stage1/fit/00": 2.0, "stage1/fit/01": 3.0, "answers/base": 1.0})
    'seconds: stage1/fit 5.0   answers 1.0   in all 6.0'
    """
    found = phases(seconds)
    text = "   ".join(f"{phase} {total:.1f}" for phase, (total, _) in found.items())
    return f"seconds: {text}   in all {sum(seconds.values()):.1f}"


def phases(seconds: Mapping[str, float]) -> dict[str, tuple[float, int]]:
    """Seconds and number of the parts of each phase, in the order of their first parts.

    Example:
        >>> phases({"data": 1, "stage1/fit/00": 2, "stage1/fit/01": 3, "answers/base": 4})
        {'data': (1, 1), 'stage1/fit': (5, 2), 'answers': (4, 1)}
    """
    found: dict[str, tuple[float, int]] = {}
    for name, value in seconds.items():
        phase = layout.phase(name)
        total, count = found.get(phase, (0, 0))
        found[phase] = total + value, count + 1
    return found


def _below(summary: Mapping[str, Any]) -> list[str]:
    lines = [sentence(finding) for finding in summary["findings"]]
    bounds = ", ".join(f"{n} [{a:.3g}, {b:.3g}]" for n, (a, b) in summary["bounds"].items())
    lines.append(f"on the scale of the data, {bounds} to [0, 1] (10 % and 90 % quantiles):")
    lines.append("  utility, mean of w . z of the model asked for w: " + _sets(summary["utility"]))
    lines.append("  hypervolume of the mean rewards, reference 0: " + _sets(summary["hypervolume"]))
    lines.append("  (several models always cover more than one: compare with the best single one)")
    lines.append("  (one training each: how far another seed's models would lie is not known)")
    for stage, found in summary["rank_correlation"].items():
        text = ", ".join(f"{n} {'-' if v is None else f'{v:+.2f}'}" for n, v in found.items())
        lines.append(f"rank correlation of weight and reward, {stage}: {text}")
    return lines


def _sets(worth: Mapping[str, Any]) -> str:
    best = f"best single ({worth['best_single_model']})"
    return "   ".join(
        f"{best if name == 'best_single' else name} {value:.4g}"
        for name, value in worth["sets"].items()
    )


def _pair(value: Mapping[str, float | None], sign: str) -> str:
    error = "-" if value["se"] is None else f"{value['se']:.3f}"
    return f"{value['mean']:{sign}.3f} ({error})"
