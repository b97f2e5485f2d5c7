"""Vega-Lite charts for a comparison: methods' fronts laid over each other, and utilities.

Every method has a colour and a shape of its own in all charts, and its number `p` among them: the
page's legend picks by it, and a picked method keeps its strength while the others fade.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Any

import altair as alt
import numpy as np

from paretohqd.kernels.layers import pareto_front
from paretohqd.plots.theme import PICKED, Chart, axes, domain, finish, inline, readable, tip
from paretohqd.selection.preferences import format_weights

SHAPES = (
    "M0,-1A1,1,0,1,1,0,1A1,1,0,1,1,0,-1Z",  # circle
    "M-.86,-.86H.86V.86H-.86Z",  # square
    "M0,-1.1L1.05,.8H-1.05Z",  # triangle up
    "M-.4,-1H.4V-.4H1V.4H.4V1H-.4V.4H-1V-.4H-.4Z",  # cross
    "M0,1.1L1.05,-.8H-1.05Z",  # triangle down
    "M0,-1.15L1,-.35L.62,.95H-.62L-1,-.35Z",  # pentagon
    "M-1.05,-1L0,-.42L1.05,-1L.5,0L1.05,1L0,.42L-1.05,1L-.5,0Z",  # four-pointed star
    "M1.1,0L-.8,1.05V-1.05Z",  # triangle right
)
"""SVG paths in a box from -1 to 1: Vega draws them, and so does the page's legend."""
HUES = {
    "light": ["#0072b2", "#d55e00", "#00865f", "#b3538b", "#8a6d00", "#6a4fc0", "#5c5c5c"],
    "dark": ["#56b4e9", "#f5904a", "#2fcf9f", "#e79cc8", "#e5d34a", "#ab9df2", "#b8b8b8"],
}
"""Colours with enough contrast on either page; whoever cannot tell them apart has the shapes."""
DIAMOND = "M0,-1.2L1,0L0,1.2L-1,0Z"

_FAINT = 0.18
_ROW = 26  # pixels of a method's row


@dataclass(frozen=True, kw_only=True)
class MethodStyle:
    """How a method is drawn: its number, its shape, and whether it is the base."""

    p: int
    name: str
    shape: str
    base: bool
    ablation: bool


def looks(methods: Sequence[Mapping[str, Any]], reference: str) -> dict[str, MethodStyle]:
    """A number and a shape for each method name; under several budgets it keeps them.

    Seven colours and eight shapes give 56 pairs. The reference method is first, a blue circle; the
    base is a diamond in the colour of the text.

    Example:
        >>> found = looks([{"method": "SFT", "kind": "sft", "ablation": None}], "ParetoHqD")
        >>> found["SFT"].p
        0
    """
    first: dict[str, Mapping[str, Any]] = {}
    for entry in methods:
        first.setdefault(entry["method"], entry)
    # Stable: the reference, the other methods, the ablations.
    names = sorted(first, key=lambda n: (n != reference, bool(first[n]["ablation"])))
    return {
        name: MethodStyle(
            p=p,
            name=name,
            shape=DIAMOND if first[name]["kind"] == "base" else SHAPES[p % len(SHAPES)],
            base=first[name]["kind"] == "base",
            ablation=bool(first[name]["ablation"]),
        )
        for p, name in enumerate(names)
    }


def colours(known: Mapping[str, MethodStyle]) -> dict[str, list[str]]:
    """One colour per method by its number, for light and for dark pages."""
    return {
        scheme: [
            "var(--ink)" if look.base else row[look.p % len(row)]
            for look in sorted(known.values(), key=lambda look: look.p)
        ]
        for scheme, row in HUES.items()
    }


