"""Rules that compare an answer with the right one, which a column holds."""

from __future__ import annotations

import math
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from numbers import Real
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from paretohqd.rewards.callables import Columns, Progress
from paretohqd.rewards.rule import Rule

Scores = NDArray[np.float64]


class _ColumnRule(Rule):
    """A rule that reads a column."""

    column: str

    def __post_init__(self) -> None:
        """Refuse a rule without its column."""
        super().__post_init__()
        if not self.column:
            raise ValueError(
                f"rule:{self.kind}: options: column is missing: what holds the answers"
            )

    @property
    def columns(self) -> tuple[str, ...]:
        """Names of the columns that it reads."""
        return (self.column,)

    def reads(self, available: Sequence[str]) -> list[str]:
        """Its column, whether or not it is there."""
        return [self.column]

    def score(self, prompts: Sequence[str], responses: Sequence[str]) -> Scores:
        """Refuses: there is nothing to compare the answers with."""
        raise ValueError(f"reward {self.name!r} reads the column {self.column!r}: use score(frame)")

    def score_rows(
        self,
        prompts: Sequence[str],
        responses: Sequence[str],
        columns: Columns,
        progress: Progress | None = None,
    ) -> Scores:
        """(n,) scores 0 or 1.

        Raises:
            ValueError: A value of the column with which nothing can be compared.
        """
        scores = self.compared(responses, columns[self.column])
        if progress is not None:
            progress(len(responses))
        return scores

    def compared(self, responses: Sequence[str], right: Sequence[Any]) -> Scores:
        """(n,) scores of answers beside the right ones."""
        raise NotImplementedError

    def written(self, row: int, value: Any, wanted: str) -> str:
        """A right answer as text: a whole number is written alike as 5 and as 5.0.

        Raises:
            ValueError: It is neither text nor number.
        """
        if not isinstance(value, str | Real | Decimal) or value != value:
            raise self.unusable(row, value, wanted)
        number: Any = None if isinstance(value, str | int) else value
        # Beyond that a double may stand for other whole numbers too.
        if number is not None and abs(number) < 2**53 and number == int(number):
            return str(int(number))
        return str(value)

    def unusable(self, row: int, value: Any, wanted: str) -> ValueError:
        """The error for a value that is no right answer."""
        return ValueError(
            f"reward {self.name!r}: column {self.column!r} holds {value!r} in row {row}, and "
            f"rule:{self.kind} needs {wanted} in each row: fill it, or drop such rows"
        )


@dataclass(frozen=True, kw_only=True)
class Exact(_ColumnRule):
    """Whether an answer is the text of a column, blanks around both aside.

    Every Unicode form of a text is that text. A whole number is written without a point, whether
    the column holds 5 or 5.0.

    Attributes:
        column: The column with the right answers: texts, numbers or truth values.
        ignore_case: Compare without regard to case.
    """

    kind = "exact"
    version = 2
    name: str = "exact"
    column: str = ""
    ignore_case: bool = False

    def compared(self, responses: Sequence[str], right: Sequence[Any]) -> Scores:
        """(n,) scores of answers beside the right ones.

        Example:
            >>> Exact(column="solution").compared([" Paris ", "paris"], ["Paris", "Paris"])
            array([1., 0.])
        """
        wanted = [self.written(row, value, "a text or a number") for row, value in enumerate(right)]
        pairs = zip(responses, wanted, strict=True)
        return np.array([self._form(a) == self._form(b) for a, b in pairs], dtype=np.float64)

    def _form(self, text: str) -> str:
        text = text.strip()
        if self.ignore_case:
            text = unicodedata.normalize("NFD", text).casefold()
        return unicodedata.normalize("NFC", text)


_WHOLE = r"(?:[0-9]{1,3}(?:,[0-9]{3})+|[0-9]+)"
_NUMBER = rf"[-+]?(?:{_WHOLE}(?:\.[0-9]+)?|\.[0-9]+)(?:[eE][-+]?[0-9]+)?"
_MINUS = "\N{MINUS SIGN}"
_NAMING = r"(?:(?i:(?:st|nd|rd|th)s?)|D)\b"
"""Directly behind a number, it makes a word of it that counts nothing off: 3rd, 3D."""


@dataclass(frozen=True, kw_only=True)
class Number(_ColumnRule):
    """Whether the last number of an answer is the last number of a column's value.

    Numbers are decimal, with a sign, an exponent and commas between groups of three digits where
    they have them. Digits behind a letter (x2) are none, nor are ordinals (3rd) and dimensions
    (3D); a unit may stand directly behind a number (42km). Of "1/2" and "50 %" the last number is 2
    and 50. An answer without a number gets 0.

    Attributes:
        column: The column with the right answers: numbers, or texts that end with one.
        tolerance: The largest difference that counts as equal.
        relative: The same as a share of the larger of the two; the wider of both holds.
    """

    kind = "number"
    version = 2
    name: str = "number"
    column: str = ""
    tolerance: float = 0.0
    relative: float = 1e-9

    def __post_init__(self) -> None:
        """Refuse tolerances that are none."""
        super().__post_init__()
        for name in ("tolerance", "relative"):
            if not 0 <= getattr(self, name) < math.inf:
                raise ValueError(f"rule:number: {name} must be a finite number of at least 0")

    def compared(self, responses: Sequence[str], right: Sequence[Any]) -> Scores:
        """(n,) scores of answers beside the right ones.

        Example:
            >>> answers = ["It is 1,234.50 in all.", "12 of 7", "none"]
            >>> Number(column="solution").compared(answers, [1234.5, "5 + 2 = 7", 3])
            array([1., 1., 0.])
        """
        said = last_numbers(responses)
        texts = [self.written(row, value, "a number") for row, value in enumerate(right)]
        wanted = last_numbers(texts)
        scores = np.zeros(len(responses))
        for row, (value, a, b) in enumerate(zip(right, said, wanted, strict=True)):
            if b is None or not math.isfinite(b) or isinstance(value, bool):
                raise self.unusable(row, value, "a number")
            near = {"rel_tol": self.relative, "abs_tol": self.tolerance}
            scores[row] = a is not None and math.isclose(a, b, **near)
        return scores


def last_numbers(texts: Sequence[str]) -> list[float | None]:
    """The last number in each text.

    Example:
        >>> last_numbers(["$1,234.50!", "5-3", "x2", "-4 °C", "1e3", "12 for the 3rd time"])
        [1234.5, 3.0, None, -4.0, 1000.0, 12.0]
    """
    # Behind a blank each number has a character before it, which is no part of it.
    column = pl.Series([f" {text}" for text in texts], dtype=pl.String)
    column = column.str.replace_all(_MINUS, "-", literal=True)
    found = column.str.extract_all(rf"[^\w.]{_NUMBER}(?:{_NAMING})?")
    found = found.list.eval(pl.element().filter(pl.element().str.contains("[0-9]$"))).list.last()
    numbers = found.str.slice(1).str.replace_all(",", "", literal=True)
    return [None if text is None else float(text) for text in numbers]
