"""What a picture of a selection consists of: cells, points and lines, as frames and numbers.

Objectives are called v0, v1, ... here, in the order of the selection.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from math import isqrt

import numpy as np
import polars as pl

from paretohqd.plots.selection_cells import Floats, Span, cell_counts, finite, numbers, spans
from paretohqd.plots.theme import Scheme, readable
from paretohqd.selection.preferences import format_weights
from paretohqd.selection.result import Selection

RINGS = 3
"""Rings of a target that can be distinguished."""


@dataclass(frozen=True, kw_only=True)
class Picture:
    """What the panels share."""

    selection: Selection
    shown: list[int]
    """Numbers of the preferences that are drawn."""
    scheme: Scheme
    objectives: dict[str, str]
    """The objectives that have panels, and their directions."""
    axes: list[Span]
    across: list[int]
    """Pixels of a panel's width, by the objective across."""
    up: list[int]
    """Pixels of a panel's height, by the objective up."""
    counts: Mapping[tuple[int, int], pl.DataFrame]
    """Rows by cell, for each panel; none if the rows are not at hand."""
    front: pl.DataFrame
    deeper: pl.DataFrame
    chosen: pl.DataFrame
    finite_rows: int
    """Rows with a finite score in every objective."""
    pool_points: int
    """Different points of the pool, before they are thinned."""
    chosen_points: int
    """Different points that were chosen, before they are thinned."""
    scale: float
    """Area of the marks, 1 in a large panel of a picture."""

    @property
    def ideal(self) -> Floats:
        """(M,) best values of the objectives that have panels."""
        return np.asarray(self.selection.r_max, np.float64)[: len(self.objectives)]

    @property
    def nadir(self) -> Floats:
        """(M,) worst values of the objectives that have panels."""
        return np.asarray(self.selection.r_min, np.float64)[: len(self.objectives)]

    @property
    def grouped(self) -> bool:
        """Whether each group of rows has its own layers and rays."""
        return self.selection.by is not None

    @property
    def labels(self) -> list[str]:
        """One per preference of the selection: its name, or its weights."""
        if self.selection.preference_names is None:
            return [format_weights(weights) for weights in self.selection.preferences]
        return [readable(name) for name in self.selection.preference_names]


