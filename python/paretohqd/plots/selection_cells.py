"""All rows of a selection's picture: the range of every objective, and rows counted in cells.

Rows are never collected: both passes run in Polars' streaming engine and return a few thousand
numbers, however many rows there are. Columns are called v0, v1, ... here, as an objective may be
called anything.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import ceil, floor, log10

import numpy as np
import polars as pl
from numpy.typing import NDArray

Floats = NDArray[np.float64]

SAMPLE = 100_000
"""Rows from which the quantiles are taken."""
TAIL = 0.001
"""Share of rows on either side that may be far away without stretching the picture."""

MARGIN = 0.09
"""Room on either side of an axis, as a share of the range."""


@dataclass(frozen=True, kw_only=True)
class Span:
    """The range of one axis: `cells` cells from `low` on, each `width` wide."""

    low: float
    width: float
    cells: int

    @property
    def high(self) -> float:
        """Where the last cell ends."""
        return self.low + self.width * self.cells

    @property
    def decimals(self) -> int:
        """Decimals that distinguish values a ten-thousandth of the range apart.

        Example:
            >>> Span(low=0.0, width=0.1, cells=10).decimals
            4
        """
        return min(300, max(0, 4 - floor(log10(self.high - self.low))))


def numbers(names: Sequence[str]) -> list[pl.Expr]:
    """The columns of these names as doubles called v0, v1, ..."""
    # A plain pl.col would take a name like "^a.*$" for a pattern.
    return [
        pl.selectors.by_name(name).cast(pl.Float64).alias(f"v{i}") for i, name in enumerate(names)
    ]


def finite(scores: pl.LazyFrame, names: Sequence[str]) -> pl.LazyFrame:
    """The rows without null, NaN or infinity in these columns, as v0, v1, ..."""
    rows = scores.select(numbers(names))
    return rows.filter(pl.all_horizontal(pl.all().is_finite()))


def spans(
    rows: pl.LazyFrame, n: int, ideal: Floats, nadir: Floats, *, cells: int
) -> tuple[list[Span], int]:
    """The range of each axis, and how many rows there are.

    A range covers all rows but those far out: a few scores of -1e9, as penalties are, would press
    all others into one cell. It always covers the box from the nadir to the ideal.

    Args:
        rows: All rows, columns v0, v1, ... without NaN or infinity.
        n: About how many rows.
        ideal: (M,) best values.
        nadir: (M,) worst values.
        cells: Cells per axis; an axis of few whole numbers gets a cell for each.

    Returns:
        M ranges, and the number of rows.
    """
    axes = range(len(ideal))
    facts = rows.select(
        pl.len().alias("rows"),
        *(pl.col(f"v{i}").min().alias(f"low{i}") for i in axes),
        *(pl.col(f"v{i}").max().alias(f"high{i}") for i in axes),
        *((pl.col(f"v{i}") == pl.col(f"v{i}").round()).all().alias(f"whole{i}") for i in axes),
    )
    step = max(1, n // SAMPLE)
    sample = rows.with_row_index("at").filter(pl.col("at") % step == 0)
    extremes, some = pl.collect_all([facts, sample], engine="streaming")
    fact = extremes.row(0, named=True)
    ranges = []
    for i in axes:
        first, last = _without_far_out(some[f"v{i}"], fact[f"low{i}"], fact[f"high{i}"])
        first, last = min(first, ideal[i], nadir[i]), max(last, ideal[i], nadir[i])
        ranges.append(_span(float(first), float(last), whole=fact[f"whole{i}"], cells=cells))
    return ranges, fact["rows"]


def _without_far_out(some: pl.Series, low: float, high: float) -> tuple[float, float]:
    """The extremes, but not further out than half of what the middle of the rows spans."""
    inner = some.quantile(TAIL, "nearest"), some.quantile(1 - TAIL, "nearest")
    if inner[0] is None or inner[1] is None or inner[0] == inner[1]:
        return low, high
    room = (inner[1] - inner[0]) / 2
    return max(low, inner[0] - room), min(high, inner[1] + room)


def _span(first: float, last: float, *, whole: bool, cells: int) -> Span:
    """Cells over [first, last] and a margin, none of which ends where a value may be."""
    if whole and last - first < 1e6 and max(abs(first), abs(last)) < 2**52:
        # Whole numbers: with any other width some cells would hold one value more than others.
        start, values = floor(first), ceil(last) - floor(first) + 1
        edge = max(1, round(values * MARGIN))
        step = ceil((values + 2 * edge) / cells)
        number = ceil((values + 2 * edge) / step)
        return Span(low=start - edge - 0.5, width=step, cells=number)
    room = (last - first) * MARGIN or max(1.0, abs(first)) / 2
    low, high = first - room, last + room
    return Span(low=low, width=(high - low) / cells, cells=cells)


def cell_counts(
    rows: pl.LazyFrame, axes: Sequence[Span], pairs: Sequence[tuple[int, int]]
) -> Mapping[tuple[int, int], pl.DataFrame]:
    """Count the rows in the cells of each pair of axes, in one pass.

    Args:
        rows: Columns v0, v1, ... without NaN or infinity.
        axes: The range of each axis.
        pairs: The axes across and up, for each panel.

    Returns:
        For each pair the cells that hold any row: `i` (across), `j` (up) and `n`. Rows beyond the
        ranges are in no cell.

    Example:
        >>> axis = Span(low=0.0, width=0.5, cells=2)
        >>> rows = pl.LazyFrame({"v0": [0.1, 0.2, 0.9, 7.0], "v1": [0.1, 0.1, 0.9, 0.1]})
        >>> cell_counts(rows, [axis, axis], [(0, 1)])[0, 1].rows()
        [(0, 0, 2), (1, 1, 1)]
    """
    # Clipped before the cast: no integer holds the cell number of a row that is far out.
    cell = [
        ((pl.col(f"v{k}") - axis.low) / axis.width).floor().clip(-1, axis.cells).cast(pl.Int32)
        for k, axis in enumerate(axes)
    ]
    inside = [each.is_between(0, axis.cells - 1) for each, axis in zip(cell, axes, strict=True)]
    wide = max(axis.cells for axis in axes)
    cells = rows.select(
        pl.when(inside[a] & inside[b]).then(cell[a] * wide + cell[b]).alias(str(at))
        for at, (a, b) in enumerate(pairs)
    )
    # A long frame, counted at once: a group_by for each panel would read the rows again or keep
    # them; one over all axes would have as many groups as rows.
    long = cells.unpivot(variable_name="at", value_name="cell").drop_nulls()
    counted = long.group_by("at", "cell").agg(n=pl.len()).collect(engine="streaming")
    return {
        pair: counted.filter(pl.col("at") == str(at))
        .select(i=pl.col("cell") // wide, j=pl.col("cell") % wide, n="n")
        .sort("i", "j")
        for at, pair in enumerate(pairs)
    }
