"""The rows among which each preference's first ones are, and the order that they come in.

What is in memory is looked at as it is; of what is read in batches only the best so far are held.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import polars as pl

from paretohqd.frames.bad_rows import bad_rows_named
from paretohqd.frames.keys import Keys, equal_ids
from paretohqd.frames.objectives import column
from paretohqd.frames.sources import Source
from paretohqd.frames.streaming import Resources, refuse_unfilled
from paretohqd.kernels.arrays import Column
from paretohqd.selection.pool import Floats, Rows
from paretohqd.selection.ranks import Order
from paretohqd.selection.request import Request
from paretohqd.selection.rule import Box
from paretohqd.selection.taking import Quota


@dataclass(frozen=True, eq=False, kw_only=True)
class Candidates:
    """Rows among which each preference's first ones are, larger is better in each objective.

    Attributes:
        columns: One array per objective.
        row: Each row's number in the input, ascending.
        rows: How many rows there are in all.
        usable: How many of them were not dropped for null or NaN.
        dropped: How many null and NaN each objective has, where their rows were dropped.
        low: (M,) the worst of each objective over all rows.
        high: (M,) the best.
        same: A number for each row, equal for copies; None: copies do not matter.
        quotas: How many rows with the same value each preference may get.
        excluded: How many rows do not meet the request's condition.
        read: The columns of its rows that have been read; None: the input is in memory.
    """

    columns: Sequence[Column]
    row: Rows
    rows: int
    usable: int
    dropped: Mapping[str, int]
    low: Floats
    high: Floats
    same: Keys | None
    quotas: tuple[Quota, ...]
    excluded: int
    read: pl.DataFrame | None = None


def order_of(request: Request, box: Box, n_threads: int | None) -> Order:
    """The order that a request asks for, between two reference points."""
    assert request.rule.rank != "ray", "the distance to a ray needs a pool"
    r_min, r_max = box
    span = r_max - r_min
    return Order(
        rank=request.rule.rank,
        ideal=r_max,
        units=span if request.units is None else request.units,
        weights=request.preferences.values,
        falls=(1 - request.through) * span,
        n_threads=n_threads,
    )


def box_of(found: Candidates, request: Request) -> Box:
    """r_min and r_max over all rows."""
    request.scores.refuse_constant(found.low, found.high, found.usable)
    return found.low, found.high


def candidates(
    source: Source, request: Request, box: Box | None, size: int, resources: Resources
) -> Candidates:
    """All rows of a frame, or of what is read in batches the first ones of each preference."""
    if isinstance(source.frame, pl.DataFrame):
        return _in_memory(source.frame, request, resources.n_threads)
    if box is None:  # over all rows, which must be known first
        box = box_of(_read(source, request, None, size, resources), request)
    return _read(source, request, box, size, resources)


def _in_memory(frame: pl.DataFrame, request: Request, n_threads: int | None) -> Candidates:
    scores, nan = request.scores, request.rule.nan
    points = scores.points(frame, nan=nan, n_threads=n_threads)
    points.require_finite("a preference's ray", n_threads=n_threads)
    kept = np.arange(len(frame)) if points.kept is None else points.kept
    return Candidates(
        columns=points.columns,
        row=kept,
        rows=len(frame),
        usable=points.n,
        dropped=points.dropped,
        low=points.worst() if points.n else np.zeros(points.m),
        high=points.best() if points.n else np.zeros(points.m),
        same=equal_ids(frame, request.left_out)[kept] if request.left_out else None,
        quotas=tuple(quota.of(kept) for quota in request.quotas(frame)),
        excluded=points.excluded,
    )


def _read(
    source: Source, request: Request, box: Box | None, size: int, resources: Resources
) -> Candidates:
    """Read all rows once: their bounds, and where a box is given the first rows by it."""
    scores, rule = request.scores, request.rule
    names = list(dict.fromkeys([*scores.columns, *request.filled, *request.others]))
    scores.refuse_types(source.schema)
    order = None if box is None else order_of(request, box, resources.n_threads)
    low, high = np.full(len(scores.names), np.inf), np.full(len(scores.names), -np.inf)
    held = pl.DataFrame(schema={name: source.schema[name] for name in names})
    row, rows, usable, excluded = np.zeros(0, dtype=np.int64), 0, 0, 0
    dropped: dict[str, int] = {}
    for batch in source.batches(map(column, names), resources.memory_limit):
        if request.filled:
            refuse_unfilled(source, batch, request.filled, rows, scores.inside(batch))
        with bad_rows_named(source, scores, rule.nan, finite=True):
            points = scores.points(batch, nan=rule.nan)
            points.require_finite("a preference's ray")
        for name, count in points.dropped.items():
            dropped[name] = dropped.get(name, 0) + count
        if points.n:
            low, high = np.minimum(low, points.worst()), np.maximum(high, points.best())
            if order is not None:
                best = order.first(points.columns, min(size, points.n))
                places = np.unique(best.rows)
                if points.kept is not None:
                    places = points.kept[places]
                held = pl.concat([held, batch[places]], how="vertical_relaxed")
                row = np.concatenate([row, rows + places])
                inside = _still_first(order, held, request, size)
                held, row = held[inside], row[inside]
        rows, usable = rows + len(batch), usable + points.n
        excluded += points.excluded
        if resources.memory_limit is not None and held.estimated_size() > resources.memory_limit:
            raise ValueError(
                f"{len(held)} rows that are the first of some preference take more than the memory "
                "limit: lower k, or raise it"
            )
        if resources.progress is not None:
            resources.progress(rows)
    return Candidates(
        columns=scores.of_all.points(held).columns,
        row=row,
        rows=rows,
        usable=usable,
        dropped=dropped,
        low=low,
        high=high,
        same=equal_ids(held, request.left_out) if request.left_out else None,
        quotas=request.quotas(held),
        excluded=excluded,
        read=held,
    )


def _still_first(order: Order, held: pl.DataFrame, request: Request, size: int) -> Rows:
    """Places of the held rows that are among the first of some preference."""
    columns = request.scores.of_all.points(held).columns
    return np.unique(order.first(columns, min(size, len(held))).rows)
