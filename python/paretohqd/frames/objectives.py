"""The columns of a frame that a question is about: its scores, its groups, and what is added."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, KeysView, Mapping, Sequence, Set
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Literal

import numpy as np
import polars as pl
from numpy.typing import NDArray

from paretohqd.frames.condition import Condition
from paretohqd.frames.reading.schemas import column as column
from paretohqd.kernels.arrays import no_score
from paretohqd.kernels.numerals import as_number, is_text
from paretohqd.kernels.points import Objectives, iterates

ObjectivesLike = Sequence[str] | Mapping[str, str | Sequence[str]]
"""Objectives: column names, larger is better, or {name: "max" | "min"}."""


@dataclass(frozen=True)
class ObjectiveColumns:
    """The objectives among a frame's columns.

    Attributes:
        names: One name per objective; those of a column of arrays are "rewards[0]", "rewards[1]".
        columns: The frame's columns that hold them.
        parts: Which of these holds each objective, and as which component if it holds arrays.
        larger: Whether larger is better in each.
        texts: Those of the columns whose numbers stand as text.
        where: A condition; rows that do not meet it have no points.
    """

    names: list[str]
    columns: list[str]
    parts: list[tuple[str, int | None]]
    larger: list[bool]
    texts: list[str]
    where: Condition | None = None

    @classmethod
    def of(
        cls, schema: Mapping[str, pl.DataType], objectives: ObjectivesLike | str
    ) -> ObjectiveColumns:
        """Find the objectives.

        Args:
            schema: The frame's columns.
            objectives: Column names, larger is better, or {name: "max" | "min"}. A column of
                fixed-size arrays (`pl.Array`) stands for all its components; its direction is one
                for all of them, or a list.

        Raises:
            ValueError: No such column, one named twice, or a direction that is not "max" or "min".

        Example:
            >>> schema = {"helpful": pl.Float64(), "rewards": pl.Array(pl.Float32, 2)}
            >>> scores = ObjectiveColumns.of(schema, {"helpful": "min", "rewards": "max"})
            >>> scores.names, scores.larger
            (['helpful', 'rewards[0]', 'rewards[1]'], [False, True, True])
        """
        if isinstance(objectives, str) and isinstance(schema.get(objectives), pl.Array | pl.List):
            objectives = [objectives]
        if isinstance(objectives, str):
            raise ValueError(f"objectives: expected a list of column names, got {objectives!r}")
        objectives = in_order(objectives)
        columns: list[str] = []
        parts: list[tuple[str, int | None]] = []
        larger: list[bool] = []
        for name in objectives:
            refuse_missing(schema, name, "objectives")
            if name in columns:
                raise ValueError(f"objectives: column {name!r} is named twice")
            direction = objectives[name] if isinstance(objectives, Mapping) else "max"
            own = _components(name, schema[name])
            columns.append(name)
            parts += [(name, component) for component in own]
            larger += _larger(name, direction, len(own))
        names = [_part_name(*part) for part in parts]
        if twice := {name for name in names if names.count(name) > 1}:
            raise ValueError(f"objectives: {min(twice)!r} is both a column and part of one")
        return cls(
            names=names,
            columns=columns,
            parts=parts,
            larger=larger,
            texts=[name for name in columns if is_text(schema[name])],
        )

    @cached_property
    def expressions(self) -> list[pl.Expr]:
        """What selects the objectives."""
        return [
            column(name) if j is None else column(name).arr.get(j).alias(_part_name(name, j))
            for name, j in self.parts
        ]

    def taken(self, frame: pl.DataFrame) -> pl.DataFrame | dict[str, pl.Series]:
        """A frame's objectives by name, as the kernels take them."""
        if self.names == self.columns:
            # Not by a query, which for a small frame costs more than a kernel.
            return {name: frame.get_column(name) for name in self.columns}
        return frame.select(self.expressions)

    def points(
        self,
        frame: pl.DataFrame,
        *,
        nan: Literal["raise", "drop"] = "raise",
        n_threads: int | None = None,
    ) -> Objectives:
        """A frame's objectives as arrays, larger is better in each.

        Raises:
            ValueError: A column is not numeric, or holds null or NaN and these are not dropped.
        """
        whole, inside = len(frame), self.inside(frame)
        if inside is not None:
            frame = frame[inside]
        points = Objectives.of(
            self.taken(frame), maximize=self.larger, nan=nan, n_threads=n_threads
        )
        if inside is None:
            return points
        kept = inside if points.kept is None else inside[points.kept]
        return replace(points, kept=kept, excluded=whole - len(inside))

    @property
    def asked(self) -> tuple[str, ...]:
        """The columns that the condition reads."""
        return () if self.where is None else self.where.columns

    @property
    def of_all(self) -> ObjectiveColumns:
        """The same without the condition, for rows that are known to meet it."""
        return replace(self, where=None)

    def inside(self, frame: pl.DataFrame) -> NDArray[np.int64] | None:
        """The rows that meet the condition, ascending; None where there is no condition."""
        return None if self.where is None else self.where.met(frame)

    def numbers(self, frame: pl.DataFrame | pl.LazyFrame) -> pl.LazyFrame:
        """The scores of a frame's rows, which were checked before; null where they do not count."""
        if self.where is None:
            scores = frame.lazy().select(self.expressions)
            return scores.with_columns(as_number(column(name)) for name in self.texts)
        meets, given = unused(self.names, "meets"), self.where.expression
        scores = frame.lazy().select(*self.expressions, given.alias(meets))
        scores = scores.with_columns(as_number(column(name)) for name in self.texts)
        return scores.select(pl.when(column(meets)).then(column(name)) for name in self.names)

    def refuse_types(self, schema: Mapping[str, pl.DataType]) -> None:
        """Raise a ValueError if a column is not numeric, before any row is read."""
        names = dict.fromkeys([*self.columns, *self.asked])
        self.points(pl.DataFrame(schema={name: schema[name] for name in names}))

    def tradeable(
        self,
        frame: pl.DataFrame,
        *,
        nan: Literal["raise", "drop"],
        n_threads: int | None = None,
    ) -> Objectives:
        """A frame's objectives, refused where no preference could have a ray among them.

        Raises:
            ValueError: Null or NaN, an infinite or a constant column.
        """
        points = self.points(frame, nan=nan, n_threads=n_threads)
        points.require_finite("a preference's ray", n_threads=n_threads)
        if points.n:
            self.refuse_constant(points.worst(), points.best(), points.n)
        return points

    def refuse_absent(self, absent: Mapping[str, str]) -> None:
        """Raise a ValueError if a file does not have a score column: see `Source.absent`."""
        for name in self.columns:
            if name in absent:
                raise ValueError(absent[name])

    def require_two(self) -> None:
        """Raise a ValueError if there is nothing to trade."""
        if len(self.names) < 2:
            raise ValueError(
                "objectives: a trade-off needs two or more columns; for one, sort by it"
            )

    def refuse_constant(
        self, low: NDArray[np.floating], high: NDArray[np.floating], rows: int
    ) -> None:
        """Raise a ValueError if an objective's worst and best of some rows are the same."""
        for name, up, worst, best in zip(self.names, self.larger, low, high, strict=True):
            if worst == best:
                raise ValueError(
                    f"column {name!r} is constant ({worst if up else -worst:g} in all {rows} "
                    "rows), so that nothing can be traded for it: leave it out of the objectives"
                )


