"""The rows nearest to rays with numba, and reading as the bound of one ray."""

from __future__ import annotations

import numpy as np

from paretohqd.bench.clouds import Cloud
from paretohqd.bench.rivals import Rival, Trial

READING = "dot: reads all once"


def nearest(how: str, rays: int, k: int, *, judged: bool) -> Rival:
    """The rows nearest to rays in numba, `row_by_row` or `in_blocks`."""

    def prepare(cloud: Cloud) -> Trial:
        from paretohqd.bench import raykernel

        find = raykernel.nearest_with_numba(getattr(raykernel, how)())
        points, origin, through = cloud.points, cloud.ideal, cloud.through(rays)
        find(points[:200], origin, through, k)
        return Trial(call=lambda: find(points, origin, through, k))

    call = f"our loop, {how.replace('_', ' ')}"
    return Rival(package="numba", call=call, prepare=prepare, judged=judged)


def reading(*, judged: bool) -> Rival:
    """Reading every value once, by a product of the points with themselves on all threads."""

    def prepare(cloud: Cloud) -> Trial:
        flat = cloud.points.ravel(order="K")
        return Trial(call=lambda: np.dot(flat, flat), finish=lambda _: None)

    return Rival(package="numpy", call=READING, prepare=prepare, judged=judged)
