import moocore
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

import oracle
from paretohqd.hypervolume import hypervolume, hypervolume_contributions


def clouds(values, *, max_rows=7, max_objectives=5):
    shapes = st.tuples(st.integers(0, max_rows), st.integers(1, max_objectives))
    return shapes.flatmap(lambda shape: hnp.arrays(np.float64, shape, elements=values))


grid_points = clouds(st.integers(-1, 4).map(float))
flat_grid_points = clouds(st.integers(-1, 6).map(float), max_rows=14, max_objectives=3)
real_points = clouds(st.floats(-1, 4, width=32), max_rows=5)


@given(grid_points | flat_grid_points | real_points)
def test_volume_is_that_of_the_covered_cells(points):
    ref = np.zeros(points.shape[1])
    assert hypervolume(points, ref=ref) == pytest.approx(oracle.hypervolume(points, ref), abs=1e-9)


@given(grid_points | flat_grid_points)
def test_contributions_are_what_is_lost(points):
    ref = np.zeros(points.shape[1])
    found = hypervolume_contributions(points, ref=ref)
    assert found.shape == (len(points),)
    assert found.dtype == np.float64
    np.testing.assert_allclose(found, oracle.contributions(points, ref), atol=1e-9)


@given(grid_points, st.integers(-3, 3))
def test_a_shift_changes_nothing(points, shift):
    ref = np.zeros(points.shape[1])
    assert hypervolume(points + shift, ref=ref + shift) == hypervolume(points, ref=ref)


@given(grid_points)
def test_minimising_is_maximising_the_negative(points):
    ref = np.full(points.shape[1], 3.0)
    assert hypervolume(points, ref=ref, maximize=False) == hypervolume(-points, ref=-ref)


def front(n, m, seed=0):
    return np.random.default_rng(seed).dirichlet(np.ones(m), n)


@pytest.mark.parametrize(
    ("n", "m"), [(5000, 2), (5000, 3), (300, 4), (120, 5), (60, 6), (30, 8), (20, 10)]
)
@pytest.mark.parametrize("kind", ["front", "uni", "disc"])
def test_parity_with_moocore(n, m, kind):
    rng = np.random.default_rng(1)
    points = {
        "front": front(n, m),
        "uni": rng.random((n, m)),
        "disc": rng.integers(1, 9, (n, m)).astype(float),
    }[kind]
    ref = np.zeros(m)
    expected = moocore.hypervolume(points, ref=ref, maximise=True)
    for threads in (1, 2):
        assert hypervolume(points, ref=ref, n_threads=threads) == pytest.approx(expected, rel=1e-9)


@pytest.mark.parametrize("m", [4, 5, 6])
def test_threads_do_not_matter(m):
    points, ref = front(150, m), np.zeros(m)
    one = hypervolume(points, ref=ref, n_threads=1)
    assert hypervolume(points, ref=ref, n_threads=2) == one
    assert hypervolume(points, ref=ref, n_threads=3) == one
    np.testing.assert_array_equal(
        hypervolume_contributions(points, ref=ref, n_threads=1),
        hypervolume_contributions(points, ref=ref, n_threads=2),
    )


@pytest.mark.parametrize(("n", "m"), [(3000, 2), (3000, 3), (60, 4)])
def test_contributions_of_a_front_match_moocore(n, m):
    points, ref = front(n, m), np.zeros(m)
    expected = moocore.hv_contributions(points, ref=ref, maximise=True)
    np.testing.assert_allclose(
        hypervolume_contributions(points, ref=ref), expected, rtol=1e-6, atol=1e-15
    )


@pytest.mark.parametrize("m", [1, 2, 3, 4])
def test_contributions_of_copies_and_dominated_points_are_exactly_zero(m):
    points = np.random.default_rng(2).random((50, m)) + 0.5
    points = np.vstack([points, points[:20], points * 0.9])
    found = hypervolume_contributions(points, ref=np.zeros(m))
    assert (found[:20] == 0).all()
    assert (found[50:] == 0).all()
    assert (found >= 0).all()


def test_a_dominated_point_still_counts_as_present():
    found = hypervolume_contributions([[2, 2], [1, 1]], ref=[0, 0])
    np.testing.assert_array_equal(found, [3, 0])


def test_known_values():
    assert hypervolume([[2.0]], ref=[-1]) == 3
    assert hypervolume([[1, 2], [2, 1]], ref=[0, 0]) == 3
    assert hypervolume([[1, 1, 2], [1, 2, 1], [2, 1, 1]], ref=[0, 0, 0]) == 4
    assert hypervolume([[1, 1, 1, 1]] * 3, ref=[0] * 4) == 1


def test_points_outside_the_reference_count_nothing():
    assert hypervolume([[1, 1], [5, -1]], ref=[0, 0]) == 1
    assert hypervolume([[0, 5]], ref=[0, 0]) == 0
    assert hypervolume(np.zeros((0, 2)), ref=[0, 0]) == 0
    assert hypervolume_contributions([[1, 1], [5, -1]], ref=[0, 0]).tolist() == [1, 0]


@pytest.mark.parametrize("function", [hypervolume, hypervolume_contributions])
@pytest.mark.parametrize(
    ("points", "ref", "message"),
    [
        ([[1, 2]], [0], r"ref has shape \(1,\) but there are 2 objectives"),
        ([[1, 2]], 0, r"ref has shape \(\)"),
        ([[1, 2]], [0, 0, 0], r"ref has shape \(3,\)"),
        ([[1, 2]], [0, np.nan], "ref must be finite"),
        ([[1, 2]], [0, -np.inf], "ref must be finite"),
        ([[1, 2]], ["a", "b"], "ref must hold 2 numbers"),
        ([[1, 2], [np.inf, 2]], [0, 0], r"column 0 holds 1 infinite values \(first at row 1\)"),
        ([[1, 2], [np.nan, 2]], [0, 0], r"column 0 holds 1 NaN \(first at row 1\)"),
    ],
)
def test_errors(function, points, ref, message):
    with pytest.raises(ValueError, match=message):
        function(points, ref=ref)
