"""What the tuned models achieve on held-out prompts, and the table that says so."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence

import polars as pl

from paretohqd.frames import text_metrics
from paretohqd.kernels import statistics
from paretohqd.kernels.hypervolume import hypervolume
from paretohqd.plots import progress
from paretohqd.runs import layout
from paretohqd.runs.metrics import Collapse, Metrics, ModelMeasures, SampleMean, SetValues
from paretohqd.runs.sections import Evaluation
from paretohqd.runs.utility import scaled, served
from paretohqd.runs.verdicts import compare_corners, mean_and_error, sentence
from paretohqd.selection.preferences import format_weights


def measure(answers: pl.DataFrame, spec: Evaluation) -> pl.DataFrame:
    """Add what the text alone shows of each answer: words, short, repetitive, echo."""
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
) -> Metrics:
    """Everything that the report and the table need, from every model's measured answers.

    Args:
        answers: Model name (`base`, `stage1-00`, ...) to its answers, the same prompts in the same
            order, with one column per objective and those of `measure`.
        objectives: Their names.
        preferences: Weights of each preference.
        bounds: The rewards that are 0 and 1 on the scale, for each objective.
    """
    names = tuple(objectives)
    rows = tuple(tuple(map(float, weights)) for weights in preferences)
    scale = {name: (float(bounds[name][0]), float(bounds[name][1])) for name in names}
    base = answers[layout.BASE]
    models = tuple(_measured(model, answers[model], base, names, rows) for model in answers)
    stages = sorted({model.stage for model in models if model.stage})
    last = {model.model: model.weights for model in models if model.stage in (0, stages[-1])}
    utility, volume = _set_values(models, names, scale, rows)
    return Metrics(
        objectives=names,
        preferences=rows,
        models=models,
        bounds=scale,
        utility=utility,
        hypervolume=volume,
        findings=compare_corners(last, answers, names),
        rank_correlation={
            layout.stage_name(stage): _rank_correlation(models, names, stage) for stage in stages
        },
    )


def _measured(
    model: str,
    answers: pl.DataFrame,
    base: pl.DataFrame,
    objectives: Sequence[str],
    preferences: Sequence[tuple[float, ...]],
) -> ModelMeasures:
    """The means of one model's answers."""
    stage, preference = layout.parse_model(model)
    gain = {name: mean_and_error(answers[name] - base[name]) for name in objectives}
    return ModelMeasures(
        model=model,
        stage=stage,
        preference=preference,
        weights=None if preference is None else preferences[preference],
        n=len(answers),
        reward={name: mean_and_error(answers[name]) for name in objectives},
        gain=None if preference is None else gain,
        collapse=Collapse(
            short=_mean(answers["short"]),
            repetitive=_mean(answers["repetitive"]),
            any=_mean(answers["short"] | answers["repetitive"]),
        ),
        echo=_mean(answers["echo"]),
        words=_mean(answers["words"]),
        tokens=_mean(answers["tokens"]),
        finished=_mean(answers["finished"]),
    )


def _mean(column: pl.Series) -> float:
    return float(column.to_numpy().mean())


def _set_values(
    models: Sequence[ModelMeasures],
    objectives: Sequence[str],
    bounds: Mapping[str, Sequence[float]],
    preferences: Sequence[Sequence[float]],
) -> tuple[SetValues, SetValues]:
    """Utility and hypervolume of the base, of each stage's models and of the best single one.

    Of mean rewards, scaled by the data's bounds; the hypervolume's reference is 0. Several models
    cover more than one does whatever they are, so the best single model stands beside the sets.
    """
    points = scaled([[m.reward[name].mean for name in objectives] for m in models], bounds)
    sets = {layout.BASE: [0]}
    for stage in sorted({model.stage for model in models if model.stage}):
        sets[layout.stage_name(stage)] = [i for i, m in enumerate(models) if m.stage == stage]

    def utility(rows: list[int]) -> float:
        weights = [models[row].weights for row in rows] if len(rows) > 1 else [None]
        return float(served(points[rows, None], weights, preferences)[0])

    def volume(rows: list[int]) -> float:
        return hypervolume(points[rows], ref=[0.0] * len(objectives))

    def values(value: Callable[[list[int]], float]) -> SetValues:
        single = [value([row]) for row in range(len(models))]
        best = single.index(max(single))
        return SetValues(
            sets={name: value(rows) for name, rows in sets.items()} | {"best_single": single[best]},
            best_single_model=models[best].model,
        )

    return values(utility), values(volume)


