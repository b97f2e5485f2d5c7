"""Which points of a front no weighted sum reaches, against weights tried one by one."""

from __future__ import annotations

import builtins

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

import paretohqd as pq
from helpers import oracle
from paretohqd.kernels import hull
from paretohqd.kernels.hull import front_shape, shapes_by_chance, unsupported, unsupported_share
from paretohqd.kernels.statistics import rank_correlation

ARC = np.linspace(0, np.pi / 2, 41)
QUADRANT = np.column_stack([np.cos(ARC), np.sin(ARC)])


def sphere(n: int, seed: int = 0) -> np.ndarray:
    points = np.abs(np.random.default_rng(seed).normal(size=(n, 3)))
    return points / np.linalg.norm(points, axis=1)[:, None]


def best_by_weights(points: np.ndarray, divisions: int, slack: float) -> np.ndarray:
    """Rows that some weights of a grid rank first, or short of that by no more than `slack`."""
    sums = points @ pq.preference_grid(points.shape[1], divisions).T
    return (sums >= sums.max(axis=0) - slack).any(axis=1)


def in_box(points: np.ndarray) -> np.ndarray:
    front = points[oracle.layers(points) == 0]
    low, high = front.min(axis=0), front.max(axis=0)
    return (points - low) / np.where(high > low, high - low, 1)


def test_a_convex_front_is_reached_whole_and_its_mirror_at_the_ends_only() -> None:
    assert unsupported_share(QUADRANT) == 0
    assert not unsupported(QUADRANT).any()
    mirror = unsupported(1 - QUADRANT)
    assert mirror.tolist() == [False, *[True] * 39, False]
    assert unsupported_share(1 - QUADRANT) == 39 / 41


def test_three_objectives_likewise() -> None:
    corners = np.eye(3)
    ball = np.vstack([corners, sphere(60)])
    assert not unsupported(ball).any()
    # The mirror bends the other way: only the corners of its box are left, and what is on edges.
    hollow = np.vstack([corners, 1 - sphere(60) * 0.999])
    front = pq.pareto_front(hollow)
    reached = front & ~unsupported(hollow)
    assert reached[:3].all()
    assert 0.5 < unsupported_share(hollow) < 1
    grid = best_by_weights(hollow, 60, 0.0)
    assert not (grid & unsupported(hollow)).any()


def test_on_a_face_counts_as_reached() -> None:
    line = np.array([[0.0, 1.0], [0.1, 0.9], [0.3, 0.7], [1.0, 0.0]])
    assert not unsupported(line).any()
    plane = np.array([[1.0, 0, 0], [0, 1, 0], [0, 0, 1], [0.2, 0.3, 0.5], [0.25, 0.5, 0.25]])
    assert not unsupported(plane).any()
    plane[3:] -= 0.01
    assert unsupported(plane).tolist() == [False, False, False, True, True]


def test_rows_off_the_front_are_not_marked_and_equal_rows_alike() -> None:
    points = [[0, 2], [0.5, 0.5], [2, 0], [0.5, 0.5], [0.4, 0.4], [2, 0]]
    assert unsupported(points).tolist() == [False, True, False, True, False, False]
    assert unsupported_share(points) == pytest.approx(1 / 3), "equal rows count once"


def test_directions_units_and_zeros() -> None:
    mirror = 1 - QUADRANT
    shifted = mirror * [1e-3, 1e6] + [5, -7]
    assert unsupported_share(shifted) == 39 / 41
    assert unsupported(-mirror, maximize=False).tolist() == unsupported(mirror).tolist()
    mixed = mirror * [1, -1]
    assert unsupported(mixed, maximize=[True, False]).tolist() == unsupported(mirror).tolist()
    zeros = [[0.0, 1.0], [-0.0, 1.0], [1.0, 0.0]]
    assert unsupported_share(zeros) == 0


def test_an_objective_of_one_value_trades_nothing() -> None:
    mirror = 1 - QUADRANT
    flat = np.insert(mirror, 1, 3.0, axis=1)
    assert unsupported(flat).tolist() == unsupported(mirror).tolist()
    # A weight on the third alone would make every row optimal, if it counted.
    assert unsupported_share(flat) == 39 / 41


@pytest.mark.parametrize(
    "points", [[[1.0, 2.0]], [[1.0, 2.0]] * 3, [[0.0, 1.0], [1.0, 0.0]], [[3.0]]]
)
def test_few_points_are_all_reached(points: list[list[float]]) -> None:
    assert unsupported_share(points) == 0
    assert not unsupported(points).any()


def test_no_points() -> None:
    assert np.isnan(unsupported_share(np.empty((0, 2))))
    assert unsupported(np.empty((0, 2))).shape == (0,)


pairs = st.lists(st.tuples(st.integers(0, 12), st.integers(0, 12)), min_size=1, max_size=25)


