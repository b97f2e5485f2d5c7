from math import comb

import numpy as np
import pandas as pd
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st
from polars.testing import assert_frame_equal

import paretohqd as pq
from paretohqd.kernels.rays import preference_grid
from paretohqd.selection.preferences import default_number, preference_weights

OBJECTIVES = ["helpful", "harmless", "honest", "brief", "polite", "true", "new", "safe"]


def weights_of(preferences, m):
    return preference_weights(preferences, OBJECTIVES[:m]).values


@given(m=st.integers(2, 4), divisions=st.integers(1, 9))
def test_a_number_is_the_lattice_of_that_size(m, divisions):
    number = comb(divisions + m - 1, m - 1)
    np.testing.assert_array_equal(weights_of(number, m), preference_grid(m, divisions))


@pytest.mark.parametrize(
    ("number", "m", "nearest"),
    [
        (13, 3, "10 or 15"),
        (14, 3, "10 or 15"),
        (1, 2, "2"),
        (1, 3, "3"),
        (4, 3, "3 or 6"),
        (11, 4, "10 or 20"),
    ],
)
def test_a_number_without_a_lattice_names_the_nearest(number, m, nearest):
    with pytest.raises(ValueError, match=f"preferences={number}: {m} .*; take {nearest}, or pass"):
        weights_of(number, m)


@pytest.mark.parametrize("number", [2**40, 2**70])
def test_lattices_are_not_counted_one_by_one(number):
    with pytest.raises(ValueError, match=f"preferences={number}: 3 objectives have no even"):
        preference_weights(number, ["a", "b", "c"])
    with pytest.raises(MemoryError):
        preference_weights(2**70, ["a", "b"])


@pytest.mark.parametrize("number", [0, -3])
def test_a_number_below_one_is_refused(number):
    with pytest.raises(ValueError, match="preferences must be an integer of at least 1"):
        weights_of(number, 2)


def test_weights_are_kept_in_order_and_copied():
    given = np.array([[0.3, 0.7], [1, 0], [0.3, 0.7]])
    weights = weights_of(given, 2)
    np.testing.assert_array_equal(weights, given)
    given[:] = 9
    assert weights.max() == 1
    assert weights_of(((1, 0), (0, 1)), 2).dtype == np.float64


@pytest.mark.parametrize(
    ("weights", "message"),
    [
        ([[0.5, 0.5], [1.5, -0.5]], r"1 of 2 are off the simplex \(first: number 1, \[1.5, -0.5\]"),
        ([[0.5, 0.4], [0.5, 0.4]], r"2 of 2 are off the simplex \(first: number 0"),
        ([[np.nan, 0.5]], "off the simplex"),
        ([[np.inf, 0.0]], "off the simplex"),
        ([[1, 1]], "off the simplex"),
        ([[0.5, 0.5 + 2e-6]], "off the simplex"),
        ([[0.2, 0.3, 0.5]], r"shape \(P, 2\), got shape \(1, 3\)"),
        ([0.5, 0.5], r"got shape \(2,\)"),
        ([], r"got shape \(0,\)"),
        (np.zeros((0, 2)), r"got shape \(0, 2\)"),
        ([[1, 0], [1]], "expected a number or rows of weights"),
        ("eleven", "expected a number or rows of weights"),
        (True, "True is no number"),
        ([["0.5", "0.5"]], "'0.5' is no number"),
        (np.array([["1", "0"]]), "'1' is no number"),
        ([[True, False]], "True is no number"),
        (np.eye(2, dtype=bool), "True is no number"),
        (2.0, "got shape"),
    ],
)
def test_what_is_no_preference_is_refused(weights, message):
    with pytest.raises(ValueError, match=f"preferences: .*{message}"):
        weights_of(weights, 2)


def test_weights_may_be_rounded():
    assert len(weights_of([[0.3333333, 0.3333333, 0.3333333]], 3)) == 1


@pytest.mark.parametrize(
    ("m", "number"), [(2, 11), (3, 10), (4, 10), (5, 15), (6, 6), (7, 7), (8, 8), (12, 12)]
)
def test_the_default_is_the_lattice_nearest_to_eleven(m, number):
    assert default_number(m) == number
    names = [f"o{j}" for j in range(m)]
    weights = preference_weights(None, names).values
    np.testing.assert_array_equal(weights, preference_weights(number, names).values)
    frame = pl.DataFrame(np.random.default_rng(m).random((300, m)), schema=names)
    assert pq.select(frame, names, k=2)["preference"].n_unique() == number
    assert_frame_equal(pq.select(frame.lazy(), names, k=2), pq.select(frame, names, k=2))


EVEN, BRIEF = [0.25, 0.75], {"harmless": 3, "helpful": 1}


