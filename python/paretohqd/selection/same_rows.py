"""A warning where all preferences get the same rows, so that nothing is traded."""

from __future__ import annotations

import sys
import warnings

import numpy as np

from paretohqd.frames.notebooks import numbered
from paretohqd.selection.nearest import NearestRows
from paretohqd.selection.pool import Floats, Pool


class SameRowsWarning(UserWarning):
    """All preferences get the same rows: their models would be the same."""


def warn_of_the_same_rows(
    nearest: NearestRows,
    weights: Floats,
    pool: Pool,
    *,
    grouped: bool = False,
    pooled: bool = True,
) -> None:
    """Warn if preferences that differ get the same rows, and say why and what to do.

    Args:
        nearest: What was chosen.
        weights: The preferences.
        pool: What is shown of the rows.
        grouped: Rows were chosen within groups.
        pooled: They were chosen from the pool, and not from all rows.
    """
    if (weights == weights[0]).all():
        return
    ends = np.searchsorted(nearest.preference, np.arange(1, len(weights)))
    first, *others = np.split(nearest.places, ends)
    first = np.sort(first)
    if not all(np.array_equal(np.sort(other), first) for other in others):
        return
    best = np.logical_and.reduce([column == column.max() for column in pool.columns])
    if grouped:
        why = (
            "no group has more than k rows in its pool, or rows that trade one objective for "
            "another: lower k, or take more layers (upto, at_least)"
        )
    elif pooled and len(first) == len(pool.row):
        why = "they are the whole pool: lower k, or take more layers (upto, at_least)"
    elif best[first].all():
        held = int(best.sum())
        why = (
            f"{numbered(held, 'row')} {'holds' if held == 1 else 'hold'} the best value in all "
            "objectives: use finer scores, a k above that number, or leave rows out "
            "(duplicates='drop', distinct)"
        )
    elif not pooled:
        why = "the preferences or the rows differ too little: use finer scores, or lower k"
    else:
        why = (
            "the preferences or the points of the pool differ too little: use finer scores, lower "
            "k, or take more layers (upto, at_least)"
        )
    rows = "row" if len(first) == 1 else f"{len(first):,} rows"
    warnings.warn(
        f"all {len(weights)} preferences get the same {rows}: {why}",
        SameRowsWarning,
        stacklevel=_level(),
    )


def _level() -> int:
    """How far up the caller's own code is, seen from the function that warns."""
    frame, level = sys._getframe(1), 1
    while frame.f_globals.get("__name__", "").startswith("paretohqd.") and frame.f_back:
        frame, level = frame.f_back, level + 1
    return level
