"""A run drawn: its models in reward space, and the losses of their training."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import combinations
from math import isfinite
from typing import TYPE_CHECKING, Any

import altair as alt

from paretohqd.plots.theme import (
    PICKED,
    Chart,
    axes,
    colour,
    domain,
    error_bar,
    finish,
    inline,
    tip,
)

if TYPE_CHECKING:
    from paretohqd.runs.metrics import ModelMeasures

CURVE_POINTS = 200
"""At most as many points of a training curve are drawn."""


def evaluation_charts(
    models: Sequence[ModelMeasures], objectives: Sequence[str], labels: Sequence[str]
) -> list[Chart]:
    """One panel per pair of objectives: the mean reward of each model, and where it came from.

    Args:
        models: What each model reached, the base among them.
        objectives: Their names, in order.
        labels: One short text per preference.
    """
    charts = []
    last = max(model.stage for model in models)
    for across, up in combinations(objectives, 2):
        points = [
            {
                "p": -1 if model.preference is None else model.preference,
                "stage": model.stage,
                "label": "base" if model.preference is None else labels[model.preference],
                "labelled": _is_labelled(model, last, len(labels)),
                **error_bar("x", model.reward[across].mean, model.reward[across].se),
                **error_bar("y", model.reward[up].mean, model.reward[up].se),
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
    curves: Sequence[Sequence[Mapping[str, float]]], labels: Sequence[str], title: str
) -> Chart:
    """Training loss by step, one line per preference.

    Args:
        curves: One log per preference; entries without a loss are passed over.
        labels: One short text per preference.
        title: The chart's title.
    """
    rows = []
    for preference, log in enumerate(curves):
        losses = [e for e in log if e.get("loss") is not None and isfinite(e["loss"])]
        # Long logs are thinned evenly: a line of a few hundred pixels shows no more.
        for entry in losses[:: -(-len(losses) // CURVE_POINTS) or 1]:
            loss = float(f"{entry['loss']:.5g}")
            rows.append(
                {"p": preference, "label": labels[preference], "x": entry["step"], "y": loss}
            )
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
    # A label points inwards; the base's hangs below, where few models are.
    for condition, align, dx, dy in (
        (f"datum.labelled && datum.x < {middle}", "left", 9, -10),
        (f"datum.labelled && datum.x >= {middle}", "right", -9, -10),
        ("datum.p < 0", "left", 9, 12),
    ):
        layers.append(
            shown.transform_filter(condition)
            .mark_text(align=align, dx=dx, dy=dy, color="var(--ink)", fontSize=12)
            .encode(**plane, text="label:N")
        )
    return layers


def _is_labelled(model: ModelMeasures, last: int, count: int) -> bool:
    """Whether a model's weights are written beside its mark: short ones of a few, or a corner's."""
    if model.weights is None or model.stage != last:
        return False
    short = count <= 5 and len(model.weights) == 2
    return short or max(model.weights) > 1 - 1e-6
