import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from helpers import indicator_oracle as oracle
from helpers.oracle import hypervolume as definition
from helpers.twins import indicators as twin
from paretohqd.kernels.hypervolume import hypervolume
from paretohqd.kernels.subset import Subset, hypervolume_subset


@st.composite
def problems(draw, objectives):
    m = draw(objectives)
    rows = draw(st.integers(1, 7))
    values = st.integers(-1, 5).map(float)
    return draw(hnp.arrays(np.float64, (rows, m), elements=values)), draw(st.integers(1, rows))


@given(problems(st.integers(1, 2)))
def test_no_subset_has_more_in_up_to_two_objectives(problem):
    points, k = problem
    ref = np.zeros(points.shape[1])
    rows, volume = hypervolume_subset(points, k=k, ref=ref)
    assert len(set(rows.tolist())) == k
    assert volume == definition(points[rows], ref)
    assert volume == oracle.largest_volume(points, ref, k)


@given(problems(st.integers(3, 4)))
def test_each_row_adds_most_in_more_objectives(problem):
    points, k = problem
    ref = np.zeros(points.shape[1])
    rows, volume = hypervolume_subset(points, k=k, ref=ref)
    assert rows.tolist() == oracle.greedy_rows(points, ref, k)
    assert volume == definition(points[rows], ref)
    assert volume >= (1 - 1 / np.e) * oracle.largest_volume(points, ref, k)


def front(n, m, seed=0, power=1.0):
    return np.random.default_rng(seed).dirichlet(np.ones(m), n) ** power


@pytest.mark.parametrize("k", [1, 2, 3, 10, 37, 59, 60])
@pytest.mark.parametrize("power", [0.5, 1.0, 3.0])
def test_twin_and_kernel_agree_in_two_objectives(k, power):
    points = front(60, 2, power=power)
    points = points[np.argsort(points[:, 0])]
    chosen = twin.best_of_staircase(list(map(tuple, points.tolist())), k)
    rows, volume = hypervolume_subset(points, k=k, ref=[0, 0])
    assert rows.tolist() == chosen
    # The definition: the best that ends with each point, of t points from that of t - 1.
    (x, y), areas = points.T, points[:, 0] * points[:, 1]
    for t in range(1, k):
        steps = (x[:, None] - x) * y[:, None] + areas
        steps[np.triu_indices(60)] = 0
        areas = np.where(np.arange(60) < t, 0, steps.max(axis=1))
    assert volume == pytest.approx(areas.max(), rel=1e-14)


@pytest.mark.parametrize("m", [3, 4, 5, 6])
@pytest.mark.parametrize("power", [0.5, 1.0])
def test_twin_and_kernel_agree_in_more_objectives(m, power):
    points = front(70, m, power=power)
    rows = hypervolume_subset(points, k=20, ref=np.zeros(m)).rows
    assert rows.tolist() == twin.greedy_subset(points.tolist(), 20)


@pytest.mark.parametrize(("n", "m"), [(20_000, 2), (20_000, 3), (1500, 4), (400, 6)])
@pytest.mark.parametrize("kind", ["front", "uniform", "grid"])
def test_threads_and_layouts_do_not_matter(n, m, kind):
    rng = np.random.default_rng(1)
    points = {
        "front": np.sqrt(front(n, m)),
        "uniform": rng.random((n, m)),
        "grid": rng.integers(0, 6, (n, m)) / 4,
    }[kind]
    k, ref = 25, np.full(m, -0.25)
    rows, volume = hypervolume_subset(points, k=k, ref=ref, n_threads=1)
    assert volume == hypervolume(points[rows], ref=ref)
    for each in (points, np.asfortranarray(points), list(points.T), pl.DataFrame(points)):
        for threads in (None, 2, 3):
            again = hypervolume_subset(each, k=k, ref=ref, n_threads=threads)
            assert again.rows.tobytes() == rows.tobytes()
            assert again.volume == volume
    turned = hypervolume_subset(-points, k=k, ref=-ref, maximize=False)
    assert turned.rows.tobytes() == rows.tobytes()


@pytest.mark.parametrize("m", [3, 5])
def test_the_first_rows_are_those_of_a_smaller_k(m):
    points = front(200, m)
    most = hypervolume_subset(points, k=40, ref=np.zeros(m)).rows
    for k in (1, 7, 39):
        assert hypervolume_subset(points, k=k, ref=np.zeros(m)).rows.tolist() == most[:k].tolist()


def test_no_volume_is_lost_with_all_rows():
    for m in (1, 2, 3, 4):
        points = np.random.default_rng(m).random((50, m))
        rows, volume = hypervolume_subset(points, k=50, ref=np.zeros(m))
        assert sorted(rows.tolist()) == list(range(50))
        assert volume == hypervolume(points[rows], ref=np.zeros(m))


def test_known_values():
    # Rows that add nothing come last: a copy, a dominated row, one that is not above ref.
    points = [[0, 9, 9], [1, 1, 1], [2, 2, 2], [3, 1, 2], [2, 2, 2]]
    subset = hypervolume_subset(points, k=5, ref=[0, 0, 0])
    assert isinstance(subset, Subset)
    assert subset.rows.dtype == np.int64
    assert subset.rows.tolist() == [2, 3, 0, 1, 4]
    assert subset.volume == 10
    flat = hypervolume_subset([[1, 1], [3, 2], [2, 3], [0, 5]], k=3, ref=[0, 0])
    assert flat.rows.tolist() == [1, 2, 0]
    assert hypervolume_subset([[1.0], [3], [3]], k=2, ref=[0]).rows.tolist() == [1, 0]
    assert hypervolume_subset([[1.0, 1]], k=1, ref=[5, 5]) == (np.array([0]), 0.0)


@pytest.mark.parametrize(("scale", "other"), [(1e200, 1e-150), (1e-200, 1e100), (1e307, 1.0)])
def test_scales_do_not_matter(scale, other):
    for m in (2, 3, 4):
        points = front(100, m)
        near = hypervolume_subset(points, k=9, ref=np.zeros(m))
        # Powers of two change no digit.
        scales = 2.0 ** np.round(np.log2([scale, *[other] * (m - 1)]))
        far = hypervolume_subset(points * scales, k=9, ref=np.zeros(m))
        assert far.rows.tolist() == near.rows.tolist()


A = [[1.0, 2.0], [2.0, 1.0]]


@pytest.mark.parametrize(
    ("points", "options", "message"),
    [
        (A, {"k": 0}, "k must be an integer of at least 1, got 0"),
        (A, {"k": 1.5}, "k must be an integer of at least 1, got 1.5"),
        (A, {"k": True}, "k must be an integer of at least 1, got True"),
        (A, {"k": 3}, "k = 3 is more than the 2 rows there are; ask for at most 2"),
        (A, {"k": 2**70}, "is more than the 2 rows there are"),
        (A, {"ref": [0]}, r"ref has shape \(1,\) but there are 2 objectives"),
        (A, {"ref": [0, np.nan]}, "ref must be finite"),
        (A, {"ref": "origin"}, "ref must hold 2 numbers"),
        ([[1, np.inf]], {}, "column 1 holds 1 infinite"),
        ([[1, np.nan]], {}, "column 1 holds 1 NaN"),
        (np.zeros((0, 2)), {}, "k = 1 is more than the 0 rows"),
    ],
)
def test_errors(points, options, message):
    with pytest.raises(ValueError, match=message):
        hypervolume_subset(points, **{"k": 1, "ref": [0, 0], **options})