def picture_of(
    selection: Selection,
    *,
    shown: list[int],
    scheme: Scheme,
    objectives: Mapping[str, str],
    panel: tuple[int, int],
    bins: int | None = None,
    limit: int,
) -> Picture:
    """What there is to draw of a selection.

    Args:
        selection: What was chosen.
        shown: Numbers of the preferences to draw.
        scheme: The colours to draw with.
        objectives: Those that have panels: the selection's first.
        panel: Width and height of a panel, in pixels, about.
        bins: Cells along each axis; by default one for every 8 pixels, fewer for few rows.
        limit: At most so many points of the pool and so many chosen ones.
    """
    width, height = panel
    m = len(objectives)
    ideal, nadir = (np.asarray(end, np.float64)[:m] for end in (selection.r_max, selection.r_min))
    # With few rows, narrow cells would hold one each and add nothing to the dots.
    cells = bins or min(100, max(12, width // 8), max(24, 2 * isqrt(selection.n_rows)))
    scores = selection.pool.lazy() if selection.scores is None else selection.scores
    # A row that lacks a score in any objective could not be chosen, so it is not shown.
    rows = finite(scores, list(selection.objectives))
    axes, finite_rows = spans(rows, selection.n_rows, ideal, nadir, cells=cells)
    pairs = list(combinations(range(m), 2))
    front, deeper, pool_points = pool_dots(selection, axes, limit)
    chosen, chosen_points = chosen_dots(selection, shown, axes, limit)
    return Picture(
        selection=selection,
        shown=shown,
        scheme=scheme,
        objectives=dict(objectives),
        axes=axes,
        # Whole pixels for every cell: otherwise seams would be visible.
        across=[max(1, width // axis.cells) * axis.cells for axis in axes],
        up=[max(1, height // axis.cells) * axis.cells for axis in axes],
        counts={} if selection.scores is None else cell_counts(rows, axes, pairs),
        front=front,
        deeper=deeper,
        chosen=chosen,
        finite_rows=finite_rows,
        pool_points=pool_points,
        chosen_points=chosen_points,
        scale=min(1.0, max(0.35, width / 600)) * scheme.marks,
    )


def pool_dots(
    selection: Selection, axes: Sequence[Span], limit: int
) -> tuple[pl.DataFrame, pl.DataFrame, int]:
    """The front and the deeper layers, each point once, evenly thinned to `limit` together.

    Returns:
        Both with `l` (the layer) and v0, v1, ..., both sorted by v0; and how many different
        points there are.
    """
    points = (
        selection.pool.select(
            selection.column("layer").alias("l"), *numbers(list(selection.objectives))
        )
        # Before rounding: a front sorted by v0 is in order in v1 too, and rounding keeps orders.
        .sort("v0", maintain_order=True)
        .select("l", *_rounded(axes))
        .unique(maintain_order=True)
    )
    front = points.filter(pl.col("l") == 0)
    deeper = points.filter(pl.col("l") > 0)
    shown = _thin(front, max(limit // 2, limit - deeper.height))
    return shown, _thin(deeper, limit - shown.height), points.height


def chosen_dots(
    selection: Selection, shown: Sequence[int], axes: Sequence[Span], limit: int
) -> tuple[pl.DataFrame, int]:
    """The chosen rows, each point once for a preference, evenly thinned to about `limit`.

    Returns:
        `p` (the preference), `l`, `row`, `d` (the distance), v0, v1, ... and `ring`: a point that
        serves several preferences is a target, its centre (0) that of the nearest ray, and the
        wider rings come first, to lie below. And how many there were before they were thinned.
    """
    number, away = map(selection.column, ("preference", "distance"))
    row, layer = selection.column("row").cast(pl.UInt64).alias("row"), selection.column("layer")
    # The pool knows the scores of every chosen row; the rows' own columns may not.
    scores = selection.pool.select(row, layer.alias("l"), *numbers(list(selection.objectives)))
    point = [f"v{i}" for i in range(len(axes))]
    chosen = (
        selection.rows.select(row, number.alias("p"), away.round_sig_figs(4).alias("d"))
        .filter(pl.col("p").is_in(list(shown)))
        .join(scores, on="row", how="left", maintain_order="left")
        .select("p", "l", "row", "d", *_rounded(axes))
        .unique(["p", *point], keep="first", maintain_order=True)
    )
    each = max(1, limit // len(shown))
    kept = pl.concat(_thin(part, each) for part in chosen.partition_by("p", maintain_order=True))
    ring = pl.col("d").rank("ordinal").over(point).clip(upper_bound=RINGS).cast(pl.Int32) - 1
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

    `through` holds a further point of each ray, in units of the box from nadir to ideal.

    Example:
        >>> axis = Span(low=-0.5, width=1.0, cells=2)
        >>> ends = np.ones(2), np.zeros(2)
        >>> rays(np.array([[0.75, 0.25]]), [0], (0, 1), *ends, [axis, axis])
        [{'p': 0, 'x': 1.0, 'y': 1.0, 'x2': 0.5, 'y2': -0.5}]
    """
    lines = []
    for p in shown:
        # From r_max through r_min + through (r_max - r_min): the step is their difference.
        step = [(1 - through[p, k]) * (nadir[k] - ideal[k]) for k in pair]
        lengths = [
            ((axes[k].low if change < 0 else axes[k].high) - ideal[k]) / change
            for k, change in zip(pair, step, strict=True)
            if change
        ]
        if lengths:
            x, y = (float(ideal[k]) for k in pair)
            x2, y2 = (
                float(ideal[k] + min(lengths) * change)
                for k, change in zip(pair, step, strict=True)
            )
            lines.append({"p": int(p), "x": x, "y": y, "x2": x2, "y2": y2})
    return lines


def staircase(front: pl.DataFrame, objectives: Mapping[str, str]) -> str | None:
    """How to join the front's points, sorted by v0, along the edge of what they dominate.

    Returns:
        Vega's name of the interpolation, or None where the layer is no front in this plane, as
        with more than two objectives or with layers within groups.
    """
    if len(objectives) != 2:
        return None
    signs = [1 if direction == "max" else -1 for direction in objectives.values()]
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
