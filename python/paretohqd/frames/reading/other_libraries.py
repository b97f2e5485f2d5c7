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
    """A table of another library as a frame; None if it is not a table.

    Args:
        data: A pandas frame, a DuckDB relation, a Hugging Face Dataset, an Arrow table, a NumPy
            record array, a mapping of names to columns, or a list of mappings, one for each row.

    Raises:
        ValueError: Polars has no type for a column, two columns have one name, or the data are
            the splits of a dataset.

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
        return _from_pandas(data)
    if hasattr(data, "to_polars"):
        frame = _frame_from(data.to_polars, "frame")
        return _named(frame, getattr(data, "column_names", None) or [])
    if hasattr(data, "__arrow_c_stream__") or hasattr(data, "__arrow_c_array__"):
        return _from_arrow(data)
    if isinstance(data, np.ndarray) and data.dtype.names is not None and data.ndim == 1:
        return _frame_from(
            lambda: pl.DataFrame({name: data[name] for name in data.dtype.names}), "frame"
        )
    if isinstance(data, Mapping) and data:
        return _from_columns(data)
    if isinstance(data, Sequence) and data and all(isinstance(row, Mapping) for row in data):
        return _frame_from(lambda: pl.from_dicts(data, infer_schema_length=None), "frame")
    return None


def _is_table(value: Any) -> bool:
    return (
        isinstance(value, pl.DataFrame)
        or (is_pandas(value) and value.ndim == 2)
        or hasattr(value, "to_polars")
    )


def _from_pandas(data: Any) -> pl.DataFrame:
    if data.ndim != 2:
        raise ValueError("frame: a pandas Series is one column: pass a DataFrame")
    names = [str(name) for name in data.columns]
    _refuse_duplicates(names)
    try:
        frame = pl.from_pandas(data)
    except _FAILURES as error:
        for number, name in enumerate(names):
            _frame_from(partial(pl.from_pandas, data.iloc[:, [number]]), f"column {name!r}")
        raise ValueError(f"frame: {first_line(error)}") from error
    assert isinstance(frame, pl.DataFrame)
    return _named(frame, names)


def frame_of_table(table: Any) -> pl.DataFrame:
    """An Arrow table as a frame with the same names."""
    frame = pl.from_arrow(table)
    assert isinstance(frame, pl.DataFrame)
    return _named(frame, table.column_names)


def _named(frame: pl.DataFrame, names: Sequence[str]) -> pl.DataFrame:
    """The same with these names: where there is none, Polars makes one, such as "column_0"."""
    if "" in names and len(names) == frame.width:
        frame.columns = list(names)
    return frame


def _from_arrow(data: Any) -> pl.DataFrame | None:
    names = getattr(data, "column_names", None) or []
    _refuse_duplicates(list(names))
    try:
        table = pl.from_arrow(data)
    except _FAILURES as error:
        for name in names if hasattr(data, "select") else []:
            _frame_from(partial(pl.from_arrow, data.select([name])), f"column {name!r}")
        raise ValueError(f"frame: {first_line(error)}") from error
    if isinstance(table, pl.Series):
        return table.struct.unnest() if isinstance(table.dtype, pl.Struct) else None
    return _named(table, names or getattr(getattr(data, "schema", None), "names", []))


def _from_columns(data: Mapping[Any, Any]) -> pl.DataFrame:
    try:
        # Polars gives a plain list the type of its first number: [1, 0.5] would be refused.
        return pl.DataFrame(
            {
                name: pl.Series(each, dtype=pl.Float64, strict=False)
                if _mixes_numbers(each)
                else each
                for name, each in data.items()
            }
        )
    except _FAILURES as error:
        for name, values in data.items():
            _frame_from(partial(pl.DataFrame, {"": values}), f"column {name!r}")
        raise ValueError(f"frame: columns that make no frame: {first_line(error)}") from error


def _mixes_numbers(values: object) -> bool:
    """Whether a list holds both integers and floats, perhaps None, and nothing else."""
    kinds = {type(each) for each in values} if isinstance(values, list) else set()
    return kinds - {type(None)} == {int, float}


def _frame_from(make: Callable[[], Any], what: str) -> pl.DataFrame:
    """The frame that a call makes; or a ValueError that names what it could not convert."""
    try:
        frame: pl.DataFrame = make()
        return frame
    except _FAILURES as error:
        raise ValueError(
            f"{what}: values that make no column of one type ({first_line(error)}): convert them, "
            "or leave the column out"
        ) from error


def _refuse_duplicates(names: list[str]) -> None:
    for name in names:
        if names.count(name) > 1:
            raise ValueError(
                f"frame: {names.count(name)} columns are called {name!r}: rename all but one"
            )
