"""Answers of a run's models: sampled here, or by a server that the configuration names."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING

import polars as pl

from paretohqd.frames.hashes import hash_json
from paretohqd.models import base
from paretohqd.models.adapters import Weighted
from paretohqd.models.endpoint_requests import Counts
from paretohqd.models.sampling import Kept, generate
from paretohqd.models.served import generate_served
from paretohqd.models.served_adapters import served_model
from paretohqd.models.spec import Sampling, SamplingServer
from paretohqd.plots.progress import Advance
from paretohqd.runs.manifest import Notes, Settings
from paretohqd.runs.sections import Generation

if TYPE_CHECKING:
    from paretohqd.runs.context import RunContext

SAMPLER = 3
"""Version of the sampling, part of every key: in version 1 adapters rounded the base's rotary
frequencies to bfloat16, and control tokens in prompts were tokens. Since version 3 answers that
ended leave the batch, what prompts begin with is read once, and adapters are merged in float32:
products of other shapes round otherwise, and a draw at an edge may be another."""

SERVED = "endpoint"
"""What keys call sampling through a server, whose version nobody here knows."""


def answers(
    s: RunContext,
    prompts: Sequence[str],
    *,
    adapters: Sequence[Weighted],
    name: str | None = None,
    system_prompt: Sequence[str] | None = None,
    seed: int,
    samples: int = 1,
    progress: Advance,
    kept: Kept | None = None,
) -> tuple[pl.DataFrame, Notes]:
    """Sample answers of the base with a weighted sum of adapters on it, or of the base alone.

    Args:
        s: The run.
        prompts: n prompts.
        adapters: Folders and weights.
        name: What the run calls the model, such as stage1-00.
        system_prompt: A further system message for each prompt.
        seed: Fixes the random numbers.
        samples: Answers per prompt.
        progress: Called with (answers done, answers in all).
        kept: Keeps what is sampled here, see `generate`; replies of a server are kept anyway.

    Returns:
        The frame of `sampling.generate`, and notes for the stage.

    Raises:
        ValueError: As `generate`, `generate_served` and `served_model`.
    """
    spec = s.settings.generation
    if spec.endpoint is not None:
        return _served(
            s,
            spec.endpoint,
            prompts,
            adapters=adapters,
            name=name,
            system_prompt=system_prompt,
            seed=seed,
            samples=samples,
            progress=progress,
        )
    model, tokenizer = s.sampler(*adapters)
    frame = generate(
        model,
        tokenizer,
        prompts,
        system_prompt=system_prompt,
        seed=seed,
        samples=samples,
        sampling=to_sampling(spec),
        progress=progress,
        kept=kept,
    )
    return frame, _notes(frame)


def _served(
    s: RunContext,
    server: SamplingServer,
    prompts: Sequence[str],
    *,
    adapters: Sequence[Weighted],
    name: str | None,
    system_prompt: Sequence[str] | None,
    seed: int,
    samples: int,
    progress: Advance,
) -> tuple[pl.DataFrame, Notes]:
    spec, client = s.settings.generation, s.servers.sampler
    parts = [(s.folder.hash_path(folder), weight) for folder, weight in adapters if weight]
    depends = {"sampling": SERVED, "base": s.model_id, "served": server.model, "adapters": parts}
    client.counts = Counts()
    with ExitStack() as stack:
        folder = None
        if len(parts) == 1 and parts[0][1] == 1:
            folder = next(folder for folder, weight in adapters if weight)
        elif parts:
            place = stack.enter_context(tempfile.TemporaryDirectory(prefix="paretohqd-sum-"))
            folder = _sum_of(s, adapters, Path(place))
        model = stack.enter_context(
            served_model(
                client,
                server,
                s.settings.model,
                adapter=folder,
                content=hash_json(parts),
                name=name,
                sampled=spec.temperature > 0,
            )
        )
        made = generate_served(
            client,
            base.load_tokenizer(s.settings.model),
            prompts,
            model=model,
            depends=depends,
            context=base.context_length(s.settings.model),
            system_prompt=system_prompt,
            seed=seed,
            samples=samples,
            sampling=to_sampling(spec),
            progress=progress,
        )
    if made.other_prompts:
        s.screen.line(
            f"  the server counts other tokens than the run's template gives in "
            f"{made.other_prompts} of {len(prompts)} prompts: it has another chat template, or "
            "reads control tokens in texts"
        )
    empty = int((made.answers["response"] == "").sum())
    if empty:
        s.screen.line(f"  {empty} of {len(made.answers)} answers of the server are empty")
    asked = {**vars(client.counts), "other_prompts": made.other_prompts}
    return made.answers, {**_notes(made.answers), "server": made.reported, "asked": asked}


def _sum_of(s: RunContext, adapters: Sequence[Weighted], folder: Path) -> Path:
    """Write a weighted sum of adapters as one adapter; it is made on the base, here."""
    model, _ = s.sampler(*adapters)
    name = str(model.active_adapter)
    model.save_pretrained(folder, selected_adapters=[name], save_embedding_layers=False)
    s.free()
    return folder / name


def _notes(frame: pl.DataFrame) -> dict[str, object]:
    return {"rows": len(frame), "tokens": int(frame["tokens"].sum())}


def to_sampling(spec: Generation) -> Sampling:
    """How the section `generation` says that answers are sampled."""
    return Sampling(
        max_new_tokens=spec.max_new_tokens,
        temperature=spec.temperature,
        top_p=spec.top_p,
        batch_size=spec.batch_size,
    )


def sampling(spec: Generation) -> Settings:
    """What an answer depends on: not how many prompts there are, nor what happens to it later.

    Of a server neither where it is nor how it is asked.
    """
    settings = {key: getattr(spec, key) for key in ("max_new_tokens", "temperature", "top_p")}
    if spec.endpoint is not None:
        return settings | {"sampler": SERVED, "served": spec.endpoint.model}
    return settings | {"sampler": SAMPLER}
