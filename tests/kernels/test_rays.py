from math import comb

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from helpers import oracle
from helpers.twins import rays as twin
from paretohqd.kernels import _core
from paretohqd.kernels.rays import nearest_to_rays, preference_grid


@st.composite
def problems(draw):
    n, m, rays = draw(st.integers(1, 30)), draw(st.integers(1, 5)), draw(st.integers(1, 6))
    values = draw(st.sampled_from([st.integers(-3, 3).map(float), st.floats(-9, 9, width=32)]))
    points = draw(hnp.arrays(np.float64, (n, m), elements=values))
    through = draw(hnp.arrays(np.float64, (rays, m), elements=values))
    shape = draw(st.sampled_from([(m,), (rays, m)]))
    origin = draw(hnp.arrays(np.float64, shape, elements=values))
    assume(not (through == origin).all(axis=1).any())
    return points, origin, through, draw(st.integers(1, n))


@given(problems())
def test_distances_are_those_of_the_definition(problem):
    points, origin, through, k = problem
    rows, distances = nearest_to_rays(points, origin, through, k=k)
    assert rows.shape == distances.shape == (len(through), k)
    assert rows.dtype == np.int64
    starts = np.broadcast_to(origin, through.shape)
    for ray in range(len(through)):
        every = np.array([oracle.distance(p, starts[ray], through[ray]) for p in points])
        np.testing.assert_allclose(distances[ray], np.sort(every)[:k], atol=1e-9, rtol=1e-9)
        np.testing.assert_allclose(distances[ray], every[rows[ray]], atol=1e-9, rtol=1e-9)
        assert len(set(rows[ray])) == k


@given(problems())
def test_equal_distances_go_to_the_earlier_row(problem):
    points, origin, through, _ = problem
    n = len(points)
    rows, distances = nearest_to_rays(np.vstack([points, points]), origin, through, k=2 * n)
    for near, far in zip(rows, distances, strict=True):
        # Equal rows are equally far, to the bit.
        np.testing.assert_array_equal(far, far[np.argsort(far, kind="stable")])
        place = np.argsort(near)
        np.testing.assert_array_equal(far[place[:n]], far[place[n:]])
        ties = np.flatnonzero(np.diff(far) == 0)
        assert (near[ties] < near[ties + 1]).all()


def brute(points, origin, through, k):
    d = through - origin
    u = d / np.linalg.norm(d, axis=1, keepdims=True)
    every = []
    for start, direction in zip(np.broadcast_to(origin, through.shape), u, strict=True):
        q = points - start
        t = np.maximum(q @ direction, 0)
        every.append(np.linalg.norm(q - t[:, None] * direction, axis=1))
    return np.sort(np.array(every), axis=1)[:, :k], np.array(every)


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize(("n", "m", "k", "rays"), [(50_000, 3, 100, 11), (20_000, 2, 1, 3)])
def test_large_clouds_and_threads(dtype, n, m, k, rays):
    rng = np.random.default_rng(0)
    points = rng.random((n, m)).astype(dtype)
    origin, through = points.max(axis=0).astype(float), rng.random((rays, m)) * 0.5
    rows, distances = nearest_to_rays(points, origin, through, k=k, n_threads=1)
    expected, every = brute(points.astype(float), origin, through, k)
    np.testing.assert_allclose(distances, expected, atol=1e-12)
    np.testing.assert_allclose(np.take_along_axis(every, rows, axis=1), distances, atol=1e-12)
    for threads in (2, 3):
        again = nearest_to_rays(points, origin, through, k=k, n_threads=threads)
        np.testing.assert_array_equal(again[0], rows)
        np.testing.assert_array_equal(again[1], distances)


def test_no_cancellation_far_from_the_origin():
    rng = np.random.default_rng(1)
    along = rng.random(2000) * 1e6
    off = rng.random(2000) * 1e-3
    points = np.column_stack([-along, off, np.zeros(2000)])
    rows, distances = nearest_to_rays(points, [0, 0, 0], [[-1, 0, 0]], k=50)
    np.testing.assert_array_equal(rows[0], np.argsort(off)[:50])
    np.testing.assert_allclose(distances[0], np.sort(off)[:50], rtol=1e-12)


