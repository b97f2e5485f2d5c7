"""SQL's conditions as the expressions that a frame has.

Polars reads SQL into functions of its own, which wait for the types of a table. It does not know
them to look at one row alone, which is what a condition has to do here.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from decimal import Decimal
from io import StringIO
from itertools import zip_longest
from typing import Any

import polars as pl

OPERATORS = {
    **{name: name for name in ("Eq", "Lt", "LtEq", "Gt", "GtEq", "Plus", "Minus")},
    "EqMissing": "EqValidity",
    "Mul": "Multiply",
}
"""What expressions have in place of the functions that Polars has for SQL."""

SHORT = 64
"""Whole numbers of a list that are compared one by one, so that scores with a decimal point may be
among them; a longer one, which may be of ids, is searched by its hashes."""


def of_sql(text: str) -> pl.Expr:
    """A condition as in SQL's WHERE, made of what expressions are made of as far as that goes.

    Raises:
        polars.exceptions.PolarsError: The text is none.

    Example:
        >>> print(of_sql("help >= 4.5 AND source IN ('web', 'book')"))
        [([(col("help")) >= (dyn float: 4.5)]) & (col("source").is_in([Series]))]
    """
    return _read(_plain(_written(pl.sql_expr(text))))


def _written(expression: pl.Expr) -> Any:
    """What Polars writes of an expression."""
    return json.loads(expression.meta.serialize(format="json"))


def _read(written: Any) -> pl.Expr:
    return pl.Expr.deserialize(StringIO(json.dumps(written)), format="json")


def _plain(part: Any) -> Any:
    """A part of a written expression without the functions that Polars has for SQL alone.

    These wait for the types of a table, so that Polars does not know them to look at one row; and a
    literal with a decimal point is a decimal number in SQL, where an expression's is a float.
    """
    match part:
        case {"Literal": {"Scalar": {"Decimal": [digits, _, places]}}}:
            return {"Literal": {"Dyn": {"Float": float(Decimal(digits).scaleb(-places))}}}
        case {"Function": {"input": [left, right], "function": {"Sql": {"Binary": name}}}} if (
            name in OPERATORS
        ):
            return _binary(OPERATORS[name], _plain(left), _plain(right))
        case {"Function": {"input": [value, listed], "function": {"Sql": {"IsIn": options}}}}:
            return _one_of(_plain(value), listed, options)
    return _within(part, _plain)


def _within(part: Any, change: Callable[[Any], Any]) -> Any:
    """A written expression with all its parts changed."""
    if isinstance(part, dict):
        return {name: change(each) for name, each in part.items()}
    return [change(each) for each in part] if isinstance(part, list) else part


def _binary(operator: str, left: Any, right: Any) -> Any:
    return {"BinaryExpr": {"left": left, "op": operator, "right": right}}


def _one_of(value: Any, listed: Any, options: Any) -> Any:
    """Whether a value is one of some others."""
    others = pl.select(_read(listed)).to_series().explode()
    exact = isinstance(others.dtype, pl.Decimal)
    if not exact and not (others.dtype.is_integer() and len(others) <= SHORT):
        return {"Function": {"input": [value, listed], "function": {"Boolean": {"IsIn": options}}}}
    # A list of floats is not searched for whole numbers, nor one of whole numbers for floats.
    # Whether NULL is one of them, Polars asks beside.
    kind = float if exact else int
    each = [_binary("Eq", value, _written(pl.lit(kind(other)))) for other in others.drop_nulls()]
    while len(each) > 1:  # in pairs: a long list would be nested too deep for Python
        pairs = zip_longest(each[::2], each[1::2])
        each = [one if other is None else _binary("Or", one, other) for one, other in pairs]
    return each[0]


def with_known_parts(expression: pl.Expr) -> pl.Expr:
    """An expression of the same columns that Polars can judge: whether it looks at one row alone.

    Raises:
        polars.exceptions.PolarsError: Polars cannot write it down.
    """
    return _read(_judged(_written(expression)))


def _judged(part: Any) -> Any:
    """A written expression, with other functions of one row for those that Polars does not know."""
    match part:
        case {"Function": {"input": [left, right], "function": {"Sql": {"Binary": _}}}}:
            return _binary("Plus", _judged(left), _judged(right))
        case {"Function": {"input": [value], "function": {"Sql": {"Round": _} | "ToFloat"}}}:
            kind = {"Literal": "Float64"}
            return {"Cast": {"expr": _judged(value), "dtype": kind, "options": "Strict"}}
    return _within(part, _judged)
