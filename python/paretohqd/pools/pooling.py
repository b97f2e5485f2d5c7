"""Which rows make the pool: the first layers of a frame in memory, or of one that is streamed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import polars as pl
from numpy.typing import NDArray

from paretohqd.columns import Scores, key_ids
from paretohqd.layers import pareto_layers
from paretohqd.objectives import Objectives
from paretohqd.pools.first_layers import FirstLayers
from paretohqd.pools.pool import Keys, Pool
from paretohqd.pools.streaming import Progress, first_layers, refuse_infinite
from paretohqd.sources import Source

Layer = NDArray[np.int32]


@dataclass(frozen=True, kw_only=True)
class Stop:
    """How many layers make the pool: `upto` of them, or the fewest that hold enough.

    Attributes:
        upto: This many.
        at_least: Those that hold this many rows.
        distinct: A column of which each preference gets no value twice.
        different: The pool must also hold this many values of it, if its size is not given.
        nan: Whether to refuse null and NaN scores or to drop their rows.
        n_threads: Threads of the kernels.
    """

    upto: int | None
    at_least: int | None
    distinct: str | None = None
    different: int | None = None
    nan: Literal["raise", "drop"] = "raise"
    n_threads: int | None = None

    def last(self, layer: Layer, keys: Keys | None) -> int | None:
        """The last layer of the pool, given those of some first rows; None: they do not suffice."""
        if self.upto is not None:
            return self.upto - 1
        by_layer = np.argsort(layer, kind="stable")
        if self.at_least is None or len(layer) < self.at_least:
            return None
        last = layer[by_layer[self.at_least - 1]]
        if keys is not None and self.different is not None:
            first = np.sort(np.unique(keys[by_layer], return_index=True)[1])
            if len(first) < self.different:
                return None
            last = max(last, layer[by_layer[first[self.different - 1]]])
        return int(last)


def pool_in_memory(frame: pl.DataFrame, scores: Scores, stop: Stop) -> Pool:
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
    while stop.different is not None and keys is not None:
        pool = np.flatnonzero(layer >= 0)
        last = stop.last(layer[pool], keys[pool])
        if last is not None:
            layer = np.where(layer <= last, layer, np.int32(-1))
        if last is not None or len(pool) == points.n:
            break
        layer = pareto_layers(points.columns, at_least=2 * len(pool), n_threads=stop.n_threads)
    inside = np.flatnonzero(layer >= 0)
    return Pool.of(points, kept, inside, layer[inside], rows=len(frame), keys=keys)


def pool_streamed(
    source: Source,
    scores: Scores,
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
    keep = [] if stop.distinct is None else [stop.distinct]

    def last(state: FirstLayers) -> int | None:
        kept = state.kept
        keys = key_ids(kept, keep, "distinct") if keep else None
        return stop.last(kept["layer"].to_numpy(), keys)

    state = first_layers(
        source, scores, objectives, upto=stop.upto, at_least=stop.at_least, keep=keep,
        enough=lambda state: last(state) is not None, nan=stop.nan, memory_limit=memory_limit,
        progress=progress, n_threads=stop.n_threads,
    )  # fmt: skip
    if not state.finite():
        refuse_infinite(source, scores)
    return pool_of(state, scores, stop.distinct, last(state))


def pool_of(
    state: FirstLayers, scores: Scores, distinct: str | None, last: int | None
) -> tuple[Pool, pl.DataFrame]:
    """The pool of rows that were added in parts, up to a layer, and its rows.

    Raises:
        ValueError: scores that cannot be traded, or null keys.
    """
    scores.require_two()
    kept = state.kept if last is None else state.kept.filter(pl.col("layer") <= last)
    points = Objectives.of(kept.select(scores.expressions), maximize=scores.larger)
    nothing = np.zeros(len(scores.names))
    pool = Pool(
        names=tuple(scores.names),
        maximize=tuple(scores.larger),
        columns=tuple(column.astype(np.float64) for column in points.columns),
        row=kept["row"].to_numpy(),
        layer=kept["layer"].to_numpy(),
        low=nothing if state.low is None else state.low,
        high=nothing if state.high is None else state.high,
        rows=state.rows,
        usable=state.usable,
        keys=None if distinct is None else key_ids(kept, [distinct], "distinct"),
    )
    if pool.usable:
        scores.refuse_constant(pool.low, pool.high, pool.usable)
    return pool, kept
