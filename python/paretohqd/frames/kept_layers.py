"""The rows of the first Pareto layers, kept while further rows come in parts."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Literal, NamedTuple, Self

import numpy as np
import polars as pl
from numpy.typing import NDArray

from paretohqd.frames.batches import compacted
from paretohqd.frames.common_types import types_of_both
from paretohqd.frames.objectives import ObjectiveColumns
from paretohqd.frames.reading.schemas import converted
from paretohqd.frames.screen import StrongRows, look_at
from paretohqd.kernels.layers import pareto_layers
from paretohqd.kernels.points import Objectives, optional_count

SETTLE = 1 << 16
"""Rows that wait, at least, before they are merged with the kept ones."""

SPARE, SPARE_WITHIN_NOISE = 2, 8
"""How many times more rows are kept than `at_least`, in case that later ones push some aside.
Within noise layers shrink as rows come: the best reach the scores' ends and differ by little."""

Floats = NDArray[np.float64]
Rows = NDArray[np.int64]


class Layered(NamedTuple):
    """Rows of the first layers, in the order in which they came."""

    frame: pl.DataFrame
    """Their columns."""
    row: Rows
    """Their numbers among all rows, ascending."""
    layer: NDArray[np.int32]

    def upto(self, layers: int) -> Layered:
        """Those of the first few layers."""
        inside = np.flatnonzero(self.layer < layers)
        return Layered(self.frame[inside], self.row[inside], self.layer[inside])


