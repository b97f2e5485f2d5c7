"""Token rows of any length, and the batches of equal length that a reward model reads."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Any

import numpy as np
from numpy.typing import NDArray

from paretohqd.rewards.inputs import Parts, RewardInputs, Tokens

Ints = NDArray[np.int64]

ENCODED = 8192
"""Rows that are in memory as lists of Python's integers, which take ten times their text."""


@dataclass(frozen=True)
class TokenRows:
    """n rows of a model's inputs, end to end in one array for each input."""

    values: dict[str, NDArray[Any]]
    starts: Ints
    """(n + 1,) where each row begins, and where the last one ends."""

    @property
    def lengths(self) -> Ints:
        """(n,) tokens of each row."""
        return np.diff(self.starts)

    def batch(self, rows: Ints) -> dict[str, Ints]:
        """The inputs of some rows of one length, each as a (rows, length) array.

        Example:
            >>> tokens = TokenRows({"input_ids": np.array([5, 6, 7, 8, 9])}, np.array([0, 2, 3, 5]))
            >>> tokens.batch(np.array([2, 0]))["input_ids"].tolist()
            [[8, 9], [5, 6]]
        """
        length = int(self.lengths[rows[0]])
        places = self.starts[rows][:, None] + np.arange(length)
        return {name: flat[places].astype(np.int64) for name, flat in self.values.items()}


def encode_rows(inputs: RewardInputs, rows: Sequence[Parts]) -> tuple[TokenRows, list[int]]:
    """Tokens of rows, of over-long ones without their beginning.

    Returns:
        The tokens, and the numbers of the over-long rows.
    """
    parts: dict[str, list[NDArray[Any]]] = {}
    lengths: list[int] = []
    long: list[int] = []
    for start in range(0, len(rows), ENCODED):
        some = rows[start : start + ENCODED]
        tokens = inputs.encode(some)
        over = [i for i, ids in enumerate(tokens["input_ids"]) if len(ids) > inputs.limit]
        if over:
            _replace(tokens, over, inputs.cut([some[i] for i in over]))
            long += [start + i for i in over]
        lengths += map(len, tokens["input_ids"])
        for name, values in tokens.items():
            # Masks and types are small numbers.
            kind = np.int32 if name == "input_ids" else np.int8
            flat = np.fromiter(chain.from_iterable(values), dtype=kind)
            parts.setdefault(name, []).append(flat)
    starts = np.concatenate([[0], np.cumsum(lengths, dtype=np.int64)])
    return TokenRows({name: np.concatenate(some) for name, some in parts.items()}, starts), long


def _replace(tokens: Tokens, rows: Sequence[int], others: Tokens) -> None:
    for name, values in tokens.items():
        for i, value in zip(rows, others[name], strict=True):
            values[i] = value


def plan(lengths: Ints, *, batch_size: int, batch_tokens: int) -> Iterator[Ints]:
    """Numbers of the rows of each batch: of one length, the shortest first, in their order.

    Args:
        lengths: (n,) tokens of each row.
        batch_size: Rows of a batch at most.
        batch_tokens: Tokens of a batch at most; one row may have more.

    Example:
        >>> rows = np.array([9, 3, 9, 3, 3])
        >>> [batch.tolist() for batch in plan(rows, batch_size=2, batch_tokens=16)]
        [[1, 3], [4], [0], [2]]
    """
    order = np.argsort(lengths, kind="stable")
    ends = np.flatnonzero(np.diff(lengths[order])) + 1
    for same in np.split(order, ends):
        if same.size:
            size = max(1, min(batch_size, batch_tokens // max(1, int(lengths[same[0]]))))
            yield from (same[start : start + size] for start in range(0, same.size, size))
