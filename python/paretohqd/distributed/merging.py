"""What each part of the rows keeps, and the exact merge of parts by a tree of tasks."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from paretohqd.distributed.cluster import pa, packed, ray, unpacked
from paretohqd.frames.bad_rows import refuse_infinite
from paretohqd.frames.kept_layers import KeptLayers
from paretohqd.frames.keys import refuse_null_keys
from paretohqd.frames.objectives import ObjectiveColumns
from paretohqd.frames.sources import Source
from paretohqd.frames.streaming import read_layers
from paretohqd.selection.rule import Nan

FAN_IN = 8
"""States that one task merges: the tree has log8(parts) levels."""


@dataclass(frozen=True, kw_only=True)
class PartSpec:
    """What each part keeps: picklable, because it travels to the tasks.

    Attributes:
        scores: The objectives among the columns.
        upto: How many layers.
        filled: Columns that are needed besides them, without null and NaN.
        others: Others that are needed, whatever they hold.
        nan: Whether to refuse null and NaN scores or to drop their rows.
        noise: Differences below which count for nothing.
    """

    scores: ObjectiveColumns
    upto: int
    filled: Sequence[str]
    others: Sequence[str]
    nan: Nan
    noise: NDArray[np.float64] | None = None

    def of_source(self, source: Source) -> KeptLayers:
        """The first layers of rows that are read in batches, without their other columns.

        Raises:
            ValueError: A score is null, NaN or infinite, or the rows cannot be read.
        """
        state = read_layers(
            source, self.scores, self._no_rows(), filled=self.filled, others=self.others
        )
        return self._finite(state, source)

    def of_frame(self, frame: pl.DataFrame) -> KeptLayers:
        """The first layers of rows in memory, with all their columns.

        Raises:
            ValueError: A score is null, NaN or infinite.
        """
        state = self._no_rows()
        state.extend(frame, self.scores)
        for name in self.filled:
            refuse_null_keys(frame[name], "distinct", self.scores.inside(frame))
        return self._finite(state, Source(frame))

    def _no_rows(self) -> KeptLayers:
        return KeptLayers(upto=self.upto, noise=self.noise, nan=self.nan, n_threads=1)

    def _finite(self, state: KeptLayers, source: Source) -> KeptLayers:
        if not state.finite():
            refuse_infinite(source, self.scores)
        return state


def _merge(nothing: KeptLayers, *blocks: pa.Table) -> pa.Table:
    return packed(lambda: nothing.merge(*(state for block in blocks for state in unpacked(block))))


def merged(nothing: KeptLayers, states: list[Any]) -> KeptLayers:
    """The first layers of all parts, from references to their packed states in order.

    Args:
        nothing: A state to which no row was added yet, only columns: Ray keeps no block for parts
            without rows.
        states: Eight at a time become one, in tasks, until there is one left.

    Raises:
        ValueError: That of the first part that has one.
    """
    task = ray.remote(_merge)
    while len(states) > 1:
        groups = [states[at : at + FAN_IN] for at in range(0, len(states), FAN_IN)]
        states = [task.remote(nothing, *group) for group in groups]
    return nothing.merge(*(state for ref in states for state in unpacked(ray.get(ref))))
