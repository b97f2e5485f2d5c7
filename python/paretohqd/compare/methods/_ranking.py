"""Orders of rows that methods choose by: the k best by one number per row."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import ArrayLike

from paretohqd.compare.workbench import Workbench
from paretohqd.frames.objectives import column
from paretohqd.selection.copies import copy_columns


def best(
    frame: pl.DataFrame,
    values: ArrayLike,
    k: int,
    *,
    one_per_prompt: bool = False,
    copies: Sequence[str] = (),
) -> pl.DataFrame:
    """The k rows of the largest values, best first; equal ones in the order of the frame.

    Args:
        frame: Rows, n of them, with the column prompt if it matters.
        values: (n,) numbers, larger is better.
        k: Rows wanted; all where there are fewer.
        one_per_prompt: Take no prompt twice.
        copies: Take only the best of the rows that are equal in these columns.

    Example:
        >>> frame = pl.DataFrame({"prompt": ["a", "a", "b"], "x": [1, 2, 3]})
        >>> best(frame, [3.0, 3.0, 1.0], 2, one_per_prompt=True)["x"].to_list()
        [1, 3]
    """
    order = np.argsort(-np.asarray(values, dtype=np.float64), kind="stable")
    ranked = frame[order]
    if copies:
        ranked = ranked.unique([*map(column, copies)], keep="first", maintain_order=True)
    if one_per_prompt:
        ranked = ranked.unique("prompt", keep="first", maintain_order=True)
    return ranked.head(k)


def best_rows(
    bench: Workbench,
    frame: pl.DataFrame,
    values: ArrayLike,
    *,
    k: int | None,
    per: str,
    by: str,
    **settings: Any,
) -> pl.DataFrame:
    """The k best rows as a step, done again `per` preference or objective.

    `settings` say what the values are, `by` says it to people.

    Raises:
        ValueError: All values are the same, and there are more rows than are wanted.
    """
    spec = bench.settings.selection
    k, one = k or spec.k, spec.one_per_prompt
    numbers = np.asarray(values, dtype=np.float64)
    if k < len(numbers) and numbers.min() == numbers.max():
        raise ValueError(
            f"all {len(numbers)} rows are equally good by {by}: nothing tells which {k} to take, "
            "so leave it out"
        )
    copies = copy_columns(frame.schema, bench.names) if spec.duplicates == "drop" else ()
    if copies:
        settings |= {"copies": copies}
    return bench.table(
        "select",
        lambda: best(frame, values, k, one_per_prompt=one, copies=copies),
        frame,
        per=per,
        k=k,
        one_per_prompt=one,
        **settings,
    )
