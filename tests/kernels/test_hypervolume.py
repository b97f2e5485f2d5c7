from fractions import Fraction

import moocore
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

import helpers.twins.hypervolume as twin
from helpers import oracle
from paretohqd.kernels.hypervolume import (
    hypervolume,
    hypervolume_contributions,
    hypervolume_estimate,
)


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
    shares = hypervolume_contributions(points, ref=ref)
    assert shares.shape == (len(points),)
    assert shares.dtype == np.float64
    np.testing.assert_allclose(shares, oracle.contributions(points, ref), atol=1e-9)


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
    ("n", "m"),
    [(5000, 2), (40_000, 3), (2500, 4), (600, 5), (150, 6), (60, 7), (30, 8), (20, 10), (12, 17)],
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


@pytest.mark.parametrize("kind", ["front", "cloud", "grid"])
@pytest.mark.parametrize(
    ("n", "m"), [(40_000, 2), (40_000, 3), (4000, 4), (1000, 5), (400, 6), (120, 8)]
)
def test_threads_do_not_matter(n, m, kind):
    rng = np.random.default_rng(3)
    points = {
        "front": front(n, m),
        "cloud": rng.random((n, m)),
        "grid": rng.integers(1, 7, (n, m)) / 7 * 10.0 ** np.arange(m),
    }[kind]
    ref = np.zeros(m)
    calls = [
        lambda threads: hypervolume(points, ref=ref, n_threads=threads),
        lambda threads: hypervolume_contributions(points, ref=ref, n_threads=threads).tobytes(),
        lambda threads: hypervolume_estimate(points, ref=ref, samples=9000, n_threads=threads),
    ]
    for call in calls:
        one = call(1)
        assert all(call(threads) == one for threads in (None, 2, 3, 7))


@pytest.mark.parametrize("m", range(1, 7))
@given(data=st.data())
@settings(max_examples=40)
def test_twin_kernel_and_definition_agree(m, data):
    values = st.sampled_from([0.5, 1.0, 1.5, 2.0, 3.0, 3.25])
    shape = st.tuples(st.integers(1, 9 if m < 5 else 5), st.just(m))
    points = data.draw(hnp.arrays(np.float64, shape, elements=values))
    ref = np.zeros(m)
    expected, own = oracle.hypervolume(points, ref), oracle.contributions(points, ref)
    assert twin.hypervolume(points.tolist()) == pytest.approx(expected, rel=1e-12)
    assert hypervolume(points, ref=ref) == pytest.approx(expected, rel=1e-12)
    np.testing.assert_allclose(twin.contributions(points.tolist()), own, atol=1e-12)
    np.testing.assert_allclose(hypervolume_contributions(points, ref=ref), own, atol=1e-12)
    if m == 2:
        np.testing.assert_allclose(twin.own_areas(points.tolist()), own, atol=1e-12)


@pytest.mark.parametrize("m", [3, 4, 5, 6, 7])
def test_twin_and_kernel_agree_on_larger_sets(m):
    points = np.vstack([front(40, m), np.random.default_rng(5).random((10, m))])
    expected = twin.hypervolume(points.tolist())
    assert hypervolume(points, ref=np.zeros(m)) == pytest.approx(expected, rel=1e-12)
    shares = hypervolume_contributions(points, ref=np.zeros(m))
    np.testing.assert_allclose(shares, twin.contributions(points.tolist()), atol=1e-14 * expected)


def exact_area(points):
    total = height = Fraction(0)
    for x, y in sorted(points.tolist(), reverse=True):
        total += Fraction(x) * max(Fraction(y) - height, 0)
        height = max(Fraction(y), height)
    return float(total)


