"""Plain values into dataclasses, strictly: what is misspelt or of the wrong kind is refused.

Nothing heavy is imported here.
"""

from __future__ import annotations

import dataclasses
import datetime
import types
import typing
from collections.abc import Mapping
from typing import Any, Literal, TypeVar

from paretohqd.exceptions import check_keys, dotted_key

Section = TypeVar("Section")

PLAIN = {int: "a whole number", float: "a number", str: "text", bool: "true or false"}


def from_mapping(kind: type[Section], value: Any, where: str = "") -> Section:
    """Build dataclass `kind` from plain values, as YAML and JSON have them.

    Args:
        kind: A dataclass whose fields are plain values, mappings, tuples or dataclasses.
        value: A mapping of field names to values; fields with defaults may be left out.
        where: The dotted key under which the mapping stands, for messages.

    Raises:
        ValueError: An unknown or a missing key, or a value of the wrong kind.

    Example:
        >>> @dataclasses.dataclass
        ... class Model:
        ...     name: str
        >>> from_mapping(Model, {"nam": "x"}, "model")
        Traceback (most recent call last):
        ValueError: unknown key model.nam: did you mean name?
    """
    if not isinstance(value, Mapping):
        raise ValueError(f"{where or 'configuration'}: expected a section, got {_said(value)}")
    fields = {f.name: f for f in dataclasses.fields(kind)}  # type: ignore[arg-type]
    check_keys(value, fields, where)
    hints = typing.get_type_hints(kind)
    for name, field in fields.items():
        optional = (field.default, field.default_factory) != (dataclasses.MISSING,) * 2
        if name not in value and not optional:
            raise ValueError(f"missing key {dotted_key(where, name)}")
    return kind(**{k: _convert(hints[k], v, dotted_key(where, k)) for k, v in value.items()})


def to_mapping(value: Any) -> Any:
    """What `from_mapping` reads: dicts, lists and plain values, which YAML and JSON can hold."""
    if dataclasses.is_dataclass(value):
        return {f.name: to_mapping(getattr(value, f.name)) for f in dataclasses.fields(value)}
    if isinstance(value, Mapping):
        return {key: to_mapping(each) for key, each in value.items()}
    return [to_mapping(each) for each in value] if isinstance(value, list | tuple) else value


def _convert(hint: Any, value: Any, where: str) -> Any:
    """Fit one YAML value to a type hint, or say what was expected."""
    origin, args = typing.get_origin(hint), typing.get_args(hint)
    if isinstance(hint, type) and dataclasses.is_dataclass(hint):
        return from_mapping(hint, value, where)
    if origin is Literal:
        # True == 1, but it is not what `stages: 1` means.
        if not any(value == arg and type(value) is type(arg) for arg in args):
            raise ValueError(
                f"{where}: expected one of {', '.join(map(str, args))}, got {_said(value)}"
            )
        return value
    if origin in (typing.Union, types.UnionType):
        if value is None and type(None) in args:
            return None
        kinds = [arg for arg in args if arg is not type(None)]
        sections = [arg for arg in kinds if typing.get_origin(arg) is Mapping]
        if sections and isinstance(value, Mapping):
            return _convert(sections[0], value, where)
        words = [arg for arg in kinds if typing.get_origin(arg) is Literal]
        if words and isinstance(value, str):
            return _convert(words[0], value, where)
        lists = [arg for arg in kinds if typing.get_origin(arg) is tuple]
        if lists and isinstance(value, list | tuple):
            return _convert(lists[0], value, where)
        if lists and not (kinds[0] in PLAIN and _is_plain(kinds[0], value)):
            wanted = f"{PLAIN[kinds[0]]} or a list" if kinds[0] in PLAIN else "a list"
            raise ValueError(f"{where}: expected {wanted}, got {_said(value)}")
        return _convert(kinds[0], value, where)
    if origin is tuple:
        if not isinstance(value, list | tuple):
            raise ValueError(f"{where}: expected a list, got {_said(value)}")
        return tuple(_convert(args[0], each, f"{where}[{i}]") for i, each in enumerate(value))
    if hint in PLAIN:
        if not _is_plain(hint, value):
            quoted = hint is str and isinstance(value, int | float | datetime.date)
            advice = ": put it in quotes" if quoted else ""
            raise ValueError(f"{where}: expected {PLAIN[hint]}, got {_said(value)}{advice}")
        return hint(value)
    if not isinstance(value, Mapping):
        raise ValueError(f"{where}: expected a section, got {_said(value)}")
    if args[1:] in ((), (Any,)):
        return dict(value)
    return {key: _convert(args[1], each, dotted_key(where, key)) for key, each in value.items()}


def _said(value: Any) -> str:
    """A value in a message, or its beginning."""
    text = repr(value)
    return text if len(text) <= 200 else f"{text[:200]}..."


def _is_plain(kind: type, value: Any) -> bool:
    """Whether a value is of the kind; a whole number is a number, but true and false are not."""
    if isinstance(value, bool):
        return kind is bool
    return isinstance(value, int | float if kind is float else kind)
