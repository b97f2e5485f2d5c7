"""The first layers of rows in parts are those of all rows, however these are divided."""

import copy
import pickle

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from polars.testing import assert_frame_equal

import paretohqd as pq
from helpers import oracle
from helpers.drawn import NAMES, frame_of
from paretohqd import FirstLayers
from paretohqd.frames import kept_layers


@st.composite
def clouds(draw):
    m = draw(st.integers(1, 3))
    value = draw(st.sampled_from([st.integers(0, 4), st.integers(-1000, 1000)]))
    rows = draw(st.lists(st.tuples(*[value] * m), min_size=1, max_size=60))
    points = np.array(rows, dtype=np.float64)
    cuts = sorted(draw(st.lists(st.integers(0, len(points)), max_size=6)))
    return points, np.split(points, cuts)


@pytest.fixture(autouse=True)
def settle_often(monkeypatch):
    """As if there were many more rows."""
    monkeypatch.setattr(kept_layers, "SETTLE", 3)


@settings(max_examples=300)
@given(clouds(), st.integers(1, 6))
def test_upto_is_exact(cloud, upto):
    points, parts = cloud
    state = FirstLayers(NAMES[: points.shape[1]], upto=upto)
    for part in parts:
        state.add(frame_of(part))
    layer = oracle.stopped(oracle.layers(points), upto=upto)
    inside = np.flatnonzero(layer >= 0)
    result = state.frame
    assert result["row"].to_list() == inside.tolist()
    assert result["layer"].to_list() == layer[inside].tolist()
    np.testing.assert_array_equal(result.drop("row", "layer"), points[inside])
    np.testing.assert_array_equal(state.low, points.min(axis=0))
    np.testing.assert_array_equal(state.high, points.max(axis=0))
    assert state.rows == len(points)
    assert state.layer_sizes() == np.bincount(layer[inside]).tolist()
    assert state.whole == (len(inside) == len(points))


@settings(max_examples=300)
@given(clouds(), st.integers(1, 40))
def test_at_least_is_exact_or_says_that_it_is_not(cloud, at_least):
    points, parts = cloud
    state = FirstLayers(NAMES[: points.shape[1]], at_least=at_least)
    for part in parts:
        state.add(frame_of(part))
    if not state.enough():
        with pytest.raises(ValueError, match=f"rows of the {at_least} asked for: read all rows"):
            _ = state.frame
        return
    layer = oracle.stopped(oracle.layers(points), at_least=at_least)
    inside = np.flatnonzero(layer >= 0)
    assert state.frame["row"].to_list() == inside.tolist()
    assert state.frame["layer"].to_list() == layer[inside].tolist()


def test_rows_that_push_the_kept_ones_aside_are_noticed():
    """Thirty rows on three layers; then ever better ones, each a layer of its own."""
    state = FirstLayers(["a", "b"], at_least=12)
    side = np.arange(10.0)
    for level in (0, 1, 2):
        state.add(pl.DataFrame({"a": side + level, "b": side[::-1] + level}))
    assert state.enough()
    assert state.limit == 3
    for better in range(8):
        state.add(pl.DataFrame({"a": [100.0 + better], "b": [100.0 + better]}))
    assert not state.enough()
    with pytest.raises(ValueError, match="the 3 layers that were kept hold 3 rows of the 12"):
        state.layer_sizes()


@given(clouds(), st.integers(1, 4), st.booleans())
def test_a_saved_state_goes_on(tmp_path_factory, cloud, number, exact):
    points, parts = cloud
    stop = {"upto": number} if exact else {"at_least": number}
    names = NAMES[: points.shape[1]]
    whole, state = FirstLayers(names, **stop), FirstLayers(names, **stop)
    path = tmp_path_factory.mktemp("state") / "state.parquet"
    for part in parts:
        whole.add(frame_of(part))
        state.add(frame_of(part)).save(path)
        state = FirstLayers.load(path)
    # Saving merges what waits, so later rows meet fewer kept ones; the answer is the same.
    assert state.enough() == whole.enough()
    if whole.enough():
        assert_frame_equal(state.frame, whole.frame)
    assert (state.rows, state.low.tolist()) == (whole.rows, whole.low.tolist())


