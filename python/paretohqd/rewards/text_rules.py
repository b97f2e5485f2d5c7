"""Rules that an answer's own text decides."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from paretohqd.exceptions import unknown_word
from paretohqd.frames.text_metrics import words
from paretohqd.rewards.rule import Rule, check_pattern, holds

Scores = NDArray[np.float64]


@dataclass(frozen=True, kw_only=True)
class Length(Rule):
    """Whether an answer's length lies in a window; outside the score falls linearly.

    1 from `least` to `most`, both included. Outside, 1 - d / fall for an answer that is d words or
    characters away, and 0 from `fall` away on. Where `fall` is not given it is `least` below the
    window, so that an empty answer gets 0, and `most` above it, so that one of twice the length
    does.

    Attributes:
        least: The shortest length that is right.
        most: The longest; None: any.
        unit: "words" (as `text_metrics.words` counts them) or "characters".
        fall: Words or characters beyond the window at which the score is 0.

    Raises:
        ValueError: No window, an empty one, or a fall below 1.
    """

    kind = "length"
    name: str = "length"
    least: int = 0
    most: int | None = None
    unit: str = "words"
    fall: int | None = None

    def __post_init__(self) -> None:
        """Refuse a window that says nothing or holds nothing."""
        super().__post_init__()
        if self.unit not in ("words", "characters"):
            raise unknown_word("rule:length: unit:", self.unit, ("words", "characters"))
        if self.least < 0 or (self.fall is not None and self.fall < 1):
            raise ValueError("rule:length: least must be at least 0, and fall at least 1")
        if self.least == 0 and self.most is None:
            raise ValueError("rule:length: give least or most: any length would get 1")
        if self.most is not None and self.most < max(1, self.least):
            raise ValueError(
                f"rule:length: most must be at least {max(1, self.least)}, got {self.most}"
            )

    def score(self, prompts: Sequence[str], responses: Sequence[str]) -> Scores:
        """(n,) scores from 0 to 1.

        Example:
            >>> Length(most=2).score(["Hi"] * 4, ["One two", "one two three", "a b c d", ""])
            array([1. , 0.5, 0. , 1. ])
        """
        count: Callable[[str], int] = len if self.unit == "characters" else _count_words
        lengths = np.array([count(text) for text in responses], dtype=np.float64)
        below = np.maximum(self.least - lengths, 0) / (self.fall or max(1, self.least))
        above = np.zeros(len(lengths))
        if self.most is not None:
            above = np.maximum(lengths - self.most, 0) / (self.fall or self.most)
        scores: Scores = 1 - np.minimum(below + above, 1)
        return scores


_ENDS = ".!?\u2026\u3002\uff01\uff1f\u0964\u061f"
"""Full stop, exclamation and question mark, ellipsis; the same of Chinese, Hindi and Arabic."""
_CLOSING = r"'\")\]}*_`\u201d\u2019\u00bb\u300d"
"""Quotes, brackets and marks of emphasis."""


@dataclass(frozen=True, kw_only=True)
class Finished(Rule):
    """Whether an answer ends with the end of a sentence, such as a full stop.

    Quotes, brackets and marks of emphasis may close behind it, as may blanks. An answer that ends
    in code or a list has no such end.
    """

    kind = "finished"
    name: str = "finished"

    def score(self, prompts: Sequence[str], responses: Sequence[str]) -> Scores:
        """(n,) scores 0 or 1.

        Example:
            >>> Finished().score(["Hi"] * 3, ['He said "yes."', "And then", "Why?"])
            array([1., 0., 1.])
        """
        return holds(responses, rf"[{_ENDS}][{_CLOSING}]*\s*\z")


@dataclass(frozen=True, kw_only=True)
class Regex(Rule):
    """Whether a pattern is found in an answer, or not found.

    Patterns are those of Rust's crate regex, as Polars takes them: they have neither look-around
    nor references back, and none can take long. `(?i)` at the beginning ignores case, `(?s)` lets a
    dot stand for line ends too.

    Attributes:
        pattern: What to look for.
        full: The pattern must be the whole answer, blanks around it aside.
        wanted: False gives 1 where it is not found.

    Raises:
        ValueError: What is no such pattern.
    """

    kind = "regex"
    name: str = "regex"
    pattern: str = ""
    full: bool = False
    wanted: bool = True

    def __post_init__(self) -> None:
        """Refuse a pattern that cannot be read."""
        super().__post_init__()
        if not self.pattern:
            raise ValueError("rule:regex: options: pattern is missing")
        for pattern in (self.pattern, self._whole()):
            check_pattern(pattern, "rule:regex: pattern")

    def _whole(self) -> str:
        return rf"\A\s*(?:{self.pattern})\s*\z" if self.full else self.pattern

    def score(self, prompts: Sequence[str], responses: Sequence[str]) -> Scores:
        """(n,) scores 0 or 1.

        Example:
            >>> Regex(pattern="(?i)sorry", wanted=False).score(["Hi"] * 2, ["Sorry!", "Hello"])
            array([0., 1.])
        """
        found = holds(responses, self._whole())
        return found if self.wanted else 1 - found


def _count_words(text: str) -> int:
    return len(words(text))
