"""Axes, cells, rays and staircases of a picture, each against its definition."""

from __future__ import annotations

from itertools import pairwise, product

import numpy as np
import polars as pl
import pytest

pytest.importorskip("altair")

from hypothesis import given, settings
from hypothesis import strategies as st

from helpers.pictures import TWO, cloud, made, panels, tables
from paretohqd.plots.selection import plot
from paretohqd.plots.selection_cells import Span, cell_counts, finite, spans
from paretohqd.plots.selection_picture import rays, staircase


def test_cells_are_the_histogram() -> None:
    rows = cloud(5_000, {"v0": "", "v1": "", "v2": ""}).lazy()
    axes = [Span(low=-2.0, width=0.25, cells=12), *[Span(low=-1.0, width=0.1, cells=30)] * 2]
    pairs = [(0, 1), (0, 2), (1, 2)]
    counts = cell_counts(rows, axes, pairs)
    data = rows.collect()
    for pair in pairs:
        edges = [axes[k].low + axes[k].width * np.arange(axes[k].cells + 1) for k in pair]
        expected, *_ = np.histogram2d(*(data[f"v{k}"] for k in pair), bins=edges)
        counted = np.zeros_like(expected)
        for i, j, n in counts[pair].rows():
            counted[i, j] += n
        assert (counted == expected).all()


def test_a_null_is_no_score_and_infinity_has_no_place() -> None:
    frame = pl.LazyFrame({"a": [1.0, None, float("inf"), 2.0], "b": [1, 2, 3, 4]})
    assert finite(frame, ["a", "b"]).collect().rows() == [(1.0, 1.0), (2.0, 4.0)]


@given(st.lists(st.integers(-50, 2_000), min_size=2), st.integers(2, 100))
def test_cells_of_whole_numbers_hold_equally_many(values: list[int], cells: int) -> None:
    rows = pl.LazyFrame({"v0": values}).cast(pl.Float64)
    ends = np.array([max(values)]), np.array([min(values)])
    (axis,), finite_rows = spans(rows, len(values), *ends, cells=cells)
    assert finite_rows == len(values)
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
