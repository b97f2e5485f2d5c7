"""Frames of every kind give the same selection, and what cannot be chosen from is refused."""

import numpy as np
import polars as pl
import pytest
from polars.testing import assert_frame_equal

import paretohqd as pq
from helpers.drawn import NAMES, frame_of
from paretohqd.selection.choosing import ADDED


def random_frame(n=400, seed=6):
    return frame_of(np.random.default_rng(seed).integers(0, 40, (n, 3)).astype(np.float64))


def test_chunks_slices_and_number_types_do_not_matter():
    frame = random_frame()
    expected = pq.select(frame, NAMES, 6, k=9)
    pieces = pl.concat([frame[:100], frame[100:101], frame[101:]], rechunk=False)
    assert pieces.n_chunks() == 3
    assert_frame_equal(pq.select(pieces, NAMES, 6, k=9), expected)
    padded = pl.concat([frame[:7], frame, frame[:5]])[7:-5]
    assert_frame_equal(pq.select(padded, NAMES, 6, k=9), expected)
    for dtype in (pl.Float32, pl.Int16, pl.UInt8, pl.Int64):
        chosen = pq.select(frame.cast(dtype), NAMES, 6, k=9)
        assert_frame_equal(chosen.select(ADDED), expected.select(ADDED), check_exact=True)
        assert chosen.schema["a"] == dtype
    mixed = frame.with_columns(pl.col("a").cast(pl.Float32), pl.col("b").cast(pl.Int32))
    assert_frame_equal(pq.select(mixed, NAMES, 6, k=9).select(ADDED), expected.select(ADDED))


def test_single_precision_scores_are_measured_in_double():
    single = np.random.default_rng(7).random((200, 3)).astype(np.float32)
    chosen = pq.select(frame_of(single), NAMES, 6, k=9)
    double = pq.select(frame_of(single.astype(np.float64)), NAMES, 6, k=9)
    assert_frame_equal(chosen.select(ADDED), double.select(ADDED), check_exact=True)


def test_threads_do_not_change_a_byte():
    frame = frame_of(np.random.default_rng(8).random((60_000, 3)).round(2))
    one, two = (pq.choose(frame, NAMES, 6, k=50, upto=30, n_threads=t) for t in (1, 2))
    assert_frame_equal(one.rows, two.rows, check_exact=True)
    assert one.rows["distance"].to_numpy().tobytes() == two.rows["distance"].to_numpy().tobytes()
    assert one.layer.tobytes() == two.layer.tobytes()


