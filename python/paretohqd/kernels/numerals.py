"""Scores that stand as text, as spreadsheets, R and judges write them: as numbers.

A CSV column of numbers with one "NA" in it is text to its reader, and an "N/A" among the ratings of
a judge makes text of all. Only columns that are asked for as scores are read so: elsewhere "NA" may
be an answer.
"""

from __future__ import annotations

import polars as pl

EXACT = 2**53
"""Doubles hold every integer up to here and then begin to skip."""

_TIED_AS_DOUBLES = "doubles cannot tell apart; subtract an offset or rank them first"

MISSING = (
    "",
    "na",
    "n/a",
    "#n/a",
    "<na>",
    "nan",
    "-nan",
    "nat",
    "null",
    "none",
    "nil",
    "\\n",
    "-",
    "--",
    "#div/0!",
    "#value!",
    "#num!",
    "#ref!",
    "#name?",
    "#null!",
)
"""What stands for no value, in small letters."""


def is_text(dtype: pl.DataType) -> bool:
    """Whether a column is text, or categories that are."""
    return dtype in (pl.String, pl.Categorical, pl.Enum)


def as_number(text: pl.Expr) -> pl.Expr:
    """Text as a number; null where it is none."""
    plain = text.cast(pl.String).str.strip_chars()
    missing = plain.str.to_lowercase().is_in(MISSING)
    return pl.when(~missing).then(plain).cast(pl.Float64, strict=False)


def is_word(text: pl.Expr) -> pl.Expr:
    """Whether a text is neither a number nor says that there is none."""
    missing = text.cast(pl.String).str.strip_chars().str.to_lowercase().is_in(MISSING)
    return text.is_not_null() & ~missing & as_number(text).is_null()


def numbers_of(name: str, texts: pl.Series) -> pl.Series:
    """The texts of a column as numbers; null where one says that there is none.

    Raises:
        ValueError: A text is neither, or an integer that doubles cannot hold: the column, the
            count, the first row and the text are named.

    Example:
        >>> numbers_of("help", pl.Series(["4", " 4.5", "N/A", "-inf"])).to_list()
        [4.0, 4.5, None, -inf]
    """
    texts = texts.alias("").cast(pl.String)
    text = pl.lit(texts)
    numbers, words = pl.select(as_number(text).alias("number"), is_word(text).alias("word"))
    if words.any():
        first = words.arg_max() or 0
        raise words_refused(name, int(words.sum()), f"row {first}", texts[first], numbers.count())
    # As integers: as doubles the first one beyond 2**53 equals the last one within.
    refuse_inexact(name, texts.str.strip_chars().cast(pl.Int128, strict=False))
    return numbers


def refuse_inexact(
    name: str,
    integers: pl.Series,
    *,
    problem: str = _TIED_AS_DOUBLES,
) -> None:
    """Raise a ValueError if some integers are too large for doubles.

    Args:
        name: The column, for the message.
        integers: The column's values.
        problem: What such integers lead to, and what to do.
    """
    large = (integers > EXACT) | (integers < -EXACT)
    if large.any():
        raise inexact_integers(name, int(large.sum()), large.arg_max(), problem)


def inexact_integers(
    name: str | int, count: int, first: int | None, problem: str = _TIED_AS_DOUBLES
) -> ValueError:
    """The error for integers that doubles cannot hold."""
    return ValueError(
        f"column {name!r} holds {count} integers beyond 2**53 (first at row {first}), which "
        f"{problem}"
    )


def words_refused(name: str, count: int, where: str, text: str, numbers: int) -> ValueError:
    """What to say of words where there should be numbers, of which there are some or none."""
    if not numbers:
        return ValueError(
            f"column {name!r} has dtype String, which is no score; none of its {count} texts is a "
            f"number such as 4.5 (first at {where}: {_short(text)}): name another column"
        )
    return ValueError(
        f"column {name!r} holds {count} texts that are no numbers (first at {where}: "
        f"{_short(text)}): write plain numbers such as 4.5, or leave such rows out"
    )


def said(column: object, row: int) -> str:
    """What a column of text has in a row whose number is missing, for messages: ": 'NA'"."""
    if not isinstance(column, pl.Series) or not is_text(column.dtype) or column[row] is None:
        return ""
    return f": {_short(column[row])}"


def _short(text: str) -> str:
    return repr(text if len(text) <= 40 else f"{text[:37]}...")
