"""What distinguishes the preferences and layers of a picture: colours, their list, and a key."""

from __future__ import annotations

import json
from collections.abc import Sequence
from textwrap import wrap
from typing import Any

import altair as alt
import numpy as np

from paretohqd.plots import theme
from paretohqd.plots.selection_picture import Picture
from paretohqd.plots.theme import GRID, SOFT, inline, palette, readable
from paretohqd.selection.result import Selection

NAMED = 21
"""Preferences that the legend names; where there are more, it names some, evenly spread."""


def colour(picture: Picture) -> Any:
    """The colour of preference `p`, with a legend of the names, or of some of them.

    A page has a legend of its own.
    """
    shown, selection = picture.shown, picture.selection
    if picture.scheme.interactive:
        return theme.colour(len(selection.preferences))
    hues = palette(selection.preferences.tolist())["light"]
    named = shown
    objectives = ", ".join(map(readable, selection.objectives))
    text = f"weights of {objectives}" if selection.preference_names is None else "preferences"
    title = wrap(text, 28, max_lines=4, placeholder=" …")
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


def layer_kinds(selection: Selection) -> list[str]:
    """The front and the deeper layers of the pool, as the legend calls them."""
    sizes = selection.layer_sizes()
    front, last = sizes[0], len(sizes) - 1
    kinds = [f"front: {front:,} row{'s' * (front != 1)}"]
    if last:
        deeper = sum(sizes) - front
        named = "layer 1" if last == 1 else f"layers 1 to {last}"
        kinds.append(f"{named}: {deeper:,} row{'s' * (deeper != 1)}")
    return kinds


def triangle(picture: Picture, width: int, height: int) -> Any:
    """The preferences of three objectives as points of the simplex, as a key to the colours."""
    margin = 34
    side = min(width - 2 * margin, (height - 2 * margin) / 0.866)
    left, low = (width - side) / 2, (height - side * 0.866) / 2
    corners = np.array([[left, low], [left + side, low], [left + side / 2, low + side * 0.866]])
    names = [readable(name) for name in picture.objectives]
    points = picture.selection.preferences[picture.shown] @ corners
    labels = picture.labels
    dots = [
        {"p": p, "label": labels[p], "x": round(float(x), 2), "y": round(float(y), 2)}
        for p, (x, y) in zip(picture.shown, points, strict=True)
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


def text_of(texts: Sequence[str], number: str = "datum.value") -> str:
    """Vega's expression for the text of this number, itself an expression."""
    return f"{json.dumps(list(texts))}[{number}]"
