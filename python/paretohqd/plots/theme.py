"""What charts share: colours, axes, names that can be shown, and a chart as part of a page.

On a page, colours are CSS variables (`var(--ink)`), so the SVG that a browser draws follows the
page's light or dark scheme without being drawn again. Fields have fixed short names and objectives
appear as titles only: a column may then be called anything.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from itertools import combinations
from math import isfinite
from typing import Any
from unicodedata import category

import altair as alt

CURVE_POINTS = 200
PICKED = "pick < 0 || datum.p === pick"
"""Keeps the rows of the preference that the reader picked in the legend; -1 is everything."""

_RAMP = {
    "light": ["#0b5fa5", "#7b4fb5", "#c43c7c", "#d4580f"],
    "dark": ["#5aa9f0", "#a98bf0", "#f07ab0", "#f7a94d"],
}
# Okabe and Ito's colours, made darker or lighter for enough contrast on either page.
_DISTINCT = {
    "light": ["#0072b2", "#d55e00", "#00865f", "#b3538b", "#8a6d00", "#2b8cc4", "#5c5c5c"],
    "dark": ["#56b4e9", "#f5904a", "#2fcf9f", "#e79cc8", "#e5d34a", "#9ad6ff", "#b8b8b8"],
}
# Three corners whose mixtures on the simplex can be distinguished with any colour vision. Of all
# triples on a grid of 216 colours, among the best in the least CIELAB distance between any two of
# 15 mixtures, seen as they are and without red, green or blue receptors (Machado et al. 2009).
# Those of dark pages have a contrast of at least 3.6 with the page and are not white, as texts are.
_CORNERS = {
    "light": ["#3333ff", "#ff9933", "#660033"],
    "dark": ["#6666ff", "#cc6633", "#ffccff"],
}
SOFT, GRID = "#59636e", "#d5d9de"
"""Colours of small texts and of lines in a picture on white."""


@dataclass(frozen=True, kw_only=True)
class Scheme:
    """Colours to draw a selection with, and whether the picture is part of a page."""

    ink: str
    deeper: str
    """Of the layers below the front."""
    shade: str
    """Of all rows."""
    paper: str
    marks: float
    """Area of the marks: a page is seen at its size, a picture often enlarged."""
    interactive: bool
    """The page has the legend, and a reader picks preferences in it."""


PRINTED = Scheme(
    ink="#1f2328", deeper="#75808c", shade="#9fb1c4", paper="white", marks=1.0, interactive=False
)
PAGE = Scheme(
    ink="var(--ink)",
    deeper="var(--soft)",
    shade="var(--rest)",
    paper="var(--paper)",
    marks=2.0,
    interactive=True,
)


@dataclass(frozen=True, kw_only=True)
class Chart:
    """A chart with its title, a description for those who cannot see it, and its specification."""

    title: str
    description: str
    spec: dict[str, Any]


@cache
def library() -> str:
    """Vega, Vega-Lite and vega-embed as one script that loads nothing from elsewhere.

    Raises:
        ImportError: `vl-convert-python`, which carries the script, is not installed.
    """
    try:
        import vl_convert
    except ImportError as error:
        raise ImportError(
            "the report embeds its charts' script, which vl-convert-python carries: "
            "pip install 'paretohqd[train]'"
        ) from error
    version = ".".join(alt.VEGALITE_VERSION.split(".")[:2])
    script: str = vl_convert.javascript_bundle("window.vegaEmbed = vegaEmbed;", version)
    return script


def palette(preferences: Sequence[Sequence[float]]) -> dict[str, list[str]]:
    """One colour per preference, for light and for dark pages.

    Two objectives have an order, so their colours run along a blue-to-orange ramp that keeps its
    order with any colour vision. With more objectives a few preferences get colours that are easy
    to tell apart, and many get mixtures of their corners' colours.

    Example:
        >>> palette([(1, 0), (0, 1)])["light"]
        ['#0b5fa5', '#d4580f']
    """
    colours: dict[str, list[str]] = {"light": [], "dark": []}
    for scheme, row in colours.items():
        ramp, distinct = _RAMP[scheme], _DISTINCT[scheme]
        for at, weights in enumerate(preferences):
            if len(weights) <= 2:
                place = (1 - weights[0]) * (len(ramp) - 1)
                row.append(_mix(ramp, [max(0.0, 1 - abs(place - i)) for i in range(len(ramp))]))
            elif len(preferences) <= len(distinct):
                row.append(distinct[at])
            else:
                of_three = len(weights) == 3
                corners = _CORNERS[scheme] if of_three else distinct
                own = [corners[i % len(corners)] for i in range(len(weights))]
                row.append(_mix(own, weights))
    return colours


def evaluation_charts(
    models: Sequence[Mapping[str, Any]], objectives: Sequence[str], labels: Sequence[str]
) -> list[Chart]:
    """One panel per pair of objectives: the mean reward of each model, and where it came from.

    Args:
        models: the entries of metrics.json, the base model among them.
        objectives: their names, in order.
        labels: one short text per preference.
    """
    charts = []
    last = max(model["stage"] for model in models)
    for i, j in combinations(range(len(objectives)), 2):
        across, up = objectives[i], objectives[j]
        points = [
            {
                "p": -1 if model["preference"] is None else model["preference"],
                "stage": model["stage"],
                "label": "base" if model["preference"] is None else labels[model["preference"]],
                "told": _told(model, last, len(labels)),
                **_span("x", model["reward"][across]),
                **_span("y", model["reward"][up]),
            }
            for model in models
        ]
        about = (
            f"Mean reward of {len(points)} models in {across} (across) and {up} (up), with bars of "
            "one standard error. The table of models holds the same numbers."
        )
        layers = _model_layers(points, across, up, len(labels))
        charts.append(finish(layers, f"{across} and {up}", about, height=380))
    return charts


def training_chart(
    curves: Sequence[Sequence[Mapping[str, Any]]], labels: Sequence[str], title: str
) -> Chart:
    """Training loss by step, one line per preference.

    Args:
        curves: one log per preference; entries without a loss are passed over.
        labels: one short text per preference.
        title: the chart's title.
    """
    rows = []
    for place, log in enumerate(curves):
        losses = [e for e in log if e.get("loss") is not None and isfinite(e["loss"])]
        # Long logs are thinned evenly: a line of a few hundred pixels shows no more.
        for entry in losses[:: -(-len(losses) // CURVE_POINTS) or 1]:
            loss = float(f"{entry['loss']:.5g}")
            rows.append({"p": place, "label": labels[place], "x": entry["step"], "y": loss})
    lines = inline(rows).transform_filter(PICKED)
    encoding = {
        "x": alt.X("x:Q", title="step", axis=alt.Axis(tickMinStep=1)),
        "y": alt.Y("y:Q", title="training loss", scale=alt.Scale(zero=False)),
        "color": colour(len(labels)),
        "tooltip": [
            alt.Tooltip("label:N", title="preference"),
            alt.Tooltip("x:Q", title="step"),
            alt.Tooltip("y:Q", title="loss"),
        ],
    }
    layers = [
        lines.mark_line(strokeWidth=1.75).encode(**encoding),
        # Unseen dots make a thin line easy to point at.
        lines.mark_circle(size=60, opacity=0).encode(**encoding),
    ]
    about = f"{title}: training loss by step for each of {len(labels)} preferences."
    return finish(layers, title, about, height=260)


def finish(layers: Sequence[Any], title: str, description: str, *, height: int) -> Chart:
    """The layers as one chart as wide as its container, in the page's type and colours."""
    text = {"labelColor": "var(--soft)", "titleColor": "var(--ink)"}
    lines = {"gridColor": "var(--grid)", "domainColor": "var(--grid)", "tickColor": "var(--grid)"}
    chart = (
        alt.layer(*layers)
        .add_params(alt.param(name="pick", value=-1))
        .properties(width="container", height=height)
        .configure(background="transparent", font="system-ui, sans-serif", aria=False)
        .configure_axis(
            titleFontWeight="normal", titleFontSize=13, labelFontSize=12, **text, **lines
        )
        .configure_view(stroke="var(--grid)")
    )
    spec: dict[str, Any] = chart.to_dict()
    return Chart(title=title, description=description, spec=spec)


