"""Vega-Lite charts for a comparison: the points of all methods laid over each other."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations
from typing import TYPE_CHECKING, Any

import altair as alt
import numpy as np
from numpy.typing import NDArray

from paretohqd.kernels.layers import pareto_front
from paretohqd.plots.methods import Styles, channels
from paretohqd.plots.theme import (
    Chart,
    axes,
    domain,
    error_bar,
    finish,
    five_digits,
    inline,
    readable,
    tip,
)
from paretohqd.selection.preferences import format_weights

if TYPE_CHECKING:
    from paretohqd.compare.measures import ComparisonResult, MeanPoint, MethodResult

Row = dict[str, Any]


def point_charts(
    result: ComparisonResult,
    entries: Sequence[MethodResult],
    styles: Styles,
    title: str,
) -> list[Chart]:
    """One panel per pair of objectives: mean rewards of each method's policies.

    Strong marks are means over seeds, faint ones single seeds. With two objectives a line joins a
    method's points that none of its others dominates. A picked method shows its weights and bars of
    one standard error.

    Args:
        result: What was measured.
        entries: Those of its methods to draw.
        styles: How each method is drawn.
        title: What they are; the objectives are added.
    """
    names = result.objectives
    entries = [entry for entry in entries if entry.points]
    charts = []
    for across, up in combinations(names, 2) if entries else ():
        means, seeds = [], []
        for entry in entries:
            style = styles[entry.method]
            for point, best in zip(entry.points, _on_front(entry.points, names), strict=True):
                weights = "" if point.weights is None else format_weights(point.weights)
                row: Row = {"p": style.p, "name": style.name, "w": weights, "base": style.base}
                row |= {"line": bool(best) and len(names) == 2}
                for axis, name in zip("xy", (across, up), strict=True):
                    row |= error_bar(axis, point.reward[name].mean, point.reward[name].se)
                means.append(row)
            for at in entry.places if len(entry.seeds) > 1 else ():
                for point in result.runs[at].points:
                    place = {"x": point.reward[across].mean, "y": point.reward[up].mean}
                    seeds.append({"p": style.p, **five_digits(place)})
        layers = _layers(means, seeds, (across, up), styles)
        about = (
            f"{title}: mean {across} (across) and {up} (up) of the policies of {len(entries)} "
            "methods; points.csv holds the numbers."
        )
        both = f"{title}: {across} and {up}"
        charts.append(finish(layers, both, about, height=430))
    return charts


def _layers(
    means: Sequence[Row], seeds: Sequence[Row], titles: tuple[str, str], styles: Styles
) -> list[alt.Chart]:
    reach = []
    for axis in "xy":
        ends = [row[axis + end] for row in means for end in "01"]
        reach.append(domain([*ends, *(row[axis] for row in seeds)], pad=0.04))
    plane = axes(titles, reach)
    shown = inline(means)
    alone = shown.transform_filter("pick >= 0 && datum.p === pick")
    tooltip = [
        alt.Tooltip("name:N", title="method"),
        alt.Tooltip("w:N", title="weights"),
        tip("x:Q", titles[0]),
        tip("y:Q", titles[1]),
    ]
    bars = channels(styles, shape=False)
    layers = [
        inline(seeds).mark_point(filled=True, size=26).encode(**plane, **channels(styles, 0.35)),
        shown.transform_filter("datum.line")
        .mark_line(strokeWidth=1.5)
        .encode(**plane, detail="p:N", order="x:Q", **channels(styles, 0.7, shape=False)),
        alone.mark_rule(strokeWidth=1.5).encode(
            x=alt.X("x0:Q", title=readable(titles[0])), x2="x1:Q", y="y:Q", **bars
        ),
        alone.mark_rule(strokeWidth=1.5).encode(
            x="x:Q", y=alt.Y("y0:Q", title=readable(titles[1])), y2="y1:Q", **bars
        ),
        shown.transform_filter("!datum.base")
        .mark_point(filled=True, size=95)
        .encode(**plane, tooltip=tooltip, **channels(styles)),
        shown.transform_filter("datum.base")
        .mark_point(filled=True, size=190)
        .encode(**plane, tooltip=tooltip, **channels(styles) | {"opacity": alt.value(1)}),
        shown.transform_filter("datum.base")
        .mark_text(dy=17, color="var(--ink)", fontSize=12)
        .encode(**plane, text="name:N"),
    ]
    middle = sum(reach[0]) / 2
    for side, align, dx in (("<", "left", 9), (">=", "right", -9)):
        layers.append(
            alone.transform_filter(f"datum.x {side} {middle}")
            .mark_text(align=align, dx=dx, dy=-10, color="var(--ink)", fontSize=12)
            .encode(**plane, text="w:N")
        )
    return layers


def _on_front(points: Sequence[MeanPoint], names: Sequence[str]) -> NDArray[np.bool_]:
    return pareto_front(np.array([[p.reward[name].mean for name in names] for p in points]))
