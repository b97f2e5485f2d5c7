"""`frame.pareto`: the public functions as methods of Polars frames."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import polars as pl
from numpy.typing import ArrayLike

from paretohqd.hypervolume import hypervolume
from paretohqd.layers import pareto_front, pareto_layers
from paretohqd.selection import columns_of, select


@pl.api.register_dataframe_namespace("pareto")
class ParetoFrame:
    """Pareto layers, fronts and selections of a DataFrame.

    Objectives are column names (larger is better) or {name: "max" | "min"}; further arguments are
    those of the functions of the same name.

    Example:
        >>> import polars as pl
        >>> import paretohqd as pq
        >>> frame = pl.DataFrame({"help": [1.0, 0.8, 0.2], "safe": [0.0, 0.7, 0.1]})
        >>> frame.pareto.front(["help", "safe"]).rows()
        [(1.0, 0.0), (0.8, 0.7)]
        >>> frame.pareto.layers(["help", "safe"])["layer"].to_list()
        [0, 0, 1]
        >>> frame.pareto.hypervolume(["help", "safe"], ref=[0, 0])
        0.56
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
        **options: Any,
    ) -> pl.DataFrame:
        """The frame with each row's Pareto layer in column `name`, within groups of `by`."""
        points, larger = columns_of(self._frame, objectives)
        groups = None if by is None else self._frame[by]
        layers = pareto_layers(points, maximize=larger, groups=groups, **options)
        return self._frame.with_columns(pl.Series(name, layers))

    def front(
        self,
        objectives: Sequence[str] | Mapping[str, str],
        *,
        by: str | None = None,
        **options: Any,
    ) -> pl.DataFrame:
        """The rows that no row dominates, within groups of `by`."""
        points, larger = columns_of(self._frame, objectives)
        groups = None if by is None else self._frame[by]
        mask = pareto_front(points, maximize=larger, groups=groups, **options)
        return self._frame.filter(pl.Series(mask))

    def select(
        self,
        objectives: Sequence[str] | Mapping[str, str],
        preferences: int | ArrayLike = 11,
        **options: Any,
    ) -> pl.DataFrame:
        """The training set of each preference: `paretohqd.select`."""
        return select(self._frame, objectives, preferences, **options)

    def hypervolume(
        self, objectives: Sequence[str] | Mapping[str, str], *, ref: ArrayLike, **options: Any
    ) -> float:
        """The volume that the rows dominate above the reference point."""
        points, larger = columns_of(self._frame, objectives)
        return hypervolume(points, ref=ref, maximize=larger, **options)
