"""Contributions in three objectives, slow and readable: lists where the kernel has blocks.

Points are relative to the reference, positive, larger is better.
"""


def own_volumes(points):
    """A sweep from the best x (Emmerich, Fonseca 2011): each step of the outline has a region of
    its own, cut into strips along y. The strips of all regions are one list, since they do not
    overlap. O(n) strips are ever made; here each is found in O(n).
    """
    own = [0.0] * len(points)
    steps, strips = [], []  # steps: (y, z, point), z falling; strips: [start, end, bottom, point]
    since = 0.0

    def height(i):
        return next(z for _, z, point in steps if point == i)

    def count_down_to(x):
        for start, end, bottom, i in strips:
            own[i] += (end - start) * (height(i) - bottom) * (since - x)

    for i, (x, y, z) in sorted(enumerate(points), key=lambda item: -item[1][0]):
        count_down_to(x)
        since = x
        above = [step for step in steps if step[0] >= y and step[1] >= z]
        left = max([s for s, t, _ in steps if t > z and s < y], default=0.0)
        if above:
            # What two steps cover belongs to neither, so only the lone cover loses something.
            loses = {above[0][2]} if len(above) == 1 else set()
        else:
            loses = {point for _, _, point in steps}
        cut = []
        for start, end, bottom, point in strips:
            if point not in loses or start >= y or bottom >= z:
                cut.append([start, end, bottom, point])
                continue
            if z < height(point):
                cut.append([start, min(end, y), z, point])
            if end > y:
                cut.append([y, end, bottom, point])
        if not above:
            under = [step for step in steps if step[0] <= y and step[1] <= z]
            right = max([t for s, t, _ in steps if s > y], default=0.0)
            start = left
            for s, t, _ in under:
                cut.append([start, s, t, i])
                start = s
            cut.append([start, y, right, i])
            gone = {point for _, _, point in under}
            cut = [strip for strip in cut if strip[3] not in gone]
            steps = sorted([*(step for step in steps if step not in under), (y, z, i)])
        strips = sorted(strip for strip in cut if strip[1] > strip[0])
    count_down_to(0.0)
    return own
