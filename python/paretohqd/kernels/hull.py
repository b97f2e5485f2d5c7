"""The shape of a front: which of its points no weighted sum of the objectives can reach.

Linear scalarisation ranks by w.v, so whatever the weights it finds only points on the convex hull.
What lies strictly below is what it can lose. But the few points of a sample's front are ragged
whatever the data's shape: about half of them lie below their hull by chance. So a front's shape
tells something only beside those of clouds in which nothing but a correlation ties the objectives.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import combinations
from math import isnan

import numpy as np
from numpy.typing import NDArray

from paretohqd.kernels.layers import pareto_front
from paretohqd.kernels.points import Objectives
from paretohqd.kernels.statistics import rank_correlation

Bools = NDArray[np.bool_]
Floats = NDArray[np.float64]

TOLERANCE = 1e-9
"""How far below the hull, in units of the front's box, still counts as on it."""


def unsupported(points: object, *, maximize: bool | Sequence[bool] = True) -> Bools:
    """Mark the points of the front that no weights w >= 0 make optimal.

    A point p of the front is out of reach if some mixture of other points (weights that sum to 1)
    is better than p in every objective by more than TOLERANCE, each objective measured in its span
    over the front: by duality this is when every w >= 0 has a q with w.q > w.p. A point on a face
    of the hull shares its optimum with others and counts as reached.

    Two objectives: a monotone chain (Andrew 1979), O(n log n). More: one linear program per point
    of the front (HiGHS by way of scipy), O(front) programs of as many constraints.

    Args:
        points: n points in m objectives, as for `paretohqd.pareto_layers`; finite.
        maximize: Whether larger is better: one bool, or one per objective.

    Returns:
        Whether each row is on the front and out of reach, shape (n,), bool; equal rows alike.

    Raises:
        ValueError: A value is null, NaN or infinite, a column is not numeric, or a front's span is
            beyond doubles.
        ImportError: Three objectives or more, and scipy is not installed.

    Example:
        >>> unsupported([[0.0, 1.0], [0.4, 0.4], [1.0, 0.0], [0.1, 0.1]])
        array([False,  True, False, False])
        >>> unsupported([[0.0, 1.0], [0.5, 0.5], [1.0, 0.0]])
        array([False, False, False])
    """
    objectives = Objectives.of(points, maximize=maximize).require_finite("a hull")
    mask = np.zeros(objectives.n, dtype=np.bool_)
    on_front = np.flatnonzero(pareto_front(objectives))
    front, row = _distinct(objectives, on_front)
    mask[on_front] = (_below_hull(_in_box(front)) > TOLERANCE)[row]
    return mask


@dataclass(frozen=True, kw_only=True)
class Shape:
    """A front beside its convex hull.

    Attributes:
        points: number of its distinct points.
        unreached: share of them that no weighted sum can reach.
        depth: how far the deepest lies below the hull, in each objective's span over the front.
    """

    points: int
    unreached: float
    depth: float


def front_shape(points: object, *, maximize: bool | Sequence[bool] = True) -> Shape:
    """The shape of the points' front; NaN where there are no points.

    Args:
        points: As for `unsupported`.
        maximize: Whether larger is better: one bool, or one per objective.

    Example:
        >>> front_shape([[0.0, 1.0], [0.4, 0.4], [1.0, 0.0], [0.1, 0.1]])
        Shape(points=3, unreached=0.3333333333333333, depth=0.09999999999999998)
    """
    objectives = Objectives.of(points, maximize=maximize).require_finite("a hull")
    front, _ = _distinct(objectives, np.flatnonzero(pareto_front(objectives)))
    depth = _below_hull(_in_box(front))
    if not len(depth):
        return Shape(points=0, unreached=float("nan"), depth=float("nan"))
    return Shape(
        points=len(depth),
        unreached=float((depth > TOLERANCE).mean()),
        depth=max(0.0, float(depth.max())),
    )


def shapes_by_chance(
    points: object, *, draws: int, maximize: bool | Sequence[bool] = True, seed: int = 0
) -> Iterator[Shape]:
    """Shapes of the fronts of clouds that share the points' marginals and correlation alone.

    Each cloud has as many points, in each objective the very same values, and about the same rank
    correlations, tied by a Gaussian copula (Nelsen, "An Introduction to Copulas", 2006). What a
    front's shape tells of its data is what it has beyond these.

    Args:
        points: As for `unsupported`.
        draws: How many clouds.
        maximize: Whether larger is better: one bool, or one per objective.
        seed: Seed of the draws; the same seed gives the same shapes.

    Example:
        >>> grid = [[x, y] for x in range(9) for y in range(9)]
        >>> [shape.points for shape in shapes_by_chance(grid, draws=3)]
        [1, 1, 2]
    """
    objectives = Objectives.of(points, maximize=maximize).require_finite("a hull")
    columns = [np.sort(column) for column in objectives.columns]
    rng = np.random.default_rng(seed)
    factor = _copula([np.asarray(column) for column in objectives.columns])
    for _ in range(draws):
        normal = rng.standard_normal((objectives.n, len(columns))) @ factor.T
        ranks = normal.argsort(axis=0).argsort(axis=0)
        yield front_shape([column[ranks[:, i]] for i, column in enumerate(columns)])


