"""The hypervolume of a frame's rows, or of each group of them: in memory, lazy, or in files."""

from __future__ import annotations

from collections.abc import Sequence
from typing import overload

import polars as pl
from numpy.typing import ArrayLike

from paretohqd.frames.bad_rows import bad_rows_named
from paretohqd.frames.functions import Frame
from paretohqd.frames.kept_layers import KeptLayers
from paretohqd.frames.keys import key_columns, key_ids
from paretohqd.frames.objectives import ObjectiveColumns, ObjectivesLike, column, refuse_taken
from paretohqd.frames.sources import Source
from paretohqd.frames.streaming import first_layers
from paretohqd.kernels.groups import first_rows
from paretohqd.kernels.hypervolume import hypervolume


@overload
def volume(
    frame: object,
    objectives: ObjectivesLike | str,
    *,
    ref: ArrayLike,
    by: None = None,
    n_threads: int | None = None,
) -> float: ...


@overload
def volume(
    frame: pl.DataFrame,
    objectives: ObjectivesLike | str,
    *,
    ref: ArrayLike,
    by: str | Sequence[str],
    n_threads: int | None = None,
) -> pl.DataFrame: ...


@overload
def volume(
    frame: pl.LazyFrame,
    objectives: ObjectivesLike | str,
    *,
    ref: ArrayLike,
    by: str | Sequence[str],
    n_threads: int | None = None,
) -> pl.LazyFrame: ...


def volume(
    frame: object,
    objectives: ObjectivesLike | str,
    *,
    ref: ArrayLike,
    by: str | Sequence[str] | None = None,
    n_threads: int | None = None,
) -> float | Frame:
    """The volume that the rows dominate above a reference point.

    Args:
        frame: A frame or files, as for `paretohqd.select`.
        objectives: Column names, larger is better, or {name: "max" | "min"}.
        ref: The reference point, a value per objective, in the columns' units.
        by: One or more columns within whose values a volume is computed.
        n_threads: Threads; RAYON_NUM_THREADS or all cores by default.

    Returns:
        The volume; with `by`, a frame with one row per group, in the order of the groups' first
        rows: the columns of `by` and `hypervolume` (Float64). What is lazy gives a LazyFrame then.

    Raises:
        ValueError: As `layers` and `paretohqd.hypervolume`; a column of `by` that is named
            hypervolume.
    """
    source = Source.of(frame)
    scores = ObjectiveColumns.of(source.schema, objectives)
    scores.refuse_absent(source.absent)
    if by is not None:
        return _volumes(source, scores, key_columns(source.names, by), ref, n_threads)
    if isinstance(source.frame, pl.DataFrame):
        points = scores.taken(source.frame)
    else:
        front_alone = KeptLayers(upto=1, n_threads=n_threads)
        first = first_layers(source, scores, front_alone)
        points = scores.taken(first.frame)
    return hypervolume(points, ref=ref, maximize=scores.larger, n_threads=n_threads)


def _volumes(
    source: Source,
    scores: ObjectiveColumns,
    keys: list[str],
    ref: ArrayLike,
    n_threads: int | None,
) -> Frame:
    """One row per group: its keys and its hypervolume."""
    refuse_taken(keys, ["hypervolume"])

    def computed() -> pl.DataFrame:
        needed = dict.fromkeys([*keys, *scores.columns])
        held = source.collect(source.frame.lazy().select(map(column, needed)))
        ids = key_ids(held, keys, "by")
        with bad_rows_named(source, scores, "raise", finite=True):
            volumes = hypervolume(
                scores.taken(held),
                ref=ref,
                maximize=scores.larger,
                by=ids,
                n_threads=n_threads,
            )
        groups = held.select(map(column, keys))[first_rows(ids, int(ids.max(initial=0)) + 1)]
        return groups.with_columns(pl.Series("hypervolume", volumes))

    if isinstance(source.frame, pl.DataFrame):
        return computed()
    schema = {name: source.schema[name] for name in keys} | {"hypervolume": pl.Float64()}
    return pl.defer(computed, schema=schema, validate_schema=False)