@settings(max_examples=200, deadline=None)
@given(pairs)
def test_what_weights_reach_is_never_called_out_of_reach(rows: list[tuple[int, int]]) -> None:
    points = np.array(rows, dtype=float)
    marked, scaled = unsupported(points), in_box(points)
    assert not (marked & best_by_weights(scaled, 500, 0.0)).any()
    assert not (marked & ~(oracle.layers(points) == 0)).any()
    # And what a dense grid misses by more than its own step is out of reach.
    front = oracle.layers(points) == 0
    assert marked[front & ~best_by_weights(scaled, 500, 1 / 500)].all()


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(*[st.integers(0, 6)] * 3), min_size=1, max_size=14))
def test_the_same_for_three_objectives(rows: list[tuple[int, int, int]]) -> None:
    points = np.array(rows, dtype=float)
    front = oracle.layers(points) == 0
    # An objective of one value on the front is left out: there weights on it say nothing.
    assume((np.ptp(points[front], axis=0) > 0).all())
    marked, scaled = unsupported(points), in_box(points)
    assert not (marked & best_by_weights(scaled, 30, 0.0)).any()
    assert marked[front & ~best_by_weights(scaled, 30, 2 / 30)].all()


@st.composite
def fronts(draw: st.DrawFn) -> np.ndarray:
    x, y = (draw(st.sets(st.integers(0, 30), min_size=12, max_size=12)) for _ in range(2))
    size = draw(st.integers(3, 12))
    return np.column_stack([sorted(x)[:size], sorted(y, reverse=True)[:size]]).astype(float)


@settings(max_examples=50, deadline=None)
@given(fronts())
def test_the_chain_and_the_linear_programs_agree(front: np.ndarray) -> None:
    scaled = hull._in_box(front)
    np.testing.assert_allclose(hull._depth_two(scaled), hull._depth(scaled), atol=1e-9)


def test_the_shape_of_a_front() -> None:
    shape = front_shape([[0, 10], [4, 4], [5, 4], [10, 0], [1, 1]])
    # In the box (.5, .4) lies .05 below the line from (0, 1) to (1, 0); (.4, .4) is beaten.
    assert (shape.points, shape.unreached) == (3, pytest.approx(1 / 3))
    assert shape.depth == pytest.approx(0.05)
    assert front_shape(QUADRANT).depth == 0
    hollow = np.vstack([np.eye(3), [[0.2, 0.2, 0.2]]])
    assert front_shape(hollow).depth == pytest.approx(1 / 3 - 0.2)
    assert front_shape(np.empty((0, 2))).points == 0


def test_clouds_keep_marginals_and_rank_correlation() -> None:
    rng = np.random.default_rng(5)
    points = rng.multivariate_normal([0, 0, 0], [[1, -0.6, 0], [-0.6, 1, 0.3], [0, 0.3, 1]], 800)
    points[:, 1] = np.exp(points[:, 1])
    points[:, 2] = points[:, 2].round()
    seen: list[np.ndarray] = []

    def noted(cloud: list[np.ndarray]) -> hull.Shape:
        seen.append(np.column_stack(cloud))
        return real(cloud)

    real = hull.front_shape
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(hull, "front_shape", noted)
        list(shapes_by_chance(points, draws=20))
    for cloud in seen:
        assert (np.sort(cloud, axis=0) == np.sort(points, axis=0)).all()
        for i, j in ((0, 1), (1, 2), (0, 2)):
            own, drawn = (rank_correlation(c[:, i], c[:, j]) for c in (points, cloud))
            assert drawn == pytest.approx(own, abs=0.12)
    assert len({cloud.tobytes() for cloud in seen}) == 20


def test_chance_is_drawn_by_its_seed() -> None:
    points = np.random.default_rng(6).normal(size=(300, 2))
    one, again, other = (list(shapes_by_chance(points, draws=8, seed=seed)) for seed in (1, 1, 2))
    assert one == again != other
    down = list(shapes_by_chance(-points, draws=8, seed=1, maximize=False))
    assert [s.depth for s in down] == pytest.approx([s.depth for s in one])


def test_a_hollow_front_is_told_from_chance_and_a_round_one_is_not() -> None:
    rng = np.random.default_rng(7)
    angle, far = rng.uniform(0, np.pi / 2, 2000), rng.uniform(0.9, 1.0, 2000)
    disc = np.column_stack([np.cos(angle), np.sin(angle)]) * far[:, None]
    for points, said in ((1 - disc, True), (disc, False)):
        chance = [shape.depth for shape in shapes_by_chance(points, draws=60)]
        assert (front_shape(points).depth > np.quantile(chance, 0.975)) == said


def test_a_constant_objective_has_no_correlation() -> None:
    points = np.column_stack([np.arange(9.0), np.arange(9.0)[::-1], np.full(9, 2.0)])
    assert all(shape.points >= 1 for shape in shapes_by_chance(points, draws=3))


def test_what_can_not_be_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ValueError, match="infinite"):
        unsupported([[1.0, np.inf], [0.0, 1.0]])
    with pytest.raises(ValueError, match="NaN"):
        unsupported([[1.0, np.nan], [0.0, 1.0]])
    with pytest.raises(ValueError, match="objective 1 spans more than doubles"):
        unsupported([[0.0, 1.5e308], [1.0, -1.5e308], [0.5, 0.0]])
    real = builtins.__import__

    def no_scipy(name: str, *rest: object, **more: object) -> object:
        if name.startswith("scipy"):
            raise ModuleNotFoundError("No module named 'scipy'", name="scipy")
        return real(name, *rest, **more)  # type: ignore[arg-type]

    monkeypatch.setattr(builtins, "__import__", no_scipy)
    with pytest.raises(ImportError, match="needs scipy: pip install"):
        unsupported(sphere(5))
    assert unsupported_share(QUADRANT) == 0, "two objectives need none"
