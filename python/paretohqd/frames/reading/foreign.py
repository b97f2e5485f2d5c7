"""Tables of other libraries as Polars frames, or a ValueError that names the column in the way."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

import numpy as np
import polars as pl

from paretohqd.exceptions import first_line
from paretohqd.kernels.arrays import is_pandas

_FAILURES = (
    TypeError,
    ValueError,
    NotImplementedError,
    AttributeError,
    OverflowError,
    pl.exceptions.PolarsError,
    pl.exceptions.PanicException,
)


def frame_of(data: Any) -> pl.DataFrame | None:
    """A table of another library as a frame; None if it is no table.

    Args:
        data: A pandas frame, a DuckDB relation, a Hugging Face Dataset, an Arrow table, a NumPy
            record array, a mapping of names to columns, or a list of mappings, one for each row.

    Raises:
        ValueError: a column that Polars has no type for, two of one name, or splits of a dataset.

    Example:
        >>> frame_of([{"help": 1, "safe": 0.5}, {"help": 0.25}]).rows()
        [(1.0, 0.5), (0.25, None)]
    """
    if isinstance(data, Mapping) and data and all(map(_is_table, data.values())):
        raise ValueError(
            f"frame: splits of a dataset ({', '.join(map(str, data))}): pass one of them, "
            f"data[{next(iter(data))!r}]"
        )
    if is_pandas(data):
        return _of_pandas(data)
    if hasattr(data, "to_polars"):
        return _made(data.to_polars, "frame")
    if hasattr(data, "__arrow_c_stream__") or hasattr(data, "__arrow_c_array__"):
        return _of_arrow(data)
    if isinstance(data, np.ndarray) and data.dtype.names is not None and data.ndim == 1:
        return _made(lambda: pl.DataFrame({name: data[name] for name in data.dtype.names}), "frame")
    if isinstance(data, Mapping) and data:
        return _of_columns(data)
    if isinstance(data, Sequence) and data and all(isinstance(row, Mapping) for row in data):
        return _made(lambda: pl.from_dicts(data, infer_schema_length=None), "frame")
    return None


def _is_table(value: Any) -> bool:
    frame = isinstance(value, pl.DataFrame) or (is_pandas(value) and value.ndim == 2)
    return frame or hasattr(value, "to_polars")


def _of_pandas(data: Any) -> pl.DataFrame:
    if data.ndim != 2:
        raise ValueError("frame: a pandas Series is one column: pass a DataFrame")
    names = [str(name) for name in data.columns]
    _refuse_twice(names)
    try:
        found = pl.from_pandas(data)
    except _FAILURES as error:
        for number, name in enumerate(names):
            _made(partial(pl.from_pandas, data.iloc[:, [number]]), f"column {name!r}")
        raise ValueError(f"frame: {first_line(error)}") from error
    assert isinstance(found, pl.DataFrame)
    return found


def _of_arrow(data: Any) -> pl.DataFrame | None:
    names = getattr(data, "column_names", None) or []
    _refuse_twice(list(names))
    try:
        table = pl.from_arrow(data)
    except _FAILURES as error:
        for name in names if hasattr(data, "select") else []:
            _made(partial(pl.from_arrow, data.select([name])), f"column {name!r}")
        raise ValueError(f"frame: {first_line(error)}") from error
    if isinstance(table, pl.Series):
        return table.struct.unnest() if isinstance(table.dtype, pl.Struct) else None
    return table


def _of_columns(data: Mapping[Any, Any]) -> pl.DataFrame:
    try:
        # Of a plain list Polars takes the first number's type: [1, 0.5] would be refused.
        return pl.DataFrame(
            {
                name: pl.Series(each, dtype=pl.Float64, strict=False) if _floats(each) else each
                for name, each in data.items()
            }
        )
    except _FAILURES as error:
        for name, values in data.items():
            _made(partial(pl.DataFrame, {"": values}), f"column {name!r}")
        raise ValueError(f"frame: columns that make no frame: {first_line(error)}") from error


def _floats(values: object) -> bool:
    """Whether these are plain numbers, perhaps with None, and some of them floats, some not."""
    kinds = {type(each) for each in values} if isinstance(values, list) else set()
    return kinds - {type(None)} == {int, float}


def _made(make: Callable[[], Any], what: str) -> pl.DataFrame:
    """What a call makes, or a ValueError that says of what it could not."""
    try:
        found: pl.DataFrame = make()
        return found
    except _FAILURES as error:
        raise ValueError(
            f"{what}: values that make no column of one type ({first_line(error)}): convert them, "
            "or leave the column out"
        ) from error


def _refuse_twice(names: list[str]) -> None:
    for name in names:
        if names.count(name) > 1:
            raise ValueError(
                f"frame: {names.count(name)} columns are called {name!r}: rename all but one"
            )
