"""Scores that are refused for their values: how many there are, and where the first one is."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Literal

import polars as pl

from paretohqd.frames.condition import ConditionError
from paretohqd.frames.objectives import ObjectiveColumns, unused
from paretohqd.frames.sources import Source
from paretohqd.kernels.numerals import as_number, is_text, is_word, said, words_refused

Kind = Literal["words", "missing", "infinite"]


@contextmanager
def bad_rows_named(
    source: Source, scores: ObjectiveColumns, nan: Literal["raise", "drop"], *, finite: bool = False
) -> Iterator[None]:
    """Where some rows are refused for their values: count these in all rows, and name the file."""
    try:
        yield
    except ConditionError:
        raise
    except ValueError:
        # Of a frame in memory the kernels say where the first one is, unless a condition moved it.
        if source.lazy or scores.where is not None:
            missing: list[Kind] = ["missing"] if nan == "raise" else []
            infinite: list[Kind] = ["infinite"] if finite else []
            _refuse(source, scores, ["words", *missing, *infinite])
        raise


def refuse_infinite(source: Source, scores: ObjectiveColumns) -> None:
    """Raise a ValueError that counts the first column's infinite scores, if there are any."""
    _refuse(source, scores, ["infinite"])


@dataclass
class _Tally:
    """The bad scores of a column, and its numbers."""

    count: int = 0
    nulls: int = 0
    numbers: int = 0
    row: int = 0
    """The first one's."""
    text: str = ""
    """What it holds there, if it holds text."""
    said: str = ""
    """The same, as a message says it."""

    def add(self, bad: pl.Series, scored: pl.Series, numbers: pl.Series, start: int) -> None:
        """Count a batch, whose first row has this number."""
        self.numbers += numbers.count()
        if bad.any():
            if not self.count:
                first = bad.arg_max() or 0
                self.row, self.said = start + first, said(scored, first)
                self.text = scored[first] if is_text(scored.dtype) else ""
            self.count += int(bad.sum())
            self.nulls += int((bad & numbers.is_null()).sum())


def _refuse(source: Source, scores: ObjectiveColumns, kinds: list[Kind]) -> None:
    """Raise a ValueError for the first of these kinds of which a column has any, in one pass."""
    tallies = {kind: {name: _Tally() for name in scores.names} for kind in kinds}
    start, meets = 0, unused(scores.names, "meets")
    condition = [] if scores.where is None else [scores.where.expression.alias(meets)]
    for batch in source.batches([*scores.expressions, *condition]):
        counts = batch.drop_in_place(meets).fill_null(False) if condition else True
        for scored in batch:
            numbers, bad = _looked_at(scored)
            for kind in kinds:
                tallies[kind][scored.name].add(bad[kind] & counts, scored, numbers, start)
        start += len(batch)
    for kind in kinds:
        for name, tally in tallies[kind].items():
            if tally.count:
                raise _refusal(kind, name, tally, source.locate(tally.row))


def _looked_at(scored: pl.Series) -> tuple[pl.Series, dict[Kind, pl.Series]]:
    """Scores as numbers, and where they are bad in which way."""
    if is_text(scored.dtype):
        text = pl.lit(scored.alias("").cast(pl.String))
        numbers, words = pl.select(as_number(text).alias("number"), is_word(text).alias("word"))
    else:
        numbers = scored.cast(pl.Float64).alias("")
        words = pl.repeat(False, len(scored), eager=True)
    return numbers, {
        "words": words,
        "missing": numbers.is_nan().fill_null(True) & ~words,
        "infinite": numbers.is_infinite().fill_null(False),
    }


def _refusal(kind: Kind, name: str, tally: _Tally, place: str) -> ValueError:
    """What to say of a column's bad scores, the first of which is at a place."""
    if kind == "words":
        return words_refused(name, tally.count, place, tally.text, tally.numbers)
    if kind == "infinite":
        return ValueError(
            f"column {name!r} holds {tally.count} infinite values (first at {place}), but a "
            "preference's ray needs a finite range; drop or clip these rows first"
        )
    nulls, nans = tally.nulls, tally.count - tally.nulls
    parts = ((nulls, "null" if nulls == 1 else "nulls"), (nans, "NaN"))
    what = " and ".join(f"{number} {word}" for number, word in parts if number)
    return ValueError(
        f"column {name!r} holds {what} (first at {place}{tally.said}), which cannot be ordered; "
        "drop or fill these rows first"
    )
