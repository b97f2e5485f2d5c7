"""Volumes and contributions of any doubles, beside fractions."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import helpers.twins.strips as twin
from helpers import exact_volumes as exact
from paretohqd.kernels.hypervolume import hypervolume, hypervolume_contributions

LARGEST = float(np.finfo(float).max)
STEP = exact.Fraction(5e-324)


@st.composite
def wild_clouds(draw):
    """Points and a reference; exponents of their own or those of their objectives."""
    m = draw(st.integers(1, 6))
    n = draw(st.integers(0, 6 if m < 5 else 4))
    low, high = draw(
        st.sampled_from([(-1070, 1023), (-200, 200), (-3, 3), (900, 1023), (-1070, -900)])
    )
    exponents = st.integers(low, high)
    shared = draw(st.booleans())
    columns = draw(st.lists(exponents, min_size=m, max_size=m))
    digits = st.integers(4, 8).map(lambda x: x / 8) | st.floats(0.5, 1)

    def value(j):
        exponent = columns[j] if shared else draw(exponents)
        return float(np.ldexp(draw(digits), exponent)) * draw(st.sampled_from([1, 1, 1, -1]))

    points = np.array([[value(j) for j in range(m)] for _ in range(n)]).reshape(n, m)
    origins = [st.sampled_from([0.0, -abs(value(j)), value(j)]) for j in range(m)]
    return points, np.array([draw(origin) for origin in origins])


def agree(value, expected, allowed):
    """Whether a double is a number but for what is allowed: also where it is no finite double."""
    if not np.isfinite(value):
        return value == np.inf and expected + allowed >= exact.Fraction(LARGEST)
    return abs(exact.Fraction(value) - expected) <= allowed + STEP


@given(wild_clouds())
@settings(max_examples=400, deadline=None)
def test_volumes_of_any_numbers(cloud):
    points, ref = cloud
    rows, (corner,) = exact.rows_of(points), exact.rows_of(ref[None])
    expected = exact.volume(rows, corner)
    volume = hypervolume(points, ref=ref)
    assert agree(volume, expected, expected * exact.Fraction(1e-13))
    if len(points):
        others = np.vstack([points, points[:1], points])
        groups = ["one"] * len(points) + ["few"] + ["again"] * len(points)
        one, few, again = hypervolume(others, ref=ref, groups=groups)
        assert one == again == volume
        assert few == hypervolume(points[:1], ref=ref)


@given(wild_clouds())
@settings(max_examples=400, deadline=None)
def test_contributions_of_any_numbers(cloud):
    """To a relative 1e-12 in up to three objectives, and else to 1e-14 of the point's box."""
    points, ref = cloud
    rows, (corner,) = exact.rows_of(points), exact.rows_of(ref[None])
    shares = hypervolume_contributions(points, ref=ref)
    for row, share, expected in zip(rows, shares, exact.contributions(rows, corner), strict=True):
        box = exact.box(row, corner) if len(corner) > 3 else 0
        allowed = expected * exact.Fraction(1e-12) + box * exact.Fraction(1e-14)
        assert agree(share, expected, allowed)
        if len(corner) <= 3:
            assert (share > 0) or exact.double(expected) < 1e-323


@pytest.mark.parametrize(
    ("points", "ref", "volume", "contributions"),
    [
        ([[1, 1, 1e308], [0.5, 2, 1e308]], [0, 0, -1e308], np.inf, [1e308, 1e308]),
        ([[1.5e308, 1e-10]], [-1.5e308, 0], 3e298, [3e298]),
        ([[1e300, 1e-300], [1e-300, 1e300]], [0, 0], 2.0, [1.0, 1.0]),
        ([[1e300, 1e-300, 3.0], [1e-300, 1e300, 3.0]], [0, 0, 0], 6.0, [3.0, 3.0]),
        (
            [[1e300, 1e-300, 3.0, 1.0], [1e-300, 1e300, 3.0, 1.0]],
            [0, 0, 0, 0],
            6.0,
            [3.0, 3.0],
        ),
        ([[1e200, 1e200, 1e-300, 1e-90]], [0] * 4, 1e10, [1e10]),
        ([[1e200, 1e200, 1e-200, 1e-200]], [0] * 4, 1.0, [1.0]),
        ([[1e-200, 1e-120, 1.0]], [0] * 3, 1e-320, [1e-320]),
        ([[1e-80] * 4], [0] * 4, 1e-320, [1e-320]),
        ([[1e-200] * 4], [0] * 4, 0.0, [0.0]),
        ([[1e100] * 4, [1e100] * 4], [0] * 4, np.inf, [0.0, 0.0]),
    ],
)
def test_known_extremes(points, ref, volume, contributions):
    assert hypervolume(points, ref=ref) == pytest.approx(volume, rel=1e-3)
    shares = hypervolume_contributions(points, ref=ref)
    assert shares == pytest.approx(contributions, rel=1e-3)


