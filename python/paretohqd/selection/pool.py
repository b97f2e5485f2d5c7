"""The pool of a selection: the rows of the first layers, from which each preference chooses."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import polars as pl
from numpy.typing import NDArray

from paretohqd.frames.bad_rows import bad_rows_named, refuse_infinite
from paretohqd.frames.batches import row_numbers
from paretohqd.frames.kept_layers import KeptLayers
from paretohqd.frames.keys import Keys, equal_ids
from paretohqd.frames.sources import Source
from paretohqd.frames.streaming import Resources, read_layers
from paretohqd.kernels.arrays import Column
from paretohqd.kernels.layers import pareto_layers
from paretohqd.selection.copies import firsts
from paretohqd.selection.request import Request
from paretohqd.selection.rule import Box
from paretohqd.selection.taking import Quota, taken

Floats = NDArray[np.float64]
Rows = NDArray[np.int64]
Layer = NDArray[np.int32]


@dataclass(frozen=True, eq=False, kw_only=True)
class Pool:
    """The rows of the first layers, larger is better in each objective.

    Attributes:
        names: The objectives.
        maximize: Whether larger was better in the input, too.
        columns: One array per objective, of doubles in a pool that has ended.
        row: Each row's number in the input, ascending.
        layer: Each row's Pareto layer.
        low: (M,) the worst of each objective over all rows, in the pool or not.
        high: (M,) the best.
        rows: How many rows there are in all.
        usable: How many of them were not dropped for null or NaN.
        quotas: How many rows with the same value each preference may get.
        dropped: How many null and NaN each objective has, where their rows were dropped.
        same: A number for each row, equal for copies; None: copies do not matter, or are out.
        copies: How many rows of these layers were left out as copies of others.
        excluded: How many rows do not meet the request's condition.
        read: The columns of its rows that have been read; None: the input is in memory.
    """

    names: tuple[str, ...]
    maximize: tuple[bool, ...]
    columns: tuple[Column, ...]
    row: Rows
    layer: Layer
    low: Floats
    high: Floats
    rows: int
    usable: int
    quotas: tuple[Quota, ...] = ()
    dropped: Mapping[str, int] = field(default_factory=dict)
    same: Keys | None = None
    copies: int = 0
    excluded: int = 0
    read: pl.DataFrame | None = None

    def objectives(self) -> dict[str, str]:
        """The direction of each objective."""
        directions = ("max" if up else "min" for up in self.maximize)
        return dict(zip(self.names, directions, strict=True))

    def choices(self) -> int:
        """How many rows a preference may get, as far as each quota alone tells."""
        return min([len(self.row), *(quota.room() for quota in self.quotas)])

    def require(self, request: Request) -> None:
        """Raise a ValueError if there are not k rows for a preference to choose."""
        k = request.rule.k
        refuse_fewer(self.usable, k)
        if (choices := self.choices()) < k:
            raise ValueError(
                f"k={k}, but the pool has only {choices} {self.what(request)}: {self.advice}"
            )
        together = k * len(request.through)
        if request.rule.exclusive and len(self.row) < together:
            raise ValueError(
                f"k={k} for {len(request.through)} preferences that share no row are {together} "
                f"rows, but the pool has only {len(self.row)}: {self.advice}"
            )

    def what(self, request: Request) -> str:
        """What a preference may get, in a message."""
        if request.rule.at_most:
            return "rows within the quotas (at_most)"
        if request.rule.distinct is not None:
            return "different values of the column `distinct`"
        return "rows" if not self.copies else "rows that are no copies"

    @property
    def advice(self) -> str:
        """What to do where the pool has too few rows."""
        every = len(self.row) + self.copies == self.usable
        return "lower k" if every else "raise upto or at_least, or lower k"

    def in_input_units(self, values: Floats) -> Floats:
        """(M,) values of the objectives as the input has them: minimised ones with their sign."""
        return np.where(self.maximize, values, -values)

    def frame(self, prefix: str = "") -> pl.DataFrame:
        """The pool as a `Selection` shows it; its own columns begin with the prefix."""
        scores = {
            name: column if up else -column
            for name, up, column in zip(self.names, self.maximize, self.columns, strict=True)
        }
        # By names: a list of Series would call one without a name "column_2".
        numbers = row_numbers(self.row, self.rows)
        return pl.DataFrame({f"{prefix}row": numbers, f"{prefix}layer": self.layer, **scores})

    def box(self, request: Request) -> Box:
        """(M,) worst and best of every objective: as given, in the pool, or over all rows."""
        if request.box is not None:
            return request.box
        r_min, r_max = self.low, self.high
        if request.rule.bounds == "pool":
            r_min = np.array([column.min() for column in self.columns])
            r_max = np.array([column.max() for column in self.columns])
        for name, span in zip(self.names, spans(self.names, r_min, r_max), strict=True):
            if span == 0 and self.copies and len(self.row) + self.copies == self.usable:
                raise ValueError(
                    f"column {name!r} has one value in all rows that are no copies, so nothing can "
                    "be traded for it: keep copies, or leave it out of the objectives"
                )
            if span == 0:
                raise ValueError(
                    f"column {name!r} has one value in the whole pool, so a ray may have no "
                    "direction: take more layers (upto, at_least), or give neither: the pool then "
                    "grows until no column has"
                )
        return r_min, r_max

    def ended(self, request: Request) -> Pool | None:
        """The pool cut to the layers that the request needs; without copies if these are dropped.

        Where the rule gives no stop, it must hold P * k rows, k that are within the quotas for each
        preference, and more than one value of each objective.

        Returns:
            The first layers that do, or all rows there are; None if these are more than we have.
        """
        by_layer = np.argsort(self.layer, kind="stable")
        rows = by_layer if self.same is None else by_layer[firsts(self.same[by_layer])]
        last = self._last_layer(rows, request)
        if last is None and len(self.row) < self.usable:
            return None
        if last is not None:
            by_layer, rows = (some[self.layer[some] <= last] for some in (by_layer, rows))
        inside = np.sort(rows)
        return replace(
            self,
            # In double precision whatever the scores' is, and whichever NumPy promotes.
            columns=tuple(column[inside].astype(np.float64) for column in self.columns),
            row=self.row[inside],
            layer=self.layer[inside],
            quotas=tuple(quota.of(inside) for quota in self.quotas),
            same=None,
            copies=len(by_layer) - len(rows),
            read=None if self.read is None else self.read[inside],
        )

    def _last_layer(self, rows: Rows, request: Request) -> int | None:
        """The last layer needed of the rows that count, best first; None: past them all."""
        if request.rule.upto is not None:
            return request.rule.upto - 1
        if request.at_least is None or len(rows) < request.at_least:
            return None
        needed = [request.at_least - 1]
        if request.rule.grows:
            if self.quotas and request.rule.rank == "ray":
                within = np.flatnonzero(taken([rows], request.needed, self.quotas)[0])
                if len(within) < request.needed:
                    return None
                needed.append(within[-1])
            for column in self.columns:
                # Not by the best of all rows, which a copy that is left out may have.
                others = column[rows] != column[rows[0]]
                if not others.any():
                    return None
                needed.append(others.argmax())
        return int(self.layer[rows[max(needed)]])

    def rows_read(self, places: Rows) -> pl.DataFrame:
        """The columns that have been read of the rows at some places."""
        assert self.read is not None, "the input is in memory"
        return self.read[places]


def spans(names: Sequence[str], low: Floats, high: Floats) -> Floats:
    """(M,) how far the best of each objective is from the worst.

    Raises:
        ValueError: One of them is further than doubles can hold.
    """
    with np.errstate(over="ignore"):
        found = high - low
    for name, span in zip(names, found, strict=True):
        if not np.isfinite(span):
            raise ValueError(f"column {name!r} spans more than doubles can hold: scale it down")
    return found


def refuse_fewer(usable: int, k: int) -> None:
    """Raise a ValueError if there are not k rows at all."""
    if usable < k:
        raise ValueError(f"k={k}, but there are only {usable} rows to choose from: lower k")


def pool_of(source: Source, request: Request, resources: Resources) -> Pool:
    """The pool of a source's rows, which are in memory or read in batches.

    Raises:
        ValueError: Scores that cannot be traded, null keys, or too much memory.
    """
    if isinstance(source.frame, pl.DataFrame):
        with bad_rows_named(source, request.scores, request.rule.nan, finite=True):
            return _pool_in_memory(source.frame, request, resources.n_threads)
    state = KeptLayers(
        upto=request.rule.upto,
        at_least=request.at_least,
        noise=request.noise,
        nan=request.rule.nan,
        n_threads=resources.n_threads,
    )
    while True:
        state = read_layers(
            source,
            request.scores,
            state,
            filled=request.filled,
            others=request.others,
            resources=resources,
        )
        if not state.finite():
            refuse_infinite(source, request.scores)
        if (pool := first_layers_of(state, request).ended(request)) is not None:
            return pool
        state = state.again()


def _pool_in_memory(frame: pl.DataFrame, request: Request, n_threads: int | None) -> Pool:
    """The pool of a frame: its layers are numbered until they hold one."""
    points = request.scores.tradeable(frame, nan=request.rule.nan, n_threads=n_threads)
    kept = np.arange(len(frame)) if points.kept is None else points.kept
    quotas = request.quotas(frame)
    rounded = points.rounded_down(request.noise)
    upto, at_least = request.rule.upto, request.at_least
    while True:
        layer = pareto_layers(rounded, upto=upto, at_least=at_least, n_threads=n_threads)
        inside = np.flatnonzero(layer >= 0)
        row = kept[inside]
        layers = Pool(
            names=tuple(request.scores.names),
            maximize=points.maximize,
            columns=tuple(column[inside] for column in points.columns),
            row=row,
            layer=layer[inside],
            low=points.worst(),
            high=points.best(),
            rows=len(frame),
            usable=points.n,
            quotas=tuple(quota.of(row) for quota in quotas),
            dropped=points.dropped,
            excluded=points.excluded,
            same=equal_ids(frame[row], request.left_out) if request.left_out else None,
        )
        if (pool := layers.ended(request)) is not None:
            return pool
        at_least = 2 * len(inside)


def first_layers_of(state: KeptLayers, request: Request) -> Pool:
    """The layers that are kept of rows that came in parts, in which the pool may end.

    Raises:
        ValueError: A constant score, for which no number of layers suffices, or null keys.
    """
    kept, scores = state.settled(), request.scores
    if state.low is not None and state.high is not None and state.usable and state.finite():
        scores.refuse_constant(state.low, state.high, state.usable)
    nothing = np.zeros(len(scores.names))
    return Pool(
        names=tuple(scores.names),
        maximize=tuple(scores.larger),
        columns=scores.of_all.points(kept.frame).columns,
        row=kept.row,
        layer=kept.layer,
        low=nothing if state.low is None else state.low,
        high=nothing if state.high is None else state.high,
        rows=state.rows,
        usable=state.usable,
        quotas=request.quotas(kept.frame),
        dropped=state.dropped,
        excluded=state.excluded,
        same=equal_ids(kept.frame, request.left_out) if request.left_out else None,
        read=kept.frame,
    )
