"""The first rows of each preference among all rows, by an order that needs no pool.

What is in memory is ranked at once; what is read in batches is ranked batch by batch, and only the
best so far are held. No row comes before one that dominates it, so all that dominate a chosen row
were looked at with it: its Pareto layer among all rows is its layer among those.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np
import polars as pl

from paretohqd.frames.kept_layers import KeptLayers
from paretohqd.frames.objectives import column
from paretohqd.frames.sources import Source
from paretohqd.frames.streaming import Resources
from paretohqd.kernels.arrays import Column
from paretohqd.kernels.layers import pareto_layers
from paretohqd.selection.candidates import Candidates, box_of, candidates, order_of
from paretohqd.selection.copies import firsts
from paretohqd.selection.nearest import NearestRows
from paretohqd.selection.pool import (
    Floats,
    Layer,
    Pool,
    Rows,
    first_layers_of,
    pool_of,
    refuse_fewer,
)
from paretohqd.selection.ranks import Order
from paretohqd.selection.request import Request
from paretohqd.selection.rule import Box, Rule
from paretohqd.selection.taking import positions, taken

SPARE = 4
"""How many times more rows are looked at where too few of them may be chosen."""


class Taken(NamedTuple):
    """What a preference takes of the candidates."""

    places: Rows
    """(k,) in order, or as many as are wanted or there are."""
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
    size, k = request.rule.wanted, request.rule.k
    if request.left_out or request.filled:
        size = 2 * size + 1
    if request.rule.exclusive:
        size *= len(request.through)
    if reference is not None:
        refuse_fewer(reference.usable, k)
    given = request.box if reference is None else reference.box(request)
    found: Candidates | None = None
    while True:
        if found is None or source.lazy:  # a frame's are all rows, whatever the size
            found = candidates(source, request, given, size, resources)
        refuse_fewer(found.usable, k)
        box = given or box_of(found, request)
        order = order_of(request, box, resources.n_threads)
        mine = _taken(order, found, request.rule, size)
        enough = min(request.rule.wanted, found.usable)
        if size >= found.usable or all(len(one.places) == enough for one in mine):
            _refuse_too_few(mine, request)
            return _shown(found, mine, box, reference, request)
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
    refuse_fewer(layers.usable, k)
    found = Candidates(
        columns=layers.columns,
        row=layers.row,
        rows=layers.rows,
        usable=layers.usable,
        dropped=layers.dropped,
        low=layers.low,
        high=layers.high,
        same=layers.same,
        quotas=layers.quotas,
        excluded=layers.excluded,
        read=layers.read,
    )
    given = request.box if reference is None else reference.box(request)
    box = given or box_of(found, request)
    order, size = order_of(request, box, n_threads), len(found.row)
    mine = _taken(order, found, request.rule, size)
    if not state.whole():
        # A row that was let go comes after one of each kept layer, which dominate it.
        kept = state.limit or 0
        reached = (
            len(one.before) > kept and (layers.layer[one.before] >= kept - 1).any() for one in mine
        )
        wanted = min(request.rule.wanted, layers.usable)
        if any(reached) or any(len(one.places) < wanted for one in mine):
            return None
    _refuse_too_few(mine, request)
    return _shown(found, mine, box, reference, request)


def _refuse_too_few(mine: Sequence[Taken], request: Request) -> None:
    """Raise a ValueError if a preference has fewer than k rows of all that there are."""
    k, least = request.rule.k, min(len(one.places) for one in mine)
    if least < k:
        what = "rows that are no copies" if request.left_out else "rows that no other has"
        if request.rule.distinct is not None:
            what = "different values of the column `distinct`"
        if request.rule.at_most:
            what = "rows within the quotas (at_most)"
        raise ValueError(f"k={k}, but there are only {least} {what}: lower k")


def _taken(order: Order, found: Candidates, rule: Rule, size: int) -> list[Taken]:
    """What each preference takes of its first rows, as far as these go."""
    ranked = order.first(found.columns, min(size, len(found.row)))
    no_copies = [
        np.arange(len(rows)) if found.same is None else firsts(found.same[rows])
        for rows in ranked.rows
    ]
    lists = [rows[own] for rows, own in zip(ranked.rows, no_copies, strict=True)]
    mine = taken(lists, rule.wanted, found.quotas, exclusive=rule.exclusive, same=found.same)
    result = []
    for rows, values, own, got in zip(ranked.rows, ranked.values, no_copies, mine, strict=True):
        allowed = own[got]
        last = int(allowed[-1]) + 1 if len(allowed) else 0
        copies = np.setdiff1d(np.arange(last), own)
        result.append(Taken(rows[allowed], values[allowed], rows[:last], rows[copies]))
    return result


def _shown(
    found: Candidates, mine: Sequence[Taken], box: Box, reference: Pool | None, request: Request
) -> tuple[Pool, NearestRows]:
    """The chosen rows, and those that the reference points come from, as a pool."""
    before = [one.before for one in mine]
    layers = _layers(found.columns, before)
    layer: Layer = np.full(len(found.row), -1, dtype=np.int32)
    for one, own in zip(before, layers, strict=True):
        layer[one] = own
    chosen = np.unique(np.concatenate([one.places for one in mine]))
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
        copies=len(np.unique(np.concatenate([one.copies for one in mine]))),
        excluded=found.excluded,
        read=None if found.read is None else found.read[chosen],
    )
    if reference is not None:
        pool = _with(pool, reference)
    place = np.searchsorted(pool.row, found.row[np.concatenate([one.places for one in mine])])
    sizes = np.array([len(one.places) for one in mine])
    return pool, NearestRows(
        places=place,
        distances=np.concatenate([one.values for one in mine]),
        preference=np.repeat(np.arange(len(mine), dtype=np.int32), sizes),
        position=positions(sizes).astype(np.int32),
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
    scores = [np.concatenate(pair)[first] for pair in pairs]
    read = None
    if pool.read is not None and reference.read is not None:
        again = reference.read.select(map(column, pool.read.columns))
        read = pl.concat([pool.read, again])[first]
    return replace(
        pool,
        columns=tuple(scores),
        row=row[first],
        layer=np.concatenate([pool.layer, reference.layer])[first],
        read=read,
    )
