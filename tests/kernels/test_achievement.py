import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from helpers import oracle
from helpers.twins import achievement as twin
from paretohqd.kernels.achievement import least_achievement
from paretohqd.kernels.layers import pareto_layers

FEW = st.integers(-3, 3).map(float)
ODD = st.sampled_from([0.0, -0.0, 1.0, 1 + 2**-52, 0.1, 1e16, -1e16, 5e-324, 1e308, -1e308])
FALLS = st.sampled_from([0.0, 0.0, 0.25, 0.3, 1.0, 1.0, 7.0, 1e-300, 1e300])


@st.composite
def problems(draw):
    n, m, preferences = draw(st.integers(1, 40)), draw(st.integers(1, 5)), draw(st.integers(1, 5))
    values = draw(st.sampled_from([FEW, st.floats(-9, 9, width=32), FEW | ODD]))
    points = draw(hnp.arrays(np.float64, (n, m), elements=values))
    ideal = draw(hnp.arrays(np.float64, (m,), elements=values))
    directions = draw(hnp.arrays(np.float64, (preferences, m), elements=FALLS))
    directions[~directions.any(axis=1), 0] = 1
    return points, ideal, directions, draw(st.integers(1, n))


@given(problems())
@example((np.array([[0.0, 0.0], [0.5, 0.0]]), np.array([1e16, 1e16]), np.ones((1, 2)), 2))
def test_rows_are_those_of_the_definition(problem):
    points, ideal, directions, k = problem
    rows, values = least_achievement(points, ideal, directions, k=k)
    assert rows.shape == values.shape == (len(directions), k)
    assert (rows.dtype, values.dtype) == (np.int64, np.float64)
    for own_rows, own_values, direction in zip(rows, values, directions, strict=True):
        expected = oracle.least_achievement(points, ideal, direction, k)
        assert (own_rows.tolist(), own_values.tolist()) == expected


@given(problems())
def test_the_k_rows_are_in_the_first_k_layers(problem):
    points, ideal, directions, k = problem
    layer = pareto_layers(points)
    rows, _ = least_achievement(points, ideal, directions, k=k)
    assert (layer[rows] <= np.arange(k)).all()


@given(problems(), st.integers(0, 2**32 - 1), st.booleans())
def test_each_group_is_as_alone(problem, seed, given_ideal):
    points, ideal, directions, k = problem
    groups = np.random.default_rng(seed).integers(-2, 3, len(points))
    target = ideal if given_ideal else None
    rows, values = least_achievement(points, target, directions, k=k, groups=groups)
    expected = [[], []]
    for key in dict.fromkeys(groups.tolist()):
        own = np.flatnonzero(groups == key)
        alone = least_achievement(points[own], target, directions, k=min(k, len(own)))
        expected[0].append(own[alone.rows])
        expected[1].append(alone.values)
    np.testing.assert_array_equal(rows, np.hstack(expected[0]))
    np.testing.assert_array_equal(values, np.hstack(expected[1]))
    by = least_achievement(points, target, directions, k=k, by=[str(key) for key in groups])
    np.testing.assert_array_equal(by.rows, rows)


@given(problems())
def test_the_twin_finds_the_same_rows(problem):
    points, ideal, directions, k = problem
    if np.abs(points).max() > 1e17 or directions.max() > 1e3:
        return  # its caps are not exact
    points = np.vstack([points] * 4)
    rows, _ = least_achievement(points, ideal, directions, k=k)
    for own_rows, direction in zip(rows, directions, strict=True):
        if direction[direction > 0].min() > 1e-3:
            assert own_rows.tolist() == twin.least(points, ideal, direction, k)


def same(points, ideal, directions, k):
    """The answer, when threads agree; it must be that of every rank computed."""
    rows, values = least_achievement(points, ideal, directions, k=k, n_threads=1)
    for threads in (2, 3):
        again = least_achievement(points, ideal, directions, k=k, n_threads=threads)
        np.testing.assert_array_equal(again.rows, rows)
        assert again.values.tobytes() == values.tobytes()
    # In one group of all rows, or with k = n, nothing is screened out.
    every = least_achievement(points, ideal, directions, k=len(points), n_threads=1)
    np.testing.assert_array_equal(every.rows[:, :k], rows)
    assert np.ascontiguousarray(every.values[:, :k]).tobytes() == values.tobytes()
    return rows, values


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
    yield "all equal", np.full((n, m), 0.3)
    yield "few values", rng.integers(0, 3, (n, m)).astype(float)
    yield "likert", rng.integers(1, 11, (n, m)).astype(float)
    yield "large", uniform * 1e200
    yield "small", uniform * 1e-160
    yield "tiny", uniform * 1e-318
    yield "one large outlier", np.vstack([uniform[1:], [[1e30, 1e30, 1e30]]])
    yield "heavy tails", rng.standard_cauchy((n, m)) ** 3
    yield "many magnitudes", uniform * 10.0 ** rng.uniform(-60, 60, (n, 1))
    yield "best last", uniform[np.argsort(uniform.min(axis=1))]
    yield "best first", uniform[np.argsort(-uniform.min(axis=1))]


