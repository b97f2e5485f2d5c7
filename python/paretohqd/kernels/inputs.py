"""Points as the kernels take them: values that nobody has looked at yet.

A kernel looks for NaN and infinities itself, once and on its own threads. Only when it has found
some are the points looked at again, here, where columns have names.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from types import TracebackType
from typing import Any, NamedTuple, Self

import numpy as np
import polars as pl
from numpy.typing import ArrayLike, NDArray

from paretohqd.kernels.arrays import Column, ReadColumn, float_table, read_columns
from paretohqd.kernels.points import Objectives, directions


class KernelInput(NamedTuple):
    """Points on their way into a kernel.

    Attributes:
        arrays: One (n, m) array of floats in either order, or a column for each objective.
        larger: Whether larger is better in each; the kernel negates the other ones.
        checked: Whether it is known that there is no NaN, so that the kernel need not look.
        n: Number of points.
        m: Number of objectives.
        given: What messages about values are made from: the points, or their columns as read.
        n_threads: Threads that look at the values again for a message.
    """

    arrays: NDArray[Any] | Sequence[Column]
    larger: tuple[bool, ...]
    checked: bool
    n: int
    m: int
    given: NDArray[Any] | pl.DataFrame | Objectives | list[ReadColumn]
    n_threads: int | None

    @classmethod
    def of(
        cls,
        points: Any,
        maximize: bool | Sequence[bool] = True,
        *,
        n_threads: int | None = None,
    ) -> Self:
        """Read points, but do not look at their values.

        Args:
            points: As for `Objectives.of`; or objectives, whose values were looked at.
            maximize: Whether larger is better: one bool, or one per objective.
            n_threads: Threads to use for what there is to look at.

        Raises:
            ValueError: As `Objectives.of`, but for NaN, which a kernel finds; see `refused`.
        """
        table = float_table(points)
        if table is not None and table.shape[1]:
            n, m = table.shape
            return cls(table, directions(maximize, m), False, n, m, points, n_threads)
        if isinstance(points, Objectives):
            n, m = points.n, points.m
            return cls(points.columns, (True,) * m, True, n, m, points, n_threads)
        columns = read_columns(points)
        floats = [column.floats for column in columns]
        # Columns that may lack values are looked at here, where they are refused if they do.
        looked = not columns or any(column.missing is not None for column in columns)
        if looked or any(len(column) != len(floats[0]) for column in floats):
            Objectives.of_columns(columns, maximize=maximize, n_threads=n_threads)
        n, m = len(floats[0]), len(floats)
        return cls(floats, directions(maximize, m), looked, n, m, columns, n_threads)

    @property
    def names(self) -> tuple[str | int, ...]:
        """The name of each objective where the input has names, else its index."""
        given = self.given
        if isinstance(given, Objectives):
            return given.names
        if isinstance(given, list):
            return tuple(column.name for column in given)
        return tuple(given.columns) if isinstance(given, pl.DataFrame) else tuple(range(self.m))

    @property
    def columns(self) -> list[Column]:
        """A column for each objective, as it was given."""
        arrays = self.arrays
        if isinstance(arrays, np.ndarray):
            return [arrays[:, index] for index in range(self.m)]
        return list(arrays)

    def best(self, starts: NDArray[np.int64] | None = None) -> NDArray[np.float64]:
        """The best value of each objective, larger is better, shape (m,); NaN where there is NaN.

        Args:
            starts: The first row of each group, for the best values of each, shape (groups, m).
        """
        best = []
        for column, up in zip(self.columns, self.larger, strict=True):
            extreme = np.maximum if up else np.minimum
            values = extreme.reduce(column) if starts is None else extreme.reduceat(column, starts)
            best.append(values if up else -values)
        return np.array(best, dtype=np.float64).T

    def point(self, name: str, given: ArrayLike) -> list[float]:
        """A further point of the same objectives, larger is better: never broadcast.

        Args:
            name: What it is called in messages.
            given: Its values, one per objective, in the units of the points.

        Raises:
            ValueError: It is not one finite value per objective.
        """
        try:
            values = np.asarray(given, dtype=np.float64)
        except (TypeError, ValueError, OverflowError) as error:
            raise ValueError(f"{name} must hold {self.m} numbers, got {given!r}") from error
        if values.shape != (self.m,):
            raise ValueError(
                f"{name} has shape {values.shape} but there are {self.m} objectives; pass one "
                "value per objective"
            )
        numbers: list[float] = values.tolist()
        if not all(map(math.isfinite, numbers)):
            raise ValueError(f"{name} must be finite, got {numbers}")
        return [x if up else -x for x, up in zip(numbers, self.larger, strict=True)]

    def objectives(self) -> Objectives:
        """The points as objectives, whose values are looked at now.

        Raises:
            ValueError: A value is null or NaN.
        """
        given = self.given
        if isinstance(given, Objectives):
            return given
        columns = given if isinstance(given, list) else read_columns(given)
        return Objectives.of_columns(columns, maximize=self.larger, n_threads=self.n_threads)

    def refused(self, finite: str | None = None) -> Refused:
        """A context for a kernel's call: what it says of values is said here, by name.

        Any ValueError from within becomes one about NaN, or infinities, if there are such values.

        Args:
            finite: What needs a finite range, for the message; None if infinities are ordered.
        """
        return Refused(self, finite)


class Refused:
    """See `KernelInput.refused`."""

    __slots__ = ("_finite", "_points")

    def __init__(self, points: KernelInput, finite: str | None) -> None:
        """Nothing is looked at before the call."""
        self._points, self._finite = points, finite

    def __enter__(self) -> None:
        """The points are on their way."""

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Raise an error that names the column, if values are to blame."""
        if isinstance(error, ValueError):
            objectives = self._points.objectives()
            if self._finite is not None:
                objectives.require_finite(self._finite, n_threads=self._points.n_threads)