def front_charts(
    standing: Mapping[str, Any],
    entries: Sequence[Mapping[str, Any]],
    known: Mapping[str, MethodStyle],
    title: str,
) -> list[Chart]:
    """One panel per pair of objectives: mean rewards of each method's policies.

    Strong marks are means over seeds, faint ones single seeds. With two objectives a line joins a
    method's points that none of its others dominates. A picked method shows its weights and bars of
    one standard error.

    Args:
        standing: from `standing.stand`.
        entries: those of its methods to draw.
        known: every method's look.
        title: what they are; the objectives are added.
    """
    names = standing["objectives"]
    entries = [entry for entry in entries if entry["points"]]
    charts = []
    for across, up in combinations(names, 2) if entries else ():
        means, seeds = [], []
        for entry in entries:
            look = known[entry["method"]]
            front = _front(entry["points"], names)
            for point, best in zip(entry["points"], front, strict=True):
                weights = "" if point["weights"] is None else format_weights(point["weights"])
                row = {"p": look.p, "name": look.name, "w": weights, "base": look.base}
                row |= {"line": bool(best) and len(names) == 2}
                row |= _span("x", point["reward"][across]) | _span("y", point["reward"][up])
                means.append(row)
            for at in entry["places"] if len(entry["seeds"]) > 1 else ():
                for point in standing["runs"][at]["points"]:
                    place = {"x": point["reward"][across]["mean"], "y": point["reward"][up]["mean"]}
                    seeds.append({"p": look.p, **short(place)})
        layers = _front_layers(means, seeds, (across, up), known)
        about = (
            f"{title}: mean {across} (across) and {up} (up) of the policies of {len(entries)} "
            "methods; points.csv holds the numbers."
        )
        both = f"{title}: {across} and {up}"
        charts.append(finish(layers, both, about, height=430))
    return charts


def utility_chart(
    standing: Mapping[str, Any],
    entries: Sequence[Mapping[str, Any]],
    known: Mapping[str, MethodStyle],
) -> Chart | None:
    """Each method's utility with its interval, the largest on top; None if there is none.

    A hollow mark is the echo-adjusted value, faint marks are single seeds, and a dashed line is the
    reference method.
    """
    entries = sorted(measured(entries), key=lambda entry: -entry["utility"])
    if not entries:
        return None
    rows: list[dict[str, Any]] = []
    seeds: list[dict[str, Any]] = []
    for entry in entries:
        look = known[entry["method"]]
        place: dict[str, Any] = {"p": look.p, "name": look.name}
        ends = {name: entry[name] for name in ("low", "high")}
        rows.append(
            place
            | short({"x": entry["utility"], "a": entry["utility_adjusted"], **ends})
            | short({"volume": entry["hypervolume"]})
            | {"verdict": _verdict(entry), "echo": f"{100 * entry['echo']:.0f} %"}
        )
        runs = [standing["runs"][at] for at in entry["places"]]
        if len(entry["seeds"]) > 1:
            seeds += [place | short({"x": r["utility"]}) for r in runs if r["status"] == "ok"]
    order = [row["name"] for row in rows]
    # On a phone names must leave room for the bars.
    limit = alt.ExprRef(expr="containerSize()[0] < 500 ? 130 : 270")
    level = alt.Y(
        "name:N",
        sort=order,
        title=None,
        scale=alt.Scale(domain=order),
        axis=alt.Axis(labelLimit=limit, grid=True, ticks=False, domain=False),
    )
    reach = [row[end] for row in rows for end in ("x", "a", "low", "high") if row[end] is not None]
    reach += [row["x"] for row in seeds]
    across = alt.X(
        "x:Q",
        title="utility",
        scale=alt.Scale(domain=list(domain(reach)), nice=False),
        axis=alt.Axis(tickCount=5),
    )
    shown, single = inline(rows), inline(seeds)
    tooltip = [
        alt.Tooltip("name:N", title="method"),
        alt.Tooltip("x:Q", title="utility"),
        alt.Tooltip("low:Q", title="from"),
        alt.Tooltip("high:Q", title="to"),
        alt.Tooltip("a:Q", title="echo-adjusted"),
        alt.Tooltip("volume:Q", title="hypervolume"),
        alt.Tooltip("echo:N", title="echo rate"),
        alt.Tooltip("verdict:N", title="verdict"),
    ]
    layers = [
        shown.transform_filter("datum.low !== null")
        .mark_rule(strokeWidth=2)
        .encode(
            x=alt.X("low:Q", title="utility"),
            x2="high:Q",
            y=level,
            **style(known, 0.75, shape=False),
        ),
        single.mark_point(filled=True, size=20).encode(x=across, y=level, **style(known, 0.45)),
        shown.transform_filter("datum.a !== null")
        .mark_point(size=55, strokeWidth=1.5, fill="var(--paper)")
        .encode(x=alt.X("a:Q", title="utility"), y=level, tooltip=tooltip, **style(known)),
        shown.mark_point(filled=True, size=85).encode(
            x=across, y=level, tooltip=tooltip, **style(known)
        ),
    ]
    rival = [row for row in rows if row["name"] == standing["reference"]]
    if rival:
        line = inline([{"x": rival[0]["x"]}])
        layers.insert(0, line.mark_rule(color="var(--soft)", strokeDash=[3, 3]).encode(x=across))
    about = (
        f"Utility of {len(rows)} methods with 95 % intervals, largest first: "
        + "; ".join(f"{row['name']} {row['x']:.3f}" for row in rows)
        + "."
    )
    return finish(layers, "Utility", about, height=_ROW * len(rows) + 20)


