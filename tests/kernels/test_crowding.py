import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from helpers import indicator_oracle as oracle
from helpers.twins import indicators as twin
from paretohqd.kernels.crowding import crowding_distance
from paretohqd.kernels.layers import pareto_layers

VALUES = st.integers(-2, 3).map(float) | st.floats(-4, 4, width=32)
CLOUDS = st.tuples(st.integers(0, 30), st.integers(1, 5)).flatmap(
    lambda shape: hnp.arrays(np.float64, shape, elements=VALUES)
)


@given(CLOUDS)
def test_kernel_twin_and_definition_agree(points):
    expected = oracle.crowding_distance(points)
    distances = crowding_distance(points)
    assert distances.shape == (len(points),)
    assert distances.dtype == np.float64
    np.testing.assert_allclose(distances, expected, rtol=1e-14)
    np.testing.assert_allclose(twin.crowding_distance(points.tolist()), expected, rtol=1e-14)


@given(CLOUDS, st.integers(1, 4))
def test_groups_are_apart(points, size):
    keys = [f"key {row * row % size}" for row in range(len(points))]
    distances = crowding_distance(points, groups=keys)
    for key in set(keys):
        rows = [row for row, each in enumerate(keys) if each == key]
        np.testing.assert_array_equal(distances[rows], crowding_distance(points[rows]))
    np.testing.assert_array_equal(crowding_distance(points, by=keys), distances)


@given(CLOUDS, st.randoms())
def test_the_order_of_rows_does_not_matter(points, random):
    points = np.unique(points, axis=0)  # Of copies the first row has the distance.
    order = list(range(len(points)))
    random.shuffle(order)
    np.testing.assert_array_equal(
        crowding_distance(points[order]), crowding_distance(points)[order]
    )


@given(CLOUDS)
def test_both_directions_are_one(points):
    expected = crowding_distance(points)
    np.testing.assert_array_equal(crowding_distance(points, maximize=False), expected)
    np.testing.assert_array_equal(crowding_distance(-points), expected)


def pymoo_crowding(points):
    """What `pymoo.operators.survival.rank_and_crowding.metrics` says of points without ties."""
    m = points.shape[1]
    order = np.argsort(points, axis=0, kind="stable")
    ranked = np.take_along_axis(points, order, axis=0)
    gaps = np.full(points.shape, np.inf)
    gaps[1:-1] = (ranked[2:] - ranked[:-2]) / np.ptp(points, axis=0)
    shares = np.empty_like(gaps)
    np.put_along_axis(shares, order, gaps, axis=0)
    return shares.sum(axis=1) / m


SIZES = pytest.mark.parametrize(("n", "m"), [(3, 2), (500, 2), (500, 3), (20_000, 3), (40_000, 5)])


@SIZES
def test_large_sets_are_as_pymoo_defines_them(n, m):
    points = np.random.default_rng(n).random((n, m))
    np.testing.assert_allclose(crowding_distance(points), pymoo_crowding(points) * m, rtol=1e-12)


@SIZES
def test_parity_with_pymoo(n, m):
    pymoo = pytest.importorskip("pymoo.operators.survival.rank_and_crowding.metrics")
    points = np.random.default_rng(n).random((n, m))
    theirs = pymoo.get_crowding_function("cd").do(points)
    np.testing.assert_allclose(crowding_distance(points), theirs * m, rtol=1e-12)


@pytest.mark.parametrize("levels", [3, 60, 2**40])
@pytest.mark.parametrize(("n", "m"), [(3000, 3), (40_000, 2), (40_000, 4)])
def test_threads_and_layouts_do_not_matter(n, m, levels):
    points = np.random.default_rng(4).integers(0, levels, (n, m)) / levels
    expected = crowding_distance(points, n_threads=1).tobytes()
    keys = np.arange(n) % 700
    grouped = crowding_distance(points, groups=keys, n_threads=1).tobytes()
    for threads in (None, 2, 3):
        for each in (points, np.asfortranarray(points), list(points.T), pl.DataFrame(points)):
            assert crowding_distance(each, n_threads=threads).tobytes() == expected
        assert crowding_distance(points, groups=keys, n_threads=threads).tobytes() == grouped
    single = points.astype(np.float32)
    assert (crowding_distance(single) == crowding_distance(single.astype(float))).all()


@pytest.mark.parametrize("levels", [4, 50, 2**40])
def test_twin_and_kernel_agree_on_many_points(levels):
    points = np.random.default_rng(5).integers(0, levels, (20_000, 3)) / levels
    np.testing.assert_allclose(
        crowding_distance(points), twin.crowding_distance(points.tolist()), rtol=1e-13
    )


def test_within_layers():
    points = np.random.default_rng(6).random((3000, 3))
    layers = pareto_layers(points)
    distances = crowding_distance(points, groups=layers)
    for layer in range(layers.max() + 1):
        rows = layers == layer
        np.testing.assert_array_equal(distances[rows], crowding_distance(points[rows]))


def test_known_values():
    inf = np.inf
    assert crowding_distance(np.zeros((0, 2))).shape == (0,)
    assert crowding_distance([[3, 1]]).tolist() == [inf]
    assert crowding_distance([[3, 1], [3, 1]]).tolist() == [inf, 0]
    assert crowding_distance([[3, 1], [3, 2]]).tolist() == [inf, inf]
    assert crowding_distance([[0.0], [1], [-0.0], [4], [2]]).tolist() == [inf, 0.5, 0, inf, 0.75]
    # The second objective is the same everywhere.
    assert crowding_distance([[0, 7], [1, 7], [4, 7]]).tolist() == [inf, 1, inf]
    # Three rows share the largest first value: the best in the second is the extreme, and it and
    # the last are extremes there as well.
    tied = [[2, 1], [2, 3], [2, 2], [0, 1.5]]
    assert crowding_distance(tied).tolist() == [inf, inf, 0.75, inf]
    assert crowding_distance([[-1e308], [0], [1e308]]).tolist() == [inf, 1, inf]


@pytest.mark.parametrize(
    ("points", "options", "message"),
    [
        ([[1, np.inf]], {}, r"column 1 holds 1 infinite .* crowding distance needs a finite range"),
        ([[1, np.nan]], {}, r"column 1 holds 1 NaN \(first at row 0\)"),
        ([[1, 2]], {"groups": [1, 2]}, "groups has 2 keys but there are 1 rows"),
        ([[1, 2]], {"groups": [1], "by": [1]}, "groups and by are two names"),
        ([[1, 2]], {"maximize": [True]}, "maximize has length 1 but there are 2 objectives"),
        ([[1, 2]], {"n_threads": 0}, "n_threads must be an integer of at least 1"),
    ],
)
def test_errors(points, options, message):
    with pytest.raises(ValueError, match=message):
        crowding_distance(points, **options)
