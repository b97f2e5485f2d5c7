"""JSON lines that Polars cannot read, or reads wrongly, as Python, pandas and judges write them.

NaN and Infinity, which json.dumps writes; halves of emojis (lone surrogates), which Polars takes
for a null character; a byte-order mark; one array of objects instead of lines. What is no JSON is
refused with its line.
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
from paretohqd.frames.reading.text import lines

CHUNK = 1 << 24
"""Bytes of lines that are read at a time."""

SMALL = 1 << 16
"""Bytes that are read at a glance."""

_SURROGATES = re.compile(
    rb"\\u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}|(\\u[dD][89a-fA-F])"
)

Record = dict[str, Any]


def glance(file: str) -> tuple[bytes, bool]:
    """What a file begins with, and whether Polars must not read it because it would do so wrongly.

    It begins with "[" if it holds one array instead of lines, with nothing if it is blank.
    """
    with open(file, "rb") as opened:
        start = opened.read(SMALL)
        mark = start.lstrip()[:1]
        if mark in (b"{", b"["):
            if len(start) < SMALL:
                return mark, _lone_surrogate(start)
            with mmap.mmap(opened.fileno(), 0, access=mmap.ACCESS_READ) as text:
                return mark, _lone_surrogate(text)
    # It is packed, or begins with a mark of its encoding.
    mark = next((line.lstrip()[:1] for line in lines(file) if line.strip()), b"")
    return mark, any(map(_lone_surrogate, lines(file)))


def _lone_surrogate(text: bytes | mmap.mmap) -> bool:
    """Whether there is half of a pair of escapes, such as a cut emoji."""
    for found in _SURROGATES.finditer(text):
        if found[1] is None:
            continue
        # An escaped backslash before "ud83d" is no escape.
        at = found.start()
        while at and text[at - 1 : at] == b"\\":
            at -= 1
        if (found.start() - at) % 2 == 0:
            return True
    return False


def read_array(file: str, schema: Mapping[str, pl.DataType] | None = None) -> pl.DataFrame:
    """The objects of a file that holds one array of them, with the types of their values or these.

    Raises:
        ValueError: no JSON, or something else than objects in it.
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
    places = [f"element {number}" for number in range(len(records))]
    records = [_repaired(record) for record in records]
    return _frame(file, places, records, schema or _schema_of(file, places, records))


def schema_of_lines(file: str) -> pl.Schema:
    """Names and types of the keys, from all lines.

    Raises:
        ValueError: a line is no JSON object, or a key has values that have no type in common.
    """
    found: dict[str, pl.DataType] = {}
    for number, text in _chunks(file):
        try:
            schema = None if _lone_surrogate(text) else _inferred(text)
        except pl.exceptions.PolarsError:
            schema = None
        if schema is None:
            places, records = _records(file, number, text)
            schema = _schema_of(file, places, records)
        for name, dtype in schema.items():
            found[name] = common_type(found.get(name, pl.Null()), dtype) or pl.String()
    return pl.Schema(found)


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
    if not _lone_surrogate(text):
        try:
            return pl.read_ndjson(io.BytesIO(text), schema=schema).select(map(column, schema))
        except pl.exceptions.PolarsError:
            pass  # Below it is read with care.
    places, records = _records(file, number, text)
    return _frame(file, places, records, schema)


def _chunks(file: str) -> Iterator[tuple[int, bytes]]:
    """Many lines at a time, with the number of the first."""
    first, held, size = 1, [], 0
    for number, line in enumerate(lines(file), start=1):
        held.append(line)
        size += len(line)
        if size >= CHUNK:
            yield first, b"".join(held)
            first, held, size = number + 1, [], 0
    if held:
        yield first, b"".join(held)


def _records(file: str, number: int, text: bytes) -> tuple[list[str], list[Record]]:
    """The objects in lines, and where each one is."""
    places, records = [], []
    for line_number, line in enumerate(text.split(b"\n"), start=number):
        if not line.strip():
            continue
        place = f"line {line_number}"
        try:
            record = json.loads(line.decode())
        except UnicodeDecodeError as error:
            raise ValueError(
                f"{file}: cannot be read: {place}: byte {line[error.start]:#04x} at position "
                f"{error.start} is not UTF-8: save it as UTF-8 (iconv -f LATIN1 -t UTF-8)"
            ) from error
        except ValueError as error:
            raise ValueError(f"{file}: cannot be read: {place}: {_reason(error, line)}") from error
        if not isinstance(record, dict):
            raise ValueError(
                f"{file}: cannot be read: {place} is no object, but {_short(record)}: each line "
                "must be one, {...}"
            )
        places.append(place)
        records.append(_repaired(record))
    return places, records


