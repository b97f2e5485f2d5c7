"""Pictures of a selection: what is drawn is what was selected, and little travels."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from io import StringIO
from itertools import pairwise, product
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

pytest.importorskip("altair")
pytest.importorskip("vl_convert")

from hypothesis import given, settings
from hypothesis import strategies as st

from paretohqd.plots import plot, save
from paretohqd.plots.density import Span, cell_counts, finite, spans
from paretohqd.plots.dots import rays, staircase
from paretohqd.plots.legends import colours
from paretohqd.selection import choose

HOSTILE = "</script><b>\"a.b[0]\" 'c'"


@dataclass(frozen=True)
class Made:
    """A selection as `plot` wants it."""

    rows: pl.DataFrame
    weights: Any
    objectives: Mapping[str, str]
    pool: pl.DataFrame
    r_min: Any
    r_max: Any
    n: int
    scores: pl.LazyFrame | None
    names: tuple[str, ...] | None = None
    by: tuple[str, ...] | None = None

    @property
    def through(self) -> Any:
        """The paper's rays."""
        return self.weights


def made(frame: pl.DataFrame, ways: Mapping[str, str], preferences: Any, **options: Any) -> Made:
    # Chosen under plain names: these are about pictures, and some look like patterns to Polars.
    plain = [f"o{i}" for i in range(len(ways))]
    back = dict(zip(plain, ways, strict=True))
    scores = frame.select(pl.selectors.by_name(name).alias(o) for o, name in back.items())
    chosen = choose(scores, dict(zip(plain, ways.values(), strict=True)), preferences, **options)
    pool = scores.cast(pl.Float64).with_columns(
        row=pl.int_range(pl.len(), dtype=pl.UInt64), layer=pl.Series(chosen.layer)
    )
    return Made(
        # Scores from an array column have no columns of their own.
        rows=chosen.rows.drop(plain),
        weights=chosen.weights,
        objectives=ways,
        pool=pool.filter(pl.col("layer") >= 0).rename(back),
        r_min=chosen.r_min,
        r_max=chosen.r_max,
        n=len(frame),
        scores=scores.lazy().rename(back),
    )


def cloud(n: int, ways: Mapping[str, str], seed: int = 0) -> pl.DataFrame:
    rng = np.random.default_rng(seed)
    return pl.DataFrame({name: rng.normal(size=n) for name in ways})


def panels(spec: Mapping[str, Any]) -> list[dict[str, Any]]:
    return [part for part in spec["concat"] if "layer" in part and "title" not in part]


def tables(spec: Mapping[str, Any], panel: Mapping[str, Any]) -> Iterator[tuple[Any, pl.DataFrame]]:
    """Each layer of a panel with its data."""
    for layer in panel["layer"]:
        data = spec["datasets"][layer["data"]["name"]]
        yield layer, pl.read_csv(StringIO(data)) if isinstance(data, str) else pl.DataFrame(data)


def drawn(spec: Mapping[str, Any], at: int, *fields: str) -> list[tuple[Any, pl.DataFrame]]:
    """Layers of panel `at` whose data have these fields."""
    found = tables(spec, panels(spec)[at])
    return [(layer, data) for layer, data in found if set(fields) <= set(data.columns)]


TWO = {"a": "max", "b": "min"}
THREE = {"helpful": "max", HOSTILE: "max", "^length.*$": "min"}


@pytest.fixture(scope="module")
def three() -> tuple[pl.DataFrame, Made, dict[str, Any]]:
    frame = cloud(20_000, THREE)
    selection = made(frame, THREE, 15, k=40)
    return frame, selection, plot(selection).to_dict()


def test_the_cells_of_every_panel_hold_all_rows(three: Any) -> None:
    frame, _, spec = three
    assert len(panels(spec)) == 3
    for at in range(3):
        ((_, cells),) = drawn(spec, at, "i", "j", "n")
        assert cells["n"].sum() == len(frame)


def test_cells_are_the_histogram() -> None:
    rows = cloud(5_000, {"v0": "", "v1": "", "v2": ""}).lazy()
    axes = [Span(low=-2.0, width=0.25, cells=12), *[Span(low=-1.0, width=0.1, cells=30)] * 2]
    pairs = [(0, 1), (0, 2), (1, 2)]
    counts = cell_counts(rows, axes, pairs)
    data = rows.collect()
    for pair in pairs:
        edges = [axes[k].low + axes[k].width * np.arange(axes[k].cells + 1) for k in pair]
        expected, *_ = np.histogram2d(*(data[f"v{k}"] for k in pair), bins=edges)
        found = np.zeros_like(expected)
        for i, j, n in counts[pair].rows():
            found[i, j] += n
        assert (found == expected).all()


def test_rows_without_scores_and_rows_far_out_are_told() -> None:
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


