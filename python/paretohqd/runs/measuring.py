"""Stages that measure: every model answers the held-out prompts, and what follows from it."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import polars as pl

from paretohqd.frames.new_files import write_new, write_parquet
from paretohqd.frames.writing import csv_for_people
from paretohqd.runs import evaluation, layout
from paretohqd.runs.context import RunContext
from paretohqd.runs.handover import adapter_folders, loading_lines, preference_labels
from paretohqd.runs.manifest import Notes, Stage
from paretohqd.runs.metrics import Facts, Metrics
from paretohqd.runs.sampling import answer
from paretohqd.runs.utility import QUANTILES, data_bounds
from paretohqd.safety.places import shown_path
from paretohqd.trainers.tracking import log_measures, wants_board


def evaluate(s: RunContext, offline: Stage) -> None:
    """Every model answers the same held-out prompts with the same random numbers."""
    prompts = pl.read_parquet(offline.path / layout.HELD_OUT)
    if s.settings.evaluation.prompts is not None:
        prompts = prompts.head(s.settings.evaluation.prompts)
    spec = s.settings.evaluation
    models = layout.models(s.settings.stages, len(s.weights))
    seed = s.settings.seed + 1
    for model in models:
        answer(s, layout.answers(model), prompts, model=model, seed=seed)
    s.free()
    s.folder.barrier()
    for model in models:
        made = s.folder.result(layout.answers(model))

        def work(out: Path, made: Stage = made) -> Notes:
            frame = pl.read_parquet(made.path / layout.ANSWERS)
            frame = s.score(frame, work=out, allow_empty=True)
            if s.folder.rank:
                return {}
            write_parquet(evaluation.measure(frame, spec), out / layout.ANSWERS)
            return {"rewards": [reward.manifest() for reward in s.rewards]}

        s.shared(
            layout.evaluate(model),
            work,
            settings={"objectives": s.objective_settings, **dataclasses.asdict(spec)},
            inputs={"answers": made.digest},
        )


def summarise(s: RunContext) -> Stage:
    """metrics.json and table.csv of all evaluated models."""
    models = layout.models(s.settings.stages, len(s.weights))
    results = {model: s.folder.result(layout.evaluate(model)) for model in models}
    scored = s.folder.result(layout.score(1))

    def work(out: Path) -> None:
        offline = pl.read_parquet(scored.path / layout.SCORED, columns=s.names)
        metrics = evaluation.summarise(
            {m: pl.read_parquet(r.path / layout.ANSWERS) for m, r in results.items()},
            objectives=s.names,
            preferences=s.weights.tolist(),
            bounds=data_bounds(offline),
        )
        write_new(out / layout.METRICS, metrics.to_json())
        write_new(out / layout.TABLE, csv_for_people(evaluation.table(metrics)))
        _track(s, metrics)

    return s.alone(
        layout.SUMMARY,
        work,
        settings={"weights": s.weights.tolist(), "names": s.names, "quantiles": list(QUANTILES)},
        inputs={m: r.digest for m, r in results.items()} | {"offline": scored.digest},
    )


def _track(s: RunContext, metrics: Metrics) -> None:
    """Log what each trained model reached where its losses were logged."""
    for model in metrics.models:
        if model.preference is None or not wants_board(s.train[model.stage].get("report_to")):
            continue
        steps = s.folder.result(layout.fit(model.stage, model.preference)).notes["steps"]
        values = {name: mean.mean for name, mean in model.reward.items()}
        values |= {"echo": model.echo, "words": model.words, "finished": model.finished}
        name = s.folder.path(layout.answers(model.model)).name
        log_measures(s.folder.folder.name, name, values, step=steps)


def report(s: RunContext, summary: Stage) -> None:
    """The page, written anew each time: it shows the run as a whole, seconds included."""
    if s.folder.rank == 0:
        # The page needs altair, which nothing before it does.
        from paretohqd.runs.report import write_report

        run = s.folder.folder
        shown = shown_path(run, Path.cwd())
        folders = adapter_folders(run, s.settings.stages, len(s.weights))
        facts = Facts(
            seconds=s.folder.seconds(),
            versions=summary.manifest.versions,
            machine=s.machine.describe(),
            seed=s.settings.seed,
            names=tuple(s.preference_names),
            loading=tuple(loading_lines(s.settings.model, f"{shown}/{folders[0]}")),
        )
        s.folder.write_json(layout.FACTS, dataclasses.asdict(facts))
        write_report(run, run / layout.REPORT)
        s.screen.line(f"adapters for {', '.join(s.names)}:")
        labels = preference_labels(s.weights.tolist(), s.preference_names)
        for label, adapter in zip(labels, folders, strict=True):
            s.screen.line(f"  {label}: {shown}/{adapter}")
        s.screen.line("the first is loaded so:")
        for line in facts.loading:
            s.screen.line(f"  {line}")
    s.folder.barrier()
