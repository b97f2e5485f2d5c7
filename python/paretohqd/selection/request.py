"""What is asked of the rows of a frame: a rule, objectives and preferences that fit its columns."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, Self

import numpy as np
import polars as pl
from numpy.typing import NDArray

from paretohqd.frames.condition import Condition
from paretohqd.frames.keys import key_columns, refuse_null_keys
from paretohqd.frames.noise import noise_of
from paretohqd.frames.objectives import (
    ObjectiveColumns,
    ObjectivesLike,
    refuse_missing,
    refuse_taken,
)
from paretohqd.frames.sources import Source
from paretohqd.kernels.groups import group_ids
from paretohqd.selection.copies import copy_columns
from paretohqd.selection.narrowing import check_embeddings
from paretohqd.selection.preferences import Preferences, Weights, preference_weights, ray_weights
from paretohqd.selection.rule import Box, Rule
from paretohqd.selection.taking import Quota

Floats = NDArray[np.float64]

ADDED = ("preference", "weights", "position", "distance", "layer", "row")
"""Columns that a selection adds to the input's own, and `preference_name` if there are names."""

_TYPES: dict[str, Any] = {
    "preference": pl.Int32,
    "preference_name": pl.String,
    "weights": pl.List(pl.Float64),
    "position": pl.Int32,
    "distance": pl.Float64,
    "layer": pl.Int32,
    "row": pl.UInt32,
}


def added_types(*, named: bool, prefix: str = "") -> dict[str, Any]:
    """The columns that a selection adds, and their types."""
    return {f"{prefix}{name}": kind for name, kind in _TYPES.items() if named or name in ADDED}


def asked_as(rule: Rule, name: str) -> str:
    """The option that sets the quota of a column, for messages."""
    return "at_most" if name in (rule.at_most or {}) else "distinct"


@dataclass(frozen=True, eq=False, kw_only=True)
class Request:
    """A rule with the objectives and preferences it is for, checked before any row is read.

    Attributes:
        rule: How rows are chosen.
        scores: The objectives among the columns.
        preferences: The preferences, and their names if they have any.
        through: (P, M) further points of the rays, in units of the box.
        units: (M,) what one unit of the distance is in each objective; None: its box.
        box: r_min and r_max, if they are given; larger is better.
        noise: (M,) differences below which count for nothing; None: every difference counts.
        keys: Columns within whose values rows are chosen; None: all together.
        copies: The columns in which copies are equal; none if these cannot be compared.
        reach: How often a pool within several quotas was found too small.
    """

    rule: Rule
    scores: ObjectiveColumns
    preferences: Weights
    through: Floats
    units: Floats | None
    box: Box | None
    noise: Floats | None
    keys: tuple[str, ...] | None
    copies: tuple[str, ...]
    reach: int = 0

    @classmethod
    def of(
        cls,
        source: Source,
        objectives: ObjectivesLike | str,
        preferences: Preferences,
        rule: Rule,
    ) -> Self:
        """Check a request on rows with a source's columns.

        Raises:
            ValueError: See `paretohqd.choose`.
        """
        schema = source.schema
        scores = ObjectiveColumns.of(schema, objectives)
        scores.require_two()
        weights = preference_weights(preferences, scores.names)
        refuse_taken(schema, added_types(named=weights.names is not None, prefix=rule.prefix))
        copies = copy_columns(schema, scores.columns)
        if rule.duplicates == "drop" and not copies:
            raise ValueError(
                "duplicates='drop': a column holds Python objects, which cannot be compared: cast "
                "it, or leave it out"
            )
        scores.refuse_absent(source.absent)
        for name in rule.quotas:
            refuse_missing(schema, name, asked_as(rule, name))
        if rule.diverse is not None:
            check_embeddings(schema, rule.diverse)
        if isinstance(rule.where, Condition):
            rule.where.check(schema)
            scores = replace(scores, where=rule.where)
        return cls(
            rule=rule,
            scores=scores,
            preferences=weights,
            through=ray_weights(weights.values, rule.directions),
            units=rule.units(len(scores.names)),
            box=rule.box(scores.larger, scores.names),
            noise=noise_of(rule.epsilon, scores.names),
            keys=None if rule.by is None else tuple(key_columns(schema, rule.by)),
            copies=copies,
        )

    @property
    def at_least(self) -> int | None:
        """Rows that the layers of the pool hold at least; by default P * k.

        Where rows are ranked among all, the pool is what reference points come from: the front.
        """
        if self.rule.rank != "ray":
            return 1
        return len(self.through) * self.rule.k if self.rule.grows else self.rule.at_least

    @property
    def left_out(self) -> tuple[str, ...]:
        """Columns in which copies are equal, of which only the first can be chosen."""
        return self.copies if self.rule.duplicates == "drop" else ()

    @property
    def filled(self) -> list[str]:
        """Columns besides the scores that are needed and must hold a value in each row."""
        return list(self.rule.quotas)

    @property
    def others(self) -> list[str]:
        """Others that are needed, whatever they hold."""
        return list(dict.fromkeys([*self.left_out, *self.scores.asked]))

    @property
    def needed(self) -> int:
        """Rows within the quotas that a pool must hold, taken layer by layer.

        Within one quota nobody goes short then, whatever the order. Within c quotas a set that
        cannot be added to has at least 1 / c of the rows of the largest one (Korte and Hausmann
        1978): somebody may go short, and a pool with twice as many is tried.
        """
        others = len(self.through) - 1 if self.rule.exclusive else 0
        return self.rule.k * ((1 << self.reach) + others)

    def further(self) -> Self:
        """The same, of a pool with twice as many rows within the quotas."""
        return replace(self, reach=self.reach + 1)

    def quotas(self, frame: pl.DataFrame) -> tuple[Quota, ...]:
        """The quotas of a frame's rows.

        Raises:
            ValueError: A value is null or NaN.
        """
        if not self.rule.quotas:
            return ()
        inside = self.scores.inside(frame)
        quotas = []
        for name, most in self.rule.quotas.items():
            refuse_null_keys(frame[name], asked_as(self.rule, name), inside)
            ids = np.zeros(len(frame), dtype=np.uint32)
            counted = frame[name] if inside is None else frame[name][inside]
            ids[slice(None) if inside is None else inside] = group_ids(counted, len(counted))[0]
            quotas.append(Quota(ids, most))
        return tuple(quotas)