def _components(name: str, dtype: pl.DataType) -> list[int] | list[None]:
    """The objectives that a column holds: itself, None, or the components of its arrays."""
    if not (dtype.is_numeric() or is_text(dtype) or isinstance(dtype, pl.Array | pl.Null)):
        raise no_score(name, dtype)
    if not isinstance(dtype, pl.Array):
        return [None]
    if len(dtype.shape) > 1:
        raise ValueError(f"objectives: column {name!r} holds arrays of arrays: flatten them")
    return list(range(dtype.shape[0]))


def _part_name(name: str, component: int | None) -> str:
    """What an objective is called: its column, or "rewards[0]" if that holds arrays."""
    return name if component is None else f"{name}[{component}]"


def _larger(name: str, direction: object, size: int) -> list[bool]:
    """Whether larger is better in each of a column's objectives."""
    one = isinstance(direction, str) or not isinstance(direction, Iterable)
    directions = [direction] * size if one else list(direction)  # type: ignore[call-overload]
    if len(directions) != size or any(each not in ("max", "min") for each in directions):
        wanted = "'max' or 'min'" if size == 1 else f"'max', 'min', or a list of {size} of these"
        raise ValueError(f"objectives: {name}: expected {wanted}, got {direction!r}")
    return [each == "max" for each in directions]


def in_order(objectives: ObjectivesLike) -> list[str] | dict[str, str | Sequence[str]]:
    """A copy of the objectives as they were given.

    Raises:
        ValueError: A set, whose order, which the weights follow, differs from run to run; what can
            be gone through only once; or no names at all.
    """
    if isinstance(objectives, Mapping):
        return dict(objectives)
    if not iterates(objectives):
        raise ValueError(f"objectives: expected a list of column names, got {objectives!r}")
    if isinstance(objectives, Set | Iterator) and not isinstance(objectives, KeysView):
        raise ValueError(
            f"objectives: a {type(objectives).__name__} gives its names in no sure order, or only "
            "once: pass a list"
        )
    return list(objectives)


def unused(columns: Iterable[str], name: str) -> str:
    """A name like this one that no column has.

    Example:
        >>> unused(["row", "row_"], "row")
        'row__'
    """
    columns = set(columns)
    while name in columns:
        name += "_"
    return name


def refuse_missing(columns: Iterable[str], name: object, where: str) -> None:
    """Raise a ValueError if there is no such column."""
    columns = list(columns)
    if name not in columns:
        # A name with blanks around it, as in "a, b", would look like the one that was asked for.
        quoted = (each if each and each == each.strip() else repr(each) for each in columns)
        raise ValueError(f"{where}: no column {name!r}: the frame has {', '.join(quoted)}")


def refuse_taken(columns: Iterable[str], added: Iterable[str]) -> None:
    """Raise a ValueError if there already is a column that a result adds."""
    columns = list(columns)
    for name in added:
        if name in columns:
            raise ValueError(f"the frame already has a column {name!r}, which is added: rename it")
