"""Values of expressions in every place where Polars takes them, beside the definition."""

import numpy as np
import polars as pl
import polars.selectors as cs
import pytest
from hypothesis import given
from hypothesis import strategies as st
from polars.testing import assert_frame_equal

import paretohqd as pq
from helpers import indicator_oracle, oracle
from helpers.drawn import frames
from helpers.expressed import ENGINES, FRAME, HOLED, OBJECTIVES, everywhere, in_chunks

LAYER = pq.layer_expr(OBJECTIVES)


@st.composite
def questions(draw):
    """A frame, objectives with directions, the same as points to maximise, and a stop."""
    frame = draw(frames())
    names = [name for name in frame.columns if name != "prompt"]
    larger = draw(st.lists(st.booleans(), min_size=len(names), max_size=len(names)))
    objectives = {n: "max" if up else "min" for n, up in zip(names, larger, strict=True)}
    points = frame.select(names).to_numpy().astype(float) * np.where(larger, 1.0, -1.0)
    stop = draw(st.sampled_from([{}, {"upto": 1}, {"upto": 3}, {"at_least": 4}]))
    return frame, objectives, points, stop


def defined(points, stop):
    """The layers of the definition, up to the stop if there is one."""
    whole = oracle.layers(points)
    return (oracle.stopped(whole, **stop) if stop else whole).tolist()


@given(questions())
def test_layers_are_those_of_the_definition(question):
    frame, objectives, points, stop = question
    layer = pq.layer_expr(objectives, **stop)
    result = everywhere(frame, layer)
    assert result["layer"].to_list() == defined(points, stop)
    assert_frame_equal(result, pq.layers(frame, objectives, **stop))
    expected = pq.layers(frame, objectives, by="prompt", **stop)
    for rows in frame.with_row_index().group_by("prompt").agg("index")["index"]:
        assert expected["layer"][rows].to_list() == defined(points[rows.to_numpy()], stop)
    assert_frame_equal(everywhere(frame, layer.over("prompt")), expected)
    within = pq.layer_expr(objectives, by="prompt", **stop)
    assert_frame_equal(everywhere(frame, within), expected)
    negated = [pl.col(n) if up == "max" else -pl.col(n) for n, up in objectives.items()]
    spelt = pq.layer_expr(negated, by=pl.col("prompt").str.tail(1), **stop)
    assert_frame_equal(everywhere(frame, spelt), expected)


@given(questions())
def test_fronts_are_filters(question):
    frame, objectives, points, _ = question
    rows = np.flatnonzero(oracle.layers(points) == 0)
    front = pq.front_expr(objectives)
    assert_frame_equal(frame.filter(front), frame[rows])
    assert everywhere(frame, front)["front"].dtype == pl.Boolean
    expected = pq.front(frame, objectives, by="prompt")
    for kept in (front.over("prompt"), pq.front_expr(objectives, by="prompt")):
        for engine in ENGINES:
            result = in_chunks(frame).lazy().filter(kept).collect(engine=engine)
            assert_frame_equal(result, expected)


@given(questions())
def test_crowding_distances(question):
    frame, objectives, points, _ = question
    result = everywhere(frame, pq.crowding_expr(objectives))
    assert result["crowding"].dtype == pl.Float64
    np.testing.assert_allclose(
        result["crowding"], indicator_oracle.crowding_distance(points), rtol=1e-13
    )
    groups = pq.pareto_layers(points)
    expected = pq.crowding_distance(points, by=groups)
    layer = pq.layer_expr(objectives)
    nested = everywhere(frame, pq.crowding_expr(objectives, by=layer))
    np.testing.assert_allclose(nested["crowding"], expected, rtol=1e-13)
    numbered = frame.with_columns(layer)
    over = everywhere(numbered, pq.crowding_expr(objectives).over("layer"))
    assert_frame_equal(over, numbered.with_columns(nested["crowding"]))


@given(questions(), st.sampled_from(ENGINES))
def test_aggregations(question, engine):
    frame, objectives, _, stop = question
    expected = (
        pq.layers(frame, objectives, by="prompt", **stop)
        .group_by("prompt", maintain_order=True)
        .agg("layer", first=(pl.col("layer") == 0).sum(), best=pl.col("a").filter(layer=0))
    )
    layer = pq.layer_expr(objectives, **stop)
    grouped = in_chunks(frame).lazy().group_by("prompt", maintain_order=True)
    result = grouped.agg(layer, first=(layer == 0).sum(), best=pl.col("a").filter(layer == 0))
    assert_frame_equal(result.collect(engine=engine), expected)


def test_windows_of_rows():
    frame = FRAME.with_columns(day=pl.Series([1, 2, 3, 4, 5]))
    parts = [frame[max(0, end - 3) : end].pareto.layers(OBJECTIVES) for end in range(1, 6)]
    rolled = frame.rolling("day", period="3i").agg(LAYER)
    assert rolled["layer"].to_list() == [part["layer"].to_list() for part in parts]
    blocks = frame.group_by_dynamic("day", every="2i", start_by="datapoint").agg(LAYER)
    parts = [frame[start : start + 2].pareto.layers(OBJECTIVES) for start in (0, 2, 4)]
    assert blocks["layer"].to_list() == [part["layer"].to_list() for part in parts]


