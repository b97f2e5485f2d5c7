from functools import partial

import moocore
import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from helpers import indicator_oracle as oracle
from helpers.twins import indicators as twin
from paretohqd.kernels.indicators import epsilon_additive, igd_plus, r2_indicator
from paretohqd.kernels.layers import pareto_front
from paretohqd.kernels.rays import preference_grid

VALUES = st.integers(-2, 3).map(float) | st.floats(-4, 4, width=32)


def clouds(rows, m):
    return hnp.arrays(np.float64, st.tuples(rows, st.just(m)), elements=VALUES)


@st.composite
def sets(draw, *, rows=150):
    m = draw(st.integers(1, 5))
    return draw(clouds(st.integers(1, rows), m)), draw(clouds(st.integers(1, 8), m))


@given(sets())
def test_kernels_twins_and_definitions_agree(drawn):
    points, ref = drawn
    for ours, twins, definition in (
        (igd_plus, twin.igd_plus, oracle.igd_plus),
        (epsilon_additive, twin.epsilon_additive, oracle.epsilon_additive),
    ):
        expected = pytest.approx(definition(points, ref), rel=1e-13, abs=1e-300)
        assert ours(points, ref=ref) == expected
        assert twins(points, ref) == expected
    weights, ideal = np.abs(ref) + 0.125, np.full(points.shape[1], 4.0)
    expected = pytest.approx(oracle.r2_indicator(points, weights, ideal), rel=1e-13)
    assert r2_indicator(points, weights=weights, ideal=ideal) == expected
    assert twin.r2_indicator(points, weights, ideal) == expected


def cloud(kind, n, m, seed=0):
    rng = np.random.default_rng(seed)
    if kind == "front":
        return rng.dirichlet(np.ones(m), n)
    return rng.random((n, m)) if kind == "uniform" else rng.integers(0, 6, (n, m)) / 4


@pytest.mark.parametrize("kind", ["front", "uniform", "grid"])
@pytest.mark.parametrize(("n", "m"), [(300, 1), (9000, 2), (9000, 3), (6000, 5), (5000, 9)])
def test_parity_with_moocore(n, m, kind):
    points, ref = cloud(kind, n, m), cloud(kind, 200, m, seed=1) + 0.25
    for ours, theirs in (
        (igd_plus, moocore.igd_plus),
        (epsilon_additive, moocore.epsilon_additive),
    ):
        up = theirs(points, ref, maximise=True)
        down = theirs(points, ref)
        for threads in (1, 2):
            options = {"ref": ref, "n_threads": threads}
            assert ours(points, **options) == pytest.approx(up, rel=1e-12)
            assert ours(points, maximize=False, **options) == pytest.approx(down, rel=1e-12)
    mixed = [j % 2 == 0 for j in range(m)]
    theirs = moocore.igd_plus(points, ref, maximise=mixed)
    assert igd_plus(points, ref=ref, maximize=mixed) == pytest.approx(theirs, rel=1e-12)


@pytest.mark.parametrize("kind", ["front", "uniform"])
def test_r2_comes_near_the_integral_over_all_weights(kind):
    # moocore has the limit of ever more weight vectors, (w, 1 - w) for w from 0 to 1.
    points = cloud(kind, 400, 2)
    w = (np.arange(20_000) + 0.5) / 20_000
    ours = r2_indicator(points, weights=np.column_stack([w, 1 - w]), ideal=[1.25, 1.5])
    theirs = moocore.r2_exact(points, ref=[1.25, 1.5], maximise=True)
    assert ours == pytest.approx(theirs, rel=1e-6)


@pytest.mark.parametrize("kind", ["front", "uniform", "grid"])
@pytest.mark.parametrize(("n", "m"), [(40_000, 1), (40_000, 2), (40_000, 3), (20_000, 5)])
def test_threads_layouts_and_dominated_points_do_not_matter(n, m, kind):
    points, ref = cloud(kind, n, m), cloud(kind, 700, m, seed=1) + 0.25
    weights = np.abs(ref) + 0.5
    calls = [
        lambda given, threads: igd_plus(given, ref=ref, n_threads=threads),
        lambda given, threads: epsilon_additive(given, ref=ref, n_threads=threads),
        lambda given, threads: r2_indicator(
            given, weights=weights, ideal=[2.0] * m, n_threads=threads
        ),
    ]
    for call in calls:
        expected = call(points, 1)
        others = (
            np.asfortranarray(points),
            list(points.T),
            pl.DataFrame(points),
            points[::-1].copy(),
            points[pareto_front(points)],
            np.vstack([points, points - 0.125, points]),
        )
        for each in (points, *others):
            assert all(call(each, threads) == expected for threads in (None, 2, 3))
    single = points.astype(np.float32)
    assert igd_plus(single, ref=ref) == igd_plus(single.astype(float), ref=ref)


