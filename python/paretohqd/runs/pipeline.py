"""The whole run: score, select, fit, generate, score, select, fit, evaluate, report.

Each step is a stage of the run folder (see folder.py) and has its name (see layout.py). What is
finished is skipped, so the same call starts a run, goes on with one that was killed, and redoes
just what a changed setting touches.
"""

from __future__ import annotations

import dataclasses
import tempfile
from collections.abc import Iterable, Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import polars as pl

from paretohqd.frames.new_files import write_parquet
from paretohqd.models import base as models
from paretohqd.models import chat
from paretohqd.models.consent import consenting
from paretohqd.plots.progress import Screen
from paretohqd.rewards.callables import CallableReward
from paretohqd.runs import config, layout
from paretohqd.runs.context import RunContext
from paretohqd.runs.data import given_columns, local_files, source_blocks
from paretohqd.runs.manifest import MANIFEST, Manifest, Notes, Stage
from paretohqd.runs.measuring import evaluate, report, summarise
from paretohqd.runs.parquet_rows import parquet_rows
from paretohqd.runs.rewards import check_columns
from paretohqd.runs.sampling import sample
from paretohqd.runs.scoring import blocks_in, blocks_of, count_rows
from paretohqd.runs.selecting import select
from paretohqd.runs.split import split_data
from paretohqd.trainers import sft

FILES = (("pool", layout.POOL), ("prompts", layout.PROMPTS), ("held_out", layout.HELD_OUT))
"""The parts of a split, each in a file."""


def run(
    settings: config.Config | str | Path,
    *,
    screen: Screen | None = None,
    verify: bool = False,
    unsafe_settings: bool = False,
    trust_remote_code: Iterable[str] = (),
    allow_code: Iterable[str] = (),
    send_to: Iterable[str] = (),
) -> Path:
    """Do the run that `settings` describes, or what is left of it; see `paretohqd.run`.

    Under `accelerate launch` every process calls this: training is shared by all, the other work
    is divided or done by the first.
    """
    if isinstance(settings, str | Path):
        settings = config.load_settings(config.Config, settings)
    with consenting(
        unsafe_settings=unsafe_settings,
        trust_remote_code=trust_remote_code,
        allow_code=allow_code,
        send_to=send_to,
    ):
        return _run(settings, screen, verify)


def _run(settings: config.Config, screen: Screen | None, verify: bool) -> Path:
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
        s.processes.leave()
    except BaseException as error:
        s.processes.fail(error)
        raise
    finally:
        s.folder.close()
    return s.folder.folder


def split(s: RunContext, *, drawn: bool = False) -> Stage:
    """Pool to select from, prompts for stage 2, and held-out prompts, in three files.

    Args:
        s: The run.
        drawn: Write into a fourth file in which order the held-out prompts were drawn.
    """
    spec = s.settings.data
    stages = range(1, s.settings.stages + 1)
    limits = [{**sft.DEFAULTS, **s.train[i]}["max_length"] or 2**31 for i in stages]
    # A prompt must also leave room for what is sampled.
    context = models.context_length(s.settings.model)
    room = context - s.settings.generation.max_new_tokens
    if room < 1:
        raise ValueError(f"generation.max_new_tokens fills the model's context of {context} tokens")
    limit = min(*limits, room + 1)
    given = {"source": spec.source, "prompts": spec.prompts}
    files = {key: found for key, name in given.items() if name and (found := local_files(name))}
    settings = dataclasses.asdict(spec)
    del settings["memory_limit"]  # It decides whether rows are read, not which.
    columns = _columns(s)

    def work(out: Path) -> Notes:
        tokenizer = models.load_tokenizer(s.settings.model)
        parts = split_data(
            spec,
            source_blocks(spec, s.settings.seed),
            seed=s.settings.seed,
            # System messages of the data stand in the prompts.
            prompt_lengths=lambda frame: chat.prompt_lengths(tokenizer, frame.select("prompt")),
            limit=limit,
            columns=s.columns,
            scores=columns,
        )
        form, control = chat.find_form(tokenizer), 0
        with ExitStack() as stack:
            names = {part: stack.enter_context(parquet_rows(out / file)) for part, file in FILES}
            for part, rows in parts.rows():
                names[part].write(rows)
                scored = columns if part == "pool" else {}
                check_columns([r for r in s.rewards if r.name not in scored], rows, part)
                if part == "pool":
                    chat.check_answers(form, rows["response"].to_list())
                    texts = (rows[column].to_list() for column in ("prompt", "response"))
                    held = zip(*(chat.holds_control(tokenizer, t) for t in texts), strict=True)
                    control += sum(map(any, held))
        if drawn:
            write_parquet(pl.DataFrame({"place": parts.drawn}), out / layout.DRAWN)
        if control:
            s.screen.line(f"  {control} rows hold control tokens, which are read as characters")
        for reason, count in parts.dropped.items():
            if count:
                s.screen.line(f"  left out: {count} rows ({reason})")
        notes = {"rows": names["pool"].rows, "dropped": parts.dropped, "control_tokens": control}
        return notes | {"files": {key: given[key] for key in files}}

    return s.alone(
        layout.DATA,
        work,
        # Files count by their content: where they lie may be another place tomorrow.
        settings={**settings, "seed": s.settings.seed, "limit": limit}
        | dict.fromkeys(files, "file")
        | ({"columns": s.columns} if s.columns else {})
        | ({"scores": columns} if columns else {})
        | ({"drawn": True} if drawn else {}),
        inputs={"model": s.model_id}
        | {key: s.folder.hash_files(found) for key, found in files.items()},
    )