def _rank_correlation(
    models: Sequence[ModelMeasures], objectives: Sequence[str], stage: int
) -> dict[str, float | None]:
    """Rank correlation of an objective's weight and the reward reached in it, per objective."""
    tuned = [(m.weights, m.reward) for m in models if m.stage == stage and m.weights is not None]
    correlations: dict[str, float | None] = {}
    for i, name in enumerate(objectives):
        value = statistics.rank_correlation(
            [weights[i] for weights, _ in tuned], [reward[name].mean for _, reward in tuned]
        )
        correlations[name] = None if math.isnan(value) else value
    return correlations


def table(metrics: Metrics) -> pl.DataFrame:
    """One row per model: weights, rewards with their errors, gains over the base, text measures."""
    rows = []
    for m in metrics.models:
        row: dict[str, str | float | None] = {"model": m.model}
        row["weights"] = "-" if m.weights is None else format_weights(m.weights)
        for name in metrics.objectives:
            row[name] = m.reward[name].mean
            row[f"{name} se"] = m.reward[name].se
            row[f"{name} gain"] = m.gain[name].mean if m.gain else None
            row[f"{name} gain se"] = m.gain[name].se if m.gain else None
        row |= {f"collapse {cause}": share for cause, share in vars(m.collapse).items()}
        row |= {"echo": m.echo, "words": m.words, "tokens": m.tokens}
        row |= {"finished": m.finished, "n": m.n}
        rows.append(row)
    return pl.DataFrame(rows, infer_schema_length=None)


def render(metrics: Metrics) -> str:
    """The table and the lines below it, as plain text for a terminal or a log."""
    names = metrics.objectives
    head = ["model", "w", *(f"{n} (se)" for n in names), *(f"vs base (se): {n}" for n in names)]
    head += ["short", "loops", "echo", "words", "ended"]
    rows = [head]
    for m in metrics.models:
        row = [m.model, "" if m.weights is None else format_weights(m.weights)]
        row += [_with_error(m.reward[name], "") for name in names]
        row += [_with_error(m.gain[name], "+") if m.gain else "" for name in names]
        row += [f"{100 * share:.0f} %" for share in (m.collapse.short, m.collapse.repetitive)]
        row += [f"{100 * m.echo:.0f} %", f"{m.words:.0f}", f"{100 * m.finished:.0f} %"]
        rows.append(row)
    return "\n".join([progress.table(rows), "", *_below(metrics)])


def render_seconds(seconds: Mapping[str, float]) -> str:
    """Seconds per phase: stages of one kind added up.

    Example:
        >>> render_seconds({"stage1/fit/00": 2.0, "stage1/fit/01": 3.0, "answers/base": 1.0})
        'seconds: stage1/fit 5.0   answers 1.0   in all 6.0'
    """
    text = "   ".join(f"{phase} {total:.1f}" for phase, (total, _) in phases(seconds).items())
    return f"seconds: {text}   in all {sum(seconds.values()):.1f}"


def phases(seconds: Mapping[str, float]) -> dict[str, tuple[float, int]]:
    """Seconds and number of the parts of each phase, in the order of their first parts.

    Example:
        >>> phases({"data": 1, "stage1/fit/00": 2, "stage1/fit/01": 3, "answers/base": 4})
        {'data': (1, 1), 'stage1/fit': (5, 2), 'answers': (4, 1)}
    """
    totals: dict[str, tuple[float, int]] = {}
    for name, value in seconds.items():
        phase = layout.phase(name)
        total, count = totals.get(phase, (0, 0))
        totals[phase] = total + value, count + 1
    return totals


def _below(metrics: Metrics) -> list[str]:
    lines = [sentence(finding) for finding in metrics.findings]
    bounds = ", ".join(f"{n} [{a:.3g}, {b:.3g}]" for n, (a, b) in metrics.bounds.items())
    lines.append(f"on the scale of the data, {bounds} to [0, 1] (10 % and 90 % quantiles):")
    lines.append("  utility, mean of w . z of the model asked for w: " + _sets(metrics.utility))
    lines.append("  hypervolume of the mean rewards, reference 0: " + _sets(metrics.hypervolume))
    lines.append("  (several models always cover more than one: compare with the best single one)")
    lines.append("  (one training each: how far another seed's models would lie is not known)")
    for stage, row in metrics.rank_correlation.items():
        text = ", ".join(f"{n} {'-' if v is None else f'{v:+.2f}'}" for n, v in row.items())
        lines.append(f"rank correlation of weight and reward, {stage}: {text}")
    return lines


def _sets(values: SetValues) -> str:
    best = f"best single ({values.best_single_model})"
    return "   ".join(
        f"{best if name == 'best_single' else name} {value:.4g}"
        for name, value in values.sets.items()
    )


def _with_error(value: SampleMean, sign: str) -> str:
    error = "-" if value.se is None else f"{value.se:.3f}"
    return f"{value.mean:{sign}.3f} ({error})"
