"""The rule that an answer is JSON, by a schema if there is one."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from paretohqd.exceptions import MissingPackageError, check_keys, first_line
from paretohqd.rewards.rule import Rule, check_pattern

Scores = NDArray[np.float64]

DEEPEST = 200
"""Levels of an answer: deeper ones are no JSON here, whatever Python's stack would hold."""

LONGEST = 4000
"""Digits of a whole number; longer ones are read as decimals."""

SCHEMAS = ("additionalProperties", "items", "not", "contains", "propertyNames")
"""Keys of a schema that hold another one."""
LISTS = ("allOf", "anyOf", "oneOf", "prefixItems")
PLAIN = (
    "type", "enum", "const", "required", "minItems", "maxItems", "uniqueItems", "minContains",
    "maxContains", "minProperties", "maxProperties", "minimum", "maximum", "exclusiveMinimum",
    "exclusiveMaximum", "multipleOf", "minLength", "maxLength", "pattern",
    "title", "description", "default", "examples", "$schema", "$comment",
)  # fmt: skip
KEYS = ("properties", *SCHEMAS, *LISTS, *PLAIN)
"""The keys that are followed: those of draft 2020-12 whose checks take a time that the sizes of
schema and answer bound. References, which can repeat without end or lead elsewhere, are not."""


@dataclass(frozen=True, kw_only=True)
class Json(Rule):
    """Whether an answer is JSON and nothing else, and, with a schema, valid by it.

    NaN and infinities are no JSON. Checking by a schema needs the package jsonschema, which comes
    with the extra `train`; patterns in it are those of `Regex`.

    Attributes:
        schema: A schema of JSON Schema 2020-12, with these keys of it: `json_rule.KEYS`.

    Raises:
        ValueError: An unknown key in the schema, or what is no schema.
        MissingPackageError: A schema, and jsonschema is not installed.
    """

    kind = "json"
    name: str = "json"
    schema: Mapping[str, Any] | None = None

    def __post_init__(self) -> None:
        """Refuse a schema that cannot be used."""
        super().__post_init__()
        if self.schema is not None:
            _check_schema(self.schema, "rule:json: schema")
            _valid(json.dumps(self.schema))  # jsonschema looks at it too

    def score(self, prompts: Sequence[str], responses: Sequence[str]) -> Scores:
        """(n,) scores 0 or 1.

        Example:
            >>> Json().score(["Hi"] * 3, ['{"a": 1}', "{a: 1}", "[NaN]"])
            array([1., 0., 0.])
            >>> Json(schema={"required": ["b"]}).score(["Hi"], ['{"a": 1}'])
            array([0.])
        """
        valid = None if self.schema is None else _valid(json.dumps(self.schema))
        return np.array([_is_kept(text, valid) for text in responses], dtype=np.float64)


def _is_kept(text: str, valid: Callable[[Any], bool] | None) -> bool:
    if _is_too_deep(text):
        return False
    try:
        value = json.loads(text, parse_int=_whole, parse_constant=_refuse)
    except ValueError:
        return False
    return valid is None or valid(value)


@cache
def _valid(written: str) -> Callable[[Any], bool]:
    """What says whether a value is valid by a schema."""
    try:
        from jsonschema import Draft202012Validator, exceptions, validators
        from referencing import Registry
    except ModuleNotFoundError as error:
        raise MissingPackageError(
            "rule:json: a schema needs the package jsonschema: pip install jsonschema"
        ) from error
    schema = json.loads(written)
    try:
        Draft202012Validator.check_schema(schema)
    except exceptions.SchemaError as error:
        raise ValueError(f"rule:json: schema: {first_line(error)}") from None
    kind = validators.extend(
        Draft202012Validator, {"pattern": _pattern, "multipleOf": _multiple_of}
    )
    valid: Callable[[Any], bool] = kind(schema, registry=Registry()).is_valid
    return valid


def _check_schema(schema: object, where: str) -> None:
    """Refuse keys that are not followed, which JSON Schema itself would pass over."""
    if isinstance(schema, bool):
        return
    if not isinstance(schema, Mapping):
        raise ValueError(f"{where}: expected a schema, got {str(schema)[:60]!r}")
    check_keys(schema, KEYS, where)
    for key in SCHEMAS:
        if key in schema:
            _check_schema(schema[key], f"{where}.{key}")
    for key in LISTS:
        if isinstance(schema.get(key), list):
            for place, each in enumerate(schema[key]):
                _check_schema(each, f"{where}.{key}[{place}]")
    if isinstance(schema.get("properties"), Mapping):
        for name, each in schema["properties"].items():
            _check_schema(each, f"{where}.properties.{name}")
    if isinstance(schema.get("pattern"), str):
        check_pattern(schema["pattern"], f"{where}.pattern")


def _pattern(validator: Any, pattern: str, value: object, schema: object) -> Any:
    """The key `pattern` by an engine that never goes back, in place of Python's."""
    from jsonschema import ValidationError

    if isinstance(value, str) and not pl.Series([value]).str.contains(pattern)[0]:
        yield ValidationError(f"does not match {pattern!r}")


def _multiple_of(validator: Any, divisor: Any, value: object, schema: object) -> Any:
    """The key `multipleOf`; a number that no division of doubles holds is no multiple."""
    from jsonschema import Draft202012Validator, ValidationError

    try:
        yield from Draft202012Validator.VALIDATORS["multipleOf"](validator, divisor, value, schema)
    except (ArithmeticError, ValueError):
        yield ValidationError(f"is no multiple of {divisor}")


def _is_too_deep(text: str) -> bool:
    """Whether brackets stand deeper in each other than `DEEPEST`, as far as that can matter."""
    if text.count("[") + text.count("{") <= DEEPEST:
        return False
    depth, quoted, escaped = 0, False, False
    for mark in text:
        if quoted:
            quoted, escaped = escaped or mark != '"', mark == "\\" and not escaped
        elif mark == '"':
            quoted = True
        elif mark in "[{":
            depth += 1
            if depth > DEEPEST:
                return True
        elif mark in "]}":
            depth -= 1
    return False


def _whole(digits: str) -> int | float:
    return int(digits) if len(digits) <= LONGEST else float(digits)


def _refuse(name: str) -> None:
    raise ValueError(f"{name} is no JSON")
