"""CSV and TSV: refuse what Polars would read wrongly without a word, and say what is broken where.

Polars parses the files; what it does not check is checked here with Python's csv module.
"""

from __future__ import annotations

import csv
import mmap
import re
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager

from paretohqd.frames.reading.text_lines import lines, packing, refuse_other_encodings

_ODD_QUOTE = re.compile(rb'"(?:(?<=\\")|(?<=[^,;\t|"\r\n]")(?=[^,;\t|"\r\n]))')
"""A quote after a backslash, or one with neither a separator nor a quote on both sides."""

_SEPARATOR_NAMES = {",": "commas", ";": "semicolons", "\t": "tabs", "|": "bars"}


@contextmanager
def _long_values() -> Iterator[None]:
    """Have the csv module read values of any length."""
    limit = csv.field_size_limit(2**31 - 1)
    try:
        yield
    finally:
        csv.field_size_limit(limit)


@_long_values()
def column_names(file: str, separator: str) -> list[str]:
    """The names of the columns; none if all lines are blank.

    Raises:
        ValueError: The first line is blank, names a column twice, or uses another separator or
            other line ends; or the file is no text, or in UTF-16.
    """
    head = next(lines(file), b"")
    if not head.strip():
        if any(line.strip() for line in lines(file)):
            raise ValueError(
                f"{file}: cannot be read: its first line is blank, but must name the columns"
            )
        return []
    if b"\0" in head:
        raise ValueError(f"{file}: cannot be read: it is no text, whatever its name says")
    text = head.decode(errors="replace")
    if "\r" in text.rstrip("\r\n") and '"' not in text:
        raise ValueError(
            f"{file}: cannot be read: its lines end with a carriage return alone, as on old Macs: "
            "convert it (tr '\\r' '\\n')"
        )
    # A quoted name may continue in the next lines.
    names = next(csv.reader(_decoded_lines(file), delimiter=separator), [])
    if text.startswith("sep="):
        raise ValueError(
            f"{file}: cannot be read: its first line names a separator, which is Excel's own: take "
            f"it away, and separate the values by {_SEPARATOR_NAMES[separator]}"
        )
    _refuse_other_separators(file, names, separator)
    for name, count in Counter(names).items():
        if name and count > 1:
            raise ValueError(
                f"{file}: cannot be read: {count} columns are called {name!r}: rename all but one"
            )
    return names


def _refuse_other_separators(file: str, names: list[str], separator: str) -> None:
    """Raise a ValueError if the only name holds another separator than expected."""
    for other in ",;\t|":
        if other != separator and len(names) == 1 and other in names[0]:
            advice = (
                "save it with commas and decimal points, or as Parquet"
                if other in ";|"
                else f"let its name end in {'.tsv' if other == chr(9) else '.csv'}"
            )
            raise ValueError(
                f"{file}: cannot be read: its values are separated by {_SEPARATOR_NAMES[other]}, "
                f"not by {_SEPARATOR_NAMES[separator]}: {advice}"
            )


@_long_values()
def refuse_single_quotes(file: str, separator: str) -> None:
    """Raise a ValueError if a quoted value holds quotes that are not doubled.

    Polars drops these without a word. Spark writes them after a backslash.
    """
    if not _has_odd_quotes(file):
        return
    reader = csv.reader(_decoded_lines(file), delimiter=separator, strict=True)
    lines_read = 0
    try:
        for _ in reader:
            lines_read = reader.line_num
    except csv.Error as error:
        if "expected after" in str(error):  # Polars itself refuses whatever else is wrong.
            raise ValueError(
                f"{file}: cannot be read: the record that begins in line {lines_read + 1} has a "
                'quoted value with a quote in it: write that twice (""), of Spark by '
                """.option("escape", '"'), or write Parquet"""
            ) from error


def _has_odd_quotes(file: str) -> bool:
    if packing(file):
        return any(map(_ODD_QUOTE.search, lines(file)))
    with (
        open(file, "rb") as opened,
        mmap.mmap(opened.fileno(), 0, access=mmap.ACCESS_READ) as text,
    ):
        return _ODD_QUOTE.search(text) is not None


@_long_values()
def refuse_broken_lines(file: str, separator: str) -> None:
    """Raise a ValueError that says in which line a file is broken, if Python finds one.

    For a file that Polars cannot read: its own message names no line.
    """
    refuse_other_encodings(file, lines(file))
    width = None
    reader = csv.reader(_decoded_lines(file), delimiter=separator, strict=True)
    lines_read = quoted = 0
    try:
        for record in reader:
            width = len(record) if width is None else width
            if len(record) > width:
                raise ValueError(
                    f"{file}: cannot be read: line {lines_read + 1} has {len(record)} values, but "
                    f"the first has {width} names: quote values that hold "
                    f"{_SEPARATOR_NAMES[separator]}"
                )
            if any('"' in value for value in record):
                quoted = quoted or lines_read + 1
            lines_read = reader.line_num
    except csv.Error as error:
        reason = "a quote is never closed" if "end of data" in str(error) else str(error)
        raise ValueError(
            f"{file}: cannot be read: in what begins in line {lines_read + 1}: {reason}"
        ) from error
    if quoted:
        raise ValueError(
            f"{file}: cannot be read: line {quoted} has a quote within a value: put such values in "
            'quotes, and write theirs twice ("")'
        )


def _decoded_lines(file: str) -> Iterator[str]:
    return (line.decode(errors="replace") for line in lines(file))