class KeptLayers:
    """What `FirstLayers` keeps, of rows whose objectives are known: see there for why it is exact.

    Args:
        upto: How many layers to keep.
        at_least: Or the fewest layers that hold this many rows.
        floor: Layers to keep whatever `at_least` needs, where all rows are read again.
        noise: (M,) differences below which count for nothing (see `Objectives.rounded_down`).
        nan: "raise" refuses null and NaN scores, "drop" leaves such rows out.
        n_threads: Threads; RAYON_NUM_THREADS or all cores by default.

    Raises:
        ValueError: Not one stop of at least 1.
    """

    def __init__(
        self,
        *,
        upto: int | None = None,
        at_least: int | None = None,
        floor: int = 0,
        noise: Floats | None = None,
        nan: Literal["raise", "drop"] = "raise",
        n_threads: int | None = None,
    ) -> None:
        """See the class."""
        if (upto is None) == (at_least is None):
            raise ValueError(
                f"choose one of upto ({upto}) and at_least ({at_least}): how much to keep"
            )
        if nan not in ("raise", "drop"):
            raise ValueError(f"nan must be 'raise' or 'drop', got {nan!r}")
        self.at_least = optional_count("at_least", at_least)
        self.floor = floor
        self.noise = noise
        self.limit = floor or optional_count("upto", upto)
        """Layers that are kept, if that is known yet."""
        self.nan: Literal["raise", "drop"] = nan
        self.n_threads = optional_count("n_threads", n_threads)
        self.rows = 0
        """Rows that came so far."""
        self.usable = 0
        """Those of them that were not dropped, and met the condition if there is one."""
        self.excluded = 0
        """Those that did not meet it."""
        self.dropped: dict[str, int] = {}
        """How many null and NaN each objective had in the others."""
        self.low: Floats | None = None
        """(M,) the worst of each objective over all rows; larger is better here."""
        self.high: Floats | None = None
        """(M,) the best."""
        self._scores: ObjectiveColumns | None = None
        self._kept: Layered | None = None
        self._waiting: list[tuple[pl.DataFrame, Rows]] = []
        self._screen: StrongRows | None = None

    def __copy__(self) -> Self:
        """A state of its own: frames and arrays are shared, but never changed."""
        other = type(self).__new__(type(self))
        other.__dict__.update(self.__dict__, _waiting=list(self._waiting))
        return other

    def facts(self) -> dict[str, Any]:
        """What a saved state holds besides its rows; numbers, lists and text only."""
        return {
            "limit": self.limit,
            "floor": self.floor,
            "at_least": self.at_least,
            "nan": self.nan,
            "rows": self.rows,
            "usable": self.usable,
            **({"excluded": self.excluded} if self.excluded else {}),
            "dropped": self.dropped,
            "low": None if self.low is None else self.low.tolist(),
            "high": None if self.high is None else self.high.tolist(),
        }

    @classmethod
    def of_facts(
        cls,
        facts: Mapping[str, Any],
        kept: Layered,
        scores: ObjectiveColumns,
        *,
        n_threads: int | None,
    ) -> Self:
        """A state as it was when it was saved."""
        self = cls(upto=1, nan=facts["nan"], n_threads=n_threads)
        self.limit, self.floor, self.at_least = (
            facts[name] for name in ("limit", "floor", "at_least")
        )
        self.rows, self.usable = facts["rows"], facts["usable"]
        # States of older versions do not know.
        self.dropped, self.excluded = facts.get("dropped", {}), facts.get("excluded", 0)
        self.low, self.high = (
            None if facts[end] is None else np.array(facts[end]) for end in ("low", "high")
        )
        self._kept, self._scores = kept, scores
        return self

    def again(self) -> Self:
        """A state to which no row came yet, that will keep twice as many layers."""
        return type(self)(
            at_least=self.at_least,
            floor=2 * (self.limit or 1),
            noise=self.noise,
            nan=self.nan,
            n_threads=self.n_threads,
        )

    def extend(self, frame: pl.DataFrame, scores: ObjectiveColumns) -> None:
        """Take in further rows; after an error the state is of no use any more.

        Args:
            frame: The rows.
            scores: The objectives among their columns, the same each time.

        Raises:
            ValueError: A score is null or NaN, or columns differ from those of the rows before.
        """
        self._scores = scores
        frame = self._aligned(frame)
        seen = look_at(frame, scores, self._screen, nan=self.nan, n_threads=self.n_threads)
        self.usable += seen.usable
        self.excluded += seen.excluded
        self._count_dropped(seen.dropped)
        self._widen(seen.worst, seen.best)
        points, kept = seen.points, seen.rows
        if seen.usable:  # what a screen leaves out may be too low to be counted in units
            ends = np.stack([seen.worst, seen.best])
            replace(points, columns=tuple(ends.T)).rounded_down(self.noise)
        if self.limit is not None:
            layer = pareto_layers(
                points.rounded_down(self.noise), upto=self.limit, n_threads=self.n_threads
            )
            kept = kept[layer >= 0]
        self._waiting.append((compacted(frame[kept]), self.rows + kept))
        self.rows += len(frame)
        waiting = sum(len(row) for _, row in self._waiting)
        unscreened = self._screen is None and self.limit is not None
        if unscreened or waiting >= max(SETTLE, self.held - waiting):
            self._choose_screen(scores, points)

    def merge(self, *others: Self) -> Self:
        """Take in rows that follow one another and those of this state, as others kept them.

        Returns:
            This state, as it would be had their rows been added here.

        Raises:
            ValueError: Their columns differ.
        """
        for other in others:
            kept = other.settled()
            self._scores = other._scores
            self._waiting.append((self._aligned(kept.frame), kept.row + self.rows))
            self.rows += other.rows
            self.usable += other.usable
            self.excluded += other.excluded
            self._count_dropped(other.dropped)
            self._widen(other.low, other.high)
            # What lies past the layers that either kept is not known.
            limits = [limit for limit in (self.limit, other.limit) if limit is not None]
            self.limit = min(limits, default=None)
        self._settle()
        return self

    def settled(self) -> Layered:
        """All rows that are kept, merged with those that waited.

        With `at_least` they are more than were asked for: later rows may push some of them aside.

        Raises:
            ValueError: No rows came yet.
        """
        self._settle()
        if self._kept is None:
            raise ValueError("no rows were added yet: add some first")
        return self._kept

    def _settle(self) -> NDArray[np.int32]:
        """Merge what waits with what is kept and forget what is past the limit: the kept layers."""
        if self._waiting and self._scores is not None:
            parts = self._parts()
            frame = pl.concat([frame for frame, _ in parts])
            points = self._scores.of_all.points(frame, nan=self.nan, n_threads=self.n_threads)
            spare = SPARE if self.noise is None else SPARE_WITHIN_NOISE
            wanted = len(frame) if self.at_least is None else spare * self.at_least
            layer = pareto_layers(
                points.rounded_down(self.noise),
                upto=self.limit,
                at_least=wanted if self.limit is None else None,
                n_threads=self.n_threads,
            )
            sizes = np.bincount(layer[layer >= 0]).cumsum()
            if self.at_least is not None and sizes[-1:].sum() >= wanted:
                # The more rows there are, the fewer layers are needed.
                self.limit = max(self.floor, int(np.searchsorted(sizes, wanted)) + 1)
                layer = np.where(layer < self.limit, layer, np.int32(-1))
            inside = np.flatnonzero(layer >= 0)
            row = np.concatenate([row for _, row in parts])
            self._kept = Layered(compacted(frame[inside]), row[inside], layer[inside])
            self._waiting = []
        return np.empty(0, dtype=np.int32) if self._kept is None else self._kept.layer

    def answer(self) -> Layered:
        """The rows of the layers asked for.

        Raises:
            ValueError: No rows came yet, or the kept layers do not suffice (see `enough`).
        """
        kept = self.settled()
        if not self.enough():
            raise ValueError(
                f"the {self.limit} layers that were kept hold {len(kept.row)} rows of the "
                f"{self.at_least} asked for: read all rows again with upto={2 * (self.limit or 1)}"
            )
        return kept.upto(self.needed())

    def needed(self) -> int:
        """How many of the kept layers the answer has: all, or the fewest with `at_least` rows."""
        sizes = np.bincount(self._settle())
        if self.at_least is None:
            return len(sizes)
        return min(int(np.searchsorted(sizes.cumsum(), self.at_least)) + 1, len(sizes))

    def enough(self) -> bool:
        """Whether the kept layers hold `at_least` rows, or all there are."""
        return self.at_least is None or len(self._settle()) >= self.at_least or self.whole()

    def whole(self) -> bool:
        """Whether no usable row was left out."""
        return len(self._settle()) == self.usable

    def finite(self) -> bool:
        """Whether no score of any row is infinite."""
        ends = [end for end in (self.low, self.high) if end is not None and self.usable]
        return all(np.isfinite(end).all() for end in ends)

    @property
    def held(self) -> int:
        """Rows that are kept or wait."""
        return sum(len(row) for _, row in self._parts())

    def estimated_size(self) -> int:
        """Memory of these rows, in bytes."""
        sizes = (int(frame.estimated_size()) + row.nbytes for frame, row in self._parts())
        return sum(sizes) + (0 if self._kept is None else self._kept.layer.nbytes)

    def _parts(self) -> list[tuple[pl.DataFrame, Rows]]:
        """The rows that are kept and those that wait, with their numbers."""
        kept = [] if self._kept is None else [(self._kept.frame, self._kept.row)]
        return [*kept, *self._waiting]

    def refuse_other_columns(self, schema: pl.Schema) -> None:
        """Raise a ValueError if columns differ from those of the rows before, but in a type."""
        if parts := self._parts():
            types_of_both(parts[0][0].schema, schema)

    def _aligned(self, frame: pl.DataFrame) -> pl.DataFrame:
        """Give rows and those before them the types that hold both, if they differ in no more."""
        parts = self._parts()
        if not parts or (expected := parts[0][0].schema) == frame.schema:
            return frame
        want = types_of_both(expected, frame.schema)
        if self._kept is not None:
            self._kept = self._kept._replace(frame=converted(self._kept.frame, want))
        self._waiting = [(converted(rows, want), row) for rows, row in self._waiting]
        return converted(frame, want)

    def _count_dropped(self, more: Mapping[str, int]) -> None:
        """Add to how many null and NaN the objectives had."""
        names = dict.fromkeys([*self.dropped, *more])
        self.dropped = {name: self.dropped.get(name, 0) + more.get(name, 0) for name in names}

    def _widen(self, low: Floats | None, high: Floats | None) -> None:
        """Take the worst and best of further rows into account."""
        if low is not None and high is not None:
            self.low = low if self.low is None else np.minimum(self.low, low)
            self.high = high if self.high is None else np.maximum(self.high, high)

    def _choose_screen(self, scores: ObjectiveColumns, seen: Objectives) -> None:
        """Choose rows of the last kept layer that show most other rows to be past it."""
        kept = self.settled()
        if self.limit is not None:
            last = kept.frame[np.flatnonzero(kept.layer == self.limit - 1)]
            points = scores.of_all.points(last, nan=self.nan)
            self._screen = StrongRows.of(points, seen, self.noise)
