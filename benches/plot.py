"""Draw time against the number of points from a recorded benchmark: PNG and SVG.

python benches/plot.py benches/results/DATE-MACHINE.csv docs/speed
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import altair as alt
import polars as pl

from paretohqd.bench.record import NO_ANSWER

ALL, ONE, RIVAL = "paretohqd, all threads", "paretohqd, 1 thread", "fastest other package"
# Okabe and Ito's colours, told apart with any colour vision; the dashes and marks differ too.
COLOURS = {ALL: "#0072b2", ONE: "#56b4e9", RIVAL: "#d55e00"}
SHAPES = {ALL: "circle", ONE: "triangle-up", RIVAL: "square"}
DASHES = {ALL: [1, 0], ONE: [5, 3], RIVAL: [1, 0]}

OTHERS = pl.all_horizontal(~pl.col(name).is_in(values) for name, values in NO_ANSWER.items())

# Title, task, data, objectives.
PANELS = [
    ("All layers, 2 objectives", "all layers", "uni", 2),
    ("All layers, 3 objectives", "all layers", "uni", 3),
    ("All layers, 5 objectives", "all layers", "uni", 5),
    ("First 5 layers, 3 objectives", "first 5 layers", "uni", 3),
    ("Hypervolume, 3 objectives", "hypervolume", "sphere", 3),
    ("100 nearest to 11 rays, 3 objectives", "100 nearest to 11 rays", "uni", 3),
]
INK, SOFT, GRID = "#1f2328", "#59636e", "#e6e8eb"


def lines(rows: pl.DataFrame, task: str, data: str, m: int) -> pl.DataFrame:
    """Our times and the fastest other's by n: columns n, seconds, who."""
    of = rows.filter(task=task, data=data, m=m).filter(OTHERS)
    by_n = of.group_by("n", maintain_order=True).agg(
        pl.col("ours_all_threads_s").min().alias(ALL),
        pl.col("ours_1_thread_s").min().alias(ONE),
        pl.col("rival_s").min().alias(RIVAL),
    )
    return by_n.unpivot(index="n", variable_name="who", value_name="seconds").drop_nulls()


def panel(rows: pl.DataFrame, title: str, task: str, data: str, m: int) -> Any:
    shown = lines(rows, task, data, m)
    others = rows.filter(task=task, data=data, m=m).filter(OTHERS)
    names = others.sort("rival_s").unique("n", keep="first", maintain_order=True)["rival"].unique()
    n = alt.X(
        "n:Q",
        title="points",
        scale=alt.Scale(type="log", nice=False, padding=14),
        axis=alt.Axis(
            values=[10**e for e in range(2, 8)],
            labelExpr=(
                "{'100':'100','1000':'1k','10000':'10k','100000':'100k','1000000':'1M',"
                "'10000000':'10M'}[format(datum.value, 'd')]"
            ),
        ),
    )
    time = alt.Y(
        "seconds:Q",
        title=None,
        scale=alt.Scale(type="log", nice=False, padding=20),
        axis=alt.Axis(
            values=[10.0**e for e in range(-6, 3)],
            labelExpr=(
                "datum.value < 9e-4 ? format(datum.value * 1e6, 'd') + ' µs' : datum.value < 0.9 ? "
                "format(datum.value * 1e3, 'd') + ' ms' : format(datum.value, 'd') + ' s'"
            ),
        ),
    )
    who = list(COLOURS)
    base = alt.Chart(alt.InlineData(values=shown.to_dicts())).encode(
        x=n,
        y=time,
        color=alt.Color(
            "who:N", title=None, scale=alt.Scale(domain=who, range=list(COLOURS.values()))
        ),
        shape=alt.Shape(
            "who:N", title=None, scale=alt.Scale(domain=who, range=list(SHAPES.values()))
        ),
    )
    return (
        alt.layer(
            base.mark_line(strokeWidth=2).encode(
                strokeDash=alt.StrokeDash(
                    "who:N", title=None, scale=alt.Scale(domain=who, range=list(DASHES.values()))
                )
            ),
            base.mark_point(filled=True, size=42, opacity=1),
            ratio_label(shown, n, time),
        )
        .properties(width=250, height=180)
        .properties(title=alt.Title(title, subtitle=f"other: {', '.join(sorted(names))}"))
    )


def ratio_label(shown: pl.DataFrame, n: Any, time: Any) -> Any:
    """The ratio on all threads, written over the highest mark at the largest size."""
    wide = shown.pivot("who", index="n", values="seconds").sort("n").tail(1)
    ratio = f"{wide[RIVAL][0] / wide[ALL][0]:.2g}x" if RIVAL in wide.columns else ""
    place = {"n": wide["n"][0], "seconds": shown.filter(n=wide["n"][0])["seconds"].max()}
    return (
        alt.Chart(alt.InlineData(values=[place | {"ratio": ratio}]))
        .mark_text(align="right", dx=-8, dy=-5, fontSize=13, fontWeight="bold", color=INK)
        .encode(x=n, y=time, text="ratio:N")
    )


def main() -> None:
    source, out = Path(sys.argv[1]), Path(sys.argv[2])
    rows = pl.read_csv(source, infer_schema_length=None)
    panels = [panel(rows, *what) for what in PANELS if len(lines(rows, *what[1:]))]
    chart = (
        alt.concat(*panels, columns=3, spacing={"row": 26, "column": 22})
        .resolve_scale(x="independent", y="independent")
        .properties(
            title=alt.Title(
                "Time against the number of points, both axes logarithmic: lower is better"
            )
        )
        .configure(background="white", font="Helvetica, Arial, sans-serif")
        .configure_axis(
            gridColor=GRID,
            domainColor=GRID,
            tickColor=GRID,
            labelColor=SOFT,
            labelFontSize=12,
            titleColor=SOFT,
            titleFontSize=12,
            titleFontWeight="normal",
            titlePadding=2,
        )
        .configure_view(stroke=None)
        .configure_title(
            anchor="start", color=INK, fontSize=14, subtitleColor=SOFT, subtitleFontSize=12
        )
        .configure_legend(
            orient="top", labelFontSize=13, labelColor=INK, symbolSize=90, labelLimit=300
        )
    )
    chart.save(out.with_suffix(".svg"))
    chart.save(out.with_suffix(".png"), scale_factor=2)
    print(f"written: {out.with_suffix('.svg')}, {out.with_suffix('.png')}")


if __name__ == "__main__":
    main()
