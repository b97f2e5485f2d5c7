"""`frame.pareto`: the functions on frames as methods of Polars' DataFrame and LazyFrame."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

import polars as pl
from numpy.typing import ArrayLike

from paretohqd.frames import functions
from paretohqd.frames.objectives import ObjectivesLike
from paretohqd.selection.choosing import select
from paretohqd.selection.preference_rows import rows_and_names
from paretohqd.selection.preferences import Preferences
from paretohqd.selection.request import added_types


@pl.api.register_lazyframe_namespace("pareto")
@pl.api.register_dataframe_namespace("pareto")
class ParetoFrame:
    """Pareto layers, fronts, rays and selections of a DataFrame or LazyFrame.

    Objectives are column names (larger is better) or {name: "max" | "min"}; further arguments are
    those of the functions of the same name. A LazyFrame gives LazyFrames, which are computed, in
    batches, when they are collected or sunk.

    Example:
        >>> import polars as pl
        >>> import paretohqd as pq
        >>> frame = pl.DataFrame({"help": [1.0, 0.75, 0.25], "safe": [0.0, 0.5, 0.25]})
        >>> frame.pareto.front(["help", "safe"]).rows()
        [(1.0, 0.0), (0.75, 0.5)]
        >>> frame.lazy().pareto.layers(["help", "safe"]).collect()["layer"].to_list()
        [0, 0, 1]
        >>> frame.pareto.hypervolume(["help", "safe"], ref=[0, 0])
        0.375
    """

    def __init__(self, frame: pl.DataFrame | pl.LazyFrame) -> None:
        """Polars passes the frame."""
        self._frame = frame

    def layers(
        self,
        objectives: ObjectivesLike | str,
        *,
        by: str | Sequence[str] | None = None,
        name: str = "layer",
        upto: int | None = None,
        at_least: int | None = None,
        nan: Literal["raise", "drop"] = "raise",
        n_threads: int | None = None,
    ) -> Any:
        """The frame with each row's Pareto layer in column `name`, within groups of `by`."""
        return functions.layers(
            self._frame,
            objectives,
            by=by,
            name=name,
            upto=upto,
            at_least=at_least,
            nan=nan,
            n_threads=n_threads,
        )

    def front(
        self,
        objectives: ObjectivesLike | str,
        *,
        by: str | Sequence[str] | None = None,
        nan: Literal["raise", "drop"] = "raise",
        n_threads: int | None = None,
    ) -> Any:
        """The rows that no row dominates, within groups of `by`."""
        return functions.front(self._frame, objectives, by=by, nan=nan, n_threads=n_threads)

    def select(
        self,
        objectives: ObjectivesLike | str,
        preferences: Preferences = None,
        **options: Any,
    ) -> Any:
        """The training set of each preference; options are those of `paretohqd.select`."""
        if isinstance(self._frame, pl.DataFrame):
            return select(self._frame, objectives, preferences, **options)
        added = added_types(named=rows_and_names(preferences)[1] is not None)
        return pl.defer(
            lambda: select(self._frame, objectives, preferences, **options),
            schema=lambda: pl.Schema({**self._frame.collect_schema(), **added}),
        )

    def hypervolume(
        self, objectives: ObjectivesLike | str, *, ref: ArrayLike, n_threads: int | None = None
    ) -> float:
        """The volume that the rows dominate above the reference point, in objectives' order."""
        return functions.volume(self._frame, objectives, ref=ref, n_threads=n_threads)

    def rays(
        self,
        objectives: ObjectivesLike | str,
        origin: ArrayLike,
        through: ArrayLike,
        *,
        k: int,
        n_threads: int | None = None,
    ) -> Any:
        """The k rows nearest to each ray; see `paretohqd.nearest_to_rays`."""
        return functions.rays(self._frame, objectives, origin, through, k=k, n_threads=n_threads)
