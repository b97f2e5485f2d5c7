"""The chosen rows with all their columns, and the selection that they make."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import polars as pl

from paretohqd.frames.batches import row_numbers
from paretohqd.frames.objectives import column
from paretohqd.frames.sources import Source
from paretohqd.frames.streaming import gather
from paretohqd.selection.narrowing import narrowed
from paretohqd.selection.nearest import NearestRows
from paretohqd.selection.pool import Pool, Rows
from paretohqd.selection.request import Request
from paretohqd.selection.result import Selection
from paretohqd.selection.same_rows import warn_of_the_same_rows


def rows_of(
    source: Source, pool: Pool, places: Rows, *, memory_limit: int | None = None
) -> pl.DataFrame:
    """The rows at some places of a pool with all columns; files or lazy frames are read again.

    Raises:
        ValueError: The source gives its rows in another order this time.
    """
    rows = pool.row[places]
    if pool.read is None:
        return source.take(rows)
    unique, again = np.unique(rows, return_inverse=True)
    # A null, which the texts of copies may be, is not a value to find a row by.
    columns = [c.name for c in pool.read if c.name in source.names and not c.null_count()]
    expected = pool.read.select(map(column, columns))[np.searchsorted(pool.row, unique)]
    return gather(source, unique, expected, memory_limit=memory_limit)[again]


def selection_of(
    request: Request,
    pool: Pool,
    nearest: NearestRows,
    rows_at: Callable[[Rows], pl.DataFrame],
    *,
    frame: pl.DataFrame | pl.LazyFrame | None = None,
) -> Selection:
    """The selection of what was chosen, with all that it was made from.

    Args:
        request: What was asked.
        pool: What could be chosen.
        nearest: What was chosen, or from what k rows are still to be chosen.
        rows_at: Gives the rows at some places of the pool, with the input's columns.
        frame: All rows of the input, if they are at hand.

    Raises:
        ValueError: Embeddings that are no points, or rows that come in another order this time.

    Warns:
        SameRowsWarning: All preferences get the same rows.
    """
    if request.rule.wanted > request.rule.k:
        nearest = narrowed(nearest, pool, request.rule, rows_at)
    rows = rows_at(nearest.places)
    weights, names = request.preferences.values, request.preferences.names
    if request.rule.rank == "ray":
        warn_of_the_same_rows(nearest, weights, pool, grouped=request.keys is not None)
    else:
        warn_of_the_same_rows(nearest, weights, pool, pooled=False)
    number = nearest.preference
    # Without these columns no one could tell why a row that comes early was not chosen.
    beside = dict.fromkeys([*(request.keys or ()), *request.filled, *request.others])
    named = [] if names is None else [pl.Series("preference_name", names).gather(number)]
    added = [
        pl.Series("preference", number),
        *named,
        pl.Series("weights", weights.tolist(), dtype=pl.List(pl.Float64)).gather(number),
        pl.Series("position", nearest.position),
        pl.Series("distance", nearest.distances),
        pl.Series("layer", pool.layer[nearest.places]),
        row_numbers(pool.row[nearest.places], pool.rows),
    ]
    prefix = request.rule.prefix
    return Selection(
        rows=rows.hstack([each.alias(f"{prefix}{each.name}") for each in added]),
        preferences=weights,
        objectives=pool.objectives(),
        pool=pool.frame(prefix),
        r_min=pool.in_input_units(nearest.r_min),
        r_max=pool.in_input_units(nearest.r_max),
        n_rows=pool.rows,
        scores=None if frame is None else request.scores.numbers(frame),
        preference_names=names,
        by=request.keys,
        rank=request.rule.rank,
        directions=request.rule.directions,
        duplicates=request.rule.duplicates,
        copy_columns=request.copies,
        left_out=pool.copies,
        prefix=prefix,
        excluded=pool.excluded,
        dropped_rows=pool.rows - pool.usable - pool.excluded,
        dropped=dict(pool.dropped),
        rule=request.rule,
        beside=None if frame is None else frame.lazy().select(map(column, beside)),
    )
