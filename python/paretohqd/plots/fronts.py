"""Charts of one selection: the scored rows, the Pareto front, the rays and the rows chosen."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from itertools import combinations
from typing import Any

import altair as alt
import polars as pl

from paretohqd.plots.theme import PICKED, Chart, axes, colour, domain, finish, inline, tip

FRONT_ROWS = 2_000
LAYER_ROWS = 2_000
OTHER_ROWS = 4_000
CHOSEN_ROWS = 3_000
RINGS = 3


def selection_charts(
    pool: pl.DataFrame,
    selection: pl.DataFrame,
    summary: Mapping[str, Any],
    labels: Sequence[str],
    *,
    seed: int,
) -> tuple[list[Chart], dict[str, int]]:
    """One panel per pair of objectives: all rows, the layers, the rays and the chosen rows.

    Args:
        pool: all scored rows: one column per objective and `layer` (-1 = past the layers).
        selection: the chosen rows, with `preference`, `position`, `distance`, `layer` and `row`.
        summary: what the selection wrote about itself: `objectives`, `through`, `r_min`,
            `r_max` and `layers`.
        labels: one short text per preference.
        seed: for the sample of rows that are drawn where there are too many.

    Returns:
        The charts, and how many points of each kind a chart draws: `front`, `pool` (the other
        layers), `other` and `chosen`.
    """
    names = list(summary["objectives"])
    columns = {name: f"v{i}" for i, name in enumerate(names)}
    values = list(columns.values())
    panels = max(1, len(names) * (len(names) - 1) // 2)
    # Scores are often rounded: rows with equal scores are one dot.
    distinct = (
        pool.select("layer", *names)
        .rename(columns)
        .filter(pl.all_horizontal(pl.col(values).is_finite()))
        .unique(maintain_order=True)
    )
    inside = pl.col("layer").is_between(0, len(summary["layers"]) - 1)
    parts = {
        "front": _thin(distinct.filter(inside, pl.col("layer") == 0), FRONT_ROWS, seed),
        "pool": _thin(distinct.filter(inside, pl.col("layer") > 0), LAYER_ROWS // panels, seed),
        "other": _thin(distinct.filter(~inside), OTHER_ROWS // panels, seed),
        "chosen": _rings(
            selection.select("preference", "position", "distance", "layer", "row", *names)
            .rename(columns)
            .filter(pl.col("position") < max(1, CHOSEN_ROWS // len(labels)))
        ),
    }
    charts = [_panel(parts, summary, labels, pair) for pair in combinations(range(len(names)), 2)]
    return charts, {kind: part.height for kind, part in parts.items()}


def _thin(frame: pl.DataFrame, limit: int, seed: int) -> pl.DataFrame:
    """At most `limit` rows, a seeded sample in the order of the frame."""
    if frame.height <= limit:
        return frame
    return frame.with_row_index("at").sample(limit, seed=seed).sort("at").drop("at")


def _rings(chosen: pl.DataFrame) -> pl.DataFrame:
    """The chosen rows with `ring`, so that a row that serves several preferences is a target.

    Its centre (0) is the preference whose ray is nearest; the next are wider discs below it. All
    are kept, hidden or not: the reader may pick any preference.
    """
    ring = pl.col("distance").rank("ordinal").over("row").cast(pl.Int32) - 1
    return (
        chosen.with_columns(ring=ring)
        .sort("ring", descending=True, maintain_order=True)
        .with_columns(pl.col("ring").clip(upper_bound=RINGS - 1))
    )


def _panel(
    parts: Mapping[str, pl.DataFrame],
    summary: Mapping[str, Any],
    labels: Sequence[str],
    pair: tuple[int, int],
) -> Chart:
    """The chart of one pair of objectives."""
    names = [summary["objectives"][k] for k in pair]
    ideal = [summary["r_max"][k] for k in pair]
    nadir = [summary["r_min"][k] for k in pair]
    count = len(labels)
    xy = [pl.col(f"v{k}").cast(pl.Float64).round_sig_figs(5) for k in pair]
    dots = {
        kind: part.rename({"layer": "l", "preference": "p", "distance": "d"}, strict=False)
        .with_columns(x=xy[0], y=xy[1])
        .drop(pl.selectors.starts_with("v"), "position", strict=False)
        for kind, part in parts.items()
    }
    every = pl.concat([frame.select("x", "y") for frame in dots.values()])
    reach = [domain([*every[axis], ideal[n], nadir[n]]) for n, axis in enumerate("xy")]
    plane = axes(names, reach)
    scores = [tip(f"{axis}:Q", name) for axis, name in zip("xy", names, strict=True)]
    layer = alt.Tooltip("l:Q", title="layer")
    layers = [
        inline(dots["other"].select("x", "y").to_dicts())
        .mark_circle(size=9, color="var(--rest)", opacity=0.6)
        .encode(**plane),
        inline(dots["pool"].to_dicts())
        .mark_circle(size=16, color="var(--soft)", opacity=0.6)
        .encode(**plane, tooltip=[*scores, layer]),
    ]
    front = inline(dots["front"].sort("x").to_dicts())
    if len(summary["objectives"]) == 2:
        # A front is a staircase only in its own plane: more objectives project to a cloud.
        line = front.mark_line(interpolate="step-before", color="var(--ink)", strokeWidth=1.25)
        layers.append(line.encode(**plane))
    rings = alt.Size("ring:Q", scale=alt.Scale(domain=[0, RINGS - 1], range=[34, 130]), legend=None)
    rays = _rays(summary["through"], pair, ideal, nadir, [low for low, _ in reach])
    layers += [
        front.mark_circle(size=26, color="var(--ink)", opacity=1).encode(
            **plane, tooltip=[*scores, layer]
        ),
        inline(rays)
        .transform_filter(PICKED)
        .mark_rule(strokeWidth=1.5, strokeDash=[6, 3])
        .encode(**plane, x2="x2:Q", y2="y2:Q", color=colour(count)),
        inline(dots["chosen"].to_dicts())
        .transform_filter(PICKED)
        .transform_calculate(label=f"{json.dumps(list(labels))}[datum.p]")
        .mark_circle(opacity=1, stroke="var(--paper)", strokeWidth=0.5)
        .encode(
            **plane,
            color=colour(count),
            size=alt.condition("pick < 0", rings, alt.value(34)),
            tooltip=[
                alt.Tooltip("label:N", title="preference"),
                *scores,
                layer,
                alt.Tooltip("d:Q", title="distance to the ray", format=".4~g"),
                alt.Tooltip("row:Q", title="row"),
            ],
        ),
        *_landmark("ideal", ideal, plane, align="right", dx=4, dy=-13),
        *_landmark("nadir", nadir, plane, align="left", dx=8, dy=6),
    ]
    about = (
        f"Scored rows in {names[0]} (across) and {names[1]} (up): the front, the next layers, the "
        f"rays of {count} preferences from the ideal point and the rows chosen for each."
    )
    return finish(layers, f"{names[0]} and {names[1]}", about, height=400)


def _landmark(text: str, at: Sequence[float], plane: Mapping[str, Any], **place: Any) -> list[Any]:
    """A named point of the plane."""
    spot = inline([{"x": at[0], "y": at[1]}]).encode(**plane)
    return [
        spot.mark_point(shape="cross", filled=True, size=70, color="var(--ink)", opacity=1),
        spot.mark_text(text=text, color="var(--ink)", fontSize=12, **place),
    ]


def _rays(
    through: Sequence[Sequence[float]],
    pair: tuple[int, int],
    ideal: Sequence[float],
    nadir: Sequence[float],
    low: Sequence[float],
) -> list[dict[str, float]]:
    """Each preference's ray in one plane, from the ideal point to the panel's lower edges."""
    rays = []
    for place, point in enumerate(through):
        way = [-(1 - point[k]) * (ideal[n] - nadir[n]) for n, k in enumerate(pair)]
        lengths = [(low[n] - ideal[n]) / way[n] for n in (0, 1) if way[n] < 0]
        if lengths:
            end = [ideal[n] + min(lengths) * way[n] for n in (0, 1)]
            rays.append({"p": place, "x": ideal[0], "y": ideal[1], "x2": end[0], "y2": end[1]})
    return rays
