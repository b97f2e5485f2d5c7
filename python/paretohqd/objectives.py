"""Frames and arrays as objective columns: one contiguous float array each, larger is better.

What is refused, and why: null and NaN have no place in an order; booleans, strings and lists are
no scores; integers beyond 2**53 would silently tie as doubles. Every message names the column,
the count and the first row.
"""

from __future__ import annotations

import operator
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, Self

import numpy as np
import polars as pl
from numpy.typing import NDArray

from paretohqd import _core

Column = NDArray[np.float64] | NDArray[np.float32]

# Doubles hold every integer up to here and then begin to skip.
_EXACT = 2**53


@dataclass(frozen=True, kw_only=True, eq=False)
class Objectives:
    """Validated objective columns, larger is better in each.

    Attributes:
        names: The name of each objective where the input has names, else its index.
        columns: One contiguous float32 or float64 array of length n per objective; zero copy from
            a maximised single-chunk Polars float column. Do not write to them.
        maximize: Whether larger was better in the input, per objective; where it was not, the
            column holds the negated values.
        kept: The input rows that the columns hold, in order, when rows were dropped; else None.
    """

    names: tuple[str | int, ...]
    columns: tuple[Column, ...]
    maximize: tuple[bool, ...]
    kept: NDArray[np.int64] | None = None

    @classmethod
    def of(
        cls,
        points: object,
        *,
        maximize: bool | Sequence[bool] = True,
        nan: Literal["raise", "drop"] = "raise",
    ) -> Self:
        """Convert points to columns.

        Args:
            points: n points in m objectives: an (n, m) array of floats or integers, a CPU torch
                tensor, a Polars, Arrow or pandas frame of numeric columns, a Polars series of
                dtype Array (its m components), a mapping of names to columns, or a sequence.
                A sequence of 1-D arrays or series is read as columns; a nested plain list is read
                as rows, as NumPy does.
            maximize: Whether larger is better: one bool, or one per objective.
            nan: What to do about null and NaN: refuse them, or drop their rows.

        Returns:
            The objectives.

        Raises:
            ValueError: A column is not numeric, holds null or NaN, or has another length; or
                `maximize` does not fit.

        Example:
            >>> import polars as pl
            >>> from paretohqd.objectives import Objectives
            >>> frame = pl.DataFrame({"helpful": [0.9, 0.2], "length": [30, 10]})
            >>> Objectives.of(frame, maximize=[True, False]).columns[1]
            array([-30., -10.])
        """
        if nan not in ("raise", "drop"):
            raise ValueError(f"nan must be 'raise' or 'drop', got {nan!r}")
        named = _named_columns(points)
        if not named:
            raise ValueError("points have no objective; pass at least one column")
        converted = [_convert(name, column) for name, column in named]
        names = tuple(name for name, _ in named)
        _check_lengths(names, converted)
        kept = _kept_rows(names, converted, drop=nan == "drop")
        larger = _directions(maximize, len(names))
        columns = [column for column, _ in converted]
        if kept is not None:
            columns = [column[kept] for column in columns]
        return cls(
            names=names,
            columns=tuple(
                column if up else np.negative(column)
                for column, up in zip(columns, larger, strict=True)
            ),
            maximize=larger,
            kept=kept,
        )

    @property
    def n(self) -> int:
        """Number of points."""
        return len(self.columns[0])

    @property
    def m(self) -> int:
        """Number of objectives."""
        return len(self.columns)

    def require_finite(self, purpose: str) -> Self:
        """Return these objectives if no value is infinite.

        Args:
            purpose: What needs a finite range, for the message.

        Returns:
            These objectives.

        Raises:
            ValueError: A value is infinite.
        """
        for name, column in zip(self.names, self.columns, strict=True):
            _, _, count, first = _core.non_finite(column)
            if first is not None:
                row = first if self.kept is None else int(self.kept[first])
                raise ValueError(
                    f"column {name!r} holds {count} infinite values (first at row {row}), but "
                    f"{purpose} needs a finite range; drop or clip these rows first"
                )
        return self


def count(name: str, value: object) -> int:
    """Check a count that must be an integer of at least 1.

    Raises:
        ValueError: It is not.
    """
    try:
        number = operator.index(value)  # type: ignore[arg-type]
    except TypeError:
        number = 0
    if number < 1 or isinstance(value, bool):
        raise ValueError(f"{name} must be an integer of at least 1, got {value!r}")
    return number


def optional_count(name: str, value: object) -> int | None:
    """Check a count that may be None; see `count`."""
    return None if value is None else count(name, value)


def _directions(maximize: object, m: int) -> tuple[bool, ...]:
    if isinstance(maximize, bool | np.bool_):
        return (bool(maximize),) * m
    if isinstance(maximize, str) or not isinstance(maximize, Iterable):
        raise ValueError(f"maximize must be a bool or one bool per objective, got {maximize!r}")
    each = list(maximize)
    if wrong := [x for x in each if not isinstance(x, bool | np.bool_)]:
        raise ValueError(
            f"maximize must hold bools, got {wrong[0]!r}; use True for larger is better"
        )
    if len(each) != m:
        raise ValueError(
            f"maximize has length {len(each)} but there are {m} objectives; pass one bool for all "
            "or one per objective"
        )
    return tuple(bool(x) for x in each)


# ── from whatever holds the points to named columns ──────────────────────────────────────────


