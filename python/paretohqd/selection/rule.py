"""The rule of a selection: how many rows, of which pool, by which distance."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, TypedDict, get_args, get_type_hints

import numpy as np
from numpy.typing import NDArray

from paretohqd.frames.streaming import Progress
from paretohqd.kernels.points import count, optional_count
from paretohqd.selection.preferences import Directions
from paretohqd.selection.ranks import Rank

Bounds = Literal["pool", "all"] | Sequence[Sequence[float]]
"""What r_min and r_max refer to: the rows of the pool, all rows, or these two points themselves."""

Scale = Literal["box", "none"] | Sequence[float]
"""The units of the distance: those of the box, those of the scores, or one number each."""

Duplicates = Literal["keep", "drop"]
"""Whether copies of a row may be chosen too, or only the first."""

Nan = Literal["raise", "drop"]
"""Whether null and NaN scores are refused, or their rows left out."""


@dataclass(frozen=True, kw_only=True)
class Rule:
    """How the rows of each preference are chosen, whatever the frame: checked once, passed whole.

    Two rules make the same selection of the same rows if they are the same; what the work may take
    is no part of it (`Resources`).

    Attributes:
        k: Rows per preference; with `by`, at most, in each group.
        upto: The pool is this many layers.
        at_least: The pool is the fewest layers that hold this many rows.
        rank: By what rows are ranked; all but "ray" look at all rows, and know no pool.
        bounds: What r_min and r_max refer to.
        scale: The units of the distance.
        directions: Which way the rays run.
        distinct: A column of which each preference gets no value twice.
        duplicates: Whether copies of a row may be chosen too.
        by: One or more columns within whose values rows are chosen.
        nan: Whether null and NaN scores are refused, or their rows left out.

    Raises:
        ValueError: A number below 1, two stops, or a word that is none of those there are.

    Example:
        >>> Rule(k=10, upto=2, at_least=30)
        Traceback (most recent call last):
        ...
        ValueError: choose one of upto (2) and at_least (30); both are stops
    """

    k: int = 100
    upto: int | None = None
    at_least: int | None = None
    rank: Rank = "ray"
    bounds: Bounds = "pool"
    scale: Scale = "box"
    directions: Directions = "paper"
    distinct: str | None = None
    duplicates: Duplicates = "keep"
    by: str | Sequence[str] | None = None
    nan: Nan = "raise"

    def __post_init__(self) -> None:
        """Refuse rules by which no frame could be chosen from."""
        counts = {
            "k": count("k", self.k),
            "upto": optional_count("upto", self.upto),
            "at_least": optional_count("at_least", self.at_least),
        }
        for name, number in counts.items():
            object.__setattr__(self, name, number)
        if self.upto is not None and self.at_least is not None:
            raise ValueError(
                f"choose one of upto ({self.upto}) and at_least ({self.at_least}); both are stops"
            )
        _one_of("rank: expected", self.rank, Rank)
        if self.rank != "ray" and not self.grows:
            stop = "upto" if self.upto is not None else "at_least"
            raise ValueError(
                f"{stop}: rank={self.rank!r} chooses from all rows, not from a pool: leave it out"
            )
        if self.rank == "achievement" and not (isinstance(self.scale, str) and self.scale == "box"):
            raise ValueError(
                "scale: rank='achievement' goes down a ray, which has no units: leave it out"
            )
        if self.rank in ("sum", "ideal") and self.directions != "paper":
            raise ValueError(
                f"directions: rank={self.rank!r} takes the weights themselves: leave it out"
            )
        if self.bounds not in ("pool", "all"):
            object.__setattr__(self, "bounds", _two_points(self.bounds))
        _one_of("directions: expected", self.directions, Directions)
        _one_of("duplicates: expected", self.duplicates, Duplicates)
        _one_of("nan must be", self.nan, Nan)
        if self.by is not None and self.distinct is not None:
            raise ValueError("distinct cannot be combined with by: each group is chosen from alone")

    @property
    def grows(self) -> bool:
        """Whether the pool grows until it serves its purpose, as no stop is given."""
        return self.upto is None and self.at_least is None

    def units(self, m: int) -> NDArray[np.float64] | None:
        """What one unit of the distance is in each of m objectives, shape (m,); None: its box.

        Raises:
            ValueError: `scale` is neither "box", "none" nor m numbers above 0.

        Example:
            >>> Rule(scale="none").units(3)
            array([1., 1., 1.])
        """
        if isinstance(self.scale, str) and self.scale == "box":
            return None
        if isinstance(self.scale, str) and self.scale == "none":
            return np.ones(m)
        try:
            sizes = np.asarray(self.scale, dtype=np.float64)
        except (TypeError, ValueError):
            sizes = np.zeros(0)
        if sizes.shape != (m,) or not (np.isfinite(sizes) & (sizes > 0)).all():
            raise ValueError(
                f"scale: expected 'box', 'none' or {m} numbers above 0, got {self.scale!r}"
            )
        return sizes

    def box(self, larger: Sequence[bool], names: Sequence[str]) -> Box | None:
        """The reference points that are given, larger being better in each objective.

        Args:
            larger: Whether larger is better in each objective, as `bounds` is written.
            names: The objectives.

        Returns:
            r_min and r_max, (M,) each; None where they are those of rows.

        Raises:
            ValueError: They are not M finite numbers each, or r_max is not better in an objective.

        Example:
            >>> Rule(bounds=[(0, 9), (1, 3)]).box([True, False], ["help", "length"])
            (array([ 0., -9.]), array([ 1., -3.]))
        """
        if isinstance(self.bounds, str):
            return None
        ends = [np.array(end) for end in self.bounds]
        if any(end.shape != (len(names),) or not np.isfinite(end).all() for end in ends):
            raise ValueError(
                f"bounds: expected r_min and r_max of {len(names)} finite numbers each, got "
                f"{self.bounds!r}"
            )
        for name, worst, best, up in zip(names, *ends, larger, strict=True):
            if not (worst < best if up else worst > best):
                raise ValueError(
                    f"bounds: {name}: r_max must be {'above' if up else 'below'} r_min, got r_min "
                    f"{worst:g} and r_max {best:g}"
                )
        low, high = (np.where(larger, end, -end) for end in ends)
        if not np.isfinite(high - low).all():
            raise ValueError("bounds: r_min and r_max are further apart than doubles can hold")
        return low, high


Box = tuple[NDArray[np.float64], NDArray[np.float64]]
"""r_min and r_max."""


def _one_of(what: str, value: object, words: object) -> None:
    """Raise a ValueError if a value is none of a Literal's words."""
    known = get_args(words)
    if not isinstance(value, str) or value not in known:
        others = ", ".join(map(repr, known[:-1]))
        raise ValueError(f"{what} {others} or {known[-1]!r}, got {value!r}")


def _two_points(value: object) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """r_min and r_max as plain numbers, so that rules can be compared and kept."""
    try:
        low, high = (tuple(float(x) for x in end) for end in value)  # type: ignore[attr-defined]
    except (TypeError, ValueError):
        raise ValueError(
            f"bounds: expected 'pool', 'all' or two points (r_min and r_max), got {value!r}"
        ) from None
    return low, high


class VariantOptions(TypedDict, total=False):
    """The options of a rule that methods of a comparison may vary, in a type."""

    upto: int | None
    at_least: int | None
    rank: Rank
    bounds: Bounds
    scale: Scale
    directions: Directions
    distinct: str | None
    duplicates: Duplicates


class RuleOptions(VariantOptions, total=False):
    """The options of `paretohqd.distributed.select`, in a type."""

    k: int
    nan: Nan


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
