"""Which k of the best rows a preference gets: rows far apart, or rows that are drawn."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import polars as pl
from numpy.typing import NDArray

from paretohqd.frames.objectives import refuse_missing

if TYPE_CHECKING:
    from paretohqd.selection.nearest import NearestRows
    from paretohqd.selection.pool import Pool
    from paretohqd.selection.rule import Rule

Floats = NDArray[np.float64]
Rows = NDArray[np.int64]


def narrowed(
    nearest: NearestRows, pool: Pool, rule: Rule, rows_at: Callable[[Rows], pl.DataFrame]
) -> NearestRows:
    """k rows for each preference, and for each of its groups, of those that it was offered.

    Args:
        nearest: The best rows within the quotas, in order.
        pool: What they are rows of.
        rule: How many are chosen, and by what.
        rows_at: Gives the rows at some places of the pool, with their columns.

    Raises:
        ValueError: An embedding is null, has another length than the first, or is not finite.
    """
    heads = np.flatnonzero(nearest.position == 0)
    runs = list(zip(heads, np.append(heads[1:], len(nearest.places)), strict=True))
    kept: list[Rows] = []
    if rule.diverse is not None:
        unique, again = np.unique(nearest.places, return_inverse=True)
        embedding = _embeddings(rows_at(unique), rule.diverse, pool.row[unique])
        for start, end in runs:
            kept.append(start + k_centers(embedding[again[start:end]], rule.k))
    else:
        assert rule.sample is not None
        drawers: dict[int, np.random.Generator] = {}
        for start, end in runs:
            number = int(nearest.preference[start])
            rng = drawers.setdefault(number, np.random.default_rng([rule.sample, number]))
            kept.append(start + drawn(end - start, rule.k, rng))
    some = np.concatenate(kept) if kept else np.zeros(0, dtype=np.int64)
    return replace(
        nearest,
        places=nearest.places[some],
        distances=nearest.distances[some],
        preference=nearest.preference[some],
        position=np.concatenate([np.arange(len(one)) for one in kept]).astype(np.int32)
        if kept
        else nearest.position,
    )


def k_centers(points: Floats, k: int) -> Rows:
    """Places of k points that leave no other far away, ascending; the first point is one of them.

    Each further one is the point farthest from those chosen so far, the first of equal ones: the
    largest distance that is left is at most twice the least possible (Gonzalez 1985). O(n k d).

    Args:
        points: (n, d); distances are Euclidean.
        k: How many; all if there are fewer.

    Example:
        >>> k_centers(np.array([[0.0], [0.1], [5.0], [9.0]]), 3).tolist()
        [0, 2, 3]
    """
    if len(points) <= k:
        return np.arange(len(points))
    chosen = np.zeros(len(points), dtype=np.bool_)
    far = np.full(len(points), np.inf)
    at = 0
    for _ in range(k):
        chosen[at] = True
        np.minimum(far, np.square(points - points[at]).sum(axis=1), out=far)
        at = int(np.where(chosen, -1.0, far).argmax())
    return np.flatnonzero(chosen)


def drawn(n: int, k: int, rng: np.random.Generator) -> Rows:
    """k of n places, drawn without replacement, ascending.

    The chance of place i is as 1 / (i + 1) among those left: rank-based priority with an exponent
    of 1 (Schaul et al. 2016), by exponential clocks (Efraimidis and Spirakis 2006).

    Example:
        >>> drawn(8, 3, np.random.default_rng(0)).tolist()
        [0, 2, 3]
    """
    clocks = rng.standard_exponential(n) * np.arange(1, n + 1)
    return np.sort(np.argsort(clocks, kind="stable")[:k])


def check_embeddings(schema: Mapping[str, pl.DataType], name: str) -> None:
    """Raise a ValueError if a column is not there, or cannot hold embeddings."""
    refuse_missing(schema, name, "diverse")
    dtype = schema[name]
    inner = dtype.inner if isinstance(dtype, pl.Array | pl.List) else None
    if not isinstance(inner, pl.DataType) or not inner.is_numeric():
        raise ValueError(
            f"diverse: column {name!r} has dtype {dtype}: expected embeddings, arrays of numbers "
            "of one length (pl.Array)"
        )


def _embeddings(rows: pl.DataFrame, name: str, numbers: Rows) -> Floats:
    """(n, d) the embeddings of some rows, which have these numbers in the input."""
    values = rows.get_column(name).alias("")  # Polars takes some names for patterns.
    if isinstance(values.dtype, pl.List):
        lengths = values.list.len()
        size = next((length for length in lengths if length), 0)
        bad = (lengths != size).fill_null(True)
    else:
        size = values.dtype.shape[0]  # type: ignore[attr-defined]
        bad = values.is_null()
    if not bad.any():
        points = values.cast(pl.Array(pl.Float64, size)).to_numpy().reshape(len(values), size)
        bad = pl.Series(~np.isfinite(points).all(axis=1))
        if size and not bad.any():
            return points
    first = int(numbers[bad.arg_max() or 0])
    raise ValueError(
        f"diverse: column {name!r} has no {size} finite numbers in {max(1, bad.sum())} of the "
        f"{len(rows)} best rows (first: row {first}): fill or drop such rows"
    )
