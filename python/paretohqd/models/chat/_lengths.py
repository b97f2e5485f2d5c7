"""How many tokens rows have, known before they are trained on or sampled, and whether they fit."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from paretohqd.models.chat._encoding import SYSTEM_PROMPT, encode_frame, encode_prompts

SIDES = ("chosen", "rejected")
"""Columns of the two answers of a preference pair."""


def context_tokens(configuration: Any) -> int:
    """Tokens that a model can attend to; very many where its configuration sets no limit."""
    return int(getattr(configuration, "max_position_embeddings", None) or 2**31)


def prompt_lengths(tokenizer: Any, frame: pl.DataFrame) -> pl.Series:
    """Tokens of each row's prompt in the chat template, up to where its answer starts."""
    keys = ["prompt", SYSTEM_PROMPT] if SYSTEM_PROMPT in frame.columns else ["prompt"]
    unique = frame.select(keys).unique(maintain_order=True)
    ids = encode_prompts(tokenizer, *(unique[key].to_list() for key in keys))
    table = unique.with_columns(length=pl.Series([len(row) for row in ids], dtype=pl.Int64))
    return frame.select(keys).join(table, on=keys, how="left", maintain_order="left")["length"]


def row_lengths(tokenizer: Any, rows: pl.DataFrame, max_length: int | None) -> list[int]:
    """Tokens of each row as it is trained on: prompt, answer and what the template adds."""
    lengths = [sum(map(len, row)) for row in encode_frame(tokenizer, rows)]
    return [min(length, max_length or length) for length in lengths]


def trained_lengths(tokenizer: Any, rows: pl.DataFrame, max_length: int | None) -> list[int]:
    """Tokens of each row where nothing behind an answer's end token is trained on.

    Args:
        tokenizer: A tokenizer with a chat template.
        rows: n rows of prompt and response.
        max_length: Longer texts are cut there; None cuts none.
    """
    sizes = answer_lengths(tokenizer, rows, ["response"], stop=[tokenizer.eos_token_id])[:, 0]
    lengths: list[int] = np.minimum(sizes, max_length or sizes.max(initial=0)).tolist()
    return lengths


def pair_lengths(
    tokenizer: Any,
    pairs: pl.DataFrame,
    max_length: int | None,
    *,
    stop: Collection[int] | None = None,
) -> list[int]:
    """Tokens of each pair as `dpo.fit_pairs` trains on it: both texts with their prompt.

    The reference's log-probabilities are read off the same tokens once more, without a backward
    pass: they are not counted.

    Args:
        tokenizer: A tokenizer with a chat template.
        pairs: n rows of prompt, chosen and rejected.
        max_length: Longer texts are cut there; None cuts none.
        stop: Ids that end an answer, see `stop_tokens`; the tokenizer's end token if not given.
    """
    ends = [tokenizer.eos_token_id] if stop is None else stop
    sizes = answer_lengths(tokenizer, pairs, SIDES, stop=ends)
    lengths: list[int] = np.minimum(sizes, max_length or sizes.max(initial=0)).sum(axis=1).tolist()
    return lengths


def answer_lengths(
    tokenizer: Any, frame: pl.DataFrame, columns: Sequence[str], *, stop: Collection[int]
) -> NDArray[np.int64]:
    """(n, columns) tokens of prompt and answer up to its end token, for columns of answers."""
    sizes = np.zeros((len(frame), len(columns)), dtype=np.int64)
    if frame.is_empty():
        return sizes
    for column, name in enumerate(columns):
        rows = encode_frame(tokenizer, frame, name, stop=stop)
        sizes[:, column] = [len(row.prompt) + len(row.answer) for row in rows]
    return sizes


def check_prompt_lengths(
    tokenizer: Any, rows: pl.DataFrame, max_length: int | None, *, section: str = "train"
) -> None:
    """Refuse prompts that leave no token of an answer: TRL drops such rows without a word.

    Args:
        tokenizer: A tokenizer with a chat template.
        rows: With the column prompt.
        max_length: Tokens of prompt and answer; None: any number.
        section: Where the configuration says so, for the message.
    """
    if max_length is None:
        return
    cut = prompt_lengths(tokenizer, rows) >= max_length
    if cut.any():
        what = "all" if cut.all() else str(cut.sum())
        raise ValueError(
            f"{what} of {len(rows)} answers would be cut off whole: their prompts have "
            f"max_length={max_length} tokens or more (first: row {cut.arg_max()}): raise "
            f"{section}.max_length or leave these rows out"
        )


def check_room(
    lengths: Sequence[int], answer: int, room: int, *, longest: str = "max_new_tokens"
) -> None:
    """Refuse prompts that leave less than `answer` of the `room` tokens of a model's context.

    Args:
        lengths: Tokens of each prompt, in the caller's order.
        answer: Tokens that an answer may have.
        room: Tokens of prompt and answer together.
        longest: The setting that says how long an answer may be.
    """
    long = [row for row, length in enumerate(lengths) if length + answer > room]
    if long:
        raise ValueError(
            f"{len(long)} of {len(lengths)} prompts leave no room for {answer} new tokens within "
            f"the model's context of {room} tokens (first: row {long[0]} with {lengths[long[0]]} "
            f"tokens): drop them or lower {longest}"
        )
