"""Rows that are equally far from a ray: by layer, then by row, as in exact arithmetic."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from polars.testing import assert_frame_equal

import paretohqd as pq
from helpers import oracle

NAMES = ["a", "b", "c", "d"]
pytestmark = pytest.mark.filterwarnings("ignore:all .* preferences get the same")


def squared_distance(point, ideal, way):
    """From a point to the ray from the ideal point along `way`, exact."""
    q = [x - o for x, o in zip(point, ideal, strict=True)]
    along = sum(x * d for x, d in zip(q, way, strict=True))
    length = sum(d * d for d in way)
    return sum(x * x for x in q) - max(along, Fraction(0)) ** 2 / length


def exact_way(shares, directions):
    """How the objectives fall along the ray of weights in these proportions."""
    if directions == "paper" or len(shares) == 2:
        return [Fraction(share, sum(shares)) - 1 for share in shares]
    if 0 in shares:
        return [Fraction(-(share == 0)) for share in shares]
    return [Fraction(-1, share) for share in shares]


def exact_ranking(points, layer, shares, directions):
    """Rows of the pool by exact distance in units of the box, layer and row."""
    pool = np.flatnonzero(layer >= 0)
    low, high = points[pool].min(axis=0), points[pool].max(axis=0)
    box = [
        [Fraction(int(x - a), int(b - a)) for x, a, b in zip(row, low, high, strict=True)]
        for row in points[pool]
    ]
    ideal, way = [Fraction(1)] * len(shares), exact_way(shares, directions)
    ranks = [
        (squared_distance(point, ideal, way), layer[row], row)
        for point, row in zip(box, pool, strict=True)
    ]
    return [int(row) for *_, row in sorted(ranks)]


@st.composite
def problems(draw):
    m = draw(st.integers(2, 4))
    top = draw(st.sampled_from([2, 4, 10]))
    rows = draw(st.lists(st.tuples(*[st.integers(0, top)] * m), min_size=4, max_size=40))
    # No row beats all others, so that the first layer has a box.
    rows += [tuple(top + 1 if i == j else 0 for i in range(m)) for j in range(m)]
    shares = draw(
        st.lists(st.lists(st.integers(0, 5), min_size=m, max_size=m).filter(any), min_size=1)
    )
    return np.array(rows), shares, draw(st.integers(1, 6))


@settings(deadline=None)
@given(
    problems(),
    st.sampled_from([{}, {"upto": 2}, {"at_least": 12}]),
    st.sampled_from(["paper", "tchebycheff"]),
    st.sampled_from([pl.Int8, pl.Float32, pl.Float64]),
)
def test_the_order_of_whole_numbers_is_that_of_exact_arithmetic(problem, stop, directions, dtype):
    points, shares, k = problem
    names = NAMES[: points.shape[1]]
    frame = pl.DataFrame(points, schema=dict.fromkeys(names, dtype))
    weights = [dict(zip(names, each, strict=True)) for each in shares]
    # The corners alone are sure to be in the first layers.
    k = min(k, len(names)) if "upto" in stop else k
    options = {"k": k, "directions": directions, **stop}
    chosen = pq.choose(frame, names, weights, **options)
    for number, each in enumerate(shares):
        expected = exact_ranking(points, chosen.layer, each, directions)[:k]
        assert chosen.of(number)["row"].to_list() == expected
    ranked = chosen.rows.sort("preference", "distance", "layer", "row")
    assert_frame_equal(chosen.rows, ranked)
    # Every way to the rows gives the same bytes.
    assert_frame_equal(pq.select(frame.lazy(), names, weights, **options), chosen.rows)
    three = pq.select(frame, names, weights, n_threads=3, **options)
    assert_frame_equal(three, chosen.rows, check_exact=True)
    held = stop or {"upto": len(chosen.layer_sizes())}
    state = pq.FirstLayers(names, **held).add(frame[:7]).add(frame[7:])
    again = pq.choose_from(state, weights, k=k, directions=directions)
    assert_frame_equal(again.rows, chosen.rows, check_exact=True)


@settings(deadline=None)
@given(st.lists(problems().filter(lambda p: p[0].shape[1] == 3), min_size=2, max_size=3))
def test_so_it_is_within_groups(parts):
    shares, k = parts[0][1:]
    points = np.vstack([rows for rows, *_ in parts])
    group = np.repeat(np.arange(len(parts)), [len(rows) for rows, *_ in parts])
    order = np.random.default_rng(0).permutation(len(group))
    points, group = points[order], group[order]
    frame = pl.DataFrame(points, schema=NAMES[:3]).with_columns(prompt=pl.Series(group))
    weights = [dict(zip(NAMES[:3], each, strict=True)) for each in shares]
    selected = pq.choose(frame, NAMES[:3], weights, k=k, by="prompt")
    for key in range(len(parts)):
        members = np.flatnonzero(group == key)
        layer = oracle.stopped(oracle.layers(points[members]), at_least=k)
        for number, each in enumerate(shares):
            expected = exact_ranking(points[members], layer, each, "paper")[:k]
            chosen = selected.of(number).filter(prompt=key)["row"].to_list()
            assert chosen == members[expected].tolist()


@pytest.mark.parametrize("grouped", [False, True])
def test_many_equal_rows_make_no_row_be_overlooked(grouped):
    """The first of 900 rows at distance 0 comes last, and beats them."""
    worse = [(4, y, y) for y in (3, 2, 1) for _ in range(300)]
    rows = [*worse, (0, 5, 5), (4, 4, 4), (4, 4, 4)]
    frame = pl.DataFrame(rows, schema=["a", "b", "c"], orient="row").with_columns(prompt=1)
    options = {"by": "prompt"} if grouped else {}
    chosen = pq.select(frame, ["a", "b", "c"], [[1, 0, 0]], k=3, at_least=len(rows), **options)
    assert chosen["row"].to_list() == [901, 902, 0]
    assert chosen["distance"].n_unique() == 1
    assert chosen["distance"][0] < 1e-15


def test_a_better_row_of_the_same_distance_is_taken_first():
    """Whole numbers from 0 to 4: all weight on the first, and most rows have a 4 there."""
    rng = np.random.default_rng(0)
    base = rng.normal(3, 1, 5000)
    scores = {
        name: np.clip(np.round(base + rng.normal(0, 0.7, 5000)), 0, 4).astype(int)
        for name in ("helpful", "correct")
    }
    chosen = pq.choose(pl.DataFrame(scores), list(scores), [[1, 0], [0, 1]], k=100, upto=3)
    assert chosen.rows["helpful"].unique().to_list() == [4]
    assert chosen.rows["correct"].unique().to_list() == [4]
    assert (chosen.rows["layer"] == 0).all()


def test_distinct_keeps_to_that_order():
    frame = pl.DataFrame({"a": [4, 4, 4, 0], "b": [3, 4, 4, 5], "prompt": ["x", "x", "y", "z"]})
    chosen = pq.select(frame, ["a", "b"], [[1, 0]], k=2, distinct="prompt", at_least=4)
    assert chosen["row"].to_list() == [1, 2]


def test_what_differs_by_more_than_rounding_keeps_its_order():
    b = np.array([1e-12, 0.0, 5e-13])
    frame = pl.DataFrame({"a": [0.5, 0.5, 0.5, 1.0, 0.0], "b": [*(0.5 + b), 0.0, 1.0]})
    chosen = pq.select(frame, ["a", "b"], [[0.5, 0.5]], k=3, at_least=5)
    assert chosen["row"].to_list() == [1, 2, 0]
