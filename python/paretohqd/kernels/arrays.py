"""Points in any form, frames, arrays, tensors or lists, as columns of floats.

What is refused, and why: booleans, words and lists are no scores; integers beyond 2**53 would
silently tie as doubles. Every message names the column, the count and the first row.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

import numpy as np
import polars as pl
from numpy.typing import NDArray

from paretohqd.kernels.numerals import EXACT, inexact_integers, is_text, numbers_of

Column = NDArray[np.float64] | NDArray[np.float32]

MAX_ROWS = 2**31 - 1
"""More rows no layer number can count."""

SMALL_ROWS = 1 << 10
"""Up to so many rows it takes less time to copy a frame at once than to look at each column."""


class ReadColumn(NamedTuple):
    """A column that was read.

    Attributes:
        name: Its name where it has one, else its number.
        floats: Its values.
        missing: Where it is missing values; None if nowhere.
        given: The column as it was given, for messages.
    """

    name: str | int
    floats: Column
    missing: NDArray[np.bool_] | None
    given: object


def read_columns(points: object) -> list[ReadColumn]:
    """The columns of whatever holds the points, as floats that are yet to be looked at."""
    return [ReadColumn(name, *floats(name, given), given) for name, given in named_columns(points)]


def float_table(points: object) -> NDArray[Any] | None:
    """Points that the kernels take as one array, (n, m): those of arrays and of small frames.

    Returns:
        The array itself, or a copy of integers or of a frame, in which null is NaN. None if the
        columns have to be looked at one by one.
    """
    if type(points) is np.ndarray:
        flags = points.flags
        if points.ndim != 2 or not (flags.c_contiguous or flags.f_contiguous):
            return None
        dtype = points.dtype
        if dtype.char in "df":
            return points if dtype.isnative and flags.aligned else None
        if dtype.kind not in "iu" or len(points) > MAX_ROWS or not _exact(points):
            return None
        return points.astype(np.float64)
    if type(points) is pl.DataFrame and 0 < points.height <= SMALL_ROWS:
        dtypes = points.dtypes
        one = dtypes[0] if dtypes else None
        if (one == pl.Float64 or one == pl.Float32) and all(dtype == one for dtype in dtypes):
            return points.to_numpy(order="c")
    return None


def is_pandas(value: object) -> bool:
    """Whether this is a frame or a series of pandas, recognised without importing pandas."""
    return hasattr(value, "iloc")


def named_columns(points: object) -> list[tuple[str | int, object]]:
    """The columns of whatever holds the points, with their names or else their numbers."""
    if isinstance(points, pl.LazyFrame):
        raise ValueError("points is a LazyFrame; collect it first, or use the streaming functions")
    if isinstance(points, pl.DataFrame):
        return _expanded((series.name, series) for series in points.iter_columns())
    if isinstance(points, pl.Series):
        return _expanded([(points.name or 0, points)])
    if isinstance(points, Mapping):
        return [(str(name), _as_column(column)) for name, column in points.items()]
    if is_pandas(points):
        return _from_pandas(points)
    if hasattr(points, "__arrow_c_stream__") or hasattr(points, "__arrow_c_array__"):
        return named_columns(pl.from_arrow(points))
    if isinstance(points, list | tuple) and points and all(map(_is_column, points)):
        return [(index, _as_column(column)) for index, column in enumerate(points)]
    return _from_array(_as_array(points))


def _expanded(
    columns: Iterable[tuple[str | int, pl.Series]],
) -> list[tuple[str | int, object]]:
    """Replace columns of fixed-size arrays by their components."""
    named: list[tuple[str | int, object]] = []
    for name, series in columns:
        if isinstance(series.dtype, pl.Array) and len(series.dtype.shape) == 1:
            arrays = series.alias("")  # Methods of a series take a name like "^x.*$" for a pattern.
            named += [(f"{name}[{j}]", arrays.arr.get(j)) for j in range(series.dtype.shape[0])]
        else:
            named.append((name, series))
    return named


def _from_pandas(frame: Any) -> list[tuple[str | int, object]]:
    if frame.ndim == 1:
        return [(0 if frame.name is None else str(frame.name), _pandas_values(frame))]
    return [
        (str(name), _pandas_values(frame.iloc[:, index]))
        for index, name in enumerate(frame.columns)
    ]


def _pandas_values(series: Any) -> object:
    """A pandas series as a NumPy array; as a Polars series where it has a mask of its own."""
    if isinstance(series.dtype, np.dtype):
        return series.to_numpy()
    missing = np.asarray(series.isna())
    if not missing.any():
        return np.asarray(series.to_numpy())
    if getattr(series.dtype, "kind", "O") not in "iuf":
        return np.asarray(series.to_numpy())
    values = series.to_numpy(dtype=np.float64, na_value=np.nan)
    return np.ma.MaskedArray(values, mask=missing)


def _is_column(value: object) -> bool:
    if isinstance(value, np.ndarray) or hasattr(value, "detach"):
        return getattr(value, "ndim", 0) == 1
    if is_pandas(value):
        return getattr(value, "ndim", 0) == 1
    return hasattr(value, "__arrow_c_array__") or hasattr(value, "__arrow_c_stream__")


def _as_column(value: object) -> object:
    if isinstance(value, pl.Series | np.ndarray):
        return value
    if is_pandas(value):
        return _pandas_values(value)
    if hasattr(value, "__arrow_c_stream__") or hasattr(value, "__arrow_c_array__"):
        return pl.Series(pl.from_arrow(value))
    return _as_array(value)


def _as_array(points: object) -> NDArray[Any]:
    if isinstance(points, np.ndarray):
        return points
    # A torch tensor, recognised without importing torch: off the graph, and off bfloat16, which
    # NumPy does not have.
    tensor: Any = points
    if hasattr(tensor, "detach") and hasattr(tensor, "numpy"):
        if str(tensor.device) != "cpu":
            raise ValueError(f"points is a tensor on {tensor.device}; move it with .cpu() first")
        tensor = tensor.detach()
        if str(tensor.dtype) == "torch.bfloat16":
            tensor = tensor.float()
        return np.asarray(tensor.numpy())
    try:
        return np.asarray(points)
    except (TypeError, ValueError) as error:
        raise ValueError(
            f"points of type {type(points).__name__} are no table of numbers ({error}); pass an "
            "(n, m) array, a frame, or a sequence of 1-D columns"
        ) from error


def _from_array(array: NDArray[Any]) -> list[tuple[str | int, object]]:
    if array.dtype.names is not None and array.ndim == 1:
        return [(name, array[name]) for name in array.dtype.names]
    if array.ndim != 2:
        hint = "; for one objective pass points.reshape(-1, 1)" if array.ndim == 1 else ""
        raise ValueError(
            f"points have shape {array.shape}, but one row per point and one column per objective "
            f"are needed{hint}"
        )
    if array.shape[1]:
        _refuse_too_many(len(array))
    if array.dtype.kind in "iu" and _exact(array):
        # At once, because a column of a row-major table is slow to read.
        array = array.astype(np.float64)
    return [(index, array[:, index]) for index in range(array.shape[1])]


def _refuse_too_many(rows: int) -> None:
    """Raise a ValueError before a copy is made of more rows than a kernel takes."""
    if rows > MAX_ROWS:
        raise ValueError(
            f"{rows} rows are more than the {MAX_ROWS} that one call takes; drop rows first, "
            "or work on parts of them"
        )


def _exact(array: NDArray[Any]) -> bool:
    """Whether doubles hold all these integers."""
    if array.dtype.itemsize < 8 or not array.size:
        return True
    return bool(array.min() >= -EXACT and array.max() <= EXACT)


def floats(name: str | int, column: object) -> tuple[Column, NDArray[np.bool_] | None]:
    """A column as floats the kernels can read, and where it is missing values (None: nowhere)."""
    if isinstance(column, pl.Series):
        return _series_of_floats(name, column)
    array = np.asanyarray(column)
    if array.ndim != 1:
        raise ValueError(f"column {name!r} has shape {array.shape}; pass one number per row")
    _refuse_too_many(len(array))
    if isinstance(array, np.ma.MaskedArray):
        mask = np.ma.getmaskarray(array)
        return _array_of_floats(name, np.where(mask, 0, array.data)), mask
    if array.dtype == object:
        # Plain numbers, perhaps with None among them: NumPy finds their type once None is out.
        missing = np.array([value is None for value in array], dtype=bool)
        filled = np.array([0 if value is None else value for value in array])
        return _array_of_floats(name, filled), missing if missing.any() else None
    return _array_of_floats(name, array), None


def _series_of_floats(
    name: str | int, series: pl.Series
) -> tuple[Column, NDArray[np.bool_] | None]:
    dtype = series.dtype
    if (dtype == pl.Float64 or dtype == pl.Float32) and not series.null_count():
        return _array_of_floats(name, series.to_numpy()), None
    series = series.alias("")  # Methods of a series take a name like "^x.*$" for a pattern.
    if dtype == pl.Null:
        return np.zeros(len(series)), np.ones(len(series), dtype=bool)
    if is_text(dtype):
        series = numbers_of(str(name), series)
        dtype = series.dtype
    if not dtype.is_numeric():
        raise no_score(name, dtype)
    missing = series.is_null().to_numpy() if series.null_count() else None
    if missing is not None:
        series = series.fill_null(0)
    if dtype.is_integer():
        if dtype not in (pl.Int8, pl.Int16, pl.Int32, pl.UInt8, pl.UInt16, pl.UInt32):
            outside = series > EXACT
            if dtype.is_signed_integer():
                outside |= series < -EXACT
            if count := int(outside.sum()):
                raise inexact_integers(name, count, outside.arg_max())
        series = series.cast(pl.Float64)
    elif dtype not in (pl.Float32, pl.Float64):
        series = series.cast(pl.Float64 if isinstance(dtype, pl.Decimal) else pl.Float32)
    return _array_of_floats(name, series.to_numpy()), missing


def _array_of_floats(name: str | int, array: NDArray[Any]) -> Column:
    kind, size = array.dtype.kind, array.dtype.itemsize
    if kind == "f" and size in (4, 8):
        if _is_column_of_table(array):
            return array
        # Zero copy when contiguous, aligned and in native byte order.
        copied = np.ascontiguousarray(array, dtype=array.dtype.newbyteorder("="))
        return copied if copied.flags.aligned else copied.copy()
    if kind == "f" and size == 2:
        return np.ascontiguousarray(array, dtype=np.float32)
    if kind in "iu":
        if not _exact(array):
            outside = (array < -EXACT) | (array > EXACT)
            raise inexact_integers(name, int(outside.sum()), int(outside.argmax()))
        return np.ascontiguousarray(array, dtype=np.float64)
    raise no_score(name, array.dtype)


def _is_column_of_table(array: NDArray[Any]) -> bool:
    """Whether the kernels read this view in place: its base is contiguous, such as (n, m) rows."""
    base, step, size = array.base, array.strides[0], array.dtype.itemsize
    return (
        isinstance(base, np.ndarray)
        and base.dtype == array.dtype
        and array.dtype.isnative
        and base.flags.c_contiguous
        and array.flags.aligned
        and step > 0
        and step % size == 0
    )


def no_score(name: str | int, dtype: object) -> ValueError:
    """What to say of a column whose type is not that of a score."""
    shown = "Struct" if isinstance(dtype, pl.Struct) else dtype  # with its fields it may be a page
    return ValueError(f"column {name!r} has dtype {shown}, which is no score; {_advice(dtype)}")


def _advice(dtype: object) -> str:
    if isinstance(dtype, pl.List):
        return (
            "lists may differ in length: cast it to arrays of one, such as pl.Array(pl.Float64, "
            "2), or write a column for each score"
        )
    if isinstance(dtype, pl.Struct):
        fields = list(dict(dtype))
        if fields and all(each.isdecimal() for each in fields):
            return (
                "its fields are numbered, as in what pandas' to_json writes: write it with "
                "orient='records', lines=True"
            )
        more = ", ..." if len(fields) > 8 else ""
        return f"write a column for each of its fields ({', '.join(fields[:8])}{more})"
    if dtype == pl.Boolean or str(dtype) == "bool":
        return "write it as 0 and 1"
    if isinstance(dtype, pl.DataType) and dtype.is_temporal():
        return "write it as a number, such as seconds"
    return "leave it out or convert it"