@given(clouds(), st.integers(1, 4), st.booleans())
def test_merged_states_are_as_if_rows_had_been_added_in_a_row(cloud, number, exact):
    points, parts = cloud
    stop = {"upto": number} if exact else {"at_least": number}
    names = NAMES[: points.shape[1]]
    whole, merged = FirstLayers(names, **stop), FirstLayers(names, **stop)
    for part in parts:
        whole.add(frame_of(part))
        other = FirstLayers(names, **stop).add(frame_of(part))
        before = other.kept
        merged.merge(other)
        assert_frame_equal(other.kept, before)
    assert (merged.rows, merged.usable) == (whole.rows, whole.usable)
    np.testing.assert_array_equal([merged.low, merged.high], [whole.low, whole.high])
    # Layers that hold some number of rows may be too few once other rows push theirs aside.
    if exact:
        assert_frame_equal(merged.kept, whole.kept)
    elif merged.enough() and whole.enough():
        assert_frame_equal(merged.frame, whole.frame)


@pytest.mark.parametrize(
    ("other", "message"),
    [
        (FirstLayers(["b", "a"], upto=2), "objectives: "),
        (FirstLayers({"a": "max", "b": "max"}, upto=2), "objectives: "),
        (FirstLayers(["a", "b"], upto=3), "upto: 3 there, 2 here: only like states merge"),
        (FirstLayers(["a", "b"], at_least=2), "at_least: 2 there, None here"),
        (FirstLayers(["a", "b"], upto=2, nan="drop"), "nan: 'drop' there, 'raise' here"),
        (pl.DataFrame({"a": [1.0], "b": [1.0]}), "merge: expected another FirstLayers, got DataFr"),
    ],
)
def test_states_of_unlike_questions_do_not_merge(other, message):
    state = FirstLayers(["a", "b"], upto=2).add(pl.DataFrame({"a": [1.0, 2], "b": [2.0, 1]}))
    before = state.frame
    with pytest.raises(ValueError, match=message):
        state.merge(other)
    columns = FirstLayers(["a", "b"], upto=2).add({"a": [9.0], "b": [9.0], "c": ["x"]})
    with pytest.raises(ValueError, match="a new column 'c'"):
        state.merge(columns)
    assert_frame_equal(state.frame, before)
    assert state.merge(FirstLayers(["a", "b"], upto=2)).rows == 2


@pytest.mark.parametrize("lazy", [False, True])
def test_a_bad_score_is_named_by_its_row_beside_a_condition_and_in_batches(lazy, tmp_path):
    rows = pl.DataFrame({"a": [1.0] * 50, "b": [2.0] * 50, "c": range(50)})
    rows = rows.with_columns(a=pl.when(pl.col("c") != 40).then("a"))
    state = FirstLayers(["a", "b"], upto=2, where="c >= 30").add(rows[:40])
    with pytest.raises(ValueError, match=r"'a' holds 1 null \(first at row 40\)"):
        state.add(rows.lazy() if lazy else rows)
    rows[:35].write_parquet(tmp_path / "0.parquet")
    rows[35:].write_parquet(tmp_path / "1.parquet")
    with pytest.raises(ValueError, match=r"first at row 40: row 5 of .*1\.parquet\)"):
        FirstLayers(["a", "b"], upto=2).add(tmp_path)
    assert state.rows == 40


def test_only_a_state_can_be_chosen_from():
    with pytest.raises(ValueError, match="state: expected a FirstLayers, got DataFrame"):
        pq.choose_from(pl.DataFrame({"a": [1.0, 2], "b": [2.0, 1]}), 2, k=1)


