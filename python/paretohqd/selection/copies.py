"""Copies: rows that give the same answer to the same prompt, whatever their scores are."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from paretohqd.frames.conversations.layouts import ANSWERS, DIALOGUES, PROMPTS, SYSTEMS
from paretohqd.frames.objectives import column

BESIDE = (*SYSTEMS, "input", "context", "history", "tools", "rejected")
"""What a training text may be made of besides prompts, answers and dialogues."""


def copy_columns(schema: Mapping[str, pl.DataType], scores: Collection[str]) -> tuple[str, ...]:
    """The columns in which copies are equal: those of the texts where these are known, else all.

    Args:
        schema: The frame's columns.
        scores: Those that hold the objectives.

    Returns:
        Their names; none if one holds Python objects, which cannot be compared.

    Example:
        >>> columns = {"id": pl.Int64(), "prompt": pl.String(), "answer": pl.String()}
        >>> copy_columns(columns, [])
        ('prompt', 'answer')
        >>> copy_columns({"id": pl.Int64(), "help": pl.Float64()}, ["help"])
        ('id', 'help')
    """
    others = [name for name in schema if name not in scores]
    kinds = [[name for name in others if name in kind] for kind in (PROMPTS, ANSWERS, DIALOGUES)]
    # Without prompts `chosen` holds whole dialogues, as `find_layout` reads it.
    if (kinds[0] and kinds[1]) or kinds[2] or "chosen" in others:
        texts = {*PROMPTS, *ANSWERS, *BESIDE}
        if not (kinds[0] and kinds[1]):  # else "conversation" may number them, as in a run
            texts |= {*DIALOGUES}
        names = [name for name in others if name in texts]
    else:
        names = list(schema)
    return () if any(schema[name] == pl.Object for name in names) else tuple(names)


def firsts(keys: NDArray[Any]) -> NDArray[np.int64]:
    """Where each value comes for the first time, ascending.

    Example:
        >>> firsts(np.array([7, 7, 3, 7, 3])).tolist()
        [0, 2]
    """
    return np.sort(np.unique(keys, return_index=True)[1])


def repeated(rows: pl.DataFrame, names: Sequence[str], preference: str = "preference") -> int:
    """How many of the chosen rows are copies of another that the same preference got.

    Example:
        >>> rows = pl.DataFrame({"preference": [0, 0, 0, 1], "prompt": ["a", "a", "b", "a"]})
        >>> repeated(rows, ["prompt"])
        1
    """
    if not names:
        return 0
    return len(rows) - len(rows.unique([*map(column, names), column(preference)]))
