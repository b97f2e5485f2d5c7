"""The kernels of hypervolume, slow and readable: lists where the kernels have blocks and columns.

Points are relative to the reference, positive, larger is better.
"""

from bisect import bisect_left, insort
from math import prod, sqrt

import numpy as np


def area(points):
    """Two objectives: sweep from the best x; each point adds what it is higher by. O(n log n)."""
    total = height = 0.0
    for x, y in sorted(points, reverse=True):
        total += x * max(y - height, 0.0)
        height = max(y, height)
    return total


def volume(points):
    """Three objectives: sweep, with a staircase in y and z (Beume et al. 2009). O(n log n)."""
    total, steps = 0.0, []  # y rising, z falling
    for x, y, z in sorted(points, reverse=True):
        at = bisect_left(steps, (y,))
        level = steps[at][1] if at < len(steps) else 0.0
        if level >= z:
            continue
        gained, right, first = 0.0, y, at
        while first and steps[first - 1][1] <= z:
            first -= 1
            gained += (right - steps[first][0]) * (z - level)
            right, level = steps[first]
        gained += (right - (steps[first - 1][0] if first else 0.0)) * (z - level)
        steps[first : at + (at < len(steps) and steps[at][0] == y)] = [(y, z)]
        total += x * gained
    return total


def added(front, point):
    """What a point adds to a front (WFG: While, Bradstreet, Barone 2012).

    One q that is worse in one objective alone covers all up to there, a floor; the rest is limited.
    """
    floors = [0.0] * len(point)
    for q in front:
        worse = [j for j, p in enumerate(point) if q[j] < p]
        if not worse:
            return 0.0
        if len(worse) == 1:
            floors[worse[0]] = max(floors[worse[0]], q[worse[0]])
    box = list(zip(point, floors, strict=True))
    inside = [q for q in front if all(a > floor for a, floor in zip(q, floors, strict=True))]
    limited = [[min(a, p) - floor for a, (p, floor) in zip(q, box, strict=True)] for q in inside]
    return prod(p - floor for p, floor in box) - hypervolume(limited)


def hypervolume(points):
    """A point adds, times its last objective, what it adds in the others. O(n^2) for m = 4."""
    if not len(points) or len(points[0]) <= 3:
        m = len(points[0]) if len(points) else 1
        return {1: lambda p: max((x for (x,) in p), default=0.0), 2: area, 3: volume}[m](points)
    total, front = 0.0, []
    for *point, last in sorted(map(tuple, points), key=lambda p: p[::-1], reverse=True):
        if part := added(front, point):
            total += last * part
            front = [q for q in front if any(a > p for a, p in zip(q, point, strict=True))]
            insort(front, tuple(point))
    return total


def covered(points, low):
    """Quick hypervolume (QHV-II: Jaszkiewicz 2018): the volume above `low` that points cover.

    The largest box, and the parts of space outside it: above its corner in one objective, below it
    in those before. Exact in fractions, for boxes are only added.
    """
    if not points:
        return 0
    pivot = max(points, key=lambda point: box(point, low))
    return box(pivot, low) + sum(
        covered([p for p in part if p[j] > pivot[j]], floor)
        for j, part, floor, _ in parts(points, pivot, low, pivot)
    )


def free(points, low, high):
    """The volume from `low` to `high` that points within leave free: parts that none reaches."""
    if not points:
        return box(high, low)
    pivot = max(points, key=lambda point: box(point, low))
    return sum(
        free([p for p in part if p[j] > pivot[j]], floor, ceiling)
        for j, part, floor, ceiling in parts(points, pivot, low, high)
        if high[j] > pivot[j]
    )


def parts(points, pivot, low, high):
    """Objective, points, lower and upper corner of each part outside the pivot's box."""
    for j, value in enumerate(pivot):
        limited = [[*map(min, p[:j], pivot), *p[j:]] for p in points]
        yield j, limited, [*low[:j], value, *low[j + 1 :]], [*pivot[:j], *high[j:]]


def box(high, low):
    """The volume between two corners."""
    return prod(a - b for a, b in zip(high, low, strict=True))


def contributions(points):
    """What each point adds to the others; from four objectives on the kernel does just this."""
    points = [tuple(p) for p in points]
    return [added(points[:i] + points[i + 1 :], p) for i, p in enumerate(points)]


def own_areas(points):
    """Contributions in two objectives: what the highest so far has above the second. O(n log n)."""
    own, highest, second, owner, since = [0.0] * len(points), 0.0, 0.0, 0, 0.0
    for (x, y), i in sorted(((p, i) for i, p in enumerate(points)), reverse=True):
        own[owner] += (since - x) * (highest - second)
        since, second = x, max(second, min(y, highest))
        if y > highest:
            highest, owner = y, i
    own[owner] += since * (highest - second)
    return own


def estimate(points, samples, seed):
    """From points in the boxes (Karp, Luby 1985): a box by its volume, a point in it evenly, and
    along the ray through it what the union has over what all boxes have. O(samples n m).

    The kernel takes shifted lattices in place of random points, and boxes that many others overlap
    less often.
    """
    points, m = np.asarray(points), len(points[0])
    random = np.random.default_rng(seed)
    volumes = points.prod(axis=1)
    boxes = random.choice(len(points), samples, p=volumes / volumes.sum())
    places = points[boxes] * (1 - random.random((samples, m)))
    reach = (points[None] / places[:, None]).min(axis=2) ** m
    parts = volumes.sum() * reach.max(axis=1) / reach.sum(axis=1)
    return parts.mean(), parts.std() / sqrt(samples)
