"""Selection on several machines: Ray Data runs the parts, a tree of tasks merges them exactly.

Each task keeps the first L layers of its part; eight such states at a time are merged into one
until one is left, and what follows is what `paretohqd.select` does. The first L layers of a union
lie within the union of the parts' first L layers, so the answer does not depend on the division,
on the order in which tasks finish, or on tasks that are run again because a machine was lost.

For scoring and generation on several machines see `score` and `generate`, which are here too.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

import polars as pl

from paretohqd.distributed.actors import generate, score
from paretohqd.distributed.cluster import ray
from paretohqd.distributed.merging import PartSpec
from paretohqd.distributed.parts import Blocks, Files
from paretohqd.frames.first_layers import FirstLayers
from paretohqd.frames.objectives import ObjectiveColumns, ObjectivesLike, column
from paretohqd.frames.sources import Source
from paretohqd.selection.pool import Pool
from paretohqd.selection.pooling import Stop, last_layer, pool_of
from paretohqd.selection.preferences import Directions, Preferences
from paretohqd.selection.request import Request
from paretohqd.selection.result import Selection
from paretohqd.selection.rule import Duplicates

__all__ = ["choose", "generate", "score", "select"]

SAMPLE = 1 << 18
"""Rows at the beginning that tell how many layers `at_least` may need."""


def select(
    data: object,
    objectives: ObjectivesLike | str,
    preferences: Preferences = None,
    *,
    k: int = 100,
    upto: int | None = None,
    at_least: int | None = None,
    bounds: Literal["pool", "all"] = "pool",
    scale: Literal["box", "none"] | Sequence[float] = "box",
    directions: Directions = "paper",
    distinct: str | None = None,
    duplicates: Duplicates = "keep",
    nan: Literal["raise", "drop"] = "raise",
) -> pl.DataFrame:
    """Choose a training set for each preference as `paretohqd.select` does, on a Ray cluster.

    Args:
        data: A Parquet file, a folder, a pattern or a list of files that all machines can read
            under the same name; or a `ray.data.Dataset`. Of files only scores (and `distinct`)
            are read, and other columns for the chosen rows alone. Of a Dataset whole blocks are
            read, and all columns of rows in the first layers travel: use `select_columns` before,
            if there are columns that you do not need.
        objectives: As for `paretohqd.select`, as are the further arguments.
        k: Rows per preference.
        upto: The pool is this many layers.
        at_least: The pool is the fewest layers that hold this many rows; P * k by default. The
            parts keep as many layers as hold twice that of the first 262,144 rows; should these not
            suffice, as in rows sorted by score, all are read again and twice the layers are kept.
        bounds: r_min and r_max over the "pool" or over "all" rows.
        scale: Units of the distance.
        directions: Which way the rays run.
        distinct: A column of which each preference gets no value twice.
        duplicates: "drop" leaves copies out; their texts are then read for all rows.
        nan: "raise" refuses null and NaN scores, "drop" leaves such rows out.

    Returns:
        What `paretohqd.select` gives for all rows in one frame: the same rows in the same order,
        with the same bytes. Rows are numbered in the order of the files, each from its first row to
        its last; those of a Dataset in the order of its blocks, which is that of its input
        (`preserve_order` is set while it runs). A Dataset whose own steps depend on chance or on
        timing has no such order: write it to files first.

    Raises:
        ValueError: As `paretohqd.select`. For null, NaN and infinite scores in files: the first
            file that has any, how many of them, and the first one's row in that file. All parts
            are read before it is raised.
        ImportError: Ray is not installed.

    Example:
        chosen = distributed.select("/data/scored/*.parquet", ["helpful", "harmless"], k=100)
    """
    return choose(
        data,
        objectives,
        preferences,
        k=k,
        upto=upto,
        at_least=at_least,
        bounds=bounds,
        scale=scale,
        directions=directions,
        distinct=distinct,
        duplicates=duplicates,
        nan=nan,
    ).rows


def choose(
    data: object,
    objectives: ObjectivesLike | str,
    preferences: Preferences = None,
    *,
    k: int = 100,
    upto: int | None = None,
    at_least: int | None = None,
    bounds: Literal["pool", "all"] = "pool",
    scale: Literal["box", "none"] | Sequence[float] = "box",
    directions: Directions = "paper",
    distinct: str | None = None,
    duplicates: Duplicates = "keep",
    nan: Literal["raise", "drop"] = "raise",
) -> Selection:
    """As `select`, but return the pool, its layers, the bounds and the overlap with the rows."""
    rows = Blocks.of(data) if isinstance(data, ray.data.Dataset) else Files.of(data)
    source = rows.source
    asked = Request.of(
        source.schema,
        objectives,
        preferences,
        k=k,
        bounds=bounds,
        scale=scale,
        directions=directions,
        duplicates=duplicates,
    )
    asked.scores.refuse_absent(source.absent)
    stop = asked.stop(source.names, upto=upto, at_least=at_least, distinct=distinct, nan=nan)
    pool, kept = _pool(rows, asked.scores, objectives, stop)
    return asked.selection(
        pool,
        lambda places: rows.gather(pool.row[places], kept[places]),
        scores=asked.scores.numbers(source.frame),
        n_threads=None,
    )


def _pool(
    rows: Files | Blocks, scores: ObjectiveColumns, objectives: Any, stop: Stop
) -> tuple[Pool, pl.DataFrame]:
    """The pool of all rows, and its rows' columns as far as they have travelled.

    Raises:
        ValueError: scores that cannot be traded, or null keys.
    """
    # What is no number, and options that are none, are refused before anything is read.
    FirstLayers(objectives, upto=stop.upto, at_least=stop.at_least, nan=stop.nan).add(
        pl.DataFrame(schema=rows.source.schema)
    )
    limit = stop.upto or _guess(rows.source, scores, objectives, stop)
    while True:
        want = PartSpec(
            scores=scores,
            objectives=objectives,
            upto=limit,
            distinct=stop.distinct,
            copies=stop.copies,
            nan=stop.nan,
        )
        state = rows.first_layers(want)
        if state.whole or last_layer(state, scores, stop) is not None:
            return pool_of(state, scores, stop)
        limit *= 2


def _guess(source: Source, scores: ObjectiveColumns, objectives: Any, stop: Stop) -> int:
    """Layers that hold twice `at_least` of the first rows.

    Of more rows fewer layers are needed, where the first ones are like the others; twice is for
    chance. (Twice the layers would be far more rows where each layer is larger than the last.)
    """
    columns = [column(name) for name in scores.columns]
    head = source.collect(source.frame.lazy().select(columns).head(SAMPLE))
    state = FirstLayers(objectives, at_least=2 * (stop.at_least or 1), nan="drop").add(head)
    return max(1, state.needed())