def _named_columns(points: object) -> list[tuple[str | int, object]]:
    if isinstance(points, pl.LazyFrame):
        raise ValueError("points is a LazyFrame; collect it first, or use the streaming functions")
    if isinstance(points, pl.DataFrame):
        return _expanded((series.name, series) for series in points.iter_columns())
    if isinstance(points, pl.Series):
        return _expanded([(points.name or 0, points)])
    if isinstance(points, Mapping):
        return [(str(name), _as_column(column)) for name, column in points.items()]
    if hasattr(points, "iloc"):
        return _from_pandas(points)
    if hasattr(points, "__arrow_c_stream__") or hasattr(points, "__arrow_c_array__"):
        return _named_columns(pl.from_arrow(points))
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
            named += [(f"{name}[{j}]", series.arr.get(j)) for j in range(series.dtype.shape[0])]
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
    if hasattr(value, "iloc"):
        return getattr(value, "ndim", 0) == 1
    return hasattr(value, "__arrow_c_array__") or hasattr(value, "__arrow_c_stream__")


def _as_column(value: object) -> object:
    if isinstance(value, pl.Series | np.ndarray):
        return value
    if hasattr(value, "iloc"):
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
    return [(index, array[:, index]) for index in range(array.shape[1])]


# ── from one column of any dtype to contiguous floats and a mask of what is missing ───────────


def _convert(name: str | int, column: object) -> tuple[Column, NDArray[np.bool_] | None]:
    if isinstance(column, pl.Series):
        return _convert_series(name, column)
    array = np.asanyarray(column)
    if array.ndim != 1:
        raise ValueError(f"column {name!r} has shape {array.shape}; pass one number per row")
    if isinstance(array, np.ma.MaskedArray):
        mask = np.ma.getmaskarray(array)
        return _floats(name, np.where(mask, 0, array.data)), mask
    if array.dtype == object:
        # Plain numbers, perhaps with None among them: NumPy finds their type once None is out.
        missing = np.array([value is None for value in array], dtype=bool)
        filled = np.array([0 if value is None else value for value in array])
        return _floats(name, filled), missing if missing.any() else None
    return _floats(name, array), None


def _convert_series(name: str | int, series: pl.Series) -> tuple[Column, NDArray[np.bool_] | None]:
    dtype = series.dtype
    if dtype == pl.Null:
        return np.zeros(len(series)), np.ones(len(series), dtype=bool)
    if not dtype.is_numeric():
        raise _refused(name, str(dtype))
    missing = series.is_null().to_numpy() if series.null_count() else None
    if missing is not None:
        series = series.fill_null(0)
    if dtype.is_integer():
        if dtype not in (pl.Int8, pl.Int16, pl.Int32, pl.UInt8, pl.UInt16, pl.UInt32):
            outside = series > _EXACT
            if dtype.is_signed_integer():
                outside |= series < -_EXACT
            if found := int(outside.sum()):
                raise _too_large(name, found, outside.arg_max())
        series = series.cast(pl.Float64)
    elif dtype not in (pl.Float32, pl.Float64):
        series = series.cast(pl.Float64 if isinstance(dtype, pl.Decimal) else pl.Float32)
    return _floats(name, series.to_numpy()), missing


def _floats(name: str | int, array: NDArray[Any]) -> Column:
    kind, size = array.dtype.kind, array.dtype.itemsize
    if kind == "f" and size in (4, 8):
        # Zero copy when contiguous and in native byte order.
        return np.ascontiguousarray(array, dtype=array.dtype.newbyteorder("="))
    if kind == "f" and size == 2:
        return np.ascontiguousarray(array, dtype=np.float32)
    if kind in "iu":
        if size == 8 and array.size and (array.min() < -_EXACT or array.max() > _EXACT):
            outside = (array < -_EXACT) | (array > _EXACT)
            raise _too_large(name, int(outside.sum()), int(outside.argmax()))
        return np.ascontiguousarray(array, dtype=np.float64)
    raise _refused(name, str(array.dtype))


def _refused(name: str | int, dtype: str) -> ValueError:
    return ValueError(
        f"column {name!r} has dtype {dtype}, which is no score; leave it out or convert it"
    )


def _too_large(name: str | int, found: int, first: int | None) -> ValueError:
    return ValueError(
        f"column {name!r} holds {found} integers beyond 2**53 (first at row {first}), which "
        "doubles cannot tell apart; subtract an offset or rank them first"
    )


def _check_lengths(
    names: tuple[str | int, ...], converted: list[tuple[Column, NDArray[np.bool_] | None]]
) -> None:
    expected = len(converted[0][0])
    for name, (column, _) in zip(names, converted, strict=True):
        if len(column) != expected:
            raise ValueError(
                f"column {name!r} has {len(column)} rows but column {names[0]!r} has {expected}; "
                "pass columns of one length"
            )


def _kept_rows(
    names: tuple[str | int, ...],
    converted: list[tuple[Column, NDArray[np.bool_] | None]],
    *,
    drop: bool,
) -> NDArray[np.int64] | None:
    """The rows without null and NaN, or None when that is all of them."""
    bad: NDArray[np.bool_] | None = None
    for name, (column, missing) in zip(names, converted, strict=True):
        nans = _core.non_finite(column)[0]
        if missing is None and not nans:
            continue
        here = np.isnan(column)
        nulls = 0
        if missing is not None:
            nulls = int(missing.sum())
            here |= missing
        if not nulls and not nans:
            continue
        if not drop:
            what = " and ".join(
                f"{number} {word}"
                for number, word in ((nulls, "null" if nulls == 1 else "nulls"), (nans, "NaN"))
                if number
            )
            raise ValueError(
                f"column {name!r} holds {what} (first at row {int(here.argmax())}), which cannot "
                "be ordered; drop or fill these rows first"
            )
        bad = here if bad is None else bad | here
    return None if bad is None else np.flatnonzero(~bad)
