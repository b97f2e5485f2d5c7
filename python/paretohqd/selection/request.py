"""What is asked of the rows of a frame: a rule, objectives and preferences that fit its columns."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Self

import numpy as np
import polars as pl
from numpy.typing import NDArray

from paretohqd.frames.keys import key_columns
from paretohqd.frames.objectives import (
    ObjectiveColumns,
    ObjectivesLike,
    refuse_missing,
    refuse_taken,
)
from paretohqd.frames.sources import Source
from paretohqd.selection.copies import copy_columns
from paretohqd.selection.preferences import Preferences, Weights, preference_weights, ray_weights
from paretohqd.selection.rule import Box, Rule

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


def added_types(*, named: bool) -> dict[str, Any]:
    """The columns that a selection adds, and their types."""
    return {name: kind for name, kind in _TYPES.items() if named or name in ADDED}


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
        keys: Columns within whose values rows are chosen; None: all together.
        copies: The columns in which copies are equal; none if these cannot be compared.
    """

    rule: Rule
    scores: ObjectiveColumns
    preferences: Weights
    through: Floats
    units: Floats | None
    box: Box | None
    keys: tuple[str, ...] | None
    copies: tuple[str, ...]

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
        refuse_taken(schema, added_types(named=weights.names is not None))
        copies = copy_columns(schema, scores.columns)
        if rule.duplicates == "drop" and not copies:
            raise ValueError(
                "duplicates='drop': a column holds Python objects, which cannot be compared: cast "
                "it, or leave it out"
            )
        scores.refuse_absent(source.absent)
        if rule.distinct is not None:
            refuse_missing(schema, rule.distinct, "distinct")
        return cls(
            rule=rule,
            scores=scores,
            preferences=weights,
            through=ray_weights(weights.values, rule.directions),
            units=rule.units(len(scores.names)),
            box=rule.box(scores.larger, scores.names),
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
        return [] if self.rule.distinct is None else [self.rule.distinct]
