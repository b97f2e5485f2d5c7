"""Points as the kernels take them: values that nobody has looked at yet.

A kernel looks for NaN and infinities itself, once and on its own threads. Only when it has found
some are the points looked at again, here, where columns have names.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple, Self

from numpy.typing import NDArray

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
        given: What messages about values are made from.
        n_threads: Threads that look at the values again for a message.
    """

    arrays: NDArray[Any] | Sequence[Column]
    larger: tuple[bool, ...]
    checked: bool
    n: int
    m: int
    given: object
    n_threads: int | None

    @classmethod
    def of(
        cls,
        points: object,
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
            ValueError: As `Objectives.of`, but for NaN, which a kernel finds; see `refuse`.
        """
        table = float_table(points)
        if table is not None and table.shape[1]:
            n, m = table.shape
            return cls(table, directions(maximize, m), False, n, m, points, n_threads)
        if isinstance(points, Objectives):
            n, m = points.n, points.m
            return cls(points.columns, (True,) * m, True, n, m, points, n_threads)
        columns = read_columns(points)
        if not columns or any(column.missing is not None for column in columns):
            objectives = Objectives.of_columns(columns, maximize=maximize, n_threads=n_threads)
            return cls.of(objectives, n_threads=n_threads)
        floats = [column.floats for column in columns]
        n, m = len(floats[0]), len(floats)
        if any(len(column) != n for column in floats):
            Objectives.of_columns(columns, maximize=maximize)
        return cls(floats, directions(maximize, m), False, n, m, columns, n_threads)

    def refuse(self, finite: str | None = None) -> None:
        """Raise a ValueError about the values that a kernel refused, if they are to blame.

        Args:
            finite: What needs a finite range, for the message; None if infinities are ordered.
        """
        given = self.given
        if isinstance(given, Objectives):
            objectives = given
        else:
            read: Any = given if isinstance(self.arrays, list) else read_columns(given)
            columns: list[ReadColumn] = read
            objectives = Objectives.of_columns(
                columns, maximize=self.larger, n_threads=self.n_threads
            )
        if finite is not None:
            objectives.require_finite(finite, n_threads=self.n_threads)
