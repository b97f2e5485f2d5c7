"""What Polars calls where an expression of ours stands, and the columns that it is given.

Polars tells a function the values of columns, but within groups not their names: these are known
from the expression's arguments, which are checked before any query runs.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Literal

import polars as pl
from numpy.typing import NDArray

from paretohqd.frames.functions import computed
from paretohqd.frames.keys import key_ids
from paretohqd.frames.objectives import ObjectiveColumns, column, in_order
from paretohqd.kernels.points import iterates, optional_count

Terms = str | pl.Expr | Sequence[str | pl.Expr]
"""One or more columns: names, or expressions."""

ObjectiveTerms = Terms | Mapping[str, str | Sequence[str]]
"""Objectives: names or expressions, larger is better, or {name: "max" | "min"}."""


def expression(
    name: str,
    dtype: pl.DataType,
    kernel: Callable[..., NDArray[Any]],
    objectives: ObjectiveTerms,
    by: Terms | None,
    nan: Literal["raise", "drop"],
    n_threads: int | None,
) -> pl.Expr:
    """The expression that gives a kernel's value for each row.

    Args:
        name: Of the result.
        dtype: The kernel's.
        kernel: A function of points, `maximize` and `by`. It must be picklable, since plans are
            pickled where they are sent to other machines.
        objectives: Names or expressions, or names with directions.
        by: Names or expressions of keys.
        nan: "raise" or "drop".
        n_threads: Threads that look for null and NaN.

    Raises:
        ValueError: An argument is none of these.
    """
    if nan not in ("raise", "drop"):
        raise ValueError(f"nan must be 'raise' or 'drop', got {nan!r}")
    directions, scores = _named_objectives(objectives)
    keys = {} if by is None else _named_keys(by)
    called = _Call(
        kernel, directions, tuple(scores), tuple(keys), nan, optional_count("n_threads", n_threads)
    )
    # Not elementwise: Polars then gathers all rows, in the streaming engine too, and moves no
    # filter or slice across the expression.
    return pl.map_batches(
        [*scores.values(), *keys.values()], called, return_dtype=dtype, is_elementwise=False
    ).alias(name)


def _named_objectives(
    objectives: ObjectiveTerms,
) -> tuple[str | list[str] | dict[str, str | Sequence[str]], dict[str, pl.Expr]]:
    """The objectives as `ObjectiveColumns.of` takes them, and the expression of each by its name.

    Raises:
        ValueError: A direction, or what is no name; see `ObjectiveColumns.of`.
    """
    if isinstance(objectives, str | pl.Expr):
        # A column of arrays, or a mistake: this is known when there is a column.
        scores = _named([objectives], "objectives")
        return next(iter(scores)), scores
    given = in_order(objectives)  # type: ignore[arg-type]
    scores = _named(given, "objectives")
    if not scores:
        raise ValueError("objectives: name at least one column, got none")
    if not isinstance(given, dict):
        return list(scores), scores
    directions = {
        name: list(each) if not isinstance(each, str) and iterates(each) else each
        for name, each in given.items()
    }
    # Several directions are those of an array's components, of which the number is not known yet.
    ObjectiveColumns.of(
        {
            name: pl.Array(pl.Float64, len(each)) if isinstance(each, list) else pl.Float64()
            for name, each in directions.items()
        },
        directions,
    )
    return directions, scores


def _named_keys(by: Terms) -> dict[str, pl.Expr]:
    """The expression of each key by its name.

    Raises:
        ValueError: There is none, or see `_named`.
    """
    terms = [by] if isinstance(by, str | pl.Expr) else list(by) if iterates(by) else []
    if not terms:
        raise ValueError(f"by: name at least one column, got {by!r}")
    return _named(terms, "by")


def _named(terms: Iterable[object], where: str) -> dict[str, pl.Expr]:
    """The expression of each term by the name of its output.

    Raises:
        ValueError: What is no term, an expression without one certain name, or a name twice.
    """
    named: dict[str, pl.Expr] = {}
    for term in terms:
        if isinstance(term, str):
            name, each = term, column(term)
        elif isinstance(term, pl.Expr):
            found = term.meta.output_name(raise_if_undetermined=False)
            if found is None:
                raise ValueError(
                    f"{where}: {term} may be several columns, or one of any name: pass an "
                    "expression for each, and name it with .alias(...)"
                )
            name, each = found, term
        else:
            raise ValueError(f"{where}: expected names of columns or expressions, got {term!r}")
        if name in named:
            raise ValueError(
                f"{where}: column {name!r} is named twice"
                + ("" if isinstance(term, str) else "; name an expression with .alias(...)")
            )
        named[name] = each
    return named


@dataclass(frozen=True, eq=False)
class _Call:
    """A kernel's value for each of the rows that Polars hands over.

    Attributes:
        kernel: A function of points, `maximize` and `by`.
        objectives: What `ObjectiveColumns.of` takes.
        scores: The columns of the objectives, which come first.
        keys: The columns of the keys, which come behind them.
        nan: What to do about null and NaN.
        n_threads: Threads that look for them.
    """

    kernel: Callable[..., NDArray[Any]]
    objectives: str | list[str] | dict[str, str | Sequence[str]]
    scores: tuple[str, ...]
    keys: tuple[str, ...]
    nan: Literal["raise", "drop"]
    n_threads: int | None

    def __call__(self, given: Sequence[pl.Series]) -> pl.Series:
        """The values of all rows, or of one group's.

        Raises:
            ValueError: As the functions on frames.
        """
        names = (*self.scores, *self.keys)
        try:
            return self._values([s.alias(n) for s, n in zip(given, names, strict=True)])
        except ValueError as error:
            # Polars gives the columns of a group no names, nor says which group it is.
            in_group = any(names) and not any(series.name for series in given)
            if not in_group or not re.search(r"\brow \d", str(error)):
                raise
            raise ValueError(
                f"{error} (counted within one group, for the expression stands in .over or .agg; "
                "with by= all rows are counted)"
            ) from None

    def _values(self, columns: Sequence[pl.Series]) -> pl.Series:
        rows = len(columns[0])
        for each in columns:
            if len(each) != rows:
                raise ValueError(
                    f"column {each.name!r} has {len(each)} rows but column {columns[0].name!r} has "
                    f"{rows}; pass columns of one length"
                )
        held = {each.name: each for each in columns[: len(self.scores)]}
        scores = _parsed(self, tuple(each.dtype for each in held.values()))
        taken = held if scores.names == scores.columns else scores.taken(pl.DataFrame(held))
        groups = None
        if self.keys:
            groups = key_ids(pl.DataFrame(columns[len(self.scores) :]), self.keys, "by")
        return computed(self.kernel, taken, scores.larger, groups, self.nan, self.n_threads)


@lru_cache(maxsize=32)
def _parsed(call: _Call, dtypes: tuple[pl.DataType, ...]) -> ObjectiveColumns:
    """The objectives among columns of these types: the same for each of many small groups."""
    return ObjectiveColumns.of(dict(zip(call.scores, dtypes, strict=True)), call.objectives)
