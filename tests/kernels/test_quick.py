"""Four objectives and more: quick hypervolume, slices and contributions, beside exact fractions."""

from fractions import Fraction

import moocore
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from helpers import oracle
from helpers.twins import hypervolume as twin
from paretohqd.kernels.hypervolume import hypervolume, hypervolume_contributions


def fractions(points):
    return [[Fraction(x) for x in row] for row in np.asarray(points).tolist()]


def exact_contributions(points):
    """Each point's room that the others leave free, in fractions."""
    points = fractions(points)
    shares = []
    for i, point in enumerate(points):
        others = [[*map(min, p, point)] for p in points[:i] + points[i + 1 :]]
        shares.append(twin.free(others, [Fraction(0)] * len(point), point))
    return np.array(shares, dtype=float)


@pytest.mark.parametrize("m", [4, 5, 6])
@given(data=st.data())
@settings(max_examples=25)
def test_twin_kernel_and_definition_agree(m, data):
    values = st.sampled_from([0.5, 1.0, 1.5, 2.0, 3.25])
    points = data.draw(hnp.arrays(np.float64, (data.draw(st.integers(0, 6)), m), elements=values))
    ref = np.zeros(m)
    expected, own = oracle.hypervolume(points, ref), oracle.contributions(points, ref)
    low, high = [Fraction(0)] * m, [Fraction(4)] * m
    assert float(twin.covered(fractions(points), low)) == expected
    assert float(4**m - twin.free(fractions(points), low, high)) == expected
    assert exact_contributions(points).tolist() == own.tolist()
    assert hypervolume(points, ref=ref) == pytest.approx(expected, rel=1e-14)
    np.testing.assert_allclose(hypervolume_contributions(points, ref=ref), own, rtol=1e-12)


def shapes(n, m):
    rng = np.random.default_rng(n * m)
    simplex = rng.dirichlet(np.ones(m), n)
    sphere = np.sqrt(simplex)
    steps = np.arange(n)[:, None] / n
    yield "simplex", simplex
    yield "sphere", sphere
    yield "convex", simplex**2
    yield "cloud", rng.random((n, m))
    yield "ties", np.ceil(sphere * 6) / 6
    yield "copies", np.vstack([sphere[: n // 2]] * 2)
    yield "dominated", np.vstack([sphere[: n // 2], sphere[: n // 2] * 0.99])
    yield "clustered", 1 + sphere * 1e-4
    yield "one objective constant", np.where(np.arange(m) == m // 2, 0.5, sphere)
    yield "one above a front", np.vstack([sphere, [*[2.0] * (m - 1), 0.2]])
    yield "a staircase", 2 ** (8 * steps * (-1.0) ** np.arange(m))
    yield "scales", sphere * 10.0 ** np.arange(0, 4 * m, 4)


@pytest.mark.parametrize(
    ("n", "m"), [(150, 4), (1200, 4), (120, 5), (1300, 5), (60, 6), (40, 7), (30, 8), (20, 10)]
)
def test_shapes_match_moocore_on_any_number_of_threads(n, m):
    ref = np.zeros(m)
    for name, points in shapes(n, m):
        expected = moocore.hypervolume(points, ref=ref, maximise=True)
        volume = hypervolume(points, ref=ref)
        assert volume == pytest.approx(expected, rel=1e-11), name
        assert hypervolume(points, ref=ref, n_threads=3) == volume, name
        assert hypervolume(points, ref=ref, n_threads=1) == volume, name
        shares = hypervolume_contributions(points, ref=ref)
        again = hypervolume_contributions(points, ref=ref, n_threads=3)
        assert again.tobytes() == shares.tobytes(), name


@pytest.mark.parametrize(("n", "m"), [(14, 4), (12, 5), (10, 6), (8, 8)])
def test_the_error_is_that_of_rounding(n, m):
    for name, points in shapes(n, m):
        exact = float(twin.covered(fractions(points), [Fraction(0)] * m))
        assert hypervolume(points, ref=np.zeros(m)) == pytest.approx(exact, rel=1e-14), name
        shares = hypervolume_contributions(points, ref=np.zeros(m))
        np.testing.assert_allclose(
            shares, exact_contributions(points), rtol=1e-12, atol=0, err_msg=name
        )


@pytest.mark.parametrize("m", [4, 6, 9])
def test_contributions_of_close_points_are_accurate(m):
    """What a point adds is down to 10^-30 of its box here; a difference would be noise."""
    points = 1 + np.random.default_rng(m).dirichlet(np.ones(m), 8) * 2.0**-20
    shares = hypervolume_contributions(points, ref=np.zeros(m))
    assert (shares > 0).all()
    np.testing.assert_allclose(shares, exact_contributions(points), rtol=1e-12, atol=0)


@pytest.mark.parametrize("m", [4, 5, 7, 10, 17])
def test_groups_are_measured_as_if_alone(m):
    rng = np.random.default_rng(m)
    sizes = [0, 1, 2, 3, 4, 33, 40] if m < 17 else [0, 1, 2, 9]
    points, groups = rng.dirichlet(np.ones(m), sum(sizes)), np.repeat(range(len(sizes)), sizes)
    volumes = hypervolume(points, ref=np.zeros(m), groups=groups)
    for group, volume in zip(np.unique(groups), volumes, strict=True):
        assert volume == hypervolume(points[groups == group], ref=np.zeros(m))
