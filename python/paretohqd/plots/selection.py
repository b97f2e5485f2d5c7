"""A selection as a picture: all rows as a density, the pool, the rays and the rows chosen.

Everything travels inside the chart, and little of it: cells with counts stand for the rows. As in
`charts`, fields have fixed short names, so a column may be called anything.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from io import BytesIO, StringIO
from itertools import combinations
from math import isqrt
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

try:
    import altair as alt
    import vl_convert  # noqa: F401 - it makes the files: better missed now than on saving
except ImportError as error:
    raise ImportError(
        "a picture needs altair and vl-convert-python: pip install 'paretohqd[plot]'"
    ) from error

from paretohqd.frames.writing import check_target, whole, write_text
from paretohqd.plots.density import cell_counts, finite, spans
from paretohqd.plots.dots import Chosen, Picture, chosen_dots, pool_dots
from paretohqd.plots.legends import GRID, SOFT, triangle
from paretohqd.plots.panels import INK, blank, panel
from paretohqd.plots.theme import library, readable
from paretohqd.selection.preferences import format_weights

ENDINGS = (".png", ".svg", ".html")
OBJECTIVES = 5
"""Objectives of which every pair gets a panel: ten panels are as many as can be read."""
LEGENDS, AXIS = 210, 62
"""Pixels for the legends, and for the numbers and the title of an axis."""


def plot(
    selection: Chosen,
    *,
    preferences: Sequence[int | str] | None = None,
    width: int | None = None,
    bins: int | None = None,
    points: int = 3000,
) -> Any:
    """Draw a selection: one panel for two objectives, one for each pair of more.

    All rows are a density on a logarithmic scale, counted in Polars' streaming engine; dots are the
    pool, the Pareto front dark (and joined by its staircase if there are two objectives); dashed
    lines are the rays from the ideal point through r_min + w (r_max - r_min); chosen rows have the
    colour of their preference, and those that serve several are targets. What is left out is said
    above the panels: there are panels for the first five objectives at most.

    Args:
        selection: what `paretohqd.choose` returns.
        preferences: which preferences to draw, by number or name; all by default.
        width: pixels of the whole, about, at least 500; by default 1000, or 1400 for more than
            three objectives.
        bins: cells along each axis, 2 to 200; by default one for every 8 pixels, fewer for few
            rows.
        points: at most so many dots of the pool and so many chosen rows, evenly thinned.

    Returns:
        An altair chart: a notebook shows it, `save` writes it.

    Raises:
        ValueError: an argument that is out of range.
    """
    shown = _shown(selection, preferences)
    for what, value, fine in (
        ("width: expected at least 500", width, width is None or width >= 500),
        ("bins: expected 2 to 200", bins, bins is None or 2 <= bins <= 200),
        ("points: expected at least 1", points, points >= 1),
    ):
        if not fine:
            raise ValueError(f"{what}, got {value}")

    objectives = dict(list(selection.objectives.items())[:OBJECTIVES])
    m = len(objectives)
    ideal, nadir = (np.asarray(end, np.float64)[:m] for end in (selection.r_max, selection.r_min))
    across = ((width or (1000 if m <= 3 else 1400)) - LEGENDS) // (m - 1) - AXIS
    up = round(across * (0.68 if m == 2 else 0.85))
    # Of few rows narrow cells would hold one each, and say nothing that dots would not.
    cells = bins or min(100, max(12, across // 8), max(24, 2 * isqrt(selection.n_rows)))
    scores = selection.pool.lazy() if selection.scores is None else selection.scores
    # A row without a score in any objective was no row to choose, so it is none to show.
    rows = finite(scores, list(selection.objectives))
    axes, known = spans(rows, selection.n_rows, ideal, nadir, cells=cells)
    pairs = list(combinations(range(m), 2))
    counts = {} if selection.scores is None else cell_counts(rows, axes, pairs)
    front, deeper, places = pool_dots(selection, axes, points)
    chosen, of = chosen_dots(selection, shown, axes, points)
    named = selection.preference_names
    picture = Picture(
        objectives=objectives,
        axes=axes,
        # Whole pixels for every cell: seams would show otherwise.
        across=[max(1, across // axis.cells) * axis.cells for axis in axes],
        up=[max(1, up // axis.cells) * axis.cells for axis in axes],
        ideal=ideal,
        nadir=nadir,
        weights=selection.preferences,
        through=selection.through,
        shown=shown,
        title=f"weights of {', '.join(map(readable, selection.objectives))}"
        if named is None
        else "preferences",
        labels=[format_weights(row) for row in selection.preferences]
        if named is None
        else [readable(name) for name in named],
        front=front,
        deeper=deeper,
        chosen=chosen,
        scale=min(1.0, max(0.35, across / 600)),
        counts=counts,
        grouped=selection.by is not None,
        kinds=_kinds(selection.pool["layer"]),
    )
    dots = front.height + deeper.height
    beyond = max((known - int(cells["n"].sum()) for cells in counts.values()), default=0)
    told = [
        ("Shaded: all rows. " if counts else "")
        + "Dots: the pool. Coloured: chosen rows."
        + ("" if picture.grouped else " Dashed: rays from the ideal.")
    ]
    if selection.by is not None:
        groups = ", ".join(map(readable, selection.by))
        told.append(f"Each group of {groups} has its own layers and rays.")
    if dots < places or chosen.height < of:
        told.append(
            f"Drawn are {dots:,} of the pool's {places:,} different points and {chosen.height:,} "
            f"of {of:,} chosen ones."
        )
    if counts and known < selection.n_rows:
        told.append(f"{selection.n_rows - known:,} rows without a finite score are not shown.")
    if beyond:
        told.append(f"Up to {beyond:,} rows are beyond the axes of a panel.")
    if m < len(selection.objectives):
        told.append(f"Panels: pairs of the first {m} of {len(selection.objectives)} objectives.")
    title = alt.Title(_title(selection, shown), subtitle=told)
    return _styled(_grid(picture, across, up), title)


def check_picture(path: Path) -> str:
    """The kind of picture that a file's name asks for, .png, .svg or .html, if it can be written.

    Raises:
        ValueError: another ending.
        OSError: no such folder, one that may not be written, or no ordinary file.
    """
    ending = path.suffix.lower()
    if ending not in ENDINGS:
        raise ValueError(f"{path}: expected a name that ends in {', '.join(ENDINGS)}")
    check_target(path)
    return ending


def save(chart: Any, path: Path | str) -> None:
    """Write a chart as PNG, SVG or HTML, by the ending: whole or not at all, without a network.

    PNG has two pixels for each of the chart's; HTML carries its scripts.

    Args:
        chart: an altair chart, as `plot` returns it.
        path: the file to write.

    Raises:
        ValueError: another ending.
        OSError: the folder is missing or cannot be written.
    """
    path = Path(path)
    ending = check_picture(path)
    if ending == ".png":
        picture = BytesIO()
        chart.save(picture, format="png", scale_factor=2)
        with whole(path) as file:
            file.write(picture.getvalue())
    elif ending == ".svg":
        text = StringIO()
        chart.save(text, format="svg")
        write_text(path, text.getvalue())
    else:
        write_text(path, _page(chart))


def _shown(selection: Chosen, preferences: Sequence[int | str] | None) -> list[int]:
    """The numbers of the preferences to draw, checked."""
    total, names = len(selection.preferences), list(selection.preference_names or ())
    if preferences is None:
        return list(range(total))
    shown = [names.index(p) if isinstance(p, str) and p in names else p for p in preferences]
    wrong = [
        p
        for p in shown
        if not isinstance(p, int | np.integer) or isinstance(p, bool) or not 0 <= p < total
    ]
    if wrong or not shown or len(set(shown)) < len(shown):
        told = f" or names ({', '.join(names)})" if names else ""
        raise ValueError(
            f"preferences: expected different numbers below {total}{told}, got {preferences!r}"
        )
    return [int(p) for p in shown]


def _page(chart: Any) -> str:
    """A page with the chart and all it needs; altair's own would end where a name says so."""
    # Without "<" no text of the chart can close the script or open a comment.
    spec = json.dumps(chart.to_dict(), allow_nan=False).replace("<", "\\u003c")
    return (
        '<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8"><title>Selection</title>\n'
        f'<script>{library()}</script></head>\n<body><div id="chart"></div>\n'
        f'<script>vegaEmbed("#chart", {spec}, {{renderer: "svg"}});</script></body></html>\n'
    )


