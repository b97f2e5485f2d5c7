"""Trees of messages, as OpenAssistant's, in which a row names the one that it answers."""

from __future__ import annotations

from typing import Any, NamedTuple

import polars as pl

from paretohqd.frames.conversations.messages import ROLES, Message, Unreadable
from paretohqd.frames.conversations.prompts import write_prompt
from paretohqd.frames.conversations.refused import Refused
from paretohqd.frames.conversations.set_values import (
    Row,
    are_names,
    are_texts,
    number,
    record,
)

NAME = "OpenAssistant"
COLUMNS = {
    "message_id": are_names,
    "parent_id": are_names,
    "text": are_texts,
    "role": are_texts,
}
LABELS = ("quality", "helpfulness", "creativity", "humor")
RATINGS: tuple[str, ...] = (*LABELS, "mildness")
TAKEN = frozenset({"text", "role", "labels"})
"""Columns that the prompts, answers and ratings are made of."""


class Answers(NamedTuple):
    """What a frame of messages holds."""

    rows: list[dict[str, Any]]
    numbers: list[int]
    """The row of each answer."""
    orphans: int
    """Answers above which a message is missing."""


def unfold_trees(frame: pl.DataFrame, refused: Refused) -> Answers:
    """Each answer with all messages above it; `refused` takes those that cannot be read."""
    messages = _messages(frame)
    labels = frame["labels"].to_list() if "labels" in frame.columns else [None] * len(frame)
    rows: list[dict[str, Any]] = []
    numbers, orphans = [], 0
    for message in messages.values():
        if message.role != "assistant":
            continue
        try:
            path = _above(message, messages)
            if path is None:
                orphans += 1
                continue
            ratings = _ratings({"labels": labels[message.row]})
        except Unreadable as error:
            refused.add(NAME, str(error), message.row)
            continue
        rows.append({"prompt": write_prompt(path), "response": message.text, **ratings})
        numbers.append(message.row)
    return Answers(rows, numbers, orphans)


class _Message(NamedTuple):
    row: int
    parent: Any
    text: str | None
    role: str | None


def _messages(frame: pl.DataFrame) -> dict[Any, _Message]:
    """The messages by their ids; of one that is there several times the last."""
    messages = {}
    for row, (name, parent, said, role) in enumerate(frame.select(*COLUMNS).iter_rows()):
        if name is not None:
            who = None if role is None else ROLES.get(role.strip().lower(), role)
            messages[name] = _Message(row, None if _is_none(parent) else parent, said, who)
    return messages


def _is_none(parent: Any) -> bool:
    """Whether this is the parent of a first message: CSV and pandas have other nulls."""
    return parent is None or parent != parent or parent == ""


def _above(message: _Message, messages: dict[Any, _Message]) -> list[Message] | None:
    """All messages above one, the first first; None if one is missing or there is none.

    Raises:
        Unreadable: One of them has no text or a role that is none, or the last is no user's.
    """
    path: list[Message] = []
    name, seen = message.parent, set()
    while name is not None:
        if name not in messages or name in seen:
            return None
        seen.add(name)
        above = messages[name]
        if above.text is None:
            raise Unreadable("has a message above it whose text is null")
        if above.role not in ROLES.values():
            raise Unreadable(f"has a message above it of the role {above.role!r}")
        path.append({"role": above.role, "content": above.text})
        name = above.parent
    if path and path[0]["role"] not in ("user", "tool"):
        raise Unreadable("answers no message of a user")
    return path[::-1] or None


def _ratings(row: Row) -> dict[str, float | None]:
    labels = record(row, "labels")
    names, values = labels.get("name") or [], labels.get("value") or []
    if not (isinstance(names, list) and isinstance(values, list) and len(names) == len(values)):
        raise Unreadable("has no list of names and of as many values in 'labels'")
    given = {name: number(value) for name, value in zip(names, values, strict=True)}
    toxicity = given.get("toxicity")
    return {name: given.get(name) for name in LABELS} | {
        "mildness": None if toxicity is None else -toxicity
    }
