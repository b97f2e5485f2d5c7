"""The rows of a pool that lie nearest to the preferences' rays."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from paretohqd.kernels.rays import nearest_to_rays
from paretohqd.selection.pool import Floats, Pool, Rows
from paretohqd.selection.request import Request
from paretohqd.selection.rule import Rule
from paretohqd.selection.taking import Quota, positions, taken
from paretohqd.selection.ties import rounding, settle_ties


@dataclass(frozen=True, eq=False)
class NearestRows:
    """The chosen rows of a pool, or those to choose from: preference by preference, nearest first.

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


def nearest_rows(pool: Pool, request: Request, *, n_threads: int | None) -> NearestRows | None:
    """The rows nearest to each preference's ray, which starts at r_max, that it may take.

    Returns:
        k rows for each, or those among which k are chosen; None where the pool has rows enough but
        not within all quotas, and may grow.

    Raises:
        ValueError: There are not k rows to choose, or a ray would have no direction.
    """
    rule, through = request.rule, request.through
    pool.require(request)
    r_min, r_max = pool.box(request)
    units = r_max - r_min if request.units is None else request.units
    ideal = (r_max - r_min) / units
    # Where distances are equal, the first row is taken: the better layer's, then the earlier.
    order = np.argsort(pool.layer, kind="stable")
    columns = [
        (column[order] - low) / unit
        for column, low, unit in zip(pool.columns, r_min, units, strict=True)
    ]
    quotas = [quota.of(order) for quota in pool.quotas]
    found = _nearest(columns, ideal, through * ideal, quotas, rule, n_threads=n_threads)
    sizes = np.array([len(rows) for rows, _ in found])
    if (short := np.flatnonzero(sizes < rule.k)).size:
        whole = len(pool.row) + pool.copies == pool.usable
        if rule.grows and not whole:
            return None
        number = int(short[0])
        raise ValueError(
            f"k={rule.k}, but preference {number} gets only {sizes[number]} "
            f"{pool.what(request)} of the pool's {len(pool.row)}: {pool.advice}"
        )
    places, distances = (np.concatenate(part) for part in zip(*found, strict=True))
    return NearestRows(
        places=order[places],
        distances=distances,
        preference=np.repeat(np.arange(len(through), dtype=np.int32), sizes),
        position=positions(sizes).astype(np.int32),
        r_min=r_min,
        r_max=r_max,
    )


def _nearest(
    columns: list[Floats],
    origin: Floats,
    through: Floats,
    quotas: Sequence[Quota],
    rule: Rule,
    *,
    n_threads: int | None,
) -> list[tuple[Rows, Floats]]:
    """The nearest rows to each ray that it may take, as many as the rule wants or there are.

    More rows are looked at until it is known that the last distance ends there, since the first
    rows of equal ones are wanted. Rays that share no row are looked at together.
    """
    n, allowance, wanted = len(columns[0]), rounding(origin), min(rule.wanted, len(columns[0]))
    found: dict[int, tuple[Rows, Floats]] = {}
    size = wanted + 1 if not quotas else 2 * wanted + 1
    rays, size = np.arange(len(through)), min(size * len(through) if rule.exclusive else size, n)
    while len(found) < len(through):
        seen = nearest_to_rays(columns, origin, through[rays], k=size, n_threads=n_threads)
        heads = np.zeros(seen.rows.shape, dtype=np.bool_)
        heads[:, 0] = True
        settled = settle_ties(seen.rows.ravel(), seen.distances.ravel(), heads.ravel(), allowance)
        rows, far, fresh = (list(part.reshape(heads.shape)) for part in settled)
        mine = taken(rows, wanted, quotas, exclusive=rule.exclusive)
        done = [
            size == n or (own.sum() == wanted and starts[np.flatnonzero(own)[-1] + 1 :].any())
            for own, starts in zip(mine, fresh, strict=True)
        ]
        if rule.exclusive and not all(done):
            done = [False] * len(done)
        for ray, own, *ranked, ended in zip(rays, mine, rows, far, done, strict=True):
            if ended:
                found[int(ray)] = (ranked[0][own], ranked[1][own])
        rays, size = rays[~np.array(done)], min(4 * size, n)
    return [found[ray] for ray in range(len(through))]
