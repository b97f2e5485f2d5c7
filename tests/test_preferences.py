from math import comb

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from paretohqd.preferences import preference_weights
from paretohqd.rays import preference_grid

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


@pytest.mark.parametrize("number", [0, -3])
def test_a_number_below_one_is_refused(number):
    with pytest.raises(ValueError, match="preferences must be an integer of at least 1"):
        weights_of(number, 2)


def test_weights_are_kept_in_order_and_copied():
    given = np.array([[0.3, 0.7], [1, 0], [0.3, 0.7]])
    found = weights_of(given, 2)
    np.testing.assert_array_equal(found, given)
    given[:] = 9
    assert found.max() == 1
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
        (True, "got shape"),
        (2.0, "got shape"),
    ],
)
def test_what_is_no_preference_is_refused(weights, message):
    with pytest.raises(ValueError, match=f"preferences: .*{message}"):
        weights_of(weights, 2)


def test_weights_may_be_rounded():
    assert len(weights_of([[0.3333333, 0.3333333, 0.3333333]], 3)) == 1
