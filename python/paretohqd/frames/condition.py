"""Which rows take part: a condition on each row, as a Polars expression or as text."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from io import StringIO

import numpy as np
import polars as pl
from numpy.typing import NDArray

from paretohqd.exceptions import first_line
from paretohqd.frames.sql_text import of_sql, with_known_parts


class ConditionError(ValueError):
    """A condition that cannot be computed for some row."""


@dataclass(frozen=True, eq=False)
class Condition:
    """A condition on the columns of a row; a row where it is null does not meet it.

    Attributes:
        expression: It.

    Example:
        >>> condition = Condition.of("help >= 5 AND source <> 'web'")
        >>> condition.columns
        ('help', 'source')
        >>> condition == Condition.of((pl.col("help") >= 5) & ~(pl.col("source") == "web"))
        True
        >>> condition.met(pl.DataFrame({"help": [5, 9, None], "source": ["a", "web", "a"]}))
        array([0])
    """

    expression: pl.Expr

    @classmethod
    def of(cls, given: object) -> Condition:
        """Read a condition.

        Args:
            given: An expression, or text as in SQL's WHERE.

        Raises:
            ValueError: It is neither, the text is no condition, or it looks at other rows than its
                own, as a mean does.
        """
        if isinstance(given, Condition):
            return given
        if isinstance(given, str):
            try:
                given = of_sql(given)
            except pl.exceptions.PolarsError as error:
                raise ValueError(f"where: {given!r} is no condition: {first_line(error)}") from None
        if not isinstance(given, pl.Expr):
            raise ValueError(
                "where: expected a condition such as 'help >= 5' or pl.col('help') >= 5, got "
                f"{given!r}"
            )
        if not _of_one_row(given):
            raise ValueError(
                f"where: {given} looks at more than its own row, or Polars cannot tell: make it a "
                "column first (with_columns), and name that"
            )
        return cls(given)

    def __eq__(self, other: object) -> bool:
        """Whether it is written alike."""
        return isinstance(other, Condition) and self.expression.meta.eq(other.expression)

    def __hash__(self) -> int:
        """Equal ones have equal texts."""
        return hash(str(self))

    def __str__(self) -> str:
        """As Polars writes it."""
        return str(self.expression)

    __repr__ = __str__

    @property
    def written(self) -> str:
        """What `read` reads."""
        return self.expression.meta.serialize(format="json")

    @classmethod
    def read(cls, written: str) -> Condition:
        """A condition that was written down."""
        return cls(pl.Expr.deserialize(StringIO(written), format="json"))

    @property
    def columns(self) -> tuple[str, ...]:
        """The columns that it reads."""
        return tuple(dict.fromkeys(self.expression.meta.root_names()))

    def check(self, schema: Mapping[str, pl.DataType]) -> None:
        """Find out whether it fits a frame's columns, before any row is read.

        Raises:
            ValueError: A column that it reads is missing, or its result is not true or false.
        """
        for name in self.columns:
            if name not in schema:
                raise ValueError(f"where: no column {name!r}: the frame has {', '.join(schema)}")
        nothing = pl.DataFrame(schema={name: schema[name] for name in self.columns})
        try:
            kinds = nothing.lazy().select(self.expression).collect_schema().dtypes()
        except pl.exceptions.PolarsError as error:
            raise ValueError(f"where: {self}: {first_line(error)}") from None
        if kinds != [pl.Boolean]:
            said = ", ".join(map(str, kinds))
            raise ValueError(f"where: {self} is {said} for a row, and must be true or false")

    def met(self, frame: pl.DataFrame) -> NDArray[np.int64]:
        """The rows that meet it, ascending.

        Raises:
            ConditionError: It cannot be computed for some row, such as a text that is no number.
        """
        try:
            # A condition on no column at all has one value for all rows.
            if not self.columns:
                whole = bool(pl.select(self.expression).item())
                return np.arange(len(frame) if whole else 0)
            meets = frame.select(self.expression.alias("")).to_series()
        except pl.exceptions.PolarsError as error:
            raise ConditionError(f"where: {self}: {first_line(error)}") from None
        return meets.arg_true().to_numpy().astype(np.int64)


def _of_one_row(expression: pl.Expr) -> bool:
    """Whether an expression and all that it is made of look at their own row alone."""
    try:
        return _alone(with_known_parts(expression))
    except pl.exceptions.PolarsError:  # a Python function, which Polars writes with cloudpickle
        return False


def _alone(expression: pl.Expr) -> bool:
    meta = expression.meta
    if not (parts := meta.pop()):
        # A series would have a value for each row of some frame.
        return meta.is_column() or (meta.is_literal() and str(expression) != "Series")
    if str(expression).endswith(".is_in([Series])"):
        return all(_alone(part) for part in parts if str(part) != "Series")
    try:
        alone = meta.is_row_separable() and (meta.is_length_preserving() or meta.is_scalar())
    except pl.exceptions.PolarsError:  # of a Python function, or of columns that a pattern names
        return False
    return alone and all(map(_alone, parts))
