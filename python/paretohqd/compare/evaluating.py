"""Held-out prompts, in parts that are never read together, and what policies answer to them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from paretohqd.compare.config import Comparison
from paretohqd.compare.policy import Policy
from paretohqd.compare.using import Answered, respond
from paretohqd.compare.workbench import KEYED_SYSTEM_PROMPT, Workbench
from paretohqd.frames.new_files import write_parquet
from paretohqd.models import chat
from paretohqd.models.likelihood import likelihood
from paretohqd.runs import evaluation, layout
from paretohqd.runs.context import RunContext


@dataclass(frozen=True, kw_only=True)
class HeldOut:
    """Some of the held-out prompts."""

    label: str
    """What the progress bar calls them."""
    rows: pl.DataFrame
    positions: tuple[int, ...]
    """Where each stands in the order in which they were drawn."""


def prompts_to_test(s: RunContext, settings: Comparison) -> HeldOut:
    """What the tables are made from: the held-out prompts, without those of validation.

    A prompt of validation that another conversation begins with too is no test prompt either.
    """
    rows = _held_out(s)
    if not settings.validation:
        if settings.evaluation.prompts is not None:
            rows = rows.head(settings.evaluation.prompts)
        return HeldOut(label="held-out", rows=rows, positions=tuple(range(len(rows))))
    rows, places = _in_order(s, rows)
    mine = pl.Series(places) >= settings.validation
    seen = rows.filter(~mine)["prompt"].str.normalize("NFC")
    mine &= ~rows["prompt"].str.normalize("NFC").is_in(seen.implode())
    if not mine.any():
        raise ValueError(
            "validation: no test prompts are left, for all are prompts of validation too: raise "
            "data.held_out"
        )
    kept = pl.Series(places).filter(mine).to_list()
    return HeldOut(label="held-out", rows=rows.filter(mine), positions=tuple(kept))


def prompts_to_choose_by(s: RunContext, settings: Comparison) -> HeldOut | None:
    """The prompts by which policies are chosen: the first that were drawn; None where none are."""
    if not settings.validation:
        return None
    rows, places = _in_order(s, _held_out(s))
    count = settings.validation
    return HeldOut(label="validation", rows=rows[:count], positions=tuple(places[:count]))


def _held_out(s: RunContext) -> pl.DataFrame:
    return pl.read_parquet(s.folder.result(layout.DATA).path / layout.HELD_OUT)


def _in_order(s: RunContext, rows: pl.DataFrame) -> tuple[pl.DataFrame, list[int]]:
    """Held-out rows as they were drawn, and their places: 0, 1, 2 ..."""
    drawn = pl.read_parquet(s.folder.result(layout.DATA).path / layout.DRAWN)["place"]
    return rows[drawn.arg_sort()], drawn.sort().to_list()


def evaluate(s: RunContext, bench: Workbench, policy: Policy, asked: HeldOut, place: int) -> str:
    """Answers of one policy to held-out prompts, scored and measured; returns the stage's name.

    Args:
        s: The comparison.
        bench: The method's.
        policy: Who answers.
        asked: The prompts of one part.
        place: The policy's number, for the progress bar.
    """
    prompts, spec = asked.rows, s.settings.evaluation
    label = f"{asked.label} {place}"
    choice = policy.choice if policy.choice and policy.choice.each == "answer" else None
    given = respond(bench, policy, prompts, label=label, seed=s.settings.seed + 1)

    def work(out: Path) -> Mapping[str, Any]:
        frame = given.frame(prompts["prompt"].to_list())
        # The model that has answered is still held, which scoring may let go.
        if choice is None and "entropy" not in frame.columns:
            frame = frame.with_columns(certainty(s, given, frame))
        own = prompts[np.repeat(np.arange(len(prompts)), given.samples)].select(s.columns)
        frame = pl.concat([frame, own], how="horizontal")
        frame = s.score(frame, work=out, allow_empty=True)
        if choice is not None:
            frame = choice.of(frame)
            frame = frame.with_columns(certainty(s, given, frame))
        entropy = frame["entropy"]
        frame = evaluation.measure(frame.drop("entropy"), spec).with_columns(entropy)
        write_parquet(frame, out / layout.ANSWERS)
        return {"rewards": [reward.manifest() for reward in s.rewards]}

    # The entropy is the policy's own: equal answers of two policies are measured apart.
    mixed = {"weights": [weight for _, weight in policy.adapters]} if policy.adapters[1:] else {}
    conditioned = {KEYED_SYSTEM_PROMPT: policy.system_prompt} if policy.system_prompt else {}
    result = bench.step(
        "measured",
        work,
        settings={
            "objectives": s.objective_settings,
            "evaluation": vars(spec),
            **mixed,
            **conditioned,
            **({} if choice is None else {"choice": choice.facts()}),
        },
        inputs={"answers": given.made.digest, "model": s.model_id}
        | {f"adapter{i}": s.folder.hash_path(path) for i, (path, _) in enumerate(given.adapters)}
        | ({"read": bench.hash_rows(given.read)} if policy.edit or policy.told else {})
        # Answers hold none of the data's columns, which scorers may read.
        | ({"columns": bench.hash_rows(prompts.select(s.columns))} if s.columns else {}),
    )
    return result.path.relative_to(s.folder.folder).as_posix()


def certainty(s: RunContext, given: Answered, frame: pl.DataFrame) -> pl.Series:
    """Entropy of the predictions over an answer to each prompt, by the model that wrote it."""
    model, tokenizer = s.sampler(*given.adapters)
    return likelihood(
        model,
        tokenizer,
        given.read["prompt"].to_list(),
        frame["response"].to_list(),
        system_prompt=given.read[chat.SYSTEM_PROMPT].to_list(),
        finished=frame["finished"].to_list(),
    )["entropy"]
