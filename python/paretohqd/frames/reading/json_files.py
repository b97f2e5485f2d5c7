"""JSON that Polars cannot read, or reads wrongly, as Python, pandas and judges write it.

NaN and Infinity, which json.dumps writes; halves of emojis (lone surrogates), which Polars takes
for a null character; a byte-order mark; one array of objects instead of lines. What is not JSON is
refused, with its line.
"""

from __future__ import annotations

import io
import json
import math
import mmap
import re
from collections.abc import Iterator, Mapping
from typing import Any

import polars as pl
from polars.io.plugins import register_io_source

from paretohqd.exceptions import first_line
from paretohqd.frames.reading.schemas import column, common_type
from paretohqd.frames.reading.text_lines import lines, not_utf8

CHUNK = 1 << 24
"""Bytes of lines that Python reads at a time."""

SMALL = 1 << 16
"""Bytes of a file that is read whole to look for surrogates; larger ones are mapped."""

_SURROGATES = re.compile(
    rb"\\u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}|(\\u[dD][89a-fA-F])"
)

Record = dict[str, Any]

Positions = list[str]
"""Where each record stands in its file, for messages: "line 7" or "element 6"."""


def peek(file: str) -> tuple[bytes, bool]:
    """The first character of a file, and whether Polars would read the file wrongly.

    The character is "[" if the file holds one array instead of lines; there is none if it is blank.
    """
    with open(file, "rb") as opened:
        start = opened.read(SMALL)
        first = start.lstrip()[:1]
        if first in (b"{", b"["):
            if len(start) < SMALL:
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
    text = b"".join(lines(file))
    try:
        records = json.loads(text)
    except ValueError as error:
        raise ValueError(f"{file}: cannot be read: {_reason(error, text)}") from error
    for number, record in enumerate(records):
        if not isinstance(record, dict):
            raise ValueError(
                f"{file}: cannot be read: element {number} of its array is no object, but "
                f"{_short(record)}"
            )
    positions = [f"element {number}" for number in range(len(records))]
    records = [_repaired(record) for record in records]
    return _frame(file, positions, records, schema or _schema_of(file, positions, records))


def schema_of_lines(file: str) -> pl.Schema:
    """Names and types of the keys, from all lines.

    Raises:
        ValueError: A line is not a JSON object, or the values of a key have no type in common.
    """
    types: dict[str, pl.DataType] = {}
    for number, text in _chunks(file):
        try:
            schema = None if _has_lone_surrogate(text) else _inferred(text)
        except pl.exceptions.PolarsError:
            schema = None
        if schema is None:
            positions, records = _records(file, number, text)
            schema = _schema_of(file, positions, records)
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
    positions, records = _records(file, number, text)
    return _frame(file, positions, records, schema)


def _chunks(file: str) -> Iterator[tuple[int, bytes]]:
    """Many lines at a time, with the number of the first."""
    first, chunk, size = 1, [], 0
    for number, line in enumerate(lines(file), start=1):
        chunk.append(line)
        size += len(line)
        if size >= CHUNK:
            yield first, b"".join(chunk)
            first, chunk, size = number + 1, [], 0
    if chunk:
        yield first, b"".join(chunk)


def _records(file: str, number: int, text: bytes) -> tuple[Positions, list[Record]]:
    """The objects in lines, and where each one stands; the first line has this number."""
    positions, records = [], []
    for line_number, line in enumerate(text.split(b"\n"), start=number):
        if not line.strip():
            continue
        position = f"line {line_number}"
        try:
            record = json.loads(line.decode())
        except UnicodeDecodeError as error:
            raise not_utf8(file, line_number, error) from error
        except ValueError as error:
            reason = _reason(error, line)
            raise ValueError(f"{file}: cannot be read: {position}: {reason}") from error
        if not isinstance(record, dict):
            raise ValueError(
                f"{file}: cannot be read: {position} is no object, but {_short(record)}: each line "
                "must be one, {...}"
            )
        positions.append(position)
        records.append(_repaired(record))
    return positions, records


