"""The rule of a selection: how many rows, of which pool, by which distance."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal, get_args

import numpy as np
import polars as pl
from numpy.typing import NDArray

from paretohqd.frames.condition import Condition
from paretohqd.frames.noise import Epsilon
from paretohqd.kernels.points import count, iterates, numbers, optional_count
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

AMONG = 4
"""How many times k rows are looked at where not simply the first k are chosen."""


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
        where: A condition; rows that do not meet it are as if they were not there.
        epsilon: In each objective, differences below this are noise, by which no row is better.
        distinct: One or more columns of which each preference gets no value twice.
        at_most: How many rows with the same value of a column each preference may get.
        exclusive: Whether a row serves one preference at most.
        diverse: A column of embeddings by which k rows far apart are chosen among the best 4 k.
        sample: The seed by which k rows are drawn among the best 4 k, better ones more often.
        duplicates: Whether copies of a row may be chosen too.
        by: One or more columns within whose values rows are chosen.
        nan: Whether null and NaN scores are refused, or their rows left out.
        prefix: What the names of the added columns begin with.

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
    where: Condition | pl.Expr | str | None = None
    epsilon: Epsilon | None = None
    distinct: str | Sequence[str] | None = None
    at_most: Mapping[str, int] | None = None
    exclusive: bool = False
    diverse: str | None = None
    sample: int | None = None
    duplicates: Duplicates = "keep"
    by: str | Sequence[str] | None = None
    nan: Nan = "raise"
    prefix: str = ""

    def __post_init__(self) -> None:
        """Refuse rules by which no frame could be chosen from."""
        for name in ("scale", "epsilon", "by"):
            # What the caller does to a list or mapping later is no concern of this rule.
            given = getattr(self, name)
            if isinstance(given, list | dict):
                object.__setattr__(self, name, given.copy())
            elif isinstance(given, np.ndarray):  # of which no two can be compared
                object.__setattr__(self, name, given.tolist())
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
        if not isinstance(self.bounds, str) or self.bounds not in ("pool", "all"):
            object.__setattr__(self, "bounds", _two_points(self.bounds))
        _one_of("directions: expected", self.directions, Directions)
        _one_of("duplicates: expected", self.duplicates, Duplicates)
        _one_of("nan must be", self.nan, Nan)
        if self.where is not None:
            object.__setattr__(self, "where", Condition.of(self.where))
        if self.distinct is not None and not isinstance(self.distinct, str):
            object.__setattr__(self, "distinct", _names("distinct", self.distinct))
        if self.at_most is not None:
            object.__setattr__(self, "at_most", _quotas(self.at_most))
        for name in self._distinct:
            if name in (self.at_most or {}):
                raise ValueError(f"at_most: {name!r} is among distinct too, which is at most 1")
        if self.epsilon is not None and self.rank != "ray":
            raise ValueError(
                f"epsilon: rank={self.rank!r} knows no layers, in which it lets noise pass: leave "
                "it out"
            )
        if not isinstance(self.exclusive, bool | np.bool_):
            raise ValueError(f"exclusive must be True or False, got {self.exclusive!r}")
        if not isinstance(self.prefix, str):
            raise ValueError(f"prefix must be text, got {self.prefix!r}")
        self._check_choice()

    def _check_choice(self) -> None:
        """Refuse ways to choose among the best rows that are none, or are two."""
        if self.diverse is not None and self.sample is not None:
            raise ValueError(
                "choose one of diverse and sample: both say which of the best rows are taken"
            )
        if self.diverse is not None and not isinstance(self.diverse, str):
            raise ValueError(f"diverse must be the name of a column, got {self.diverse!r}")
        if self.sample is not None:
            seed = self.sample
            if isinstance(seed, bool) or not isinstance(seed, int | np.integer) or seed < 0:
                raise ValueError(f"sample must be a seed, a whole number from 0 on, got {seed!r}")
            object.__setattr__(self, "sample", int(seed))

    @property
    def _distinct(self) -> tuple[str, ...]:
        if self.distinct is None:
            return ()
        return (self.distinct,) if isinstance(self.distinct, str) else tuple(self.distinct)

    @property
    def quotas(self) -> dict[str, int]:
        """How many rows with the same value each preference may get, by column.

        Example:
            >>> Rule(distinct="prompt", at_most={"source": 20}).quotas
            {'prompt': 1, 'source': 20}
        """
        return {**dict.fromkeys(self._distinct, 1), **(self.at_most or {})}

    @property
    def plain(self) -> Rule:
        """The same without what keeps a preference from its first rows: all in order."""
        return replace(
            self, distinct=None, at_most=None, exclusive=False, diverse=None, sample=None
        )

    @property
    def wanted(self) -> int:
        """How many rows a preference is offered, of which it gets k."""
        return self.k if self.diverse is None and self.sample is None else AMONG * self.k

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
            sizes = numbers(self.scale)
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
        with np.errstate(over="ignore"):
            spans = high - low
        if not np.isfinite(spans).all():
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


def _names(what: str, value: object) -> tuple[str, ...]:
    """Names of columns, each once."""
    names = tuple(value) if iterates(value) and not isinstance(value, Mapping) else ()
    if not names or not all(isinstance(name, str) for name in names):
        raise ValueError(f"{what}: expected the name of a column, or several, got {value!r}")
    return tuple(dict.fromkeys(map(str, names)))


def _quotas(value: object) -> dict[str, int]:
    """Columns and how many rows of one value are allowed."""
    if not isinstance(value, Mapping) or not value:
        raise ValueError(
            f"at_most: expected {{column: how many}}, such as {{'prompt': 1}}, got {value!r}"
        )
    for name in value:
        if not isinstance(name, str):
            raise ValueError(f"at_most: expected the name of a column, got {name!r}")
    for name, most in value.items():
        count(f"at_most: {name}", most)
    return {name: min(int(most), sys.maxsize) for name, most in value.items()}


def _two_points(value: object) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """r_min and r_max as plain numbers, so that rules can be compared and kept."""
    try:
        if isinstance(value, str | pl.DataFrame) or not iterates(value):
            raise TypeError
        low, high = (tuple(numbers(end).tolist()) for end in value)
    except (TypeError, ValueError):
        raise ValueError(
            f"bounds: expected 'pool', 'all' or two points (r_min and r_max), got {value!r}"
        ) from None
    return low, high
