"""Answers that a method samples while it works: generated, cleaned, scored and charged."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from paretohqd.compare.policy import Policy
from paretohqd.compare.workbench import KEYED_SYSTEM_PROMPT, Workbench
from paretohqd.frames.new_files import write_parquet
from paretohqd.models import chat
from paretohqd.runs import layout
from paretohqd.runs.answering import answers, sampling
from paretohqd.runs.manifest import Stage
from paretohqd.runs.parts import Parts
from paretohqd.runs.sampling import usable


def sample(
    bench: Workbench,
    policy: Policy,
    prompts: pl.DataFrame,
    *,
    label: str,
    per: str,
    seed: int,
    samples: int = 1,
    rounds: int = 1,
) -> pl.DataFrame:
    """Answers to train on: sampled, cleaned as stage 2 cleans them, and scored.

    Under a budget prompts are answered in a shuffled order for as long as it pays for them.

    Args:
        policy: Who answers.
        prompts: Column prompt, and system_prompt where each has one of its own.
        label: What the progress bar calls it.
        per: What the sampling is repeated for, see `budget.Cost`.
        seed: Seed of the random numbers.
        samples: Answers per prompt.
        rounds: Samplings that what is left of a budget is for, this one included.

    Returns:
        prompt, response, sample, tokens, finished, the prompts' own columns but prompt, and one
        column per objective.
    """
    if bench.allowed is not None:
        prompts = prompts[np.random.default_rng([bench.seed, 9]).permutation(len(prompts))]
    parts = []
    for part in bench.affordable(len(prompts), samples=samples, rounds=rounds):
        now = prompts[part]
        made = answered(bench, policy, now, label=label, seed=seed, samples=samples)
        bench.charge(made, "generate", per, generated=int(made.notes["tokens"]))
        frame = pl.read_parquet(made.path / layout.ANSWERS)
        own = now.drop("prompt")[np.repeat(np.arange(len(now)), samples)]
        form = chat.find_form(bench.tokenizer())
        frame, dropped = usable(bench.settings, pl.concat([frame, own], how="horizontal"), form)
        parts.append(score(bench, frame, per=per, dropped=dropped))
    return pl.concat(parts)


def answered(
    bench: Workbench,
    policy: Policy,
    prompts: pl.DataFrame,
    *,
    label: str,
    seed: int,
    samples: int = 1,
) -> Stage:
    """A step that samples answers; the caller charges it. What acts at use has no part in it."""
    s, spec = bench.context, bench.settings.generation
    system_prompt = (
        prompts[chat.SYSTEM_PROMPT].to_list() if chat.SYSTEM_PROMPT in prompts.columns else None
    )
    if system_prompt is None and policy.system_prompt:
        system_prompt = [policy.system_prompt] * len(prompts)

    def work(out: Path) -> Mapping[str, Any]:
        with s.screen.bar(f"{bench.title}: sample {label}") as progress:
            frame, notes = answers(
                s,
                prompts["prompt"].to_list(),
                adapters=policy.adapters,
                system_prompt=system_prompt,
                seed=seed,
                samples=samples,
                progress=progress,
                kept=Parts(out, "answers"),
            )
        write_parquet(frame, out / layout.ANSWERS)
        return notes

    return bench.step(
        "answers",
        work,
        settings={
            **sampling(spec),
            "seed": seed,
            "samples": samples,
            KEYED_SYSTEM_PROMPT: policy.system_prompt,
            "weights": [weight for _, weight in policy.adapters],
            "bfloat16": s.machine.bfloat16,
        },
        inputs={"prompts": bench.hash_rows(prompts), "model": s.model_id}
        | {f"adapter{i}": s.folder.hash_path(path) for i, (path, _) in enumerate(policy.adapters)},
    )


def score(
    bench: Workbench, frame: pl.DataFrame, *, per: str, dropped: Mapping[str, int]
) -> pl.DataFrame:
    """Add one column per objective, as a step."""

    def work(out: Path) -> Mapping[str, Any]:
        write_parquet(bench.context.score(frame, work=out), out / layout.SCORED)
        return {"rows": len(frame), "dropped": dict(dropped)}

    made = bench.step(
        "scored",
        work,
        settings=bench.context.objective_settings,
        inputs={"answers": bench.context.folder.hash_frame(frame)},
    )
    bench.charge(made, "score", per, scored=len(frame))
    return pl.read_parquet(made.path / layout.SCORED)
