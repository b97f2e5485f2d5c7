"""Which rows make the pool: the first layers of a frame in memory, or of one that is streamed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import polars as pl
from numpy.typing import NDArray

from paretohqd.frames.first_layers import FirstLayers
from paretohqd.frames.objectives import ObjectiveColumns, key_ids
from paretohqd.frames.sources import Source
from paretohqd.frames.streaming import Progress, first_layers, refuse_infinite
from paretohqd.kernels.layers import pareto_layers
from paretohqd.kernels.points import Objectives
from paretohqd.selection.copies import copy_ids
from paretohqd.selection.pool import Keys, Pool, Rows, firsts

Layer = NDArray[np.int32]


@dataclass(frozen=True, kw_only=True)
class Stop:
    """How many layers make the pool: `upto` of them, or the fewest that hold enough.

    Attributes:
        upto: This many.
        at_least: Those that hold this many rows.
        distinct: A column of which each preference gets no value twice.
        different: If the size of the pool is not given: the pool must also hold this many values of
            that column, and no objective may have one value in it.
        copies: Columns in which copies are equal; of these only the first by layer and row counts,
            the others are in no pool. Empty: they all count.
        nan: Whether to refuse null and NaN scores or to drop their rows.
        n_threads: Threads of the kernels.
    """

    upto: int | None
    at_least: int | None
    distinct: str | None = None
    different: int | None = None
    copies: tuple[str, ...] = ()
    nan: Literal["raise", "drop"] = "raise"
    n_threads: int | None = None

    def last(
        self,
        layer: Layer,
        columns: Sequence[NDArray[Any]],
        keys: Keys | None,
        copies: Keys | None,
    ) -> int | None:
        """The last layer of the pool, given some first layers; None: they do not suffice.

        Args:
            layer: The layer of each row in them.
            columns: Its scores, an array per objective, larger is better.
            keys: Its value of `distinct`.
            copies: Its text, where copies do not count.
        """
        if self.upto is not None:
            return self.upto - 1
        rows = np.argsort(layer, kind="stable")
        if copies is not None:
            rows = rows[firsts(copies[rows])]
        if self.at_least is None or len(rows) < self.at_least:
            return None
        needed = [self.at_least - 1]
        if self.different is not None:
            if keys is not None:
                first = firsts(keys[rows])
                if len(first) < self.different:
                    return None
                needed.append(first[self.different - 1])
            for column in columns:
                # Not by the best of all rows, which a copy that is left out may have.
                others = column[rows] != column[rows[0]]
                if not others.any():
                    return None
                needed.append(others.argmax())
        return int(layer[rows[max(needed)]])


def pool_in_memory(frame: pl.DataFrame, scores: ObjectiveColumns, stop: Stop) -> Pool:
    """The pool of a frame.

    Raises:
        ValueError: scores that cannot be traded, or null keys.
    """
    points = scores.tradeable(frame, nan=stop.nan)
    kept = np.arange(len(frame)) if points.kept is None else points.kept
    keys = None if stop.distinct is None else key_ids(frame, [stop.distinct], "distinct")[kept]
    layer = pareto_layers(
        points.columns, upto=stop.upto, at_least=stop.at_least, n_threads=stop.n_threads
    )
    while True:
        inside = np.flatnonzero(layer >= 0)
        copies = copy_ids(frame[kept[inside]], stop.copies) if stop.copies else None
        if stop.different is None and copies is None:
            break
        last = stop.last(
            layer[inside],
            [column[inside] for column in points.columns],
            None if keys is None else keys[inside],
            copies,
        )
        if last is not None or len(inside) == points.n:
            inside, left_out = _without(inside, layer[inside], last, copies)
            return Pool.of(
                points, kept, inside, layer[inside], rows=len(frame), keys=keys, copies=left_out
            )
        layer = pareto_layers(points.columns, at_least=2 * len(inside), n_threads=stop.n_threads)
    return Pool.of(points, kept, inside, layer[inside], rows=len(frame), keys=keys)


def _without(inside: Rows, layer: Layer, last: int | None, copies: Keys | None) -> tuple[Rows, int]:
    """The rows up to a layer without copies, of some whose layers are known; how many these are."""
    by_layer = np.argsort(layer, kind="stable")
    if last is not None:
        by_layer = by_layer[layer[by_layer] <= last]
    some = by_layer if copies is None else by_layer[firsts(copies[by_layer])]
    return inside[np.sort(some)], len(by_layer) - len(some)


def pool_streamed(
    source: Source,
    scores: ObjectiveColumns,
    objectives: Any,
    stop: Stop,
    *,
    memory_limit: int | None,
    progress: Progress | None,
) -> tuple[Pool, pl.DataFrame]:
    """The pool of a source that is read in batches, and its rows' columns as they were read.

    Raises:
        ValueError: scores that cannot be traded, null keys, or too much memory.
    """
    state = first_layers(
        source,
        scores,
        objectives,
        upto=stop.upto,
        at_least=stop.at_least,
        keep=[] if stop.distinct is None else [stop.distinct],
        also=stop.copies,
        enough=lambda state: last_layer(state, scores, stop) is not None,
        nan=stop.nan,
        memory_limit=memory_limit,
        progress=progress,
        n_threads=stop.n_threads,
    )
    if not state.finite():
        refuse_infinite(source, scores)
    return pool_of(state, scores, stop)


def last_layer(state: FirstLayers, scores: ObjectiveColumns, stop: Stop) -> int | None:
    """The last layer of the pool; None: the layers that were kept do not suffice.

    Raises:
        ValueError: a constant score, for which no number of layers suffices, or null keys.
    """
    kept = state.kept
    if state.low is not None and state.high is not None and state.usable and state.finite():
        scores.refuse_constant(state.low, state.high, state.usable)
    return stop.last(
        kept["layer"].to_numpy(),
        Objectives.of(kept.select(scores.expressions), maximize=scores.larger).columns,
        None if stop.distinct is None else key_ids(kept, [stop.distinct], "distinct"),
        copy_ids(kept, stop.copies) if stop.copies else None,
    )


def pool_of(state: FirstLayers, scores: ObjectiveColumns, stop: Stop) -> tuple[Pool, pl.DataFrame]:
    """The pool of rows that were added in parts, and its rows.

    Raises:
        ValueError: scores that cannot be traded, or null keys.
    """
    scores.require_two()
    kept = state.kept
    inside, left_out = _without(
        np.arange(len(kept)),
        kept["layer"].to_numpy(),
        last_layer(state, scores, stop),
        copy_ids(kept, stop.copies) if stop.copies else None,
    )
    kept = kept[inside]
    points = Objectives.of(kept.select(scores.expressions), maximize=scores.larger)
    nothing = np.zeros(len(scores.names))
    return Pool(
        names=tuple(scores.names),
        maximize=tuple(scores.larger),
        columns=tuple(column.astype(np.float64) for column in points.columns),
        row=kept["row"].to_numpy(),
        layer=kept["layer"].to_numpy(),
        low=nothing if state.low is None else state.low,
        high=nothing if state.high is None else state.high,
        rows=state.rows,
        usable=state.usable,
        keys=None if stop.distinct is None else key_ids(kept, [stop.distinct], "distinct"),
        dropped=state.dropped,
        copies=left_out,
    ), kept
