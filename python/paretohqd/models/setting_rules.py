"""What may be said of a setting: followed, set by the run itself, or refused; and which values.

Nothing heavy is imported here.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import MISSING, dataclass, field, fields
from typing import Any

from paretohqd.exceptions import check_keys
from paretohqd.models import consent


@dataclass(frozen=True)
class Follow:
    """A key that has its effect."""

    kind: str
    """What the value has to be, in words."""
    is_kind: Callable[[Any], bool]
    within: str = ""
    """What more it has to be, in words; "" for nothing."""
    is_within: Callable[[Any], bool] = lambda value: True
    why: str = ""
    """Why not another value, where that is no matter of course."""
    is_unsafe: Callable[[Any], bool] = lambda value: False
    """Whether a value beyond these passes where unsafe settings do."""


@dataclass(frozen=True)
class Keys:
    """The judged keys of one trainer's settings, or of an adapter's."""

    followed: Mapping[str, Follow]
    own: Mapping[str, str]
    """Set by the run itself; what to set in its place, or ""."""
    refused: Mapping[str, str]
    """The reason: they would have no effect, or break what is built on them."""
    unsafe: Mapping[str, str] = field(default_factory=dict)
    """The reason; they pass where whoever starts the run says so."""


def is_whole(value: Any) -> bool:
    """Whether it is a whole number; true and false are none."""
    return isinstance(value, int) and not isinstance(value, bool)


def is_number(value: Any) -> bool:
    """Whether it is a number; true and false are none."""
    return isinstance(value, int | float) and not isinstance(value, bool)


def whole(low: int, *also: int) -> Follow:
    """A whole number from `low` on, or one of a few others."""
    words = f"from {low} on" + "".join(f", or {value}" for value in also)
    return Follow("a whole number", is_whole, words, lambda v: v >= low or v in also)


def number(
    low: float, high: float = math.inf, *, above: bool = False, below: bool = False
) -> Follow:
    """A finite number from `low` (or above it) to `high` (or below it)."""
    words = f"above {low:g}" if above else f"from {low:g}"
    if high < math.inf:
        words += f" and below {high:g}" if below else f" to {high:g}"
    elif not above:
        words += " on"

    def inside(value: Any) -> bool:
        enough = value > low if above else value >= low
        return math.isfinite(value) and enough and (value < high if below else value <= high)

    return Follow("a number", is_number, words, inside)


def or_none(rule: Follow) -> Follow:
    """What the rule allows, or null."""
    return Follow(
        f"{rule.kind} or null",
        lambda v: v is None or rule.is_kind(v),
        rule.within,
        lambda v: v is None or rule.is_within(v),
    )


def one_of(*values: Any, why: str = "") -> Follow:
    """One of some values; `why` says why not another."""
    words = ", ".join(str(v).lower() if isinstance(v, bool) else str(v) for v in values)
    # True == 1, but it is not what `1` means.
    return Follow(
        f"one of {words}" if len(values) > 1 else words,
        lambda v: any(v == one and type(v) is type(one) for one in values),
        why=why,
    )


def texts(value: Any) -> bool:
    """Whether it is a list of texts."""
    return isinstance(value, list | tuple | set) and all(isinstance(one, str) for one in value)


def steps_or_share(low: float, *, above: bool) -> Follow:
    """A whole number of steps, or a share of them all."""
    return Follow(
        "a number",
        is_number,
        f"{'above' if above else 'from'} {low:g}, whole, or below 1 as a share of all steps",
        lambda v: math.isfinite(v) and (v > low if above else v >= low) and (v < 1 or v == int(v)),
    )


def pattern(kind: str, value: Callable[[Any], bool]) -> Follow:
    """A section whose keys are patterns of module names."""
    return Follow(
        f"a section of module names and {kind}",
        lambda v: isinstance(v, Mapping) and all(isinstance(k, str) and value(v[k]) for k in v),
        "that are valid patterns, of few repetitions",
        lambda v: all(map(_compiles, v)),
    )


def _compiles(text: str) -> bool:
    """Whether it is a pattern that is searched quickly, whatever it is searched in.

    A group that is repeated, or one repetition after the other, may take longer than anybody waits.
    """
    bare = re.sub(r"\\.|\[[^]]*\]", "x", text)
    if re.search(r"\)[*+{]", bare) or len(re.findall(r"[*+?{]", bare)) > MOST_REPETITIONS:
        return False
    try:
        re.compile(text)
    except re.error:
        return False
    return True


MOST_REPETITIONS = 6
"""In a pattern of module names."""

PLAIN_WORDS = ("linear", "cosine", "1-sqrt")
"""What schedules call the shapes of their ends."""


def plain(value: Any) -> bool:
    """Whether it is a number, true, false, null or a word that a schedule knows."""
    return value is None or isinstance(value, bool | int | float) or value in PLAIN_WORDS


OTHER_PARALLELISM = "adapters are trained and saved by processes that hold the whole model"
"""Reason against what spreads a model over processes."""

YES_OR_NO = Follow("true or false", lambda value: isinstance(value, bool))
NAMES = Follow(
    "a module's name, a pattern or a list of names",
    lambda v: (isinstance(v, str) and v != "") or (texts(v) and bool(v) and "" not in v),
    "that is a valid pattern, of few repetitions",
    lambda v: not isinstance(v, str) or _compiles(v),
)


def for_reason(reason: str, keys: str) -> dict[str, str]:
    """Keys of which the same is to be said, with white space between them."""
    return dict.fromkeys(keys.split(), reason)


def check_judged(
    given: Mapping[str, Any], keys: Keys, defaults: Mapping[str, Any], where: str
) -> None:
    """Refuse what cannot be followed or is not safe; such a key may state its default.

    Raises:
        ValueError: An unknown key (with the nearest known one), one that the run sets itself, one
            that is refused, or not judged safe where that is not allowed (see `consent`), or a
            value that a key cannot have.

    Example:
        >>> check_judged({"r": 0}, Keys({"r": whole(1)}, {}, {}), {"r": 8}, "lora")
        Traceback (most recent call last):
        ValueError: lora.r: expected a whole number from 1 on, got 0
    """
    check_keys(given, defaults, where)
    allowed = consent.current()
    for key, value in given.items():
        if key in keys.own:
            instead = f", and set {keys.own[key]}" if keys.own[key] else ""
            raise ValueError(f"{where}.{key} is set by the run itself: leave it out{instead}")
        rule = keys.followed.get(key)
        if rule is None:
            if type(value) is type(defaults[key]) and value == defaults[key]:
                continue
            if key in keys.refused:
                reason = keys.refused[key]
                raise ValueError(f"{where}.{key} is not followed ({reason}): leave it out")
            if not allowed.lets_pass(f"{where}.{key}"):
                reason = keys.unsafe.get(key, "nobody has judged what it does")
                raise ValueError(
                    f"{where}.{key}: not a setting of a run ({reason}); {consent.ALLOWS_SETTINGS}"
                )
        elif not rule.is_kind(value):
            unsafe = rule.is_unsafe(value)
            if unsafe and allowed.lets_pass(f"{where}.{key}"):
                continue
            why = f" ({rule.why})" if rule.why else ""
            hint = f"; {consent.ALLOWS_SETTINGS}" if unsafe else ""
            raise ValueError(f"{where}.{key}: expected {rule.kind}, got {value!r}{why}{hint}")
        elif not rule.is_within(value):
            raise ValueError(f"{where}.{key}: expected {rule.kind} {rule.within}, got {value!r}")


@contextmanager
def named(where: str) -> Iterator[None]:
    """Say whose settings a library refuses."""
    try:
        yield
    except (ValueError, TypeError, ImportError, KeyError, AttributeError) as error:
        raise ValueError(f"{where}: {' '.join(str(error).split())}") from error


def defaults_of(config: type) -> dict[str, Any]:
    """Each key of a class of settings, and its default."""
    return {
        f.name: f.default if f.default_factory is MISSING else f.default_factory()
        for f in fields(config)
        if f.init
    }
