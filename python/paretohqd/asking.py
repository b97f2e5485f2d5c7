"""What is asked of a selection, checked before any row is read; and the answer, put together."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, Self

import polars as pl
from numpy.typing import ArrayLike

from paretohqd.columns import Named, Scores, refuse_missing, refuse_taken
from paretohqd.objectives import count
from paretohqd.pools.pool import Floats, Nearest, Pool, Rows, row_numbers
from paretohqd.pools.pooling import Stop
from paretohqd.preferences import (
    Directions,
    preference_names,
    preference_weights,
    ray_weights,
)
from paretohqd.selected import Selection

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
class Asked:
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
    """

    scores: Scores
    weights: Floats
    names: tuple[str, ...] | None
    k: int
    bounds: Literal["pool", "all"]
    scale: Any
    directions: Directions
    through: Floats

    @classmethod
    def of(
        cls,
        schema: Mapping[str, pl.DataType],
        objectives: Named | str,
        preferences: int | ArrayLike | Mapping[str, Sequence[float]],
        *,
        k: int,
        bounds: Literal["pool", "all"],
        scale: Any,
        directions: Directions,
    ) -> Self:
        """Check what is asked of rows with these columns.

        Raises:
            ValueError: see `paretohqd.select`.
        """
        k = count("k", k)
        if bounds not in ("pool", "all"):
            raise ValueError(f"bounds: expected 'pool' or 'all', got {bounds!r}")
        scores = Scores.of(schema, objectives)
        scores.require_two()
        weights = preference_weights(preferences, len(scores.names))
        through = ray_weights(weights, directions)
        names = preference_names(preferences)
        refuse_taken(schema, added_types(named=names is not None))
        return cls(
            scores=scores, weights=weights, names=names, k=k, bounds=bounds, scale=scale,
            directions=directions, through=through,
        )  # fmt: skip

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
        """How many layers make the pool; by default those that hold P * k rows.

        Raises:
            ValueError: two stops, or no such column.
        """
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
        return Selection(
            rows=_long(chosen, pool, nearest, self.weights, self.names),
            weights=self.weights,
            objectives=pool.objectives(),
            pool=pool.frame(),
            r_min=pool.in_input_units(r_min),
            r_max=pool.in_input_units(r_max),
            n=pool.rows,
            scores=scores,
            names=self.names,
            by=by,
            directions=self.directions,
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
