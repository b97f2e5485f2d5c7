"""The kernels' ideas for one to three objectives, and for few rows, in slow, readable Python.

Each takes rows of numbers without NaN, larger is better, and returns the Pareto layer of every row,
0 for the front.
"""

from bisect import bisect_left, bisect_right


def one_objective(rows):
    """The layer of a value is the number of distinct larger values: O(n log n)."""
    best_first = sorted({value for (value,) in rows}, reverse=True)
    rank = {value: layer for layer, value in enumerate(best_first)}
    return [rank[value] for (value,) in rows]


def two_objectives(rows):
    """Patience sorting (Fredman 1975, On computing the length of longest increasing subsequences).

    Rows come best first in x, then in y, so that only earlier rows dominate. A front dominates a
    row when the best y among its rows so far is at least as good; these bests worsen from front to
    front, so a binary search finds the first front that does not dominate: O(n log n).
    """
    bests = []  # -y, which grows from front to front
    layer_of = {}
    for x, y in sorted(set(rows), reverse=True):
        front = bisect_right(bests, -y)
        bests[front : front + 1] = [-y]
        layer_of[x, y] = front
    return [layer_of[row] for row in rows]


class Staircase:
    """The rows of one front that no other beats in y and z (Kung, Luccio, Preparata 1975).

    Steps are kept by y from best to worst; z then improves from step to step.
    """

    def __init__(self):
        """No row yet."""
        self.ys = []  # -y, ascending
        self.zs = []

    def dominates(self, y, z):
        """The last of the steps that are no worse in y has the best z: O(log n)."""
        no_worse = bisect_right(self.ys, -y)
        return no_worse > 0 and self.zs[no_worse - 1] >= z

    def insert(self, y, z):
        """Add a row that is not dominated; drop the steps it beats."""
        start = end = bisect_left(self.ys, -y)
        while end < len(self.ys) and self.zs[end] <= z:
            end += 1
        self.ys[start:end], self.zs[start:end] = [-y], [z]


def three_objectives(rows):
    """A staircase per front, best x first.

    Fronts that dominate a row come before fronts that do not: a binary search over the fronts,
    each asked in O(log n), O(n log² n) but for the cost of inserting into a list. The kernel
    searches from where a neighbour ended, and shares ranges of fronts among threads.
    """
    fronts = []
    layer_of = {}
    for x, y, z in sorted(set(rows), reverse=True):
        front = bisect_left(fronts, True, key=lambda steps: not steps.dominates(y, z))
        if front == len(fronts):
            fronts.append(Staircase())
        fronts[front].insert(y, z)
        layer_of[x, y, z] = front
    return [layer_of[row] for row in rows]


def few_rows(rows):
    """Efficient non-dominated sort with a binary search (Zhang, Tian, Cheng, Jin 2015).

    Best first, no row is dominated by a later one, so that a front is complete when a row is asked
    about. Fronts that dominate the row come before fronts that do not: O(m n^2) at worst.
    """
    fronts = []
    layer_of = {}
    for row in sorted(set(rows), reverse=True):

        def free(front, row=row):
            return not any(all(a >= b for a, b in zip(other, row, strict=True)) for other in front)

        front = bisect_left(fronts, True, key=free)
        if front == len(fronts):
            fronts.append([])
        fronts[front].append(row)
        layer_of[row] = front
    return [layer_of[row] for row in rows]
