import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st
from polars.testing import assert_frame_equal

import paretohqd as pq
from helpers import oracle

FRAME = pl.DataFrame(
    {
        "helpful": [0.5, 1.0, 0.0, 0.25, 0.5],
        "length": [10, 30, 5, 30, 10],
        "prompt": ["x", "y", "x", "y", "y"],
    }
)
OBJECTIVES = {"helpful": "max", "length": "min"}


def signed(frame):
    return np.column_stack([frame["helpful"].to_numpy(), -frame["length"].to_numpy()])


@given(
    rows=st.lists(st.tuples(st.integers(0, 4), st.integers(0, 4), st.sampled_from("xyz"))),
)
def test_layers_and_front_within_groups(rows):
    frame = pl.DataFrame(
        rows,
        schema={"helpful": pl.Float64, "length": pl.Int64, "prompt": pl.String},
        orient="row",
    )
    whole = frame.pareto.layers(OBJECTIVES)
    np.testing.assert_array_equal(whole["layer"], oracle.layers(signed(frame)))
    parted = frame.with_row_index("id").pareto.layers(OBJECTIVES, by="prompt")
    for part in parted.partition_by("prompt"):
        np.testing.assert_array_equal(part["layer"], oracle.layers(signed(part)))
    assert_frame_equal(frame.pareto.front(OBJECTIVES), whole.filter(layer=0).drop("layer"))
    assert_frame_equal(
        frame.with_row_index("id").pareto.front(OBJECTIVES, by="prompt"),
        parted.filter(layer=0).drop("layer"),
    )


def test_layers_keep_the_frame_and_take_options():
    result = FRAME.pareto.layers(OBJECTIVES, name="rank", upto=1, n_threads=1)
    assert result.columns == [*FRAME.columns, "rank"]
    assert result["rank"].to_list() == [0, 0, 0, -1, 0]
    assert result["rank"].dtype == pl.Int32
    assert_frame_equal(result.drop("rank"), FRAME)
    for at_least, expected in ((2, [0, 0, 0, -1, 0]), (3, [0, 0, 0, 1, 0])):
        stopped = FRAME.pareto.layers(OBJECTIVES, by="prompt", at_least=at_least)
        assert stopped["layer"].to_list() == expected


def test_select_is_paretohqd_select():
    options = {"k": 2, "at_least": 5, "scale": "none", "distinct": "prompt"}
    expected = pq.select(FRAME, OBJECTIVES, [[1, 0], [0.25, 0.75]], **options)
    assert_frame_equal(FRAME.pareto.select(OBJECTIVES, [[1, 0], [0.25, 0.75]], **options), expected)
    with pytest.raises(TypeError, match="unexpected keyword argument 'kk'"):
        FRAME.pareto.select(OBJECTIVES, kk=2)


def test_hypervolume_reads_the_reference_in_the_columns_units():
    assert FRAME.pareto.hypervolume(OBJECTIVES, ref=[0, 40]) == pytest.approx(
        oracle.hypervolume(signed(FRAME), np.array([0, -40.0]))
    )
    with pytest.raises(ValueError, match="2 objectives"):
        FRAME.pareto.hypervolume(OBJECTIVES, ref=[0])


@pytest.mark.parametrize("by", ["prompt", ["prompt"], ["prompt", "helpful"]])
def test_hypervolume_of_each_group(by):
    keys = [by] if isinstance(by, str) else by
    expected = pl.concat(
        part[:1]
        .select(keys)
        .with_columns(hypervolume=pl.lit(part.pareto.hypervolume(OBJECTIVES, ref=[0, 40])))
        for part in FRAME.partition_by(keys, maintain_order=True)
    )
    assert_frame_equal(FRAME.pareto.hypervolume(OBJECTIVES, ref=[0, 40], by=by), expected)
    lazy = FRAME.lazy().pareto.hypervolume(OBJECTIVES, ref=[0, 40], by=by)
    assert lazy.collect_schema() == expected.schema
    assert_frame_equal(lazy.collect(), expected)
    empty = FRAME[:0].pareto.hypervolume(OBJECTIVES, ref=[0, 40], by=by)
    assert_frame_equal(empty, expected[:0])