def test_a_null_is_no_score_and_infinity_has_no_place() -> None:
    frame = pl.LazyFrame({"a": [1.0, None, float("inf"), 2.0], "b": [1, 2, 3, 4]})
    assert finite(frame, ["a", "b"]).collect().rows() == [(1.0, 1.0), (2.0, 4.0)]


@given(st.lists(st.integers(-50, 2_000), min_size=2), st.integers(2, 100))
def test_cells_of_whole_numbers_hold_equally_many(values: list[int], cells: int) -> None:
    rows = pl.LazyFrame({"v0": values}).cast(pl.Float64)
    ends = np.array([max(values)]), np.array([min(values)])
    (axis,), known = spans(rows, len(values), *ends, cells=cells)
    assert known == len(values)
    assert axis.low < min(values) <= max(values) < axis.high
    assert axis.cells <= cells
    assert axis.width == round(axis.width)
    assert axis.low % 1 == 0.5


@given(
    st.floats(-1e12, 1e12),
    st.floats(1e-3, 1e12),
    st.lists(st.floats(0, 1), min_size=1),
    st.booleans(),
)
def test_axes_hold_the_box_and_the_rows(
    low: float, size: float, shares: list[float], smaller: bool
) -> None:
    values = [low + size * share for share in shares]
    box = np.array([low]), np.array([low + size])
    rows = pl.LazyFrame({"v0": values})
    (axis,), _ = spans(rows, len(values), *(box if smaller else box[::-1]), cells=40)
    assert axis.low < low <= low + size < axis.high
    (count,) = cell_counts(rows.with_columns(v1="v0"), [axis, axis], [(0, 1)]).values()
    assert count["n"].sum() == len(values)


@settings(deadline=None)
@given(
    st.lists(st.floats(0, 1), min_size=3, max_size=3).filter(lambda w: sum(w) > 0.1),
    st.lists(st.sampled_from([-1.0, 1.0]), min_size=3, max_size=3),
)
def test_rays_run_from_the_ideal_through_the_weighted_point_to_the_edge(
    parts: list[float], signs: list[float]
) -> None:
    weights = np.array([parts]) / sum(parts)
    ideal = np.array([3.0, 5.0, 7.0])
    nadir = ideal - [1, 2, 4] * np.array(signs)
    axes = [Span(low=o - 9, width=1.0, cells=18) for o in ideal]
    through = nadir + weights[0] * (ideal - nadir)
    for pair in ((0, 1), (0, 2), (1, 2)):
        pick = list(pair)
        for ray in rays(weights, [0], pair, ideal, nadir, axes):
            start, end = np.array([ray["x"], ray["y"]]), np.array([ray["x2"], ray["y2"]])
            assert (start == ideal[pick]).all()
            way = through[pick] - start
            length = (end - start) @ way / (way @ way)
            assert length > 1
            np.testing.assert_allclose(end, start + length * way, atol=1e-6)
            ends = [(axes[k].low, axes[k].high) for k in pair]
            outside = [max(lo - e, e - hi) for e, (lo, hi) in zip(end, ends, strict=True)]
            assert max(outside) == pytest.approx(0, abs=1e-9)


def test_every_panel_has_the_rays_of_the_selection(three: Any) -> None:
    _, selection, spec = three
    for at, pair in enumerate([(0, 1), (0, 2), (1, 2)]):
        ((_, lines),) = drawn(spec, at, "p", "x2", "y2")
        assert lines["p"].to_list() == list(range(15))
        ideal = selection.r_max[list(pair)]
        assert (lines.select("x", "y").to_numpy() == ideal).all()
        through = selection.r_min + selection.weights * (selection.r_max - selection.r_min)
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
        expected = np.sort(selection.pool.filter(layer)[:, 2])
        np.testing.assert_allclose(np.sort(dots["v2"]), expected, atol=1e-3)


def test_axes_are_titled_with_the_direction(three: Any) -> None:
    _, _, spec = three
    first = panels(spec)[1]["layer"][0]["encoding"]
    assert first["x"]["title"] == ["helpful (larger is better)"]
    assert first["y"]["title"] == ["^length.*$ (smaller is better)"]


def edge(points: list[tuple[float, float]], way: str, x: float) -> float:
    """Height of the line at x, between two points of it."""
    for (x1, y1), (x2, y2) in pairwise(points):
        if x1 < x < x2:
            return y2 if way == "step-before" else y1
    raise AssertionError


@pytest.mark.parametrize("ways", list(product(["max", "min"], repeat=2)))
def test_the_staircase_is_the_edge_of_what_the_front_dominates(ways: tuple[str, str]) -> None:
    objectives = dict(zip("ab", ways, strict=True))
    frame = cloud(300, objectives)
    selection = made(frame, objectives, 3, k=5)
    front = selection.pool.filter(pl.col("layer") == 0).select(v0="a", v1="b").sort("v0")
    way = staircase(front, objectives)
    assert way is not None
    a, b = front["v0"].to_numpy(), front["v1"].to_numpy()
    for x in (a[:-1] + a[1:]) / 2:
        reached = b[a > x] if ways[0] == "max" else b[a < x]
        best = reached.max() if ways[1] == "max" else reached.min()
        assert edge(front.rows(), way, x) == best