def _reason(error: ValueError, text: bytes) -> str:
    """What is wrong with a text that is no JSON, and what to do."""
    said = ""
    if isinstance(error, json.JSONDecodeError):
        # Of one line the caller knows the number.
        line = f"line {error.lineno}, " if error.lineno > 1 else ""
        said = f"{error.msg} at {line}column {error.colno}"
    said = said or first_line(error)
    stripped = text.strip()
    if stripped in (b"{", b"[", b"{}"):
        return f"{said}: one object per line is needed (json.dumps without indent)"
    if said.startswith("Extra data") and stripped.endswith(b","):
        return f"{said}: take away the comma at its end"
    if said.startswith("Extra data") and b"\r" in stripped:
        return f"{said}: its lines end with a carriage return alone: convert it (tr '\\r' '\\n')"
    return said


def _short(value: object) -> str:
    text = json.dumps(value)
    return text if len(text) <= 40 else f"{text[:37]}..."


def _repaired(value: Any) -> Any:
    """A value whose lone surrogates, which are no characters, are replacement characters."""
    if isinstance(value, str):
        return value.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    if isinstance(value, list):
        return [_repaired(each) for each in value]
    if isinstance(value, dict):
        return {_repaired(key): _repaired(each) for key, each in value.items()}
    return value


def _schema_of(file: str, places: list[str], records: list[Record]) -> pl.Schema:
    """Names and types of some records' keys."""
    _refuse_flags_among_numbers(file, places, records)
    if not any(records):
        return pl.Schema()
    text = "\n".join(json.dumps(_finite(record)) for record in records)
    try:
        return _inferred(text.encode())
    except pl.exceptions.PolarsError as error:
        where = f"{places[0]} to {places[-1]}"
        raise ValueError(f"{file}: cannot be read: {where}: {first_line(error)}") from error


def _inferred(text: bytes) -> pl.Schema:
    if not text.strip():
        return pl.Schema()
    return pl.read_ndjson(io.BytesIO(text), infer_schema_length=None).schema


def _finite(value: Any) -> Any:
    """A value with some number in place of NaN and infinities: of the same type, but JSON."""
    if isinstance(value, float):
        return value if math.isfinite(value) else 0.5
    if isinstance(value, list):
        return [_finite(each) for each in value]
    if isinstance(value, dict):
        return {key: _finite(each) for key, each in value.items()}
    return value


def _refuse_flags_among_numbers(file: str, places: list[str], records: list[Record]) -> None:
    """Raise a ValueError if a key is true or false in one record and a number in another."""
    flags: dict[str, str] = {}
    numbers: dict[str, str] = {}
    texts: set[str] = set()
    for place, record in zip(places, records, strict=True):
        for key, value in record.items():
            if isinstance(value, bool):
                flags.setdefault(key, place)
            elif isinstance(value, int | float):
                numbers.setdefault(key, place)
            elif value is not None:
                texts.add(key)
    for key in flags.keys() & numbers.keys() - texts:
        raise ValueError(
            f"{file}: cannot be read: key {key!r} is true or false in {flags[key]} and a number in "
            f"{numbers[key]}: write one or the other"
        )


def _frame(
    file: str, places: list[str], records: list[Record], schema: Mapping[str, pl.DataType]
) -> pl.DataFrame:
    """Records as a frame of these types."""
    columns = []
    for name, dtype in schema.items():
        try:
            values = [_fitted(record.get(name), dtype) for record in records]
        except ValueError:
            for place, record in zip(places, records, strict=True):
                try:
                    _fitted(record.get(name), dtype)
                except ValueError as error:
                    raise ValueError(
                        f"{file}: cannot be read: {place}: key {name!r} is {error}"
                    ) from None
        columns.append(pl.Series(name, values, dtype=dtype))
    return pl.DataFrame(columns) if columns else pl.DataFrame(height=len(records))


def _fitted(value: Any, dtype: pl.DataType) -> Any:
    """A value as one of a type that was found for it and others.

    Raises:
        ValueError: it cannot be: what it is, and what was expected.
    """
    if value is None or dtype == pl.Null:
        return None
    if dtype == pl.String:
        return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    if isinstance(dtype, pl.Struct) and isinstance(value, dict):
        return {each.name: _fitted(value.get(each.name), each.dtype) for each in dtype.fields}  # type: ignore[arg-type]
    if isinstance(dtype, pl.List) and isinstance(value, list):
        return [_fitted(each, dtype.inner) for each in value]  # type: ignore[arg-type]
    if isinstance(value, bool) and dtype == pl.Boolean:
        return value
    if isinstance(value, int | float) and not isinstance(value, bool) and dtype.is_numeric():
        return float(value) if dtype.is_float() else value
    raise ValueError(f"{_short(value)}, where others are {dtype}")
