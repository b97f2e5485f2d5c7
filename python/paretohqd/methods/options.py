"""Options of methods as a configuration gives them: their names and values are checked early."""

from __future__ import annotations

import inspect
import math
import types
import typing
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal

from paretohqd.methods import METHODS
from paretohqd.methods.paretohqd import OPTIONS
from paretohqd.selection import choose
from paretohqd.strict import check_keys

SPENDING = ("steps", "passes")
"""Options that say how long a method trains."""
MAY_BE_0 = ("rounds",)


def check_options(
    method: str, options: Mapping[str, Any], budgets: Sequence[str], where: str
) -> None:
    """Refuse what a method would not understand, before anything is trained.

    Raises:
        ValueError: an unknown option (with the nearest known one), a value of the wrong kind or
            none of those that there are, or a number of steps under a matched budget.

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
    number = isinstance(value, int | float) and not isinstance(value, bool)
    if int in kinds and float not in kinds:
        least = 0 if name in MAY_BE_0 else 1
        if not number or not isinstance(value, int) or value < least:
            raise ValueError(f"{where}: expected a whole number from {least} on, got {value!r}")
    elif float in kinds and not (number and 0 < value < math.inf):
        raise ValueError(f"{where}: expected a number above 0, got {value!r}")
