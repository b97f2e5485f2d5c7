"""What is streamed gives the answer of what is in memory."""

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from polars.testing import assert_frame_equal

import paretohqd as pq
from helpers.drawn import NAMES, frames
from paretohqd.frames import batches, kept_layers

pytestmark = pytest.mark.filterwarnings("ignore:all .* preferences get the same")


@pytest.fixture(autouse=True)
def small_batches(monkeypatch):
    """As if there were many more rows."""
    monkeypatch.setattr(kept_layers, "SETTLE", 16)
    monkeypatch.setattr(batches, "MAX_ROWS", 7)


def same_or_both_refused(call, *frames):
    """The answer to every frame, or everywhere the same message."""
    answers = []
    for frame in frames:
        try:
            answers.append(call(frame))
        except ValueError as error:
            answers.append(str(error))
    first, *rest = answers
    for other in rest:
        if isinstance(first, str) or isinstance(other, str):
            assert first == other
        else:
            assert_frame_equal(first, other)
    return first


OPTIONS = [
    {},
    {"bounds": "all"},
    {"scale": "none"},
    {"distinct": "prompt"},
    {"duplicates": "drop"},
    {"distinct": "prompt", "duplicates": "drop"},
]
STOPS = [{}, {"upto": 1}, {"upto": 3}, {"at_least": 4}, {"at_least": 30}, {"at_least": 1000}]


@settings(max_examples=300, deadline=None)
@given(
    frame=frames(),
    stop=st.sampled_from(STOPS),
    k=st.integers(1, 6),
    options=st.sampled_from(OPTIONS),
    minimised=st.booleans(),
)
def test_select_of_a_lazy_frame(frame, stop, k, options, minimised):
    names = frame.columns[:-1]
    objectives = dict.fromkeys(names, "min") if minimised else names
    same_or_both_refused(
        lambda frame: pq.select(frame, objectives, 3, k=k, **stop, **options), frame, frame.lazy()
    )


@settings(deadline=None)
@given(
    frame=frames(),
    k=st.integers(1, 3),
    stop=st.sampled_from(STOPS),
    duplicates=st.sampled_from(["keep", "drop"]),
)
def test_select_within_groups_of_a_lazy_frame(frame, k, stop, duplicates):
    options = {"k": k, "by": "prompt", "duplicates": duplicates, **stop}
    same_or_both_refused(
        lambda frame: pq.select(frame, frame_names(frame), 3, **options),
        frame,
        frame.lazy(),
    )


def frame_names(frame):
    return [name for name in frame.collect_schema() if name in NAMES]


@settings(deadline=None)
@given(frame=frames(), stop=st.sampled_from(STOPS), by=st.sampled_from([None, "prompt"]))
def test_layers_and_front_of_a_lazy_frame(frame, stop, by):
    names = frame_names(frame)
    lazy = frame.lazy().pareto.layers(names, by=by, **stop)
    expected = frame.pareto.layers(names, by=by, **stop)
    assert lazy.collect_schema() == expected.schema
    assert_frame_equal(lazy.collect(), expected)
    assert_frame_equal(
        lazy.filter(pl.col("layer") == 0).select("layer", "a").collect(),
        expected.filter(pl.col("layer") == 0).select("layer", "a"),
    )
    assert_frame_equal(lazy.head(3).collect(), expected.head(3))
    assert_frame_equal(lazy.slice(2, 9).collect(), expected.slice(2, 9))
    front = frame.lazy().pareto.front(names, by=by).collect()
    assert_frame_equal(front, frame.pareto.front(names, by=by))


@settings(deadline=None)
@given(frame=frames(), k=st.integers(1, 5))
def test_rays_and_volume_of_a_lazy_frame(frame, k):
    names = frame_names(frame)
    m = len(names)
    ref = np.full(m, -5.0)
    assert frame.lazy().pareto.hypervolume(names, ref=ref) == pytest.approx(
        frame.pareto.hypervolume(names, ref=ref), rel=1e-12
    )
    ends = np.vstack([np.zeros(m), np.eye(m)])
    same_or_both_refused(
        lambda frame: frame.pareto.rays(names, np.full(m, 1e4), ends, k=k).lazy().collect(),
        frame,
        frame.lazy(),
    )