CLOUDS = list(clouds())


@pytest.mark.parametrize(("name", "points"), CLOUDS, ids=[name for name, _ in CLOUDS])
def test_the_screen_loses_no_row(name, points):
    rng = np.random.default_rng(4)
    exact = points.astype(float)
    directions = np.vstack([rng.random((5, 3)) + 0.01, np.eye(3), 1 - np.eye(3), np.ones(3)])
    for ideal in (exact.max(axis=0), exact.mean(axis=0)):
        for k in (1, 100):
            rows, values = same(points, ideal, directions, k)
            assert (np.diff(values) >= 0).all()
            shortfalls = ideal - exact
            for own_rows, own_values, d in zip(rows, values, directions, strict=True):
                firm = d == 0
                terms = shortfalls[:, firm] if firm.any() else shortfalls / d
                every = terms.max(axis=1)
                np.testing.assert_array_equal(own_values, np.sort(every)[:k])
                np.testing.assert_array_equal(own_values, every[own_rows])


@pytest.mark.parametrize("m", [1, 2, 4, 5, 6, 9, 40])
@pytest.mark.parametrize("k", [1, 500, 9_999, 10_000])
def test_any_number_of_objectives_and_rows(m, k):
    rng = np.random.default_rng(m)
    points, directions = rng.random((10_000, m)), rng.random((3, m)) + 0.01
    _, values = same(points, np.ones(m), directions, k)
    terms = (1 - points) / directions[:, None]
    np.testing.assert_array_equal(values, np.sort(terms.max(axis=2), axis=1)[:, :k])


@pytest.mark.parametrize("rows", [700, 20_000])
def test_many_preferences_and_copies(rows):
    rng = np.random.default_rng(5)
    points = np.round(rng.random((rows, 3)) * 4) / 4
    directions = rng.random((300, 3)) + 0.01
    result, _ = same(points, points.max(axis=0) + 0.1, directions, 30)
    for own, direction in zip(result[::50], directions[::50], strict=True):
        some = points[:700]
        alone = least_achievement(some, points.max(axis=0) + 0.1, [direction], k=30).rows[0]
        expected = oracle.least_achievement(some, points.max(axis=0) + 0.1, direction, 30)[0]
        assert alone.tolist() == expected
        if rows == 700:
            assert own.tolist() == expected


def test_every_layout_gives_the_same_bytes():
    rng = np.random.default_rng(3)
    for n, m in [(64, 2), (65, 3), (500, 4), (20_001, 5)]:
        points, directions = rng.random((n, m)), rng.random((4, m)) + 0.1
        wide = np.zeros((n, m + 1))
        wide[:, 1:] = points
        layouts = [points, np.asfortranarray(points), wide[:, 1:], np.repeat(points, 2, 0)[::2]]
        result = [least_achievement(layout, np.ones(m), directions, k=9) for layout in layouts]
        for rows, values in result[1:]:
            np.testing.assert_array_equal(rows, result[0].rows)
            np.testing.assert_array_equal(values, result[0].values)


def test_what_is_minimised():
    points = np.random.default_rng(6).random((200, 3))
    signs = np.array([1, -1, 1])
    directions = [[1, 2, 3], [0, 1, 1], [1, 0, 0]]
    expected = least_achievement(points, None, directions, k=5)
    for ideal in (None, points.max(axis=0) * signs):
        turned = least_achievement(
            points * signs, ideal, directions, k=5, maximize=[True, False, True]
        )
        np.testing.assert_array_equal(turned.rows, expected.rows)
        np.testing.assert_array_equal(turned.values, expected.values)


