"""The whole run: score, select, fit, generate, score, select, fit, evaluate, report.

Each step is a stage of the run folder (see stages.py), named by its folder. What is finished is
skipped, so the same call starts a run, goes on with one that was killed, and redoes just what a
changed setting touches.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import polars as pl

from paretohqd.models import base as models
from paretohqd.models import chat
from paretohqd.plots.progress import Screen
from paretohqd.runs import config, data, evaluation
from paretohqd.runs.context import RunContext
from paretohqd.runs.folder import Stage
from paretohqd.runs.report import write_report
from paretohqd.runs.sampling import answer, sample
from paretohqd.runs.utility import QUANTILES, data_bounds
from paretohqd.selection.choosing import choose
from paretohqd.selection.result import Selection
from paretohqd.trainers import sft


def run(settings: config.Config, *, screen: Screen | None = None, verify: bool = False) -> Path:
    """Do the run that `settings` describes, or what is left of it.

    Under `accelerate launch` every process calls this: training is shared by all, the other work
    is divided or done by the first.

    Args:
        settings: the run.
        screen: what shows how it goes.
        verify: read every file of the finished stages, and redo a stage whose content was changed;
            otherwise only where a file's size, times or inode are others than they were.

    Returns:
        The run folder: `evaluate/summary/metrics.json`, `report.html` and every stage.

    Raises:
        ValueError: bad settings or data; what was finished before stays.
        OSError: the folder cannot be written, or the disk is full; run again when it can.
    """
    s = RunContext(settings, screen=screen, verify=verify)
    try:
        s.screen.line(f"paretohqd run in {s.folder.folder}")
        s.screen.line(f"machine: {s.machine.describe()}")
        offline = split(s)
        for stage in range(1, settings.stages + 1):
            answers = offline if stage == 1 else sample(s, offline)
            scored = score(s, stage, answers)
            selected = select(s, stage, scored)
            fit(s, stage, selected)
        evaluate(s, offline)
        report(s, summarise(s))
    finally:
        s.folder.close()
    return s.folder.folder


def split(s: RunContext) -> Stage:
    """Pool to select from, prompts for stage 2, and held-out prompts, in three files."""
    spec = s.settings.data
    stages = range(1, s.settings.stages + 1)
    limits = [{**sft.DEFAULTS, **s.train[i]}["max_length"] or 2**31 for i in stages]
    # A prompt must also leave room for what is sampled.
    context = models.context_length(s.settings.model)
    room = context - s.settings.generation.max_new_tokens
    if room < 1:
        raise ValueError(f"generation.max_new_tokens fills the model's context of {context} tokens")
    limit = min(*limits, room + 1)
    sources = [name for name in (spec.source, spec.prompts) if name is not None]

    def work(out: Path) -> Mapping[str, Any]:
        tokenizer = models.load_tokenizer(s.settings.model)
        found = data.split(
            spec,
            seed=s.settings.seed,
            prompt_lengths=lambda frame: chat.prompt_lengths(tokenizer, frame),
            limit=limit,
        )
        for name in ("pool", "prompts", "held_out"):
            getattr(found, name).write_parquet(out / f"{name}.parquet")
        chat.check_answers(chat.find_form(tokenizer), found.pool["response"].to_list())
        texts = (found.pool[column].to_list() for column in ("prompt", "response"))
        held = map(any, zip(*(chat.holds_control(tokenizer, text) for text in texts), strict=True))
        if control := sum(held):
            s.screen.line(f"  {control} rows hold control tokens, which are read as characters")
        for reason, count in found.dropped.items():
            if count:
                s.screen.line(f"  left out: {count} rows ({reason})")
        return {"rows": len(found.pool), "dropped": found.dropped, "control_tokens": control}

    return s.alone(
        "data",
        work,
        settings={**_plain(spec), "seed": s.settings.seed, "limit": limit},
        inputs={"model": s.model_id}
        | {name: s.folder.hash_path(Path(name)) for name in sources if Path(name).is_file()},
    )


def score(s: RunContext, stage: int, answers: Stage) -> Stage:
    """Add one column per objective to the answers."""
    columns = {o.name: o.column for o in s.settings.objectives if o.column is not None}

    def work(out: Path) -> Mapping[str, Any]:
        name = "pool.parquet" if stage == 1 else "answers.parquet"
        frame = pl.read_parquet(answers.path / name)
        if stage == 1:
            frame = given_columns(frame, s.names, columns)
        wanted = [reward for reward in s.rewards if reward.name not in frame.columns]
        if wanted:
            with s.screen.bar(f"score {len(frame)} answers") as progress:
                frame = s.score(frame, wanted, progress=progress)
        frame.write_parquet(out / "scored.parquet")
        return {"rows": len(frame), "rewards": [reward.manifest() for reward in s.rewards]}

    return s.alone(
        f"stage{stage}/score",
        work,
        settings=s.objective_settings | ({"columns": columns} if stage == 1 else {}),
        inputs={"answers": answers.digest},
    )


def select(s: RunContext, stage: int, scored: Stage) -> Stage:
    """Choose each preference's training set."""
    spec = s.settings.selection
    k = spec.k if stage == 1 else spec.k_stage2 or max(1, spec.k // 2)

    def work(out: Path) -> Mapping[str, Any]:
        # Read in batches: offline answers may be more than memory holds.
        chosen = choose(
            scored.path / "scored.parquet",
            s.names,
            s.preferences,
            k=k,
            upto=spec.upto,
            at_least=spec.at_least,
            bounds=spec.bounds,
            scale=spec.scale,
            directions=spec.directions,
            distinct="prompt" if spec.one_per_prompt else None,
            duplicates=spec.duplicates,
        )
        chosen.rows.write_parquet(out / "selection.parquet")
        context = pl.read_parquet(scored.path / "scored.parquet", columns=s.names)
        layered = context.with_row_index("row").with_columns(layer=pl.Series(chosen.layer))
        layered.write_parquet(out / "pool.parquet")
        summary = selection_summary(s, chosen, k)
        (out / "summary.json").write_text(json.dumps(summary, indent=1))
        sizes = summary["layers"]
        s.screen.line(
            f"  pool: {summary['pool']} of {chosen.n} rows in {len(sizes)} layers; "
            f"neighbouring preferences share {_neighbours(summary['overlap']):.0%} of theirs"
        )
        for remark in chosen.remarks():
            s.screen.line(f"  {remark}")
        return {"k": k, "pool": summary["pool"], "layers": len(sizes)}

    return s.alone(
        f"stage{stage}/select",
        work,
        settings=_plain(dataclasses.replace(spec, k=k, k_stage2=None))
        | {"weights": s.weights.tolist(), "names": s.names}
        | ({"preferences": list(s.preferences)} if isinstance(s.preferences, dict) else {}),
        inputs={"scored": scored.digest},
    )


def fit(s: RunContext, stage: int, selected: Stage) -> None:
    """Train one adapter per preference; stage 2 goes on from the stage-1 adapter."""
    rows = pl.read_parquet(selected.path / "selection.parquet")
    for number in range(len(s.weights)):
        own = rows.filter(pl.col("preference") == number).select("prompt", "response")
        before = s.folder.result(f"stage1/fit/{number:02d}") if stage == 2 else None
        fit_one(s, stage, number, own, before)


def fit_one(
    s: RunContext, stage: int, number: int, rows: pl.DataFrame, before: Stage | None
) -> None:
    """Train the adapter of one preference."""
    train = s.train[stage]
    name = f"stage{stage}/fit/{number:02d}"

    def work(out: Path) -> Mapping[str, Any]:
        base, tokenizer = s.trainable()
        label = f"fit {evaluation.model_name(stage, number)}"
        with s.screen.bar(label) as progress:
            return sft.fit(
                base,
                tokenizer,
                rows,
                out,
                machine=s.machine,
                train=train,
                lora=s.settings.lora,
                seed=s.settings.seed,
                start_from=before.path / "adapter" if before else None,
                on_step=s.forecast.watch(rows, progress),
            )

    # Folders of before have adapters of 200 steps under such settings.
    epochs = "num_train_epochs" in train and "max_steps" not in train
    s.folder.stage(
        name,
        work,
        settings={"train": train, "lora": s.settings.lora, "seed": s.settings.seed}
        | {"bfloat16": s.machine.bfloat16}
        | ({"length": "num_train_epochs"} if epochs else {}),
        inputs={"rows": s.folder.hash_frame(rows), "model": s.model_id}
        | ({"adapter": before.digest} if before else {}),
        owner=None,
    )
    notes = s.folder.result(name).manifest["notes"]
    if notes["cut_answers"]:
        s.screen.line(
            f"  {notes['cut_answers']} of {notes['rows']} answers cut by train.max_length"
        )
    if notes["processes"] != s.folder.world:
        s.screen.line(f"  trained by {notes['processes']} processes, not by {s.folder.world}")
    s.forecast.finished(name)


def model_names(s: RunContext) -> list[tuple[str, int, int | None]]:
    """Every model that is evaluated: name, stage, preference."""
    tuned = [
        (evaluation.model_name(stage, number), stage, number)
        for stage in range(1, s.settings.stages + 1)
        for number in range(len(s.weights))
    ]
    return [(evaluation.BASE, 0, None), *tuned]


def evaluate(s: RunContext, offline: Stage) -> None:
    """Every model answers the same held-out prompts with the same random numbers."""
    prompts = pl.read_parquet(offline.path / "held_out.parquet")
    if s.settings.evaluation.prompts is not None:
        prompts = prompts.head(s.settings.evaluation.prompts)
    spec = s.settings.evaluation
    for place, (model, stage, number) in enumerate(model_names(s)):
        seed = s.settings.seed + 1
        answer(s, f"answers/{model}", prompts, stage=stage, number=number, seed=seed, owner=place)
    s.free()
    s.folder.barrier()
    for model, _, _ in model_names(s):
        made = s.folder.result(f"answers/{model}")

        def work(out: Path, made: Stage = made) -> Mapping[str, Any]:
            frame = pl.read_parquet(made.path / "answers.parquet")
            frame = s.score(frame, allow_empty=True)
            evaluation.measure(frame, spec).write_parquet(out / "answers.parquet")
            return {"rewards": [reward.manifest() for reward in s.rewards]}

        s.alone(
            f"evaluate/{model}",
            work,
            settings={"objectives": s.objective_settings, **_plain(spec)},
            inputs={"answers": made.digest},
        )


def summarise(s: RunContext) -> Stage:
    """metrics.json and table.csv of all evaluated models."""
    results = {m: s.folder.result(f"evaluate/{m}") for m, _, _ in model_names(s)}
    scored = s.folder.result("stage1/score")

    def work(out: Path) -> None:
        offline = pl.read_parquet(scored.path / "scored.parquet", columns=s.names)
        summary = evaluation.summarise(
            {m: pl.read_parquet(r.path / "answers.parquet") for m, r in results.items()},
            objectives=s.names,
            preferences=s.weights.tolist(),
            bounds=data_bounds(offline),
        )
        (out / "metrics.json").write_text(json.dumps(summary, indent=1, allow_nan=False))
        evaluation.table(summary).write_csv(out / "table.csv")

    return s.alone(
        "evaluate/summary",
        work,
        settings={"weights": s.weights.tolist(), "names": s.names, "quantiles": list(QUANTILES)},
        inputs={m: r.digest for m, r in results.items()} | {"offline": scored.digest},
    )


def report(s: RunContext, summary: Stage) -> None:
    """The page, written anew each time: it shows the run as a whole, seconds included."""
    if s.folder.rank == 0:
        facts = {
            "seconds": s.folder.seconds(),
            "versions": summary.manifest["versions"],
            "machine": s.machine.describe(),
            "seed": s.settings.seed,
        }
        s.folder.write_json("facts.json", facts)
        write_report(s.folder.folder, s.folder.folder / "report.html")
    s.folder.barrier()


def given_columns(
    frame: pl.DataFrame, objectives: Sequence[str], columns: Mapping[str, str]
) -> pl.DataFrame:
    """Scores that the data already have, under their objectives' names; no others of these names.

    >>> frame = pl.DataFrame({"a": [1.0], "b": [2.0]})
    >>> given_columns(frame, ["a", "b"], {"a": "b", "b": "a"}).row(0)
    (2.0, 1.0)
    """
    for name, column in columns.items():
        if column not in frame.columns:
            raise ValueError(
                f"objectives: {name}: no column {column!r} in the data: it has "
                f"{', '.join(frame.columns)}"
            )
    scores = frame.select(pl.col(column).alias(name) for name, column in columns.items())
    return pl.concat([frame.drop(objectives, strict=False), scores], how="horizontal")


def selection_summary(s: RunContext, chosen: Selection, k: int) -> dict[str, Any]:
    """What the report needs to know of a selection."""
    sizes = chosen.layer_sizes()
    return {
        "objectives": s.names,
        "through": chosen.through.tolist(),
        "r_min": chosen.r_min.tolist(),
        "r_max": chosen.r_max.tolist(),
        "n": chosen.n,
        "pool": sum(sizes),
        "layers": sizes,
        "overlap": chosen.overlap().tolist(),
        "k": k,
        "bounds": s.settings.selection.bounds,
        "scale": s.settings.selection.scale,
    }


def _plain(section: Any) -> dict[str, Any]:
    return dataclasses.asdict(section)


def _neighbours(overlap: Sequence[Sequence[float]]) -> float:
    pairs = [overlap[i][i + 1] for i in range(len(overlap) - 1)]
    return sum(pairs) / len(pairs) if pairs else 1.0
