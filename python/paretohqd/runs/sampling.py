"""Stages that sample: stage-2 candidates by the representative models, and held-out answers."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import polars as pl

from paretohqd.frames.new_files import write_parquet
from paretohqd.models import base, chat
from paretohqd.models.sampling import generate, trim_unfinished
from paretohqd.models.spec import Sampling
from paretohqd.runs import config, layout, sections
from paretohqd.runs.context import RunContext
from paretohqd.runs.manifest import Notes, Settings, Stage
from paretohqd.runs.split import without_echoes

SAMPLER = 3
"""Version of the sampling, part of every key: in version 1 adapters rounded the base's rotary
frequencies to bfloat16, and control tokens in prompts were tokens. Since version 3 answers that
ended leave the batch, what prompts begin with is read once, and adapters are merged in float32:
products of other shapes round otherwise, and a draw at an edge may be another."""


def sample(s: RunContext, offline: Stage) -> Stage:
    """Answers of the representative stage-1 models, as one frame without scores."""
    spec = s.settings.generation
    prompts = pl.read_parquet(offline.path / layout.PROMPTS)
    count = min(spec.prompts, len(prompts))
    rng = np.random.default_rng([s.settings.seed, 2])
    chosen = prompts[np.sort(rng.permutation(len(prompts))[:count])]
    if count < spec.prompts:
        s.screen.line(f"  generation.prompts: {spec.prompts} asked for, {count} there are")
    numbers = representatives(s.weights)
    for owner, number in enumerate(numbers):
        answer(
            s,
            layout.generate(number),
            chosen,
            model=layout.model_name(1, number),
            seed=s.settings.seed + 101 + number,
            owner=owner,
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
    owner: int,
) -> None:
    """One model's answers to some prompts, as stage `name` of the run folder."""
    spec = s.settings.generation
    stage, preference = layout.parse_model(model)
    adapter = None if preference is None else s.folder.result(layout.fit(stage, preference))

    def work(out: Path) -> Notes:
        adapters = [(adapter.path / layout.ADAPTER, 1.0)] if adapter else []
        sampler, tokenizer = s.sampler(*adapters)
        label = f"sample {len(prompts)} answers of {Path(name).name}"
        with s.screen.bar(label) as progress:
            frame = generate(
                sampler,
                tokenizer,
                prompts["prompt"].to_list(),
                seed=seed,
                sampling=to_sampling(spec),
                progress=progress,
            )
        write_parquet(frame.drop("sample"), out / layout.ANSWERS)
        return {"rows": len(frame), "tokens": int(frame["tokens"].sum())}

    s.folder.stage(
        name,
        work,
        settings={**sampling(spec), "seed": seed, "bfloat16": s.machine.bfloat16},
        inputs={
            "prompts": s.folder.hash_frame(prompts),
            "model": s.model_id,
            "adapter": adapter.digest if adapter else "",
        },
        owner=owner,
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


def to_sampling(spec: sections.Generation) -> Sampling:
    """How the section `generation` says that answers are sampled."""
    return Sampling(
        max_new_tokens=spec.max_new_tokens,
        temperature=spec.temperature,
        top_p=spec.top_p,
        batch_size=spec.batch_size,
    )


def sampling(spec: sections.Generation) -> Settings:
    """What an answer depends on: not how many prompts there are, nor what happens to it later."""
    settings = {key: getattr(spec, key) for key in ("max_new_tokens", "temperature", "top_p")}
    return settings | {"sampler": SAMPLER}
