"""The panels of a picture of a selection, in Vega-Lite, and how they are arranged."""

from __future__ import annotations

from math import log10, sqrt
from typing import Any

import altair as alt
import polars as pl

from paretohqd.plots.selection_legends import colour, layer_kinds, text_of, triangle
from paretohqd.plots.selection_picture import RINGS, Picture, rays, staircase
from paretohqd.plots.theme import GRID, PICKED, PRINTED, SOFT, inline, readable, tip

KINDS = ["front", "deeper"]
LEGENDS = 210
"""Pixels for the legends of a picture."""
DIRECTIONS = {"max": "larger is better", "min": "smaller is better"}


def grid(picture: Picture, across: int, up: int) -> Any:
    """The panels as a lower triangle; with three objectives the key fills the empty corner."""
    m = len(picture.objectives)
    panels = []
    for b in range(1, m):
        for a in range(m - 1):
            if a < b:
                panels.append(_panel(picture, (a, b)))
            elif m == 3:
                panels.append(triangle(picture, across, up))
            else:
                panels.append(_blank(1, 1))
    return alt.concat(*panels, columns=m - 1, spacing={"row": 14, "column": 14})


def styled(chart: Any, title: Any) -> Any:
    """Type and colours as in the project's other pictures."""
    return (
        chart.properties(title=title)
        .configure(background="white", font="Helvetica, Arial, sans-serif")
        .configure_axis(
            domainColor=GRID,
            tickColor=GRID,
            labelColor=SOFT,
            labelFontSize=12,
            titleColor=PRINTED.ink,
            titleFontSize=13,
            titleFontWeight="normal",
        )
        .configure_view(stroke=GRID)
        .configure_title(
            anchor="start",
            color=PRINTED.ink,
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
            labelColor=PRINTED.ink,
            labelFontSize=12,
            labelLimit=LEGENDS - 30,
            rowPadding=3,
            offset=16,
        )
    )


def panel_layers(picture: Picture, pair: tuple[int, int]) -> list[Any]:
    """What a panel shows, from the back to the front; its axes are titled."""
    return [
        *([_density(picture, pair)] if picture.counts else []),
        *_pool(picture, pair),
        *([] if picture.grouped else [_rays(picture, pair)]),
        _chosen(picture, pair),
        *_landmark("nadir", picture, pair),
        *_landmark("ideal", picture, pair),
    ]


def _panel(picture: Picture, pair: tuple[int, int]) -> Any:
    """The panel of one pair of objectives, of the picture's size."""
    a, b = pair
    layers = panel_layers(picture, pair)
    return alt.layer(*layers).properties(width=picture.across[a], height=picture.up[b])


def _blank(width: int, height: int) -> Any:
    """An empty panel of the grid."""
    return (
        inline([{}])
        .mark_point(opacity=0)
        .properties(width=width, height=height, view=alt.ViewBackground(stroke=None))
    )


