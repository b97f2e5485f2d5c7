"""CSV and TSV: what Polars would read wrongly without a word, and where a file is broken."""

from __future__ import annotations

import csv
import mmap
import re
from collections.abc import Iterator
from contextlib import contextmanager

from paretohqd.frames.reading.text import lines, packing, undecodable

_ODD_QUOTE = re.compile(rb'"(?:(?<=\\")|(?<=[^,;\t|"\r\n]")(?=[^,;\t|"\r\n]))')
"""A quote after a backslash, or with something else than separators and quotes on both sides."""


@contextmanager
def _long_values() -> Iterator[None]:
    """Have the csv module read values of any length."""
    before = csv.field_size_limit(2**31 - 1)
    try:
        yield
    finally:
        csv.field_size_limit(before)


@_long_values()
def refuse_head(file: str, separator: str) -> list[str]:
    """The names of the columns; none in a file without a line.

    Raises:
        ValueError: another separator, other ends of lines, a name that is there twice, or UTF-16.
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
    # A quoted name may go on in the next lines.
    names = next(csv.reader(_decoded(file), delimiter=separator), [])
    if text.startswith("sep="):
        raise ValueError(
            f"{file}: cannot be read: its first line names a separator, which is Excel's own: take "
            f"it away, and separate the values by {_called(separator)}"
        )
    for other in ",;\t|":
        if other != separator and len(names) == 1 and other in names[0]:
            advice = (
                "save it with commas and decimal points, or as Parquet"
                if other in ";|"
                else f"let its name end in {'.tsv' if other == chr(9) else '.csv'}"
            )
            raise ValueError(
                f"{file}: cannot be read: its values are separated by {_called(other)}, not by "
                f"{_called(separator)}: {advice}"
            )
    for name in names:
        if name and names.count(name) > 1:
            raise ValueError(
                f"{file}: cannot be read: {names.count(name)} columns are called {name!r}: rename "
                "all but one"
            )
    return names


@_long_values()
def refuse_quotes(file: str, separator: str) -> None:
    """Raise a ValueError if a quoted value holds quotes that are not doubled.

    Polars drops these without a word. Spark writes them after a backslash.
    """
    if not _has_odd_quotes(file):
        return
    reader, before = csv.reader(_decoded(file), delimiter=separator, strict=True), 0
    try:
        for _ in reader:
            before = reader.line_num
    except csv.Error as error:
        if "expected after" in str(error):  # Of what else is wrong Polars says so.
            raise ValueError(
                f"{file}: cannot be read: the record that begins in line {before + 1} has a quoted "
                'value with a quote in it: write that twice (""), of Spark by .option("escape", '
                "'\"'), or write Parquet"
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
def whats_wrong(file: str, separator: str) -> str:
    """What is wrong with a file that Polars cannot read, with its line; "" if nothing is found."""
    if broken := undecodable(file, lines(file)):
        return broken
    width = None
    reader = csv.reader(_decoded(file), delimiter=separator, strict=True)
    before = quoted = 0
    try:
        for record in reader:
            width = len(record) if width is None else width
            if len(record) > width:
                return (
                    f"{file}: cannot be read: line {before + 1} has {len(record)} values, but the "
                    f"first has {width} names: quote values that hold {_called(separator)}"
                )
            if any('"' in value for value in record):
                quoted = quoted or before + 1
            before = reader.line_num
    except csv.Error as error:
        said = "a quote is never closed" if "end of data" in str(error) else str(error)
        return f"{file}: cannot be read: in what begins in line {before + 1}: {said}"
    if quoted:
        return (
            f"{file}: cannot be read: line {quoted} has a quote within a value: put such values in "
            'quotes, and write theirs twice ("")'
        )
    return ""


def _decoded(file: str) -> Iterator[str]:
    return (line.decode(errors="replace") for line in lines(file))


def _called(separator: str) -> str:
    return {",": "commas", ";": "semicolons", "\t": "tabs", "|": "bars"}[separator]
