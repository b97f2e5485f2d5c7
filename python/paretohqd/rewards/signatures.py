"""What a function takes by name, and what reward functions are given by these names."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

TEXTS = ("prompts", "completions", "completion_ids")
"""What makes a function one that scores, and not one that makes another."""
LOGS = ("log_extra", "log_metric")
TRAINER = ("trainer_state", "environments")
"""What only a trainer has."""


@dataclass(frozen=True)
class Parameters:
    """What a function takes by name."""

    names: tuple[str, ...]
    needed: tuple[str, ...]
    """Those of them without a default."""
    all: bool
    """Whether it takes any other name too."""


def parameters(function: Callable[..., Any]) -> Parameters:
    """The names that a function takes.

    Raises:
        ValueError: It takes some by their places alone, or does not tell.

    Example:
        >>> parameters(lambda completions, limit=3, **more: 0)
        Parameters(names=('completions', 'limit'), needed=('completions',), all=True)
    """
    try:
        given = inspect.signature(function).parameters.values()
    except (TypeError, ValueError):
        raise ValueError(
            f"{called(function)} does not tell what it takes: wrap it in def"
        ) from None
    if placed := [p.name for p in given if p.kind is p.POSITIONAL_ONLY and p.default is p.empty]:
        raise ValueError(f"{called(function)} takes {listed(placed)} by place, and not by name")
    named = [p for p in given if p.kind in (p.POSITIONAL_OR_KEYWORD, p.KEYWORD_ONLY)]
    return Parameters(
        names=tuple(p.name for p in named),
        needed=tuple(p.name for p in named if p.default is p.empty),
        all=any(p.kind is p.VAR_KEYWORD for p in given),
    )


def _bare(function: Any) -> Any:
    return _bare(function.func) if isinstance(function, functools.partial) else function


def called(function: Any) -> str:
    """What a function is called."""
    bare = _bare(function)
    return str(getattr(bare, "__name__", type(bare).__name__))


def module_of(function: Any) -> str:
    """The module where a function, or the class of an object, is defined."""
    return str(getattr(_bare(function), "__module__", ""))


def listed(names: Sequence[str]) -> str:
    """Names in a message."""
    return ", ".join(names) or "nothing"
