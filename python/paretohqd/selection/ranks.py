"""Orders of rows by what a preference loses with them: achievement, weighted sum, ideal point.

All three are weighted distances from the ideal point (compromise programming: Yu 1973, Zeleny
1973): the largest of the weighted shortfalls, their sum, and the root of their squares' sum. No row
comes before one that dominates it, so whoever takes the first k of all rows takes none that is
dominated by a row that was left out.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from paretohqd.kernels import _core
from paretohqd.kernels.achievement import least_achievement
from paretohqd.kernels.arrays import Column

Rank = Literal["ray", "achievement", "sum", "ideal"]
"""By what the rows of a preference are ranked: the distance to its ray, among rows of a pool; or
among all rows by the largest weighted shortfall, their sum, or the distance from the ideal."""

CHUNK = 1 << 16
"""Rows that are looked at together: what is computed of them stays in the cache."""

STRIDE = 16
"""Of so many rows one is in the sample that bounds what is lost with the first k of all."""

Floats = NDArray[np.float64]
Rows = NDArray[np.int64]


class Ranked(NamedTuple):
    """The first k rows of each preference."""

    rows: Rows
    """(P, k), the best first."""
    values: Floats
    """(P, k), ascending."""


@dataclass(frozen=True, eq=False, kw_only=True)
class Order:
    """How rows are ordered, larger being better in each objective.

    Attributes:
        rank: Which order, but "ray".
        ideal: (M,) where nothing is lost.
        units: (M,) what one unit of a loss is in each objective.
        weights: (P, M) what such a unit weighs for each preference.
        falls: (P, M) how far each objective may fall along with the others, for the achievement.
        n_threads: Threads of the kernel.
    """

    rank: Rank
    ideal: Floats
    units: Floats
    weights: Floats
    falls: Floats
    n_threads: int | None = None

    def first(self, columns: Sequence[Column], k: int) -> Ranked:
        """The first k rows of each preference, at most as many as there are.

        Args:
            columns: M columns of n finite numbers.
            k: From 1 to n.
        """
        if self.rank == "achievement":
            least = least_achievement(
                columns, self.ideal, self.falls, k=k, n_threads=self.n_threads
            )
            return Ranked(least.rows, least.values)
        if len(columns[0]) < max(CHUNK, STRIDE * k):
            return self._first(columns, k)
        # That k rows of a sample lose no more is certain, and few others of all rows do.
        sample = [column[::STRIDE] for column in columns]
        rows, _, _ = self.bar(self._first(sample, k)).left(
            columns, [True] * len(columns), self.n_threads
        )
        best = self._first([column[rows] for column in columns], k)
        return Ranked(rows[best.rows], best.values)

    def _first(self, columns: Sequence[Column], k: int) -> Ranked:
        """The same by losses of all rows, for the sum and the ideal."""
        best = [_Best(k) for _ in self.weights]
        for start in range(0, len(columns[0]), CHUNK):
            values = [column[start : start + CHUNK].astype(np.float64) for column in columns]
            losses = [
                (ideal - column) / unit
                for column, ideal, unit in zip(values, self.ideal, self.units, strict=True)
            ]
            ties = [added(losses), *values]
            for own, weights in zip(best, self.weights, strict=True):
                own.add(start, lost(self.rank, losses, weights), ties)
        found = [own.settled() for own in best]
        return Ranked(
            np.stack([one.rows for one in found]), np.stack([one.values for one in found])
        )

    def bar(self, first: Ranked) -> Bar:
        """What leaves the rows in that may come before the last of k that are known."""
        return Bar(self, first.values[:, -1])

    def alone(self, number: int) -> Order:
        """The order of one preference."""
        return replace(self, weights=self.weights[[number]], falls=self.falls[[number]])

    def before(self, columns: Sequence[Column], row: int) -> tuple[Floats, Rows]:
        """What each preference loses with a row, and how many rows come before it.

        O(n M P), and for the achievement, whose order is the kernel's, a sort for each preference.

        Args:
            columns: M columns of n finite numbers.
            row: From 0 to n - 1.

        Returns:
            Both (P,); the second is the row's place in each order.
        """
        values, places = np.empty(len(self.weights)), np.empty(len(self.weights), dtype=np.int64)
        if self.rank == "achievement":
            for number in range(len(places)):
                every = self.alone(number).first(columns, len(columns[0]))
                places[number] = np.flatnonzero(every.rows[0] == row)[0]
                values[number] = every.values[0, places[number]]
            return values, places
        whole = [column.astype(np.float64) for column in columns]
        losses = [
            (ideal - column) / unit
            for column, ideal, unit in zip(whole, self.ideal, self.units, strict=True)
        ]
        for number, weights in enumerate(self.weights):
            own = lost(self.rank, losses, weights)
            values[number] = own[row]
            # Where a loss is past all doubles, none of it is NaN: that comes last as well.
            own = np.where(np.isnan(own), np.inf, own)
            tied = np.flatnonzero(own == own[row])
            order = in_order(
                own[tied], added([loss[tied] for loss in losses]), [each[tied] for each in whole]
            )
            places[number] = (own < own[row]).sum() + np.flatnonzero(tied[order] == row)[0]
        return values, places


@dataclass(frozen=True, eq=False)
class Bar:
    """Leaves rows in with which some preference loses no more than a bound, and a few others.

    Attributes:
        order: What preferences lose with rows.
        bounds: (P,) the most that each may lose.
    """

    order: Order
    bounds: Floats

    def left(
        self, columns: Sequence[Column], larger: Sequence[bool], n_threads: int | None
    ) -> tuple[Rows, Floats, Floats]:
        """See `paretohqd.frames.screen.Screen`. O(n M P)."""
        order = self.order
        weights = order.falls if order.rank == "achievement" else order.weights
        return _core.within_bounds(
            columns,
            larger,
            order.rank,
            np.ascontiguousarray(order.ideal, dtype=np.float64),
            np.ascontiguousarray(order.units, dtype=np.float64),
            np.ascontiguousarray(weights, dtype=np.float64).ravel(),
            np.ascontiguousarray(self.bounds),
            n_threads,
        )


class _Best:
    """The first k rows so far of one preference, and some that may be among them."""

    def __init__(self, k: int) -> None:
        self.k, self.last = k, np.inf
        """No row that loses more than `last` is among the first k."""
        self._rows: list[Rows] = []
        self._table: list[Floats] = []  # what is lost with them, and below what settles ties
        self._held = 0

    def add(self, start: int, values: Floats, ties: Sequence[Floats]) -> None:
        """Take further rows, numbered from `start`: what is lost, its sum, and the scores."""
        near = np.flatnonzero(values <= self.last)
        if not len(near):
            return
        self._rows.append(start + near)
        self._table.append(np.stack([values[near], *(tie[near] for tie in ties)]))
        self._held += len(near)
        if self._held > 4 * self.k + CHUNK // 16:
            self.settled()

    def settled(self) -> Ranked:
        """The first k rows, in order."""
        rows = np.concatenate(self._rows)
        table = np.concatenate(self._table, axis=1)
        if len(rows) > self.k:
            near = np.flatnonzero(table[0] <= np.partition(table[0], self.k - 1)[self.k - 1])
            rows, table = rows[near], table[:, near]
        best = in_order(table[0], table[1], list(table[2:]))[: self.k]
        rows, table = rows[best], table[:, best]
        if len(rows) == self.k:
            self.last = float(table[0, -1])
        self._rows, self._table, self._held = [rows], [table], len(rows)
        return Ranked(rows, table[0])


def lost(rank: Rank, losses: Sequence[Floats], weights: Floats) -> Floats:
    """What a preference loses with each of n rows, by the weighted sum or the ideal point.

    Args:
        rank: "sum" or "ideal".
        losses: How far each row is from the ideal in each objective; M arrays of n.
        weights: (M,) what a loss in each objective weighs.

    Example:
        >>> losses = [np.array([0.0, 0.3]), np.array([1.0, 0.4])]
        >>> lost("sum", losses, np.array([0.5, 0.5])).tolist()
        [0.5, 0.35]
        >>> lost("ideal", losses, np.array([0.5, 0.5])).tolist()
        [0.5, 0.25]
    """
    if rank == "sum":
        return added([w * loss for w, loss in zip(weights, losses, strict=True)])
    # What a row has beyond the ideal is no loss, and no gain either.
    parts = [np.square(w * np.maximum(x, 0)) for w, x in zip(weights, losses, strict=True)]
    return np.sqrt(added(parts))


def in_order(
    values: Floats, whole: Floats, columns: Sequence[Floats], *, first: Rows | None = None
) -> Rows:
    """Places of rows by value, then by the sum of all losses, then by the scores themselves.

    A row that dominates another loses no more, as computed, and in no sum; where all that is equal
    because it was rounded, its scores are no lower and one is higher. So it comes before the other.
    Equal rows come as they are numbered.

    Args:
        values: What is lost with each row.
        whole: The sum of what is lost in all objectives.
        columns: The scores, larger is better.
        first: Numbers that count before all, such as those of groups.
    """
    keys = (*(-column for column in reversed(columns)), whole, values)
    return np.lexsort(keys if first is None else (*keys, first))


def added(parts: Sequence[Floats]) -> Floats:
    """The sum, in the same order for all rows: rounded sums keep the order of their terms."""
    total = parts[0].copy()
    for part in parts[1:]:
        total += part
    return total