def test_many_ties_over_many_blocks():
    points = np.tile([[0.0, 1.0], [1.0, 0.0]], (30_000, 1))
    for threads in (1, 2):
        rows, distances = nearest_to_rays(points, [1, 1], [[0, 0]], k=70, n_threads=threads)
        np.testing.assert_array_equal(rows[0], np.arange(70))
        assert len(set(distances[0])) == 1


@pytest.mark.parametrize("scale", [1e-300, 1e-200, 1e200, 1e307])
def test_extreme_scales(scale):
    points = np.array([[0.5, 0.1], [0.3, 0.3], [-1, 1], [1, 1]])
    rows, distances = nearest_to_rays(points * scale, np.ones(2) * scale, [[0, 0]], k=4)
    expected = nearest_to_rays(points, np.ones(2), [[0, 0]], k=4)
    np.testing.assert_array_equal(rows, expected[0])
    np.testing.assert_allclose(distances, expected[1] * scale, rtol=1e-12, atol=1e-15 * scale)


def test_distances_beyond_every_float_are_ordered_all_the_same():
    huge = np.finfo(float).max
    points = np.array([[huge] * 3, [0, 0, 0], [huge, huge, 0]])
    rows, distances = nearest_to_rays(points, [0, 0, 0], [[-1, 0, 0]], k=3)
    np.testing.assert_array_equal(rows, [[1, 2, 0]])
    np.testing.assert_array_equal(distances, [[0, np.inf, np.inf]])


def test_rows_behind_the_origin_are_as_far_as_the_origin():
    _, distances = nearest_to_rays([[3.0, 4.0]], [0, 0], [[-1, 0]], k=1)
    assert distances.item() == 5


def test_no_ray():
    rows, distances = nearest_to_rays([[1.0, 2.0]], [0, 0], np.zeros((0, 2)), k=1)
    assert rows.shape == distances.shape == (0, 1)


@pytest.mark.parametrize(
    ("points", "origin", "through", "k", "message"),
    [
        ([[1, 2]], [0, 0], [[1, 1]], 2, "k = 2 is more than the 1 rows"),
        ([[1, 2]], [0, 0], [[1, 1]], 0, "k must be an integer of at least 1"),
        ([[1, 2]], [0, 0], [[1, 1], [0, 0]], 1, "ray 1 has no direction"),
        ([[1, 2]], [[0, 0], [1, 2]], [[1, 1], [1, 2]], 1, "ray 1 has no direction"),
        ([[1, 2]], [0, 0, 0], [[1, 1]], 1, r"origin has shape \(3,\) but there are 2"),
        ([[1, 2]], 0, [[1, 1]], 1, r"origin has shape \(\)"),
        ([[1, 2]], [0, 0], [1, 1], 1, r"through has shape \(2,\); pass \(P, 2\)"),
        ([[1, 2]], [0, 0], [[1, 1, 1]], 1, r"through has shape \(1, 3\)"),
        ([[1, 2]], [[0, 0]] * 3, [[1, 1]] * 2, 1, "origin has 3 rows but through has 2"),
        ([[1, 2]], [0, np.nan], [[1, 1]], 1, "origin must be finite"),
        ([[1, 2]], [0, 0], [[1, np.inf]], 1, "through must be finite"),
        ([[1, 2]], [0, "a"], [[1, 1]], 1, "origin must hold rows of 2 numbers"),
        ([[1, np.inf]], [0, 0], [[1, 1]], 1, r"column 1 holds 1 infinite values"),
        ([[1, np.nan]], [0, 0], [[1, 1]], 1, r"column 1 holds 1 NaN"),
    ],
)
def test_errors(points, origin, through, k, message):
    with pytest.raises(ValueError, match=message):
        nearest_to_rays(points, origin, through, k=k)


@pytest.mark.parametrize(("m", "divisions"), [(1, 3), (2, 10), (3, 12), (4, 5), (5, 1)])
def test_grid_covers_the_simplex_in_order(m, divisions):
    grid = preference_grid(m, divisions)
    assert grid.shape == (comb(divisions + m - 1, m - 1), m)
    np.testing.assert_allclose(grid.sum(axis=1), 1, rtol=1e-15)
    assert (grid >= 0).all()
    assert grid.tolist() == sorted(grid.tolist(), reverse=True)
    assert len(np.unique(grid, axis=0)) == len(grid)
    np.testing.assert_array_equal(grid, np.round(grid * divisions) / divisions)


