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
