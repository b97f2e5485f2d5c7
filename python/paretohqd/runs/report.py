"""One self-contained HTML page about a finished run: findings, tables, charts and answers."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import numpy as np
import polars as pl
from markupsafe import Markup

from paretohqd.frames.conversations.messages import Message
from paretohqd.frames.conversations.prompts import read_prompt
from paretohqd.plots.page import FLAGS, answer_card, file_of, sample_prompts, template, write
from paretohqd.plots.run import evaluation_charts, training_chart
from paretohqd.plots.selection import selection_charts
from paretohqd.plots.theme import Chart, library, palette
from paretohqd.runs import layout
from paretohqd.runs.evaluation import phases
from paretohqd.runs.handover import adapter_folders, preference_labels
from paretohqd.runs.metrics import Facts, Metrics, ModelMeasures, SelectionSummary
from paretohqd.runs.trusted import refuse_links
from paretohqd.runs.written import shown_config
from paretohqd.safety.printing import printable
from paretohqd.selection.result import Selection

SAMPLE_PROMPTS = 6

Content = TypeVar("Content")


@dataclass(frozen=True, kw_only=True)
class StageView:
    """What the page shows of one stage's data and training."""

    name: str
    summary: SelectionSummary
    charts: Sequence[Chart]
    drawn: Mapping[str, int]
    training: Chart


@dataclass(frozen=True, kw_only=True)
class Card:
    """One model's answer to a sampled prompt."""

    preference: int | None
    text: str
    scores: Sequence[tuple[str, float]]
    """Objective and score."""
    flags: Sequence[str]


@dataclass(frozen=True, kw_only=True)
class Sample:
    """A held-out prompt and what the models answered."""

    prompt: Sequence[Message]
    cards: Sequence[Card]


def write_report(run: Path, out: Path) -> Path:
    """Write one HTML page about a finished run; it needs no network and no other file.

    Args:
        run: A run folder with `config.yaml`, `stage1/`, `evaluate/`, for two stages `stage2/`, and
            `facts.json`: seconds, versions, machine and seed.
        out: The page to write; its folder is made if need be.

    Returns:
        `out`.

    Raises:
        ValueError: The folder is not a finished run (the message names the missing file), is a link
            or holds one, or two models did not answer the same prompts.
        ImportError: `vl-convert-python` is not installed.
    """
    run, out = Path(run), Path(out)
    refuse_links(run)
    metrics = _metrics(run)
    facts = _read(Facts.from_json, run, layout.FACTS)
    # Names are anybody's text: pages escape it, and pictures, whose labels may act, do without.
    labels = preference_labels(metrics.preferences, ())
    named = preference_labels(metrics.preferences, [printable(name) for name in facts.names])
    last = max(model.stage for model in metrics.models)
    stages = [_stage(run, stage, labels, metrics.preferences) for stage in range(1, last + 1)]
    final = [model for model in metrics.models if model.stage in (0, last)]
    answers = {model.model: _answers(run, model.model, metrics.objectives) for model in final}
    _check_same_prompts(answers)
    page = template("report.html").render(
        run=run.resolve().name,
        config=shown_config(_text(run, layout.CONFIG)),
        metrics=metrics,
        facts=facts,
        objectives=metrics.objectives,
        labels=named,
        adapters=adapter_folders(run, last, len(labels)),
        colours=palette(metrics.preferences),
        last=last,
        stages=stages,
        evaluation=evaluation_charts(metrics.models, metrics.objectives, labels),
        phases=phases(facts.seconds),
        samples=_samples(final, answers, metrics.objectives, facts.seed),
        library=Markup(library()),  # not text from the run: the charts' own script
    )
    return write(page, out, folder=run)


def _metrics(run: Path) -> Metrics:
    """The measures of a run, unless an older version took them, on a scale of its models' own."""
    name = f"{layout.SUMMARY}/{layout.METRICS}"
    if "bounds" not in _read(json.loads, run, name):
        raise ValueError(
            f"{run} has no scale of the rewards, which older versions took from the models "
            "themselves: run `paretohqd run` again; it keeps what is done"
        )
    return _read(Metrics.from_json, run, name)


