"""Errors of this package's own, what their messages share, and where warnings are kept."""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from typing import Any

WARNINGS = "warnings.txt"
"""What libraries warned of while the stage was done: a log, of which nothing depends."""


class MissingPackageError(ModuleNotFoundError, ValueError):
    """A package that holds an embedded part is not installed; the message says how to get it."""


def first_line(error: BaseException) -> str:
    r"""The first line of an error's message; the name of its class if that is blank.

    Example:
        >>> first_line(OSError("no such file\nFile 'x', line 3")), first_line(EOFError())
        ('no such file', 'EOFError')
    """
    return (str(error).splitlines() or [""])[0].strip() or type(error).__name__


def unknown_word(what: str, word: str, known: Iterable[str]) -> ValueError:
    """The error for a word that is not among the known ones, with a guess and the list.

    Example:
        >>> print(unknown_word("no method", "bset", ["best", "first"]))
        no method 'bset'; did you mean 'best'? There are: best, first
    """
    known = list(known)
    guess = _nearest(word, known)
    hint = f"; did you mean {guess!r}?" if guess else "."
    return ValueError(f"{what} {word!r}{hint} There are: {', '.join(known)}")


def check_keys(given: Iterable[Any], known: Iterable[str], where: str) -> None:
    """Raise a ValueError for the first key that is not known, with the nearest one that is.

    Args:
        given: The keys that the user wrote.
        known: The keys that there are.
        where: The section in which they stand, or "".
    """
    known = list(known)
    for key in given:
        if key not in known:
            guess = _nearest(str(key), known)
            hint = f"did you mean {guess}?" if guess else f"known keys: {', '.join(known)}"
            raise ValueError(f"unknown key {dotted_key(where, key)}: {hint}")


def _nearest(word: str, words: list[str]) -> str | None:
    """The one of some words that looks most like another, if any does."""
    return next(iter(difflib.get_close_matches(word, words, n=1)), None)


def dotted_key(where: str, key: Any) -> str:
    """A key with the section that it stands in, as messages name it."""
    return f"{where}.{key}" if where else str(key)
