"""Divide and conquer and the bound for a stop: readable twins, kernel and definition."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import paretohqd as pq
from helpers.oracle import layers
from helpers.twins.divide import divide_and_conquer, past_the_stop


def clouds(levels: int):
    """Points in 4 to 6 objectives with many ties."""
    return st.tuples(st.integers(4, 6), st.integers(0, 2**32 - 1), st.integers(1, 60)).map(
        lambda drawn: (
            np.random.default_rng(drawn[1]).integers(0, levels, (drawn[2], drawn[0])).astype(float)
        )
    )


@settings(max_examples=60, deadline=None)
@given(clouds(4) | clouds(50))
def test_the_twin_divides_as_the_kernel_does(points):
    distinct = np.unique(points, axis=0)[::-1]
    expected = layers(distinct)
    assert np.array_equal(divide_and_conquer(distinct), expected)
    assert np.array_equal(pq.pareto_layers(distinct), expected)


@settings(max_examples=60, deadline=None)
@given(clouds(6) | clouds(50), st.integers(1, 3))
def test_the_twins_bound_rules_out_only_what_is_past_the_stop(points, upto):
    sample = points[::2]
    ruled_out = past_the_stop(points, sample, layers(sample), upto)
    assert (layers(points)[ruled_out] >= upto).all()


@pytest.mark.parametrize("m", [4, 5, 7, 10])
@pytest.mark.parametrize("kind", ["uniform", "front", "ties", "chain"])
def test_the_kernel_is_right_where_it_divides_and_forks(m, kind):
    # Beyond the base case, the problems copied together and the smallest fork.
    rng = np.random.default_rng(m)
    n = 20_000 if m < 7 else 5_000
    points = {
        "uniform": lambda: rng.random((n, m)),
        "front": lambda: rng.dirichlet(np.ones(m), n) + rng.normal(0, 0.01, (n, m)),
        "ties": lambda: rng.integers(0, 4, (n, m)).astype(float),
        "chain": lambda: np.sort(rng.random(n))[:, None] + rng.normal(0, 1e-4, (n, m)),
    }[kind]()
    result = pq.pareto_layers(points)
    for threads in (1, 2, 3):
        assert np.array_equal(pq.pareto_layers(points, n_threads=threads), result)
    # Each row is dominated by one of the layer before and by none of its own or a later one.
    some = rng.choice(n, 300, replace=False)
    for i in some:
        above = (points >= points[i]).all(axis=1) & (points > points[i]).any(axis=1)
        assert result[i] == (result[above].max() + 1 if above.any() else 0)
    first = pq.pareto_layers(points, upto=3)
    assert np.array_equal(first, np.where(result < 3, result, -1))


def taken_off_by_the_sample(n: int) -> np.ndarray:
    """Ranks such that a split at the median of 63 rows at even distances takes off these alone."""
    ranks = np.full(n, -1)
    left, ranked = np.arange(n), 0
    while len(left) > 768:
        sampled = left[(2 * np.arange(63) + 1) * len(left) // 126]
        fresh = np.unique(sampled[ranks[sampled] < 0])
        ranks[fresh] = ranked + np.arange(len(fresh))
        ranked += len(fresh)
        median = np.sort(ranks[sampled])[31]
        left = left[(ranks[left] < 0) | (ranks[left] >= median)]
    rest = np.flatnonzero(ranks < 0)
    ranks[rest] = ranked + np.random.default_rng(0).permutation(len(rest))
    return ranks


def assert_layers(points, numbers, some):
    """Each of some rows lies one past the deepest layer among the rows that dominate it."""
    for i in some:
        above = (points >= points[i]).all(axis=1) & (points > points[i]).any(axis=1)
        assert numbers[i] == (numbers[above].max() + 1 if above.any() else 0)


@pytest.mark.parametrize("column", [1, 2, 3])
def test_rows_that_mislead_the_sample_do_not_exhaust_the_stack(column):
    n, rng = 400_000, np.random.default_rng(1)
    points = rng.permuted(np.tile(np.arange(n, dtype=float)[:, None], 4), axis=0)
    points[:, 0] = -np.arange(n)
    points[:, column] = -taken_off_by_the_sample(n)
    numbers = pq.pareto_layers(points, n_threads=1)
    assert np.array_equal(pq.pareto_layers(points, n_threads=2), numbers)
    assert_layers(points, numbers, rng.choice(n, 40, replace=False))


@pytest.mark.parametrize("levels", [2, 3, 40])
def test_the_kernel_splits_columns_of_which_one_value_is_nearly_all(levels):
    n, rng = 30_000, np.random.default_rng(levels)
    points = rng.random((n, 5))
    for j in (2, 3):
        rare = rng.random(n) < 0.02
        points[:, j] = np.where(rare, rng.integers(0, levels, n), levels // 2)
    numbers = pq.pareto_layers(points)
    assert np.array_equal(pq.pareto_layers(points, n_threads=2), numbers)
    assert_layers(points, numbers, rng.choice(n, 200, replace=False))


def test_a_deep_set_is_swept_whatever_the_order_of_its_rows():
    # Long chains that later rows reach in turn: more layers than a sweep lists one by one.
    n, rng = 12_000, np.random.default_rng(5)
    t = np.arange(n, dtype=float)
    lifted, low = np.r_[np.full(n, 2.0), np.full(n, 1.0)], np.r_[t, t]
    points = np.column_stack([low, np.r_[t + n, t], lifted, np.r_[t, rng.permutation(n)]])
    numbers = pq.pareto_layers(points, n_threads=1)
    assert np.array_equal(pq.pareto_layers(points, n_threads=2), numbers)
    assert_layers(points, numbers, rng.choice(len(points), 100, replace=False))
