"""Rows of a source in the columns prompt, response and conversation, whatever its layout is."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable

import numpy as np
import polars as pl

from paretohqd.frames.conversations.known_sets import has_trees, unfold
from paretohqd.frames.conversations.layouts import TEXT, find_layout, holds_values, texts_of
from paretohqd.frames.conversations.refused import CANNOT_BE_READ
from paretohqd.frames.conversations.rows import PAIR, Layout
from paretohqd.frames.conversations.texts import default_layout, first_turns, prompts_and_answers
from paretohqd.runs import sections

ADVICE = "mend such rows, or set data.invalid: drop"


def rests_on_other_rows(schema: pl.Schema, spec: sections.Data) -> bool:
    """Whether a row's prompt lies in other rows, so that all have to be read together."""
    return _may_be_known(spec) and has_trees(schema)


def _may_be_known(spec: sections.Data) -> bool:
    """Whether the usual columns are named: whoever names others says what holds the texts."""
    return (spec.prompt, spec.response) == (sections.Data.prompt, sections.Data.response)


def read_columns(
    frame: pl.DataFrame, spec: sections.Data, left_out: Counter[str], *, answers: bool
) -> pl.DataFrame:
    """The frame with its texts in columns called prompt, response and conversation.

    Args:
        frame: Rows of a source.
        spec: The data section of the configuration.
        left_out: Counts the rows that are left out, by reason.
        answers: Whether to read answers too, and not only prompts.

    Raises:
        ValueError: A missing column, one that is not text, or rows that cannot be read, unless
            `spec.invalid` is "drop".
    """
    drop = spec.invalid == "drop"
    read = _read(frame, spec, left_out, answers=answers, drop=drop)
    if not drop:
        return read
    kept = read.filter(pl.all_horizontal(pl.col("prompt", "conversation").is_not_null()))
    left_out.update(+Counter({CANNOT_BE_READ: len(read) - len(kept)}))
    return kept


def _read(
    frame: pl.DataFrame, spec: sections.Data, left_out: Counter[str], *, answers: bool, drop: bool
) -> pl.DataFrame:
    """The same; with `drop` prompt or conversation are null where a row cannot be read."""
    if _may_be_known(spec):
        frame = unfold(frame, drop=drop, left_out=left_out, advice=ADVICE)
    layout = _layout(frame, spec, answers=answers)
    pairs = layout.answer == "chosen" and "rejected" in frame.columns and spec.response != "chosen"
    frame = _whole_numbers_as_texts(frame, PAIR if pairs else [layout.answer])
    if layout.prompt is not None and not drop:
        _refuse_nulls(frame, layout.prompt)
    given = spec.conversation
    if given is None and "conversation" in frame.columns and layout.answer != "conversation":
        given = "conversation"
    if not answers and given not in frame.columns:
        given = None
    if pairs:
        return from_pairs(frame, prompt=layout.prompt, conversation=given, drop=drop)
    prompts, responses = prompts_and_answers(
        frame, layout, allow_empty=True, drop=drop, advice=ADVICE
    )
    columns = {"prompt": prompts}
    if answers:
        columns["response"] = responses.fill_null("")
    columns["conversation"] = _conversations(frame, given, prompts, drop=drop)
    return _beside_others(frame, columns, [layout.prompt, layout.answer, layout.system, given])


def _layout(frame: pl.DataFrame, spec: sections.Data, *, answers: bool) -> Layout:
    """The columns of prompts and answers.

    Raises:
        ValueError: None is found, or one that is named is missing or holds no texts.
    """
    named = {"prompt": spec.prompt, **({"response": spec.response} if answers else {})}
    for option, name in named.items():
        # A source of prompts alone may be pairs beside answers with names of their own.
        pairs = not answers and set(PAIR) <= set(frame.columns)
        if name not in (*frame.columns, option) and not pairs:
            raise _missing(frame, option, name)
        _refuse_type(frame, option, name, _holds_answers if option == "response" else holds_values)
    return default_layout(
        frame,
        prompt=spec.prompt,
        response=spec.response,
        options="data.prompt, data.response",
        answers=answers,
    )


def _holds_answers(dtype: pl.DataType) -> bool:
    """Whether a column of this type can hold answers: to sums, all may be whole numbers."""
    return holds_values(dtype) or dtype.is_integer()


def _whole_numbers_as_texts(frame: pl.DataFrame, names: Iterable[str | None]) -> pl.DataFrame:
    """Answers that are whole numbers as texts, in which each has one form.

    Other numbers have several: a column with 2 and 3.5 would say 2.0.
    """
    numbers = [name for name in names if name is not None and frame.schema[name].is_integer()]
    return frame.with_columns(texts_of(frame, name).alias(name) for name in numbers)


