"""Selection on several machines: Ray Data runs the parts, a tree of tasks merges them exactly.

Each task keeps the first L layers of its part; eight such states at a time are merged into one
until one is left, and what follows is what `paretohqd.select` does. The first L layers of a union
lie within the union of the parts' first L layers, so the answer does not depend on the division,
on the order in which tasks finish, or on tasks that are run again because a machine was lost.

For scoring and generation on several machines see `score` and `generate`, which are here too.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from inspect import signature
from typing import Unpack

import polars as pl

from paretohqd.distributed.actors import generate
from paretohqd.distributed.cluster import ray, stay_here
from paretohqd.distributed.merging import PartSpec
from paretohqd.distributed.parts import Blocks, Files
from paretohqd.distributed.scoring_actors import score
from paretohqd.frames.kept_layers import KeptLayers
from paretohqd.frames.noise import Epsilon
from paretohqd.frames.objectives import ObjectivesLike, column
from paretohqd.frames.sources import Source
from paretohqd.selection.all_rows import choose_among_kept
from paretohqd.selection.gathering import selection_of
from paretohqd.selection.nearest import NearestRows, nearest_rows
from paretohqd.selection.options import RuleOptions, refuse_unknown
from paretohqd.selection.pool import Pool, Rows, first_layers_of
from paretohqd.selection.preferences import Directions, Preferences
from paretohqd.selection.ranks import Rank
from paretohqd.selection.request import Request
from paretohqd.selection.result import Selection
from paretohqd.selection.rule import Bounds, Duplicates, Nan, Rule, Scale

__all__ = ["choose", "generate", "score", "select"]

LEAST = 8
"""Layers that are kept at first where rows are ranked among all: the first ones lie in a few."""

SAMPLE = 1 << 18
"""Rows at the beginning that show how many layers `at_least` may need."""


def select(
    data: object,
    objectives: ObjectivesLike | str,
    preferences: Preferences = None,
    **options: Unpack[RuleOptions],
) -> pl.DataFrame:
    """Choose a training set for each preference as `paretohqd.select` does, on a Ray cluster.

    Args:
        data: Files that all machines can read, or a `ray.data.Dataset`: see `choose`.
        objectives: As for `paretohqd.select`.
        preferences: As for `paretohqd.select`.
        options: Those of `choose`.

    Returns:
        What `paretohqd.select` gives for all rows in one frame: the same rows in the same order,
        with the same bytes.

    Raises:
        ValueError: As `choose`.
        ImportError: Ray is not installed.

    Example:
        ::

            chosen = distributed.select("/data/scored/*.parquet", ["helpful", "harmless"], k=100)
    """
    refuse_unknown("select", options, RuleOptions)
    return choose(data, objectives, preferences, **options).rows


def choose(
    data: object,
    objectives: ObjectivesLike | str,
    preferences: Preferences = None,
    *,
    k: int = 100,
    upto: int | None = None,
    at_least: int | None = None,
    rank: Rank = "ray",
    bounds: Bounds = "pool",
    scale: Scale = "box",
    directions: Directions = "paper",
    where: pl.Expr | str | None = None,
    epsilon: Epsilon | None = None,
    distinct: str | Sequence[str] | None = None,
    at_most: Mapping[str, int] | None = None,
    exclusive: bool = False,
    diverse: str | None = None,
    sample: int | None = None,
    duplicates: Duplicates = "keep",
    nan: Nan = "raise",
    prefix: str = "",
) -> Selection:
    """Choose a training set for each preference as `paretohqd.choose` does, on a Ray cluster.

    Args:
        data: A Parquet file, a folder, a pattern or a list of files that all machines can read
            under the same name; or a `ray.data.Dataset`. From files only scores (and
            `distinct`) are read, and other columns for the chosen rows alone. From a Dataset whole
            blocks are read, and all columns of rows in the first layers travel: use
            `select_columns` before, if there are columns that you do not need.
        objectives: As for `paretohqd.choose`, as are the further arguments.
        k: Rows per preference.
        upto: The pool is this many layers.
        at_least: The pool is the fewest layers that hold this many rows; P * k by default. The
            parts keep as many layers as hold twice that of the first 262,144 rows; should these not
            suffice, as in rows sorted by score, all are read again and twice the layers are kept.
        rank: By what rows are ranked; the parts keep as many layers as hold the first rows.
        bounds: r_min and r_max over the "pool" or over "all" rows, or these points.
        scale: Units of the distance.
        directions: Which way the rays run.
        where: Which rows take part.
        epsilon: Differences below this are noise, by which no row is better.
        distinct: One or more columns of which each preference gets no value twice.
        at_most: How many rows with the same value of a column each preference may get.
        exclusive: Whether a row serves one preference at most.
        diverse: A column of embeddings by which rows far apart are chosen; from a Dataset it
            travels with the rows.
        sample: The seed by which rows are drawn among the best.
        duplicates: "drop" leaves copies out; their texts are then read for all rows.
        nan: "raise" refuses null and NaN scores, "drop" leaves such rows out.
        prefix: What the names of the added columns begin with.

    Returns:
        What `paretohqd.choose` gives for all rows in one frame: the same rows in the same order,
        with the same bytes. Rows are numbered in the order of the files, each from its first row to
        its last; those of a Dataset in the order of its blocks, which is that of its input
        (`preserve_order` is set while it runs). A Dataset whose own steps depend on chance or on
        timing has no such order: write it to files first.

    Raises:
        ValueError: As `paretohqd.choose`. For null, NaN and infinite scores in files: the first
            file that has any, how many of them, and the first one's row in that file. All parts
            are read before it is raised.
        ImportError: Ray is not installed.
    """
    rule = Rule(
        k=k,
        upto=upto,
        at_least=at_least,
        rank=rank,
        bounds=bounds,
        scale=scale,
        directions=directions,
        where=where,
        epsilon=epsilon,
        distinct=distinct,
        at_most=at_most,
        exclusive=exclusive,
        diverse=diverse,
        sample=sample,
        duplicates=duplicates,
        nan=nan,
        prefix=prefix,
    )
    stay_here()
    parts = Blocks.of(data) if isinstance(data, ray.data.Dataset) else Files.of(data)
    request = Request.of(parts.source, objectives, preferences, rule)
    pool, nearest = _nearest(parts, request)

    def rows_at(places: Rows) -> pl.DataFrame:
        return parts.gather(pool.row[places], pool.rows_read(places))

    return selection_of(request, pool, nearest, rows_at, frame=parts.source.frame)


# What help() and notebooks show: the options one by one.
select.__signature__ = signature(choose).replace(return_annotation=pl.DataFrame)  # type: ignore[attr-defined]


def _nearest(parts: Files | Blocks, request: Request) -> tuple[Pool, NearestRows]:
    """The pool of all rows, with their columns as far as they have travelled; what is chosen of it.

    Raises:
        ValueError: Scores that cannot be traded, or null keys.
    """
    # Values that are not numbers are refused before anything is read.
    request.scores.refuse_types(parts.source.schema)
    limit = request.rule.upto or _guess(parts.source, request)
    while True:
        spec = PartSpec(
            scores=request.scores,
            upto=limit,
            filled=request.filled,
            others=request.others,
            nan=request.rule.nan,
            noise=request.noise,
        )
        state = parts.first_layers(spec)
        if request.rule.rank != "ray":
            if (chosen := choose_among_kept(state, request)) is not None:
                return chosen
        elif (pool := first_layers_of(state, request).ended(request)) is not None:
            nearest = nearest_rows(pool, request, n_threads=None)
            if nearest is not None:
                return pool, nearest
            request = request.further()
        limit *= 2


def _guess(source: Source, request: Request) -> int:
    """Layers that hold twice `at_least` of the first rows.

    Of more rows fewer layers are needed, where the first ones are like the others; twice is for
    chance. (Twice the layers would be far more rows where each layer is larger than the last.)
    """
    columns = map(column, dict.fromkeys([*request.scores.columns, *request.scores.asked]))
    head = source.collect(source.frame.lazy().select(columns).head(SAMPLE))
    state = KeptLayers(at_least=2 * (request.at_least or 1), noise=request.noise, nan="drop")
    state.extend(head, request.scores)
    return max(1 if request.rule.rank == "ray" else LEAST, state.needed())