def inline(rows: Iterable[Mapping[str, Any]]) -> Any:
    """A chart over rows that travel inside its specification."""
    return alt.Chart(alt.InlineData(values=[dict(row) for row in rows]))


def colour(count: int) -> Any:
    """The colour of preference `p`, one of `count`, by the page's variables `--p0`, `--p1`, ..."""
    scale = alt.Scale(domain=list(range(count)), range=[f"var(--p{i})" for i in range(count)])
    return alt.Color("p:N", scale=scale, legend=None)


def readable(text: str) -> str:
    """A name as a picture can show it: one line, of characters that XML has.

    What no font draws becomes the replacement character, and what would be nothing says so.

    Example:
        >>> readable("two\\nlines"), readable("bell\\x07"), readable(" ")
        ('two lines', 'bell�', '(no name)')
    """
    line = " ".join(text.split())
    odd = ("Cc", "Cs", "Cn")
    clean = "".join("\N{REPLACEMENT CHARACTER}" if category(c) in odd else c for c in line)
    return clean or "(no name)"


def tip(field: str, name: str, **options: Any) -> Any:
    """A line of a tooltip under this name; Vega-Lite puts it into a program as it stands."""
    return alt.Tooltip(field, title=readable(name).replace("\\", "\\\\"), **options)


def domain(values: Iterable[float], *, pad: float = 0.06) -> tuple[float, float]:
    """The range of an axis: that of the values and a little more on either side."""
    numbers = list(values)
    low, high = min(numbers), max(numbers)
    room = (high - low) * pad or 0.5
    return low - room, high + room


def axes(names: Sequence[str], reach: Sequence[tuple[float, float]]) -> dict[str, Any]:
    """Both axes of a plane with these titles and ranges."""
    return {
        axis: channel(
            f"{axis}:Q",
            title=readable(name),
            scale=alt.Scale(domain=list(ends), nice=False),
            axis=alt.Axis(tickCount=6),
        )
        for axis, channel, name, ends in zip("xy", (alt.X, alt.Y), names, reach, strict=True)
    }


