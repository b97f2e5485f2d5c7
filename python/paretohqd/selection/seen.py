"""The input's rows read again for the sake of one of them: which dominate it, how many come first.

What is lazy or in files is read in batches, of which nothing is held but the rows that dominate.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from paretohqd.frames.objectives import column
from paretohqd.frames.sources import Source
from paretohqd.frames.streaming import out_of_order
from paretohqd.kernels.arrays import Column
from paretohqd.kernels.layers import pareto_layers
from paretohqd.kernels.points import Objectives
from paretohqd.selection.pool import Floats, Pool, Rows
from paretohqd.selection.ranks import Order
from paretohqd.selection.request import Request


@dataclass(frozen=True, eq=False, kw_only=True)
class Seen:
    """A row among all, or among those of its group; larger is better in each objective.

    Attributes:
        scores: (M,) its own; null is NaN.
        rows: (d,) numbers of the rows that dominate it, ascending.
        columns: Their scores, one array of d per objective.
        value: (P,) what each preference loses with it, where there is an order.
        place: (P,) how many rows come before it.
        noise: (M,) differences below which count for nothing; None: every difference counts.
    """

    scores: Floats
    rows: Rows
    columns: Sequence[Column]
    value: Floats | None = None
    place: Rows | None = None
    noise: Floats | None = None

    @property
    def missing(self) -> bool:
        """Whether it was dropped: a score is null or NaN."""
        return bool(np.isnan(self.scores).any())

    def layer(self, layers: int) -> int | None:
        """Its Pareto layer, if that is one of the first `layers`.

        All that dominate a row's dominators dominate the row, too: so these have the layers that
        they have among all rows, and the row comes right after the last of them.
        """
        if not len(self.rows):
            return 0
        points = Objectives.of(np.column_stack(self.columns)).rounded_down(self.noise)
        layer = pareto_layers(points, upto=layers)
        last = int(layer.max())
        return None if (layer < 0).any() or last + 1 >= layers else last + 1


def dominating(
    columns: Sequence[Column], scores: Floats, noise: Floats | None = None
) -> NDArray[np.bool_]:
    """Which of n rows are at least as good as a row in every objective, and better in one.

    Args:
        columns: One array of n per objective, larger is better.
        scores: (M,) those of the row.
        noise: (M,) differences below which count for nothing; None: every difference counts.

    Example:
        >>> columns = [np.array([1.0, 1.0, 2.0]), np.array([1.0, 2.0, 0.0])]
        >>> dominating(columns, np.array([1.0, 1.0])).tolist()
        [False, True, False]
    """
    as_good = np.ones(len(columns[0]), dtype=np.bool_)
    better = np.zeros(len(columns[0]), dtype=np.bool_)
    for at, (values, own) in enumerate(zip(columns, scores, strict=True)):
        if noise is not None and noise[at] > 0:
            values, own = np.floor(values / noise[at]), np.floor(own / noise[at])
        as_good &= values >= own
        better |= values > own
    return as_good & better


def signed_scores(frame: pl.DataFrame, request: Request) -> Floats:
    """(M,) the scores of a frame's one row, larger is better; null is NaN."""
    values = frame.select(column(name).cast(pl.Float64) for name in request.scores.names).row(0)
    larger = zip(values, request.scores.larger, strict=True)
    return np.array([np.nan if x is None else x if up else -x for x, up in larger])


def seen_again(
    scores: pl.LazyFrame, request: Request, pool: Pool, row: int, order: Order | None
) -> Seen:
    """Read the scores of all rows again.

    Args:
        scores: One column per objective, in the input's units.
        request: The objectives.
        pool: Rows of which the scores are known.
        row: The row that is asked for.
        order: How rows are ordered; None: places are not wanted.

    Raises:
        ValueError: The rows cannot be read, or they are not those that were read before.
    """
    source = Source(scores)
    one = source.collect(scores.slice(row, 1))
    if not len(one):
        raise out_of_order(source)
    own = signed_scores(one, request)
    rows: list[Rows] = [np.zeros(0, dtype=np.int64)]
    columns: list[Sequence[Column]] = [[np.zeros(0) for _ in own]]
    value: Floats | None = None
    place: Rows | None = None
    start = 0
    for batch in source.batches(map(column, request.scores.names)):
        again = batch[row - start : row - start + 1] if row >= start else batch.clear()
        if len(again) and not np.array_equal(signed_scores(again, request), own, equal_nan=True):
            raise out_of_order(source)
        points = request.scores.points(batch, nan="drop")
        numbers = start + (np.arange(len(batch)) if points.kept is None else points.kept)
        if _differs(numbers, points.columns, pool, start, start + len(batch)):
            raise out_of_order(source)
        if not np.isnan(own).any():
            found = np.flatnonzero(dominating(points.columns, own, request.noise))
            rows.append(numbers[found])
            columns.append([x[found] for x in points.columns])
            if order is not None:
                value, more = order.before(*_with(numbers, points.columns, row, own))
                place = more if place is None else place + more
        start += len(batch)
    if start != pool.rows:
        raise out_of_order(source)
    together = [np.concatenate(parts) for parts in zip(*columns, strict=True)]
    return Seen(
        scores=own,
        rows=np.concatenate(rows),
        columns=together,
        value=value,
        place=place,
        noise=request.noise,
    )


def _differs(numbers: Rows, columns: Sequence[Column], pool: Pool, start: int, stop: int) -> bool:
    """Whether rows of the pool have other scores in a batch than they had."""
    first, last = np.searchsorted(pool.row, [start, stop])
    at = np.searchsorted(numbers, pool.row[first:last])
    if (at == len(numbers)).any() or (numbers[at] != pool.row[first:last]).any():
        return True
    pairs = zip(columns, pool.columns, strict=True)
    return any((now[at] != before[first:last]).any() for now, before in pairs)


def _with(
    numbers: Rows, columns: Sequence[Column], row: int, own: Floats
) -> tuple[Sequence[Column], int]:
    """The rows of a batch with one row that may be none of them; and where that is."""
    at = int(np.searchsorted(numbers, row))
    if at < len(numbers) and numbers[at] == row:
        return columns, at
    # Of equal rows the earlier comes first, so that the row must stand where it would.
    pairs: Any = zip(columns, own, strict=True)
    return [np.insert(x, at, value) for x, value in pairs], at
