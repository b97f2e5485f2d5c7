"""What is asked of a selection, checked before any row is read; and the answer, put together."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Literal, Self

import polars as pl

from paretohqd.frames.batches import row_numbers
from paretohqd.frames.objectives import (
    ObjectiveColumns,
    ObjectivesLike,
    refuse_missing,
    refuse_taken,
)
from paretohqd.kernels.points import count, optional_count
from paretohqd.selection.copies import copy_columns
from paretohqd.selection.pool import Floats, Nearest, Pool, Rows
from paretohqd.selection.pooling import Stop
from paretohqd.selection.preferences import Directions, Preferences, preference_weights, ray_weights
from paretohqd.selection.result import Selection
from paretohqd.selection.rule import Duplicates
from paretohqd.selection.same_rows import warn_of_the_same_rows

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
    """The preferences, what they trade, and how many rows each gets.

    Attributes:
        scores: The objectives among the columns.
        weights: (P, M) preferences.
        names: Their names, if they have any.
        k: Rows per preference.
        bounds: What r_min and r_max refer to.
        scale: The units of the distance.
        directions: Which way the rays run.
        through: (P, M) further points of the rays, in units of the box.
        duplicates: Whether copies may be chosen.
        copies: The columns in which copies are equal.
    """

    scores: ObjectiveColumns
    weights: Floats
    names: tuple[str, ...] | None
    k: int
    bounds: Literal["pool", "all"]
    scale: Any
    directions: Directions
    through: Floats
    duplicates: Duplicates
    copies: tuple[str, ...]

    @classmethod
    def of(
        cls,
        schema: Mapping[str, pl.DataType],
        objectives: ObjectivesLike | str,
        preferences: Preferences,
        *,
        k: int,
        bounds: Literal["pool", "all"],
        scale: Any,
        directions: Directions,
        duplicates: Duplicates,
    ) -> Self:
        """Check what is asked of rows with these columns.

        Raises:
            ValueError: see `paretohqd.select`.
        """
        k = count("k", k)
        if bounds not in ("pool", "all"):
            raise ValueError(f"bounds: expected 'pool' or 'all', got {bounds!r}")
        if duplicates not in ("keep", "drop"):
            raise ValueError(f"duplicates: expected 'keep' or 'drop', got {duplicates!r}")
        scores = ObjectiveColumns.of(schema, objectives)
        scores.require_two()
        asked = preference_weights(preferences, scores.names)
        weights, names = asked.values, asked.names
        refuse_taken(schema, added_types(named=names is not None))
        copies = copy_columns(schema, scores.columns)
        if duplicates == "drop" and not copies:
            raise ValueError(
                "duplicates='drop': a column holds Python objects, which cannot be compared: cast "
                "it, or leave it out"
            )
        return cls(
            scores=scores,
            weights=weights,
            names=names,
            k=k,
            bounds=bounds,
            scale=scale,
            directions=directions,
            through=ray_weights(weights, directions),
            duplicates=duplicates,
            copies=copies,
        )

    def stop(
        self,
        columns: Iterable[str],
        *,
        upto: int | None,
        at_least: int | None,
        distinct: str | None,
        nan: Literal["raise", "drop"],
        n_threads: int | None = None,
    ) -> Stop:
        """How many layers make the pool; by default those that hold P * k rows, and a box.

        Raises:
            ValueError: two stops, one below 1, or no such column.
        """
        upto, at_least = optional_count("upto", upto), optional_count("at_least", at_least)
        if upto is not None and at_least is not None:
            raise ValueError(
                f"choose one of upto ({upto}) and at_least ({at_least}); both are stops"
            )
        if distinct is not None:
            refuse_missing(columns, distinct, "distinct")
        grow = upto is None and at_least is None
        return Stop(
            upto=upto,
            at_least=len(self.weights) * self.k if grow else at_least,
            distinct=distinct,
            different=self.k if grow else None,
            copies=self.copies if self.duplicates == "drop" else (),
            nan=nan,
            n_threads=n_threads,
        )

    def selection(
        self,
        pool: Pool,
        rows: Callable[[Rows], pl.DataFrame],
        *,
        scores: pl.LazyFrame | None,
        n_threads: int | None,
    ) -> Selection:
        """Choose from a pool; `rows` gives those at some places of it.

        Raises:
            ValueError: there are not k rows to choose, or a ray would have no direction.
        """
        nearest, r_min, r_max = pool.choose(
            self.through, k=self.k, bounds=self.bounds, scale=self.scale, n_threads=n_threads
        )
        return self.answer(pool, rows(nearest.places), nearest, r_min, r_max, scores=scores)

    def answer(
        self,
        pool: Pool,
        chosen: pl.DataFrame,
        nearest: Nearest,
        r_min: Floats,
        r_max: Floats,
        *,
        scores: pl.LazyFrame | None,
        by: tuple[str, ...] | None = None,
    ) -> Selection:
        """The chosen rows with all that was found; r_min and r_max are larger-is-better here."""
        warn_of_the_same_rows(nearest, self.weights, pool, grouped=by is not None)
        return Selection(
            rows=_long(chosen, pool, nearest, self.weights, self.names),
            preferences=self.weights,
            objectives=pool.objectives(),
            pool=pool.frame(),
            r_min=pool.in_input_units(r_min),
            r_max=pool.in_input_units(r_max),
            n_rows=pool.rows,
            scores=scores,
            preference_names=self.names,
            by=by,
            directions=self.directions,
            duplicates=self.duplicates,
            copy_columns=self.copies,
            left_out=pool.copies,
            dropped_rows=pool.rows - pool.usable,
            dropped=dict(pool.dropped),
        )


def _long(
    chosen: pl.DataFrame,
    pool: Pool,
    nearest: Nearest,
    weights: Floats,
    names: tuple[str, ...] | None,
) -> pl.DataFrame:
    """The chosen rows and what a selection adds."""
    preference = nearest.preference
    named = [] if names is None else [pl.Series("preference_name", names).gather(preference)]
    return chosen.with_columns(
        pl.Series("preference", preference),
        *named,
        pl.Series("weights", weights.tolist(), dtype=pl.List(pl.Float64)).gather(preference),
        pl.Series("position", nearest.position),
        pl.Series("distance", nearest.distances),
        pl.Series("layer", pool.layer[nearest.places]),
        row_numbers(pool.row[nearest.places], pool.rows),
    )
