"""What may still count of a batch of rows: a screen leaves out most others at little cost.

Where the first layers are kept a few strong rows rule most others out (`StrongRows`); where the
first rows by a rank are, what is lost with the last of them does (`paretohqd.selection.ranks.Bar`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple, Protocol, Self

import numpy as np
import polars as pl
from numpy.typing import NDArray

from paretohqd.frames.objectives import ObjectiveColumns
from paretohqd.kernels import _core
from paretohqd.kernels.arrays import Column, floats
from paretohqd.kernels.points import Objectives

Floats = NDArray[np.float64]
Rows = NDArray[np.int64]

MOST = 8
"""Rows that others are compared with, at most: chosen by reasoning, not measured against others."""

CANDIDATES, SAMPLE = 512, 2048
"""Rows of the last layer among which these are chosen, and rows on which."""


class Screen(Protocol):
    """What leaves most rows out that cannot count."""

    def left(
        self, columns: Sequence[Column], larger: Sequence[bool], n_threads: int | None
    ) -> tuple[Rows, Floats, Floats]:
        """The rows that may count, all with NaN among them; worst and best of all rows."""


class Seen(NamedTuple):
    """What was seen of a batch."""

    points: Objectives
    """Its rows that may count, larger is better."""
    rows: Rows
    """Where these are in the batch, ascending."""
    worst: Floats
    """(M,) of all its rows that have a score in each objective and meet the condition."""
    best: Floats
    usable: int
    """How many such rows there are."""
    dropped: Mapping[str, int]
    """How many null and NaN each objective has, where such rows are dropped."""
    excluded: int
    """How many rows do not meet the condition."""


def look_at(
    frame: pl.DataFrame,
    scores: ObjectiveColumns,
    screen: Screen | None,
    *,
    nan: Literal["raise", "drop"],
    n_threads: int | None,
) -> Seen:
    """The rows of a batch that may count.

    Raises:
        ValueError: A column is not numeric, or holds null or NaN and these are not dropped.
    """
    inside = scores.inside(frame)
    if inside is None:
        return _look_at_all(frame, scores, screen, nan, n_threads)
    seen = _look_at_all(frame[inside], scores.of_all, screen, nan, n_threads)
    return seen._replace(rows=inside[seen.rows], excluded=len(frame) - len(inside))


def _look_at_all(
    frame: pl.DataFrame,
    scores: ObjectiveColumns,
    screen: Screen | None,
    nan: Literal["raise", "drop"],
    n_threads: int | None,
) -> Seen:
    passed = None if screen is None else _passed(frame, scores, screen, n_threads)
    if passed is not None:
        rows, worst, best = passed
        try:
            points = scores.points(frame[rows], nan=nan, n_threads=n_threads)
        except ValueError:
            pass  # Below it counts in all rows.
        else:
            if points.kept is None:
                return Seen(points, rows, worst, best, len(frame), {}, 0)
    points = scores.points(frame, nan=nan, n_threads=n_threads)
    rows = np.arange(len(frame)) if points.kept is None else points.kept
    return Seen(points, rows, points.worst(), points.best(), points.n, points.dropped, 0)


def _passed(
    frame: pl.DataFrame, scores: ObjectiveColumns, screen: Screen, n_threads: int | None
) -> tuple[Rows, Floats, Floats] | None:
    """What a screen leaves, or None if a score is null."""
    converted = [floats(column.name, column) for column in frame.select(scores.expressions)]
    if any(missing is not None for _, missing in converted):
        return None
    return screen.left([column for column, _ in converted], scores.larger, n_threads)


@dataclass(frozen=True, eq=False)
class StrongRows:
    """A few rows of the last layer that is kept: what one of them beats lies past that layer.

    Attributes:
        others: (K, M) these rows, larger is better, the one that beats most first.
    """

    others: Floats

    @classmethod
    def of(cls, last: Objectives, seen: Objectives, noise: Floats | None = None) -> Self | None:
        """The rows of the last layer that beat most of some rows which were seen.

        Args:
            last: Rows of the last layer that is kept.
            seen: Any rows.
            noise: (M,) the units in whose whole numbers rows are compared; None: as they are.

        Returns:
            A screen, or None if none of them beats any.
        """
        candidates, sample = _some(last, CANDIDATES), _some(seen, SAMPLE)
        if noise is not None:
            candidates = _least(candidates, noise)
        beats = np.ones((len(candidates), len(sample)), dtype=bool)
        for ours, theirs in zip(candidates.T, sample.T, strict=True):
            beats &= ours[:, None] > theirs[None, :]
        chosen: list[int] = []
        while len(chosen) < MOST and beats.any():
            chosen.append(int(beats.sum(axis=1).argmax()))
            beats &= ~beats[chosen[-1]]
        return cls(candidates[chosen]) if chosen else None

    def left(
        self, columns: Sequence[Column], larger: Sequence[bool], n_threads: int | None
    ) -> tuple[Rows, Floats, Floats]:
        """See `Screen`."""
        return _core.unbeaten(columns, larger, self.others.ravel(), n_threads)


def _least(points: Floats, noise: Floats) -> Floats:
    """(K, M) numbers such that what is below them holds fewer whole units than the points do."""
    least = points.copy()
    for own, unit in zip(least.T, noise, strict=True):
        if unit > 0:
            with np.errstate(over="ignore"):
                units = np.floor(own / unit)
                below = (units - 0.000001) * unit
                # Rounded quotients keep the order, so what holds for this number holds below it.
                own[:] = np.where(below / unit < units, below, -np.inf)
    return least


def _some(points: Objectives, count: int) -> Floats:
    """(count, M) rows, evenly spread, or all there are."""
    step = max(1, points.n // count)
    return np.column_stack([column[::step][:count] for column in points.columns]).astype(np.float64)