def mean_and_error(axis: str, value: Mapping[str, float | None]) -> dict[str, Any]:
    """A mean, and one standard error to either side of it, as fields of a chart's rows.

    Example:
        >>> mean_and_error("x", {"mean": 2.0, "se": 0.5})
        {'x': 2.0, 'x0': 1.5, 'x1': 2.5}
    """
    mean, se = value["mean"] or 0.0, value["se"] or 0.0
    return five_digits({axis: mean, f"{axis}0": mean - se, f"{axis}1": mean + se})


def five_digits(values: Mapping[str, float | None]) -> dict[str, Any]:
    """The numbers with five digits, which are enough for a picture."""
    return {k: None if v is None else float(f"{v:.5g}") for k, v in values.items()}


def _model_layers(points: Sequence[dict[str, Any]], across: str, up: str, count: int) -> list[Any]:
    """Links from stage to stage, error bars, marks and labels."""
    reach = [domain([p[axis + end] for p in points for end in "01"], pad=0.08) for axis in "xy"]
    plane = axes((across, up), reach)
    links = [
        {"p": q["p"], "x": p["x"], "y": p["y"], "x2": q["x"], "y2": q["y"], "stage": q["stage"]}
        for q in points
        for p in points
        if p["stage"] == q["stage"] - 1 and p["p"] in (-1, q["p"])
    ]
    links_shown = inline(links).transform_filter(PICKED)
    shown = inline(points).transform_filter(f"datum.p < 0 || {PICKED}")
    hue = alt.condition("datum.p < 0", alt.value("var(--ink)"), colour(count))
    tooltip = [
        alt.Tooltip("label:N", title="preference"),
        alt.Tooltip("stage:Q", title="stage"),
        tip("x:Q", across),
        tip("y:Q", up),
    ]
    ends = {"x2": "x2:Q", "y2": "y2:Q", "color": colour(count)}
    layers = [
        links_shown.transform_filter("datum.stage === 1")
        .mark_rule(strokeDash=[2, 4], opacity=0.7)
        .encode(**plane, **ends),
        links_shown.transform_filter("datum.stage > 1")
        .mark_rule(strokeWidth=2)
        .encode(**plane, **ends),
        shown.mark_rule().encode(x="x0:Q", x2="x1:Q", y="y:Q", color=hue),
        shown.mark_rule().encode(x="x:Q", y="y0:Q", y2="y1:Q", color=hue),
    ]
    # The model to use is solid; the stage before it is hollow.
    last = max(point["stage"] for point in points)
    hollow = shown.transform_filter(f"datum.p >= 0 && datum.stage < {last}")
    solid = shown.transform_filter(f"datum.p >= 0 && datum.stage === {last}")
    base = shown.transform_filter("datum.p < 0")
    layers += [
        hollow.mark_point(fill="var(--paper)", size=70, strokeWidth=2, opacity=1).encode(
            **plane, color=colour(count), tooltip=tooltip
        ),
        solid.mark_circle(size=110, opacity=1).encode(
            **plane, color=colour(count), tooltip=tooltip
        ),
        base.mark_point(
            shape="diamond", filled=True, size=130, color="var(--ink)", opacity=1
        ).encode(**plane, tooltip=tooltip),
    ]
    middle = sum(reach[0]) / 2
    # A label points inwards, and that of the base hangs below, where few models go.
    for condition, align, dx, dy in (
        (f"datum.told && datum.x < {middle}", "left", 9, -10),
        (f"datum.told && datum.x >= {middle}", "right", -9, -10),
        ("datum.p < 0", "left", 9, 12),
    ):
        layers.append(
            shown.transform_filter(condition)
            .mark_text(align=align, dx=dx, dy=dy, color="var(--ink)", fontSize=12)
            .encode(**plane, text="label:N")
        )
    return layers


def _told(model: Mapping[str, Any], last: int, count: int) -> bool:
    """Whether a model's weights are written beside its mark: short ones of a few, or a corner's."""
    if model["preference"] is None or model["stage"] != last:
        return False
    short = count <= 5 and len(model["weights"]) == 2
    return short or max(model["weights"]) > 1 - 1e-6


def _span(axis: str, reward: Mapping[str, float]) -> dict[str, float]:
    """A mean, and one standard error to either side of it."""
    mean, se = reward["mean"], reward["se"] or 0.0
    ends = {axis: mean, f"{axis}0": mean - se, f"{axis}1": mean + se}
    return {name: float(f"{value:.5g}") for name, value in ends.items()}


def _mix(colours: Sequence[str], shares: Sequence[float]) -> str:
    """The weighted mean of colours, in red, green and blue."""
    parts = [[int(c[i : i + 2], 16) for i in (1, 3, 5)] for c in colours]
    mean = (sum(s * part[i] for s, part in zip(shares, parts, strict=True)) for i in range(3))
    return "#" + "".join(f"{round(value):02x}" for value in mean)
