"""What each part of the rows keeps, and the exact merge of parts by a tree of tasks."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import polars as pl

from paretohqd.distributed.cluster import pa, packed, ray, unpacked
from paretohqd.frames.first_layers import FirstLayers
from paretohqd.frames.objectives import ObjectiveColumns, refuse_null_keys
from paretohqd.frames.sources import Source
from paretohqd.frames.streaming import first_layers, refuse_infinite

FAN_IN = 8
"""States that one task merges: the tree has log8(parts) levels."""


@dataclass(frozen=True, kw_only=True)
class PartSpec:
    """What each part keeps: picklable, for it travels to the tasks.

    Attributes:
        scores: The objectives among the columns.
        objectives: The same as they were given.
        upto: How many layers.
        distinct: A column that is needed beside them; it must not be null.
        copies: Others that are needed, in which copies are equal.
        nan: Whether to refuse null and NaN scores or to drop their rows.
    """

    scores: ObjectiveColumns
    objectives: Any
    upto: int
    distinct: str | None
    copies: tuple[str, ...]
    nan: Literal["raise", "drop"]

    def of_source(self, source: Source) -> FirstLayers:
        """The first layers of rows that are read in batches, without their other columns.

        Raises:
            ValueError: a score is null, NaN or infinite, or the rows cannot be read.
        """
        keep = [] if self.distinct is None else [self.distinct]
        state = first_layers(
            source,
            self.scores,
            self.objectives,
            upto=self.upto,
            keep=keep,
            also=self.copies,
            nan=self.nan,
            n_threads=1,
        )
        return self._finite(state, source)

    def of_frame(self, frame: pl.DataFrame) -> FirstLayers:
        """The first layers of rows in memory, with all their columns.

        Raises:
            ValueError: a score is null, NaN or infinite.
        """
        state = FirstLayers(self.objectives, upto=self.upto, nan=self.nan, n_threads=1).add(frame)
        if self.distinct is not None:
            refuse_null_keys(frame[self.distinct], "distinct")
        return self._finite(state, Source(frame))

    def _finite(self, state: FirstLayers, source: Source) -> FirstLayers:
        if state.usable and not np.isfinite([state.low, state.high]).all():  # type: ignore[arg-type]
            refuse_infinite(source, self.scores)
        return state


def merge(states: Iterable[FirstLayers]) -> FirstLayers:
    """The first layers of parts that follow one another, in the first one's state.

    Args:
        states: One or more that keep the same number of layers (`upto`) of the same columns.

    Returns:
        The state that would be there, had the rows of all parts been added in this order.

    Example:
        >>> import polars as pl
        >>> from paretohqd import FirstLayers
        >>> parts = [{"a": [1, 0], "b": [0, 1]}, {"a": [2, 0], "b": [0, 0]}]
        >>> states = [FirstLayers(["a", "b"], upto=1).add(pl.DataFrame(part)) for part in parts]
        >>> merge(states).frame["row"].to_list()
        [1, 2]
    """
    whole, *others = states
    for state in others:
        # A row's number counts the rows of all parts before its own.
        kept = state.kept.drop("layer").with_columns(pl.col("row") + whole.rows)
        whole._waiting.append(kept)
        whole.rows += state.rows
        whole.usable += state.usable
        whole.count_dropped(state.dropped)
        whole.low = np.minimum(whole.low, state.low)  # type: ignore[arg-type]
        whole.high = np.maximum(whole.high, state.high)  # type: ignore[arg-type]
    whole._settle()
    return whole


def _merge(nothing: FirstLayers, *blocks: pa.Table) -> pa.Table:
    return packed(
        lambda: merge([nothing, *(state for block in blocks for state in unpacked(block))])
    )


def merged(nothing: FirstLayers, states: list[Any]) -> FirstLayers:
    """The first layers of all parts, from references to their packed states in order.

    Args:
        nothing: A state to which no row was added yet, only columns: Ray keeps no block for parts
            without rows.
        states: Eight at a time become one, in tasks, until there is one left.

    Raises:
        ValueError: that of the first part that has one.
    """
    task = ray.remote(_merge)
    while len(states) > 1:
        groups = [states[at : at + FAN_IN] for at in range(0, len(states), FAN_IN)]
        states = [task.remote(nothing, *group) for group in groups]
    return merge([nothing, *(state for ref in states for state in unpacked(ray.get(ref)))])
