"""Answers to select from and prompts to evaluate on, from files, the hub or the embedded parts."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import polars as pl

from paretohqd import config, embedded
from paretohqd.files import read_frame
from paretohqd.metrics import word_overlap

TURN = "\n\nAssistant:"
"""Where the last answer of an hh-rlhf dialogue starts."""


@dataclass(frozen=True)
class Split:
    """A data source, divided by conversation."""

    pool: pl.DataFrame
    """Columns prompt, response, conversation and those of the source: rows to select from."""
    prompts: pl.DataFrame
    """Columns prompt, conversation: distinct prompts that stage 2 draws from."""
    held_out: pl.DataFrame
    """Columns prompt, conversation: one prompt of each conversation set aside."""
    dropped: dict[str, int]
    """Rows left out, by reason."""


def load_source(spec: config.Data, source: str) -> pl.DataFrame:
    """Rows of a source with at least the columns prompt, response and conversation."""
    if source == "embedded:conversations":
        frame = embedded.conversations()
        return frame.with_columns(pl.col("conversation").cast(pl.String))
    if source.startswith("embedded:"):
        raise ValueError(f"data.source {source}: did you mean embedded:conversations?")
    if source.startswith("hub:"):
        from datasets import load_dataset

        name = source.removeprefix("hub:")
        found = load_dataset(name, spec.subset, split=spec.split, revision=spec.revision)
        frame = found.to_polars()
    else:
        frame = read_frame(Path(source))
    if spec.prompt not in frame.columns and {"chosen", "rejected"} <= set(frame.columns):
        frame = from_pairs(frame)
    else:
        frame = _renamed(frame, spec, source)
    if "conversation" not in frame.columns:
        frame = frame.with_columns(conversation=pl.col("prompt"))
    return frame.with_columns(pl.col("conversation").cast(pl.String))


def _renamed(frame: pl.DataFrame, spec: config.Data, source: str) -> pl.DataFrame:
    wanted = {spec.prompt: "prompt", spec.response: "response"}
    if spec.conversation is not None:
        wanted[spec.conversation] = "conversation"
    for column, name in wanted.items():
        if column not in frame.columns:
            raise ValueError(
                f"{source}: no column {column!r} (it has {', '.join(frame.columns)}): "
                f"set data.{name}"
            )
        if name != "conversation" and frame.schema[column] != pl.String:
            raise ValueError(f"{source}: column {column!r} is {frame.schema[column]}, not text")
        if frame[column].null_count():
            nulls = frame[column].is_null()
            raise ValueError(
                f"{source}: column {column!r} is null in {nulls.sum()} of {len(frame)} rows "
                f"(first: row {nulls.arg_max()}): fill or drop them"
            )
    clash = [n for c, n in wanted.items() if c != n and n in frame.columns]
    return frame.drop(clash).rename(wanted)


def from_pairs(frame: pl.DataFrame) -> pl.DataFrame:
    """Preference pairs as single answers: both the chosen and the rejected one become a row.

    Columns chosen and rejected hold whole dialogues in the form of hh-rlhf, "Human: ... Assistant:
    ...", whose last assistant turn is the answer.

    >>> pair = "\\n\\nHuman: Hi\\n\\nAssistant: "
    >>> pairs = pl.DataFrame({"chosen": [pair + "Hello!"], "rejected": [pair + "What?"]})
    >>> from_pairs(pairs).select("prompt", "response").rows()
    [('Hi', 'Hello!'), ('Hi', 'What?')]
    """
    rows = []
    for number, pair in enumerate(frame.select("chosen", "rejected").iter_rows()):
        for side, text in zip(("chosen", "rejected"), pair, strict=True):
            if not isinstance(text, str) or TURN not in text:
                raise ValueError(
                    f"column {side!r}, row {number}: expected a dialogue with '{TURN.strip()}' turns"
                )
            before, _, answer = text.rpartition(TURN)
            rows.append((before.strip().removeprefix("Human:").strip(), answer.strip(), side))
    return pl.DataFrame(rows, schema=["prompt", "response", "side"], orient="row")


def split(
    spec: config.Data, *, seed: int, prompt_lengths: Callable[[pl.DataFrame], pl.Series], limit: int
) -> Split:
    """Load the data and set whole conversations aside for evaluation.

    Args:
        spec: the data section of the configuration.
        seed: decides which conversations are set aside.
        prompt_lengths: tokens of each row's prompt; `limit` tokens leave no room for an answer.
        limit: train.max_length.

    Raises:
        ValueError: empty answers or over-long prompts (unless invalid is "drop"), too few
            conversations, or no rows left.
    """
    frame = load_source(spec, spec.source)
    if spec.max_rows is not None and len(frame) > spec.max_rows:
        frame = frame.sample(spec.max_rows, seed=seed, shuffle=False)
    if frame.is_empty():
        raise ValueError(f"{spec.source}: no rows")
    dropped = {}
    empty = frame["response"].str.strip_chars() == ""
    frame, dropped["empty answer"] = _without(frame, empty, "answers are empty", spec.invalid)
    long = prompt_lengths(frame) >= limit
    reason = f"prompts have train.max_length={limit} tokens or more, so that no answer fits"
    frame, dropped["prompt too long"] = _without(frame, long, reason, spec.invalid)
    held = _choose(frame["conversation"], spec.held_out, seed)
    aside = frame["conversation"].is_in(held.implode())
    held_out = frame.filter(aside).unique("conversation", keep="first", maintain_order=True)
    pool = frame.filter(~aside)
    if spec.max_word_overlap is not None:
        before = len(pool)
        pool = without_echoes(pool, spec.max_word_overlap)
        dropped["repeats the prompt"] = before - len(pool)
    # Held-out prompts must not be trained on under another conversation's name either.
    pool = pool.filter(~pl.col("prompt").is_in(held_out["prompt"].implode()))
    others = pool
    if spec.prompts is not None:
        others = load_source(spec, spec.prompts)
        others = others.filter(
            ~pl.col("conversation").is_in(held.implode())
            & ~pl.col("prompt").is_in(held_out["prompt"].implode())
        )
        others = others.filter(prompt_lengths(others) < limit)
    prompts = others.unique("prompt", keep="first", maintain_order=True)
    names = ["prompt", "conversation"]
    return Split(pool, prompts.select(names), held_out.select(names), dropped)


def without_echoes(frame: pl.DataFrame, limit: float) -> pl.DataFrame:
    """Leave out answers that share more of their words than `limit` with their prompt.

    A relevance reward is highest for an answer that repeats the prompt; training on such answers
    teaches the model to.
    """
    overlap = word_overlap(frame["prompt"].to_list(), frame["response"].to_list())
    return frame.filter(pl.Series(overlap <= limit))


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
    count = int(bad.sum())
    if count and (invalid == "raise" or count == len(frame)):
        number = "all" if count == len(frame) else str(count)
        advice = (
            "look at the data" if count == len(frame) else "fix them, or set data.invalid: drop"
        )
        raise ValueError(f"{number} of {len(frame)} {what} (first: row {bad.arg_max()}): {advice}")
    return (frame.filter(~bad) if count else frame), count