@given(sets(rows=20), st.data())
def test_a_set_that_is_dominated_is_no_better(drawn, data):
    points, ref = drawn
    worse = points - data.draw(clouds(st.just(len(points)), points.shape[1])).clip(0, 1)
    for indicator in (igd_plus, epsilon_additive):
        assert indicator(worse, ref=ref) >= indicator(points, ref=ref)
        assert indicator(points, ref=points) == 0
    r2 = partial(r2_indicator, weights=np.abs(ref) + 1, ideal=[4.0] * points.shape[1])
    assert r2(worse) >= r2(points)


def test_known_values():
    # Example 4 of Ishibuchi et al. 2015, smaller is better: A is the better set.
    ref = [[10, 0], [6, 1], [2, 2], [1, 6], [0, 10]]
    a, b = [[4, 2], [3, 3], [2, 4]], [[8, 2], [4, 4], [2, 8]]
    assert igd_plus(a, ref=ref, maximize=False) == pytest.approx(1.482842712474619)
    assert igd_plus(b, ref=ref, maximize=False) == pytest.approx(2.260112615949154)
    assert epsilon_additive([[2, 2]], ref=[[1, 1]]) == -1
    grid = preference_grid(2, 4)
    assert r2_indicator([[1, 1]], weights=grid, ideal=[1, 1]) == 0
    nothing = np.zeros((0, 2))
    assert igd_plus(nothing, ref=ref) == epsilon_additive(nothing, ref=ref) == np.inf
    assert r2_indicator(nothing, weights=grid, ideal=[1, 1]) == np.inf


@pytest.mark.parametrize("scale", [5e-324, 1e-300, 1e-160, 1e-140, 1e140, 1e160, 5e307])
def test_distances_far_from_one(scale):
    distance = igd_plus([[0, scale]], ref=[[2 * scale, 2 * scale]])
    assert distance == pytest.approx(np.hypot(2 * scale, scale), rel=1e-15)
    many = igd_plus([[0, 0]], ref=[[3 * scale, 0]] * 9)
    assert many == pytest.approx(3 * scale, rel=1e-15)


A = [[1.0, 2.0], [2.0, 1.0]]


@pytest.mark.parametrize("indicator", [igd_plus, epsilon_additive])
@pytest.mark.parametrize(
    ("points", "ref", "message"),
    [
        (A, [[1.0]], "ref has 1 objectives but the points have 2"),
        (A, np.zeros((0, 2)), "ref has no row"),
        (A, [[1, np.nan]], r"ref: column 1 holds 1 NaN"),
        (A, [[1, np.inf]], r"ref: column 1 holds 1 infinite"),
        (A, 3.0, "ref: "),
        ([[np.inf, 1]], A, "column 0 holds 1 infinite"),
        (
            pl.DataFrame(A, schema=["a", "b"], orient="row"),
            pl.DataFrame(A, schema=["b", "a"], orient="row"),
            "same objectives in another order",
        ),
    ],
)
def test_errors(indicator, points, ref, message):
    with pytest.raises(ValueError, match=message):
        indicator(points, ref=ref)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"weights": [1, 2]}, r"weights has shape \(2,\); pass at least one vector of 2 weights"),
        ({"weights": [[1, 2, 3]]}, r"weights has shape \(1, 3\)"),
        ({"weights": np.zeros((0, 2))}, r"weights has shape \(0, 2\)"),
        ({"weights": "even"}, "weights must hold vectors of 2 numbers, got 'even'"),
        ({"weights": [[1, 1], [0, 0]]}, r"vector 1 is \[0.0, 0.0\]"),
        ({"weights": [[1, -1]]}, r"none negative .* vector 0 is \[1.0, -1.0\]"),
        ({"weights": [[1, np.nan]]}, "must be finite"),
        ({"weights": [[1, np.inf]]}, "must be finite"),
        ({"ideal": [2]}, r"ideal has shape \(1,\) but there are 2 objectives"),
        ({"ideal": [2, np.inf]}, "ideal must be finite"),
        ({"ideal": "best"}, "ideal must hold 2 numbers, got 'best'"),
        ({"ideal": [1.5, 2]}, r"column 0 holds 1 values better than ideal \(first at row 1\)"),
        ({"maximize": False}, r"column 0 holds 1 values better than ideal \(first at row 0\)"),
        ({"n_threads": 0}, "n_threads must be"),
    ],
)
def test_errors_of_r2(options, message):
    with pytest.raises(ValueError, match=message):
        r2_indicator(A, **{"weights": [[1, 1]], "ideal": [2, 2], **options})
