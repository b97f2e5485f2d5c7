"""`frame.pareto`: the public functions as methods of Polars frames."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import polars as pl
from numpy.typing import ArrayLike

from paretohqd.columns import columns_of, refuse_missing, refuse_taken
from paretohqd.hypervolume import hypervolume
from paretohqd.layers import pareto_front, pareto_layers
from paretohqd.selection import select


@pl.api.register_dataframe_namespace("pareto")
class ParetoFrame:
    """Pareto layers, fronts and selections of a DataFrame.

    Objectives are column names (larger is better) or {name: "max" | "min"}; further arguments are
    those of the functions of the same name.

    Example:
        >>> import polars as pl
        >>> import paretohqd as pq
        >>> frame = pl.DataFrame({"help": [1.0, 0.75, 0.25], "safe": [0.0, 0.5, 0.25]})
        >>> frame.pareto.front(["help", "safe"]).rows()
        [(1.0, 0.0), (0.75, 0.5)]
        >>> frame.pareto.layers(["help", "safe"])["layer"].to_list()
        [0, 0, 1]
        >>> frame.pareto.hypervolume(["help", "safe"], ref=[0, 0])
        0.375
    """

    def __init__(self, frame: pl.DataFrame) -> None:
        """Polars passes the frame."""
        self._frame = frame

    def layers(
        self,
        objectives: Sequence[str] | Mapping[str, str],
        *,
        by: str | None = None,
        name: str = "layer",
        upto: int | None = None,
        at_least: int | None = None,
        n_threads: int | None = None,
    ) -> pl.DataFrame:
        """The frame with each row's Pareto layer in column `name`, within groups of `by`."""
        points, larger = columns_of(self._frame, objectives)
        refuse_taken(self._frame, [name])
        layers = pareto_layers(
            points, maximize=larger, upto=upto, at_least=at_least, groups=self._groups(by),
            n_threads=n_threads,
        )  # fmt: skip
        return self._frame.with_columns(pl.Series(name, layers))

    def front(
        self,
        objectives: Sequence[str] | Mapping[str, str],
        *,
        by: str | None = None,
        n_threads: int | None = None,
    ) -> pl.DataFrame:
        """The rows that no row dominates, within groups of `by`."""
        points, larger = columns_of(self._frame, objectives)
        groups = self._groups(by)
        mask = pareto_front(points, maximize=larger, groups=groups, n_threads=n_threads)
        return self._frame.filter(pl.Series(mask))

    def select(
        self,
        objectives: Sequence[str] | Mapping[str, str],
        preferences: int | ArrayLike = 11,
        **options: Any,
    ) -> pl.DataFrame:
        """The training set of each preference; options are those of `paretohqd.select`."""
        return select(self._frame, objectives, preferences, **options)

    def hypervolume(
        self,
        objectives: Sequence[str] | Mapping[str, str],
        *,
        ref: ArrayLike,
        n_threads: int | None = None,
    ) -> float:
        """The volume that the rows dominate above the reference point, in objectives' order."""
        points, larger = columns_of(self._frame, objectives)
        return hypervolume(points, ref=ref, maximize=larger, n_threads=n_threads)

    def _groups(self, by: str | None) -> pl.Series | None:
        if by is None:
            return None
        refuse_missing(self._frame, by, "by")
        return self._frame[by]
