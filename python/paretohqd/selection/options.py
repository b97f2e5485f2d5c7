"""The options of functions that select, as types, for those who hand them on."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TypedDict, get_type_hints

import polars as pl

from paretohqd.frames.noise import Epsilon
from paretohqd.frames.streaming import Progress
from paretohqd.selection.preferences import Directions
from paretohqd.selection.ranks import Rank
from paretohqd.selection.rule import Bounds, Duplicates, Nan, Scale


class VariantOptions(TypedDict, total=False):
    """The options of a rule that methods of a comparison may vary, in a type."""

    upto: int | None
    at_least: int | None
    rank: Rank
    bounds: Bounds
    scale: Scale
    directions: Directions
    distinct: str | Sequence[str] | None
    duplicates: Duplicates


class RuleOptions(VariantOptions, total=False):
    """The options of `paretohqd.distributed.select`, in a type."""

    k: int
    where: pl.Expr | str | None
    epsilon: Epsilon | None
    at_most: Mapping[str, int] | None
    exclusive: bool
    diverse: str | None
    sample: int | None
    nan: Nan
    prefix: str


class SelectOptions(RuleOptions, total=False):
    """The options of `paretohqd.select`, in a type: `**options: Unpack[SelectOptions]`."""

    by: str | Sequence[str] | None
    memory_limit: int | None
    progress: Progress | None
    n_threads: int | None


def refuse_unknown(function: str, options: Mapping[str, object], known: type) -> None:
    """Raise Python's own TypeError if a function is given an option that a TypedDict does not have.

    Example:
        >>> refuse_unknown("select", {"size": 3}, SelectOptions)
        Traceback (most recent call last):
        ...
        TypeError: select() got an unexpected keyword argument 'size'
    """
    for name in options:
        if name not in get_type_hints(known):
            raise TypeError(f"{function}() got an unexpected keyword argument {name!r}")