def _stage(
    run: Path, stage: int, labels: Sequence[str], preferences: Sequence[Sequence[float]]
) -> StageView:
    """Read the selection and the training logs of one stage."""
    select = layout.select(stage)
    summary = _read(SelectionSummary.from_json, run, f"{select}/{layout.SELECTION_SUMMARY}")
    charts, drawn = selection_charts(_selection(run, select, summary, preferences))
    fits = [layout.fit(stage, preference) for preference in range(len(labels))]
    logs = [_read(json.loads, run, f"{_folder(run, fit)}/{layout.LOG}") for fit in fits]
    title = f"Stage {stage}"
    training = training_chart(logs, labels, title)
    return StageView(name=title, summary=summary, charts=charts, drawn=drawn, training=training)


def _selection(
    run: Path, select: str, summary: SelectionSummary, preferences: Sequence[Sequence[float]]
) -> Selection:
    """What a stage chose, as it was before it was written."""
    names = list(summary.objectives)
    layered = pl.read_parquet(_file(run, f"{select}/{layout.POOL}"))
    weights = np.array(preferences, dtype=np.float64)
    paper = np.allclose(weights, summary.through)
    return Selection(
        rows=pl.read_parquet(_file(run, f"{select}/{layout.SELECTION}")),
        preferences=weights,
        objectives=dict.fromkeys(names, "max"),
        pool=layered.filter(pl.col("layer") >= 0),
        r_min=np.array(summary.r_min),
        r_max=np.array(summary.r_max),
        n_rows=summary.n,
        scores=layered.lazy().select(pl.selectors.by_name(*names)),
        directions="paper" if paper else "tchebycheff",
    )


def _answers(run: Path, model: str, objectives: Sequence[str]) -> pl.DataFrame:
    """The held-out answers of one model."""
    columns = ["prompt", "response", *objectives, "finished", *FLAGS]
    return pl.read_parquet(
        _file(run, f"{_folder(run, layout.evaluate(model))}/{layout.ANSWERS}"), columns=columns
    )


def _check_same_prompts(answers: Mapping[str, pl.DataFrame]) -> None:
    """Differences by prompt mean nothing unless row i is the same prompt for every model."""
    (first, reference), *others = answers.items()
    for model, frame in others:
        if not frame["prompt"].equals(reference["prompt"]):
            raise ValueError(
                f"{model} and {first} did not answer the same prompts in the same order: "
                "evaluate them again together"
            )


def _samples(
    models: Sequence[ModelMeasures],
    answers: Mapping[str, pl.DataFrame],
    objectives: Sequence[str],
    seed: int,
) -> list[Sample]:
    """A few held-out prompts, drawn with the run's seed, and what each model answered."""
    total = answers[models[0].model].height
    samples = []
    for row in sample_prompts(total, SAMPLE_PROMPTS, seed):
        replies = [(model, answers[model.model].row(row, named=True)) for model in models]
        cards = [
            Card(preference=model.preference, **answer_card(reply, objectives))
            for model, reply in replies
        ]
        samples.append(Sample(prompt=read_prompt(replies[0][1]["prompt"]), cards=cards))
    return samples


def _read(parse: Callable[[str], Content], run: Path, name: str) -> Content:
    """What a file of the run holds.

    Raises:
        ValueError: The file is missing or damaged.
    """
    text = _text(run, name)
    try:
        return parse(text)
    except ValueError as error:
        raise ValueError(f"{run / name} is damaged: {error}") from error


def _text(run: Path, name: str) -> str:
    """The text of a file of the run."""
    return _file(run, name).read_text(encoding="utf-8")


def _folder(run: Path, stage: str) -> str:
    """The folder of a stage, seen from the run's."""
    return layout.find(run, stage).relative_to(run).as_posix()


def _file(run: Path, name: str) -> Path:
    """A file that every finished run has."""
    return file_of(run, name, kind="run", command="run")
