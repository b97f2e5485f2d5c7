"""The selection within the groups of a frame's rows that agree in some columns."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

import numpy as np
import polars as pl

from paretohqd.frames.bad_rows import bad_rows_named
from paretohqd.frames.keys import Keys, equal_ids, key_ids, refuse_null_keys
from paretohqd.frames.objectives import column
from paretohqd.frames.sources import Source
from paretohqd.frames.streaming import Resources
from paretohqd.selection.gathering import rows_of, selection_of
from paretohqd.selection.groups import choose_in_groups
from paretohqd.selection.groups_ranked import choose_first_in_groups
from paretohqd.selection.nearest import NearestRows
from paretohqd.selection.pool import Pool, Rows
from paretohqd.selection.request import Request
from paretohqd.selection.result import Selection


def choose_within_groups(
    source: Source, request: Request, keys: tuple[str, ...], resources: Resources
) -> Selection:
    """Choose within the groups of rows that agree in the key columns."""
    frame, scores, nan = source.frame, request.scores, request.rule.nan
    if isinstance(frame, pl.LazyFrame):
        needed = dict.fromkeys([*scores.columns, *keys, *request.filled, *request.others])
        frame = source.collect(frame.select(map(column, needed)))
    with bad_rows_named(source, scores, nan, finite=True):
        points = scores.tradeable(frame, nan=nan, n_threads=resources.n_threads)
    if not points.n:
        raise ValueError("there are no rows to choose from")
    kept = np.arange(len(frame)) if points.kept is None else points.kept
    ids = _groups(frame, keys, scores.inside(frame))[kept]
    quotas = tuple(quota.of(kept) for quota in request.quotas(frame))
    copies = equal_ids(frame, request.left_out)[kept] if request.left_out else None
    if request.rule.rank == "ray":
        chosen = choose_in_groups(
            points,
            ids,
            request.through,
            request.rule,
            box=request.box,
            noise=request.noise,
            quotas=quotas,
            copies=copies,
            n_threads=resources.n_threads,
        )
    else:
        chosen = choose_first_in_groups(
            points, ids, request, quotas=quotas, copies=copies, n_threads=resources.n_threads
        )
    row = kept[chosen.pool]
    pool = Pool(
        names=tuple(scores.names),
        maximize=points.maximize,
        columns=tuple(column[chosen.pool].astype(np.float64) for column in points.columns),
        row=row,
        layer=chosen.layer,
        low=points.worst(),
        high=points.best(),
        rows=len(frame),
        usable=points.n,
        dropped=points.dropped,
        copies=chosen.copies,
        excluded=points.excluded,
        read=frame[row] if source.lazy else None,
    )
    place = np.empty(points.n, dtype=np.int64)
    place[chosen.pool] = np.arange(len(chosen.pool))
    nearest = NearestRows(
        places=place[chosen.rows],
        distances=chosen.distances,
        preference=chosen.preference,
        position=chosen.position,
        r_min=pool.low,
        r_max=pool.high,
    )
    return selection_of(request, pool, nearest, partial(rows_of, source, pool), frame=frame)


def _groups(frame: pl.DataFrame, keys: Sequence[str], inside: Rows | None) -> Keys:
    """The group of each row, by its keys, which rows that take part have."""
    if inside is None:
        return key_ids(frame, keys, "by")
    for name in keys:
        refuse_null_keys(frame[name], "by", inside)
    return equal_ids(frame, keys)