def test_a_state_of_no_rows_merges_as_a_frame_of_none_is_added():
    nothing = pl.DataFrame(schema={"a": pl.Float64, "b": pl.Float64, "text": pl.String})
    added = FirstLayers(["a", "b"], upto=1).add(nothing)
    merged = FirstLayers(["a", "b"], upto=1).merge(added)
    assert_frame_equal(merged.frame, added.frame)
    with pytest.raises(ValueError, match="no column 'text'"):
        merged.merge(FirstLayers(["a", "b"], upto=1).add({"a": [1.0], "b": [1.0]}))


def test_other_columns_are_kept_and_directions_and_arrays_too():
    frame = pl.DataFrame(
        {
            "text": ["x", "y", "z", "w"],
            "r": pl.Series([[1, 5], [2, 2], [0, 6], [3, 1]], dtype=pl.Array(pl.Float32, 2)),
        }
    )
    state = FirstLayers({"r": ["max", "min"]}, upto=1).add(frame[:2]).add(frame[2:])
    assert_frame_equal(state.frame.drop("row", "layer"), frame[3:])
    assert state.frame["row"].to_list() == [3]


def test_parts_of_other_types_get_the_types_that_hold_both():
    parts = [
        pl.DataFrame({"a": [1, 0], "b": [0.5, 1.0], "m": [None, None], "c": ["x", "y"]}),
        pl.DataFrame({"a": [0.5], "b": [2], "m": [3], "c": ["z"]}).cast({"c": pl.Categorical}),
        pl.DataFrame({"a": [2], "b": [0], "m": [1], "c": ["x"]}).cast({"m": pl.Int8}),
    ]
    state = FirstLayers(["a", "b"], upto=1)
    for part in parts:
        state.add(part)
    assert state.frame.rows() == [
        (1.0, 0.5, None, "x", 0, 0),
        (0.5, 2.0, 3, "z", 2, 0),
        (2.0, 0.0, 1, "x", 3, 0),
    ]
    large = pl.DataFrame({"a": [1.0], "b": [1.0], "m": [2**53 + 1], "c": ["x"]})
    state.add(large)
    with pytest.raises(ValueError, match=r"column 'm' holds 1 integers beyond 2\*\*53"):
        state.add(large.with_columns(m=0.5))


@pytest.mark.parametrize("lazy", [False, True])
def test_a_frame_that_is_refused_leaves_the_state_as_it_was(lazy):
    state = FirstLayers(["a", "b"], upto=2).add(pl.DataFrame({"a": [1.0, 2], "b": [2.0, 1]}))
    before = state.frame
    for bad, message in [
        (pl.DataFrame({"a": [1.0], "b": [float("nan")]}), r"column 'b' holds 1 NaN"),
        (pl.DataFrame({"a": [1.0], "b": ["x"]}), "column 'b' is String, was Float64"),
        (pl.DataFrame({"a": [1.0]}), "no column 'b'"),
        (pl.DataFrame({"a": [1.0], "b": [1.0], "c": [1]}), "a new column 'c'"),
        (pl.DataFrame({"b": [1.0], "a": [1.0]}), "another order of columns: b, a"),
        (pl.DataFrame({"a": [1.0], "b": [1.0], "row": [1]}), "already has a column 'row'"),
    ]:
        with pytest.raises(ValueError, match=message):
            state.add(bad.lazy() if lazy else bad)
    assert state.rows == 2
    assert_frame_equal(state.frame, before)


def test_dropped_rows_are_counted_and_numbered():
    frame = pl.DataFrame({"a": [1.0, None, 3.0], "b": [3.0, 1.0, float("nan")]})
    state = FirstLayers(["a", "b"], upto=1, nan="drop").add(frame).add(frame)
    assert state.frame["row"].to_list() == [0, 3]
    assert (state.rows, state.usable, state.whole) == (6, 2, True)