def test_hypervolume_within_groups_refuses_what_has_no_volume():
    def call(frame, **options):
        return frame.pareto.hypervolume(OBJECTIVES, **{"ref": [0, 40], "by": "prompt", **options})

    with pytest.raises(ValueError, match="by: no column 'promt': the frame has helpful, length"):
        call(FRAME, by="promt")
    with pytest.raises(ValueError, match="2 objectives"):
        call(FRAME, ref=[0])
    with pytest.raises(ValueError, match="by: column 'prompt' is null in 5 of 5 rows"):
        call(FRAME.with_columns(prompt=None))
    with pytest.raises(ValueError, match="already has a column 'hypervolume', which is added"):
        call(FRAME.rename({"prompt": "hypervolume"}), by="hypervolume")
    for frame in (HOLED, HOLED.lazy()):
        with pytest.raises(ValueError, match=r"'helpful' holds 1 null and 1 NaN .first at row 1"):
            call(frame).lazy().collect()


@pytest.mark.parametrize("method", ["layers", "front"])
def test_wrong_calls_are_value_errors(method):
    call = getattr(FRAME.pareto, method)
    with pytest.raises(ValueError, match="by: no column 'promt': the frame has helpful, length"):
        call(OBJECTIVES, by="promt")
    with pytest.raises(ValueError, match="objectives: no column 'x'"):
        call(["helpful", "x"])
    with pytest.raises(ValueError, match="null"):
        getattr(FRAME.with_columns(prompt=None).pareto, method)(OBJECTIVES, by="prompt")


def test_a_column_is_not_overwritten():
    with pytest.raises(ValueError, match="already has a column 'prompt'"):
        FRAME.pareto.layers(OBJECTIVES, name="prompt")


HOLED = FRAME.with_columns(helpful=pl.Series([0.5, None, 0.0, float("nan"), 0.25]))


@pytest.mark.parametrize("options", [{}, {"upto": 1}, {"at_least": 2}, {"by": "prompt"}])
def test_rows_without_scores_have_no_layer(options):
    full = HOLED[[0, 2, 4]]
    expected = full.pareto.layers(OBJECTIVES, **options)["layer"].to_list()
    expected = [expected[0], None, expected[1], None, expected[2]]
    result = HOLED.pareto.layers(OBJECTIVES, nan="drop", **options)
    assert result["layer"].to_list() == expected
    assert result["layer"].dtype == pl.Int32
    assert_frame_equal(result.drop("layer"), HOLED)
    lazy = HOLED.lazy().pareto.layers(OBJECTIVES, nan="drop", **options)
    assert_frame_equal(lazy.collect(), result)
    assert lazy.filter(pl.col("layer").is_null()).collect().height == 2
    for data in (HOLED, HOLED.lazy()):
        with pytest.raises(ValueError, match=r"'helpful' holds 1 null and 1 NaN .first at row 1"):
            data.pareto.layers(OBJECTIVES, **options).lazy().collect()
        with pytest.raises(ValueError, match="nan must be 'raise' or 'drop', got 'keep'"):
            data.pareto.layers(OBJECTIVES, nan="keep", **options)


@pytest.mark.parametrize("options", [{}, {"by": "prompt"}])
def test_rows_without_scores_are_in_no_front(options):
    expected = HOLED[[0, 2, 4]].pareto.front(OBJECTIVES, **options)
    assert_frame_equal(HOLED.pareto.front(OBJECTIVES, nan="drop", **options), expected)
    lazy = HOLED.lazy().pareto.front(OBJECTIVES, nan="drop", **options)
    assert_frame_equal(lazy.collect(), expected)


def test_a_column_of_nulls_alone_leaves_no_layer():
    frame = FRAME.with_columns(helpful=None)
    for data in (frame, frame.lazy()):
        result = data.pareto.layers(OBJECTIVES, nan="drop").lazy().collect()
        assert result["layer"].to_list() == [None] * 5
        assert data.pareto.front(OBJECTIVES, nan="drop").lazy().collect().is_empty()
