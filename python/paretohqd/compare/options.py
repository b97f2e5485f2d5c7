"""Options of methods as a configuration gives them: their names and values are checked early."""

from __future__ import annotations

import inspect
import math
import types
import typing
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal

from paretohqd.compare.methods import METHODS
from paretohqd.compare.methods.paretohqd import OPTIONS
from paretohqd.compare.methods.ric import MOST_ROUNDS
from paretohqd.exceptions import check_keys
from paretohqd.selection.choosing import choose
from paretohqd.trainers.ham_values import MAX_ADAPTERS

SPENDING = ("steps", "passes")
"""Options that say how long a method trains."""
WITHIN = {
    "rounds": (0, MOST_ROUNDS),
    "count": (1, MAX_ADAPTERS),
    "quantile": (0, 1),
    "low": (0, 1),
    "high": (0, 1),
}
"""The least and the largest value of some options; other numbers are above 0."""


def check_options(
    method: str, options: Mapping[str, Any], budgets: Sequence[str], where: str
) -> None:
    """Refuse what a method would not understand, before anything is trained.

    Raises:
        ValueError: an unknown option (with the nearest known one), a value of the wrong kind, out
            of range or none of those that there are, two options that exclude each other, or a
            number of steps under a matched budget.

    Example:
        >>> check_options("soups", {"corners": "RL"}, ["own"], "methods[0]")
        Traceback (most recent call last):
        ...
        ValueError: methods[0].corners: expected one of sft, rl, got 'RL'
    """
    hints = _hints(METHODS[method])
    check_keys(options, hints, f"{where} ({method})")
    for name, value in options.items():
        _check(name, hints[name], value, f"{where}.{name}")
        if name in SPENDING and "matched" in budgets:
            raise ValueError(
                f"{where}.{name}: under a matched budget the tokens say how long a method trains: "
                "set budgets: [own]"
            )
    if options.get("upto") is not None and options.get("at_least") is not None:
        raise ValueError(f"{where}: give upto or at_least, and not both")
    defaults = {p.name: p.default for p in inspect.signature(METHODS[method]).parameters.values()}
    ends = [options.get(name, defaults.get(name)) for name in ("low", "high")]
    if None not in ends and not ends[0] < ends[1]:
        raise ValueError(f"{where}: low must be below high, got {ends[0]} and {ends[1]}")


def _hints(function: Callable[..., Any]) -> dict[str, Any]:
    """Type hints of a method's options; those of selection, where it passes them on."""
    hints = typing.get_type_hints(function)
    parameters = list(inspect.signature(function).parameters.values())[1:]
    found = {p.name: hints[p.name] for p in parameters if p.kind is p.KEYWORD_ONLY}
    if len(found) < len(parameters):
        of_selection = typing.get_type_hints(choose)
        found |= {name: of_selection[name] for name in OPTIONS}
    return found


def _check(name: str, hint: Any, value: Any, where: str) -> None:
    union = typing.get_origin(hint) in (typing.Union, types.UnionType)
    kinds = typing.get_args(hint) if union else (hint,)
    if value is None and type(None) in kinds:
        return
    literals = [kind for kind in kinds if typing.get_origin(kind) is Literal]
    known = [word for kind in literals for word in typing.get_args(kind)]
    if known and value not in known:
        raise ValueError(f"{where}: expected one of {', '.join(map(str, known))}, got {value!r}")
    if str in kinds and not isinstance(value, str):
        raise ValueError(f"{where}: expected a text, got {value!r}")
    number = isinstance(value, int | float) and not isinstance(value, bool)
    whole = int in kinds and float not in kinds
    kind = "a whole number" if whole else "a number"
    right = number and (isinstance(value, int) or not whole)
    if name in WITHIN:
        least, most = WITHIN[name]
        if not right or not least <= value <= most:
            raise ValueError(f"{where}: expected {kind} from {least} to {most}, got {value!r}")
    elif whole and not (right and value >= 1):
        raise ValueError(f"{where}: expected {kind} from 1 on, got {value!r}")
    elif float in kinds and not (right and 0 < value < math.inf):
        raise ValueError(f"{where}: expected {kind} above 0, got {value!r}")
