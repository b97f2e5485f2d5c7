"""The points and lines of a picture of a selection, as frames and numbers.

Objectives are called v0, v1, ... here, in the order of the selection.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import polars as pl

from paretohqd.plots.density import Floats, Span, numbers

RINGS = 3
"""Rings of a target that are told apart."""


class Chosen(Protocol):
    """What of a selection is drawn; see `paretohqd.selection.choosing.Selection`."""

    @property
    def rows(self) -> pl.DataFrame:
        """The chosen rows: `preference`, `distance`, `row` and others."""

    @property
    def preferences(self) -> Floats:
        """(P, M) weights."""

    @property
    def through(self) -> Floats:
        """(P, M) further points of their rays, in units of the box: r_min is 0, r_max is 1."""

    @property
    def objectives(self) -> Mapping[str, str]:
        """The direction, "max" or "min", of each objective."""

    @property
    def pool(self) -> pl.DataFrame:
        """`row`, `layer` and a column per objective, for the rows of the pool."""

    @property
    def r_min(self) -> Floats:
        """(M,) nadir in the input's units."""

    @property
    def r_max(self) -> Floats:
        """(M,) ideal in the input's units."""

    @property
    def n_rows(self) -> int:
        """Rows of the input."""

    @property
    def scores(self) -> pl.LazyFrame | None:
        """A column per objective, all rows, if they are at hand."""

    @property
    def preference_names(self) -> Sequence[str] | None:
        """Names of the preferences, if they have any."""

    @property
    def by(self) -> Sequence[str] | None:
        """Columns within whose values rows were chosen."""


@dataclass(frozen=True, kw_only=True)
class Picture:
    """What the panels share."""

    objectives: dict[str, str]
    axes: list[Span]
    across: list[int]
    """Pixels of a panel's width, by the objective across."""
    up: list[int]
    """Pixels of a panel's height, by the objective up."""
    ideal: Floats
    nadir: Floats
    weights: Floats
    through: Floats
    """A further point of each preference's ray, in units of the box."""
    shown: list[int]
    title: str
    """What the labels are."""
    labels: list[str]
    """One per preference of the selection."""
    front: pl.DataFrame
    deeper: pl.DataFrame
    chosen: pl.DataFrame
    scale: float
    """Size of the marks, 1 in a large panel."""
    counts: Mapping[tuple[int, int], pl.DataFrame]
    """Rows by cell, for each panel; none if the rows are not at hand."""
    grouped: bool
    """Each group of rows has its own layers and rays."""
    kinds: list[str]
    """Front and deeper layers, as the legend calls them."""


def pool_dots(
    selection: Chosen, axes: Sequence[Span], limit: int
) -> tuple[pl.DataFrame, pl.DataFrame, int]:
    """The front and the deeper layers, each place once, evenly thinned to `limit` together.

    Returns:
        Both with `l` (the layer) and v0, v1, ..., both along v0; and how many different
        places there are.
    """
    places = (
        selection.pool.select(pl.col("layer").alias("l"), *numbers(list(selection.objectives)))
        # Before rounding: a front is in order along v0 in v1 too, and rounding keeps orders.
        .sort("v0", maintain_order=True)
        .select("l", *_rounded(axes))
        .unique(maintain_order=True)
    )
    front = places.filter(pl.col("l") == 0)
    deeper = places.filter(pl.col("l") > 0)
    shown = _thin(front, max(limit // 2, limit - deeper.height))
    return shown, _thin(deeper, limit - shown.height), places.height


def chosen_dots(
    selection: Chosen, shown: Sequence[int], axes: Sequence[Span], limit: int
) -> tuple[pl.DataFrame, int]:
    """The chosen rows, each place once for a preference, evenly thinned to about `limit`.

    Returns:
        `p` (the preference), `l`, `row`, `d` (the distance), v0, v1, ... and `ring`: a place that
        serves several preferences is a target, its centre (0) that of the nearest ray, and the
        wider rings come first, to lie below. And how many there were before they were thinned.
    """
    key = pl.col("row").cast(pl.UInt64)
    # The pool knows the scores of every chosen row; the rows' own columns may not.
    scores = selection.pool.select(
        key, pl.col("layer").alias("l"), *numbers(list(selection.objectives))
    )
    place = [f"v{i}" for i in range(len(axes))]
    chosen = (
        selection.rows.select(
            key, pl.col("preference").alias("p"), pl.col("distance").round_sig_figs(4).alias("d")
        )
        .filter(pl.col("p").is_in(list(shown)))
        .join(scores, on="row", how="left", maintain_order="left")
        .select("p", "l", "row", "d", *_rounded(axes))
        .unique(["p", *place], keep="first", maintain_order=True)
    )
    each = max(1, limit // len(shown))
    kept = pl.concat(_thin(part, each) for part in chosen.partition_by("p", maintain_order=True))
    ring = pl.col("d").rank("ordinal").over(place).clip(upper_bound=RINGS).cast(pl.Int32) - 1
    drawn = kept.with_columns(ring=ring).sort("ring", descending=True, maintain_order=True)
    return drawn, chosen.height


def rays(
    through: Floats,
    shown: Sequence[int],
    pair: tuple[int, int],
    ideal: Floats,
    nadir: Floats,
    axes: Sequence[Span],
) -> list[dict[str, float]]:
    """The rays of the preferences shown in one plane, from the ideal point to the panel's edge.

    `through` are further points of all rays, in units of the box from nadir to ideal.

    Example:
        >>> axis = Span(low=-0.5, width=1.0, cells=2)
        >>> ends = np.ones(2), np.zeros(2)
        >>> rays(np.array([[0.75, 0.25]]), [0], (0, 1), *ends, [axis, axis])
        [{'p': 0, 'x': 1.0, 'y': 1.0, 'x2': 0.5, 'y2': -0.5}]
    """
    found = []
    for p in shown:
        # From r_max through r_min + through (r_max - r_min): the way is their difference.
        way = [(1 - through[p, k]) * (nadir[k] - ideal[k]) for k in pair]
        lengths = [
            ((axes[k].low if step < 0 else axes[k].high) - ideal[k]) / step
            for k, step in zip(pair, way, strict=True)
            if step
        ]
        if lengths:
            x, y = (float(ideal[k]) for k in pair)
            x2, y2 = (
                float(ideal[k] + min(lengths) * step) for k, step in zip(pair, way, strict=True)
            )
            found.append({"p": int(p), "x": x, "y": y, "x2": x2, "y2": y2})
    return found


def staircase(front: pl.DataFrame, objectives: Mapping[str, str]) -> str | None:
    """How to join the front's points, sorted by v0, along the edge of what they dominate.

    Returns:
        Vega's name of the way, or None: the layer is no front in this plane, as with more
        objectives than two, or layers within groups.
    """
    if len(objectives) != 2:
        return None
    signs = [1 if way == "max" else -1 for way in objectives.values()]
    steps = np.diff(front["v1"].to_numpy()) * (signs[0] * signs[1])
    if (steps > 0).any():
        return None
    return "step-before" if signs[0] > 0 else "step-after"


def _rounded(axes: Sequence[Span]) -> list[pl.Expr]:
    """Coordinates to a small part of a pixel: fewer digits travel."""
    return [pl.col(f"v{i}").round(axis.decimals) for i, axis in enumerate(axes)]


def _thin(frame: pl.DataFrame, limit: int) -> pl.DataFrame:
    """At most `limit` rows, evenly spread, the first and the last among them."""
    if frame.height <= limit:
        return frame
    return frame[np.linspace(0, frame.height - 1, limit).round().astype(np.int64)]