SCORES = [pl.col("helpful"), -pl.col("length")]


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("rows", [0, 1])
def test_no_rows_and_one(rows, engine):
    frame = FRAME[:rows].lazy()
    added = {
        "layer": pq.layer_expr(SCORES),
        "within": pq.layer_expr(SCORES).over("prompt"),
        "by": pq.layer_expr(SCORES, by=["prompt", "length"], nan="drop"),
        "front": pq.front_expr(SCORES, nan="drop").over("prompt"),
        "crowding": pq.crowding_expr(SCORES, nan="drop"),
    }
    result = frame.with_columns(**added).collect(engine=engine)
    assert result.select(list(added)).rows() == [(0, 0, 0, True, np.inf)] * rows
    assert result.schema == frame.with_columns(**added).collect_schema()
    lists = frame.group_by("prompt").agg(LAYER, pq.crowding_expr(SCORES)).collect(engine=engine)
    assert lists.rows() == [("x", [0], [np.inf])] * rows
    assert lists["layer"].dtype == pl.List(pl.Int32)


@pytest.mark.parametrize("options", [{}, {"upto": 1}, {"at_least": 2}])
def test_rows_without_scores_are_null(options):
    layer = pq.layer_expr(OBJECTIVES, nan="drop", **options)
    assert_frame_equal(
        everywhere(HOLED, layer), HOLED.pareto.layers(OBJECTIVES, nan="drop", **options)
    )
    expected = HOLED.pareto.layers(OBJECTIVES, nan="drop", by="prompt", **options)
    assert_frame_equal(everywhere(HOLED, layer.over("prompt")), expected)
    within = pq.layer_expr(OBJECTIVES, by="prompt", nan="drop", **options)
    assert_frame_equal(everywhere(HOLED, within), expected)


def test_rows_without_scores_have_no_distance_and_are_in_no_front():
    full = HOLED[[0, 2, 4]]
    for by in (None, "prompt"):
        front = pq.front_expr(OBJECTIVES, by=by, nan="drop")
        assert HOLED.select(front)["front"].is_null().to_list() == [False, True, False, True, False]
        assert_frame_equal(HOLED.filter(front), pq.front(full, OBJECTIVES, by=by))
        crowding = HOLED.select(pq.crowding_expr(OBJECTIVES, by=by, nan="drop"))
        expected = pq.crowding_distance(
            full.select(OBJECTIVES.keys()), maximize=[True, False], by=by and full[by]
        ).tolist()
        crowding = HOLED.select(pq.crowding_expr(OBJECTIVES, by=by, nan="drop"))["crowding"]
        assert crowding.to_list() == [expected[0], None, expected[1], None, expected[2]]
    empty = HOLED.with_columns(helpful=None)
    result = empty.select(pq.layer_expr(OBJECTIVES, nan="drop").over("prompt"))
    assert result["layer"].to_list() == [None] * 5


def test_arrays_stand_for_their_components():
    rewards = pl.DataFrame(
        {
            "r": pl.Series([[1, 2], [2, 1], [1, 1], [0, 3]], dtype=pl.Array(pl.Float32, 2)),
            "g": ["x", "x", "x", "y"],
        }
    )
    for given_ in ("r", ["r"], {"r": "max"}, pl.col("r"), {"r": ["max", "max"]}):
        for options in ({}, {"nan": "drop"}):
            layer = pq.layer_expr(given_, **options)
            assert everywhere(rewards, layer)["layer"].to_list() == [0, 0, 1, 0]
            assert everywhere(rewards, layer.over("g"))["layer"].to_list() == [0, 0, 1, 0]
            within = pq.layer_expr(given_, by="g", **options)
            assert everywhere(rewards, within)["layer"].to_list() == [0, 0, 1, 0]
    mixed = pq.layer_expr({"r": ["max", "min"]}).over("g")
    assert_frame_equal(
        rewards.with_columns(mixed), pq.layers(rewards, {"r": ["max", "min"]}, by="g")
    )
    columns = rewards.select(pl.col("r").arr.to_struct(fields=["r1", "r2"])).unnest("r")
    gathered = pq.layer_expr([pl.concat_arr(cs.starts_with("r")).alias("r")])
    assert columns.select(gathered).to_series().to_list() == [0, 0, 1, 0]
    holed = rewards.with_columns(r=pl.when(pl.int_range(pl.len()) != 1).then("r"))
    dropped = holed.with_columns(pq.layer_expr("r", nan="drop").over("g"))
    assert dropped["layer"].to_list() == [0, None, 1, 0]


def test_numerals_that_are_text_are_numbers():
    written = FRAME.with_columns(pl.col("length").cast(pl.String))
    for by in (None, "prompt"):
        expected = FRAME.pareto.layers(OBJECTIVES, by=by)["layer"]
        layer = LAYER if by is None else LAYER.over(by)
        assert written.with_columns(layer)["layer"].equals(expected)


def test_the_order_of_nsga_two():
    layer = pq.layer_expr(OBJECTIVES)
    crowding = pq.crowding_expr(OBJECTIVES, by=["prompt", pq.layer_expr(OBJECTIVES, by="prompt")])
    frame = FRAME.with_columns(layer.over("prompt"), crowding)
    again = frame.with_columns(pq.crowding_expr(OBJECTIVES).over("prompt", "layer"))
    assert_frame_equal(frame, again)
    order = FRAME.sort(layer.over("prompt"), crowding, descending=[False, True])
    expected = frame.sort("layer", "crowding", descending=[False, True])
    assert_frame_equal(order, expected.drop("layer", "crowding"))