def _copula(columns: Sequence[NDArray[np.generic]]) -> Floats:
    """A factor of the normal correlations that give the columns' rank correlations."""
    correlation = np.eye(len(columns))
    for i, j in combinations(range(len(columns)), 2):
        rho = rank_correlation(columns[i], columns[j])
        # A column of one value has none and needs none.
        correlation[i, j] = correlation[j, i] = 0 if isnan(rho) else 2 * np.sin(np.pi * rho / 6)
    # Pairs of ranks need not fit one normal cloud: the nearest that does.
    values, vectors = np.linalg.eigh(correlation)
    factor: Floats = vectors * np.sqrt(np.maximum(values, 0.0))
    return factor


def unsupported_share(points: object, *, maximize: bool | Sequence[bool] = True) -> float:
    """Share of the front's distinct points that no weighted sum can reach.

    Args:
        points: As for `unsupported`.
        maximize: Whether larger is better: one bool, or one per objective.

    Returns:
        From 0 (all are on the hull) to below 1 (the ends of a front always are); NaN if there are
        no points.

    Example:
        >>> unsupported_share([[0.0, 1.0], [0.4, 0.4], [1.0, 0.0], [0.1, 0.1]]).__round__(3)
        0.333
    """
    return front_shape(points, maximize=maximize).unreached


def _distinct(objectives: Objectives, rows: NDArray[np.int64]) -> tuple[Floats, NDArray[np.int64]]:
    """The distinct points among some rows, in order, and which of them each row is."""
    points = np.column_stack([column[rows] for column in objectives.columns]).astype(np.float64)
    points += 0.0  # -0.0 equals 0.0
    front, row = np.unique(points, axis=0, return_inverse=True)
    return front, row.reshape(-1)


def _in_box(front: Floats) -> Floats:
    """The points with each objective scaled to [0, 1], without those of one value."""
    if not len(front):
        return front
    low, high = front.min(axis=0), front.max(axis=0)
    with np.errstate(over="ignore"):
        span = high - low
    if not np.isfinite(span).all():
        raise ValueError(
            f"objective {int(np.isinf(span).argmax())} spans more than doubles can hold: scale it "
            "down"
        )
    trades = span > 0
    scaled: Floats = (front[:, trades] - low[trades]) / span[trades]
    return scaled


def _below_hull(front: Floats) -> Floats:
    """How deep each of n distinct points of a front lies, ascending in the first objective."""
    if len(front) < 3:  # the ends are the best in something
        return np.zeros(len(front))
    return _depth_two(front) if front.shape[1] == 2 else _depth(front)


def _depth_two(front: Floats) -> Floats:
    """How far each point lies below the hull along (1, 1), in the box's units.

    Turned by 45 degrees, the hull is a concave function of the first objective less the second.
    """
    hull: list[Floats] = []
    for point in front:
        while len(hull) > 1 and _left_turn(hull[-2], hull[-1], point):
            hull.pop()
        hull.append(point)
    corners = np.array(hull)
    across, up = front[:, 0] - front[:, 1], front.sum(axis=1)
    above = np.interp(across, corners[:, 0] - corners[:, 1], corners.sum(axis=1))
    depth: Floats = (above - up) / 2
    return depth


def _left_turn(a: Floats, b: Floats, c: Floats) -> bool:
    """Whether b lies below the line from a to c, with c to the right of a."""
    return bool((b[0] - a[0]) * (c[1] - a[1]) > (b[1] - a[1]) * (c[0] - a[0]))


def _depth(front: Floats) -> Floats:
    """The same in more objectives: the largest t such that a mixture of points is at p + t."""
    try:
        from scipy.optimize import linprog
    except ImportError as error:
        raise ImportError(
            "the hull of three objectives or more needs scipy: pip install 'paretohqd[train]'"
        ) from error
    n, m = front.shape
    # Over (mixture, t): maximise t subject to mixture >= 0, sum 1, and p + t <= mixture @ front.
    cost = np.append(np.zeros(n), -1.0)
    bound = np.column_stack([-front.T, np.ones(m)])
    whole = np.append(np.ones(n), 0.0)[None]
    exact = {"primal_feasibility_tolerance": 1e-10, "dual_feasibility_tolerance": 1e-10}
    depth = np.empty(n)
    for i, point in enumerate(front):
        solution = linprog(
            cost,
            A_ub=bound,
            b_ub=-point,
            A_eq=whole,
            b_eq=[1.0],
            bounds=(0, None),
            method="highs",
            options=exact,
        )
        if not solution.success:  # p itself is a mixture, so there always is an answer
            raise RuntimeError(f"the linear program of point {i} failed: {solution.message}")
        depth[i] = solution.x[-1]
    return depth
