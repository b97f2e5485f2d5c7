"""Larger than memory: the first layers of a source that is read in batches, and rows by number."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Literal

import numpy as np
import polars as pl
from numpy.typing import NDArray

from paretohqd.frames.kept_layers import KeptLayers
from paretohqd.frames.objectives import ObjectiveColumns, column, missing_keys
from paretohqd.frames.sources import Source
from paretohqd.kernels.numerals import as_number, is_text, is_word, numbers_of, said, words_refused
from paretohqd.kernels.points import optional_count

Progress = Callable[[int], object]
"""Called with how many rows have been read, batch by batch."""


@dataclass(frozen=True, kw_only=True)
class Resources:
    """What the work may take and who hears of it; the result is the same for all.

    Attributes:
        memory_limit: Bytes that kept rows and a batch may take together.
        progress: Called with how many rows have been read, batch by batch.
        n_threads: Threads of the kernels; RAYON_NUM_THREADS or all cores by default.

    Raises:
        ValueError: A number that is none of at least 1.
    """

    memory_limit: int | None = None
    progress: Progress | None = None
    n_threads: int | None = None

    def __post_init__(self) -> None:
        """Check the numbers."""
        optional_count("memory_limit", self.memory_limit)
        optional_count("n_threads", self.n_threads)


UNLIMITED = Resources()
"""All the memory and threads there are, and no one who wants to hear of it."""


def first_layers(
    source: Source,
    scores: ObjectiveColumns,
    state: KeptLayers,
    *,
    keep: Sequence[str] = (),
    also: Sequence[str] = (),
    enough: Callable[[KeptLayers], bool] = KeptLayers.enough,
    resources: Resources = UNLIMITED,
) -> KeptLayers:
    """The first layers of all rows of a source, in one pass over its score columns.

    Args:
        source: The rows.
        scores: The objectives among its columns.
        state: How many layers to keep; no rows came to it yet.
        keep: Further columns to keep of the rows in these layers, without null and NaN.
        also: Others to keep, whatever they hold.
        enough: Whether a state that has seen all rows suffices. If not, they are read again and
            twice the layers are kept.
        resources: The memory that reading may take, and who is told of it.

    Raises:
        ValueError: A score is null or NaN (file, column, count and first row are named), a file
            cannot be read, or the layers need more memory than allowed.
    """
    columns = list(dict.fromkeys([*scores.columns, *keep, *also]))
    scores.refuse_types(source.schema)
    limit = resources.memory_limit
    while True:
        for batch in source.batches(map(column, columns), limit):
            for name in keep:
                missing = missing_keys(batch[name])
                if missing.any():
                    row = state.rows + int(missing.arg_max() or 0)
                    raise ValueError(
                        f"column {name!r} is null or NaN (first at {source.place(row)}): fill or "
                        "drop such rows"
                    )
            with bad_rows_named(source, scores, state.nan):
                state.extend(batch, scores)
            if limit is not None and state.estimated_size() > limit:
                raise ValueError(
                    f"{len(state.settled().row)} rows of the first {state.limit} layers take more "
                    "than the memory limit: ask for fewer layers (upto, at_least, k) or raise it"
                )
            if resources.progress is not None:
                resources.progress(state.rows)
        if not state.rows:
            state.extend(
                pl.DataFrame(schema={name: source.schema[name] for name in columns}), scores
            )
        if state.at_least is None or state.whole() or enough(state):
            return state
        state = state.again()


@contextmanager
def bad_rows_named(
    source: Source, scores: ObjectiveColumns, nan: Literal["raise", "drop"], *, finite: bool = False
) -> Iterator[None]:
    """Where some rows are refused for their values: count these in all rows, and name the file."""
    try:
        yield
    except ValueError:
        if source.lazy:
            refuse_words(source, scores)
        if source.lazy and nan == "raise":
            refuse_nan(source, scores)
        if source.lazy and finite:
            refuse_infinite(source, scores)
        raise


def refuse_nan(source: Source, scores: ObjectiveColumns) -> None:
    """Raise a ValueError that counts the first column's null and NaN scores, if there are any."""
    bad = _bad_scores(
        source, scores, lambda column: column.is_null() | column.is_nan().fill_null(True)
    )
    for name, (count, nulls, row, text) in bad.items():
        parts = ((nulls, "null" if nulls == 1 else "nulls"), (count - nulls, "NaN"))
        what = " and ".join(f"{number} {word}" for number, word in parts if number)
        raise ValueError(
            f"column {name!r} holds {what} (first at {source.place(row)}{text}), which cannot "
            "be ordered; drop or fill these rows first"
        )


