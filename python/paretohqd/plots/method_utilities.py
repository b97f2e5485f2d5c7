"""A Vega-Lite chart for a comparison: each method's utility with its interval."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import altair as alt

from paretohqd.plots.methods import Styles, channels, measured
from paretohqd.plots.theme import Chart, domain, finish, five_digits, inline

if TYPE_CHECKING:
    from paretohqd.compare.measures import ComparisonResult, MethodResult

Row = dict[str, Any]

_ROW = 26  # pixels of a method's row


def utility_chart(
    result: ComparisonResult, entries: Sequence[MethodResult], styles: Styles
) -> Chart | None:
    """Each method's utility with its interval, the largest on top; None if there is none.

    A hollow mark is the echo-adjusted value, faint marks are single seeds, and a dashed line is the
    reference method.
    """
    entries = sorted(measured(entries), key=lambda entry: -(entry.utility or 0.0))
    if not entries:
        return None
    rows: list[Row] = []
    seeds: list[Row] = []
    for entry in entries:
        style = styles[entry.method]
        named: Row = {"p": style.p, "name": style.name}
        values = {"x": entry.utility, "a": entry.utility_adjusted, "low": entry.low}
        values |= {"high": entry.high, "volume": entry.hypervolume}
        echo = f"{100 * (entry.echo or 0.0):.0f} %"
        rows.append(named | five_digits(values) | {"verdict": _verdict(entry), "echo": echo})
        if len(entry.seeds) > 1:
            own = (result.runs[at] for at in entry.places)
            seeds += [named | five_digits({"x": run.utility}) for run in own if not run.run.failed]
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
            **channels(styles, 0.75, shape=False),
        ),
        single.mark_point(filled=True, size=20).encode(x=across, y=level, **channels(styles, 0.45)),
        shown.transform_filter("datum.a !== null")
        .mark_point(size=55, strokeWidth=1.5, fill="var(--paper)")
        .encode(x=alt.X("a:Q", title="utility"), y=level, tooltip=tooltip, **channels(styles)),
        shown.mark_point(filled=True, size=85).encode(
            x=across, y=level, tooltip=tooltip, **channels(styles)
        ),
    ]
    rival = [row for row in rows if row["name"] == result.reference]
    if rival:
        line = inline([{"x": rival[0]["x"]}])
        layers.insert(0, line.mark_rule(color="var(--soft)", strokeDash=[3, 3]).encode(x=across))
    about = (
        f"Utility of {len(rows)} methods with 95 % intervals, largest first: "
        + "; ".join(f"{row['name']} {row['x']:.3f}" for row in rows)
        + "."
    )
    return finish(layers, "Utility", about, height=_ROW * len(rows) + 20)


def _verdict(entry: MethodResult) -> str:
    difference = entry.against.reference
    return f"{difference.verdict}, against {difference.name}" if difference else "-"
