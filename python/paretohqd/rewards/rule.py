"""What rules share: their options, which are checked, and patterns that cannot take long."""

from __future__ import annotations

import types
import typing
from collections.abc import Mapping, Sequence
from dataclasses import asdict, fields
from typing import Any, ClassVar

import numpy as np
import polars as pl
from numpy.typing import NDArray

Scores = NDArray[np.float64]

KINDS = {
    int: "a whole number",
    float: "a number",
    str: "text",
    bool: "true or false",
    Mapping: "a section",
}


class Rule:
    """What rules share."""

    name: str
    kind: ClassVar[str]
    version: ClassVar[int] = 1
    """Part of what scores depend on: raised when the rule's scores change."""

    def __post_init__(self) -> None:
        """Refuse options of another kind."""
        check_kinds(self, f"rule:{self.kind}")

    def manifest(self) -> dict[str, Any]:
        """Kind, options and version."""
        options = asdict(self)  # type: ignore[call-overload]
        del options["name"]
        given = {"name": self.name, "kind": f"rule:{self.kind}", "options": options}
        return given | {"version": self.version, "packages": {}}


def check_kinds(rule: Any, where: str) -> None:
    """Refuse options of another kind than their fields have.

    Args:
        rule: A dataclass of plain values and mappings.
        where: What to name in the message.

    Raises:
        ValueError: The first such option.
    """
    hints = typing.get_type_hints(type(rule))
    for field in fields(rule):
        value, hint = getattr(rule, field.name), hints[field.name]
        kinds = typing.get_args(hint) if isinstance(hint, types.UnionType) else (hint,)
        if value is None and type(None) in kinds:
            continue
        wanted = [typing.get_origin(kind) or kind for kind in kinds if kind is not type(None)]
        if not any(_is(value, kind) for kind in wanted):
            raise ValueError(
                f"{where}: {field.name}: expected {KINDS[wanted[0]]}, got {str(value)[:60]!r}"
            )


def _is(value: object, kind: type) -> bool:
    """Whether a value is of a kind; a whole number is a number, but true and false are not."""
    if isinstance(value, bool):
        return kind is bool
    return isinstance(value, int | float if kind is float else kind)


def check_pattern(pattern: str, where: str) -> None:
    """Refuse what Polars cannot take as a pattern.

    Raises:
        ValueError: Such a text, with what is wrong with it.
    """
    try:
        holds([""], pattern)
    except pl.exceptions.PolarsError as error:
        reason = " ".join(str(error).split())
        raise ValueError(
            f"{where}: {pattern[:60]!r} is none that can be used ({reason[-200:]}); look-around "
            "and references back are not known"
        ) from None


def holds(texts: Sequence[str], pattern: str) -> Scores:
    """(n,) 1 for each text in which a pattern is found, else 0."""
    column = pl.Series(list(texts), dtype=pl.String)
    return column.str.contains(pattern).cast(pl.Float64).to_numpy()
