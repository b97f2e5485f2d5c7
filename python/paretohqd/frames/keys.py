"""Keys: columns whose values tell rows apart, and rows with the same ones."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import numpy as np
import polars as pl
from numpy.typing import NDArray

from paretohqd.frames.objectives import column, refuse_missing
from paretohqd.kernels.groups import group_ids
from paretohqd.kernels.points import iterates

Keys = NDArray[np.uint32]


def key_columns(columns: Iterable[str], by: str | Sequence[str]) -> list[str]:
    """The columns whose values tell groups apart.

    Raises:
        ValueError: No such column, or none at all.
    """
    columns = list(columns)
    several = list(by) if iterates(by) and not isinstance(by, Mapping) else []
    names = [by] if isinstance(by, str) else several
    if not names:
        raise ValueError(f"by: name at least one column, got {by!r}")
    for name in names:
        refuse_missing(columns, name, "by")
    return list(dict.fromkeys(names))


def key_ids(frame: pl.DataFrame, names: Sequence[str], where: str) -> Keys:
    """A number for each row, the same for rows that agree in all these columns.

    Raises:
        ValueError: A value is null or NaN.
    """
    for name in names:
        refuse_null_keys(frame[name], where)
    if len(names) == 1:
        return group_ids(frame[names[0]], len(frame))[0]
    return equal_ids(frame, names)


def equal_ids(frame: pl.DataFrame, names: Sequence[str]) -> Keys:
    """A number for each row, the same for rows that agree in all these columns; null equals null.

    Example:
        >>> equal_ids(pl.DataFrame({"text": ["x", None, "x", None]}), ["text"]).tolist()
        [0, 1, 0, 1]
    """
    keys = {str(place): column(name) for place, name in enumerate(names)}
    rows = frame.select(**keys).with_row_index("row")
    return rows.select(pl.col("row").first().over(list(keys))).to_series().to_numpy()


def missing_keys(keys: pl.Series) -> pl.Series:
    """Where a key is null or NaN, which is no value to tell rows apart by."""
    keys = keys.alias("")  # Methods of a series take a name like "^x.*$" for a pattern, too.
    missing = keys.is_null()
    return missing | keys.is_nan().fill_null(True) if keys.dtype.is_float() else missing


def refuse_null_keys(keys: pl.Series, where: str, inside: NDArray[np.int64] | None = None) -> None:
    """Raise a ValueError if a key is null, NaN or an object that cannot be compared.

    Args:
        keys: A column.
        where: What asks for it, for the message.
        inside: The rows that count, ascending; None: all.
    """
    if keys.dtype == pl.Object:
        raise ValueError(
            f"{where}: column {keys.name!r} holds Python objects, which cannot be compared: cast it"
        )
    missing = missing_keys(keys)
    if inside is not None:
        counts = pl.repeat(False, len(keys), dtype=pl.Boolean, eager=True)
        missing &= counts.scatter(inside, True)
    if missing.any():
        what = "null" if keys.null_count() == missing.sum() else "null or NaN"
        raise ValueError(
            f"{where}: column {keys.name!r} is {what} in {missing.sum()} of {len(keys)} rows "
            f"(first: row {missing.arg_max()}): fill or drop them"
        )
