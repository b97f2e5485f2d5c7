"""The order in which rows are trained on, cut to a number of steps or of tokens.

A trainer that takes rows in the given order trains on a number of tokens that is known before it
starts: budgets are then met by counting, not by watching.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray


def schedule(
    lengths: Sequence[int] | ArrayLike,
    *,
    batch: int,
    seed: int,
    steps: int | None = None,
    tokens: float | None = None,
) -> NDArray[np.int64]:
    """Row numbers in training order: whole batches of shuffled passes over all rows.

    Args:
        lengths: (n,) tokens of each row.
        batch: Rows per step.
        seed: Shuffles each pass.
        steps: Number of steps; or
        tokens: A budget: the number of steps whose tokens are nearest to it.

    Returns:
        (steps * batch,) row numbers.

    Raises:
        ValueError: No rows, neither or both of steps and tokens, or a budget of less than half of
            the first step.

    Example:
        >>> schedule([10, 10, 10], batch=2, seed=0, tokens=65).tolist()
        [2, 1, 0, 1, 0, 2]
    """
    sizes = np.asarray(lengths, dtype=np.int64)
    if not sizes.size:
        raise ValueError("no rows to train on")
    if (steps is None) == (tokens is None):
        raise ValueError("give steps or tokens, and not both")
    rng = np.random.default_rng([seed, 3])
    if steps is not None:
        passes = -(-steps * batch // len(sizes))
        return _shuffled(rng, len(sizes), passes)[: steps * batch]
    assert tokens is not None
    passes = int(tokens // max(1, sizes.sum())) + 2 + batch // len(sizes)
    order = _shuffled(rng, len(sizes), passes)
    order = order[: len(order) // batch * batch]
    reached = sizes[order].reshape(-1, batch).sum(axis=1).cumsum()
    if tokens < reached[0] / 2:
        raise ValueError(
            f"a budget of {tokens:.0f} tokens does not pay for one step: its {batch} rows have "
            f"{reached[0]} tokens; raise the budget or lower the batch size"
        )
    return order[: (int(np.abs(reached - tokens).argmin()) + 1) * batch]


def trained_tokens(lengths: Sequence[int], batch: int, steps: int) -> int:
    """Tokens of so many steps over rows of these lengths, pass by pass, in their order.

    Example:
        >>> trained_tokens([1, 10, 100], batch=2, steps=3)
        122
    """
    passes, rest = divmod(steps, -(-len(lengths) // batch))
    return passes * sum(lengths) + sum(lengths[: rest * batch])


def _shuffled(rng: np.random.Generator, rows: int, passes: int) -> NDArray[np.int64]:
    return np.concatenate([rng.permutation(rows) for _ in range(passes)])