def test_no_rows():
    state = FirstLayers(["a", "b"], upto=1)
    with pytest.raises(ValueError, match="no rows were added yet"):
        _ = state.frame
    state.add(pl.DataFrame(schema={"a": pl.Float64, "b": pl.Float64}))
    assert state.frame.is_empty()
    assert state.layer_sizes() == []


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({}, r"choose one of upto \(None\) and at_least \(None\)"),
        ({"upto": 1, "at_least": 1}, "choose one"),
        ({"upto": 0}, "upto must be an integer of at least 1"),
        ({"at_least": 1.5}, "at_least must be an integer"),
        ({"upto": 1, "nan": "keep"}, "nan must be 'raise' or 'drop'"),
    ],
)
def test_wrong_calls(options, message):
    with pytest.raises(ValueError, match=message):
        FirstLayers(["a", "b"], **options)


def test_files_that_are_no_state(tmp_path):
    path = tmp_path / "x.parquet"
    pl.DataFrame({"a": [1.0]}).write_parquet(path)
    with pytest.raises(ValueError, match="holds no saved layers"):
        FirstLayers.load(path)
    path.write_bytes(b"no parquet")
    with pytest.raises(ValueError, match=r"x\.parquet.*cannot be read"):
        FirstLayers.load(path)
    with pytest.raises(ValueError, match=r"ends in \.parquet"):
        FirstLayers(["a"], upto=1).add(pl.DataFrame({"a": [1.0]})).save(tmp_path / "x.csv")


def test_tomorrows_rows_need_not_meet_yesterdays(tmp_path):
    rng = np.random.default_rng(5)
    days = [pl.DataFrame(rng.normal(size=(4000, 3)), schema=NAMES) for _ in range(3)]
    path = tmp_path / "pool.parquet"
    FirstLayers(NAMES, at_least=300).add(days[0]).save(path)
    for day in days[1:]:
        FirstLayers.load(path).add(day).save(path)
    state = FirstLayers.load(path)
    whole = pl.concat(days)
    chosen = pq.choose(whole, NAMES, 6, k=50)
    assert state.frame["row"].to_list() == chosen.pool["row"].to_list()
    assert len(state.kept) < len(whole) / 4
    assert_frame_equal(pq.choose_from(state, 6, k=50).rows, chosen.rows)


@pytest.mark.parametrize(
    "copied", [copy.copy, copy.deepcopy, lambda s: pickle.loads(pickle.dumps(s))]
)
@pytest.mark.parametrize("rows", [2, 500])
def test_a_copy_goes_its_own_way(copied, rows, monkeypatch):
    monkeypatch.setattr(kept_layers, "SETTLE", 100)
    frame = pl.DataFrame(np.random.default_rng(rows).random((rows, 2)), schema=["a", "b"])
    more = pl.DataFrame({"a": [9.0, None], "b": [-1.0, 1.0]})
    state = FirstLayers(["a", "b"], at_least=2, nan="drop").add(frame)
    other = copied(state)
    other.add(more)
    assert (state.rows, state.dropped, other.rows, other.dropped) == (rows, {}, rows + 2, {"a": 1})
    expected = FirstLayers(["a", "b"], at_least=2).add(frame)
    assert_frame_equal(state.frame, expected.frame)
    assert_frame_equal(
        other.frame, FirstLayers(["a", "b"], at_least=2, nan="drop").add(frame).add(more).frame
    )
    third = copied(state)
    state.add(more)
    assert_frame_equal(third.frame, expected.frame)


def test_a_list_of_objectives_that_changes_later_changes_nothing():
    names = ["a", "b"]
    state = FirstLayers(names, upto=1)
    names.append("c")
    assert state.add(pl.DataFrame({"a": [1.0], "b": [1.0]})).rows == 1


def test_a_folder_is_no_saved_state(tmp_path):
    state = pq.FirstLayers(["a", "b"], upto=1).add({"a": [1.0, 0.0], "b": [0.0, 1.0]})
    for name in ("x", "y"):
        state.save(tmp_path / f"{name}.parquet")
    with pytest.raises(ValueError, match=r"expected the one file that save\(\) wrote"):
        pq.FirstLayers.load(tmp_path)