@pytest.mark.parametrize(
    ("given", "names"),
    [
        (BRIEF, None),
        ({"harmless": 0.75, "helpful": 0.25}, None),
        ([BRIEF], None),
        ((BRIEF,), None),
        ({"brief": BRIEF}, ("brief",)),
        ({"brief": EVEN}, ("brief",)),
        ({"brief": np.array(EVEN)}, ("brief",)),
        ({"brief": pd.Series({"harmless": 3, "helpful": 1})}, ("brief",)),
        ({"brief": pd.Series(EVEN)}, ("brief",)),
        (pd.Series({"harmless": 3, "helpful": 1}), None),
        (pl.DataFrame([BRIEF]), None),
        (pl.LazyFrame([BRIEF]), None),
        (pl.DataFrame([{**BRIEF, "who": "brief"}]), ("brief",)),
        (pd.DataFrame([BRIEF]), None),
        (pd.DataFrame([BRIEF], index=["brief"]), ("brief",)),
        (pd.DataFrame([BRIEF], index=[7]), None),
        (pl.DataFrame([BRIEF]).to_arrow(), None),
        (np.array([(3.0, 1.0)], dtype=[("harmless", "f8"), ("helpful", "f8")]), None),
        ({"harmless": 3e307, "helpful": 1e307}, None),
        ({"harmless": np.int64(3), "helpful": np.float32(1)}, None),
        ([[np.float32(0.25), np.float64(0.75)]], None),
    ],
)
def test_names_of_objectives_count_and_not_their_order(given, names):
    weights = preference_weights(given, ["helpful", "harmless"])
    np.testing.assert_allclose(weights.values, [EVEN], rtol=1e-15)
    assert weights.names == names


def test_weights_by_name_that_sum_to_one_are_kept_to_the_bit():
    given = {"helpful": 0.1, "harmless": 0.2, "honest": 0.7000000001}
    assert preference_weights(given, list(given)).values.tolist() == [list(given.values())]


def test_components_of_array_columns_have_names():
    frame = pl.DataFrame({"rewards": [[1.0, 0.0], [0.0, 1.0], [0.7, 0.6]]})
    frame = frame.cast({"rewards": pl.Array(pl.Float64, 2)})
    chosen = pq.choose(frame, "rewards", {"rewards[1]": 9, "rewards[0]": 1}, k=1)
    assert chosen.preferences.tolist() == [[0.1, 0.9]]
    assert pq.choose(frame, "rewards", frame[:2], k=1).preferences.tolist() == [[1, 0], [0, 1]]


def test_minus_zero_weighs_nothing():
    weights = preference_weights([[1.0, -0.0]], ["helpful", "harmless"]).values
    assert not np.signbit(weights).any()


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"helpful": 1}, "number 0 has no weight for 'harmless' .give 0 to ignore it"),
        ({"brief": {"helpful": 1}}, "'brief' has no weight for 'harmless'"),
        ([BRIEF, {"helpfull": 1, "harmless": 1}], "number 1 weighs 'helpfull': the objectives are"),
        (
            {"helpful": 0, "harmless": 0.0},
            "number 0: weights are numbers of at least 0, one .*above",
        ),
        ({"helpful": -1, "harmless": 2}, "at least 0"),
        ({"helpful": np.nan, "harmless": 2}, "at least 0"),
        ({"helpful": np.inf, "harmless": 2}, "at least 0"),
        ({"brief": {"helpful": "much", "harmless": 2}}, "at least 0"),
        ({"brief": {"helpful": None, "harmless": 2}}, "at least 0"),
        ({"": EVEN}, "an empty name"),
        ({" ": EVEN}, "an empty name"),
        ({None: EVEN}, "names are text, got None"),
        (pl.DataFrame({"helpful": [1], "harmless": [1], "id": [4]}), "number 0 weighs 'id'"),
        (pl.DataFrame({"helpful": [1]}), "no weight for 'harmless'"),
        (pl.DataFrame({"helpful": [1, None], "harmless": [1, 1]}), "number 1: weights are numbers"),
        (
            pl.DataFrame({"helpful": [1], "harmless": [1], "x": ["a"], "y": ["b"]}),
            "columns 'x' and 'y' are both text",
        ),
        (
            pl.DataFrame({"helpful": [1, 2], "harmless": [1, 1], "x": ["a", "a"]}),
            "'a' is the name of two",
        ),
        (pl.DataFrame({"helpful": [1], "harmless": [1], "x": [""]}), "an empty name"),
        (pl.DataFrame(schema={"helpful": pl.Float64, "harmless": pl.Float64}), "got shape"),
        ({}, "got shape"),
    ],
)
def test_names_that_are_no_objectives_and_weights_that_are_none(given, message):
    with pytest.raises(ValueError, match=f"preferences: .*{message}"):
        preference_weights(given, ["helpful", "harmless"])


def test_one_preference_may_be_of_one_kind_or_the_other():
    given = {"brief": {"helpful": 1, "harmless": 3}, "even": [0.5, 0.5]}
    frame = pl.DataFrame({"helpful": [1.0, 0.5, 0.0], "harmless": [0.0, 0.6, 1.0]})
    chosen = pq.choose(frame, {"helpful": "max", "harmless": "max"}, given, k=1)
    assert chosen.preference_names == ("brief", "even")
    assert chosen.preferences.tolist() == [[0.25, 0.75], [0.5, 0.5]]
    lazy = frame.lazy().pareto.select(["helpful", "harmless"], given, k=1)
    assert lazy.collect_schema().names() == chosen.rows.columns
    assert_frame_equal(lazy.collect(), chosen.rows)