def _kinds(layer: pl.Series) -> list[str]:
    """The entries of the legend for the pool.

    Example:
        >>> _kinds(pl.Series([0, 2, 0, 1]))
        ['front: 2 rows', 'layers 1 to 2: 2 rows']
    """
    front, last = int((layer == 0).sum()), int(layer.max() or 0)  # type: ignore[arg-type]
    kinds = [f"front: {front:,} row{'s' * (front != 1)}"]
    if last:
        deeper = len(layer) - front
        named = "layer 1" if last == 1 else f"layers 1 to {last}"
        kinds.append(f"{named}: {deeper:,} row{'s' * (deeper != 1)}")
    return kinds


def _title(selection: Chosen, shown: Sequence[int]) -> str:
    """What was selected, in a line."""
    sizes = selection.rows["preference"].value_counts()["count"]
    total, drawn = len(selection.preferences), len(shown)
    some = f" ({drawn} drawn)" if drawn < total else ""
    each, count = ("each of ", sizes[0]) if sizes.n_unique() == 1 else ("", sizes.sum())
    pool = "; of the others only the pool is shown" if selection.scores is None else ""
    return (
        f"{count:,} of {selection.n_rows:,} rows chosen for {each}{total} preferences{some}{pool}"
    )


def _grid(picture: Picture, across: int, up: int) -> Any:
    """The panels as a lower triangle; with three objectives the key fills the empty corner."""
    m = len(picture.objectives)
    places = []
    for b in range(1, m):
        for a in range(m - 1):
            if a < b:
                places.append(panel(picture, (a, b)))
            elif m == 3:
                places.append(triangle(picture, across, up))
            else:
                places.append(blank(1, 1))
    return alt.concat(*places, columns=m - 1, spacing={"row": 14, "column": 14})


def _styled(chart: Any, title: Any) -> Any:
    """Type and colours as in the project's other pictures."""
    return (
        chart.properties(title=title)
        .configure(background="white", font="Helvetica, Arial, sans-serif")
        .configure_axis(
            domainColor=GRID,
            tickColor=GRID,
            labelColor=SOFT,
            labelFontSize=12,
            titleColor=INK,
            titleFontSize=13,
            titleFontWeight="normal",
        )
        .configure_view(stroke=GRID)
        .configure_title(
            anchor="start",
            color=INK,
            fontSize=15,
            subtitleColor=SOFT,
            subtitleFontSize=12,
            offset=12,
        )
        .configure_legend(
            titleColor=SOFT,
            titleFontSize=12,
            titleFontWeight="normal",
            titleLimit=LEGENDS,
            labelColor=INK,
            labelFontSize=12,
            labelLimit=LEGENDS - 30,
            rowPadding=3,
            offset=16,
        )
    )
