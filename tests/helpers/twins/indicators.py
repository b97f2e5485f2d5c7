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
    """The best k of points with x rising and y falling, above the origin. O(k n).

    The best area of t points that ends with a point is x y plus the largest of lines in y, one for
    each point before: an envelope, along which y moves one way.
    """
    areas, choices = [x * y for x, y in points], []
    for t in range(1, k):
        before, areas, choice = areas, [0.0] * len(points), [0] * len(points)
        envelope, at = [], 0
        for place in range(t, len(points)):
            new = (before[place - 1], points[place - 1][0], place - 1)
            while len(envelope) - at > 1 and overtakes(*envelope[-2:], new):
                envelope.pop()
            envelope.append(new)
            x, y = points[place]
            while at + 1 < len(envelope) and value(envelope[at + 1], y) > value(envelope[at], y):
                at += 1
            choice[place] = envelope[at][2]
            areas[place] = x * y + value(envelope[at], y)
        choices.append(choice)
    last = max(range(k - 1, len(points)), key=lambda place: areas[place])
    chosen = [last]
    for choice in reversed(choices):
        chosen.append(choice[chosen[-1]])
    return chosen[::-1], areas[last]


def value(line, y):
    return line[0] - line[1] * y


def overtakes(a, b, c):
    """Whether line c passes a before b does, as y falls."""
    return (c[0] - a[0]) * (b[1] - a[1]) >= (b[0] - a[0]) * (c[1] - a[1])


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
