"""The rows among which each preference's first ones are, and the order that they come in.

What is in memory is looked at as it is; of what is read in batches only the best so far are held.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import polars as pl

from paretohqd.frames.bad_rows import bad_rows_named
from paretohqd.frames.batches import compacted
from paretohqd.frames.keys import Keys, equal_ids
from paretohqd.frames.objectives import ObjectiveColumns, column
from paretohqd.frames.screen import Screen, Seen, StrongRows, look_at
from paretohqd.frames.sources import Source
from paretohqd.frames.streaming import Resources, refuse_unfilled
from paretohqd.kernels.arrays import Column
from paretohqd.selection.pool import Floats, Rows, refuse_fewer, spans
from paretohqd.selection.ranks import Order
from paretohqd.selection.request import Request
from paretohqd.selection.rule import Box
from paretohqd.selection.taking import Quota

SETTLE = 1 << 12
"""Rows that wait, at least, before those are found that are still the first."""


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
    """The order that a request asks for, between two reference points.

    Raises:
        ValueError: These are so near each other that doubles cannot divide what is between.
    """
    assert request.rule.rank != "ray", "the distance to a ray needs a pool"
    r_min, r_max = box
    span = r_max - r_min
    falls = (1 - request.through) * span
    # What may fall by 0 counts before all others, which is for objectives of all weight alone.
    none = ((falls == 0) & (request.through < 1)).any(axis=0)
    if request.rule.rank == "achievement" and none.any():
        raise ValueError(
            f"column {request.scores.names[none.argmax()]!r} spans no more than {span.min():g}, "
            "which doubles cannot divide: scale it up"
        )
    return Order(
        rank=request.rule.rank,
        ideal=r_max,
        units=span if request.units is None else request.units,
        weights=request.preferences.values,
        falls=falls,
        n_threads=n_threads,
    )


def box_of(found: Candidates, request: Request) -> Box:
    """r_min and r_max over all rows.

    Raises:
        ValueError: Too few rows, or an objective that has one value, or spans too much.
    """
    refuse_fewer(found.usable, request.rule.k)
    request.scores.refuse_constant(found.low, found.high, found.usable)
    spans(request.scores.names, found.low, found.high)
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
    low, high = np.full(len(scores.names), np.inf), np.full(len(scores.names), -np.inf)
    held = _Held(
        None if box is None else order_of(request, box, resources.n_threads),
        scores.of_all,
        size,
        pl.DataFrame(schema={name: source.schema[name] for name in names}),
    )
    rows, usable, excluded = 0, 0, 0
    dropped: dict[str, int] = {}
    for batch in source.batches(map(column, names), resources.memory_limit):
        if request.filled:
            refuse_unfilled(source, batch, request.filled, rows, scores.inside(batch))
        with bad_rows_named(source, scores, rule.nan, finite=True):
            seen = look_at(batch, scores, held.screen, nan=rule.nan, n_threads=resources.n_threads)
            if seen.usable and not np.isfinite([seen.worst, seen.best]).all():
                scores.points(batch, nan=rule.nan).require_finite("a preference's ray")
        for name, count in seen.dropped.items():
            dropped[name] = dropped.get(name, 0) + count
        low, high = np.minimum(low, seen.worst), np.maximum(high, seen.best)
        held.add(batch, seen, rows)
        rows, usable = rows + len(batch), usable + seen.usable
        excluded += seen.excluded
        limit = resources.memory_limit
        if limit is not None and held.estimated_size() > limit:
            held.settled()  # what only waits is no reason to stop
        if limit is not None and held.estimated_size() > limit:
            raise ValueError(
                f"{held.count} rows that are the first of some preference take more than the "
                "memory limit: lower k, or raise it"
            )
        if resources.progress is not None:
            resources.progress(rows)
    frame, row = held.settled()
    return Candidates(
        columns=scores.of_all.points(frame).columns,
        row=row,
        rows=rows,
        usable=usable,
        dropped=dropped,
        low=low,
        high=high,
        same=equal_ids(frame, request.left_out) if request.left_out else None,
        quotas=request.quotas(frame),
        excluded=excluded,
        read=frame,
    )


class _Held:
    """The first rows of each preference among those that were read so far, and some more."""

    def __init__(
        self, order: Order | None, scores: ObjectiveColumns, size: int, empty: pl.DataFrame
    ) -> None:
        """Nothing is held yet.

        Args:
            order: The order; None: no row is wanted, only the range of all.
            scores: The objectives, without a condition.
            size: How many rows of each preference are wanted.
            empty: The columns that are kept of them.
        """
        self.order, self.scores, self.size = order, scores, size
        none = np.full((1, len(scores.names)), np.inf)
        self.screen: Screen | None = StrongRows(none) if order is None else None
        self._frame, self._row = empty, np.zeros(0, dtype=np.int64)
        self._waiting: list[tuple[pl.DataFrame, Rows]] = []

    def add(self, batch: pl.DataFrame, seen: Seen, start: int) -> None:
        """Take in what may count of a batch, whose first row has the number `start`."""
        if self.order is None or not seen.points.n:
            return
        places = seen.rows
        if self.screen is None:
            size = min(self.size, seen.points.n)
            places = places[np.unique(self.order.first(seen.points.columns, size).rows)]
        self._waiting.append((compacted(batch[places]), start + places))
        waiting = sum(len(row) for _, row in self._waiting)
        if self.screen is None or waiting > max(SETTLE, len(self._row)):
            self.settled()

    def settled(self) -> tuple[pl.DataFrame, Rows]:
        """The first rows of each preference, and their numbers."""
        if self.order is not None and self._waiting:
            frame = pl.concat(
                [self._frame, *(frame for frame, _ in self._waiting)], how="vertical_relaxed"
            )
            row = np.concatenate([self._row, *(row for _, row in self._waiting)])
            best = self.order.first(self.scores.points(frame).columns, min(self.size, len(row)))
            places = np.unique(best.rows)
            self._frame, self._row, self._waiting = compacted(frame[places]), row[places], []
            if len(row) >= self.size:
                self.screen = self.order.bar(best)
        return self._frame, self._row

    @property
    def count(self) -> int:
        """Rows that are held."""
        return len(self._row) + sum(len(row) for _, row in self._waiting)

    def estimated_size(self) -> int:
        """Memory of these rows, in bytes."""
        return sum(
            int(frame.estimated_size())
            for frame in [self._frame, *(frame for frame, _ in self._waiting)]
        )
