"""The kernels of the indicators, slow and readable. Larger is better."""

from math import inf, prod, sqrt

import numpy as np

from helpers.twins.hypervolume import added


def crowding_distance(points):
    """A sort per objective, of distinct points in lexicographic order. O(m n log n)."""
    distances = [0.0] * len(points)
    first = {}
    for i, point in enumerate(points):
        first.setdefault(tuple(x + 0.0 for x in point), i)
    distinct = sorted(first)
    if len(distinct) == 1:
        distances[first[distinct[0]]] = inf
        return distances
    for j in range(len(points[0]) if points else 0):
        order = sorted(distinct, key=lambda point, j=j: point[j])  # stable: ties stay in order
        width = order[-1][j] - order[0][j]
        if not width:
            continue
        distances[first[order[0]]] = distances[first[order[-1]]] = inf
        for before, here, after in zip(order, order[1:], order[2:], strict=False):
            distances[first[here]] += (after[j] - before[j]) / width
    return distances


class Tree:
    """Points in a k-d tree, each node with the best value of each objective."""

    def __init__(self, points, leaf=4):
        self.points, self.halves = points, None
        self.corner = points.max(axis=0)
        if len(points) > leaf:
            widest = np.argmax(np.ptp(points, axis=0))
            order = np.argsort(points[:, widest], kind="stable")
            middle = len(points) // 2
            self.halves = [Tree(points[half], leaf) for half in (order[:middle], order[middle:])]

    def least(self, loss, known=inf):
        """The least loss of a point; a node whose corner loses no less than known has none."""
        if loss(self.corner) >= known:
            return known
        if self.halves is None:
            return min(known, *(loss(point) for point in self.points))
        for half in sorted(self.halves, key=lambda half: loss(half.corner)):
            known = half.least(loss, known)
        return known


def igd_plus(points, ref):
    tree = Tree(points)
    return np.mean([tree.least(lambda a, r=r: sqrt(sum(np.maximum(r - a, 0) ** 2))) for r in ref])


def epsilon_additive(points, ref):
    tree = Tree(points)
    return max(tree.least(lambda a, r=r: max(r - a)) for r in ref)


def r2_indicator(points, weights, ideal):
    tree = Tree(points)
    return np.mean([tree.least(lambda a, w=w: max(w * (ideal - a))) for w in weights])


def best_of_staircase(points, k):
    """The best k of points with x rising and y falling, above the origin.

    A best path of any number of points at some price per point (Aggarwal, Schieber, Tokuyama 1994).
    The kernel finds a path in O(n), by an envelope of lines; here each step looks at all before.
    """
    many, few = list(range(len(points))), []
    low, high = 0.0, max(x * y for x, y in points)
    while len(many) > k and low < (price := (low + high) / 2) < high:
        path = best_path(points, price)
        if len(path) >= k:
            many, low = path, price
        else:
            few, high = path, price
    if len(many) == k:
        return many
    # The steps of `many` and `few` nest somewhere: there the one goes over into the other.
    more = k - len(few)
    ends = [*few, len(points)]
    over = next(i for i, place in enumerate(ends) if place > many[i + more])
    return many[: over + more] + few[over:]


def best_path(points, price):
    """The points that have the largest area less a price for each."""
    paths = [(0.0, 0.0, ())]
    for place, (x, y) in enumerate(points):
        value, _, path = max(
            ((before + (x - last) * y, -i, path) for i, (before, last, path) in enumerate(paths)),
        )
        paths.append((value - price, x, (*path, place)))
    return list(max(paths)[2])


def greedy_subset(points, k):
    """Points of a front, above the origin, one by one; gains are bounds of later gains."""
    points = [tuple(point) for point in points]
    bounds = [prod(point) for point in points]
    chosen = []
    while len(chosen) < min(k, len(points)):
        best = (0.0, 0)
        for i in sorted(range(len(points)), key=lambda i: (-bounds[i], i)):
            if (bounds[i], -i) < best:
                break
            # An allowance: bounds are rounded.
            gain = added([points[j] for j in chosen], points[i]) if bounds[i] else 0.0
            bounds[i] = gain * (1 + 1e-12)
            best = max(best, (gain, -i))
        if not best[0]:
            break
        chosen.append(-best[1])
        bounds[-best[1]] = 0.0
    return chosen
