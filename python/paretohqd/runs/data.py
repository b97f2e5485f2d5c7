"""Answers to select from and prompts to evaluate on, from files, the hub or the embedded parts."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import polars as pl

from paretohqd.frames.batches import compacted
from paretohqd.frames.conversations.layouts import (
    TEXT,
    find_layout,
    holds_values,
    is_plain,
    texts_of,
)
from paretohqd.frames.conversations.messages import ASSISTANT
from paretohqd.frames.conversations.rows import PAIR
from paretohqd.frames.conversations.texts import default_layout, single_turns
from paretohqd.frames.sources import Source, read_frame
from paretohqd.frames.text_metrics import word_overlap
from paretohqd.models import embedded
from paretohqd.runs import config
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


def load_source(spec: config.Data, source: str, *, answers: bool = True) -> pl.DataFrame:
    """Rows of a source with at least the columns prompt, response and conversation.

    Prompts and answers may be texts or messages: see `Selection.to_dataset` for where they are
    looked for, if not in the columns that `spec` names. A row with chosen and rejected and no other
    answer becomes two.

    Args:
        spec: the data section of the configuration.
        source: `spec.source` or `spec.prompts`.
        answers: False: a source of prompts, which need not have responses.

    Raises:
        ValueError: no such source, a missing column, one that is not text or has nulls, or rows
            that are no single prompt and answer. Null responses are empty answers, as CSV has them.
    """
    if source == "embedded:conversations":
        return embedded.conversations().with_columns(pl.col("conversation").cast(pl.String))
    if source.startswith("embedded:"):
        raise ValueError(f"{source}: did you mean embedded:conversations?")
    frame = _from_hub(spec, source) if source.startswith("hub:") else read_frame(Path(source))
    try:
        return _read(frame, spec, answers=answers)
    except ValueError as error:
        raise ValueError(f"{source}: {error}") from error


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
    """The same of plain texts, without holding those of other rows.

    Raises:
        ValueError: as `load_source`, but of a batch; or another layout, which all rows decide.
    """
    source = Source.of(spec.source)
    pairs = set(PAIR) <= set(source.names) and spec.response not in source.names
    texts, each = (PAIR, 2) if pairs else ((spec.prompt, spec.response), 1)
    rows, parts, start = each * source.rows(), [], 0
    places = np.arange(rows) if rows <= count else _places(rows, count, seed)
    for batch in source.batches([pl.all()]):
        plain = all(name in source.names and is_plain(batch, name) for name in texts)
        found = _read(batch, spec, answers=True) if plain else batch[:0]
        if len(found) < each * len(batch):
            raise ValueError("no plain prompts and answers")
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


def _read(frame: pl.DataFrame, spec: config.Data, *, answers: bool) -> pl.DataFrame:
    """The frame with its texts in columns called prompt, response and conversation."""
    named = {"prompt": spec.prompt, **({"response": spec.response} if answers else {})}
    for option, name in named.items():
        # A source of prompts alone may be pairs beside answers with names of their own.
        found = not answers and set(PAIR) <= set(frame.columns)
        if name not in (*frame.columns, option) and not found:
            raise _missing(frame, option, name)
        _refuse_type(frame, option, name, holds_values)
    layout = default_layout(
        frame,
        prompt=spec.prompt,
        response=spec.response,
        options="data.prompt, data.response",
        answers=answers,
    )
    if layout.answer == "chosen" and "rejected" in frame.columns and spec.response != "chosen":
        return from_pairs(frame, prompt=layout.prompt, conversation=spec.conversation)
    wanted = [name for name in (layout.prompt, layout.answer) if name is not None]
    if layout.prompt is not None:
        _refuse_nulls(frame, layout.prompt)
    prompts, responses = single_turns(frame, layout, allow_empty=True)
    columns = {"prompt": prompts}
    if answers:
        columns["response"] = responses.fill_null("")
    given = spec.conversation
    if given is None and "conversation" in frame.columns and layout.answer != "conversation":
        given = "conversation"
    if given is not None and (answers or given in frame.columns):
        columns["conversation"] = _conversations(frame, given)
        wanted.append(given)
    columns.setdefault("conversation", columns["prompt"])
    others = [c for c in frame.columns if c not in wanted and c not in columns]
    return frame.with_columns(**columns).select(*columns, *others)


def _conversations(frame: pl.DataFrame, name: str) -> pl.Series:
    """The column by which rows belong together, as text."""
    if name not in frame.columns:
        raise _missing(frame, "conversation", name)
    _refuse_type(frame, "conversation", name, lambda t: t.is_integer() or t in TEXT)
    _refuse_nulls(frame, name)
    return texts_of(frame, name)


def _missing(frame: pl.DataFrame, option: str, name: str) -> ValueError:
    return ValueError(f"no column {name!r} (it has {', '.join(frame.columns)}): set data.{option}")


def _refuse_type(
    frame: pl.DataFrame, option: str, name: str, fits: Callable[[pl.DataType], bool]
) -> None:
    if name in frame.columns and not fits(frame.schema[name]):
        raise ValueError(f"column {name!r} is {frame.schema[name]}, not text: set data.{option}")


def _refuse_nulls(frame: pl.DataFrame, name: str) -> None:
    missing = frame[name].alias("").is_null()  # "^x.*$" would be taken for a pattern
    if missing.any():
        raise ValueError(
            f"column {name!r} is null in {missing.sum()} of {len(frame)} rows "
            f"(first: row {missing.arg_max()}): fill or drop them"
        )


def from_pairs(
    frame: pl.DataFrame, *, prompt: str | None = None, conversation: str | None = None
) -> pl.DataFrame:
    """Preference pairs as single answers: both the chosen and the rejected one become a row.

    Columns chosen and rejected hold the answers to the prompts of a column, or whole dialogues.
    These are messages, of one prompt and its answer, or texts in the form of hh-rlhf, "Human: ...
    Assistant: ...": what stands before the last assistant turn is the prompt, further turns
    included; a dialogue that ends with another turn has an empty answer. Each side has the prompt
    of its own dialogue. Those that begin alike are one conversation, for the same one may be there
    several times, cut off after different turns.

    >>> pair = "\\n\\nHuman: Hi\\n\\nAssistant: "
    >>> pairs = pl.DataFrame({"chosen": [pair + "Hello!"], "rejected": [pair + "What?"]})
    >>> from_pairs(pairs).select("prompt", "response", "conversation").rows()
    [('Hi', 'Hello!', 'Hi'), ('Hi', 'What?', 'Hi')]
    """
    sides = []
    for side in PAIR:
        layout = find_layout(frame, prompt=prompt, completion=side)
        prompts, responses = single_turns(frame, layout, allow_empty=True)
        if conversation is None:
            belong = prompts.str.split(ASSISTANT).list.first()
        else:
            belong = _conversations(frame, conversation)
        sides.append(
            pl.DataFrame(
                {
                    "prompt": prompts,
                    "response": responses.fill_null(""),
                    "conversation": belong,
                    "side": pl.repeat(side, len(frame), dtype=pl.String, eager=True),
                }
            ).with_row_index("row")
        )
    return pl.concat(sides).sort("row", maintain_order=True).drop("row")


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
    held = _choose(_comparable(frame["conversation"]), spec.held_out, seed)
    aside = _comparable(frame["conversation"]).is_in(held.implode())
    held_out = frame.filter(aside)
    held_out = held_out.filter(_comparable(held_out["conversation"]).is_first_distinct())
    pool = frame.filter(~aside)
    # Held-out prompts must not be trained on under another conversation's name either.
    asked = _comparable(held_out["prompt"])
    same = _comparable(pool["prompt"]).is_in(asked.implode())
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
            ~_comparable(others["conversation"]).is_in(held.implode()),
            ~_comparable(others["prompt"]).is_in(asked.implode()),
        )
        short = _lengths(others, prompt_lengths) < limit
        dropped["prompt for stage 2 too long"] = int((~short).sum())
        others = others.filter(short)
        if others.is_empty():
            raise ValueError(f"{spec.prompts}: no prompts that are not held out and short enough")
    prompts = others.filter(_comparable(others["prompt"]).is_first_distinct())
    names = ["prompt", "conversation"]
    return Split(pool, prompts.select(names), held_out.select(names), dropped)


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
