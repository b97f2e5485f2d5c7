"""How objects show themselves in notebooks."""

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