@pytest.mark.parametrize("scale", [1.0, 1e-150, 1e150])
def test_the_error_is_that_of_rounding(scale):
    points = front(20_000, 2) * scale
    volume = hypervolume(points, ref=[0, 0])
    assert volume == pytest.approx(exact_area(points), rel=1e-13, abs=0)
    # A third objective that is the same everywhere is a factor.
    slab = np.column_stack([points, np.full(len(points), 3.0)])
    assert hypervolume(slab, ref=[0, 0, 0]) == pytest.approx(3 * volume, rel=1e-12, abs=0)


def test_f32_is_widened_exactly():
    for m in (2, 3, 4):
        points = front(500, m).astype(np.float32)
        ref = np.zeros(m)
        assert hypervolume(points, ref=ref) == hypervolume(points.astype(np.float64), ref=ref)


def line(n):
    rising = np.arange(1.0, n + 1)
    return np.column_stack([rising, rising[::-1]])


@pytest.mark.parametrize("order", ["rising", "falling", "shuffled"])
def test_awkward_shapes_of_many_points(order):
    # One large front whose staircase only grows; were a step O(n), this would take minutes.
    n = 200_000
    points = line(n)
    points = np.column_stack([points, points[:, 0]])
    expected = hypervolume(points, ref=[0, 0, 0])
    if order == "falling":
        points = points[::-1]
    elif order == "shuffled":
        points = np.random.default_rng(0).permutation(points)
    volume = hypervolume(points, ref=[0, 0, 0])
    assert volume == pytest.approx(expected, rel=1e-12)
    own = hypervolume_contributions(points, ref=[0, 0, 0])
    assert (own > 0).all()
    assert hypervolume_contributions(np.ones((n, 3)), ref=[0, 0, 0]).sum() == 0
    chain = np.repeat(points[:, :1], 3, axis=1)
    assert hypervolume(chain, ref=[0, 0, 0]) == float(n) ** 3


@pytest.mark.parametrize("m", [1, 2, 3])
@pytest.mark.parametrize("share", [0.1, 0.7])
def test_rows_outside_the_reference_in_a_large_front(m, share):
    """Points are copied if few of them count, and else read where they lie, in any layout."""
    n = 40_000
    points = front(n, m) if m > 1 else np.random.default_rng(0).random((n, 1))
    outside = np.random.default_rng(1).permutation(n) < n * (1 - share)
    points[outside, np.arange(n)[outside] % m] -= 2
    points, ref = points.astype(np.float32), np.full(m, -0.5)
    inside = points[~outside].astype(float)
    expected = moocore.hypervolume(inside, ref=ref, maximise=True) if m > 1 else inside.max() + 0.5
    lost = np.zeros(n)
    lost[~outside] = hypervolume_contributions(inside, ref=ref)
    for layout in (points, np.asfortranarray(points), points.astype(float)):
        for threads in (1, 2):
            volume = hypervolume(layout, ref=ref, n_threads=threads)
            assert volume == pytest.approx(expected, rel=1e-12)
            contributions = hypervolume_contributions(layout, ref=ref, n_threads=threads)
            np.testing.assert_allclose(contributions, lost, atol=1e-14)
            assert not contributions[outside].any()


def test_volumes_beyond_a_double():
    assert hypervolume([[1e200, 1e200]], ref=[0, 0]) == np.inf
    assert hypervolume([[1e-200, 1e-200]], ref=[0, 0]) == 0
    assert hypervolume([[1e300, 1e-300, 2.0]], ref=[0, 0, 0]) == pytest.approx(2)
    assert hypervolume([[-0.0, 1.0], [1.0, 1.0]], ref=[-0.0, 0.0]) == 1


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
    contributions = hypervolume_contributions(points, ref=np.zeros(m))
    assert (contributions[:20] == 0).all()
    assert (contributions[50:] == 0).all()
    assert (contributions >= 0).all()


def test_a_dominated_point_still_counts_as_present():
    contributions = hypervolume_contributions([[2, 2], [1, 1]], ref=[0, 0])
    np.testing.assert_array_equal(contributions, [3, 0])


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


@pytest.mark.parametrize("function", [hypervolume, hypervolume_contributions, hypervolume_estimate])
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
