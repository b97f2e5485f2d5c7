"""Within groups: the first rows of each preference in each group, by an order without a pool."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from paretohqd.kernels import _core
from paretohqd.kernels.groups import group_by_group, group_ids
from paretohqd.kernels.layers import pareto_layers
from paretohqd.kernels.points import Objectives
from paretohqd.selection.copies import firsts
from paretohqd.selection.groups import ChosenInGroups, Floats, Rows, box_of_groups
from paretohqd.selection.ranks import added, in_order, lost
from paretohqd.selection.request import Request
from paretohqd.selection.taking import Quota, positions, taken


class Groups(NamedTuple):
    """Rows group by group, and what each group is measured by; larger is better."""

    columns: list[Floats]
    starts: Rows
    """(G + 1,) where each group starts, and the end."""
    ideals: Floats
    """(G, M) the best of each objective among the rows that count."""
    spans: Floats
    """(G, M) how far from it the worst is; 1 where it is the same."""

    @property
    def sizes(self) -> Rows:
        """(G,) rows of each group."""
        return np.diff(self.starts)

    @property
    def number(self) -> Rows:
        """(n,) the group of each row."""
        return np.repeat(np.arange(len(self.sizes)), self.sizes)


def choose_first_in_groups(
    points: Objectives,
    ids: NDArray[np.uint32],
    request: Request,
    *,
    quotas: Sequence[Quota] = (),
    copies: NDArray[np.uint32] | None = None,
    n_threads: int | None = None,
) -> ChosenInGroups:
    """Choose from every group, for every preference, its first k rows.

    Each group gives what it would alone, with reference points of its own; an objective with one
    value among the rows that these come from is measured in the scores' own units.

    Args:
        points: n finite points, larger is better in each objective.
        ids: The group of each row, (n,); any numbers, in any order.
        request: The rule, preferences and units.
        quotas: How many rows of a group with the same value each preference may get.
        copies: A number for each row, equal for copies; a preference gets the first of them alone.
        n_threads: Threads of the kernels.

    Raises:
        ValueError: An objective spans more than doubles can hold in a group.
    """
    points.require_finite("a preference's ray")
    ids, size = group_ids(ids, points.n)
    order, starts = group_by_group(ids, size)
    layer = pareto_layers(points, upto=1, groups=ids, n_threads=n_threads)[order]
    front = _front(layer, order, starts, copies)
    groups = _measured(points, order, starts, front, request)
    shown = np.zeros(points.n, dtype=np.bool_)
    shown[front] = request.box is None and request.rule.bounds == "pool"
    ranked = [_ranked(groups, request, number, n_threads) for number in range(len(request.through))]
    firsts_of_copies = [_firsts(rows, groups, copies, order) for rows, _ in ranked]
    # As many for each preference, whichever of its copies comes first.
    ends = np.concatenate(([0], np.cumsum(np.add.reduceat(firsts_of_copies[0], starts[:-1]))))
    mine = taken(
        [rows[first] for (rows, _), first in zip(ranked, firsts_of_copies, strict=True)],
        request.rule.wanted,
        [quota.of(order) for quota in quotas],
        exclusive=request.rule.exclusive,
        same=None if copies is None else copies[order],
        starts=ends,
    )
    parts, left_out = [], set[int]()
    for (rows, values), first, own in zip(ranked, firsts_of_copies, mine, strict=True):
        got = np.zeros(len(rows), dtype=np.bool_)
        got[np.flatnonzero(first)[own]] = True
        at = positions(groups.sizes)
        last = np.maximum.reduceat(np.where(got, at, -1), starts[:-1])
        seen = at <= np.repeat(last, groups.sizes)
        looked_at = rows[seen]
        table = np.column_stack([column[looked_at] for column in groups.columns])
        number = groups.number[seen].astype(np.uint32)
        layer[looked_at] = pareto_layers(table, groups=number, n_threads=n_threads)
        shown[rows[got]] = True
        left_out.update(rows[seen & ~first].tolist())
        counts = np.add.reduceat(got, starts[:-1])
        parts.append((rows[got], values[got], positions(counts)))
    chosen, distances, position = (np.concatenate(part) for part in zip(*parts, strict=True))
    members = np.flatnonzero(shown)
    members = members[np.argsort(order[members])]
    return ChosenInGroups(
        pool=order[members],
        layer=layer[members],
        rows=order[chosen],
        distances=distances,
        preference=np.repeat(np.arange(len(parts), dtype=np.int32), [len(p[0]) for p in parts]),
        position=position.astype(np.int32),
        copies=len(left_out),
    )


def _firsts(
    rows: Rows, groups: Groups, copies: NDArray[np.uint32] | None, order: Rows
) -> NDArray[np.bool_]:
    """Which of the ranked rows are the first of their copies in their group."""
    first = np.ones(len(rows), dtype=np.bool_)
    if copies is not None:
        keys = groups.number * (int(copies.max(initial=0)) + 1) + copies[order][rows]
        first[:] = False
        first[firsts(keys)] = True
    return first


def orders_in_group(
    points: Objectives, request: Request, *, copies: NDArray[np.uint32] | None = None
) -> Iterator[tuple[Rows, Floats]]:
    """All rows of one group in the order of each preference, copies too, and what it loses.

    Args:
        points: The group's rows, finite; larger is better in each objective.
        request: As for `choose_first_in_groups`.
        copies: A number for each row, equal for copies, of which the reference points come from the
            first on the front alone.
    """
    order, starts = np.arange(points.n), np.array([0, points.n])
    front = _front(pareto_layers(points, upto=1), order, starts, copies)
    groups = _measured(points, order, starts, front, request)
    for number in range(len(request.through)):
        yield _ranked(groups, request, number, None)


def _front(
    layer: NDArray[np.int32], order: Rows, starts: Rows, copies: NDArray[np.uint32] | None
) -> Rows:
    """Where the rows of the fronts are, group by group; of copies in a group only the first."""
    front = np.flatnonzero(layer == 0)
    if copies is None:
        return front
    group = np.repeat(np.arange(len(starts) - 1), np.diff(starts))
    keys = group * (int(copies.max(initial=0)) + 1) + copies[order]
    return front[firsts(keys[front])]


def _measured(
    points: Objectives, order: Rows, starts: Rows, front: Rows, request: Request
) -> Groups:
    """The groups with their reference points: as given, over all rows, or of each one's front."""
    columns = [np.asarray(column[order], dtype=np.float64) for column in points.columns]
    shape = len(starts) - 1, points.m
    if request.box is not None:
        low, high = (np.broadcast_to(end, shape) for end in request.box)
        return Groups(columns, starts, high, high - low)
    members, heads = np.arange(points.n), starts[:-1]
    if request.rule.bounds == "pool":
        members, heads = front, np.searchsorted(front, heads)
    ends = [
        box_of_groups(name, column[members], heads)
        for name, column in zip(points.names, columns, strict=True)
    ]
    spans = np.column_stack([span for _, span in ends])
    ideals = np.column_stack([low for low, _ in ends]) + spans
    for j, column in enumerate(columns):  # low + span may be rounded
        ideals[:, j] = np.maximum.reduceat(column[members], heads)
    return Groups(columns, starts, ideals, np.where(spans == 0, 1, spans))


def _ranked(
    groups: Groups, request: Request, number: int, n_threads: int | None
) -> tuple[Rows, Floats]:
    """All rows, group by group, in the order of one preference, and what it loses with each."""
    falls, weights = 1 - request.through[number], request.preferences.values[number]
    if request.rule.rank == "achievement":
        rows, values = _core.least_achievement_in_groups(
            groups.columns,
            [True] * len(groups.columns),
            True,
            groups.starts.astype(np.uint32),
            np.ascontiguousarray(groups.ideals).ravel(),
            np.ascontiguousarray(groups.spans).ravel(),
            np.ascontiguousarray(falls),
            int(groups.sizes.max(initial=1)),
            n_threads,
        )
        return rows, values
    units = (
        groups.spans
        if request.units is None
        else np.broadcast_to(request.units, groups.spans.shape)
    )
    losses = [
        (np.repeat(groups.ideals[:, j], groups.sizes) - column)
        / np.repeat(units[:, j], groups.sizes)
        for j, column in enumerate(groups.columns)
    ]
    values = lost(request.rule.rank, losses, weights)
    rows = in_order(values, added(losses), groups.columns, first=groups.number)
    return rows, values[rows]
