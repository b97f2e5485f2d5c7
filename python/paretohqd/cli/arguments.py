"""What the command line's arguments mean."""

from __future__ import annotations

from argparse import ArgumentTypeError
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from paretohqd.selection.rule import Bounds

UNITS = {"": 1, "k": 10**3, "m": 10**6, "g": 10**9, "t": 10**12}


def positive(text: str) -> int:
    """A whole number of at least 1."""
    if not text.isdecimal() or int(text) < 1:
        raise ArgumentTypeError(f"expected a whole number of at least 1, got {text!r}")
    return int(text)


def size(text: str) -> int:
    """Bytes, with or without a unit.

    Example:
        >>> size("1.5GB"), size("800M"), size("4096")
        (1500000000, 800000000, 4096)
    """
    number = text.strip().lower().removesuffix("b").rstrip()
    unit = number[-1:] if number[-1:] in UNITS else ""
    try:
        count = int(float(number.removesuffix(unit)) * UNITS[unit])
    except (ValueError, OverflowError):
        count = 0
    if count < 1:
        raise ArgumentTypeError(f"expected a size such as 1.5GB or 800MB, got {text!r}")
    return count


def names(text: str) -> list[str]:
    """Names of columns: "prompt" or "prompt,source"."""
    columns = [part.strip() for part in text.split(",")]
    if not all(columns):
        raise ArgumentTypeError(f"an empty name in {text!r}")
    return columns


def one_or_more(text: str) -> str | list[str]:
    """A name, or names of columns: "prompt" or "prompt,source"."""
    columns = names(text)
    return columns if len(columns) > 1 else columns[0]


def seed(text: str) -> int:
    """A whole number from 0 on."""
    if not text.isdecimal():
        raise ArgumentTypeError(f"expected a whole number from 0 on, got {text!r}")
    return int(text)


def quotas(text: str) -> dict[str, int]:
    """How many rows of one value: "prompt=1,source=20".

    Example:
        >>> quotas("prompt=1,source=20")
        {'prompt': 1, 'source': 20}
    """
    return {name: positive(number) for name, number in _each_once(text).items()}


def epsilon(text: str) -> float | dict[str, float]:
    """The noise of all objectives, or of some: "0.5" or "help=0.5,harm=1".

    Example:
        >>> epsilon("0.5"), epsilon("help=0.5,harm=1")
        (0.5, {'help': 0.5, 'harm': 1.0})
    """
    if "=" not in text:
        return _number(text)
    return {name: _number(number) for name, number in _each_once(text).items()}


def _each_once(text: str) -> dict[str, str]:
    """Numbers by the names before them."""
    parts = [_named(part, text) for part in names(text)]
    values = dict(parts)
    if len(values) < len(parts):
        raise ArgumentTypeError(f"a name twice in {text!r}")
    return values


def _named(part: str, text: str) -> tuple[str, str]:
    name, equals, value = part.rpartition("=")
    if not (name.strip() and equals and value.strip()):
        raise ArgumentTypeError(f"expected NAME=NUMBER, several with commas, got {text!r}")
    return name.strip(), value.strip()


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        raise ArgumentTypeError(f"expected a number, got {text!r}") from None


def bounds(text: str) -> Bounds:
    """Which rows reference points come from, or r_min and r_max themselves.

    Example:
        >>> bounds("all"), bounds("0,0:1,10")
        ('all', [[0.0, 0.0], [1.0, 10.0]])
    """
    if text in ("pool", "all"):
        return text  # type: ignore[return-value]
    try:
        ends = [[float(number) for number in end.split(",")] for end in text.split(":")]
    except ValueError:
        ends = []
    if len(ends) != 2:
        raise ArgumentTypeError(
            f"expected pool, all, or r_min and r_max such as 0,0:1,10, got {text!r}"
        )
    return ends


def objectives(text: str) -> dict[str, str]:
    """Names with an optional direction.

    Example:
        >>> objectives("helpful,length:min")
        {'helpful': 'max', 'length': 'min'}
    """
    directions: dict[str, str] = {}
    for part in names(text):
        name, colon, direction = part.rpartition(":")
        if not colon or direction not in ("min", "max"):
            name, direction = part, "max"
        if not name:
            raise ArgumentTypeError(f"an empty name in {text!r}")
        if name in directions:
            raise ArgumentTypeError(f"{name} is named twice")
        directions[name] = direction
    return directions


Row = list[float] | dict[str, float]


def preferences(text: str) -> int | list[Row] | dict[str, Row]:
    """How many, or weights, in the objectives' order or by their names; these may have names too.

    Example:
        >>> preferences("11"), preferences("1,0;0.5,0.5"), preferences("kind=0.2,0.8")
        (11, [[1.0, 0.0], [0.5, 0.5]], {'kind': [0.2, 0.8]})
        >>> preferences("brief=helpful:7,harmless:3")
        {'brief': {'helpful': 7.0, 'harmless': 3.0}}
    """
    if text.strip().isdecimal():
        return positive(text.strip())
    rows = [row.rpartition("=") for row in text.split(";")]
    try:
        weights = [_weights(row) for _, _, row in rows]
    except ValueError:
        raise ArgumentTypeError(
            "expected a number, or weights such as '1,0;0,1', 'kind=0.2,0.8' or "
            f"'kind=helpful:1,harmless:3', got {text!r}"
        ) from None
    given = [name.strip() for name, _, _ in rows]
    if not any(given):
        return weights
    if not all(given) or len(set(given)) < len(given):
        raise ArgumentTypeError(f"name every preference, none twice, or none at all: {text!r}")
    return dict(zip(given, weights, strict=True))


def _weights(text: str) -> Row:
    """Weights of one preference: "0.2,0.8" or "helpful:1,harmless:4".

    Raises:
        ValueError: Neither, or an objective that is named twice.
    """
    parts = [part.rpartition(":") for part in text.split(",")]
    if not any(colon for _, colon, _ in parts):
        return [float(number) for _, _, number in parts]
    weights = {name.strip(): float(number) for name, _, number in parts}
    if "" in weights or len(weights) < len(parts):
        raise ValueError
    return weights


def pair(text: str) -> tuple[str, str]:
    """A name and a value."""
    name, equals, value = text.partition("=")
    if not equals or not name:
        raise ArgumentTypeError(f"expected a name, =, and a value, got {text!r}")
    return name, value
