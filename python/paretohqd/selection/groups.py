"""Selection within groups: what `select` would choose from each group alone, in one pass."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from paretohqd.kernels import _core
from paretohqd.kernels.arrays import Column
from paretohqd.kernels.groups import group_by_group, group_ids
from paretohqd.kernels.layers import pareto_layers
from paretohqd.kernels.points import Objectives, optional_count
from paretohqd.selection.rule import Box, Rule
from paretohqd.selection.taking import Quota, positions, taken
from paretohqd.selection.ties import rounding, settle_ties

Floats = NDArray[np.float64]
Rows = NDArray[np.int64]


@dataclass(frozen=True, kw_only=True, eq=False)
class ChosenInGroups:
    """The pool of every group and what each preference takes from it.

    Attributes:
        pool: The rows in the pool of their group, ascending, shape (q,).
        layer: Pareto layer of each row of the pool within its group, shape (q,).
        rows: The chosen rows: preference by preference, then group by group in the order in which
            groups first appear, nearest first; shape (P * T,) with T the sum over groups of k or,
            if less, the rows in the pool.
        distances: The distance of each chosen row to its ray, in the scaled units.
        preference: The number of the preference that chose each row, 0..P-1.
        position: The place of each among those chosen in its group for that preference, 0..k-1.
        copies: How many rows of the pool's layers were left out as copies of others.
    """

    pool: Rows
    layer: NDArray[np.int32]
    rows: Rows
    distances: Floats
    preference: NDArray[np.int32]
    position: NDArray[np.int32]
    copies: int


def choose_in_groups(
    points: Objectives,
    ids: NDArray[np.uint32],
    through: Floats,
    rule: Rule,
    *,
    box: Box | None = None,
    noise: Floats | None = None,
    quotas: Sequence[Quota] = (),
    copies: NDArray[np.uint32] | None = None,
    n_threads: int | None = None,
) -> ChosenInGroups:
    """Choose from every group, for every preference, the k rows nearest to the group's own ray.

    Each group has its own layers, pool, r_min and r_max. Where `select` accepts a group alone, with
    the same pool, the rows, layers and distances are the same, to the last bit. Where it does not,
    the choice degrades: an objective with one value in all the group's reference rows trades
    nothing there; if no objective with a weight is left, the ray is the ideal point itself and rows
    rank by their distance to it; a pool of fewer than k rows gives all it has. Equal distances go
    to the better layer, then to the earlier row. O(n m P) after the layers, and a sort where the
    rows of a group are not adjacent.

    Args:
        points: n finite points, larger is better in each objective.
        ids: The group of each row, shape (n,); any numbers, in any order.
        through: A further point of each preference's ray, shape (P, M), in units of the group's
            box; the ray starts at the box's best corner. See `ray_weights`.
        rule: How many rows of each group, of which pool, in which units; a pool is the fewest
            layers that hold k rows if the rule gives no stop.
        box: r_min and r_max of all groups, where they are given.
        noise: (M,) differences below which count for nothing; None: every difference counts.
        quotas: How many rows of a group with the same value each preference may get; where the rule
            gives no stop, a pool holds k rows within them, taken layer by layer.
        copies: A number for each row, equal for rows that are copies; of those in a group only the
            first by layer and row counts, the others are in no pool.
        n_threads: Threads; RAYON_NUM_THREADS or all cores by default. The result is the same.

    Raises:
        ValueError: A value is infinite, an objective spans more than doubles can hold in a group,
            or a shape does not fit.

    Example:
        >>> import numpy as np
        >>> from paretohqd.kernels.points import Objectives
        >>> answers = Objectives.of([[1.0, 0.0], [0.4, 0.5], [0.0, 1.0], [5.0, 2.0], [4.0, 1.0]])
        >>> prompt = np.array([0, 0, 0, 1, 1], dtype=np.uint32)
        >>> through = np.array([[0.5, 0.5], [1.0, 0.0]])
        >>> chosen = choose_in_groups(answers, prompt, through, Rule(k=1))
        >>> chosen.rows, chosen.preference
        (array([1, 3, 0, 3]), array([0, 0, 1, 1], dtype=int32))
    """
    # No group has more rows than there are; a longer count might not fit the kernel's integers.
    k, threads = min(rule.k, max(points.n, 1)), optional_count("n_threads", n_threads)
    if through.ndim != 2 or through.shape[1] != points.m:
        raise ValueError(f"through: expected shape (P, {points.m}), got {through.shape}")
    units = rule.units(points.m)
    points.require_finite("a preference's ray")
    ids, size = group_ids(ids, points.n)
    upto, at_least = rule.upto, k if rule.grows else rule.at_least
    if rule.exclusive and rule.grows:
        at_least = min(k * len(through), max(points.n, 1))
    rounded = points.rounded_down(noise)
    order, starts = group_by_group(ids, size)
    if copies is None and not (quotas and rule.grows):
        left_out = 0
        layer = pareto_layers(rounded, upto=upto, at_least=at_least, groups=ids, n_threads=threads)
    else:
        layer = pareto_layers(rounded, upto=upto, groups=ids, n_threads=threads)
        within = k * len(through) if rule.exclusive else k
        needed = None if at_least is None else (at_least, quotas if rule.grows else (), within)
        left_out = _leave_out(layer, copies, order, starts, needed)
    inside = layer[order] >= 0
    pool = order[inside]
    pool_starts = np.concatenate(([0], np.cumsum(inside)))[starts]
    sizes = np.diff(pool_starts)
    if layer[pool].any():
        # Where distances are equal, the kernel takes the row that comes first.
        group = np.repeat(np.arange(len(sizes)), sizes)
        pool = pool[np.lexsort((layer[pool], group))]
    spans = np.empty((len(sizes), points.m))
    shifted = []
    for j, (name, column) in enumerate(zip(points.names, points.columns, strict=True)):
        values = column[pool]
        if box is not None:
            low = np.full(len(sizes), box[0][j])
            span = np.full(len(sizes), box[1][j] - box[0][j])
        elif rule.bounds == "pool":
            low, span = box_of_groups(name, values, pool_starts[:-1])
        else:
            low, span = box_of_groups(name, column[order], starts[:-1])
        # What has no span trades nothing: all its rows are at 0, in any unit.
        unit = np.where(span == 0, 1, span) if units is None else np.full_like(span, units[j])
        spans[:, j] = span / unit
        # In double precision whatever the scores' is, as for rows without groups.
        values = values.astype(np.float64, copy=False)
        values -= np.repeat(low, sizes)
        values /= np.repeat(unit, sizes)
        shifted.append(values)
    wanted = min(rule.wanted, max(points.n, 1))
    together = rule.exclusive or bool(quotas)
    if together:
        wanted = int(sizes.max(initial=1))
    places, distances = _nearest(shifted, pool_starts, spans, through, wanted, threads)
    counts = np.tile(np.minimum(sizes, wanted), len(through))
    if together:
        ends = np.concatenate(([0], np.cumsum(sizes)))
        mine = taken(
            np.split(places, len(through)),
            rule.wanted,
            [quota.of(pool) for quota in quotas],
            exclusive=rule.exclusive,
            starts=ends,
        )
        counts = np.concatenate([np.add.reduceat(one, ends[:-1]) for one in mine])
        got = np.concatenate(mine)
        places, distances = places[got], distances[got]
    members = np.flatnonzero(layer >= 0)
    return ChosenInGroups(
        pool=members,
        layer=layer[members],
        rows=pool[places],
        distances=distances,
        preference=np.repeat(
            np.arange(len(through), dtype=np.int32), counts.reshape(len(through), -1).sum(axis=1)
        ),
        position=positions(counts).astype(np.int32),
        copies=left_out,
    )


def _leave_out(
    layer: NDArray[np.int32],
    copies: NDArray[np.uint32] | None,
    order: Rows,
    starts: Rows,
    needed: tuple[int, Sequence[Quota], int] | None,
) -> int:
    """Take copies, and what is past the fewest layers with enough others, out of the pools.

    Args:
        layer: The layer of each row in its group; what is taken out gets -1.
        copies: A number for each row, equal for copies; None: there are none.
        order: The rows, group by group.
        starts: Where each group starts, and the end.
        needed: How many different rows a pool needs, and how many within which quotas; None:
            `layer` has the pools.

    Returns:
        How many copies were in the layers of the pools.
    """
    sizes = np.diff(starts)
    group = np.repeat(np.arange(len(sizes)), sizes)
    ranked = order[np.lexsort((layer[order], group))]
    inside = layer[ranked] >= 0
    first = inside.copy()
    if copies is not None:
        seen = group * (int(copies.max(initial=0)) + 1) + copies[ranked]
        first[:] = False
        first[np.unique(np.where(inside, seen, -1), return_index=True)[1]] = True
        first &= inside
    if needed is not None:
        at_least, quotas, k = needed
        last = _last_layers(layer[ranked], first, at_least, group, starts)
        if quotas:
            ends = np.concatenate(([0], np.cumsum(np.add.reduceat(first, starts[:-1]))))
            (mine,) = taken([ranked[first]], k, quotas, starts=ends)
            within = np.zeros(len(ranked), dtype=np.bool_)
            within[np.flatnonzero(first)[mine]] = True
            last = np.maximum(last, _last_layers(layer[ranked], within, k, group, starts))
        inside &= layer[ranked] <= last
    layer[ranked[~(first & inside)]] = -1
    return int((inside & ~first).sum())


def _last_layers(
    layer: NDArray[np.int32], counts: NDArray[np.bool_], least: int, group: Rows, starts: Rows
) -> Rows:
    """For each row the last layer of its group that is needed for so many of the rows that count.

    All layers, where there are not so many.
    """
    so_far = np.concatenate(([0], np.cumsum(counts)))
    number = so_far[1:] - so_far[starts[group]]
    enough = counts & (number == least)
    last = np.full(len(starts) - 1, len(layer))
    last[group[enough]] = layer[enough]
    return last[group]


def _nearest(
    columns: list[Floats],
    starts: Rows,
    spans: Floats,
    through: Floats,
    k: int,
    threads: int | None,
) -> tuple[Rows, Floats]:
    """The k nearest of each group to each ray, preference by preference, and their distances.

    One row more is looked at: it tells whether the last distance ends there. If it may go on, the
    group is looked at again, since the first rows of equal distances are wanted.
    """
    sizes, allowance = np.diff(starts), rounding(spans)
    ends = np.cumsum(np.minimum(sizes, k))
    places = np.empty((len(through), int(ends[-1:].sum())), dtype=np.int64)
    distances = np.empty(places.shape)
    left, size = np.arange(len(sizes)), k + 1
    while len(left):
        some = len(left) < len(sizes)
        members = np.repeat(starts[left], sizes[left]) + positions(sizes[left])
        rows, far = _core.nearest_in_groups(
            [column[members] for column in columns] if some else columns,
            np.concatenate(([0], np.cumsum(sizes[left]))).astype(np.uint32),
            spans[left].ravel(),
            np.asarray(through, dtype=np.float64).ravel(),
            size,
            threads,
        )
        got = np.minimum(sizes[left], size)
        position, which = positions(got), np.repeat(np.arange(len(left)), got)
        every = len(through)
        rows, far, fresh = settle_ties(
            rows, far, np.tile(position == 0, every), np.tile(allowance[left][which], every)
        )
        ended = np.zeros((every, len(left)), dtype=np.bool_)
        ray, at = np.divmod(np.flatnonzero(fresh & np.tile(position >= k, every)), len(position))
        ended[ray, which[at]] = True
        done = ended.all(axis=0) | (got == sizes[left])
        near = np.flatnonzero((position < k) & done[which])
        group = left[which[near]]
        to = ends[group] - np.minimum(sizes[group], k) + position[near]
        places[:, to] = members[rows.reshape(every, -1)[:, near]]
        distances[:, to] = far.reshape(every, -1)[:, near]
        left, size = left[~done], min(4 * size, int(sizes.max()))
    return places.ravel(), distances.ravel()


def box_of_groups(name: str | int, column: Column, heads: Rows) -> tuple[Floats, Floats]:
    """The worst value of each group and how far it is from the best."""
    low = np.minimum.reduceat(column, heads).astype(np.float64)
    with np.errstate(over="ignore"):
        span = np.maximum.reduceat(column, heads).astype(np.float64) - low
    if not np.isfinite(span).all():
        raise ValueError(f"column {name!r} spans more than doubles can hold: scale it down")
    return low, span
