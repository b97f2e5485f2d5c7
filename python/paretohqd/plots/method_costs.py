"""Vega-Lite charts for a comparison: what utility costs; costs by number of preferences."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, TypeVar

import altair as alt
import polars as pl

from paretohqd.plots.methods import Styles, channels, measured
from paretohqd.plots.theme import Chart, domain, finish, five_digits, inline

if TYPE_CHECKING:
    from paretohqd.compare.measures import MethodResult


Axis = TypeVar("Axis", alt.X, alt.Y)


def trade_charts(entries: Sequence[MethodResult], styles: Styles) -> list[Chart]:
    """Utility against cost at fixed prices, trained tokens and seconds, these on a log axis.

    Methods that cost nothing of a kind, as the base trains nothing, are dashed lines across.
    """
    charts = []
    for name, title in (
        ("cost", "cost in seconds"),
        ("trained_tokens", "trained tokens"),
        ("seconds_all", "measured seconds"),
    ):
        rows: list[dict[str, Any]] = []
        for entry in measured(entries):
            style = styles[entry.method]
            row = {
                "x": getattr(entry, name) or 0,
                "y": entry.utility,
                "low": entry.low,
                "high": entry.high,
            }
            rows.append({"p": style.p, "name": style.name, **five_digits(row)})
        dear = [row for row in rows if row["x"] > 0]
        if not dear:
            continue
        reach = [row[end] for row in rows for end in ("y", "low", "high") if row[end] is not None]
        up = alt.Y(
            "y:Q",
            title="utility",
            scale=alt.Scale(domain=list(domain(reach)), nice=False),
            axis=alt.Axis(tickCount=6),
        )
        across = _log("x:Q", f"{title} (log scale)", [row["x"] for row in dear])
        tooltip = [
            alt.Tooltip("name:N", title="method"),
            alt.Tooltip("x:Q", title=title, format=",.4~g"),
            alt.Tooltip("y:Q", title="utility"),
        ]
        shown = inline(dear)
        free = inline([row for row in rows if row["x"] <= 0])
        layers = [
            free.mark_rule(strokeDash=[4, 4]).encode(
                y=up, tooltip=tooltip, **channels(styles, 0.8, shape=False)
            ),
            shown.transform_filter("datum.low !== null")
            .mark_rule()
            .encode(
                x=across,
                y=alt.Y("low:Q", title="utility"),
                y2="high:Q",
                **channels(styles, 0.35, shape=False),
            ),
            shown.mark_point(filled=True, size=90).encode(
                x=across, y=up, tooltip=tooltip, **channels(styles)
            ),
            shown.transform_filter("pick >= 0 && datum.p === pick")
            .mark_text(dy=-12, color="var(--ink)", fontSize=12)
            .encode(x=across, y=up, text="name:N"),
        ]
        about = f"Utility of {len(rows)} methods against {title}; the table holds the numbers."
        charts.append(finish(layers, f"Utility against {title}", about, height=340))
    return charts


def curve_chart(methods: Sequence[MethodResult], styles: Styles) -> Chart | None:
    """Utility against cost over several budgets: a line per method.

    Args:
        methods: Entries of the budgets of the curve. What costs nothing is a dashed line across.
        styles: How each method is drawn.

    Returns:
        None where no method has two points.
    """
    rows: list[dict[str, Any]] = []
    for entry in measured(methods):
        values = {"x": entry.cost or 0, "y": entry.utility, "low": entry.low, "high": entry.high}
        named = {"p": styles[entry.method].p, "name": entry.method, "budget": entry.budget}
        rows.append(named | five_digits(values))
    dear = [row for row in rows if row["x"] > 0]
    if len(dear) == len({row["p"] for row in dear}):
        return None
    free = list({row["p"]: row for row in rows if row["x"] <= 0}.values())
    reach = [row[end] for row in rows for end in ("y", "low", "high") if row[end] is not None]
    up = alt.Y(
        "y:Q",
        title="utility",
        scale=alt.Scale(domain=list(domain(reach)), nice=False),
        axis=alt.Axis(tickCount=6),
    )
    across = _log("x:Q", "cost in seconds (log scale)", [row["x"] for row in dear])
    tooltip = [
        alt.Tooltip("name:N", title="method"),
        alt.Tooltip("budget:N", title="budget"),
        alt.Tooltip("x:Q", title="cost in seconds", format=",.4~g"),
        alt.Tooltip("y:Q", title="utility"),
        alt.Tooltip("low:Q", title="from"),
        alt.Tooltip("high:Q", title="to"),
    ]
    shown, across_all = inline(dear), inline(free)
    layers = [
        across_all.mark_rule(strokeDash=[4, 4]).encode(
            y=up, tooltip=tooltip[:1], **channels(styles, 0.8, shape=False)
        ),
        shown.transform_filter("datum.low !== null")
        .mark_rule()
        .encode(
            x=across,
            y=alt.Y("low:Q", title="utility"),
            y2="high:Q",
            **channels(styles, 0.35, shape=False),
        ),
        shown.mark_line(strokeWidth=1.75).encode(
            x=across, y=up, **channels(styles, 0.8, shape=False)
        ),
        shown.mark_point(filled=True, size=80).encode(
            x=across, y=up, tooltip=tooltip, **channels(styles)
        ),
    ]
    names = len({row["p"] for row in rows})
    about = f"Utility of {names} methods against cost; the tables hold the numbers."
    return finish(layers, "Utility against cost", about, height=360)


def cost_charts(costs: pl.DataFrame, styles: Styles) -> list[Chart]:
    """Seconds and trained tokens against the number of preferences, both on log axes.

    Args:
        costs: Rows of `compare.tables.cost_table` of one budget; solid marks are measured, hollow
            ones computed.
        styles: How each method is drawn.
    """
    charts = []
    for name, title in (("trained_tokens", "trained tokens"), ("seconds", "seconds")):
        rows = [
            {
                "p": styles[row["method"]].p,
                "name": row["method"],
                "basis": row["basis"],
                **five_digits({"x": row["preferences"], "y": row[name]}),
            }
            for row in costs.iter_rows(named=True)
            if row[name]
        ]
        if not rows:
            continue
        numbers = sorted({row["x"] for row in rows})
        across = alt.X(
            "x:Q",
            title="preferences",
            scale=alt.Scale(type="log", domain=[numbers[0] * 0.85, numbers[-1] * 1.18], nice=False),
            axis=alt.Axis(values=numbers, format="d", grid=False),
        )
        up = _log("y:Q", f"{title} (log scale)", [row["y"] for row in rows], channel=alt.Y)
        tooltip = [
            alt.Tooltip("name:N", title="method"),
            alt.Tooltip("x:Q", title="preferences"),
            alt.Tooltip("y:Q", title=title, format=",.4~g"),
            alt.Tooltip("basis:N", title="how known"),
        ]
        shown = inline(rows)
        plane = {"x": across, "y": up}
        layers = [
            shown.mark_line(strokeWidth=1.75).encode(**plane, **channels(styles, 0.8, shape=False)),
            shown.transform_filter("datum.basis === 'computed'")
            .mark_point(size=60, strokeWidth=1.75, fill="var(--paper)")
            .encode(**plane, tooltip=tooltip, **channels(styles)),
            shown.transform_filter("datum.basis !== 'computed'")
            .mark_point(filled=True, size=75)
            .encode(**plane, tooltip=tooltip, **channels(styles)),
        ]
        about = f"{title.capitalize()} of each method for {numbers} preferences."
        titled = f"{title.capitalize()} by number of preferences"
        charts.append(finish(layers, titled, about, height=340))
    return charts


def _log(field: str, title: str, values: Sequence[float], *, channel: type[Axis] = alt.X) -> Axis:
    """A log axis over positive values, with room at both ends."""
    low, high = min(values) / 1.3, max(values) * 1.3
    return channel(
        field,
        title=title,
        scale=alt.Scale(type="log", domain=[low, high], nice=False),
        axis=alt.Axis(format="~s", values=ticks(low, high), labelOverlap=True),
    )


def ticks(low: float, high: float) -> list[float]:
    """Round numbers for a log axis between two positive ends, at most seven or so.

    Example:
        >>> ticks(800, 60_000), ticks(9, 16)
        ([1000.0, 2000.0, 5000.0, 10000.0, 20000.0, 50000.0], [10.0, 15.0])
    """
    decades = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    marks: list[float] = []
    for steps in ((1,), (1, 3), (1, 2, 5), (1, 1.5, 2, 3, 4, 5, 7)):
        finer = [float(f"{s}e{d}") for d in decades for s in steps if low <= s * 10.0**d <= high]
        if len(finer) > 7 and len(marks) > 1:
            break
        marks = finer
    return marks