def test_grid_of_two_objectives():
    grid = preference_grid(2, 10)
    np.testing.assert_array_equal(grid[:, 0], np.arange(10, -1, -1) / 10)
    np.testing.assert_array_equal(grid[:, 1], np.arange(11) / 10)


@pytest.mark.parametrize(("m", "divisions"), [(0, 3), (2, 0), (2, 1.5), (-1, 2)])
def test_grid_errors(m, divisions):
    with pytest.raises(ValueError, match="must be an integer of at least 1"):
        preference_grid(m, divisions)


def same(points, origin, through, k):
    """The answer, when threads agree; it must be that of every distance computed."""
    rows, distances = nearest_to_rays(points, origin, through, k=k, n_threads=1)
    for threads in (2, 3):
        again = nearest_to_rays(points, origin, through, k=k, n_threads=threads)
        np.testing.assert_array_equal(again[0], rows)
        assert again[1].tobytes() == distances.tobytes()
    # With k = n nothing is screened out. Its first k must be the same bytes.
    columns = np.asarray(points)
    every = nearest_to_rays(columns, origin, through, k=len(columns), n_threads=1)
    np.testing.assert_array_equal(every[0][:, :k], rows)
    assert np.ascontiguousarray(every[1][:, :k]).tobytes() == distances.tobytes()
    return rows, distances


def clouds():
    rng = np.random.default_rng(3)
    n, m = 20_000, 3
    uniform = rng.random((n, m))
    line = np.linspace(0, 1, n)[:, None] * [3.0, 2.0, 1.0]
    yield "uniform", uniform
    yield "single precision", uniform.astype(np.float32)
    yield "on one line", line
    yield "near one line", line + rng.normal(0, 1e-9, (n, m))
    yield "far away", uniform + 1e8
    yield "far away along one axis", uniform + np.array([1e12, 0, 0])
    yield "all equal", np.full((n, m), 0.3)
    yield "few values", rng.integers(0, 3, (n, m)).astype(float)
    yield "large", uniform * 1e150
    yield "larger than the origin", uniform * 1e200
    yield "small", uniform * 1e-160
    yield "one large outlier", np.vstack([uniform[1:], [[1e30, 1e30, 1e30]]])
    yield "heavy tails", rng.standard_cauchy((n, m)) ** 3
    yield "many magnitudes", uniform * 10.0 ** rng.uniform(-60, 60, (n, 1))
    yield "nearest last", uniform[np.argsort(-np.linalg.norm(uniform - 1, axis=1))]
    yield "nearest first", uniform[np.argsort(np.linalg.norm(uniform - 1, axis=1))]


CLOUDS = list(clouds())


@pytest.mark.parametrize(("name", "points"), CLOUDS, ids=[name for name, _ in CLOUDS])
def test_the_screen_loses_no_row(name, points):
    rng = np.random.default_rng(4)
    exact = points.astype(float)
    low, high = exact.min(axis=0), exact.max(axis=0)
    size = (high - low).max() or 1.0
    towards = high - rng.random((4, 3)) * size
    # Along the line of the points, against it, and at points themselves.
    towards = np.vstack([towards, high - [3.0 * size, 2.0 * size, size], high + size, exact[7]])
    towards = towards[(towards != high).any(axis=1)]
    for k in (1, 100):
        same(points, high, towards, k)
    same(points, np.zeros(3), np.vstack([exact[5], -exact[5] - 1]), 10)
    several = np.vstack([high, high, low, exact[3]])
    same(
        points,
        several,
        several + [[0, 0, -1], [1, 1, 1], [1, 2, 3], [-1, 0, 1]] * np.array(size),
        9,
    )


@given(problems())
def test_the_twin_finds_the_same_rows(problem):
    points, origin, through, k = problem
    points = np.vstack([points] * 9)
    _, distances = nearest_to_rays(points, origin, through, k=k)
    starts = np.broadcast_to(origin, through.shape)
    for ray in range(len(through)):
        result = twin.nearest(points, starts[ray], through[ray], k)
        every = [oracle.distance(p, starts[ray], through[ray]) for p in points]
        np.testing.assert_allclose([d for d, _ in result], distances[ray], atol=1e-12)
        np.testing.assert_allclose(
            [every[row] for _, row in result], np.sort(every)[:k], atol=1e-12
        )


