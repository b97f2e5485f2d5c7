"""Which rows of a source nothing is selected from, and why.

Rows without a score, with empty answers, with texts or prompts that are too long; and answers that
repeat their prompt.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import polars as pl
from numpy.typing import NDArray

from paretohqd.frames.text_metrics import word_overlap
from paretohqd.kernels.numerals import as_number, is_text
from paretohqd.runs import sections
from paretohqd.runs.data import given_columns

ROWS = 1 << 14
"""Rows whose words or tokens are looked at together: lists of them take many times their text."""

Bools = NDArray[np.bool_]
Lengths = Callable[[pl.DataFrame], pl.Series]
"""Tokens of each row's prompt."""


@dataclass
class Rules:
    """What is left out, in this order, and how often each was the reason."""

    spec: sections.Data
    prompt_lengths: Lengths
    limit: int
    scores: Mapping[str, str]
    counts: dict[str, int] = field(default_factory=dict)
    first: dict[str, str] = field(default_factory=dict)
    """For each reason the first prompt."""

    def reasons(self) -> dict[str, tuple[str, Callable[[pl.DataFrame], pl.Series]]]:
        """Name of each reason, what a message says of it, and which rows it meets."""
        found: dict[str, tuple[str, Callable[[pl.DataFrame], pl.Series]]] = {}
        most = self.spec.max_characters
        if self.scores:
            what = f"rows have no finite score in {', '.join(self.scores.values())}"
            found["no score"] = what, self._unscored
        if most is not None:
            what = f"rows have texts of more than {most} characters (data.max_characters)"
            found["text too long"] = (
                what,
                lambda frame: longer(frame, ("prompt", "response"), most),
            )
        found["empty answer"] = (
            "answers are empty",
            lambda frame: frame["response"].str.strip_chars() == "",
        )
        found["prompt too long"] = (
            f"prompts have {self.limit} tokens or more, so that no answer fits into "
            "train.max_length and the model's context",
            lambda frame: lengths(frame, self.prompt_lengths) >= self.limit,
        )
        return found

    def _unscored(self, frame: pl.DataFrame) -> pl.Series:
        given = given_columns(frame, list(self.scores), self.scores).select(*self.scores)
        numbers = (
            as_number(pl.col(name)) if is_text(kind) else pl.col(name).cast(pl.Float64)
            for name, kind in given.schema.items()
        )
        finite = (number.is_finite().fill_null(False) for number in numbers)
        return given.select(~pl.all_horizontal(finite)).to_series()

    def kept(self, frame: pl.DataFrame) -> Bools:
        """Which rows no reason meets."""
        kept = np.ones(len(frame), dtype=bool)
        for name, (_, meets) in self.reasons().items():
            left = frame.filter(pl.Series(kept))
            bad = meets(left).to_numpy()
            if bad.any():
                self.first.setdefault(name, left["prompt"][int(bad.argmax())])
                kept[np.flatnonzero(kept)[bad]] = False
            self.counts[name] = self.counts.get(name, 0) + int(bad.sum())
            if bad.any() and self.spec.invalid == "raise":
                break  # refused in the end: nothing reads these texts
        return kept

    def settle(self, rows: int) -> dict[str, int]:
        """Count what was left out of so many rows.

        Raises:
            ValueError: Rows were left out, and are not to be; or all.
        """
        dropped = {}
        for name, (what, _) in self.reasons().items():
            count = self.counts.get(name, 0)
            if count and (self.spec.invalid == "raise" or count == rows):
                number, advice = str(count), "fix them, or set data.invalid: drop"
                if count == rows:
                    number, advice = "all", "look at the data"
                # Not the row's number: the rows may be a sample of the source.
                raise ValueError(
                    f"{number} of {rows} {what} (the first prompt: {self.first[name][:60]!r}): "
                    f"{advice}"
                )
            if count or name in ("empty answer", "prompt too long"):
                dropped[name] = count
            rows -= count
        return dropped


def longer(frame: pl.DataFrame, columns: Sequence[str], limit: int) -> pl.Series:
    """Which rows have a text of more characters than this in one of the columns."""
    return frame.select(pl.any_horizontal(pl.col(columns).str.len_chars() > limit)).to_series()


def lengths(frame: pl.DataFrame, prompt_lengths: Lengths) -> pl.Series:
    """Tokens of each row's prompt; those of some rows at a time are in memory."""
    parts = [prompt_lengths(part) for part in frame.iter_slices(ROWS)]
    return pl.concat(parts) if parts else prompt_lengths(frame)


def without_echoes(frame: pl.DataFrame, limit: float) -> pl.DataFrame:
    """Leave out answers that share more of their words than `limit` with their prompt.

    A relevance reward is highest for an answer that repeats the prompt; training on such answers
    teaches the model to.
    """
    return frame.filter(pl.Series(original(frame, limit), dtype=pl.Boolean))


def original(frame: pl.DataFrame, limit: float) -> Bools:
    """Which answers share no more of their words than `limit` with their prompt."""
    kept = [
        word_overlap(part["prompt"].to_list(), part["response"].to_list()) <= limit
        for part in frame.iter_slices(ROWS)
    ]
    return np.concatenate([np.empty(0, dtype=bool), *kept])
