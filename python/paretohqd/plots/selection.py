"""A selection drawn: as one picture, which can be saved, or as charts of a page.

All rows are a density; above it lie the pool, the rays and the chosen rows. Everything travels
inside the chart, and little of it: cells with counts stand for the rows. Fields have fixed short
names, as in `plots.theme`, so a column may be called anything.
"""

from __future__ import annotations

from collections.abc import Sequence
from io import BytesIO, StringIO
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np

try:
    import altair as alt
    import vl_convert  # noqa: F401 - it writes the files: if it is missing, say so before drawing
except ImportError as error:
    raise ImportError(
        "a picture needs altair and vl-convert-python: pip install 'paretohqd[plot]'"
    ) from error

from markupsafe import Markup

from paretohqd.frames.writing import check_target, whole, write_text
from paretohqd.plots.page import template
from paretohqd.plots.selection_panels import LEGENDS, grid, panel_layers, styled
from paretohqd.plots.selection_picture import Picture, picture_of
from paretohqd.plots.theme import PAGE, PRINTED, Chart, finish, library, readable
from paretohqd.selection.result import Selection

ENDINGS = (".png", ".svg", ".html")
OBJECTIVES = 5
"""Objectives of which every pair gets a panel: ten panels are as many as can be read."""
AXIS = 62
"""Pixels for the numbers and the title of an axis."""
PAGE_WIDTH, PAGE_HEIGHT = 830, 400
"""Pixels of a panel of a page, if it is the only one; one of several is a third as wide."""
PAGE_POINTS = 4_000
"""About how many points of the pool, and of the chosen, all panels of a page have together."""


