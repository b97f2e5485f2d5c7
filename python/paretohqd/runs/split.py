"""A data source divided: rows to select from, prompts for stage 2 and held-out prompts."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import polars as pl

from paretohqd.frames.text_metrics import word_overlap
from paretohqd.runs import sections
from paretohqd.runs.data import draw_rows, given_columns, load_source
from paretohqd.selection.choosing import ADDED

ROWS = 1 << 14
"""Rows whose words or tokens are looked at together: lists of them take many times their text."""


@dataclass(frozen=True)
class Split:
    """A data source, divided by conversation."""

    pool: pl.DataFrame
    """Rows to select from: columns prompt, response, conversation and the source's others."""
    prompts: pl.DataFrame
    """Columns prompt, conversation: distinct prompts that stage 2 draws from."""
    held_out: pl.DataFrame
    """Columns prompt, conversation: one prompt of each conversation set aside."""
    dropped: dict[str, int]
    """Rows left out, by reason."""


def split_data(
    spec: sections.Data,
    *,
    seed: int,
    prompt_lengths: Callable[[pl.DataFrame], pl.Series],
    limit: int,
    scores: Mapping[str, str] | None = None,
) -> Split:
    """Load the data and set whole conversations aside for evaluation.

    Args:
        spec: The data section of the configuration.
        seed: Decides which conversations are set aside.
        prompt_lengths: Tokens of each row's prompt; `limit` tokens leave no room for an answer.
        limit: The smaller of `train.max_length` and what the model's context leaves.
        scores: Objectives whose scores the data have, with their columns.

    Raises:
        ValueError: As `load_source`; empty answers, over-long texts or prompts and rows without
            scores (unless invalid is "drop"), no such column of scores, too few conversations, no
            rows left, or a column that a selection adds.
    """
    frame = draw_rows(spec, seed)
    if frame.is_empty():
        raise ValueError(f"{spec.source}: no rows")
    given = given_columns(frame, [], scores or {}).select(scores or [])
    for name in ADDED:
        if name in frame.columns:
            raise ValueError(f"{spec.source}: selection adds a column {name!r} too: rename it")
    dropped = {}
    if scores:
        number = pl.selectors.float()
        missing = given.select(
            pl.any_horizontal(pl.all().is_null(), number.is_nan().fill_null(False))
        ).to_series()
        reason = f"rows have no score in {', '.join(scores.values())}"
        frame, count = _without(frame, missing, reason, spec.invalid)
        if count:
            dropped["no score"] = count
    if spec.max_characters is not None:
        reason = f"rows have texts of more than {spec.max_characters} characters"
        long = _longer(frame, ("prompt", "response"), spec.max_characters)
        frame, count = _without(frame, long, f"{reason} (data.max_characters)", spec.invalid)
        if count:
            dropped["text too long"] = count
    empty = frame["response"].str.strip_chars() == ""
    frame, dropped["empty answer"] = _without(frame, empty, "answers are empty", spec.invalid)
    long = _lengths(frame, prompt_lengths) >= limit
    reason = (
        f"prompts have {limit} tokens or more, so that no answer fits into train.max_length "
        "and the model's context"
    )
    frame, dropped["prompt too long"] = _without(frame, long, reason, spec.invalid)
    held = _choose(_comparable(frame["conversation"]), spec.held_out, seed)
    aside = _comparable(frame["conversation"]).is_in(held.implode())
    held_out = frame.filter(aside)
    held_out = held_out.filter(_comparable(held_out["conversation"]).is_first_distinct())
    pool = frame.filter(~aside)
    # Held-out prompts must not be trained on under another conversation's name either.
    held_prompts = _comparable(held_out["prompt"]).implode()
    same = _comparable(pool["prompt"]).is_in(held_prompts)
    pool, dropped["prompt is held out"] = pool.filter(~same), int(same.sum())
    if spec.max_word_overlap is not None:
        kept = without_echoes(pool, spec.max_word_overlap)
        dropped["repeats the prompt"] = len(pool) - len(kept)
        pool = kept
    if pool.is_empty():
        reasons = ", ".join(f"{count} {reason}" for reason, count in dropped.items() if count)
        raise ValueError(f"{spec.source}: no rows are left to select from ({reasons})")
    prompts = pool
    if spec.prompts is not None:
        prompts = load_source(spec, spec.prompts, answers=False)
        if spec.max_characters is not None:
            prompts = prompts.filter(~_longer(prompts, ("prompt",), spec.max_characters))
        prompts = prompts.filter(
            ~_comparable(prompts["conversation"]).is_in(held.implode()),
            ~_comparable(prompts["prompt"]).is_in(held_prompts),
        )
        short = _lengths(prompts, prompt_lengths) < limit
        dropped["prompt for stage 2 too long"] = int((~short).sum())
        prompts = prompts.filter(short)
        if prompts.is_empty():
            raise ValueError(f"{spec.prompts}: no prompts that are not held out and short enough")
    prompts = prompts.filter(_comparable(prompts["prompt"]).is_first_distinct())
    names = ["prompt", "conversation"]
    return Split(pool, prompts.select(names), held_out.select(names), dropped)


def _longer(frame: pl.DataFrame, columns: Sequence[str], limit: int) -> pl.Series:
    """Which rows have a text of more characters than this in one of the columns."""
    return frame.select(pl.any_horizontal(pl.col(columns).str.len_chars() > limit)).to_series()


def _comparable(texts: pl.Series) -> pl.Series:
    """Texts in one Unicode form: a prompt is the same however its accents are written."""
    return texts.str.normalize("NFC")


def without_echoes(frame: pl.DataFrame, limit: float) -> pl.DataFrame:
    """Leave out answers that share more of their words than `limit` with their prompt.

    A relevance reward is highest for an answer that repeats the prompt; training on such answers
    teaches the model to.
    """
    kept = [
        word_overlap(part["prompt"].to_list(), part["response"].to_list()) <= limit
        for part in frame.iter_slices(ROWS)
    ]
    return frame.filter(pl.Series(np.concatenate([np.empty(0, dtype=bool), *kept])))


def _lengths(frame: pl.DataFrame, prompt_lengths: Callable[[pl.DataFrame], pl.Series]) -> pl.Series:
    """Tokens of each row's prompt; those of some rows at a time are in memory."""
    lengths = [prompt_lengths(part) for part in frame.iter_slices(ROWS)]
    return pl.concat(lengths) if lengths else prompt_lengths(frame)


def _choose(conversations: pl.Series, count: int, seed: int) -> pl.Series:
    """Some conversations, at random, the same for the same seed."""
    unique = conversations.unique(maintain_order=True)
    if len(unique) <= count:
        raise ValueError(
            f"data.held_out: {count} conversations are to be set aside, but there are only "
            f"{len(unique)}: lower it, or name the column with data.conversation"
        )
    return unique.gather(np.random.default_rng(seed).permutation(len(unique))[:count])


def _without(
    frame: pl.DataFrame, bad: pl.Series, what: str, invalid: str
) -> tuple[pl.DataFrame, int]:
    """The frame without its bad rows, and how many they were."""
    count = int(bad.sum())
    if count and (invalid == "raise" or count == len(frame)):
        number, advice = str(count), "fix them, or set data.invalid: drop"
        if count == len(frame):
            number, advice = "all", "look at the data"
        # Not the row's number: the frame may be a sample of the source.
        first = frame["prompt"].filter(bad)[0]
        raise ValueError(
            f"{number} of {len(frame)} {what} (the first prompt: {first[:60]!r}): {advice}"
        )
    return (frame.filter(~bad) if count else frame), count
