"""JSON objects that Python parsed, with where each one stands, as a frame."""

from __future__ import annotations

import io
import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import polars as pl

from paretohqd.exceptions import first_line
from paretohqd.frames.reading.text_lines import not_utf8


@dataclass(frozen=True, eq=False)
class Records:
    """Objects of a file.

    Attributes:
        file: The file, for messages.
        objects: The objects, without lone surrogates.
        positions: Where each one stands: "line 7" or "element 6".
    """

    file: str
    objects: list[dict[str, Any]]
    positions: list[str]

    @classmethod
    def of_lines(cls, file: str, number: int, text: bytes) -> Records:
        """Parse lines of a file, the first of which has this number.

        Raises:
            ValueError: A line is not UTF-8, not JSON, or not an object.
        """
        positions, objects = [], []
        for line_number, line in enumerate(text.split(b"\n"), start=number):
            if not line.strip():
                continue
            position = f"line {line_number}"
            try:
                value = json.loads(line.decode())
            except UnicodeDecodeError as error:
                raise not_utf8(file, line_number, error) from error
            except ValueError as error:
                reason = _reason(error, line)
                raise ValueError(f"{file}: cannot be read: {position}: {reason}") from error
            if not isinstance(value, dict):
                raise ValueError(
                    f"{file}: cannot be read: {position} is no object, but {_short(value)}: each "
                    "line must be one, {...}"
                )
            positions.append(position)
            objects.append(_repaired(value))
        return cls(file, objects, positions)

    @classmethod
    def of_array(cls, file: str, text: bytes) -> Records:
        """Parse the text of a file that holds one array.

        Raises:
            ValueError: The text is not JSON, or an element of the array is not an object.
        """
        try:
            values: Sequence[Any] = json.loads(text)
        except ValueError as error:
            raise ValueError(f"{file}: cannot be read: {_reason(error, text)}") from error
        for number, value in enumerate(values):
            if not isinstance(value, dict):
                raise ValueError(
                    f"{file}: cannot be read: element {number} of its array is no object, but "
                    f"{_short(value)}"
                )
        positions = [f"element {number}" for number in range(len(values))]
        return cls(file, [_repaired(value) for value in values], positions)

    def schema(self) -> pl.Schema:
        """Names and types of all keys.

        Raises:
            ValueError: The values of a key have no type in common.
        """
        self._refuse_flags_among_numbers()
        if not any(self.objects):
            return pl.Schema()
        text = "\n".join(json.dumps(_finite(each)) for each in self.objects)
        try:
            return inferred_schema(text.encode())
        except pl.exceptions.PolarsError as error:
            extent = f"{self.positions[0]} to {self.positions[-1]}"
            raise ValueError(
                f"{self.file}: cannot be read: {extent}: {first_line(error)}"
            ) from error

    def frame(self, schema: Mapping[str, pl.DataType]) -> pl.DataFrame:
        """The objects as rows with these columns; keys that are missing are null.

        Raises:
            ValueError: A value has no form in its column's type.
        """
        columns = []
        for name, dtype in schema.items():
            values = []
            for position, each in zip(self.positions, self.objects, strict=True):
                try:
                    values.append(_as_type(each.get(name), dtype))
                except ValueError as error:
                    raise ValueError(
                        f"{self.file}: cannot be read: {position}: key {name!r} is {error}"
                    ) from None
            columns.append(pl.Series(name, values, dtype=dtype))
        return pl.DataFrame(columns) if columns else pl.DataFrame(height=len(self.objects))

    def _refuse_flags_among_numbers(self) -> None:
        """Raise a ValueError if a key is true or false in one object and a number in another."""
        flags: dict[str, str] = {}
        numbers: dict[str, str] = {}
        others: set[str] = set()
        for position, each in zip(self.positions, self.objects, strict=True):
            for key, value in each.items():
                if isinstance(value, bool):
                    flags.setdefault(key, position)
                elif isinstance(value, int | float):
                    numbers.setdefault(key, position)
                elif value is not None:
                    others.add(key)
        # With other values among them, all become text.
        for key in flags.keys() & numbers.keys() - others:
            raise ValueError(
                f"{self.file}: cannot be read: key {key!r} is true or false in {flags[key]} and a "
                f"number in {numbers[key]}: write one or the other"
            )


def inferred_schema(text: bytes) -> pl.Schema:
    """Names and types of the keys in lines of JSON that Polars can read."""
    if not text.strip():
        return pl.Schema()
    return pl.read_ndjson(io.BytesIO(text), infer_schema_length=None).schema


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


def _finite(value: Any) -> Any:
    """A value with a finite number for NaN and infinities: its type is the same, but it is JSON."""
    if isinstance(value, float):
        return value if math.isfinite(value) else 0.5
    if isinstance(value, list):
        return [_finite(each) for each in value]
    if isinstance(value, dict):
        return {key: _finite(each) for key, each in value.items()}
    return value


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
