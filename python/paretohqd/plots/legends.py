"""What tells the preferences of a picture apart: their colours, the list of them, a key."""

from __future__ import annotations

import json
from collections.abc import Sequence
from textwrap import wrap
from typing import Any

import altair as alt
import numpy as np

from paretohqd.plots.density import Floats
from paretohqd.plots.dots import Picture
from paretohqd.plots.theme import inline, palette, readable

NAMED = 21
"""Preferences that the legend names; of more it names some, evenly spread."""
SOFT, GRID = "#59636e", "#d5d9de"
CORNERS = ["#3333ff", "#ff9933", "#660033"]
"""Three corners whose mixtures on the simplex can be told apart with any colour vision.

Of all triples on a grid of 216 colours, among the best in the least CIELAB distance between any two
of 15 mixtures, seen as they are and as with no red, green or blue receptors (Machado et al. 2009).
"""


def colour(picture: Picture) -> Any:
    """The colour of preference `p`, with a legend of the names, or of some of them."""
    shown = picture.shown
    hues = colours(picture.weights)
    named = shown
    title = wrap(picture.title, 28, max_lines=4, placeholder=" …")
    if len(shown) > NAMED:
        named = [shown[round(at)] for at in np.linspace(0, len(shown) - 1, NAMED)]
        title.append(f"({NAMED} of {len(shown)} named)")
    return alt.Color(
        "p:N",
        scale=alt.Scale(domain=shown, range=[hues[p] for p in shown]),
        legend=alt.Legend(
            title=title,
            values=named,
            labelExpr=text_of(picture.labels),
            symbolSize=80,
            symbolLimit=NAMED,
        ),
    )


def colours(weights: Floats) -> list[str]:
    """One per preference: few are distinct, many of three objectives are mixtures."""
    if weights.shape[1] != 3 or len(weights) <= 7:
        return palette(weights.tolist())["light"]
    corners = np.array([[int(c[i : i + 2], 16) for i in (1, 3, 5)] for c in CORNERS])
    mixed = (weights @ corners).round().clip(0, 255).astype(int).tolist()
    return ["#" + "".join(f"{part:02x}" for part in colour) for colour in mixed]


def triangle(picture: Picture, width: int, height: int) -> Any:
    """The preferences of three objectives at their places on the simplex, as a key to colours."""
    margin = 34
    side = min(width - 2 * margin, (height - 2 * margin) / 0.866)
    left, low = (width - side) / 2, (height - side * 0.866) / 2
    corners = np.array([[left, low], [left + side, low], [left + side / 2, low + side * 0.866]])
    names = [readable(name) for name in picture.objectives]
    places = picture.weights[picture.shown] @ corners
    dots = [
        {"p": p, "label": picture.labels[p], "x": round(float(x), 2), "y": round(float(y), 2)}
        for p, (x, y) in zip(picture.shown, places, strict=True)
    ]
    edges = [
        {"x": float(x), "y": float(y), "at": at} for at, (x, y) in enumerate([*corners, corners[0]])
    ]
    plane = {
        "x": alt.X("x:Q", axis=None, scale=alt.Scale(domain=[0, width], nice=False)),
        "y": alt.Y("y:Q", axis=None, scale=alt.Scale(domain=[0, height], nice=False)),
    }
    texts = [
        inline([{"x": x, "y": y, "text": name}])
        .mark_text(align=align, dy=dy, dx=dx, color=SOFT, fontSize=12, limit=side / 2 + margin)
        .encode(**plane, text="text:N")
        for name, (x, y), align, dx, dy in zip(
            names,
            corners.tolist(),
            ("left", "right", "center"),
            (-margin, margin, 0),
            (20, 20, -16),
            strict=True,
        )
    ]
    return alt.layer(
        inline(edges).mark_line(color=GRID, strokeWidth=1).encode(**plane, order="at:Q"),
        inline(dots)
        .mark_circle(size=110, opacity=1, stroke="white", strokeWidth=1)
        .encode(**plane, color=colour(picture), tooltip=alt.Tooltip("label:N", title="preference")),
        *texts,
    ).properties(
        width=width,
        height=height,
        view=alt.ViewBackground(stroke=None),
        title=alt.Title(
            "preferences: nearer to a corner, more weight on it",
            anchor="middle",
            fontWeight="normal",
            fontSize=12,
            color=SOFT,
            offset=2,
        ),
    )


def text_of(texts: Sequence[str], place: str = "datum.value") -> str:
    """Vega's expression for the text with this number."""
    return f"{json.dumps(list(texts))}[{place}]"