def refuse_words(source: Source, scores: ObjectiveColumns) -> None:
    """Raise a ValueError that counts the first column's texts that are no numbers, if any are."""
    for name in scores.texts:
        start = count = numbers = 0
        first: tuple[int, str] | None = None
        for batch in source.batches([column(name).cast(pl.String)]):
            words = batch.select(is_word(column(name))).to_series()
            if first is None and words.any():
                at = words.arg_max() or 0
                first = start + at, batch[name][at]
            count += int(words.sum())
            numbers += batch.select(as_number(column(name)).count()).item()
            start += len(batch)
        if first is not None:
            row, text = first
            raise words_refused(name, count, source.place(row), text, numbers)


def refuse_infinite(source: Source, scores: ObjectiveColumns) -> None:
    """Raise a ValueError that counts the first column's infinite scores, if there are any."""
    bad = _bad_scores(source, scores, lambda column: column.is_infinite().fill_null(False))
    for name, (count, _, row, _) in bad.items():
        raise ValueError(
            f"column {name!r} holds {count} infinite values (first at {source.place(row)}), but a "
            "preference's ray needs a finite range; drop or clip these rows first"
        )


def _bad_scores(
    source: Source, scores: ObjectiveColumns, is_bad: Callable[[pl.Series], pl.Series]
) -> dict[str, tuple[int, int, int, str]]:
    """Columns with bad values: how many there are, how many are null, the first one's row, text."""
    counts: dict[str, tuple[int, int, int, str]] = {}
    start = 0
    for batch in source.batches(scores.expressions):
        for scored in batch:
            text = is_text(scored.dtype)
            numbers = numbers_of(scored.name, scored) if text else scored.cast(pl.Float64)
            numbers = numbers.alias("")
            bad = is_bad(numbers)
            if bad.any():
                at = bad.arg_max() or 0
                new = 0, 0, start + at, said(scored, at)
                count, nulls, row, first = counts.get(scored.name, new)
                count, nulls = count + int(bad.sum()), nulls + numbers.null_count()
                counts[scored.name] = count, nulls, row, first
        start += len(batch)
    return {name: counts[name] for name in scores.names if name in counts}


def gather(
    source: Source,
    rows: NDArray[np.int64],
    expected: pl.DataFrame,
    *,
    memory_limit: int | None = None,
) -> pl.DataFrame:
    """Rows of a source by number, in ascending order, with all columns.

    Args:
        source: The rows.
        rows: Ascending numbers, none twice.
        expected: Columns that these rows had when they were chosen, none of them null.
        memory_limit: Bytes that reading may take.

    Raises:
        ValueError: The source gives its rows in another order this time.
    """
    frame = source.take(rows, expected.columns, memory_limit)
    if not frame.select(map(column, expected.columns)).equals(expected):
        raise out_of_order(source)
    return frame


def out_of_order(source: Source) -> ValueError:
    """What to say of a source that gives its rows in another order when it is read again."""
    return ValueError(
        f"{source.pattern}: the rows come in another order each time they are read, so that "
        "none can be found by number: write them to a file first (sink_parquet), or keep their "
        "order (maintain_order=True)"
    )


def with_layers(
    source: Source,
    dropped: ObjectiveColumns | None,
    name: str,
    rows: NDArray[np.int64],
    layer: pl.Series,
    expected: pl.DataFrame,
) -> Iterator[pl.DataFrame]:
    """All rows of a source in batches, with their layer; -1 for those not among `rows`.

    Args:
        source: The rows.
        dropped: Scores; a row with a null or NaN one has no layer. None: there are none such.
        name: The column to add.
        rows: Ascending numbers.
        layer: Their layers.
        expected: Columns that these rows had when their layers were found.

    Raises:
        ValueError: The source gives its rows in another order this time.
    """
    start, compared = 0, [column(other) for other in expected.columns]
    for batch in source.batches([pl.all()]):
        first, last = np.searchsorted(rows, [start, start + len(batch)])
        places = rows[first:last] - start
        if not batch.select(compared)[places].equals(expected[first:last]):
            raise out_of_order(source)
        layers = pl.Series(name, np.full(len(batch), -1, dtype=np.int32))
        layers.scatter(places, layer[first:last])
        if dropped is not None:
            missing = pl.any_horizontal(pl.all().cast(pl.Float64).is_nan().fill_null(True))
            unscored = dropped.numbers(batch).select(missing.arg_true()).collect()
            layers.scatter(unscored.to_series(), None)
        yield batch.with_columns(layers)
        start += len(batch)
    if len(rows) and rows[-1] >= start:
        raise out_of_order(source)
