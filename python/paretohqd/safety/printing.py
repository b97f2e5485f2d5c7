"""Texts from files and configurations as a terminal may show them."""

from __future__ import annotations

import re

_ACTING = re.compile(
    "["
    "\x00-\x08\x0b-\x1f\x7f-\x9f"  # controls but tab and newline: escape sequences, overwriting
    "\xad\u061c\u180e\u200b\u200e\u200f\u2060-\u2064\ufeff"  # what has no width, marks of direction
    "\u2028-\u202e\u2066-\u206f"  # line separators; embeddings, overrides and isolates
    "\ufff9-\ufffb\U000e0000-\U000e007f"  # annotations and invisible copies of ASCII
    "\ud800-\udfff"  # halves of characters, which no terminal's encoding has
    "]"
)


def printable(text: object) -> str:
    r"""A text in which characters that act on a terminal are written as escapes.

    Letters of all scripts, emojis, tabs and newlines stay. A column called "\x1b[2J" would clear
    the screen, one with U+202E would be read backwards.

    Example:
        >>> print(printable("\x1b[31mred\u202e, caf\u00e9"))
        \x1b[31mred\u202e, café
    """
    return _ACTING.sub(lambda found: _escape(found[0]), str(text))


def first_acting(text: str) -> str | None:
    r"""The first character that would act on a terminal, as U+XXXX, or None.

    Example:
        >>> first_acting("a\tb"), first_acting("a\x1b[2J")
        (None, 'U+001B')
    """
    found = _ACTING.search(text)
    return None if found is None else f"U+{ord(found[0]):04X}"


def _escape(character: str) -> str:
    code = ord(character)
    if code < 256:
        return f"\\x{code:02x}"
    return f"\\u{code:04x}" if code < 65536 else f"\\U{code:08x}"
