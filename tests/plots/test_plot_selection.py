"""Pictures of a selection: what is drawn is what was selected, and little travels."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

pytest.importorskip("altair")
pytest.importorskip("vl_convert")

import paretohqd as pq
from helpers.pictures import TWO, cloud, drawn, made, panels, tables
from paretohqd.plots.selection import plot, save
from paretohqd.plots.selection_picture import staircase

HOSTILE = "</script><b>\"a.b[0]\" 'c'"


THREE = {"helpful": "max", HOSTILE: "max", "^length.*$": "min"}


@pytest.fixture(scope="module")
def three() -> tuple[pl.DataFrame, pq.Selection, dict[str, Any]]:
    frame = cloud(20_000, THREE)
    selection = made(frame, THREE, 15, k=40)
    return frame, selection, plot(selection).to_dict()


def test_the_cells_of_every_panel_hold_all_rows(three: Any) -> None:
    frame, _, spec = three
    assert len(panels(spec)) == 3
    for at in range(3):
        ((_, cells),) = drawn(spec, at, "i", "j", "n")
        assert cells["n"].sum() == len(frame)


def test_rows_without_scores_and_rows_far_out_are_mentioned() -> None:
    frame = (
        cloud(50_000, TWO)
        .with_row_index("at")
        .with_columns(
            a=pl.when(pl.col("at") % 1_000 == 1).then(float("nan")).otherwise("a"),
            b=pl.when(pl.col("at") % 5_000 == 2).then(1e300).otherwise("b"),
        )
    )
    spec = plot(made(frame, TWO, 3, k=10, nan="drop")).to_dict()
    ((_, cells),) = drawn(spec, 0, "i", "n")
    assert cells["n"].sum() == 50_000 - 50 - 10
    assert "50 rows without a finite score are not shown." in spec["title"]["subtitle"]
    assert "Up to 10 rows are beyond the axes of a panel." in spec["title"]["subtitle"]
    # The others are not pressed into a corner.
    assert cells["j"].n_unique() > 20


def test_every_panel_has_the_rays_of_the_selection(three: Any) -> None:
    _, selection, spec = three
    for at, pair in enumerate([(0, 1), (0, 2), (1, 2)]):
        ((_, lines),) = drawn(spec, at, "p", "x2", "y2")
        assert lines["p"].to_list() == list(range(15))
        ideal = selection.r_max[list(pair)]
        assert (lines.select("x", "y").to_numpy() == ideal).all()
        through = selection.r_min + selection.preferences * (selection.r_max - selection.r_min)
        way = through[:, list(pair)] - ideal
        end = lines.select("x2", "y2").to_numpy() - ideal
        np.testing.assert_allclose(way[:, 0] * end[:, 1], way[:, 1] * end[:, 0], atol=1e-9)
        assert ((way * end).sum(axis=1) > 0).all()


def test_chosen_rows_stand_where_their_scores_are(three: Any) -> None:
    frame, selection, spec = three
    ((_, dots),) = drawn(spec, 0, "p", "row", "ring")
    expected = selection.rows.select("preference", "row").sort(pl.all()).rows()
    assert dots.select("p", "row").sort(pl.all()).rows() == [(p, row) for p, row in expected]
    scores = frame[dots["row"]]
    for k, name in enumerate(THREE):
        np.testing.assert_allclose(dots[f"v{k}"], scores[name], atol=1e-3)
    # The centre of a target is drawn last, over its wider rings.
    assert dots["ring"].is_sorted(descending=True)
    shared = dots.filter(pl.len().over("row") > 1).sort("row", "ring")
    assert shared.height
    inwards = shared.group_by("row").agg(pl.col("d").diff().min(), pl.col("ring").first())
    assert (inwards["d"] >= 0).all()
    assert (inwards["ring"] == 0).all()


def test_pool_dots_are_the_pool_and_the_front_is_dark(three: Any) -> None:
    _, selection, spec = three
    deeper, front = (data for _, data in drawn(spec, 0, "l", "v0") if "p" not in data.columns)
    assert (front["l"] == 0).all()
    assert (deeper["l"] > 0).all()
    for dots, layer in ((front, pl.col("layer") == 0), (deeper, pl.col("layer") > 0)):
        assert dots.height == selection.pool.filter(layer).height
        expected = np.sort(selection.pool.filter(layer)[list(THREE)[2]])
        np.testing.assert_allclose(np.sort(dots["v2"]), expected, atol=1e-3)


def test_axes_are_titled_with_the_direction(three: Any) -> None:
    _, _, spec = three
    first = panels(spec)[1]["layer"][0]["encoding"]
    assert first["x"]["title"] == ["helpful (larger is better)"]
    assert first["y"]["title"] == ["^length.*$ (smaller is better)"]


def test_layers_within_groups_have_no_staircase() -> None:
    cloudy = pl.DataFrame({"v0": [0.0, 1.0, 2.0], "v1": [0.0, 2.0, 1.0]})
    assert staircase(cloudy, {"a": "max", "b": "max"}) is None


def test_a_million_rows_make_a_small_page() -> None:
    ways = dict.fromkeys("abc", "max")
    selection = made(cloud(1_000_000, ways), ways, 66, k=500)
    spec = plot(selection).to_dict()
    assert len(json.dumps(spec)) < 1_000_000
    ((_, dots),) = drawn(spec, 0, "p", "row")
    assert dots.height <= 3_000
    assert dots["p"].n_unique() == 66
    assert spec["title"]["subtitle"][1].startswith("Drawn are 3,000 of the pool's")


def test_few_rows() -> None:
    frame = pl.DataFrame({"a": [0.0, 1.0, 2.0], "b": [0.0, 1.0, 2.0]})
    for k in (1, 2):
        spec = plot(made(frame, TWO, 3, k=k, bounds="all")).to_dict()
        ((_, cells),) = drawn(spec, 0, "i", "n")
        assert cells["n"].sum() == 3


def test_panels_of_at_most_five_objectives() -> None:
    ways = dict.fromkeys("abcdef", "max")
    spec = plot(made(cloud(500, ways), ways, 6, k=5)).to_dict()
    assert len(panels(spec)) == 10
    assert "Panels: pairs of the first 5 of 6 objectives." in spec["title"]["subtitle"]


def test_some_preferences_and_names(tmp_path: Path) -> None:
    names = ("first", "middle", "last <&>")
    selection = replace(made(cloud(500, TWO), TWO, 3, k=5), preference_names=names)
    chart = plot(selection, preferences=[2, "first"])
    ((_, dots),) = drawn(chart.to_dict(), 0, "p", "row")
    assert set(dots["p"]) == {0, 2}
    save(chart, tmp_path / "x.svg")
    text = (tmp_path / "x.svg").read_text()
    assert all(word in text for word in (">first<", ">last &lt;&amp;&gt;<", ">ideal<", ">nadir<"))
    assert ">middle<" not in text


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"preferences": []}, "preferences"),
        ({"preferences": [3]}, "below 3"),
        ({"preferences": [0, 0]}, "different"),
        ({"preferences": ["w"]}, "x, y, z"),
        ({"width": 10}, "width"),
        ({"bins": 1}, "bins"),
        ({"points": 0}, "points"),
    ],
)
def test_arguments_out_of_range(options: dict[str, Any], message: str) -> None:
    selection = replace(made(cloud(50, TWO), TWO, 3, k=5), preference_names=("x", "y", "z"))
    with pytest.raises(ValueError, match=message):
        plot(selection, **options)


def test_rows_that_are_not_at_hand_have_no_cells() -> None:
    selection = replace(made(cloud(500, TWO), TWO, 3, k=5), scores=None)
    spec = plot(selection).to_dict()
    assert drawn(spec, 0, "i", "n") == []
    assert drawn(spec, 0, "p", "row")
    assert len(spec["title"]["subtitle"]) == 1
    assert "Shaded" not in spec["title"]["subtitle"][0]


def test_groups_have_rays_of_their_own_that_are_not_drawn() -> None:
    selection = replace(made(cloud(500, TWO), TWO, 3, k=5), by=("prompt",))
    spec = plot(selection).to_dict()
    assert drawn(spec, 0, "x2", "y2") == []
    assert "Each group of prompt has its own layers and rays." in spec["title"]["subtitle"]
    marks = [layer["mark"]["type"] for layer, _ in tables(spec, panels(spec)[0])]
    assert "line" not in marks


def test_saved_files(three: Any, tmp_path: Path) -> None:
    _, selection, _ = three
    chart = plot(replace(selection, preference_names=(HOSTILE,) * 15))
    for ending in ("png", "svg", "html", "SVG"):
        save(chart, tmp_path / f"x.{ending}")
    assert (tmp_path / "x.png").read_bytes().startswith(b"\x89PNG")
    page = (tmp_path / "x.html").read_text()
    save(plot(replace(selection, preference_names=("even",) * 15)), tmp_path / "even.html")
    assert page.count("</script>") == (tmp_path / "even.html").read_text().count("</script>")
    (tmp_path / "even.html").unlink()
    outside_scripts = re.sub(r"<script[^>]*>.*?</script>", "", page, flags=re.DOTALL)
    assert "src=" not in outside_scripts
    assert "<script src" not in page
    # As many marks as rows, so no expression of the chart failed.
    marks = (tmp_path / "x.svg").read_text().count('aria-roledescription="circle"')
    assert marks >= 3 * (selection.rows.height + selection.pool.height)
    assert {path.name for path in tmp_path.iterdir()} == {"x.png", "x.svg", "x.html", "x.SVG"}


def test_saving_is_whole_or_not_at_all(tmp_path: Path) -> None:
    class Broken:
        def save(self, path: Any, **_: Any) -> None:
            path.write(b"half")
            raise OSError("disk full")

    path = tmp_path / "x.png"
    path.write_text("before")
    with pytest.raises(OSError, match="disk full"):
        save(Broken(), path)
    assert path.read_text() == "before"
    assert len(list(tmp_path.iterdir())) == 1
    with pytest.raises(ValueError, match=r"ends in \.png, \.svg, \.html"):
        save(Broken(), tmp_path / "x.pdf")


def test_without_altair_the_extra_is_named() -> None:
    code = (
        "import sys; sys.modules['altair'] = None\n"
        "import paretohqd\n"
        "try: import paretohqd.plots.selection\n"
        "except ImportError as error: print(error)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "pip install 'paretohqd[plot]'" in done.stdout


def test_plot_and_save_are_public() -> None:
    assert pq.plots.plot is plot
    assert pq.plots.save is save
    with pytest.raises(AttributeError, match=r"'paretohqd\.plots' has no attribute 'draw'"):
        pq.plots.draw  # noqa: B018
