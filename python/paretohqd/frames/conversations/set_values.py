"""Values in the rows of known data sets, whichever file they come from, or what is wrong with them.

CSV has lists and structs as the text of their JSON, numbers as text, and no nulls within texts.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import polars as pl

from paretohqd.frames.conversations.layouts import TEXT, texts_of
from paretohqd.frames.conversations.messages import (
    BEGINS,
    Message,
    Unreadable,
    parsed,
    read_messages,
)
from paretohqd.frames.conversations.prompts import write_prompt

Row = Mapping[str, Any]


# ── whether a column can hold them ───────────────────────────────────────────────────────────


def are_texts(values: pl.Series) -> bool:
    """Whether a column holds texts."""
    return values.dtype in TEXT


def are_numbers(values: pl.Series) -> bool:
    """Whether a column holds numbers, or texts that may be some."""
    dtype = values.dtype
    return dtype.is_numeric() or dtype in (*TEXT, pl.Boolean, pl.Null)


def are_names(values: pl.Series) -> bool:
    """Whether a column holds what rows are called by."""
    return values.dtype.is_numeric() or values.dtype in (*TEXT, pl.Null)


def are_records(values: pl.Series) -> bool:
    """Whether a column holds lists of structs, or their JSON."""
    if isinstance(values.dtype, pl.List | pl.Array):
        return isinstance(values.dtype.inner, pl.Struct)
    return _begins(values, rf"{BEGINS}|^\s*\[\s*\]")


def is_record(values: pl.Series) -> bool:
    """Whether a column holds structs, or their JSON."""
    return isinstance(values.dtype, pl.Struct) or _begins(values, r"^\s*\{")


def anything(values: pl.Series) -> bool:
    """Any column will do."""
    return True


def _begins(values: pl.Series, pattern: str) -> bool:
    """Whether the first text of a column begins so."""
    if values.dtype not in TEXT:
        return False
    first = texts_of(values.to_frame(), values.name).drop_nulls().head(1)
    return bool(first.str.contains(pattern).any())


# ── what they are ────────────────────────────────────────────────────────────────────────────


def number(value: Any) -> float | None:
    """A rating; None where there is none ("N/A").

    Raises:
        Unreadable: The value is no number and no text.
    """
    if isinstance(value, str):
        words = {"true": 1.0, "false": 0.0}
        if value.strip().lower() in words:
            return words[value.strip().lower()]
    try:
        return None if value is None else float(value)
    except ValueError:
        return None
    except TypeError:
        raise Unreadable(f"has a rating that is no number: {str(value)[:60]}") from None


def picked(row: Row, name: str, place: int, count: int) -> float | None:
    """Whether a column picks the answer at a place, of so many; None where it picks none.

    Raises:
        Unreadable: It is not null, and no answer has that place.

    Example:
        >>> picked({"better": "1"}, "better", 1, 2), picked({"better": None}, "better", 1, 2)
        (1.0, None)
    """
    value = row[name]
    if value is None:
        return None
    try:
        chosen = float(value)
    except (TypeError, ValueError):
        chosen = -1
    if chosen not in range(count):
        raise Unreadable(f"has {str(value)[:60]!r} in {name!r}, which numbers none of its answers")
    return float(chosen == place)


def text(row: Row, name: str) -> str:
    """A text that must be there."""
    value = row[name]
    if not isinstance(value, str):
        raise Unreadable(f"has no text in {name!r}" + (": it is null" if value is None else ""))
    return value


def answer(row: Row, name: str) -> str | None:
    """An answer; None, which is an empty one, where there is none."""
    return None if row.get(name) is None else text(row, name)


def prompt(row: Row, name: str) -> str:
    """The prompt of a column of messages, or of a text."""
    try:
        return whole_prompt(read_messages(row[name]) or [{"role": "user", "content": row[name]}])
    except Unreadable as error:
        raise Unreadable(f"in {name!r} {error}") from None


def whole_prompt(turns: list[Message]) -> str:
    """A prompt of messages, the last of which is to be answered."""
    if not turns or turns[-1]["role"] not in ("user", "tool"):
        raise Unreadable("does not end with a message of a user or a tool")
    return write_prompt(turns)


def record(row: Row, name: str) -> Row:
    """A struct, as it is or as JSON; an empty one where there is none."""
    value = _evaluated(row, name)
    if value is None:
        return {}
    if not isinstance(value, Mapping):
        raise Unreadable(f"has no names with values in {name!r}")
    return value


def records(row: Row, name: str) -> list[Row]:
    """A list of structs, as it is or as JSON; an empty one where there is none."""
    values = _evaluated(row, name)
    if values is None:
        return []
    if not isinstance(values, list) or not all(isinstance(each, Mapping) for each in values):
        raise Unreadable(f"has no list of names with values in {name!r}")
    return values


def _evaluated(row: Row, name: str) -> Any:
    value = row.get(name)
    if not isinstance(value, str):
        return value
    if not value.strip():
        return None
    try:
        return parsed(value)
    except Unreadable as error:
        what = error if "half" in str(error) else "has text that is no JSON"
        raise Unreadable(f"{what} in {name!r}") from None