def test_a_firm_objective_counts_before_all_others():
    points = [[0.9, 0.0, 0.0], [1.0, 0.1, 0.0], [1.0, 0.0, 0.3], [1.0, 0.2, 0.2]]
    least = least_achievement(points, [1, 1, 1], [[0, 1, 1], [0, 0, 1]], k=4)
    np.testing.assert_array_equal(least.rows, [[3, 2, 1, 0], [3, 1, 2, 0]])
    np.testing.assert_allclose(least.values, [[0, 0, 0, 0.1], [0.8, 0.9, 1, 1]])


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("row", [0, 12_345, 49_999])
def test_values_that_are_no_numbers_are_refused(bad, row):
    points = np.random.default_rng(6).random((50_000, 2))
    points[row, 1] = bad
    what = "NaN" if np.isnan(bad) else "infinite values"
    message = rf"column 1 holds 1 {what} \(first at row {row}\)"
    for directions in ([[1, 1]], np.zeros((0, 2))):
        for ideal in (None, [1, 1]):
            for groups in (None, np.arange(50_000) // 5000):
                with pytest.raises(ValueError, match=message):
                    least_achievement(points, ideal, directions, k=3, groups=groups)


@pytest.mark.parametrize(
    ("points", "ideal", "directions", "k", "message"),
    [
        ([[1, 2]], [0, 0], [[1, 1]], 2, "k = 2 is more than the 1 rows"),
        ([[1, 2]], None, [[1, 1]], 2, "k = 2 is more than the 1 rows"),
        ([[1, 2]], [0, 0], [[1, 1]], 0, "k must be an integer of at least 1"),
        ([[1, 2]], [0, 0, 0], [[1, 1]], 1, r"ideal has shape \(3,\) but there are 2"),
        ([[1, 2]], [[0, 0]], [[1, 1]], 1, r"ideal has shape \(1, 2\)"),
        ([[1, 2]], [0, np.inf], [[1, 1]], 1, "ideal must be finite"),
        ([[1, 2]], ["a", 0], [[1, 1]], 1, "ideal must hold 2 numbers"),
        ([[1, 2]], [0, 0], [1, 1], 1, r"directions has shape \(2,\) .* pass \(P, 2\)"),
        ([[1, 2]], [0, 0], [[1, 1, 1]], 1, r"directions has shape \(1, 3\)"),
        ([[1, 2]], [0, 0], [[1, 1], [1, -1]], 1, r"1 numbers are negative \(first in row 1\)"),
        ([[1, 2]], [0, 0], [[1, 1], [0, 0]], 1, "direction 1 is 0 in all objectives"),
        ([[1, 2]], [0, 0], [[1, np.nan]], 1, "directions must be finite"),
        ([[1, 2]], [0, 0], [["a", 1]], 1, "directions must hold numbers"),
    ],
)
def test_errors(points, ideal, directions, k, message):
    with pytest.raises(ValueError, match=message):
        least_achievement(points, ideal, directions, k=k)


def test_groups_and_by_are_one_argument():
    with pytest.raises(ValueError, match="two names of one argument"):
        least_achievement([[1, 2]], None, [[1, 1]], k=1, groups=[1], by=[1])
    with pytest.raises(ValueError, match="groups has 1 keys but there are 2 rows"):
        least_achievement([[1, 2], [1, 2]], None, [[1, 1]], k=1, groups=[1])


def test_none_at_all():
    rows, values = least_achievement([[1.0, 2.0]], [0, 0], np.zeros((0, 2)), k=1)
    assert rows.shape == values.shape == (0, 1)
    empty = least_achievement(np.zeros((0, 2)), None, [[1, 1]], k=3, groups=[])
    assert empty.rows.shape == (1, 0)
    everything = least_achievement([[1.0, 2.0]], None, [[1, 1]], k=10**30, groups=["a"])
    assert everything.rows.tolist() == [[0]]


def test_the_parts_of_an_answer_have_names():
    least = least_achievement([[1.0, 0.0], [0.5, 0.4]], [1, 1], [[1, 1]], k=2)
    rows, values = least
    assert least.rows is rows
    assert least.values is values
    assert least._fields == ("rows", "values")


@pytest.mark.parametrize("groups", [None, np.zeros(1_000_000, dtype=np.int64)])
def test_an_answer_that_is_too_large_is_refused_before_it_is_made(groups):
    points, directions = np.zeros((1_000_000, 2)), np.ones((10_000_000, 2))
    with pytest.raises(MemoryError, match="takes 160000000000000 bytes"):
        least_achievement(points, [0, 0], directions, k=1_000_000, groups=groups)
