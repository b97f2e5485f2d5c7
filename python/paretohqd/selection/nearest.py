"""The rows of a pool that lie nearest to the preferences' rays."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from paretohqd.frames.keys import Keys
from paretohqd.kernels.rays import nearest_to_rays
from paretohqd.selection.copies import firsts
from paretohqd.selection.pool import Floats, Pool, Rows
from paretohqd.selection.request import Request
from paretohqd.selection.ties import rounding, settle_ties


@dataclass(frozen=True, eq=False)
class NearestRows:
    """The chosen rows of a pool, preference by preference, nearest first.

    Attributes:
        places: Where in the pool each is.
        distances: How far it is from the ray, in the scaled units.
        preference: The number of the preference that chose it.
        position: 0 for the nearest of its preference, and of its group where there are groups.
        r_min: (M,) the worst of each objective to which the rays refer; larger is better here.
        r_max: (M,) the best, where the rays start.
    """

    places: Rows
    distances: Floats
    preference: NDArray[np.int32]
    position: NDArray[np.int32]
    r_min: Floats
    r_max: Floats


def nearest_rows(pool: Pool, request: Request, *, n_threads: int | None) -> NearestRows:
    """The k rows nearest to each preference's ray, which starts at r_max.

    Raises:
        ValueError: There are not k rows to choose, or a ray would have no direction.
    """
    k, through = request.rule.k, request.through
    pool.require(k)
    r_min, r_max = pool.box(request)
    units = r_max - r_min if request.units is None else request.units
    ideal = (r_max - r_min) / units
    # Where distances are equal, the first row is taken: the better layer's, then the earlier.
    order = np.argsort(pool.layer, kind="stable")
    columns = [
        (column[order] - low) / unit
        for column, low, unit in zip(pool.columns, r_min, units, strict=True)
    ]
    keys = None if pool.keys is None else pool.keys[order]
    places, distances = _nearest(columns, ideal, through * ideal, keys, k=k, n_threads=n_threads)
    return NearestRows(
        places=order[places.ravel()],
        distances=distances.ravel(),
        preference=np.repeat(np.arange(len(through), dtype=np.int32), k),
        position=np.tile(np.arange(k, dtype=np.int32), len(through)),
        r_min=r_min,
        r_max=r_max,
    )


def _nearest(
    columns: list[Floats],
    origin: Floats,
    through: Floats,
    keys: Keys | None,
    *,
    k: int,
    n_threads: int | None,
) -> tuple[Rows, Floats]:
    """The k rows nearest to each ray, at most one of each key.

    More rows are looked at until it is known that the last distance ends there, since the first
    rows of equal ones are wanted.
    """
    places = np.empty((len(through), k), dtype=np.int64)
    distances = np.empty(places.shape)
    n, allowance = len(columns[0]), rounding(origin)
    rays, size = np.arange(len(through)), min(k + 1 if keys is None else 2 * k + 1, n)
    while len(rays):
        rows, far = nearest_to_rays(columns, origin, through[rays], k=size, n_threads=n_threads)
        heads = np.zeros(rows.shape, dtype=np.bool_)
        heads[:, 0] = True
        settled = settle_ties(rows.ravel(), far.ravel(), heads.ravel(), allowance)
        more = []
        for ray, *own in zip(rays, *(part.reshape(rows.shape) for part in settled), strict=True):
            own_rows, own_far, fresh = own
            # Rows come nearest first, so the first place of a key is that of its nearest row.
            first = np.arange(size) if keys is None else firsts(keys[own_rows])
            if size == n or (len(first) >= k and fresh[first[k - 1] + 1 :].any()):
                places[ray], distances[ray] = own_rows[first[:k]], own_far[first[:k]]
            else:
                more.append(ray)
        rays, size = np.array(more, dtype=np.int64), min(4 * size, n)
    return places, distances
