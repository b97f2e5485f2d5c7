"""Frames and arrays as objective columns: one float array each, larger is better.

Null and NaN have no place in an order: they are refused or their rows dropped.
"""

from __future__ import annotations

import operator
import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Literal, Self, TypeGuard

import numpy as np
from numpy.typing import NDArray

from paretohqd.kernels import _core
from paretohqd.kernels.arrays import Column, ReadColumn, read_columns
from paretohqd.kernels.numerals import said


@dataclass(frozen=True, kw_only=True, eq=False)
class Objectives:
    """Validated objective columns, larger is better in each.

    Attributes:
        names: The name of each objective where the input has names, else its index.
        columns: One float32 or float64 array of length n per objective. Maximised columns of
            arrays of such floats, in either order, and of single-chunk Polars frames are views of
            the input; a column of a row-major array is not contiguous. Do not write to them.
        maximize: Whether larger was better in the input, per objective; where it was not, the
            column holds the negated values.
        kept: The input rows that the columns hold, in order, when rows were dropped; else None.
        dropped: How many null and NaN the columns had that have any, when rows were dropped.
        finite: Whether no value is known to be infinite: False where that was not looked at.
        excluded: How many of the input's rows a condition kept out.
    """

    names: tuple[str | int, ...]
    columns: tuple[Column, ...]
    maximize: tuple[bool, ...]
    kept: NDArray[np.int64] | None = None
    dropped: Mapping[str, int] = field(default_factory=dict)
    finite: bool = False
    excluded: int = 0

    @classmethod
    def of(
        cls,
        points: object,
        *,
        maximize: bool | Sequence[bool] = True,
        nan: Literal["raise", "drop"] = "raise",
        n_threads: int | None = None,
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
            n_threads: Threads that look for NaN; by default RAYON_NUM_THREADS, else one per core.

        Returns:
            The objectives.

        Raises:
            ValueError: A column is not numeric, holds null or NaN, or has another length; or
                `maximize` does not fit.

        Example:
            >>> import polars as pl
            >>> from paretohqd.kernels.points import Objectives
            >>> frame = pl.DataFrame({"helpful": [0.9, 0.2], "length": [30, 10]})
            >>> Objectives.of(frame, maximize=[True, False]).columns[1]
            array([-30., -10.])
        """
        if nan not in ("raise", "drop"):
            raise ValueError(f"nan must be 'raise' or 'drop', got {nan!r}")
        return cls.of_columns(
            read_columns(points), maximize=maximize, drop=nan == "drop", n_threads=n_threads
        )

    @classmethod
    def of_columns(
        cls,
        columns: Sequence[ReadColumn],
        *,
        maximize: bool | Sequence[bool],
        drop: bool = False,
        n_threads: int | None = None,
    ) -> Self:
        """The same, of columns that are read already.

        Raises:
            ValueError: As `of`.
        """
        if not columns:
            raise ValueError("points have no objective; pass at least one column")
        _check_lengths(columns)
        threads = optional_count("n_threads", n_threads)
        kept, dropped, finite = _kept_rows(columns, drop=drop, n_threads=threads)
        larger = directions(maximize, len(columns))
        floats = [column.floats for column in columns]
        if kept is not None:
            floats = [column[kept] for column in floats]
        return cls(
            names=tuple(column.name for column in columns),
            columns=tuple(
                column if up else np.negative(column)
                for column, up in zip(floats, larger, strict=True)
            ),
            maximize=larger,
            kept=kept,
            dropped=dropped,
            finite=finite,
        )

    @property
    def n(self) -> int:
        """Number of points."""
        return len(self.columns[0])

    @property
    def m(self) -> int:
        """Number of objectives."""
        return len(self.columns)

    def worst(self) -> NDArray[np.float64]:
        """The smallest value of each objective, shape (m,); +inf where there is no point."""
        return np.array([column.min(initial=np.inf) for column in self.columns], dtype=np.float64)

    def best(self) -> NDArray[np.float64]:
        """The largest value of each objective, shape (m,); -inf where there is no point."""
        return np.array([column.max(initial=-np.inf) for column in self.columns], dtype=np.float64)

    def rounded_down(self, units: NDArray[np.float64] | None) -> Self:
        """The same in whole units: how many of them each value holds.

        Args:
            units: (m,) the unit of each objective; 0 leaves its values as they are. None: all.

        Raises:
            ValueError: A unit is so small that some value holds more than doubles can count.

        Example:
            >>> Objectives.of([[0.9, 5.0], [1.1, 4.0]]).rounded_down(np.array([0.5, 0])).columns
            (array([1., 2.]), array([5., 4.]))
        """
        if units is None:
            return self
        columns = []
        for name, column, unit in zip(self.names, self.columns, units, strict=True):
            if unit == 0:
                columns.append(column)
                continue
            with np.errstate(over="ignore"):
                whole = np.floor(np.asarray(column, dtype=np.float64) / unit)
            if np.isinf(whole).any() and not np.isinf(column).any():
                raise ValueError(
                    f"epsilon: column {name!r}: {unit:g} is too small for its values: raise it"
                )
            columns.append(whole)
        return replace(self, columns=tuple(columns))

    def require_finite(self, purpose: str, *, n_threads: int | None = None) -> Self:
        """Return these objectives if no value is infinite.

        Args:
            purpose: What needs a finite range, for the message.
            n_threads: Threads that look for infinities.

        Returns:
            These objectives.

        Raises:
            ValueError: A value is infinite.
        """
        if self.finite:
            return self
        looked = _core.non_finite(self.columns, optional_count("n_threads", n_threads))
        for name, (_, _, number, first) in zip(self.names, looked or (), strict=False):
            if first is not None:
                row = first if self.kept is None else int(self.kept[first])
                raise ValueError(
                    f"column {name!r} holds {number} infinite values (first at row {row}), but "
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
    """Check a count that may be None; see `count`. A number past all counts there are is cut."""
    return None if value is None else min(count(name, value), sys.maxsize)


def numbers(value: object) -> NDArray[np.float64]:
    """Numbers as an array of doubles, whatever its shape.

    Text that reads like numbers is none, nor are True and False: NumPy would take both.

    Raises:
        TypeError: There is something else among them.
        ValueError: They are not of one shape.

    Example:
        >>> numbers([[1, 2.5]])
        array([[1. , 2.5]])
        >>> numbers(["1", "2.5"])
        Traceback (most recent call last):
        ...
        TypeError: '1' is no number
    """
    given = np.asarray(value)
    if given.dtype.kind in "iuf" and not isinstance(value, list | tuple):
        return given.astype(np.float64)
    for each in np.asarray(value, dtype=object).flat:
        if isinstance(each, str | bytes | bool | np.bool_):
            raise TypeError(f"{each!r} is no number")
    return np.asarray(value, dtype=np.float64)


def iterates(value: object) -> TypeGuard[Iterable[object]]:
    """Whether a value can be gone through; an array of one number only claims that it can."""
    return isinstance(value, Iterable) and getattr(value, "ndim", 1) != 0


def directions(maximize: object, m: int) -> tuple[bool, ...]:
    """Whether larger is better in each of m objectives.

    Raises:
        ValueError: `maximize` is neither a bool nor one per objective.
    """
    if maximize is True:
        return (True,) * m
    if isinstance(maximize, bool | np.bool_):
        return (bool(maximize),) * m
    if isinstance(maximize, str) or not iterates(maximize):
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


def _check_lengths(columns: Sequence[ReadColumn]) -> None:
    first, expected = columns[0].name, len(columns[0].floats)
    for name, column, _, _ in columns:
        if len(column) != expected:
            raise ValueError(
                f"column {name!r} has {len(column)} rows but column {first!r} has {expected}; "
                "pass columns of one length"
            )


def _kept_rows(
    columns: Sequence[ReadColumn], *, drop: bool, n_threads: int | None
) -> tuple[NDArray[np.int64] | None, dict[str, int], bool]:
    """The rows without null and NaN, or None when that is all; how many of these columns have.

    Whether all values are finite, too.
    """
    looked = _core.non_finite([column.floats for column in columns], n_threads)
    finite = looked is None or not any(infinite for _, _, infinite, _ in looked)
    if looked is None and all(column.missing is None for column in columns):
        return None, {}, finite
    bad: NDArray[np.bool_] | None = None
    dropped: dict[str, int] = {}
    for j, (name, column, missing, given) in enumerate(columns):
        nans = 0 if looked is None else looked[j][0]
        nulls = 0 if missing is None else int(missing.sum())
        if not nulls and not nans:
            continue
        here = np.isnan(column)
        if missing is not None:
            here |= missing
        if not drop:
            what = " and ".join(
                f"{number} {word}"
                for number, word in ((nulls, "null" if nulls == 1 else "nulls"), (nans, "NaN"))
                if number
            )
            first = int(here.argmax())
            raise ValueError(
                f"column {name!r} holds {what} (first at row {first}{said(given, first)}), which "
                "cannot be ordered; drop or fill these rows first"
            )
        bad = here if bad is None else bad | here
        dropped[str(name)] = int(here.sum())
    return None if bad is None else np.flatnonzero(~bad), dropped, finite