def _reason(error: ValueError, text: bytes) -> str:
    """What is wrong with a text that is not JSON, and what to do."""
    if isinstance(error, json.JSONDecodeError):
        # If the text is one line, the caller knows its number.
        line = f"line {error.lineno}, " if error.lineno > 1 else ""
        reason = f"{error.msg} at {line}column {error.colno}"
    else:
        reason = first_line(error)
    stripped = text.strip()
    if stripped in (b"{", b"[", b"{}"):
        return f"{reason}: one object per line is needed (json.dumps without indent)"
    if reason.startswith("Extra data") and stripped.endswith(b","):
        return f"{reason}: take away the comma at its end"
    if reason.startswith("Extra data") and b"\r" in stripped:
        return f"{reason}: its lines end with a carriage return alone: convert it (tr '\\r' '\\n')"
    return reason


def _short(value: object) -> str:
    text = json.dumps(value)
    return text if len(text) <= 40 else f"{text[:37]}..."


def _repaired(value: Any) -> Any:
    """A value with replacement characters for lone surrogates, which are no characters."""
    if isinstance(value, str):
        return value.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    if isinstance(value, list):
        return [_repaired(each) for each in value]
    if isinstance(value, dict):
        return {_repaired(key): _repaired(each) for key, each in value.items()}
    return value


def _schema_of(file: str, positions: Positions, records: list[Record]) -> pl.Schema:
    """Names and types of some records' keys."""
    _refuse_flags_among_numbers(file, positions, records)
    if not any(records):
        return pl.Schema()
    text = "\n".join(json.dumps(_finite(record)) for record in records)
    try:
        return _inferred(text.encode())
    except pl.exceptions.PolarsError as error:
        extent = f"{positions[0]} to {positions[-1]}"
        raise ValueError(f"{file}: cannot be read: {extent}: {first_line(error)}") from error


def _inferred(text: bytes) -> pl.Schema:
    if not text.strip():
        return pl.Schema()
    return pl.read_ndjson(io.BytesIO(text), infer_schema_length=None).schema


def _finite(value: Any) -> Any:
    """A value with a finite number for NaN and infinities: its type is the same, but it is JSON."""
    if isinstance(value, float):
        return value if math.isfinite(value) else 0.5
    if isinstance(value, list):
        return [_finite(each) for each in value]
    if isinstance(value, dict):
        return {key: _finite(each) for key, each in value.items()}
    return value


def _refuse_flags_among_numbers(file: str, positions: Positions, records: list[Record]) -> None:
    """Raise a ValueError if a key is true or false in one record and a number in another."""
    flags: dict[str, str] = {}
    numbers: dict[str, str] = {}
    texts: set[str] = set()
    for position, record in zip(positions, records, strict=True):
        for key, value in record.items():
            if isinstance(value, bool):
                flags.setdefault(key, position)
            elif isinstance(value, int | float):
                numbers.setdefault(key, position)
            elif value is not None:
                texts.add(key)
    for key in flags.keys() & numbers.keys() - texts:
        raise ValueError(
            f"{file}: cannot be read: key {key!r} is true or false in {flags[key]} and a number in "
            f"{numbers[key]}: write one or the other"
        )


def _frame(
    file: str, positions: Positions, records: list[Record], schema: Mapping[str, pl.DataType]
) -> pl.DataFrame:
    """Records as a frame of these types."""
    columns = []
    for name, dtype in schema.items():
        try:
            values = [_as_type(record.get(name), dtype) for record in records]
        except ValueError:
            for position, record in zip(positions, records, strict=True):
                try:
                    _as_type(record.get(name), dtype)
                except ValueError as error:
                    raise ValueError(
                        f"{file}: cannot be read: {position}: key {name!r} is {error}"
                    ) from None
        columns.append(pl.Series(name, values, dtype=dtype))
    return pl.DataFrame(columns) if columns else pl.DataFrame(height=len(records))


def _as_type(value: Any, dtype: pl.DataType) -> Any:
    """A value as one of the type that it has in common with others.

    Raises:
        ValueError: It has no such form: the message says what it is and what was expected.
    """
    if value is None or dtype == pl.Null:
        return None
    if dtype == pl.String:
        return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    if isinstance(dtype, pl.Struct) and isinstance(value, dict):
        return {each.name: _as_type(value.get(each.name), each.dtype) for each in dtype.fields}  # type: ignore[arg-type]
    if isinstance(dtype, pl.List) and isinstance(value, list):
        return [_as_type(each, dtype.inner) for each in value]  # type: ignore[arg-type]
    if isinstance(value, bool) and dtype == pl.Boolean:
        return value
    if isinstance(value, int | float) and not isinstance(value, bool) and dtype.is_numeric():
        return float(value) if dtype.is_float() else value
    raise ValueError(f"{_short(value)}, where others are {dtype}")