def plot(
    selection: Selection,
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
    colour of their preference, and those that serve several are targets. The lines above the panels
    say what is left out: there are panels for the first five objectives at most.

    Args:
        selection: What `paretohqd.choose` returns.
        preferences: Which preferences to draw, by number or name; all by default.
        width: Pixels of the whole, about, at least 500; by default 1000, or 1400 for more than
            three objectives.
        bins: Cells along each axis, 2 to 200; by default one for every 8 pixels, fewer for few
            rows.
        points: At most so many dots of the pool and so many chosen rows, evenly thinned.

    Returns:
        An altair chart: a notebook shows it, `save` writes it.

    Raises:
        ValueError: An argument that is out of range.
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
    across = ((width or (1000 if m <= 3 else 1400)) - LEGENDS) // (m - 1) - AXIS
    up = round(across * (0.68 if m == 2 else 0.85))
    picture = picture_of(
        selection,
        shown=shown,
        scheme=PRINTED,
        objectives=objectives,
        panel=(across, up),
        bins=bins,
        limit=points,
    )
    title = alt.Title(_title(selection, shown), subtitle=_notes(picture))
    return styled(grid(picture, across, up), title)


def check_picture(path: Path) -> str:
    """The kind of picture that a file's name asks for, .png, .svg or .html, if it can be written.

    Raises:
        ValueError: Another ending.
        OSError: No such folder, one that may not be written, or no ordinary file.
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
        chart: An altair chart, as `plot` returns it.
        path: The file to write.

    Raises:
        ValueError: Another ending.
        OSError: The folder is missing or cannot be written.
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


def selection_charts(selection: Selection) -> tuple[list[Chart], dict[str, int]]:
    """A selection as charts of a page, one for each pair of objectives.

    They show what `plot` shows, in the page's colours, and a reader can pick a preference in the
    page's legend.

    Args:
        selection: What was chosen, of objectives of which larger values are better.

    Returns:
        The charts, and how many points each draws of the `front`, of the `deeper` layers and of
        those that were `chosen`.
    """
    pairs = list(combinations(range(len(selection.objectives)), 2))
    if not pairs:
        return [], {}
    alone = len(pairs) == 1
    picture = picture_of(
        selection,
        shown=list(range(len(selection))),
        scheme=PAGE,
        objectives=selection.objectives,
        panel=(PAGE_WIDTH if alone else PAGE_WIDTH // 3, PAGE_HEIGHT),
        # However many panels there are, half of the points may be of the front.
        limit=PAGE_POINTS if alone else PAGE_POINTS // 2 + PAGE_POINTS // 2 // len(pairs),
    )
    charts = []
    for pair in pairs:
        across, up = (list(selection.objectives)[k] for k in pair)
        about = (
            f"Scored rows in {across} (across) and {up} (up): the front, the next layers, the rays "
            f"of {len(picture.shown)} preferences from the ideal point and the rows chosen for "
            "each."
        )
        layers = panel_layers(picture, pair)
        charts.append(finish(layers, f"{across} and {up}", about, height=PAGE_HEIGHT))
    drawn = {"front": picture.front, "deeper": picture.deeper, "chosen": picture.chosen}
    return charts, {kind: points.height for kind, points in drawn.items()}


def _shown(selection: Selection, preferences: Sequence[int | str] | None) -> list[int]:
    """The numbers of the preferences to draw, checked."""
    total, names = len(selection), list(selection.preference_names or ())
    if preferences is None:
        return list(range(total))
    shown = [names.index(p) if isinstance(p, str) and p in names else p for p in preferences]
    wrong = [
        p
        for p in shown
        if not isinstance(p, int | np.integer) or isinstance(p, bool) or not 0 <= p < total
    ]
    if wrong or not shown or len(set(shown)) < len(shown):
        or_names = f" or names ({', '.join(names)})" if names else ""
        raise ValueError(
            f"preferences: expected different numbers below {total}{or_names}, got {preferences!r}"
        )
    return [int(p) for p in shown]


def _title(selection: Selection, shown: Sequence[int]) -> str:
    """What was selected, in a line."""
    numbers = selection.rows.select(selection.column("preference")).to_series()
    sizes = numbers.value_counts(name="rows")["rows"]
    total, drawn = len(selection), len(shown)
    each, count = ("each of ", sizes[0]) if sizes.n_unique() == 1 else ("", sizes.sum())
    title = f"{count:,} of {selection.n_rows:,} rows chosen for {each}{total} preferences"
    if drawn < total:
        title += f" ({drawn} drawn)"
    if selection.scores is None:
        title += "; of the others only the pool is shown"
    return title


def _notes(picture: Picture) -> list[str]:
    """The lines above the panels: what the marks mean, and what is left out."""
    selection = picture.selection
    shaded = "Shaded: all rows. " if picture.counts else ""
    rays = "" if picture.grouped else " Dashed: rays from the ideal."
    lines = [f"{shaded}Dots: the pool. Coloured: chosen rows.{rays}"]
    if selection.by is not None:
        groups = ", ".join(map(readable, selection.by))
        lines.append(f"Each group of {groups} has its own layers and rays.")
    dots = picture.front.height + picture.deeper.height
    if dots < picture.pool_points or picture.chosen.height < picture.chosen_points:
        lines.append(
            f"Drawn are {dots:,} of the pool's {picture.pool_points:,} different points and "
            f"{picture.chosen.height:,} of {picture.chosen_points:,} chosen ones."
        )
    without_score = selection.n_rows - picture.finite_rows
    if picture.counts and without_score > 0:
        lines.append(f"{without_score:,} rows without a finite score are not shown.")
    in_cells = [int(cells["n"].sum()) for cells in picture.counts.values()]
    if in_cells and min(in_cells) < picture.finite_rows:
        beyond = picture.finite_rows - min(in_cells)
        lines.append(f"Up to {beyond:,} rows are beyond the axes of a panel.")
    m = len(picture.objectives)
    if m < len(selection.objectives):
        lines.append(f"Panels: pairs of the first {m} of {len(selection.objectives)} objectives.")
    return lines


def _page(chart: Any) -> str:
    """A page with the chart and all it needs; altair's own would end where a name says so."""
    # The script is the charts' own, not text from the selection.
    page: str = template("selection.html").render(library=Markup(library()), spec=chart.to_dict())
    return page