def _plane(picture: Picture, pair: tuple[int, int], x: str, y: str) -> dict[str, Any]:
    """Both axes of a panel, with the coordinates in fields of these names."""
    names = " and ".join(readable(list(picture.objectives)[k]) for k in pair)
    # Vega-Lite would make a program of its own description, from names as they stand.
    encoding: dict[str, Any] = {"description": alt.value(f"in the plane of {names}")}
    for axis, channel, field, k in zip("xy", (alt.X, alt.Y), (x, y), pair, strict=True):
        span = picture.axes[k]
        pixels = picture.across[k] if axis == "x" else picture.up[k]
        encoding[axis] = channel(
            f"{field}:Q",
            title=_axis_title(picture, k, pixels),
            scale=alt.Scale(domain=[span.low, span.high], nice=False, zero=False),
            axis=alt.Axis(
                tickCount=max(5, pixels // 80), grid=False, labelOverlap=True, titleLimit=pixels
            ),
        )
    return encoding


def _axis_title(picture: Picture, k: int, pixels: int) -> str | list[str]:
    """An objective and its direction; a page says once for all that larger is better."""
    name, direction = list(picture.objectives.items())[k]
    name = readable(name)
    if picture.scheme.interactive:
        return name
    line = f"{name} ({DIRECTIONS[direction]})"
    # What is too long for its axis is cut at the end, where the direction would stand.
    return [line] if len(line) * 7 < pixels else [name, f"({DIRECTIONS[direction]})"]


def _density(picture: Picture, pair: tuple[int, int]) -> Any:
    """All rows: cells that are darker for more rows, on a logarithmic scale."""
    x, y = (picture.axes[k] for k in pair)
    most = max(int(cells["n"].max() or 1) for cells in picture.counts.values())  # type: ignore[arg-type]
    shade = alt.Opacity(
        "n:Q",
        # The floor is what a single row needs to be seen.
        scale=alt.Scale(type="log", domain=[1, max(2, most)], range=[0.18, 1]),
        legend=None
        if picture.scheme.interactive
        else alt.Legend(
            title="rows in a cell",
            values=[10**e for e in range(int(log10(most)) + 1)],
            format="~s",
            symbolType="square",
            symbolFillColor=picture.scheme.shade,
            symbolStrokeWidth=0,
            symbolSize=150,
        ),
    )
    return (
        _table(picture.counts[pair])
        .transform_calculate(
            x=f"{x.low!r} + {x.width!r} * datum.i",
            x2=f"{x.low!r} + {x.width!r} * (datum.i + 1)",
            y=f"{y.low!r} + {y.width!r} * datum.j",
            y2=f"{y.low!r} + {y.width!r} * (datum.j + 1)",
        )
        .mark_rect(fill=picture.scheme.shade)
        .encode(
            **_plane(picture, pair, "x", "y"),
            x2="x2:Q",
            y2="y2:Q",
            opacity=shade,
            tooltip=alt.Tooltip("n:Q", title="rows", format=","),
        )
    )


def _pool(picture: Picture, pair: tuple[int, int]) -> list[Any]:
    """Deeper layers, then the front and, where it is one in this plane, its staircase."""
    # Texts, unlike the preferences' numbers: legends of scales with one domain become one legend.
    scheme, labels = picture.scheme, layer_kinds(picture.selection)
    kinds = KINDS[: len(labels)]
    kind = alt.Fill(
        "kind:N",
        scale=alt.Scale(domain=kinds, range=[scheme.ink, scheme.deeper][: len(kinds)]),
        legend=None
        if scheme.interactive
        else alt.Legend(
            title="pool",
            labelExpr=text_of(labels, f"datum.value === '{KINDS[0]}' ? 0 : 1"),
            symbolSize=30,
        ),
    )
    plane = _plane(picture, pair, *(f"v{k}" for k in pair))
    tooltip = [*_scores(picture, pair), alt.Tooltip("l:Q", title="layer")]
    deeper, front = (
        _table(dots)
        .transform_calculate(kind=f"datum.l > 0 ? '{KINDS[1]}' : '{KINDS[0]}'")
        .mark_circle(size=size * picture.scale, opacity=1)
        .encode(**plane, fill=kind, tooltip=tooltip)
        for dots, size in ((picture.deeper, 10), (picture.front, 18))
    )
    steps = None if picture.grouped else staircase(picture.front, picture.objectives)
    if steps is None:
        return [deeper, front]
    line = _table(picture.front).mark_line(interpolate=steps, color=scheme.ink, strokeWidth=1)
    return [deeper, line.encode(**plane), front]


def _rays(picture: Picture, pair: tuple[int, int]) -> Any:
    """A line for each preference, thinner where there are many."""
    through = picture.selection.through
    lines = rays(through, picture.shown, pair, picture.ideal, picture.nadir, picture.axes)
    width = 1.25 if len(lines) <= 7 else 0.9 if len(lines) <= 21 else 0.5
    width *= sqrt(picture.scheme.marks)
    return (
        _picked(picture, inline(lines))
        .mark_rule(strokeWidth=width, strokeDash=[6, 3])
        .encode(**_plane(picture, pair, "x", "y"), x2="x2:Q", y2="y2:Q", color=colour(picture))
    )


def _chosen(picture: Picture, pair: tuple[int, int]) -> Any:
    """The chosen rows as discs, the widest below."""
    dots = picture.chosen.height
    least = (40 if dots <= 60 else 24 if dots <= 600 else 15) * picture.scale
    scale = alt.Scale(domain=[0, RINGS - 1], range=[least, 4 * least])
    rings = alt.Size("ring:Q", scale=scale, legend=None)
    if picture.scheme.interactive:
        # Alone, a preference has no targets.
        rings = alt.condition("pick < 0", rings, alt.value(2 * least))
    return (
        _picked(picture, _table(picture.chosen))
        .transform_calculate(label=text_of(picture.labels, "datum.p"))
        .mark_circle(opacity=1, stroke=picture.scheme.paper, strokeWidth=0.4)
        .encode(
            **_plane(picture, pair, *(f"v{k}" for k in pair)),
            color=colour(picture),
            size=rings,
            tooltip=[
                alt.Tooltip("label:N", title="preference"),
                *_scores(picture, pair),
                alt.Tooltip("l:Q", title="layer"),
                alt.Tooltip("d:Q", title="distance to the ray"),
                alt.Tooltip("row:Q", title="row"),
            ],
        )
    )


def _landmark(text: str, picture: Picture, pair: tuple[int, int]) -> list[Any]:
    """The ideal or the nadir: a cross, and its name outwards from the other."""
    ink, paper = picture.scheme.ink, picture.scheme.paper
    ends = picture.ideal, picture.nadir
    point, other = ends if text == "ideal" else ends[::-1]
    right, above = (point[k] > other[k] for k in pair)
    spot = inline([{"x": float(point[pair[0]]), "y": float(point[pair[1]])}]).encode(
        **_plane(picture, pair, "x", "y")
    )
    cross = spot.mark_point(
        shape="cross", filled=True, size=70, color=ink, stroke=paper, strokeWidth=0.5, opacity=1
    )
    if picture.scale < 0.5 and pair != (0, 1):
        return [cross]
    offset = {
        "align": "right" if right else "left",
        "dx": 5 if right else -5,
        "dy": -12 if above else 13,
    }
    # A light rim keeps the name readable on whatever is below.
    return [
        cross,
        spot.mark_text(text=text, fontSize=12, stroke=paper, strokeWidth=3, **offset),
        spot.mark_text(text=text, fontSize=12, color=ink, **offset),
    ]


def _picked(picture: Picture, chart: Any) -> Any:
    """Without the preferences that the reader of a page hides."""
    return chart.transform_filter(PICKED) if picture.scheme.interactive else chart


def _table(frame: pl.DataFrame) -> Any:
    """A chart of numbers, as CSV: a third of JSON's size, and altair need not look into it."""
    kinds = dict.fromkeys(frame.columns, "number")
    form = alt.CsvDataFormat(type="csv", parse=kinds)
    return alt.Chart(alt.InlineData(values=frame.write_csv(), format=form))


def _scores(picture: Picture, pair: tuple[int, int]) -> list[Any]:
    names = list(picture.objectives)
    return [tip(f"v{k}:Q", names[k]) for k in pair]
