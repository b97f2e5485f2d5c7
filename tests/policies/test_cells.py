"""Which trained preferences stand for one that nobody trained."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial import Delaunay

from paretohqd.kernels.rays import preference_grid
from paretohqd.policies.cells import parts_of

pytestmark = pytest.mark.slow


def test_two_objectives_are_cut_at_the_trained_preferences() -> None:
    trained = [(1.0, 0.0), (0.8, 0.2), (0.3, 0.7), (0.0, 1.0)]
    for w in np.linspace(0, 1, 41):
        parts = parts_of((1 - w, w), trained)
        made = np.array(parts.shares) @ np.array(trained)[list(parts.places)]
        np.testing.assert_allclose(made, [1 - w, w], atol=1e-9)
        if parts.exact:
            assert min(abs(w - own[1]) for own in trained) < 1e-6
        else:
            low, high = (trained[place][1] for place in parts.places)
            assert low < w < high
            assert not any(low < own[1] < high for own in trained)


@given(
    m=st.integers(3, 4),
    count=st.integers(5, 12),
    seed=st.integers(0, 10_000),
)
@settings(max_examples=40, deadline=None)
def test_cells_are_those_of_the_triangulation(m: int, count: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    trained = np.vstack([np.eye(m), rng.dirichlet(np.ones(m), size=count)])
    triangles = Delaunay(trained[:, :-1] @ _to_plane(m))
    for w in rng.dirichlet(np.ones(m), size=5):
        parts = parts_of(w.tolist(), trained)
        np.testing.assert_allclose(
            np.array(parts.shares) @ trained[list(parts.places)], w, atol=1e-8
        )
        cell = int(triangles.find_simplex(w[:-1] @ _to_plane(m)))
        assert set(parts.places) <= set(triangles.simplices[cell].tolist())


def _to_plane(m: int) -> np.ndarray:
    """From the first m - 1 weights to coordinates in which distances are those of weights."""
    return np.linalg.cholesky(np.eye(m - 1) + np.ones((m - 1, m - 1)))


def test_a_lattice_and_what_lies_outside() -> None:
    lattice = preference_grid(3, 4)
    for place, w in enumerate(lattice):
        assert parts_of(w.tolist(), lattice).places == (place,)
    inside = parts_of((0.3, 0.3, 0.4), lattice)
    assert len(inside.places) == 3
    assert not inside.exact
    outside = parts_of((0.0, 1.0), [(1.0, 0.0), (0.4, 0.6)])
    assert (outside.places, outside.weights) == ((1,), (0.4, 0.6))
    beside = parts_of((0.0, 0.5, 0.5), [(1, 0, 0), (0, 1, 0)])
    np.testing.assert_allclose(beside.weights, (0.25, 0.75, 0), atol=1e-6)
    assert parts_of((0.5, 0.5), [(0.3, 0.7)]).places == (0,)
