"""How many tokens training on preference pairs takes: known before it starts."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from paretohqd.models.chat import frame_rows, until_end

SIDES = ("chosen", "rejected")


def pair_lengths(
    tokenizer: Any,
    pairs: pl.DataFrame,
    max_length: int | None,
    *,
    stop: Sequence[int] | None = None,
) -> list[int]:
    """Tokens of each pair as `pairwise.fit_pairs` trains on it: both texts with their prompt.

    The reference's log-probabilities are read off the same tokens once more, without a backward
    pass: they are not counted.

    Args:
        tokenizer: with a chat template.
        pairs: n rows of prompt, chosen and rejected.
        max_length: longer texts are cut there; None cuts none.
        stop: ids that end an answer, as `chat.stop_tokens` tells; the tokenizer's end token
            if not given.
    """
    ends = [tokenizer.eos_token_id] if stop is None else stop
    sizes = text_lengths(tokenizer, pairs, ends)
    lengths: list[int] = np.minimum(sizes, max_length or sizes.max(initial=0)).sum(axis=1).tolist()
    return lengths


def text_lengths(tokenizer: Any, pairs: pl.DataFrame, stop: Sequence[int]) -> NDArray[np.int64]:
    """(n, 2) tokens of prompt and chosen, and of prompt and rejected, to the end token."""
    sizes = np.zeros((len(pairs), len(SIDES)), dtype=np.int64)
    if pairs.is_empty():
        return sizes
    for place, side in enumerate(SIDES):
        rows = frame_rows(tokenizer, pairs, side, stop=stop)
        sizes[:, place] = [len(start) + len(until_end(rest, stop)) for start, rest in rows]
    return sizes


def trained_tokens(lengths: Sequence[int], batch: int, steps: int) -> int:
    """Tokens of so many steps over rows of these lengths, pass by pass, in their order.

    Example:
        >>> trained_tokens([1, 10, 100], batch=2, steps=3)
        122
    """
    passes, rest = divmod(steps, -(-len(lengths) // batch))
    return passes * sum(lengths) + sum(lengths[: rest * batch])