ASKED = [
    {"where": "c < 3"},
    {"epsilon": 2},
    {"epsilon": {"b": 3.5}, "where": pl.col("c") != 1},
    {"epsilon": np.array([0.5, 2], dtype=np.float32), "nan": "drop", "where": "c > 0.5"},
]


@pytest.mark.filterwarnings("ignore::paretohqd.selection.same_rows.SameRowsWarning")
@pytest.mark.parametrize("way", ["added", "merged", "saved"])
@pytest.mark.parametrize("asked", ASKED, ids=["where", "noise", "both", "dropped"])
@settings(max_examples=40)
@given(seed=st.integers(0, 2**32 - 1), n=st.integers(1, 60), upto=st.integers(1, 4))
def test_conditions_and_noise_are_those_of_a_choice_from_all(
    way, asked, seed, n, upto, tmp_path_factory
):
    rng = np.random.default_rng(seed)
    frame = pl.DataFrame(
        {name: rng.integers(-9, 9, n).astype(float) for name in "ab"} | {"c": rng.integers(0, 4, n)}
    )
    objectives = {"a": "max", "b": "min"}
    parts = [frame[start : start + 7] for start in range(0, n, 7)]
    state = FirstLayers(objectives, upto=upto, **asked)
    for part in parts:
        if way == "merged":
            state.merge(FirstLayers(objectives, upto=upto, **asked).add(part))
            continue
        state.add(part)
        if way == "saved":
            path = tmp_path_factory.mktemp("state") / "state.parquet"
            state.save(path)
            state = FirstLayers.load(path)
    where, epsilon = asked.get("where"), asked.get("epsilon", 0)
    met = frame.with_row_index().filter(True if where is None else where_of(where))["index"]
    unit = np.array(
        [epsilon.get(name, 0) for name in "ab"] if isinstance(epsilon, dict) else epsilon
    )
    unit = np.broadcast_to(unit, 2).astype(float)
    signed = frame[met].select("a", -pl.col("b")).to_numpy()
    rounded = np.where(unit > 0, np.floor(signed / np.where(unit > 0, unit, 1)), signed)
    layer = oracle.stopped(oracle.layers(rounded), upto=upto)
    assert state.frame["row"].to_list() == met.to_numpy()[layer >= 0].tolist()
    assert state.frame["layer"].to_list() == layer[layer >= 0].tolist()
    assert (state.rows, state.usable, state.excluded) == (n, len(met), n - len(met))
    if (np.ptp(signed[layer >= 0], axis=0) > 0).all() if len(met) else False:
        chosen = pq.choose_from(state, 3, k=1)
        whole = pq.choose(frame, objectives, 3, k=1, upto=upto, **asked)
        assert_frame_equal(chosen.rows, whole.rows)
        assert chosen.excluded == whole.excluded


def where_of(where):
    return pl.sql_expr(where) if isinstance(where, str) else where


def test_what_a_state_cannot_ask():
    with pytest.raises(ValueError, match="looks at more than its own row"):
        FirstLayers(["a", "b"], upto=1, where="a > AVG(b)")
    with pytest.raises(ValueError, match="no column 'c'"):
        FirstLayers(["a", "b"], upto=1, where="c > 1").add({"a": [1], "b": [2]})
    with pytest.raises(ValueError, match="no objective 'c'"):
        FirstLayers(["a", "b"], upto=1, epsilon={"c": 1}).add({"a": [1], "b": [2]})
    state = FirstLayers(["a", "b"], upto=1, epsilon=0.5).add({"a": [1, 2], "b": [2, 1]})
    with pytest.raises(ValueError, match="epsilon: rank='sum' knows no layers"):
        pq.choose_from(state, 3, k=1, rank="sum")
    with pytest.raises(ValueError, match=r"epsilon: None there, 0\.5 here"):
        state.merge(FirstLayers(["a", "b"], upto=1))
    assert "; 0.5; " in repr(state)