def test_other_columns_are_kept_as_they_are():
    n = 40
    frame = random_frame(n).with_columns(
        prompt=pl.Series([f"prompt {i}" for i in range(n)]),
        tokens=pl.Series([[i, i + 1] for i in range(n)]),
        meta=pl.Series([{"id": i, "tags": ["x"] * (i % 3)} for i in range(n)]),
        kind=pl.Series(["x", "y"] * (n // 2), dtype=pl.Categorical),
        maybe=pl.Series([None, 1] * (n // 2)),
        raw=pl.Series([bytes([i]) for i in range(n)]),
        flat=pl.Series([[i, i] for i in range(n)], dtype=pl.Array(pl.Int8, 2)),
    )
    chosen = pq.select(frame, NAMES, 3, k=5)
    assert chosen.columns == [*frame.columns, *ADDED]
    assert_frame_equal(chosen.select(frame.columns), frame[chosen["row"].to_list()])
    assert chosen.select(ADDED).schema == {
        "preference": pl.Int32,
        "weights": pl.List(pl.Float64),
        "position": pl.Int32,
        "distance": pl.Float64,
        "layer": pl.Int32,
        "row": pl.UInt32,
    }


def test_the_input_is_left_alone():
    frame = random_frame(50)
    before = frame.clone()
    pq.select(frame, {"a": "min", "b": "max", "c": "min"}, 3, k=5)
    assert_frame_equal(frame, before)


@pytest.mark.parametrize("name", ADDED)
def test_a_column_that_the_result_adds_is_refused(name):
    frame = random_frame(50).with_columns(pl.lit(1).alias(name))
    with pytest.raises(ValueError, match=f"already has a column '{name}', which is added: rename"):
        pq.select(frame, NAMES, 3, k=5)


def test_a_hundred_thousand_rows():
    points = np.random.default_rng(9).standard_normal((100_000, 3))
    chosen = pq.choose(frame_of(points), NAMES, 15, k=100)
    assert len(chosen.rows) == 1500
    assert sum(chosen.layer_sizes()) >= 1500
    np.testing.assert_array_equal(chosen.layer == 0, pq.pareto_front(points))
    pool = np.flatnonzero(chosen.layer >= 0)
    span = chosen.r_max - chosen.r_min
    q = (points[pool] - chosen.r_max) / span
    for number, w in enumerate(chosen.preferences):
        u = (w - 1) / np.linalg.norm(w - 1)
        every = np.linalg.norm(q - np.maximum(q @ u, 0)[:, None] * u, axis=1)
        far = chosen.rows.filter(preference=number)["distance"].to_numpy()
        np.testing.assert_allclose(far, np.sort(every)[:100], atol=1e-12)


SMALL = pl.DataFrame({"a": [1.0, 0.0, 0.5, 0.2], "b": [0.0, 1.0, 0.5, 0.2], "c": [7.0] * 4})


@pytest.mark.parametrize(
    ("objectives", "options", "message"),
    [
        ("a", {}, "objectives: expected a list of column names, got 'a'"),
        (None, {}, "objectives: expected a list of column names, got None"),
        (["a"], {}, "objectives: a trade-off needs two or more columns"),
        ([], {}, "objectives: a trade-off needs two or more columns"),
        (["a", "x"], {}, "objectives: no column 'x': the frame has a, b, c"),
        (["a", 1], {}, "objectives: no column 1"),
        (["a", "b", "a"], {}, "objectives: column 'a' is named twice"),
        ({"a": "max", "b": "least"}, {}, "objectives: b: expected 'max' or 'min', got 'least'"),
        ({"a": "max", "b": True}, {}, "objectives: b: expected 'max' or 'min', got True"),
        (["a", "c"], {}, r"'c' is constant \(7 in all 4 rows\), .*: leave it out"),
        ({"a": "max", "c": "min"}, {}, r"'c' is constant \(7 in all 4 rows\)"),
        (["a", "b"], {"k": 0}, "k must be an integer of at least 1, got 0"),
        (["a", "b"], {"k": 1.5}, "k must be an integer of at least 1, got 1.5"),
        (["a", "b"], {"upto": 1, "at_least": 1}, r"choose one of upto \(1\) and at_least \(1\)"),
        (["a", "b"], {"upto": 0}, "upto must be an integer of at least 1"),
        (
            ["a", "b"],
            {"bounds": "front"},
            "bounds: expected 'pool', 'all' or two points .*, got 'front'",
        ),
        (["a", "b"], {"scale": "z"}, "scale: expected 'box', 'none' or 2 numbers above 0, got 'z'"),
        (["a", "b"], {"scale": [1.0]}, "scale: .* 2 numbers"),
        (["a", "b"], {"scale": [1.0, 0.0]}, "scale: .* above 0"),
        (["a", "b"], {"scale": [1.0, np.nan]}, "scale: .* above 0"),
        (["a", "b"], {"scale": [[1.0], 2]}, "scale: expected"),
        (["a", "b"], {"scale": None}, "scale: expected"),
        (["a", "b"], {"nan": "keep"}, "nan must be 'raise' or 'drop', got 'keep'"),
        (["a", "b"], {"n_threads": 0}, "n_threads must be an integer of at least 1"),
    ],
)
def test_wrong_calls_say_what_is_wrong(objectives, options, message):
    with pytest.raises(ValueError, match=message):
        pq.select(SMALL, objectives, 2, **{"k": 1, **options})


@pytest.mark.parametrize(
    ("column", "message"),
    [
        (["x", "y", "z", "w"], "'b' has dtype String"),
        ([True, False, True, True], "'b' has dtype Boolean"),
        ([0.0, None, 1.0, None], r"'b' holds 2 nulls \(first at row 1\)"),
        ([0.0, 1.0, float("nan"), 1.0], r"'b' holds 1 NaN \(first at row 2\)"),
        ([0.0, 1.0, float("inf"), -float("inf")], r"'b' holds 2 infinite .*first at row 2.*ray"),
        ([-1.7e308, 1.7e308, 0.0, 0.0], "'b' spans more than doubles can hold"),
    ],
)
def test_scores_that_have_no_ray_are_refused(column, message):
    with pytest.raises(ValueError, match=message):
        pq.select(SMALL.with_columns(b=pl.Series(column)), ["a", "b"], 2, k=1)


@pytest.mark.parametrize("frame", [None, 7, [], {}, b"x", [1, 2]])
def test_what_is_no_frame_is_refused(frame):
    with pytest.raises(ValueError, match=r"frame: expected a Polars, .* got "):
        pq.select(frame, ["a", "b"], 2, k=1)


@pytest.mark.parametrize("rows", [0, 1])
def test_too_few_rows(rows):
    with pytest.raises(ValueError, match="constant" if rows else "only 0 rows"):
        pq.select(SMALL[:rows], ["a", "b"], 2, k=1)


def test_a_pool_without_a_trade_off_is_refused():
    frame = pl.DataFrame({"a": [1.0, 0.0, 0.5], "b": [1.0, 0.5, 0.0]})
    with pytest.raises(
        ValueError, match=r"'a' has one value in the whole pool, .*take more layers"
    ):
        pq.select(frame, ["a", "b"], 2, k=1, upto=1)
    assert pq.select(frame, ["a", "b"], 2, k=1, upto=1, bounds="all")["row"].to_list() == [0, 0]


def test_nan_drop_leaves_rows_out_and_keeps_their_numbers():
    frame = random_frame(60)
    rows = [0, 5, 31]
    holed = frame.with_row_index("id").with_columns(
        a=pl.when(pl.col("id").is_in(rows[:2])).then(None).otherwise("a"),
        b=pl.when(pl.col("id") == rows[2]).then(float("nan")).otherwise("b"),
    )
    chosen = pq.choose(holed, NAMES, 3, k=5, nan="drop")
    whole = holed.filter(~pl.col("id").is_in(rows))
    expected = pq.choose(whole, NAMES, 3, k=5)
    assert_frame_equal(chosen.rows.drop("row"), expected.rows.drop("row"))
    assert chosen.rows["row"].to_list() == chosen.rows["id"].to_list()
    assert chosen.layer[rows].tolist() == [-1, -1, -1]
    np.testing.assert_array_equal(np.delete(chosen.layer, rows), expected.layer)
    # Dropped rows come first, so a value taken by its place would be that of another row.
    named = holed.with_columns(name=pl.col("id") % 7)
    distinct = pq.select(named, NAMES, 3, k=5, nan="drop", distinct="name")
    expected = pq.select(named.filter(~pl.col("id").is_in(rows)), NAMES, 3, k=5, distinct="name")
    assert_frame_equal(distinct.drop("row"), expected.drop("row"))


def test_nan_drop_may_leave_nothing():
    with pytest.raises(ValueError, match="only 0 rows"):
        pq.select(SMALL.with_columns(a=pl.lit(float("nan"))), ["a", "b"], 2, k=1, nan="drop")


def test_choosing_within_groups_copies_no_column_but_scores_and_keys(monkeypatch):
    frame = random_frame().with_columns(group=pl.int_range(pl.len()) // 8, text=pl.lit("x" * 99))
    copied = []
    take = pl.DataFrame.__getitem__

    def watched(self, key):
        result = take(self, key)
        if isinstance(result, pl.DataFrame) and "text" in result.columns:
            copied.append(len(result))
        return result

    monkeypatch.setattr(pl.DataFrame, "__getitem__", watched)
    result = pq.select(frame, NAMES, 3, k=1, by="group")
    assert copied == [len(result)]
