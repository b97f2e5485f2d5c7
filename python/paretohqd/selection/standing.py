"""Where a row of the input stands: what dominates it, and its place in each preference's order.

Orders are those of the selection itself, by the functions that made it, with all rows in the place
of the first k. So the numbers are the same, to the last bit.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace

import numpy as np
import polars as pl
from numpy.typing import NDArray

from paretohqd.frames.keys import Keys
from paretohqd.kernels.points import Objectives
from paretohqd.selection.groups import choose_in_groups
from paretohqd.selection.groups_ranked import orders_in_group
from paretohqd.selection.nearest import nearest_rows
from paretohqd.selection.pool import Floats, Pool, Rows
from paretohqd.selection.ranks import Order
from paretohqd.selection.request import Request
from paretohqd.selection.rule import Box
from paretohqd.selection.seen import Seen, dominating, signed_scores
from paretohqd.selection.why import LeftOut


@dataclass(frozen=True, eq=False, kw_only=True)
class Asked:
    """A row that is asked for, and what it could be chosen from.

    Attributes:
        row: Its number.
        request: What the selection was asked for; without groups, with its reference points.
        pool: The selection's pool, larger is better in each objective.
        taken: The rows that each preference got, in order; within groups, of the row's group.
    """

    row: int
    request: Request
    pool: Pool
    taken: list[Rows]

    def place(self, row: int) -> int | None:
        """Where a row is in the pool; None: it is not there."""
        at = int(np.searchsorted(self.pool.row, row))
        return at if at < len(self.pool.row) and self.pool.row[at] == row else None

    def scores(self, row: int) -> Floats | None:
        """(M,) those of a row of the pool; None for others."""
        at = self.place(row)
        return None if at is None else np.array([column[at] for column in self.pool.columns])


@dataclass(frozen=True, eq=False, kw_only=True)
class Standing:
    """Where a row stands; larger is better in each objective.

    Attributes:
        scores: (M,) its own; null is NaN. None: not at hand.
        left_out: Why no preference could choose it.
        layer: Its layer, if that is known.
        layers: How many layers the pool has.
        dominated_by: (d,) numbers of rows, ascending.
        complete: Whether no others dominate it.
        ranked: How many rows an order has.
        distance: (P,) NaN where it is not known.
        place: (P,) -1 where there is none.
        passed: (P,) whether the last row that was taken comes after it, or fewer were than wanted.
        orders: All rows of its group in the order of each preference; None where that is not known.
    """

    scores: Floats | None
    left_out: LeftOut | None
    layer: int | None
    layers: int
    dominated_by: Rows
    complete: bool
    ranked: int
    distance: Floats
    place: Rows
    passed: NDArray[np.bool_]
    orders: tuple[Rows, ...] | None = None


def in_pool(asked: Asked, seen: Seen | None) -> Standing:
    """Among the rows of the pool, by their distances to the rays.

    Args:
        asked: The row.
        seen: The row among all; None: that is not needed, or not all rows are at hand.
    """
    pool, rule, at = asked.pool, asked.request.rule, asked.place(asked.row)
    standing = _nowhere(asked, pool, len(pool.row), seen)
    scores = standing.scores
    if scores is None:
        certain = not pool.copies and pool.usable == pool.rows
        return replace(standing, left_out="layer" if certain else "unknown")
    if seen is not None and seen.missing:
        return replace(standing, left_out="dropped")
    if at is not None:
        # All that dominate a row of the pool are in better layers; but copies may be left out.
        complete = seen is not None or not pool.copies
        standing = replace(standing, layer=int(pool.layer[at]), complete=complete)
        every = replace(asked.request, rule=replace(rule.plain, k=len(pool.row)))
        rays = (replace(every, through=through[np.newaxis]) for through in every.through)
        orders = (nearest_rows(pool, ray, n_threads=None) for ray in rays)
        found = (x for x in orders if x is not None)  # a pool of which all rows are wanted
        return _placed(standing, asked, ((pool.row[x.places], x.distances) for x in found))
    assert seen is not None, "nothing else knows the scores of such a row"
    alone = replace(
        pool,
        columns=tuple(scores[:, np.newaxis]),
        row=np.array([asked.row]),
        layer=np.zeros(1, dtype=np.int32),
    )
    one = replace(asked.request, rule=replace(rule.plain, k=1))
    assert one.box is not None, "without groups there are reference points"
    whole = len(pool.row) + pool.copies == pool.usable
    standing = _outside(standing, asked, seen, whole)
    if _too_far(scores, one.box, one.units):
        return standing
    nearest = nearest_rows(alone, one, n_threads=None)
    assert nearest is not None, "one row is enough"
    return replace(standing, distance=nearest.distances)


def among_all(asked: Asked, seen: Seen | None, order: Order) -> Standing:
    """Among all rows, by an order without a pool.

    Args:
        asked: The row.
        seen: The row among all; None: these are not at hand.
        order: How rows are ordered.
    """
    pool, rule, at = asked.pool, asked.request.rule, asked.place(asked.row)
    standing = _nowhere(asked, pool, pool.usable, seen)
    scores = standing.scores
    if scores is None:
        return replace(standing, left_out="unknown")
    if seen is not None and seen.missing:
        return replace(standing, left_out="dropped")
    before = [
        comes_first(order.alone(number), asked, scores, int(own[-1]))
        for number, own in enumerate(asked.taken)
    ]
    standing = replace(standing, passed=np.array(before))
    if at is not None:
        standing = replace(standing, layer=int(pool.layer[at]))
    if seen is not None:
        assert seen.value is not None, "an order was given"
        assert seen.place is not None, "an order was given"
        layer = seen.layer(standing.layers) if at is None else standing.layer
        return replace(standing, layer=layer, distance=seen.value, place=seen.place)
    value, _ = order.before(list(scores[:, np.newaxis]), 0)
    # All that dominate a chosen row come before it, and are chosen unless they are passed over.
    chosen = any((own == asked.row).any() for own in asked.taken)
    known = standing.layer == 0 or (chosen and rule.duplicates == "keep" and rule == rule.plain)
    return replace(standing, distance=value, complete=known)


def in_group(asked: Asked, frame: pl.DataFrame, members: Rows, copies: Keys | None) -> Standing:
    """Among the rows of its group.

    Args:
        asked: The row.
        frame: (g,) the scores of the rows of its group, in the input's units.
        members: (g,) their numbers, ascending.
        copies: (g,) a number for each, equal for copies; None: these do not matter.
    """
    request, rule = asked.request, asked.request.rule
    own = signed_scores(frame[[int(np.searchsorted(members, asked.row))]], request)
    points = request.scores.points(frame, nan="drop")
    rows = members if points.kept is None else members[points.kept]
    if copies is not None and points.kept is not None:
        copies = copies[points.kept]
    better = np.flatnonzero(dominating(points.columns, own, request.noise))
    seen = Seen(
        scores=own,
        rows=rows[better],
        columns=[x[better] for x in points.columns],
        noise=request.noise,
    )
    inside = np.isin(asked.pool.row, members)
    pool = replace(
        asked.pool,
        columns=tuple(x[inside] for x in asked.pool.columns),
        row=asked.pool.row[inside],
        layer=asked.pool.layer[inside],
    )
    standing = _nowhere(asked, pool, len(pool.row) if rule.rank == "ray" else points.n, seen)
    if seen.missing:
        return replace(standing, left_out="dropped")
    at = np.flatnonzero(pool.row == asked.row)
    layer = int(pool.layer[at[0]]) if len(at) else seen.layer(standing.layers)
    standing = replace(standing, layer=layer)
    if rule.rank != "ray":
        orders = [
            (rows[order], values)
            for order, values in orders_in_group(points, request, copies=copies)
        ]
        placed = _placed(standing, asked, orders)
        return replace(placed, orders=tuple(order for order, _ in orders))
    group = np.zeros(points.n, dtype=np.uint32)
    layers = max(1, standing.layers)  # whichever stop it was that ended the pool
    every = replace(rule.plain, k=points.n, upto=layers, at_least=None)
    chosen = choose_in_groups(
        points,
        group,
        request.through,
        every,
        box=request.box,
        noise=request.noise,
        copies=copies,
    )
    shape = len(request.through), len(pool.row)
    order, distances = rows[chosen.rows].reshape(shape), chosen.distances.reshape(shape)
    if len(at):
        return _placed(standing, asked, zip(order, distances, strict=True))
    box = request.box
    if box is None:
        some = chosen.pool if rule.bounds == "pool" else slice(None)
        ends = [(x[some].min(), x[some].max()) for x in points.columns]
        low, high = np.array(ends, dtype=np.float64).T
        box = low, high
    whole = len(pool.row) + chosen.copies == points.n
    standing = _outside(standing, asked, seen, whole)
    if _too_far(own, box, request.units):
        return standing
    alone = Objectives.of(own[np.newaxis], maximize=True)
    one = replace(rule.plain, k=1, upto=1, at_least=None)
    nearest = choose_in_groups(alone, group[:1], request.through, one, box=box)
    return replace(standing, distance=nearest.distances)


def comes_first(order: Order, asked: Asked, scores: Floats, other: int) -> bool:
    """Whether a row comes before one of the pool, or is that row.

    Args:
        order: That of one preference.
        asked: The row.
        scores: (M,) its own.
        other: The number of the other.
    """
    theirs = asked.scores(other)
    assert theirs is not None, "a chosen row is in the pool"
    # Of equal rows the earlier comes first.
    early = asked.row <= other
    pair = np.stack([scores, theirs] if early else [theirs, scores], axis=1)
    return bool((order.first(list(pair), 1).rows[0, 0] == 0) == early)


def _nowhere(asked: Asked, pool: Pool, ranked: int, seen: Seen | None) -> Standing:
    """What is known before any order is looked at.

    Args:
        asked: The row.
        pool: The pool, that of the row's group where there are groups.
        ranked: How many rows an order has.
        seen: The row among all, or among those of its group; None: the pool must do.
    """
    scores = asked.scores(asked.row) if seen is None else seen.scores
    dominated_by = np.zeros(0, dtype=np.int64) if seen is None else seen.rows
    if seen is None and scores is not None:
        dominated_by = pool.row[dominating(pool.columns, scores, asked.request.noise)]
    preferences = len(asked.request.through)
    return Standing(
        scores=scores,
        left_out=None,
        layer=None,
        layers=int(pool.layer.max(initial=-1)) + 1,
        dominated_by=dominated_by,
        complete=seen is not None,
        ranked=ranked,
        distance=np.full(preferences, np.nan),
        place=np.full(preferences, -1, dtype=np.int64),
        passed=np.zeros(preferences, dtype=np.bool_),
    )


def _too_far(scores: Floats, box: Box, units: Floats | None) -> bool:
    """Whether a row is further from the pool than doubles can hold, in the units of a distance."""
    low, high = box
    span = high - low
    with np.errstate(over="ignore"):
        scaled = (scores - low) / (np.where(span == 0, 1, span) if units is None else units)
    return not np.isfinite(scaled).all()


def _outside(standing: Standing, asked: Asked, seen: Seen, whole: bool) -> Standing:
    """Why a row is not in the pool.

    Args:
        standing: The row.
        asked: The same.
        seen: The same among all.
        whole: Whether all rows are in the pool or left out of it as copies.
    """
    # The last of the layers that were asked for may hold nothing but copies.
    layer = seen.layer(asked.request.rule.upto or standing.layers)
    return replace(
        standing, layer=layer, left_out="layer" if layer is None and not whole else "copy"
    )


def _placed(standing: Standing, asked: Asked, orders: Iterable[tuple[Rows, Floats]]) -> Standing:
    """The same with a distance and a place in each order.

    Args:
        standing: The row.
        asked: The same.
        orders: For each preference all rows in order, and their distances.
    """
    distance, place = standing.distance.copy(), standing.place.copy()
    passed = standing.passed.copy()
    for number, (rows, distances) in enumerate(orders):
        own, taken = int(np.flatnonzero(rows == asked.row)[0]), asked.taken[number]
        distance[number], place[number] = distances[own], own
        # A group may leave a preference fewer rows than it wants, or none.
        short = len(taken) < asked.request.rule.k
        passed[number] = short or own < int(np.flatnonzero(rows == taken[-1])[0])
    return replace(standing, distance=distance, place=place, passed=passed)