def measured(entries: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """Those of which some seed did not fail."""
    return [entry for entry in entries if entry["utility"] is not None]


def _front_layers(
    means: Sequence[dict[str, Any]],
    seeds: Sequence[dict[str, Any]],
    titles: tuple[str, str],
    known: Mapping[str, MethodStyle],
) -> list[Any]:
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
    bars = style(known, shape=False)
    layers = [
        inline(seeds).mark_point(filled=True, size=26).encode(**plane, **style(known, 0.35)),
        shown.transform_filter("datum.line")
        .mark_line(strokeWidth=1.5)
        .encode(**plane, detail="p:N", order="x:Q", **style(known, 0.7, shape=False)),
        alone.mark_rule(strokeWidth=1.5).encode(
            x=alt.X("x0:Q", title=readable(titles[0])), x2="x1:Q", y="y:Q", **bars
        ),
        alone.mark_rule(strokeWidth=1.5).encode(
            x="x:Q", y=alt.Y("y0:Q", title=readable(titles[1])), y2="y1:Q", **bars
        ),
        shown.transform_filter("!datum.base")
        .mark_point(filled=True, size=95)
        .encode(**plane, tooltip=tooltip, **style(known)),
        shown.transform_filter("datum.base")
        .mark_point(filled=True, size=190)
        .encode(**plane, tooltip=tooltip, **style(known) | {"opacity": alt.value(1)}),
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


def style(known: Mapping[str, MethodStyle], strength: float = 1.0, *, shape: bool = True) -> Any:
    """Colour, shape, and how strong a mark is while its method, all or another is picked."""
    order = sorted(known.values(), key=lambda look: look.p)
    places = [look.p for look in order]
    hues = alt.Scale(domain=places, range=[f"var(--p{look.p})" for look in order])
    channels = {
        "color": alt.Color("p:N", scale=hues, legend=None),
        "opacity": alt.condition(PICKED, alt.value(strength), alt.value(strength * _FAINT)),
    }
    if shape:
        forms = alt.Scale(domain=places, range=[look.shape for look in order])
        channels["shape"] = alt.Shape("p:N", scale=forms, legend=None)
    return channels


def _front(points: Sequence[Mapping[str, Any]], names: Sequence[str]) -> Any:
    return pareto_front(np.array([[p["reward"][name]["mean"] for name in names] for p in points]))


def _span(axis: str, reward: Mapping[str, float | None]) -> dict[str, float | None]:
    """A mean, and one standard error to either side of it."""
    mean, se = reward["mean"] or 0.0, reward["se"] or 0.0
    return short({axis: mean, f"{axis}0": mean - se, f"{axis}1": mean + se})


def short(values: Mapping[str, float | None]) -> dict[str, Any]:
    """Five digits are enough for a picture."""
    return {k: None if v is None else float(f"{v:.5g}") for k, v in values.items()}


def _verdict(entry: Mapping[str, Any]) -> str:
    found = entry["against"]["reference"]
    return f"{found['verdict']}, against {found['name']}" if found else "-"
