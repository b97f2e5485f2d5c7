"""CSV and TSV: what Polars would read wrongly without a word, and where a file is broken."""

from __future__ import annotations

import csv
from collections.abc import Iterator

from paretohqd.reading.text import lines, undecodable


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
