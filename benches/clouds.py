"""The shapes that `shapes.py` measures: n points in m objectives, the same every time."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import polars as pl

from paretohqd.bench.clouds import Cloud


def uniform(n: int, m: int) -> np.ndarray:
    return Cloud("uni", n, m).points


def front(n: int, m: int) -> np.ndarray:
    """Points that do not dominate each other; for two objectives on a line, without rounding."""
    if m > 2:
        return Cloud("simplex", n, m).points
    x = np.random.default_rng(0).permutation(n).astype(float)
    return np.column_stack([x, n - x])


def tails(n: int, m: int) -> np.ndarray:
    """Cauchy, and one value of a thousand infinite."""
    rng = np.random.default_rng(0)
    points = rng.standard_cauchy((n, m))
    for sign in (-1, 1):
        points[rng.random((n, m)) < 0.0005] = sign * np.inf
    return points


def constant(column: int, n: int, m: int) -> np.ndarray:
    points = uniform(n, m).copy()
    points[:, column] = 0.5
    return points


def zeros(n: int, m: int) -> np.ndarray:
    """A fifth of all values zero, of either sign."""
    points = uniform(n, m) - 0.5
    sign = np.random.default_rng(0).random((n, m))
    points[sign < 0.1], points[sign > 0.9] = 0.0, -0.0
    return points


def strided(n: int, m: int) -> np.ndarray:
    wide = np.zeros((2 * n, 2 * m))
    wide[::2, ::2] = uniform(n, m)
    return wide[::2, ::2]


def chunks(parts: int, n: int, m: int) -> pl.DataFrame:
    pieces = np.array_split(uniform(n, m), parts)
    return pl.concat(
        [pl.DataFrame(piece, [f"c{j}" for j in range(m)]) for piece in pieces], rechunk=False
    )


def noisy_chain(n: int, m: int) -> np.ndarray:
    """Scores of one quality with errors: about half as many layers as points."""
    return Cloud("chain", n, m).points


def one_above(n: int, m: int) -> np.ndarray:
    """A point above a front each point of which cuts what is that point's alone, in turn."""
    x = np.linspace(0.9, 0.1, n - 1)
    return np.vstack([np.ones(m), np.column_stack([*[x] * (m - 1), 1 - x])])


ADVERSARY_ROWS = 200_000


def adversary(n: int, m: int) -> np.ndarray:
    """Points whose last objective is best at the places that a median of fixed rows looks at.

    What is left after a cut at such a median loses a few rows only, again and again, where 63 rows
    at even distances are the sample.
    """
    left, rank, following = np.arange(n), np.full(n, -1), 0
    while len(left) > 768:
        sample = left[(2 * np.arange(63) + 1) * len(left) // 126]
        new = sample[rank[sample] < 0]
        rank[new] = following + np.arange(len(new))
        following += len(new)
        median = np.sort(rank[sample])[31]
        left = left[(rank[left] < 0) | (rank[left] >= median)]
    rng = np.random.default_rng(1)
    rest = rng.permutation(np.flatnonzero(rank < 0))
    rank[rest] = following + np.arange(len(rest))
    between = [rng.permutation(n) for _ in range(m - 2)]
    return np.column_stack([-np.arange(n), *between, -rank]).astype(float)


SHAPES: dict[str, Callable[[int, int], Any]] = {
    "all equal": lambda n, m: np.full((n, m), 0.5),
    "one chain": lambda n, m: (
        np.repeat(np.random.default_rng(0).permutation(n), m).reshape(n, m).astype(float)
    ),
    "noisy chain": noisy_chain,
    "one front": front,
    "one above a front": one_above,
    "the adversary": adversary,
    "sorted": lambda n, m: (p := uniform(n, m))[np.lexsort(p.T[::-1])],
    "reversed": lambda n, m: (p := uniform(n, m))[np.lexsort(p.T[::-1])[::-1]],
    "first objective constant": partial(constant, 0),
    "last objective constant": partial(constant, -1),
    "heavy tails, infinities": tails,
    "5 distinct values": lambda n, m: np.floor(5 * uniform(n, m)),
    "f32": lambda n, m: uniform(n, m).astype(np.float32),
    "zeros of both signs": zeros,
    "integers": lambda n, m: (uniform(n, m) * 2**40).astype(np.int64),
    "column-major": lambda n, m: np.asfortranarray(uniform(n, m)),
    "strided": strided,
    "frame": partial(chunks, 1),
    "frame of 50 chunks": partial(chunks, 50),
}
SAME_AS_UNIFORM = ("column-major", "strided", "frame", "frame of 50 chunks")
LARGE_FRONTS = ("one front",)
