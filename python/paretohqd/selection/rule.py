"""The rule of a selection: how many rows, of which pool, by which distance."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, TypedDict

from paretohqd.frames.streaming import Progress
from paretohqd.selection.preferences import Directions

Bounds = Literal["pool", "all"]
"""What r_min and r_max refer to: the rows of the pool, or all rows."""

Scale = Literal["box", "none"] | Sequence[float]
"""The units of the distance: those of the box, those of the scores, or one number each."""

Duplicates = Literal["keep", "drop"]
"""Whether copies of a row may be chosen too, or only the first."""

Nan = Literal["raise", "drop"]
"""Whether null and NaN scores are refused, or their rows left out."""


class RuleOptions(TypedDict, total=False):
    """The options of a selection wherever its rows are; see `paretohqd.select`."""

    k: int
    upto: int | None
    at_least: int | None
    bounds: Bounds
    scale: Scale
    directions: Directions
    distinct: str | None
    duplicates: Duplicates
    nan: Nan


class SelectOptions(RuleOptions, total=False):
    """All options of `paretohqd.select`, in a type: `**options: Unpack[SelectOptions]`."""

    by: str | Sequence[str] | None
    memory_limit: int | None
    progress: Progress | None
    n_threads: int | None