def _beside_others(
    frame: pl.DataFrame, columns: dict[str, pl.Series], taken: Iterable[str | None]
) -> pl.DataFrame:
    """Columns that were made of a frame, and its others but for those that they are made of."""
    others = [name for name in frame.columns if name not in {*taken, *columns}]
    return frame.with_columns(**columns).select(*columns, *map(frame.get_column, others))


def _conversations(
    frame: pl.DataFrame, name: str | None, prompts: pl.Series, *, drop: bool
) -> pl.Series:
    """The column by which rows belong together, as text; the first turns where there is none."""
    if name is None:
        return first_turns(prompts)
    if name not in frame.columns:
        raise _missing(frame, "conversation", name)
    _refuse_type(frame, "conversation", name, lambda t: t.is_integer() or t in TEXT)
    if not drop:
        _refuse_nulls(frame, name)
    return texts_of(frame, name)


def _missing(frame: pl.DataFrame, option: str, name: str) -> ValueError:
    return ValueError(f"no column {name!r} (it has {', '.join(frame.columns)}): set data.{option}")


def _refuse_type(
    frame: pl.DataFrame, option: str, name: str, fits: Callable[[pl.DataType], bool]
) -> None:
    if name in frame.columns and not fits(dtype := frame.schema[name]):
        advice = f"set data.{option}"
        if dtype.is_numeric():
            # A CSV file has numbers alone as numbers, with quotes or without.
            advice += ", or write the numbers as texts, in Parquet or JSON lines"
        raise ValueError(f"column {name!r} is {dtype}, not text: {advice}")


def _refuse_nulls(frame: pl.DataFrame, name: str) -> None:
    missing = frame[name].alias("").is_null()  # "^x.*$" would be taken for a pattern
    if missing.any():
        raise ValueError(
            f"column {name!r} is null in {missing.sum()} of {len(frame)} rows "
            f"(first: row {missing.arg_max()}): fill or drop them (data.invalid)"
        )


def from_pairs(
    frame: pl.DataFrame,
    *,
    prompt: str | None = None,
    conversation: str | None = None,
    drop: bool = False,
) -> pl.DataFrame:
    """Preference pairs as single answers: both the chosen and the rejected one become a row.

    Columns chosen and rejected hold the answers to the prompts of a column, or whole dialogues.
    These are messages, or texts in the form of hh-rlhf, "Human: ... Assistant: ...": the messages
    before the last one of the assistant are the prompt; a dialogue that ends with another turn has
    an empty answer. Each side has the prompt of its own dialogue. Those with the same first turn
    are one conversation, unless a column says which belong together, because a conversation may be
    there several times, cut off after different turns. Numbers that a pair has for each side, such
    as score_chosen and score_rejected, become a column, score. Both sides have all other columns.

    Args:
        frame: One row per pair.
        prompt: The column of prompts.
        conversation: The column by which rows belong together.
        drop: Whether a side that cannot be read has a null for its prompt, and is not refused.

    Example:
        >>> pair = "\\n\\nHuman: Hi\\n\\nAssistant: "
        >>> pairs = pl.DataFrame({"chosen": [pair + "Hello!"], "rejected": [pair + "What?"]})
        >>> from_pairs(pairs).select("prompt", "response", "conversation").rows()
        [('Hi', 'Hello!', 'Hi'), ('Hi', 'What?', 'Hi')]
    """
    sides = []
    ratings = _ratings(frame)
    of_sides = [name for each in ratings.values() for name in each.values()]
    for side in PAIR:
        layout = find_layout(frame, prompt=prompt, completion=side)
        prompts, responses = prompts_and_answers(
            frame, layout, allow_empty=True, drop=drop, advice=ADVICE
        )
        columns = {
            "prompt": prompts,
            "response": responses.fill_null(""),
            "conversation": _conversations(frame, conversation, prompts, drop=drop),
            "side": pl.repeat(side, len(frame), dtype=pl.String, eager=True),
        }
        for name, of in ratings.items():
            columns[name] = frame[of[side]].cast(pl.Float64)
        taken = [layout.prompt, layout.system, conversation, *PAIR, *of_sides]
        sides.append(_beside_others(frame, columns, taken))
    in_turn = np.arange(2 * len(frame)).reshape(2, -1).T.ravel()
    return pl.concat(sides)[in_turn]


def _ratings(frame: pl.DataFrame) -> dict[str, dict[str, str]]:
    """Columns of numbers that each side has its own of, by their common name and the side."""
    first, second = PAIR
    ratings = {}
    for name, dtype in frame.schema.items():
        common = name.removesuffix(f"_{first}").removeprefix(f"{first}_")
        other = name.replace(first, second)
        if common in (name, "prompt", "response", "row") or other not in frame.columns:
            continue
        if dtype.is_numeric() and frame.schema[other].is_numeric():
            ratings[common] = {first: name, second: other}
    return ratings
