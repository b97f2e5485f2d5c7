"""Answers to select from and prompts to evaluate on, from files, the hub or the embedded parts."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import polars as pl

from paretohqd import config, embedded
from paretohqd.batches import compacted
from paretohqd.files import read_frame
from paretohqd.metrics import word_overlap
from paretohqd.selection import ADDED
from paretohqd.sources import Source

TURN = "\n\nAssistant:"
"""Where the last answer of an hh-rlhf dialogue starts."""

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


def load_source(spec: config.Data, source: str, *, answers: bool = True) -> pl.DataFrame:
    """Rows of a source with at least the columns prompt, response and conversation.

    Without `answers`, a source of prompts need not have responses.

    Raises:
        ValueError: no such source, a missing column, or one that is not text or has nulls. Null
            responses are empty answers, as CSV has them.
    """
    if source == "embedded:conversations":
        return embedded.conversations().with_columns(pl.col("conversation").cast(pl.String))
    if source.startswith("embedded:"):
        raise ValueError(f"{source}: did you mean embedded:conversations?")
    frame = _from_hub(spec, source) if source.startswith("hub:") else read_frame(Path(source))
    return _understood(frame, spec, source, answers=answers)


def _understood(
    frame: pl.DataFrame, spec: config.Data, source: str, *, answers: bool
) -> pl.DataFrame:
    """Rows as they are in the source, or some of them, as prompts and answers."""
    if spec.prompt not in frame.columns and {"chosen", "rejected"} <= set(frame.columns):
        return from_pairs(frame)
    return _renamed(frame, spec, source, answers=answers)


def _drawn(spec: config.Data, seed: int) -> pl.DataFrame:
    """The rows of the source, or as many of them as are asked for, at random and in order."""
    count = spec.max_rows
    if count is not None and Path(spec.source).is_file():
        try:
            return _drawn_in_batches(spec, count, seed)
        except ValueError:
            pass  # What is wrong with all rows is said below.
    frame = load_source(spec, spec.source)
    if count is None or len(frame) <= count:
        return frame
    return frame[_places(len(frame), count, seed)]


def _drawn_in_batches(spec: config.Data, count: int, seed: int) -> pl.DataFrame:
    """The same, without holding the texts of other rows.

    Raises:
        ValueError: as `load_source`, but of a batch.
    """
    source = Source.of(spec.source)
    rows, parts, start, places = source.rows(), [], 0, None
    for batch in source.batches([pl.all()]):
        found = _understood(batch, spec, spec.source, answers=True)
        if places is None:
            # A pair of answers is two rows.
            n = rows * len(found) // max(len(batch), 1)
            places = np.arange(n) if n <= count else _places(n, count, seed)
        first, last = np.searchsorted(places, [start, start + len(found)])
        parts.append(compacted(found[places[first:last] - start]))
        start += len(found)
    return pl.concat(parts).rechunk()


def _places(n: int, count: int, seed: int) -> np.ndarray:
    """Some of n rows, the same for the same seed, in order."""
    return np.sort(np.random.default_rng([seed, 1]).permutation(n)[:count])


def _from_hub(spec: config.Data, source: str) -> pl.DataFrame:
    from datasets import load_dataset

    own = source == spec.source
    frame: pl.DataFrame = load_dataset(
        source.removeprefix("hub:"),
        spec.subset if own else None,
        split=spec.split,
        revision=spec.revision if own else None,
    ).to_polars()
    return frame


def _renamed(frame: pl.DataFrame, spec: config.Data, source: str, *, answers: bool) -> pl.DataFrame:
    """The frame with its columns called prompt, response and conversation."""
    wanted = {"prompt": spec.prompt}
    if answers:
        wanted["response"] = spec.response
    given = spec.conversation
    if given is not None and (answers or given in frame.columns):
        wanted["conversation"] = given
    elif "conversation" in frame.columns:
        wanted["conversation"] = "conversation"
    for name, column in wanted.items():
        if column not in frame.columns:
            raise ValueError(
                f"{source}: no column {column!r} (it has {', '.join(frame.columns)}): "
                f"set data.{name}"
            )
        kind = frame.schema[column]
        number = name == "conversation" and kind.is_integer()
        if kind not in (pl.String, pl.Categorical, pl.Enum) and not number:
            raise ValueError(f"{source}: column {column!r} is {kind}, not text: set data.{name}")
        missing = frame[column].alias("").is_null()  # "^x.*$" would be taken for a pattern
        if name != "response" and missing.any():
            raise ValueError(
                f"{source}: column {column!r} is null in {missing.sum()} of {len(frame)} rows "
                f"(first: row {missing.arg_max()}): fill or drop them"
            )
    columns = {name: frame[column].cast(pl.String) for name, column in wanted.items()}
    columns.setdefault("conversation", columns["prompt"])
    if answers:
        columns["response"] = columns["response"].fill_null("")
    others = [c for c in frame.columns if c not in wanted.values() and c not in columns]
    return frame.with_columns(**columns).select(*columns, *others)


def from_pairs(frame: pl.DataFrame) -> pl.DataFrame:
    """Preference pairs as single answers: both the chosen and the rejected one become a row.

    Columns chosen and rejected hold whole dialogues in the form of hh-rlhf, "Human: ... Assistant:
    ...", whose last assistant turn is the answer. Dialogues that begin alike are one conversation,
    for the same one may be there several times, cut off after different turns.

    >>> pair = "\\n\\nHuman: Hi\\n\\nAssistant: "
    >>> pairs = pl.DataFrame({"chosen": [pair + "Hello!"], "rejected": [pair + "What?"]})
    >>> from_pairs(pairs).select("prompt", "response", "conversation").rows()
    [('Hi', 'Hello!', 'Hi'), ('Hi', 'What?', 'Hi')]
    """
    rows = []
    for number, pair in enumerate(frame.select("chosen", "rejected").iter_rows()):
        for side, text in zip(("chosen", "rejected"), pair, strict=True):
            if not isinstance(text, str) or TURN not in text:
                raise ValueError(
                    f"column {side!r}, row {number}: expected a dialogue with "
                    f"'{TURN.strip()}' turns"
                )
            before, _, answer = text.rpartition(TURN)
            prompt = before.strip().removeprefix("Human:").strip()
            rows.append((prompt, answer.strip(), prompt.partition(TURN)[0], side))
    schema = ["prompt", "response", "conversation", "side"]
    return pl.DataFrame(rows, schema=dict.fromkeys(schema, pl.String), orient="row")


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
        ValueError: as `load_source`; empty answers or over-long prompts (unless invalid is "drop"),
            too few conversations, no rows left, or a column that a selection adds.
    """
    frame = _drawn(spec, seed)
    if frame.is_empty():
        raise ValueError(f"{spec.source}: no rows")
    for name in ADDED:
        if name in frame.columns:
            raise ValueError(f"{spec.source}: selection adds a column {name!r} too: rename it")
    dropped = {}
    empty = frame["response"].str.strip_chars() == ""
    frame, dropped["empty answer"] = _without(frame, empty, "answers are empty", spec.invalid)
    long = _lengths(frame, prompt_lengths) >= limit
    reason = (
        f"prompts have {limit} tokens or more, so that no answer fits into train.max_length "
        "and the model's context"
    )
    frame, dropped["prompt too long"] = _without(frame, long, reason, spec.invalid)
    held = _choose(frame["conversation"], spec.held_out, seed)
    aside = frame["conversation"].is_in(held.implode())
    held_out = frame.filter(aside).unique("conversation", keep="first", maintain_order=True)
    pool = frame.filter(~aside)
    # Held-out prompts must not be trained on under another conversation's name either.
    same = pool["prompt"].is_in(held_out["prompt"].implode())
    pool, dropped["prompt is held out"] = pool.filter(~same), int(same.sum())
    if spec.max_word_overlap is not None:
        before = len(pool)
        pool = without_echoes(pool, spec.max_word_overlap)
        dropped["repeats the prompt"] = before - len(pool)
    if pool.is_empty():
        found = ", ".join(f"{count} {reason}" for reason, count in dropped.items() if count)
        raise ValueError(f"{spec.source}: no rows are left to select from ({found})")
    others = pool
    if spec.prompts is not None:
        others = load_source(spec, spec.prompts, answers=False)
        others = others.filter(
            ~pl.col("conversation").is_in(held.implode()),
            ~pl.col("prompt").is_in(held_out["prompt"].implode()),
        )
        short = _lengths(others, prompt_lengths) < limit
        dropped["prompt for stage 2 too long"] = int((~short).sum())
        others = others.filter(short)
        if others.is_empty():
            raise ValueError(f"{spec.prompts}: no prompts that are not held out and short enough")
    prompts = others.unique("prompt", keep="first", maintain_order=True)
    names = ["prompt", "conversation"]
    return Split(pool, prompts.select(names), held_out.select(names), dropped)


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
