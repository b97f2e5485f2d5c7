"""Errors of this package's own, what their messages share, and where warnings are kept."""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from typing import Any

WARNINGS = "warnings.txt"
"""What libraries warned of while the stage was done: a log, of which nothing depends."""


def unknown_word(what: str, word: str, known: Iterable[str]) -> ValueError:
    """The error for a word that is not among the known ones, with a guess and the list."""
    known = list(known)
    near = difflib.get_close_matches(word, known, n=1)
    hint = f"; did you mean {near[0]!r}?" if near else "."
    return ValueError(f"{what} {word!r}{hint} There are: {', '.join(known)}")


class MissingPackageError(ModuleNotFoundError, ValueError):
    """A package that holds an embedded part is not installed; the message says how to get it."""


def check_keys(given: Iterable[Any], known: Iterable[str], where: str) -> None:
    """Raise a ValueError for the first key that is not known, with the nearest one that is."""
    known = list(known)
    for key in given:
        if key not in known:
            close = difflib.get_close_matches(str(key), known, n=1)
            hint = f"did you mean {close[0]}?" if close else f"known keys: {', '.join(known)}"
            raise ValueError(f"unknown key {dotted_key(where, key)}: {hint}")


def dotted_key(where: str, key: Any) -> str:
    """A key with the section that it stands in, as messages name it."""
    return f"{where}.{key}" if where else str(key)
