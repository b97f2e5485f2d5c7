"""`frame.pareto`: the functions on frames as methods of Polars' DataFrame and LazyFrame."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Generic, Literal, TypeVar, Unpack, overload

import polars as pl
from numpy.typing import ArrayLike

from paretohqd.frames import functions, near_rows, volumes
from paretohqd.frames.achievement import achievement
from paretohqd.frames.functions import Frame
from paretohqd.frames.objectives import ObjectivesLike
from paretohqd.selection.choosing import choose, select
from paretohqd.selection.options import SelectOptions
from paretohqd.selection.preference_rows import rows_and_names
from paretohqd.selection.preferences import Preferences
from paretohqd.selection.request import added_types
from paretohqd.selection.result import Selection
from paretohqd.selection.rule import Rule

F = TypeVar("F", pl.DataFrame, pl.LazyFrame)


class Pareto(Generic[F]):
    """Pareto layers, fronts, rays and selections of a DataFrame or LazyFrame: `frame.pareto`.

    Objectives are column names (larger is better) or {name: "max" | "min"}; further arguments are
    those of the functions of the same name. A DataFrame gives DataFrames; a LazyFrame gives
    LazyFrames, which are computed, in batches, when they are collected or sunk (`choose` and a
    `hypervolume` of all rows are computed at once).

    Type checkers do not know the namespaces that packages add to Polars' frames. `Pareto(frame)` is
    the same object as `frame.pareto`, with types; so are the functions of `paretohqd`.

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
        >>> Pareto(frame).choose(["help", "safe"], preferences=3, k=1)[0]["row"].to_list()
        [0]
    """

    def __init__(self, frame: F) -> None:
        """Take a frame; Polars passes it where this is `frame.pareto`."""
        self._frame: F = frame

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
    ) -> F:
        """The frame with each row's Pareto layer in a column; see `paretohqd.layers`."""
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
    ) -> F:
        """The rows that no row dominates, within groups of `by`; see `paretohqd.front`."""
        return functions.front(self._frame, objectives, by=by, nan=nan, n_threads=n_threads)

    def select(
        self,
        objectives: ObjectivesLike | str,
        preferences: Preferences = None,
        **options: Unpack[SelectOptions],
    ) -> F:
        """The training set of each preference; see `paretohqd.select`.

        Args:
            objectives: Column names (larger is better), or {name: "max" | "min"}.
            preferences: How many, or their weights.
            options: Those of `paretohqd.choose`: k, upto, at_least, rank, bounds, scale,
                directions, where, epsilon, distinct, at_most, exclusive, diverse, sample,
                duplicates, by, nan, prefix, memory_limit, progress, n_threads.
        """
        return _selected(self._frame, objectives, preferences, **options)

    def choose(
        self,
        objectives: ObjectivesLike | str,
        preferences: Preferences = None,
        **options: Unpack[SelectOptions],
    ) -> Selection:
        """The training sets with what they were made from; see `paretohqd.choose`.

        Args:
            objectives: Column names (larger is better), or {name: "max" | "min"}.
            preferences: How many, or their weights.
            options: Those of `paretohqd.choose`, as for `select`.
        """
        return choose(self._frame, objectives, preferences, **options)

    @overload
    def hypervolume(
        self,
        objectives: ObjectivesLike | str,
        *,
        ref: ArrayLike,
        by: None = None,
        n_threads: int | None = None,
    ) -> float: ...

    @overload
    def hypervolume(
        self,
        objectives: ObjectivesLike | str,
        *,
        ref: ArrayLike,
        by: str | Sequence[str],
        n_threads: int | None = None,
    ) -> F: ...

    def hypervolume(
        self,
        objectives: ObjectivesLike | str,
        *,
        ref: ArrayLike,
        by: str | Sequence[str] | None = None,
        n_threads: int | None = None,
    ) -> float | F:
        """The volume that the rows dominate above the reference point, in objectives' order.

        Args:
            objectives: Column names (larger is better), or {name: "max" | "min"}.
            ref: A value per objective, in the columns' units.
            by: Columns within whose values a volume is computed: a frame with one row per group,
                its keys and `hypervolume`.
            n_threads: Threads; RAYON_NUM_THREADS or all cores by default.

        Example:
            >>> import polars as pl
            >>> import paretohqd as pq
            >>> frame = pl.DataFrame({"kind": ["a", "b", "a"], "x": [3, 1, 1], "y": [1, 2, 2]})
            >>> frame.pareto.hypervolume(["x", "y"], ref=[0, 0], by="kind").rows()
            [('a', 4.0), ('b', 2.0)]
        """
        if by is None:
            return volumes.volume(self._frame, objectives, ref=ref, n_threads=n_threads)
        return volumes.volume(self._frame, objectives, ref=ref, by=by, n_threads=n_threads)

    def rays(
        self,
        objectives: ObjectivesLike | str,
        origin: ArrayLike,
        through: ArrayLike,
        *,
        k: int,
        n_threads: int | None = None,
    ) -> F:
        """The k rows nearest to each ray; see `paretohqd.rays`."""
        return near_rows.rays(self._frame, objectives, origin, through, k=k, n_threads=n_threads)

    def achievement(
        self,
        objectives: ObjectivesLike | str,
        ideal: ArrayLike | None,
        directions: ArrayLike,
        *,
        k: int,
        by: str | Sequence[str] | None = None,
        n_threads: int | None = None,
    ) -> F:
        """The k rows of least achievement for each preference; see `paretohqd.achievement`."""
        return achievement(
            self._frame, objectives, ideal, directions, k=k, by=by, n_threads=n_threads
        )


@overload
def _selected(
    frame: pl.DataFrame,
    objectives: ObjectivesLike | str,
    preferences: Preferences,
    **options: Unpack[SelectOptions],
) -> pl.DataFrame: ...


@overload
def _selected(
    frame: pl.LazyFrame,
    objectives: ObjectivesLike | str,
    preferences: Preferences,
    **options: Unpack[SelectOptions],
) -> pl.LazyFrame: ...


def _selected(
    frame: Frame,
    objectives: ObjectivesLike | str,
    preferences: Preferences,
    **options: Unpack[SelectOptions],
) -> Frame:
    """The training sets, at once or, of a LazyFrame, when they are collected."""
    if isinstance(frame, pl.DataFrame):
        return select(frame, objectives, preferences, **options)
    prefix = Rule(prefix=options.get("prefix", "")).prefix
    added = added_types(named=rows_and_names(preferences)[1] is not None, prefix=prefix)
    return pl.defer(
        lambda: select(frame, objectives, preferences, **options),
        schema=lambda: pl.Schema({**frame.collect_schema(), **added}),
    )


pl.api.register_dataframe_namespace("pareto")(Pareto)
pl.api.register_lazyframe_namespace("pareto")(Pareto)
