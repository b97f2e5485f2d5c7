"""Rows of a batch that cannot be in the first layers: a few strong rows rule most of them out."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

import numpy as np
import polars as pl
from numpy.typing import NDArray

from paretohqd.frames.objectives import ObjectiveColumns
from paretohqd.kernels import _core
from paretohqd.kernels.arrays import floats
from paretohqd.kernels.points import Objectives

Floats = NDArray[np.float64]
Rows = NDArray[np.int64]

MOST = 8
"""Rows that others are compared with, at most: chosen by reasoning, not measured against others."""

CANDIDATES, SAMPLE = 512, 2048
"""Rows of the last layer among which these are chosen, and rows on which."""


@dataclass(frozen=True, eq=False)
class Screen:
    """A few rows of the last layer that is kept: what one of them beats lies past that layer.

    Attributes:
        others: (K, M) these rows, larger is better, the one that beats most first.
    """

    others: Floats

    @classmethod
    def of(cls, last: Objectives, seen: Objectives) -> Self:
        """The rows of the last layer that beat most of some rows which were seen."""
        candidates, sample = _some(last, CANDIDATES), _some(seen, SAMPLE)
        beats = np.ones((len(candidates), len(sample)), dtype=bool)
        for ours, theirs in zip(candidates.T, sample.T, strict=True):
            beats &= ours[:, None] > theirs[None, :]
        chosen: list[int] = []
        while len(chosen) < MOST and beats.any():
            chosen.append(int(beats.sum(axis=1).argmax()))
            beats &= ~beats[chosen[-1]]
        return cls(candidates[chosen])

    def passed(
        self, frame: pl.DataFrame, scores: ObjectiveColumns, n_threads: int | None
    ) -> tuple[Rows, Floats, Floats] | None:
        """The rows that may be in the first layers, NaN among them; worst and best of all rows.

        None if nothing is known of them: there is no other row, or a score is null.
        """
        if not len(self.others):
            return None
        converted = [floats(column.name, column) for column in frame.select(scores.expressions)]
        if any(missing is not None for _, missing in converted):
            return None
        columns = [column for column, _ in converted]
        return _core.unbeaten(columns, scores.larger, self.others.ravel(), n_threads)


def _some(points: Objectives, count: int) -> Floats:
    """(count, M) rows, evenly spread, or all there are."""
    step = max(1, points.n // count)
    return np.column_stack([column[::step][:count] for column in points.columns]).astype(np.float64)
