"""JSON that Polars cannot read, or reads wrongly, as Python, pandas and judges write it.

NaN and Infinity, which json.dumps writes; halves of emojis (lone surrogates), which Polars takes
for a null character; a byte-order mark; one array of objects instead of lines. What is not JSON is
refused, with its line.
"""

from __future__ import annotations

import io
import mmap
import re
from collections.abc import Iterator, Mapping

import polars as pl
from polars.io.plugins import register_io_source

from paretohqd.frames.reading.json_records import Records, inferred_schema
from paretohqd.frames.reading.schemas import column, common_type
from paretohqd.frames.reading.text_lines import lines

CHUNK_BYTES = 1 << 24
"""Bytes of lines that Python reads at a time."""

PEEK_BYTES = 1 << 16
"""Bytes of a file that is read whole to look for surrogates; larger ones are mapped."""

_SURROGATES = re.compile(
    rb"\\u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}|(\\u[dD][89a-fA-F])"
)


def peek(file: str) -> tuple[bytes, bool]:
    """The first character of a file, and whether Polars would read the file wrongly.

    The character is "[" if the file holds one array instead of lines; there is none if it is blank.
    """
    with open(file, "rb") as opened:
        start = opened.read(PEEK_BYTES)
        first = start.lstrip()[:1]
        if first in (b"{", b"["):
            if len(start) < PEEK_BYTES:
                return first, _has_lone_surrogate(start)
            with mmap.mmap(opened.fileno(), 0, access=mmap.ACCESS_READ) as text:
                return first, _has_lone_surrogate(text)
    # The file is packed, or begins with a byte-order mark.
    first = next((line.lstrip()[:1] for line in lines(file) if line.strip()), b"")
    return first, any(map(_has_lone_surrogate, lines(file)))


def _has_lone_surrogate(text: bytes | mmap.mmap) -> bool:
    """Whether there is half of a pair of escapes, such as a cut emoji."""
    for escape in _SURROGATES.finditer(text):
        if escape[1] is None:
            continue
        # An escaped backslash before "ud83d" is no escape.
        start = escape.start()
        while start and text[start - 1 : start] == b"\\":
            start -= 1
        if (escape.start() - start) % 2 == 0:
            return True
    return False


def read_array(file: str, schema: Mapping[str, pl.DataType] | None = None) -> pl.DataFrame:
    """The objects of a file that holds one array of them, as a frame.

    Args:
        file: The file.
        schema: The columns to read; by default all keys, with the types that their values have.

    Raises:
        ValueError: The file is not JSON, or an element of the array is not an object.
    """
    records = Records.of_array(file, b"".join(lines(file)))
    return records.frame(schema or records.schema())


def schema_of_lines(file: str) -> pl.Schema:
    """Names and types of the keys, from all lines.

    Raises:
        ValueError: A line is not a JSON object, or the values of a key have no type in common.
    """
    types: dict[str, pl.DataType] = {}
    for number, text in _chunks(file):
        try:
            schema = None if _has_lone_surrogate(text) else inferred_schema(text)
        except pl.exceptions.PolarsError:
            schema = None
        if schema is None:
            schema = Records.of_lines(file, number, text).schema()
        for name, dtype in schema.items():
            types[name] = common_type(types.get(name, pl.Null()), dtype) or pl.String()
    return pl.Schema(types)


def scan_lines(file: str, schema: Mapping[str, pl.DataType]) -> pl.LazyFrame:
    """The rows of a file as these types; keys that are missing are null."""

    def read(
        columns: list[str] | None, predicate: pl.Expr | None, rows: int | None, _: int | None
    ) -> Iterator[pl.DataFrame]:
        wanted = {name: schema[name] for name in (schema if columns is None else columns)}
        for number, text in _chunks(file):
            frame = _read_chunk(file, number, text, wanted)
            frame = frame if rows is None else frame.head(rows)
            rows = None if rows is None else rows - len(frame)
            yield frame if predicate is None else frame.filter(predicate)
            if rows == 0:
                return

    return register_io_source(read, schema=dict(schema))


def _read_chunk(
    file: str, number: int, text: bytes, schema: Mapping[str, pl.DataType]
) -> pl.DataFrame:
    if not _has_lone_surrogate(text):
        try:
            return pl.read_ndjson(io.BytesIO(text), schema=schema).select(map(column, schema))
        except pl.exceptions.PolarsError:
            pass  # Python reads more, or says which line is wrong.
    return Records.of_lines(file, number, text).frame(schema)


def _chunks(file: str) -> Iterator[tuple[int, bytes]]:
    """Many lines at a time, with the number of the first."""
    first, chunk, size = 1, [], 0
    for number, line in enumerate(lines(file), start=1):
        chunk.append(line)
        size += len(line)
        if size >= CHUNK_BYTES:
            yield first, b"".join(chunk)
            first, chunk, size = number + 1, [], 0
    if chunk:
        yield first, b"".join(chunk)
