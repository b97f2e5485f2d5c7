"""Texts and tables with which objects show themselves in notebooks."""

from __future__ import annotations

from collections.abc import Mapping
from html import escape


def html_table(title: str, rows: Mapping[str, str]) -> str:
    """A table of two columns. All texts are escaped, as names of columns can hold anything.

    Args:
        title: The caption.
        rows: The heading and the text of each row.

    Example:
        >>> html_table("Pool", {"objectives": "<b>"})
        '<table><caption>Pool</caption><tr><th>objectives</th><td>&lt;b&gt;</td></tr></table>'
    """
    body = "".join(
        f"<tr><th>{escape(name)}</th><td>{escape(text)}</td></tr>" for name, text in rows.items()
    )
    return f"<table><caption>{escape(title)}</caption>{body}</table>"


def numbered(count: int, noun: str) -> str:
    """A number with the noun that it counts.

    Example:
        >>> numbered(1, "layer"), numbered(2, "layer")
        ('1 layer', '2 layers')
    """
    return f"{count:,} {noun}{'' if count == 1 else 's'}"
