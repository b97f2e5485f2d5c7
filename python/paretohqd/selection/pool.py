"""The pool of a selection: rows of the first layers, and which of them lie nearest to rays."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, Self

import numpy as np
import polars as pl
from numpy.typing import NDArray

from paretohqd.frames.batches import row_numbers
from paretohqd.kernels.points import Objectives
from paretohqd.kernels.rays import nearest_to_rays
from paretohqd.selection.groups import given_units
from paretohqd.selection.ties import rounding, settle_ties

Floats = NDArray[np.float64]
Rows = NDArray[np.int64]
Keys = NDArray[np.uint32]


@dataclass(frozen=True, eq=False)
class Nearest:
    """The chosen rows of a pool, preference by preference, nearest first."""

    places: Rows
    """Where in the pool each is."""
    distances: Floats
    """How far from the ray, in the scaled units."""
    preference: NDArray[np.int32]
    position: NDArray[np.int32]
    """0 for the nearest of its preference, and of its group where there are groups."""


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
    """

    names: tuple[str, ...]
    maximize: tuple[bool, ...]
    columns: tuple[Floats, ...]
    row: Rows
    layer: NDArray[np.int32]
    low: Floats
    high: Floats
    rows: int
    usable: int
    keys: Keys | None = None
    dropped: Mapping[str, int] = field(default_factory=dict)
    copies: int = 0

    @classmethod
    def of(
        cls,
        points: Objectives,
        kept: Rows,
        inside: Rows,
        layer: NDArray[np.int32],
        *,
        rows: int,
        keys: Keys | None = None,
        copies: int = 0,
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
        if (found := self.choices()) < k:
            what = "rows" if not self.copies else "rows that are no copies"
            if self.keys is not None:
                what = "different values of the column `distinct`"
            every = len(self.row) + self.copies == self.usable
            advice = "lower k" if every else "raise upto or at_least, or lower k"
            raise ValueError(f"k={k}, but the pool has only {found} {what}: {advice}")

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

    def box(self, bounds: Literal["pool", "all"]) -> tuple[Floats, Floats]:
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

    def choose(
        self,
        through: Floats,
        *,
        k: int,
        bounds: Literal["pool", "all"],
        scale: Any,
        n_threads: int | None,
    ) -> tuple[Nearest, Floats, Floats]:
        """The k rows nearest to each preference's ray, and the box that the rays refer to.

        The rays start at r_max; `through` are further points of them, shape (P, M), in units of the
        box: 0 is r_min.

        Raises:
            ValueError: there are not k rows to choose, or a ray would have no direction.
        """
        self.require(k)
        r_min, r_max = self.box(bounds)
        units = given_units(scale, len(r_min))
        if units is None:
            units = r_max - r_min
        ideal = (r_max - r_min) / units
        # Of equal distances the first row is taken: that of the better layer, then the earlier.
        order = np.argsort(self.layer, kind="stable")
        columns = [
            (column[order] - low) / unit
            for column, low, unit in zip(self.columns, r_min, units, strict=True)
        ]
        keys = None if self.keys is None else self.keys[order]
        places, distances = _nearest(
            columns, ideal, through * ideal, keys, k=k, n_threads=n_threads
        )
        preference = np.repeat(np.arange(len(through), dtype=np.int32), k)
        position = np.tile(np.arange(k, dtype=np.int32), len(through))
        return Nearest(order[places.ravel()], distances.ravel(), preference, position), r_min, r_max


def _nearest(
    columns: list[Floats],
    origin: Floats,
    through: Floats,
    keys: Keys | None,
    *,
    k: int,
    n_threads: int | None,
) -> tuple[Rows, Floats]:
    """The k rows nearest to each ray; of each key at most one.

    More rows are looked at until it is known that the last distance ends there, for of equal ones
    the first rows are wanted.
    """
    places = np.empty((len(through), k), dtype=np.int64)
    distances = np.empty(places.shape)
    n, allowance = len(columns[0]), rounding(origin)
    left, asked = np.arange(len(through)), min(k + 1 if keys is None else 2 * k + 1, n)
    while len(left):
        rows, far = nearest_to_rays(columns, origin, through[left], k=asked, n_threads=n_threads)
        heads = np.zeros(rows.shape, dtype=np.bool_)
        heads[:, 0] = True
        found = settle_ties(rows.ravel(), far.ravel(), heads.ravel(), allowance)
        more = []
        for ray, *its in zip(left, *(part.reshape(rows.shape) for part in found), strict=True):
            its_rows, its_far, its_fresh = its
            # Rows come nearest first, so the first place of a key is that of its nearest row.
            first = np.arange(asked) if keys is None else firsts(keys[its_rows])
            if asked == n or (len(first) >= k and its_fresh[first[k - 1] + 1 :].any()):
                places[ray], distances[ray] = its_rows[first[:k]], its_far[first[:k]]
            else:
                more.append(ray)
        left, asked = np.array(more, dtype=np.int64), min(4 * asked, n)
    return places, distances


def firsts(keys: NDArray[Any]) -> Rows:
    """Where each value comes for the first time, ascending.

    Example:
        >>> firsts(np.array([7, 7, 3, 7, 3])).tolist()
        [0, 2]
    """
    return np.sort(np.unique(keys, return_index=True)[1])
