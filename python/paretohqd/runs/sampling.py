"""Stages that sample: stage-2 candidates by the representative models, and held-out answers."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from paretohqd.models import base, chat
from paretohqd.models.sampling import generate, trim_unfinished
from paretohqd.models.spec import Sampling
from paretohqd.runs import config, data, evaluation
from paretohqd.runs.context import RunContext
from paretohqd.runs.folder import Stage

SAMPLER = 2
"""Which way of sampling an answer is of, for old folders: before, adapters rounded the base's
rotary frequencies to bfloat16, and control tokens in prompts were tokens."""


def sample(s: RunContext, offline: Stage) -> Stage:
    """Answers of the representative stage-1 models, as one frame without scores."""
    spec = s.settings.generation
    prompts = pl.read_parquet(offline.path / "prompts.parquet")
    count = min(spec.prompts, len(prompts))
    rng = np.random.default_rng([s.settings.seed, 2])
    chosen = prompts[np.sort(rng.permutation(len(prompts))[:count])]
    if count < spec.prompts:
        s.screen.line(f"  generation.prompts: {spec.prompts} asked for, {count} there are")
    who = representatives(s.weights)
    for place, number in enumerate(who):
        answer(
            s,
            f"stage2/generate/{number:02d}",
            chosen,
            stage=1,
            number=number,
            seed=s.settings.seed + 101 + number,
            owner=place,
        )
    s.free()
    s.folder.barrier()
    made = [s.folder.result(f"stage2/generate/{number:02d}") for number in who]

    def work(out: Path) -> Mapping[str, Any]:
        frames = [pl.read_parquet(one.path / "answers.parquet") for one in made]
        frame = pl.concat(
            f.with_columns(model=pl.lit(evaluation.model_name(1, number)))
            for number, f in zip(who, frames, strict=True)
        )
        form = chat.find_form(base.load_tokenizer(s.settings.model))
        frame, dropped = usable(s.settings, frame, form)
        frame.write_parquet(out / "answers.parquet")
        return {"rows": len(frame), "dropped": dropped}

    return s.alone(
        "stage2/answers",
        work,
        settings={"trim": spec.trim, "max_word_overlap": s.settings.data.max_word_overlap},
        inputs={f"{n:02d}": one.digest for n, one in zip(who, made, strict=True)},
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
        before = len(frame)
        frame = data.without_echoes(frame, limit)
        dropped["repeats the prompt"] = before - len(frame)
    return frame, dropped


def answer(
    s: RunContext,
    name: str,
    prompts: pl.DataFrame,
    *,
    stage: int,
    number: int | None,
    seed: int,
    owner: int,
) -> None:
    """One model's answers to some prompts."""
    spec = s.settings.generation
    adapter = None if number is None else s.folder.result(f"stage{stage}/fit/{number:02d}")

    def work(out: Path) -> Mapping[str, Any]:
        model, tokenizer = s.sampler(*([(adapter.path / "adapter", 1.0)] if adapter else []))
        label = f"sample {len(prompts)} answers of {Path(name).name}"
        with s.screen.bar(label) as progress:
            frame = generate(
                model,
                tokenizer,
                prompts["prompt"].to_list(),
                seed=seed,
                sampling=to_sampling(spec),
                progress=progress,
            )
        frame.drop("sample").write_parquet(out / "answers.parquet")
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

    >>> representatives(np.array([[1, 0], [0.5, 0.5], [0, 1]]))
    [0, 1, 2]
    """
    corners = weights.argmax(axis=0)
    balanced = np.square(weights - 1 / weights.shape[1]).sum(axis=1).argmin()
    return sorted({int(i) for i in [*corners, balanced]})


def to_sampling(spec: config.Generation) -> Sampling:
    """How the section `generation` says that answers are sampled."""
    return Sampling(
        max_new_tokens=spec.max_new_tokens,
        temperature=spec.temperature,
        top_p=spec.top_p,
        batch_size=spec.batch_size,
    )


def sampling(spec: config.Generation) -> dict[str, Any]:
    """What an answer depends on: not how many prompts there are, nor what follows."""
    settings = {key: getattr(spec, key) for key in ("max_new_tokens", "temperature", "top_p")}
    return settings | {"sampler": SAMPLER}
