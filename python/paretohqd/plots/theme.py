"""What charts share: colours, axes, names that can be shown, and a chart as part of a page.

On a page, colours are CSS variables (`var(--ink)`), so the SVG that a browser draws follows the
page's light or dark scheme without being drawn again. Fields have fixed short names and objectives
appear as titles only: a column may then be called anything.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any
from unicodedata import category

import altair as alt

PICKED = "pick < 0 || datum.p === pick"
"""Keeps the rows of the preference that the reader picked in the legend; -1 keeps all."""

_RAMP = {
    "light": ["#0b5fa5", "#7b4fb5", "#c43c7c", "#d4580f"],
    "dark": ["#5aa9f0", "#a98bf0", "#f07ab0", "#f7a94d"],
}
# Okabe and Ito's colours, made darker or lighter for enough contrast on either page.
_DISTINCT = {
    "light": ["#0072b2", "#d55e00", "#00865f", "#b3538b", "#8a6d00", "#2b8cc4", "#5c5c5c"],
    "dark": ["#56b4e9", "#f5904a", "#2fcf9f", "#e79cc8", "#e5d34a", "#9ad6ff", "#b8b8b8"],
}
# Three corners whose mixtures on the simplex can be distinguished with any colour vision: among the
# best of all triples on a grid of 216 colours in the least CIELAB distance between any two of 15
# mixtures, seen as they are and without red, green or blue receptors (Machado et al. 2009).
# Those of dark pages have a contrast of at least 3.6 with the page and are not white, as texts are.
_CORNERS = {
    "light": ["#3333ff", "#ff9933", "#660033"],
    "dark": ["#6666ff", "#cc6633", "#ffccff"],
}
SOFT, GRID = "#59636e", "#d5d9de"
"""Colours of small texts and of lines in a picture on white."""

UNSEEN = "\N{ZERO WIDTH SPACE}"
"""Makes a name of data differ from every word that means something to a program."""


@dataclass(frozen=True, kw_only=True)
class Scheme:
    """Colours to draw a selection with, and whether the picture is part of a page."""

    ink: str
    deeper: str
    """Colour of the layers below the front."""
    shade: str
    """Colour of the rows as a whole."""
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
                corners = _CORNERS[scheme] if len(weights) == 3 else distinct
                own = [corners[i % len(corners)] for i in range(len(weights))]
                row.append(_mix(own, weights))
    return colours


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

    What no font draws becomes the replacement character; an empty name is shown as "(no name)".

    Example:
        >>> readable("two\\nlines"), readable("bell\\x07"), readable(" ")
        ('two lines', 'bell�', '(no name)')
    """
    line = " ".join(text.split())
    odd = ("Cc", "Cs", "Cn")
    clean = "".join("\N{REPLACEMENT CHARACTER}" if category(c) in odd else c for c in line)
    return clean or "(no name)"


def tip(field: str, name: str, **options: Any) -> Any:
    """A line of a tooltip under this name; Vega-Lite puts it into a program as it stands.

    The tooltip's own words (title, image) mean something to the script that shows it, as
    "__proto__" does to any: an unseen character at the end makes each name an ordinary one.
    """
    title = readable(name).replace("\\", "\\\\") + UNSEEN
    return alt.Tooltip(field, title=title, **options)


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


def error_bar(axis: str, mean: float, se: float | None) -> dict[str, Any]:
    """A mean, and one standard error to either side of it, as fields of a chart's rows.

    Example:
        >>> error_bar("x", 2.0, 0.5)
        {'x': 2.0, 'x0': 1.5, 'x1': 2.5}
    """
    low, high = mean - (se or 0.0), mean + (se or 0.0)
    return five_digits({axis: mean, f"{axis}0": low, f"{axis}1": high})


def five_digits(values: Mapping[str, float | None]) -> dict[str, Any]:
    """The numbers with five digits, which are enough for a picture."""
    return {k: None if v is None else float(f"{v:.5g}") for k, v in values.items()}


def _mix(colours: Sequence[str], shares: Sequence[float]) -> str:
    """The weighted mean of colours, in red, green and blue."""
    parts = [[int(c[i : i + 2], 16) for i in (1, 3, 5)] for c in colours]
    mean = (sum(s * part[i] for s, part in zip(shares, parts, strict=True)) for i in range(3))
    return "#" + "".join(f"{round(value):02x}" for value in mean)
