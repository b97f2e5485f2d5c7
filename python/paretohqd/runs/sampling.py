"""Stages that sample: stage-2 candidates by the representative models, and held-out answers."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import polars as pl

from paretohqd.frames.new_files import write_parquet
from paretohqd.frames.sources import Source
from paretohqd.models import base, chat
from paretohqd.models.sampling import trim_unfinished
from paretohqd.runs import config, layout
from paretohqd.runs.answering import answers, sampling
from paretohqd.runs.context import RunContext
from paretohqd.runs.manifest import Notes, Stage
from paretohqd.runs.parts import Parts
from paretohqd.runs.scoring import count_rows
from paretohqd.runs.unusable import without_echoes


def sample(s: RunContext, offline: Stage) -> Stage:
    """Answers of the representative stage-1 models, as one frame without scores."""
    spec = s.settings.generation
    prompts = offline.path / layout.PROMPTS
    total = count_rows(prompts)
    count = min(spec.prompts, total)
    rng = np.random.default_rng([s.settings.seed, 2])
    # Only these are read: prompts may be more than memory holds.
    chosen = Source.of(prompts).take(np.sort(rng.permutation(total)[:count]))
    if count < spec.prompts:
        s.screen.line(f"  generation.prompts: {spec.prompts} asked for, {count} there are")
    numbers = representatives(s.weights)
    for number in numbers:
        answer(
            s,
            layout.generate(number),
            chosen,
            model=layout.model_name(1, number),
            seed=s.settings.seed + 101 + number,
        )
    s.free()
    s.folder.barrier()
    made = [s.folder.result(layout.generate(number)) for number in numbers]

    def work(out: Path) -> Notes:
        frames = [pl.read_parquet(one.path / layout.ANSWERS) for one in made]
        frame = pl.concat(
            f.with_columns(model=pl.lit(layout.model_name(1, number)))
            for number, f in zip(numbers, frames, strict=True)
        )
        form = chat.find_form(base.load_tokenizer(s.settings.model))
        frame, dropped = usable(s.settings, frame, form)
        write_parquet(frame, out / layout.ANSWERS)
        return {"rows": len(frame), "dropped": dropped}

    return s.alone(
        layout.CANDIDATES,
        work,
        settings={"trim": spec.trim, "max_word_overlap": s.settings.data.max_word_overlap},
        inputs={f"{n:02d}": one.digest for n, one in zip(numbers, made, strict=True)},
    )


def usable(
    settings: config.Config, frame: pl.DataFrame, form: chat.Form
) -> tuple[pl.DataFrame, dict[str, int]]:
    """Sampled answers that may be trained on, and how many were left out for which reason."""
    if settings.generation.trim:
        frame = trim_unfinished(frame)
    total = len(frame)
    frame = frame.filter(pl.col("response").str.strip_chars() != "")
    dropped = {"empty answer": total - len(frame)}
    closed = pl.Series([form.reopens_thought(text) for text in frame["response"]], dtype=pl.Boolean)
    if closed.any():
        frame = frame.filter(~closed)
        dropped["opens a thought that the prompt has closed"] = int(closed.sum())
    limit = settings.data.max_word_overlap
    if limit is not None:
        kept = without_echoes(frame, limit)
        dropped["repeats the prompt"] = len(frame) - len(kept)
        frame = kept
    return frame, dropped


def answer(
    s: RunContext,
    name: str,
    prompts: pl.DataFrame,
    *,
    model: str,
    seed: int,
) -> None:
    """One model's answers to some prompts, as stage `name` of the run folder."""
    spec = s.settings.generation
    stage, preference = layout.parse_model(model)
    adapter = None if preference is None else s.folder.result(layout.fit(stage, preference))

    def work(out: Path) -> Notes:
        adapters = [(adapter.path / layout.ADAPTER, 1.0)] if adapter else []
        label = f"sample {len(prompts)} answers of {Path(name).name}"
        with s.screen.bar(label) as progress:
            frame, notes = answers(
                s,
                prompts["prompt"].to_list(),
                adapters=adapters,
                name=model,
                seed=seed,
                progress=s.forecast.watch_answers(progress),
                kept=Parts(out, "answers", s.processes),
            )
        if s.folder.rank:
            return {}
        # What belongs to a prompt, which its answers are scored with.
        own = prompts.select(*s.columns, *(["conversation"] if s.told_apart else []))
        frame = pl.concat([frame.drop("sample"), own], how="horizontal")
        write_parquet(frame, out / layout.ANSWERS)
        return notes

    s.folder.stage(
        name,
        work,
        settings={**sampling(spec), "seed": seed, "bfloat16": s.machine.bfloat16}
        | ({"conversation": True} if s.told_apart else {}),
        inputs={
            "prompts": s.folder.hash_frame(prompts),
            "model": s.model_id,
            "adapter": adapter.digest if adapter else "",
        },
        # A server is asked by one process.
        owner=None if s.settings.generation.endpoint is None else 0,
    )
    s.forecast.finished(name)


def representatives(weights: np.ndarray) -> list[int]:
    """Numbers of the M + 1 preferences whose models answer for stage 2.

    The corner of each objective (the preference that weighs it most) and the most balanced one;
    fewer where these coincide.

    Example:
        >>> representatives(np.array([[1, 0], [0.5, 0.5], [0, 1]]))
        [0, 1, 2]
    """
    corners = weights.argmax(axis=0)
    balanced = np.square(weights - 1 / weights.shape[1]).sum(axis=1).argmin()
    return sorted({int(i) for i in [*corners, balanced]})