@pytest.mark.parametrize("m", [1, 2, 4, 5, 6, 9, 40])
@pytest.mark.parametrize("k", [1, 500, 9_999, 10_000])
def test_any_number_of_objectives_and_rows(m, k):
    rng = np.random.default_rng(m)
    points = rng.random((10_000, m))
    through = rng.random((3, m)) - 1
    _, distances = same(points, np.ones(m), through, k)
    np.testing.assert_allclose(distances, brute(points, np.ones(m), through, k)[0], atol=1e-12)


def test_a_thousand_rays():
    rng = np.random.default_rng(5)
    points, through = rng.random((3_000, 3)), rng.random((1000, 3)) - 1
    rows, distances = nearest_to_rays(points, np.ones(3), through, k=20)
    expected, every = brute(points, np.ones(3), through, 20)
    np.testing.assert_allclose(distances, expected, atol=1e-12)
    np.testing.assert_allclose(np.take_along_axis(every, rows, axis=1), distances, atol=1e-12)


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("row", [0, 12_345, 49_999])
def test_values_that_are_no_numbers_are_noticed_on_the_way(bad, row):
    points = np.random.default_rng(6).random((50_000, 2))
    points[row, 1] = bad
    what = "NaN" if np.isnan(bad) else "infinite values"
    for through in ([[0.0, 0.0]], np.zeros((0, 2))):
        with pytest.raises(ValueError, match=rf"column 1 holds 1 {what} \(first at row {row}\)"):
            nearest_to_rays(points, [1, 1], through, k=3)


def test_every_layout_gives_the_same_bytes():
    rng = np.random.default_rng(3)
    for n, m in [(64, 2), (65, 3), (500, 4), (20_001, 5)]:
        points, through = rng.random((n, m)), rng.random((4, m)) * 0.5
        wide = np.zeros((n, m + 1))
        wide[:, 1:] = points
        layouts = [points, np.asfortranarray(points), wide[:, 1:], np.repeat(points, 2, 0)[::2]]
        result = [nearest_to_rays(layout, np.ones(m), through, k=9) for layout in layouts]
        for rows, distances in result[1:]:
            np.testing.assert_array_equal(rows, result[0][0])
            np.testing.assert_array_equal(distances, result[0][1])
        turned = nearest_to_rays(points[:, ::-1], np.ones(m), through[:, ::-1], k=9)
        np.testing.assert_allclose(turned[1], result[0][1], atol=1e-12)


@pytest.mark.parametrize("far", [1e12, 1e30, 1e100])
def test_rows_too_far_for_single_precision(far):
    # The screen says nothing about chunks that hold such rows; their neighbours count all the same.
    rng = np.random.default_rng(4)
    points, through = rng.random((3_000, 3)), rng.random((3, 3)) * 0.5
    points[rng.random(3_000) < 0.01] *= far
    _, distances = nearest_to_rays(points, np.ones(3), through, k=20)
    expected, _ = brute(points, np.ones(3), through, 20)
    np.testing.assert_allclose(distances, expected, rtol=1e-9, atol=1e-12)
    points[1234, 1] = np.nan
    with pytest.raises(ValueError, match="NaN"):
        nearest_to_rays(points, np.ones(3), through, k=20)


def test_the_parts_of_an_answer_have_names():
    nearest = nearest_to_rays([[1.0, 0.0], [0.5, 0.4]], [1, 1], [[0, 0]], k=2)
    rows, distances = nearest
    assert nearest.rows is rows
    assert nearest.distances is distances
    assert nearest._fields == ("rows", "distances")


def test_an_answer_that_is_too_large_is_refused_before_it_is_made():
    points, through = np.zeros((1_000_000, 2)), np.ones((10_000_000, 2))
    with pytest.raises(MemoryError, match="takes 160000000000000 bytes"):
        nearest_to_rays(points, [0, 0], through, k=1_000_000)
    starts, spans = np.array([0, 1_000_000], dtype=np.uint32), np.ones(2)
    with pytest.raises(MemoryError, match="takes 160000000000000 bytes"):
        _core.nearest_in_groups(list(points.T), starts, spans, through.ravel(), 1_000_000, None)
