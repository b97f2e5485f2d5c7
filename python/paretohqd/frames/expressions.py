"""Layers, fronts and crowding distances as Polars expressions.

They are what `pl.map_batches` makes of the kernels: Polars hands over whole columns, or those of
one group after the other within `.over` and `.agg`. The argument `by` takes the keys into the
kernel, so that all groups are one call.
"""

from __future__ import annotations

from functools import partial
from typing import Literal

import polars as pl

from paretohqd.frames.expression_calls import ObjectiveTerms, Terms, expression
from paretohqd.kernels.crowding import crowding_distance
from paretohqd.kernels.layers import pareto_front, pareto_layers
from paretohqd.kernels.points import optional_count


def layer_expr(
    objectives: ObjectiveTerms,
    *,
    by: Terms | None = None,
    upto: int | None = None,
    at_least: int | None = None,
    nan: Literal["raise", "drop"] = "raise",
    n_threads: int | None = None,
) -> pl.Expr:
    """An expression for each row's Pareto layer.

    It stands wherever Polars takes an expression: `with_columns`, `filter`, `sort`, `.over`,
    `group_by().agg()`, of DataFrames and LazyFrames. Layers are those of the rows that it meets
    there. All of these are held in memory, in the streaming engine too; `paretohqd.layers` with a
    stop reads files of any size.

    `by="prompt"` and `.over("prompt")` give the same layers, but that null among the keys is a
    group for `.over`, and refused by `by`. Polars calls Python for every group of `.over`, and once
    for all groups of `by`, which with many small groups is many times as fast.

    Args:
        objectives: Column names or expressions, larger is better, or {name: "max" | "min"}. An
            expression is minimised by negating it, which Polars does not do to unsigned integers;
            its name in messages is that of its output. A column of fixed-size arrays stands for all
            its components.
        by: Column names or expressions, within whose values layers are counted.
        upto: Stop after this many layers; within groups, of each.
        at_least: Stop after the first layer with which this many rows are covered.
        nan: "raise" refuses null and NaN scores. "drop" gives their rows no layer, null, and counts
            the others' without them.
        n_threads: Threads; RAYON_NUM_THREADS or all cores by default.

    Returns:
        An expression named "layer", as long as its columns, Int32: 0 is the front, -1 is past the
        stop, null is what has no score. The methods are those of `paretohqd.pareto_layers`.

    Raises:
        ValueError: At once: a bad argument. When the query runs: a column that is not numeric, null
            or NaN, null among the keys of `by`. Within `.over` and `.agg` the rows in the message
            are counted within one group. A column that is missing is Polars' own error.

    Example:
        >>> import polars as pl
        >>> import paretohqd as pq
        >>> frame = pl.DataFrame(
        ...     {"prompt": ["x", "x", "y"], "help": [2, 1, 0], "length": [30, 40, 10]}
        ... )
        >>> layer = pq.layer_expr({"help": "max", "length": "min"})
        >>> frame.select(layer, layer.over("prompt").alias("within")).rows()
        [(0, 0), (1, 1), (0, 0)]
        >>> brief = -pl.col("length")
        >>> frame.filter(pq.layer_expr(["help", brief], by="prompt") == 0)["help"].to_list()
        [2, 0]
    """
    upto, at_least = optional_count("upto", upto), optional_count("at_least", at_least)
    if upto is not None and at_least is not None:
        raise ValueError(f"choose one of upto ({upto}) and at_least ({at_least}); both are stops")
    kernel = partial(pareto_layers, upto=upto, at_least=at_least, n_threads=n_threads)
    return expression("layer", pl.Int32(), kernel, objectives, by, nan, n_threads)


def front_expr(
    objectives: ObjectiveTerms,
    *,
    by: Terms | None = None,
    nan: Literal["raise", "drop"] = "raise",
    n_threads: int | None = None,
) -> pl.Expr:
    """An expression for the rows that no row dominates.

    The same as `layer_expr(...) == 0`, but layers behind the front are not numbered.

    Args:
        objectives: As for `layer_expr`.
        by: Column names or expressions, within whose values rows are compared.
        nan: "raise" refuses null and NaN scores. With "drop" their rows are null, which a filter
            leaves out, and dominate none.
        n_threads: Threads; RAYON_NUM_THREADS or all cores by default.

    Returns:
        An expression named "front", as long as its columns, Boolean.

    Raises:
        ValueError: As `layer_expr`.

    Example:
        >>> import polars as pl
        >>> import paretohqd as pq
        >>> frame = pl.LazyFrame({"help": [1.0, 0.75, 0.25], "safe": [0.0, 0.5, 0.25]})
        >>> frame.filter(pq.front_expr(["help", "safe"])).collect().rows()
        [(1.0, 0.0), (0.75, 0.5)]
    """
    kernel = partial(pareto_front, n_threads=n_threads)
    return expression("front", pl.Boolean(), kernel, objectives, by, nan, n_threads)


def crowding_expr(
    objectives: ObjectiveTerms,
    *,
    by: Terms | None = None,
    nan: Literal["raise", "drop"] = "raise",
    n_threads: int | None = None,
) -> pl.Expr:
    """An expression for each row's crowding distance (Deb et al. 2002, NSGA-II, section III-B).

    NSGA-II takes distances within layers, which are a key like any other; its order is the example.

    Args:
        objectives: As for `layer_expr`.
        by: Column names or expressions, within whose values distances are taken.
        nan: "raise" refuses null and NaN scores. With "drop" their rows have no distance, null, and
            are no neighbours of the others.
        n_threads: Threads; RAYON_NUM_THREADS or all cores by default.

    Returns:
        An expression named "crowding", as long as its columns, Float64, without a unit: infinite
        for extremes, 0 for later copies of a row; see `paretohqd.crowding_distance`.

    Raises:
        ValueError: As `layer_expr`; an infinite score.

    Example:
        >>> import polars as pl
        >>> import paretohqd as pq
        >>> frame = pl.DataFrame({"help": [0, 1, 2, 4, 1], "safe": [4, 2, 1, 0, 1]})
        >>> two = ["help", "safe"]
        >>> layer = pq.layer_expr(two)
        >>> crowding = pq.crowding_expr(two, by=layer)
        >>> ordered = frame.sort(layer, crowding, descending=[False, True])
        >>> ordered.select("help", layer, crowding).rows()
        [(0, 0, inf), (4, 0, inf), (1, 0, 1.25), (2, 0, 1.25), (1, 1, inf)]
    """
    kernel = partial(crowding_distance, n_threads=n_threads)
    return expression("crowding", pl.Float64(), kernel, objectives, by, nan, n_threads)