def test_lazy_methods_compute_nothing_before_they_are_collected():
    def refuse():
        raise RuntimeError("was read")

    lazy = pl.defer(refuse, schema={"a": pl.Float64, "b": pl.Float64})
    for result in (
        lazy.pareto.layers(["a", "b"], upto=2),
        lazy.pareto.front(["a", "b"]),
        lazy.pareto.select(["a", "b"], 3, k=1),
        lazy.pareto.rays(["a", "b"], [0, 0], [[1, 1]], k=1),
    ):
        assert result.collect_schema().names()[:2] == ["a", "b"]
        with pytest.raises((RuntimeError, pl.exceptions.ComputeError), match="was read"):
            result.collect()


def test_the_schema_of_a_lazy_selection_is_that_of_its_rows():
    frame = cloud(50)
    for preferences in (3, {"left": [1, 0], "right": [0, 1]}):
        lazy = frame.lazy().pareto.select(["a", "b"], preferences, k=2)
        expected = pq.select(frame, ["a", "b"], preferences, k=2)
        assert lazy.collect_schema() == expected.schema
        assert_frame_equal(lazy.collect(), expected)


def cloud(n, seed=3):
    values = np.random.default_rng(seed).normal(size=(n, 2))
    return pl.DataFrame(values, schema=["a", "b"]).with_columns(id=pl.int_range(n))


def test_rows_that_push_the_pool_aside_make_it_read_again(monkeypatch):
    """Rows in ascending order: what the first batches need says little about the last."""
    monkeypatch.setattr(kept_layers, "SETTLE", 1)
    side = np.arange(60.0)
    low = pl.DataFrame({"a": side, "b": side[::-1]})
    chain = pl.DataFrame({"a": 100 + side, "b": 100 + side})
    frame = pl.concat([low, chain])
    read = []
    lazy = frame.lazy()
    chosen = pq.choose(lazy, ["a", "b"], 3, k=8, progress=read.append)
    assert_frame_equal(chosen.rows, pq.select(frame, ["a", "b"], 3, k=8))
    assert read.count(7) > 1, "read more than once"


def test_parts_of_the_answer():
    frame = cloud(200)
    chosen, expected = (pq.choose(each, ["a", "b"], 3, k=5) for each in (frame.lazy(), frame))
    np.testing.assert_array_equal(chosen.layer, expected.layer)
    assert chosen.layer_sizes() == expected.layer_sizes()
    assert_frame_equal(chosen.pool, expected.pool)
    np.testing.assert_array_equal(chosen.r_min, expected.r_min)
    np.testing.assert_array_equal(chosen.r_max, expected.r_max)
    assert_frame_equal(chosen.scores.collect(), frame.select("a", "b"))


def test_rows_in_another_order_each_time_are_noticed():
    frame = cloud(60)
    rng = np.random.default_rng(0)
    lazy = pl.defer(lambda: frame[rng.permutation(60)], schema=frame.schema)
    with pytest.raises(ValueError, match="another order each time"):
        pq.select(lazy, ["a", "b"], 3, k=5)


def test_the_memory_limit():
    side = np.arange(20_000.0)
    front = pl.LazyFrame({"a": side, "b": -side})
    with pytest.raises(ValueError, match="first 1 layers take more than the memory limit"):
        pq.select(front, ["a", "b"], 3, k=5, upto=1, memory_limit=100_000)
    pq.select(front, ["a", "b"], 3, k=5, upto=1, memory_limit=2_000_000)


BAD = [
    ([1.0, None, float("nan"), None], r"column 'b' holds 2 nulls and 1 NaN \(first at row 101\)"),
    ([1.0, 2.0, float("nan"), 3.0], r"column 'b' holds 1 NaN \(first at row 102\)"),
    ([1.0, 2.0, 3.0, float("inf")], r"column 'b' holds 1 infinite values \(first at row 103\)"),
]


@pytest.mark.parametrize(("end", "message"), BAD)
@pytest.mark.parametrize("by", [None, "id"])
def test_bad_scores_are_counted_in_all_rows(end, message, by):
    frame = pl.concat([cloud(100), pl.DataFrame({"a": [0.0] * 4, "b": end, "id": [0] * 4})])
    with pytest.raises(ValueError, match=message):
        pq.select(frame.lazy(), ["a", "b"], 3, k=5, by=by)


def test_bad_scores_may_be_dropped():
    frame = pl.concat(
        [cloud(100), pl.DataFrame({"a": [None, 9.0], "b": [9.0, None], "id": [7, 8]})]
    )
    expected = pq.select(frame, ["a", "b"], 3, k=5, nan="drop")
    assert_frame_equal(pq.select(frame.lazy(), ["a", "b"], 3, k=5, nan="drop"), expected)