def _columns(s: RunContext) -> dict[str, str]:
    """The objectives whose scores the data have, with their columns."""
    return {o.name: o.column for o in s.settings.objectives if o.column is not None}


def score(s: RunContext, stage: int, answers: Stage) -> Stage:
    """Add one column per objective to the answers."""
    columns = _columns(s)

    def work(out: Path) -> Notes:
        file = answers.path / (layout.POOL if stage == 1 else layout.ANSWERS)
        given = columns if stage == 1 else {}
        missing = [reward for reward in s.rewards if reward.name not in given]
        n = count_rows(file)
        scores = pl.DataFrame()
        unheard = [r for r in s.rewards if r.name in given and isinstance(r, CallableReward)]
        if unheard:
            # They are not asked before stage 2: one answer shows now whether they work.
            one = next(blocks_in(file)()).frame[:1].drop(s.names, strict=False)
            with tempfile.TemporaryDirectory(dir=out) as place:
                s.scores(blocks_of(one), 1, unheard, work=Path(place))
        if missing:
            with s.screen.bar(f"score {n} answers") as progress:
                watched = s.forecast.watch_scores(progress)
                scores = s.scores(blocks_in(file), n, missing, work=out, progress=watched)
        if s.folder.rank:
            return {}
        with parquet_rows(out / layout.SCORED) as scored:
            for start, block in blocks_in(file)():
                if stage == 1:
                    block = given_columns(block, s.names, columns)
                own = scores[start : start + len(block)]
                scored.write(pl.concat([block, own], how="horizontal"))
        return {"rows": n, "rewards": [reward.manifest() for reward in s.rewards]}

    return s.shared(
        layout.score(stage),
        work,
        settings=s.objective_settings | ({"columns": columns} if stage == 1 else {}),
        inputs={"answers": _key_of(s, stage, answers)},
    )


def _key_of(s: RunContext, stage: int, answers: Stage) -> str:
    """What scores depend on: of the split the pool alone, so that other prompts leave them."""
    if stage == 2:
        return answers.digest
    before = s.folder.path(layout.score(1)) / MANIFEST
    # Folders of older versions have the hash of all of its files.
    if before.exists() and Manifest.read(before.parent).inputs.get("answers") == answers.digest:
        return answers.digest
    return answers.manifest.files[layout.POOL]


def fit(s: RunContext, stage: int, selected: Stage) -> None:
    """Train one adapter per preference; stage 2 goes on from the stage-1 adapter."""
    rows = pl.read_parquet(selected.path / layout.SELECTION)
    for number in range(len(s.weights)):
        own = rows.filter(pl.col("preference") == number).select("prompt", "response")
        earlier = s.folder.result(layout.fit(1, number)) if stage == 2 else None
        fit_one(s, stage, number, own, earlier)
    s.folder.barrier()
    for number in range(len(s.weights)):
        name = layout.fit(stage, number)
        _say_how(s, name)


def _say_how(s: RunContext, name: str) -> None:
    """Lines for people on how an adapter was trained, where that is remarkable."""
    notes = s.folder.result(name).notes
    if notes["cut_answers"]:
        s.screen.line(
            f"  {notes['cut_answers']} of {notes['rows']} answers cut by train.max_length"
        )
    expected = s.folder.world if s.processes.together else 1
    if notes["processes"] != expected:
        s.screen.line(f"  trained by {notes['processes']} processes together, not by {expected}")


def fit_one(
    s: RunContext, stage: int, number: int, rows: pl.DataFrame, earlier: Stage | None
) -> None:
    """Train the adapter of one preference, from its `earlier` one if there is one."""
    train = s.train[stage]
    name = layout.fit(stage, number)
    batch = _batch_of_each(train, s.folder.world) if s.processes.together else {}

    def work(out: Path) -> Notes:
        base, tokenizer = s.trainable()
        model = layout.model_name(stage, number)
        with s.screen.bar(f"fit {model}") as progress:
            return sft.fit(
                base,
                tokenizer,
                rows,
                out,
                machine=s.machine,
                train={**train, **batch},
                lora=s.settings.lora,
                seed=s.settings.seed,
                start_from=earlier.path / layout.ADAPTER if earlier else None,
                group=s.folder.folder.name,
                run_name=s.folder.path(layout.answers(model)).name,
                on_step=s.forecast.watch_training(rows, progress),
            )

    # Older folders have adapters of 200 steps under such settings.
    epochs = "num_train_epochs" in train and "max_steps" not in train
    s.folder.stage(
        name,
        work,
        settings={"train": train, "lora": s.settings.lora, "seed": s.settings.seed}
        | {"bfloat16": s.machine.bfloat16}
        | ({"length": "num_train_epochs"} if epochs else {}),
        inputs={"rows": s.folder.hash_frame(rows), "model": s.model_id}
        | ({"adapter": earlier.digest} if earlier else {}),
        # Each is trained by one process, as a single one would.
        owner=None if s.processes.together else number,
    )
    s.forecast.finished(name)


def _batch_of_each(train: Mapping[str, Any], world: int) -> dict[str, int]:
    """The batch that each of some processes takes, so that a step's stays what is configured."""
    key = "per_device_train_batch_size"
    size = {**sft.DEFAULTS, **train}[key]
    if size % world:
        raise ValueError(
            f"train.{key}: {size} rows are not to be divided among {world} processes that train "
            "together (train_together): choose a multiple"
        )
    return {key: size // world}
