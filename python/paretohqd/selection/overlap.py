"""How much the training sets of preferences share."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import polars as pl
from numpy.typing import NDArray

Floats = NDArray[np.float64]


BLOCK = 4096
"""Rows whose preferences are compared at once: single precision counts them exactly."""


def selection_overlap(selection: pl.DataFrame) -> Floats:
    """Jaccard overlap of the preferences' training sets.

    Neighbouring preferences that share most rows train nearly the same model; this shows it.

    Args:
        selection: A long frame, as `select` returns it: a row for each chosen example with the
            columns `preference` and `row` (its index in the scored data).

    Returns:
        (P, P) shares of the union in [0, 1], preferences in ascending order; 1 on the diagonal.

    Raises:
        ValueError: A column is missing.

    Example:
        >>> frame = pl.DataFrame({"preference": [0, 0, 1, 1], "row": [3, 5, 5, 8]})
        >>> selection_overlap(frame).round(3).tolist()
        [[1.0, 0.333], [0.333, 1.0]]
    """
    missing = [name for name in ("preference", "row") if name not in selection.columns]
    if missing:
        raise ValueError(
            f"selection lacks the column(s) {', '.join(missing)}: pass what select returns"
        )
    who, preference = np.unique(selection["preference"].to_numpy(), return_inverse=True)
    rows = np.unique(selection["row"].to_numpy(), return_inverse=True)[1]
    by_row = np.argsort(rows, kind="stable")
    rows, preference = rows[by_row], preference[by_row]
    shared = np.zeros((len(who), len(who)))
    ends = np.searchsorted(rows, np.arange(0, rows.max(initial=-1) + 1 + BLOCK, BLOCK))
    for start, end in pairwise(ends.tolist()):
        # Which preferences (down) have which of these rows (across).
        has = np.zeros((len(who), BLOCK), dtype=np.float32)
        has[preference[start:end], rows[start:end] % BLOCK] = 1
        shared += has @ has.T
    sizes = shared.diagonal()
    return shared / (sizes[:, None] + sizes[None, :] - shared)
