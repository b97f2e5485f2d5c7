"""The pool of a selection: the rows of the first layers, from which each preference chooses."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Self

import numpy as np
import polars as pl
from numpy.typing import NDArray

from paretohqd.frames.batches import row_numbers
from paretohqd.frames.kept_layers import KeptLayers
from paretohqd.frames.objectives import key_ids
from paretohqd.frames.sources import Source
from paretohqd.frames.streaming import Resources, first_layers, refuse_infinite
from paretohqd.kernels.layers import pareto_layers
from paretohqd.kernels.points import Objectives
from paretohqd.selection.copies import copy_ids, firsts
from paretohqd.selection.request import Request
from paretohqd.selection.rule import Bounds

Floats = NDArray[np.float64]
Rows = NDArray[np.int64]
Keys = NDArray[np.uint32]
Layer = NDArray[np.int32]


@dataclass(frozen=True, eq=False, kw_only=True)
class Pool:
    """The rows of the first layers, larger is better in each objective.

    Attributes:
        names: The objectives.
        maximize: Whether larger was better in the input, too.
        columns: One array of doubles per objective.
        row: Each row's number in the input, ascending.
        layer: Each row's Pareto layer.
        low: (M,) the worst of each objective over all rows, in the pool or not.
        high: (M,) the best.
        rows: How many rows there are in all.
        usable: How many of them were not dropped for null or NaN.
        keys: A number for each row, of which each preference gets none twice; None: no matter.
        dropped: How many null and NaN each objective has, where their rows were dropped.
        copies: How many rows of these layers were left out as copies of others.
        read: The columns of its rows that have been read; none where the input is in memory.
    """

    names: tuple[str, ...]
    maximize: tuple[bool, ...]
    columns: tuple[Floats, ...]
    row: Rows
    layer: Layer
    low: Floats
    high: Floats
    rows: int
    usable: int
    keys: Keys | None = None
    dropped: Mapping[str, int] = field(default_factory=dict)
    copies: int = 0
    read: pl.DataFrame = field(default_factory=pl.DataFrame)

    @classmethod
    def of(
        cls,
        points: Objectives,
        kept: Rows,
        inside: Rows,
        layer: Layer,
        *,
        rows: int,
        keys: Keys | None = None,
        copies: int = 0,
        read: pl.DataFrame | None = None,
    ) -> Self:
        """The pool of points whose rows in the input are `kept`: those `inside`, of `layer`."""
        return cls(
            names=tuple(str(name) for name in points.names),
            maximize=points.maximize,
            # In double precision whatever the scores' is, and whichever NumPy promotes.
            columns=tuple(column[inside].astype(np.float64) for column in points.columns),
            row=kept[inside],
            layer=layer,
            low=points.worst(),
            high=points.best(),
            rows=rows,
            usable=points.n,
            keys=None if keys is None else keys[inside],
            dropped=points.dropped,
            copies=copies,
            read=pl.DataFrame() if read is None else read,
        )

    def objectives(self) -> dict[str, str]:
        """The direction of each objective."""
        directions = ("max" if up else "min" for up in self.maximize)
        return dict(zip(self.names, directions, strict=True))

    def choices(self) -> int:
        """How many rows a preference may get."""
        return len(self.row) if self.keys is None else len(np.unique(self.keys))

    def require(self, k: int) -> None:
        """Raise a ValueError if there are not k rows to choose."""
        if self.usable < k:
            raise ValueError(
                f"k={k}, but there are only {self.usable} rows to choose from: lower k"
            )
        if (choices := self.choices()) < k:
            what = "rows" if not self.copies else "rows that are no copies"
            if self.keys is not None:
                what = "different values of the column `distinct`"
            every = len(self.row) + self.copies == self.usable
            advice = "lower k" if every else "raise upto or at_least, or lower k"
            raise ValueError(f"k={k}, but the pool has only {choices} {what}: {advice}")

    def in_input_units(self, values: Floats) -> Floats:
        """(M,) values of the objectives as the input has them: minimised ones with their sign."""
        return np.where(self.maximize, values, -values)

    def frame(self) -> pl.DataFrame:
        """The pool as a `Selection` shows it."""
        scores = {
            name: column if up else -column
            for name, up, column in zip(self.names, self.maximize, self.columns, strict=True)
        }
        # By names: a list of Series would call one without a name "column_2".
        return pl.DataFrame(
            {"row": row_numbers(self.row, self.rows), "layer": self.layer, **scores}
        )

    def box(self, bounds: Bounds) -> tuple[Floats, Floats]:
        """(M,) worst and best of every objective, in the pool or over all rows."""
        r_min, r_max = self.low, self.high
        if bounds == "pool":
            r_min = np.array([column.min() for column in self.columns])
            r_max = np.array([column.max() for column in self.columns])
        with np.errstate(over="ignore"):
            spans = r_max - r_min
        for name, span in zip(self.names, spans, strict=True):
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
            if not np.isfinite(span):
                raise ValueError(f"column {name!r} spans more than doubles can hold: scale it down")
        return r_min, r_max


def pool_of(source: Source, request: Request, resources: Resources) -> Pool:
    """The pool of a source's rows, which are in memory or read in batches.

    Raises:
        ValueError: Scores that cannot be traded, null keys, or too much memory.
    """
    if isinstance(source.frame, pl.DataFrame):
        return _pool_in_memory(source.frame, request, resources.n_threads)
    state = first_layers(
        source,
        request.scores,
        KeptLayers(
            upto=request.rule.upto,
            at_least=request.at_least,
            nan=request.rule.nan,
            n_threads=resources.n_threads,
        ),
        keep=request.filled,
        also=request.left_out,
        enough=lambda state: last_layer(state, request) is not None,
        resources=resources,
    )
    if not state.finite():
        refuse_infinite(source, request.scores)
    return pool_of_kept(state, request)


def _pool_in_memory(frame: pl.DataFrame, request: Request, n_threads: int | None) -> Pool:
    """The pool of a frame: its layers are numbered until they hold a pool."""
    rule = request.rule
    points = request.scores.tradeable(frame, nan=rule.nan)
    kept = np.arange(len(frame)) if points.kept is None else points.kept
    keys = None if rule.distinct is None else key_ids(frame, [rule.distinct], "distinct")[kept]
    upto, at_least = rule.upto, request.at_least
    while True:
        layer = pareto_layers(points.columns, upto=upto, at_least=at_least, n_threads=n_threads)
        inside = np.flatnonzero(layer >= 0)
        copies = copy_ids(frame[kept[inside]], request.left_out) if request.left_out else None
        last = _last_layer(
            request,
            layer[inside],
            [column[inside] for column in points.columns],
            None if keys is None else keys[inside],
            copies,
        )
        if last is not None or len(inside) == points.n:
            break
        upto, at_least = None, 2 * len(inside)
    inside, left_out = _without_copies(inside, layer[inside], last, copies)
    return Pool.of(points, kept, inside, layer[inside], rows=len(frame), keys=keys, copies=left_out)


def pool_of_kept(state: KeptLayers, request: Request) -> Pool:
    """The pool of rows that came in parts.

    Raises:
        ValueError: Scores that cannot be traded, or null keys.
    """
    kept = state.settled()
    inside, left_out = _without_copies(
        np.arange(len(kept.row)),
        kept.layer,
        last_layer(state, request),
        copy_ids(kept.frame, request.left_out) if request.left_out else None,
    )
    frame, scores = kept.frame[inside], request.scores
    nothing = np.zeros(len(scores.names))
    return Pool(
        names=tuple(scores.names),
        maximize=tuple(scores.larger),
        columns=tuple(column.astype(np.float64) for column in scores.points(frame).columns),
        row=kept.row[inside],
        layer=kept.layer[inside],
        low=nothing if state.low is None else state.low,
        high=nothing if state.high is None else state.high,
        rows=state.rows,
        usable=state.usable,
        keys=key_ids(frame, request.filled, "distinct") if request.filled else None,
        dropped=state.dropped,
        copies=left_out,
        read=frame,
    )


def last_layer(state: KeptLayers, request: Request) -> int | None:
    """The last layer of the pool; None: the layers that were kept do not suffice.

    Raises:
        ValueError: A constant score, for which no number of layers suffices, or null keys.
    """
    kept = state.settled()
    if state.low is not None and state.high is not None and state.usable and state.finite():
        request.scores.refuse_constant(state.low, state.high, state.usable)
    return _last_layer(
        request,
        kept.layer,
        request.scores.points(kept.frame).columns,
        key_ids(kept.frame, request.filled, "distinct") if request.filled else None,
        copy_ids(kept.frame, request.left_out) if request.left_out else None,
    )


def _last_layer(
    request: Request,
    layer: Layer,
    columns: Sequence[NDArray[Any]],
    keys: Keys | None,
    copies: Keys | None,
) -> int | None:
    """The last layer of the pool, given some first layers; None: they do not suffice.

    Where the rule gives no stop, the pool must hold P * k rows, k different keys, and more than one
    value of each objective.

    Args:
        request: What is asked of the pool.
        layer: The layer of each row in them.
        columns: Its scores, an array per objective, larger is better.
        keys: Its value of `distinct`.
        copies: A number for each row, equal for copies, where these do not count.
    """
    if request.rule.upto is not None:
        return request.rule.upto - 1
    rows = np.argsort(layer, kind="stable")
    if copies is not None:
        rows = rows[firsts(copies[rows])]
    if request.at_least is None or len(rows) < request.at_least:
        return None
    needed = [request.at_least - 1]
    if request.rule.grows:
        if keys is not None:
            first = firsts(keys[rows])
            if len(first) < request.rule.k:
                return None
            needed.append(first[request.rule.k - 1])
        for column in columns:
            # Not by the best of all rows, which a copy that is left out may have.
            others = column[rows] != column[rows[0]]
            if not others.any():
                return None
            needed.append(others.argmax())
    return int(layer[rows[max(needed)]])


def _without_copies(
    inside: Rows, layer: Layer, last: int | None, copies: Keys | None
) -> tuple[Rows, int]:
    """The rows up to a layer without copies, of some whose layers are known; how many these are."""
    by_layer = np.argsort(layer, kind="stable")
    if last is not None:
        by_layer = by_layer[layer[by_layer] <= last]
    some = by_layer if copies is None else by_layer[firsts(copies[by_layer])]
    return inside[np.sort(some)], len(by_layer) - len(some)