def test_a_long_front_keeps_its_staircase_when_thinned_and_rounded() -> None:
    angle = np.random.default_rng(0).uniform(0, np.pi / 2, 50_000)
    frame = pl.DataFrame({"a": np.cos(angle), "b": -np.sin(angle)})
    spec = plot(made(frame, TWO, 3, k=5), points=500).to_dict()
    lines = [
        data for layer, data in tables(spec, panels(spec)[0]) if layer["mark"]["type"] == "line"
    ]
    assert [line.height for line in lines] == [500]
    assert lines[0]["v0"].is_sorted()
    assert lines[0]["v1"].is_sorted()


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
    selection = replace(made(cloud(500, TWO), TWO, 3, k=5), names=names)
    chart = plot(selection, preferences=[2, "first"])
    ((_, dots),) = drawn(chart.to_dict(), 0, "p", "row")
    assert set(dots["p"]) == {0, 2}
    save(chart, tmp_path / "x.svg")
    text = (tmp_path / "x.svg").read_text()
    assert all(word in text for word in (">first<", ">last &lt;&amp;&gt;<", ">ideal<", ">nadir<"))
    assert ">middle<" not in text


@pytest.mark.parametrize(
    ("options", "told"),
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
def test_arguments_out_of_range(options: dict[str, Any], told: str) -> None:
    selection = replace(made(cloud(50, TWO), TWO, 3, k=5), names=("x", "y", "z"))
    with pytest.raises(ValueError, match=told):
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
    chart = plot(replace(selection, names=(HOSTILE,) * 15))
    for ending in ("png", "svg", "html", "SVG"):
        save(chart, tmp_path / f"x.{ending}")
    assert (tmp_path / "x.png").read_bytes().startswith(b"\x89PNG")
    page = (tmp_path / "x.html").read_text()
    assert page.count("</script>") == 2
    assert "src=" not in page.split("<body>")[1]
    assert "<script src" not in page
    # As many marks as rows, so no expression of the chart failed.
    marks = (tmp_path / "x.svg").read_text().count('aria-roledescription="circle"')
    assert marks >= 3 * (selection.rows.height + selection.pool.height)
    assert {path.name for path in tmp_path.iterdir()} == {"x.png", "x.svg", "x.html", "x.SVG"}


def test_saving_is_whole_or_not_at_all(tmp_path: Path) -> None:
    class Broken:
        def save(self, path: Path, **_: Any) -> None:
            path.write_text("half")
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
        "try: import paretohqd.plots\n"
        "except ImportError as error: print(error)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "pip install 'paretohqd[plot]'" in done.stdout


def lab(rgb: Any) -> Any:
    """CIELAB of linear sRGB, D65."""
    matrix = [[0.4124, 0.3576, 0.1805], [0.2126, 0.7152, 0.0722], [0.0193, 0.1192, 0.9505]]
    xyz = rgb @ np.array(matrix).T / np.sum(matrix, axis=1)
    f = np.where(xyz > 0.008856, np.cbrt(xyz), 7.787 * xyz + 16 / 116)
    x, y, z = f.T
    return np.stack([116 * y - 16, 500 * (x - y), 200 * (y - z)], axis=1)


# Machado, Oliveira and Fernandes (2009), full severity.
VISIONS = {
    "all": np.eye(3),
    "no red": [
        [0.152286, 1.052583, -0.204868],
        [0.114503, 0.786281, 0.099216],
        [-0.003882, -0.048116, 1.051998],
    ],
    "no green": [
        [0.367322, 0.860646, -0.227968],
        [0.280085, 0.672501, 0.047413],
        [-0.011820, 0.042940, 0.968881],
    ],
    "no blue": [
        [1.255528, -0.076749, -0.178779],
        [-0.078411, 0.930809, 0.147602],
        [0.004733, 0.691367, 0.303900],
    ],
}


@pytest.mark.parametrize("vision", VISIONS)
def test_fifteen_preferences_can_be_told_apart(vision: str) -> None:
    weights = np.array([(i, j, 4 - i - j) for i in range(5) for j in range(5 - i)]) / 4
    codes = [[int(c[at : at + 2], 16) / 255 for at in (1, 3, 5)] for c in colours(weights)]
    linear = ((np.array(codes) + 0.055) / 1.055) ** 2.4
    seen = lab(np.clip(linear @ np.array(VISIONS[vision]).T, 0, 1))
    apart = np.linalg.norm(seen[:, None] - seen[None], axis=2)
    # About 2 is the least difference that is seen at all.
    assert apart[~np.eye(15, dtype=bool)].min() > 9
