"""Draw docs/ranks.png: which rows each rank chooses on three fronts, for three preferences."""

from __future__ import annotations

import warnings
from pathlib import Path

import altair as alt
import numpy as np
import polars as pl
import vl_convert

import paretohqd as pq

FRONTS = ("bulging", "hollow", "with gaps")
RANKS = ("ray", "achievement", "sum", "ideal")
PREFERENCES = {"(.8, .2)": [0.8, 0.2], "(.5, .5)": [0.5, 0.5], "(.2, .8)": [0.2, 0.8]}
COLOURS = ["#d55e00", "#0072b2", "#009e73"]


def cloud(front: str) -> pl.DataFrame:
    """2,000 rows below a front between (0, 1) and (1, 0)."""
    rng = np.random.default_rng(3)
    x = rng.random(2000)
    top = np.sqrt(1 - x**2) if front == "bulging" else (1 - np.sqrt(x)) ** 2
    if front == "with gaps":
        top = 0.95 * (1 - x) - 0.1 * np.sin(4 * np.pi * x)
    depth = rng.beta(1, 3, 2000)
    return pl.DataFrame({"helpful": x * (1 - 0.5 * depth), "harmless": top * (1 - 0.5 * depth)})


def panel(front: str, rank: str) -> alt.LayerChart:
    """The cloud, and what a rank chooses of it."""
    rows = cloud(front)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", pq.SameRowsWarning)
        chosen = pq.choose(rows, ["helpful", "harmless"], PREFERENCES, k=40, rank=rank)
    x = alt.X("helpful:Q", scale=alt.Scale(domain=[0, 1]), axis=alt.Axis(grid=False, tickCount=3))
    y = alt.Y("harmless:Q", scale=alt.Scale(domain=[0, 1]), axis=alt.Axis(grid=False, tickCount=3))
    colour = alt.Color(
        "preference_name:N",
        scale=alt.Scale(domain=list(PREFERENCES), range=COLOURS),
        legend=alt.Legend(title="preference", orient="bottom"),
    )
    shown = chosen.rows.select("helpful", "harmless", "preference_name")
    return alt.layer(
        alt.Chart(rows).mark_circle(size=5, color="#bbb", opacity=0.5).encode(x=x, y=y),
        alt.Chart(shown).mark_circle(size=18, opacity=0.9).encode(x=x, y=y, color=colour),
    ).properties(width=170, height=170, title=f"{rank}, {front}")


def main() -> None:
    """Write the picture beside this file."""
    rows = [alt.hconcat(*(panel(front, rank) for rank in RANKS)) for front in FRONTS]
    chart = alt.vconcat(*rows).configure_view(stroke=None)
    png = vl_convert.vegalite_to_png(chart.to_json(), scale=1.2)
    Path(__file__).with_name("ranks.png").write_bytes(png)


if __name__ == "__main__":
    main()
