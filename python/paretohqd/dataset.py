"""Chosen rows as a dataset for supervised fine-tuning."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import polars as pl

if TYPE_CHECKING:
    from datasets import Dataset

PROMPTS = ("prompt", "question", "instruction", "query")
COMPLETIONS = ("completion", "response", "answer", "output", "chosen")
MESSAGES = ("messages", "conversation")


def sft_dataset(
    rows: pl.DataFrame,
    *,
    prompt: str | None = None,
    completion: str | None = None,
    messages: str | None = None,
    system: str | None = None,
    keep: Sequence[str] = (),
) -> Dataset:
    """Rows as the conversational prompt/completion columns whose completion alone TRL trains.

    A `messages` column would be trained on whole, so conversations are cut before their last
    message. See `Selection.to_dataset` for the columns. `system` names a column of texts that come
    before the prompts; an empty one is none.

    Raises:
        ValueError: no such column, or one of no such content.
        ImportError: the package `datasets` is not installed.
    """
    try:
        from datasets import Dataset
    except ImportError as error:
        raise ImportError("datasets are needed: pip install datasets") from error
    if messages is None and prompt is None and completion is None:
        messages = None if _found(rows, PROMPTS) else _found(rows, MESSAGES)
    if messages is not None:
        pairs = [_divided(place, talk) for place, talk in enumerate(_column(rows, messages))]
    else:
        prompt = prompt or _found(rows, PROMPTS)
        completion = completion or _found(rows, COMPLETIONS)
        if prompt is None or completion is None:
            missing = "prompts" if prompt is None else "answers"
            raise ValueError(
                f"no column of {missing} was found among {', '.join(rows.columns)}: name them "
                "(prompt=, completion=, or messages=)"
            )
        asked = [_turns(place, prompt, "user", x) for place, x in enumerate(_column(rows, prompt))]
        if system is not None:
            first = [
                _turns(place, system, "system", x) for place, x in enumerate(_column(rows, system))
            ]
            asked = [(f if f[0]["content"] else []) + a for f, a in zip(first, asked, strict=True)]
        said = [
            _turns(place, completion, "assistant", x)
            for place, x in enumerate(_column(rows, completion))
        ]
        pairs = list(zip(asked, said, strict=True))
    kept = rows.select(keep).to_dicts()
    return Dataset.from_list(
        [
            {"prompt": asked, "completion": said, **more}
            for (asked, said), more in zip(pairs, kept or [{}] * len(pairs), strict=True)
        ]
    )


def _found(rows: pl.DataFrame, names: Sequence[str]) -> str | None:
    return next((name for name in names if name in rows.columns), None)


def _column(rows: pl.DataFrame, name: str) -> list[Any]:
    if name not in rows.columns:
        raise ValueError(f"no column {name!r}: the rows have {', '.join(rows.columns)}")
    return rows[name].to_list()


def _turns(place: int, column: str, role: str, value: Any) -> list[dict[str, str]]:
    """Text, or messages as they are."""
    if isinstance(value, str):
        return [{"role": role, "content": value}]
    return _checked(place, column, value)


def _divided(place: int, talk: Any) -> tuple[list[dict[str, str]], list[dict[str, str]]]:
    """A conversation before its last message, and that message."""
    talk = _checked(place, "messages", talk)
    if len(talk) < 2 or talk[-1]["role"] != "assistant":
        raise ValueError(
            f"messages: row {place} does not end with an assistant's message after another one"
        )
    return talk[:-1], talk[-1:]


def _checked(place: int, column: str, talk: Any) -> list[dict[str, str]]:
    good = isinstance(talk, list) and all(
        isinstance(turn, dict)
        and isinstance(turn.get("role"), str)
        and isinstance(turn.get("content"), str)
        for turn in talk
    )
    if not good or not talk:
        raise ValueError(
            f"{column}: row {place} holds neither text nor messages with role and content"
        )
    return [{"role": turn["role"], "content": turn["content"]} for turn in talk]
