"""The panels of a picture of a selection, in Vega-Lite; `plots` fills and arranges them."""

from __future__ import annotations

from math import log10
from typing import Any

import altair as alt
import polars as pl

from paretohqd.plots.dots import RINGS, Picture, rays, staircase
from paretohqd.plots.legends import colour, text_of
from paretohqd.plots.theme import inline, readable, tip

INK, DEEPER, SHADE = "#1f2328", "#75808c", "#9fb1c4"
KINDS = ["front", "deeper"]
DIRECTIONS = {"max": "larger is better", "min": "smaller is better"}


def panel(picture: Picture, pair: tuple[int, int]) -> Any:
    """All layers of one pair of objectives, axes titled."""
    a, b = pair
    layers = [
        *([_density(picture, pair)] if picture.counts else []),
        *_pool(picture, pair),
        *([] if picture.grouped else [_rays(picture, pair)]),
        _chosen(picture, pair),
        *_landmark("nadir", picture, pair),
        *_landmark("ideal", picture, pair),
    ]
    return alt.layer(*layers).properties(width=picture.across[a], height=picture.up[b])


def blank(width: int, height: int) -> Any:
    """An empty place of the grid."""
    return (
        inline([{}])
        .mark_point(opacity=0)
        .properties(width=width, height=height, view=alt.ViewBackground(stroke=None))
    )


def _plane(picture: Picture, pair: tuple[int, int], x: str, y: str) -> dict[str, Any]:
    """Both axes of a panel, with the places in fields of these names."""
    names = " and ".join(readable(list(picture.objectives)[k]) for k in pair)
    # Vega-Lite would make a program of its own description, from names as they stand.
    encoding: dict[str, Any] = {"description": alt.value(f"in the plane of {names}")}
    for axis, channel, field, k in zip("xy", (alt.X, alt.Y), (x, y), pair, strict=True):
        name, way = list(picture.objectives.items())[k]
        name = readable(name)
        span = picture.axes[k]
        pixels = picture.across[k] if axis == "x" else picture.up[k]
        told = f"{name} ({DIRECTIONS[way]})"
        # What is too long for its axis is cut at the end, where the direction would stand.
        lines = [told] if len(told) * 7 < pixels else [name, f"({DIRECTIONS[way]})"]
        encoding[axis] = channel(
            f"{field}:Q",
            title=lines,
            scale=alt.Scale(domain=[span.low, span.high], nice=False, zero=False),
            axis=alt.Axis(
                tickCount=max(5, pixels // 80), grid=False, labelOverlap=True, titleLimit=pixels
            ),
        )
    return encoding


def _density(picture: Picture, pair: tuple[int, int]) -> Any:
    """All rows: cells whose shade goes with the logarithm of the count."""
    x, y = (picture.axes[k] for k in pair)
    most = max(int(cells["n"].max() or 1) for cells in picture.counts.values())  # type: ignore[arg-type]
    shade = alt.Opacity(
        "n:Q",
        # The floor is what a single row needs to be seen.
        scale=alt.Scale(type="log", domain=[1, max(2, most)], range=[0.18, 1]),
        legend=alt.Legend(
            title="rows in a cell",
            values=[10**e for e in range(int(log10(most)) + 1)],
            format="~s",
            symbolType="square",
            symbolFillColor=SHADE,
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
        .mark_rect(fill=SHADE)
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
    # Texts, as preferences are numbers: legends of scales with one domain become one legend.
    kinds = KINDS[: len(picture.kinds)]
    kind = alt.Fill(
        "kind:N",
        scale=alt.Scale(domain=kinds, range=[INK, DEEPER][: len(kinds)]),
        legend=alt.Legend(
            title="pool",
            labelExpr=text_of(picture.kinds, f"datum.value === '{KINDS[0]}' ? 0 : 1"),
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
    line = _table(picture.front).mark_line(interpolate=steps, color=INK, strokeWidth=1)
    return [deeper, line.encode(**plane), front]


def _rays(picture: Picture, pair: tuple[int, int]) -> Any:
    """A line for each preference, thinner where there are many."""
    lines = rays(picture.through, picture.shown, pair, picture.ideal, picture.nadir, picture.axes)
    width = 1.25 if len(lines) <= 7 else 0.9 if len(lines) <= 21 else 0.5
    return (
        inline(lines)
        .mark_rule(strokeWidth=width, strokeDash=[6, 3])
        .encode(**_plane(picture, pair, "x", "y"), x2="x2:Q", y2="y2:Q", color=colour(picture))
    )


def _chosen(picture: Picture, pair: tuple[int, int]) -> Any:
    """The chosen rows as discs, the widest below."""
    dots = picture.chosen.height
    least = (40 if dots <= 60 else 24 if dots <= 600 else 15) * picture.scale
    scale = alt.Scale(domain=[0, RINGS - 1], range=[least, 4 * least])
    return (
        _table(picture.chosen)
        .transform_calculate(label=text_of(picture.labels, "datum.p"))
        .mark_circle(opacity=1, stroke="white", strokeWidth=0.4)
        .encode(
            **_plane(picture, pair, *(f"v{k}" for k in pair)),
            color=colour(picture),
            size=alt.Size("ring:Q", scale=scale, legend=None),
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
    ideal = text == "ideal"
    here, other = (picture.ideal, picture.nadir)[:: 1 if ideal else -1]
    right, above = (here[k] > other[k] for k in pair)
    spot = inline([{"x": float(here[pair[0]]), "y": float(here[pair[1]])}]).encode(
        **_plane(picture, pair, "x", "y")
    )
    cross = spot.mark_point(
        shape="cross", filled=True, size=70, color=INK, stroke="white", strokeWidth=0.5, opacity=1
    )
    place = {
        "align": "right" if right else "left",
        "dx": 5 if right else -5,
        "dy": -12 if above else 13,
    }
    if picture.scale < 0.5 and pair != (0, 1):
        return [cross]
    # A light rim keeps the name readable on whatever is below.
    return [
        cross,
        spot.mark_text(text=text, fontSize=12, stroke="white", strokeWidth=3, **place),
        spot.mark_text(text=text, fontSize=12, color=INK, **place),
    ]


def _table(frame: pl.DataFrame) -> Any:
    """A chart over numbers, as CSV: a third of JSON's size, and altair need not look into it."""
    kinds = dict.fromkeys(frame.columns, "number")
    form = alt.CsvDataFormat(type="csv", parse=kinds)
    return alt.Chart(alt.InlineData(values=frame.write_csv(), format=form))


def _scores(picture: Picture, pair: tuple[int, int]) -> list[Any]:
    names = list(picture.objectives)
    return [tip(f"v{k}:Q", names[k]) for k in pair]
