"""A hash of a result's exact content: types, names, order, and every bit of its numbers."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any

import numpy as np
import polars as pl

import paretohqd as pq


def digest(value: Any) -> str:
    """The first half of the sha256 of a value's canonical bytes.

    Example:
        >>> digest(0.0) == digest(-0.0), digest([1, 2]) == digest((1, 2))
        (False, True)
    """
    hasher = hashlib.sha256()
    _feed(hasher, value)
    return hasher.hexdigest()[:32]


def _feed(hasher: Any, value: Any) -> None:
    if value is None or isinstance(value, bool | np.bool_ | int | np.integer | str):
        kind = "int" if isinstance(value, np.integer) else type(value).__name__
        _part(hasher, kind.removesuffix("_"), str(value).encode())
    elif isinstance(value, float | np.floating):
        _part(hasher, "float", np.float64(value).astype("<f8").tobytes())
    elif isinstance(value, bytes):
        _part(hasher, "bytes", value)
    elif isinstance(value, np.ndarray) and value.dtype.kind in "biufSU":
        plain = np.ascontiguousarray(value, dtype=value.dtype.newbyteorder("<"))
        _part(hasher, f"array {plain.dtype.str} {plain.shape}", plain.tobytes())
    elif isinstance(value, Mapping):
        _part(hasher, "mapping", str(len(value)).encode())
        for key, each in value.items():
            _feed(hasher, key)
            _feed(hasher, each)
    elif isinstance(value, list | tuple):
        _part(hasher, "list", str(len(value)).encode())
        for each in value:
            _feed(hasher, each)
    elif isinstance(value, pl.LazyFrame):
        _feed(hasher, ["lazy", value.collect()])
    elif isinstance(value, pl.DataFrame):
        _part(hasher, "frame", str(value.shape).encode())
        for column in value.iter_columns():
            _feed(hasher, [column.name, str(column.dtype)])
            _values(hasher, column)
    elif isinstance(value, pq.Selection):
        _feed(hasher, parts(value))
    else:
        raise TypeError(f"no canonical bytes of {type(value).__name__}")


def _part(hasher: Any, kind: str, content: bytes) -> None:
    hasher.update(f"{kind} {len(content)}:".encode())
    hasher.update(content)


def _values(hasher: Any, column: pl.Series) -> None:
    """The values of a column, by what they are made of."""
    column = column.alias("")  # Methods of a series take a name like "^x.*$" for a pattern.
    _feed(hasher, column.is_null().to_numpy())
    if isinstance(column.dtype, pl.List):
        _feed(hasher, column.list.len().fill_null(0).to_numpy())
        _values(hasher, column.drop_nulls().explode())
    elif isinstance(column.dtype, pl.Array):
        _values(hasher, column.drop_nulls().explode())
    elif isinstance(column.dtype, pl.Struct):
        for field in column.struct.unnest().iter_columns():
            _values(hasher, field)
    elif column.dtype.is_decimal():
        _feed(hasher, column.drop_nulls().cast(pl.String).to_list())
    elif column.dtype.is_numeric():
        _feed(hasher, column.drop_nulls().to_numpy())
    else:
        _feed(hasher, column.drop_nulls().to_list())


def parts(selection: pq.Selection) -> dict[str, Any]:
    """All that a selection has to say."""
    return {
        "rows": selection.rows,
        "pool": selection.pool,
        "weights": selection.preferences,
        "objectives": selection.objectives,
        "names": selection.preference_names,
        "by": selection.by,
        "r_min": selection.r_min,
        "r_max": selection.r_max,
        "n": selection.n_rows,
        "through": selection.through,
        "layer": selection.layer,
        "layer_sizes": selection.layer_sizes(),
        "overlap": selection.overlap(),
        "copies": selection.copies(),
        # Hashed under the names and in the line that were recorded.
        "summary": {
            "rows" if key == "n_rows" else key: each for key, each in selection.summary().items()
        },
        "explain": selection.explain(),
        "remarks": selection.remarks(),
        "repr": f"<Selection: {'; '.join(selection._facts().values())}>",
        "html": selection._repr_html_(),
        "first": selection.of(0),
        "scores": None if selection.scores is None else selection.scores.collect(),
    }