@pytest.mark.parametrize("m", [2, 3, 4, 5, 6])
@pytest.mark.parametrize("exponent", [-90, 40, 200])
def test_powers_of_two_change_no_digit(m, exponent):
    points = np.random.default_rng(m).random((30, m)) + 0.01
    scales = np.ldexp(1.0, exponent * (-1) ** np.arange(m))
    factor = float(np.prod(scales))
    volume = hypervolume(points, ref=np.zeros(m))
    assert hypervolume(points * scales, ref=np.zeros(m)) == volume * factor
    shares = hypervolume_contributions(points, ref=np.zeros(m))
    scaled = hypervolume_contributions(points * scales, ref=np.zeros(m))
    assert scaled.tolist() == (shares * factor).tolist()


@pytest.mark.parametrize(("n", "m"), [(40, 2), (14, 3), (9, 4), (7, 5)])
@pytest.mark.parametrize("distance", [1e3, 1e6, 1e12])
def test_contributions_of_close_points_far_from_the_reference(n, m, distance):
    """A subtraction of boxes would be off by the fourth power of the distance."""
    points = np.random.default_rng(n).dirichlet(np.ones(m), n)
    points[0] = points[1] * 0.5
    ref = np.full(m, -distance)
    rows, (corner,) = exact.rows_of(points), exact.rows_of(ref[None])
    shares = hypervolume_contributions(points, ref=ref)
    for share, expected in zip(shares, exact.contributions(rows, corner), strict=True):
        rel = 1e-12 if m <= 3 else 1e-10
        assert share == pytest.approx(exact.double(expected), rel=rel, abs=0)


def test_one_objective_far_off_and_points_that_are_equal_in_another():
    points = np.random.default_rng(4).dirichlet(np.ones(4), 8)
    points[:, 2] = 0.7
    ref = np.array([0.0, -1e9, 0.2, 0.0])
    rows, (corner,) = exact.rows_of(points), exact.rows_of(ref[None])
    expected = [exact.double(x) for x in exact.contributions(rows, corner)]
    np.testing.assert_allclose(hypervolume_contributions(points, ref=ref), expected, rtol=1e-12)


@given(st.data())
@settings(max_examples=200, deadline=None)
def test_the_twin_of_strips_agrees(data):
    values = st.sampled_from([0.5, 1.0, 1.5, 2.0, 3.0]) | st.floats(0.1, 4, width=16)
    points = data.draw(st.lists(st.tuples(values, values, values), max_size=12))
    own = twin.own_volumes(points)
    if points:
        shares = hypervolume_contributions(points, ref=[0, 0, 0])
        np.testing.assert_allclose(shares, own, atol=1e-12)


@pytest.mark.parametrize("order", ["falling", "rising", "random", "from both ends"])
def test_one_point_above_a_front(order):
    """The region of the one has as many strips as the front has points, wherever they begin."""
    n = 200_000
    rising = np.linspace(0.1, 0.9, n)
    y = {
        "falling": rising[::-1],
        "rising": rising,
        "random": np.random.default_rng(0).permutation(rising),
        "from both ends": np.where(np.arange(n) % 2, rising / 2, 1 - rising / 2),
    }[order]
    front = np.column_stack([rising[::-1], y, 1 - y])
    points = np.vstack([front, [[1, 1, 1]]])
    shares = hypervolume_contributions(points, ref=[0, 0, 0])
    assert not shares[:n].any()
    below = hypervolume(front, ref=[0, 0, 0])
    assert shares[n] == pytest.approx(1 - below, rel=1e-11)
    assert shares.tobytes() == hypervolume_contributions(points, ref=[0] * 3, n_threads=1).tobytes()


def test_a_region_that_shrinks_to_little_keeps_its_digits():
    """A sliver is left of a large box: what was subtracted must not be seen."""
    steps = np.arange(1, 200) / 200
    others = np.column_stack([np.full(199, 2.0), 1e6 * steps, 1e6 * (1 - steps)])
    rest = np.column_stack([np.full(199, 1.0), 1e6 * steps, np.full(199, 1e6)])
    points = np.vstack(
        [[[2.0, 1e6, 1e6]], others, rest[-1:] - [0, 0, 1e-3], rest[-1:] - [0, -4999, 1]]
    )
    rows, (corner,) = exact.rows_of(points), exact.rows_of(np.zeros((1, 3)))
    shares = hypervolume_contributions(points, ref=[0, 0, 0])
    for share, expected in zip(shares, exact.contributions(rows, corner), strict=True):
        assert share == pytest.approx(exact.double(expected), rel=1e-12, abs=0)
