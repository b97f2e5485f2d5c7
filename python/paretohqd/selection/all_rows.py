"""The first rows of each preference among all rows, by an order that needs no pool.

What is in memory is ranked at once; what is read in batches is ranked batch by batch, and only the
best so far are held. No row comes before one that dominates it, so all that dominate a chosen row
were looked at with it: its Pareto layer among all rows is its layer among those.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import numpy as np
import polars as pl

from paretohqd.frames.bad_rows import bad_rows_named
from paretohqd.frames.kept_layers import KeptLayers
from paretohqd.frames.keys import Keys, equal_ids, key_ids
from paretohqd.frames.objectives import column
from paretohqd.frames.sources import Source
from paretohqd.frames.streaming import Resources, refuse_unfilled
from paretohqd.kernels.arrays import Column
from paretohqd.kernels.layers import pareto_layers
from paretohqd.selection.copies import firsts
from paretohqd.selection.nearest import NearestRows
from paretohqd.selection.pool import Floats, Layer, Pool, Rows, first_layers_of, pool_of
from paretohqd.selection.ranks import Order
from paretohqd.selection.request import Request
from paretohqd.selection.rule import Box

SPARE = 4
"""How many times more rows are looked at where too few of them may be chosen."""


@dataclass(frozen=True, eq=False, kw_only=True)
class Candidates:
    """Rows among which each preference's first ones are, larger is better in each objective.

    Attributes:
        columns: One array per objective.
        row: Each row's number in the input, ascending.
        rows: How many rows there are in all.
        usable: How many of them were not dropped for null or NaN.
        dropped: How many null and NaN each objective has, where their rows were dropped.
        low: (M,) the worst of each objective over all rows.
        high: (M,) the best.
        same: A number for each row, equal for copies; None: copies do not matter.
        keys: A number for each row, of which each preference gets none twice; None: no matter.
        read: The columns of its rows that have been read; None: the input is in memory.
    """

    columns: Sequence[Column]
    row: Rows
    rows: int
    usable: int
    dropped: Mapping[str, int]
    low: Floats
    high: Floats
    same: Keys | None
    keys: Keys | None
    read: pl.DataFrame | None = None


class Taken(NamedTuple):
    """What a preference takes of the candidates."""

    places: Rows
    """(k,) in order."""
    values: Floats
    before: Rows
    """All that were looked at up to the last of them, in order."""
    copies: Rows
    """Those of them that are copies of earlier ones."""


def choose_among_all(
    source: Source, request: Request, resources: Resources
) -> tuple[Pool, NearestRows]:
    """The k first rows of each preference, and the pool that shows them.

    Returns:
        The rows that the reference points come from and the chosen ones, with their layers; and
        where in it the chosen ones are.

    Raises:
        ValueError: Scores that cannot be traded, null keys, too few rows, or too much memory.
    """
    reference: Pool | None = None
    if request.box is None and request.rule.bounds == "pool":
        reference = pool_of(source, request, resources)
    size, k = request.rule.k, request.rule.k
    if request.left_out or request.filled:
        size = 2 * k + 1
    given = request.box if reference is None else reference.box(request)
    found: Candidates | None = None
    while True:
        if found is None or source.lazy:  # a frame's are all rows, whatever the size
            found = _candidates(source, request, given, size, resources)
        if found.usable < k:
            raise ValueError(
                f"k={k}, but there are only {found.usable} rows to choose from: lower k"
            )
        box = given or _box(found, request)
        order = order_of(request, box, resources.n_threads)
        taken = [_taken(order, number, found, k, size) for number in range(len(order.weights))]
        if all(len(one.places) == k for one in taken):
            return _shown(found, taken, box, reference, request)
        if size >= found.usable:
            _refuse_too_few(taken, request)
        size *= SPARE


def choose_among_kept(
    state: KeptLayers, request: Request, *, n_threads: int | None = None
) -> tuple[Pool, NearestRows] | None:
    """The same from the first layers of rows that came in parts.

    Returns:
        As `choose_among_all`; None if these layers do not suffice: rows that were let go might come
        among the first, or an objective has one value in all that are kept.

    Raises:
        ValueError: As `choose_among_all`.
    """
    layers, k = first_layers_of(state, request), request.rule.k
    reference: Pool | None = None
    if request.box is None and request.rule.bounds == "pool":
        reference = layers.ended(request)
        if reference is None:
            return None
    if layers.usable < k:
        raise ValueError(f"k={k}, but there are only {layers.usable} rows to choose from: lower k")
    found = Candidates(
        columns=layers.columns,
        row=layers.row,
        rows=layers.rows,
        usable=layers.usable,
        dropped=layers.dropped,
        low=layers.low,
        high=layers.high,
        same=layers.same,
        keys=layers.keys,
        read=layers.read,
    )
    given = request.box if reference is None else reference.box(request)
    box = given or _box(found, request)
    order, size = order_of(request, box, n_threads), len(found.row)
    taken = [_taken(order, number, found, k, size) for number in range(len(order.weights))]
    if not state.whole():
        # A row that was let go comes after one of each kept layer, which dominate it.
        kept = state.limit or 0
        reached = (
            len(one.before) > kept and (layers.layer[one.before] >= kept - 1).any() for one in taken
        )
        if any(reached) or any(len(one.places) < k for one in taken):
            return None
    _refuse_too_few(taken, request)
    return _shown(found, taken, box, reference, request)


def _refuse_too_few(taken: Sequence[Taken], request: Request) -> None:
    """Raise a ValueError if a preference has fewer than k rows of all that there are."""
    k, least = request.rule.k, min(len(one.places) for one in taken)
    if least < k:
        what = "different values of the column `distinct`"
        if not request.filled:
            what = "rows that are no copies"
        raise ValueError(f"k={k}, but there are only {least} {what}: lower k")


def order_of(request: Request, box: Box, n_threads: int | None) -> Order:
    """The order that a request asks for, between two reference points."""
    assert request.rule.rank != "ray", "the distance to a ray needs a pool"
    r_min, r_max = box
    span = r_max - r_min
    return Order(
        rank=request.rule.rank,
        ideal=r_max,
        units=span if request.units is None else request.units,
        weights=request.preferences.values,
        falls=(1 - request.through) * span,
        n_threads=n_threads,
    )


def _box(found: Candidates, request: Request) -> Box:
    """r_min and r_max over all rows."""
    request.scores.refuse_constant(found.low, found.high, found.usable)
    return found.low, found.high


def _candidates(
    source: Source, request: Request, box: Box | None, size: int, resources: Resources
) -> Candidates:
    """All rows of a frame, or of what is read in batches the first ones of each preference."""
    if isinstance(source.frame, pl.DataFrame):
        return _in_memory(source.frame, request, resources.n_threads)
    if box is None:  # over all rows, which must be known first
        box = _box(_read(source, request, None, size, resources), request)
    return _read(source, request, box, size, resources)


def _in_memory(frame: pl.DataFrame, request: Request, n_threads: int | None) -> Candidates:
    scores, nan = request.scores, request.rule.nan
    points = scores.points(frame, nan=nan, n_threads=n_threads)
    points.require_finite("a preference's ray", n_threads=n_threads)
    kept = np.arange(len(frame)) if points.kept is None else points.kept
    return Candidates(
        columns=points.columns,
        row=kept,
        rows=len(frame),
        usable=points.n,
        dropped=points.dropped,
        low=points.worst() if points.n else np.zeros(points.m),
        high=points.best() if points.n else np.zeros(points.m),
        same=equal_ids(frame, request.left_out)[kept] if request.left_out else None,
        keys=key_ids(frame, request.filled, "distinct")[kept] if request.filled else None,
    )


def _read(
    source: Source, request: Request, box: Box | None, size: int, resources: Resources
) -> Candidates:
    """Read all rows once: their bounds, and where a box is given the first rows by it."""
    scores, rule = request.scores, request.rule
    names = list(dict.fromkeys([*scores.columns, *request.filled, *request.left_out]))
    scores.refuse_types(source.schema)
    order = None if box is None else order_of(request, box, resources.n_threads)
    low, high = np.full(len(scores.names), np.inf), np.full(len(scores.names), -np.inf)
    held = pl.DataFrame(schema={name: source.schema[name] for name in names})
    row, rows, usable = np.zeros(0, dtype=np.int64), 0, 0
    dropped: dict[str, int] = {}
    for batch in source.batches(map(column, names), resources.memory_limit):
        refuse_unfilled(source, batch, request.filled, rows)
        with bad_rows_named(source, scores, rule.nan, finite=True):
            points = scores.points(batch, nan=rule.nan)
            points.require_finite("a preference's ray")
        for name, count in points.dropped.items():
            dropped[name] = dropped.get(name, 0) + count
        if points.n:
            low, high = np.minimum(low, points.worst()), np.maximum(high, points.best())
            if order is not None:
                best = order.first(points.columns, min(size, points.n))
                places = np.unique(best.rows)
                if points.kept is not None:
                    places = points.kept[places]
                held = pl.concat([held, batch[places]], how="vertical_relaxed")
                row = np.concatenate([row, rows + places])
                inside = _still_first(order, held, request, size)
                held, row = held[inside], row[inside]
        rows, usable = rows + len(batch), usable + points.n
        if resources.memory_limit is not None and held.estimated_size() > resources.memory_limit:
            raise ValueError(
                f"{len(held)} rows that are the first of some preference take more than the memory "
                "limit: lower k, or raise it"
            )
        if resources.progress is not None:
            resources.progress(rows)
    return Candidates(
        columns=scores.points(held).columns,
        row=row,
        rows=rows,
        usable=usable,
        dropped=dropped,
        low=low,
        high=high,
        same=equal_ids(held, request.left_out) if request.left_out else None,
        keys=key_ids(held, request.filled, "distinct") if request.filled else None,
        read=held,
    )


def _still_first(order: Order, held: pl.DataFrame, request: Request, size: int) -> Rows:
    """Places of the held rows that are among the first of some preference."""
    columns = request.scores.points(held).columns
    return np.unique(order.first(columns, min(size, len(held))).rows)


def _taken(order: Order, number: int, found: Candidates, k: int, size: int) -> Taken:
    """The first k rows of one preference that may be chosen, or as many as there are so far."""
    ranked = order.alone(number).first(found.columns, min(size, len(found.row)))
    rows, values = ranked.rows[0], ranked.values[0]
    no_copies = np.arange(len(rows)) if found.same is None else firsts(found.same[rows])
    allowed = no_copies if found.keys is None else no_copies[firsts(found.keys[rows[no_copies]])]
    allowed = allowed[:k]
    last = int(allowed[-1]) + 1 if len(allowed) else 0
    copies = np.setdiff1d(np.arange(last), no_copies)
    return Taken(rows[allowed], values[allowed], rows[:last], rows[copies])


def _shown(
    found: Candidates, taken: Sequence[Taken], box: Box, reference: Pool | None, request: Request
) -> tuple[Pool, NearestRows]:
    """The chosen rows, and those that the reference points come from, as a pool."""
    before = [one.before for one in taken]
    layers = _layers(found.columns, before)
    layer: Layer = np.full(len(found.row), -1, dtype=np.int32)
    for one, own in zip(before, layers, strict=True):
        layer[one] = own
    chosen = np.unique(np.concatenate([one.places for one in taken]))
    r_min, r_max = box
    pool = Pool(
        names=tuple(request.scores.names),
        maximize=tuple(request.scores.larger),
        columns=tuple(np.asarray(x[chosen], dtype=np.float64) for x in found.columns),
        row=found.row[chosen],
        layer=layer[chosen],
        low=found.low,
        high=found.high,
        rows=found.rows,
        usable=found.usable,
        dropped=dict(found.dropped),
        copies=len(np.unique(np.concatenate([one.copies for one in taken]))),
        read=None if found.read is None else found.read[chosen],
    )
    if reference is not None:
        pool = _with(pool, reference)
    place = np.searchsorted(pool.row, found.row[np.concatenate([one.places for one in taken])])
    k = request.rule.k
    return pool, NearestRows(
        places=place,
        distances=np.concatenate([one.values for one in taken]),
        preference=np.repeat(np.arange(len(taken), dtype=np.int32), k),
        position=np.tile(np.arange(k, dtype=np.int32), len(taken)),
        r_min=r_min,
        r_max=r_max,
    )


def _layers(columns: Sequence[Column], before: Sequence[Rows]) -> list[Layer]:
    """The layer of each row among all: of those that may dominate it none is missing."""
    every = np.concatenate(before)
    group = np.repeat(np.arange(len(before), dtype=np.uint32), [len(one) for one in before])
    points = np.column_stack([np.asarray(x[every], dtype=np.float64) for x in columns])
    layer = pareto_layers(points, groups=group)
    return np.split(layer, np.cumsum([len(one) for one in before])[:-1])


def _with(pool: Pool, reference: Pool) -> Pool:
    """The rows of both, each once, in the input's order."""
    row = np.concatenate([pool.row, reference.row])
    _, first = np.unique(row, return_index=True)
    pairs: Any = zip(pool.columns, reference.columns, strict=True)
    columns = [np.concatenate(pair)[first] for pair in pairs]
    read = None
    if pool.read is not None and reference.read is not None:
        read = pl.concat([pool.read, reference.read.select(pool.read.columns)])[first]
    return replace(
        pool,
        columns=tuple(columns),
        row=row[first],
        layer=np.concatenate([pool.layer, reference.layer])[first],
        read=read,
    )
