"""How objects show themselves."""

from __future__ import annotations

from collections.abc import Mapping
from html import escape


def html_table(title: str, told: Mapping[str, str]) -> str:
    """A table of two columns; names of columns may hold anything, so all of it is escaped.

    Example:
        >>> html_table("Pool", {"objectives": "<b>"})
        '<table><caption>Pool</caption><tr><th>objectives</th><td>&lt;b&gt;</td></tr></table>'
    """
    rows = (
        f"<tr><th>{escape(name)}</th><td>{escape(text)}</td></tr>" for name, text in told.items()
    )
    return f"<table><caption>{escape(title)}</caption>{''.join(rows)}</table>"


def numbered(count: int, noun: str) -> str:
    """A number and what it counts.

    Example:
        >>> numbered(1, "layer"), numbered(2, "layer")
        ('1 layer', '2 layers')
    """
    return f"{count:,} {noun}{'' if count == 1 else 's'}"