@pytest.mark.parametrize(
    ("frame", "message"),
    [
        (pl.LazyFrame({"a": [1.0], "b": ["x"]}), "'b' has dtype String"),
        (pl.LazyFrame({"a": [1.0]}), "no column 'b'"),
        (pl.LazyFrame({"a": [1.0, 2.0], "b": [1.0, 1.0]}), r"'b' is constant \(1 in all 2 rows\)"),
        (pl.LazyFrame(schema={"a": pl.Float64, "b": pl.Float64}), "only 0 rows"),
        (pl.LazyFrame({"a": [1.0, 2.0], "b": [2.0, 1.0]}), "only 2 rows"),
    ],
)
def test_frames_that_cannot_be_chosen_from(frame, message):
    with pytest.raises(ValueError, match=message):
        pq.select(frame, ["a", "b"], 3, k=5)


def shuffled(frame):
    """A LazyFrame whose rows come in another order each time."""
    rng = np.random.default_rng(0)
    return pl.defer(lambda: frame[rng.permutation(len(frame))], schema=frame.schema)


@pytest.mark.parametrize("options", [{}, {"upto": 2}, {"by": "id"}])
def test_layers_of_rows_in_another_order_each_time_are_refused(options):
    lazy = shuffled(cloud(60)).pareto.layers(["a", "b"], **options)
    with pytest.raises((ValueError, pl.exceptions.ComputeError), match="another order each time"):
        lazy.collect()


def test_rays_of_rows_in_another_order_each_time_are_refused():
    lazy = shuffled(cloud(60)).pareto.rays(["a", "b"], [9, 9], [[0, 0]], k=5)
    with pytest.raises((ValueError, pl.exceptions.ComputeError), match="another order each time"):
        lazy.collect()


def test_conditions_that_are_no_columns():
    lazy = cloud(40).lazy().pareto.layers(["a", "b"], upto=2)
    assert lazy.filter(pl.lit(True)).collect().height == 40
    assert lazy.filter(pl.lit(False)).collect().height == 0


@pytest.mark.parametrize("names", [["row", "b"], ["layer", "row"]])
def test_scores_may_be_called_as_what_is_added(names):
    frame = cloud(60).rename(dict(zip(["a", "b"], names, strict=True)))
    for options in ({"upto": 2}, {"at_least": 9}, {}):
        expected = frame.pareto.layers(names, name="z", **options)
        assert_frame_equal(
            frame.lazy().pareto.layers(names, name="z", **options).collect(), expected
        )
    assert_frame_equal(frame.lazy().pareto.front(names).collect(), frame.pareto.front(names))
    directions = {names[0]: "min", names[1]: "max"}
    assert frame.lazy().pareto.hypervolume(directions, ref=[3, -3]) == pytest.approx(
        frame.pareto.hypervolume(directions, ref=[3, -3])
    )


def test_keys_that_are_nan_are_refused_like_nulls():
    frame = cloud(40).with_columns(
        key=pl.Series([float("nan") if i == 33 else float(i) for i in range(40)])
    )
    for data in (frame, frame.lazy()):
        with pytest.raises(ValueError, match=r"'key' is null or NaN.*first.*row 33"):
            pq.select(data, ["a", "b"], 3, k=2, distinct="key")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"memory_limit": "1GB"}, "memory_limit must be an integer of at least 1"),
        ({"memory_limit": 0}, "memory_limit must be an integer of at least 1"),
        ({"memory_limit": 9, "by": "id"}, "memory_limit cannot be combined with by"),
        ({"by": 5}, "by: name at least one column, got 5"),
        ({"by": np.array(5)}, "by: name at least one column, got 5"),
    ],
)
def test_wrong_options(options, message):
    for data in (cloud(40), cloud(40).lazy()):
        with pytest.raises(ValueError, match=message):
            pq.select(data, ["a", "b"], 3, k=2, **options)


def test_a_key_named_twice_counts_once():
    frame = cloud(40).with_columns(key=pl.Series([i % 4 for i in range(40)]))
    expected = pq.select(frame, ["a", "b"], 3, k=2, by="key")
    assert_frame_equal(pq.select(frame.lazy(), ["a", "b"], 3, k=2, by=["key", "key"]), expected)
    with pytest.raises(ValueError, match="no rows to choose from"):
        pq.select(frame[:0], ["a", "b"], 3, k=2, by="key")
