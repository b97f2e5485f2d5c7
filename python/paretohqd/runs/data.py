"""Rows of prompts and answers, from files, the hub or the embedded parts."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import polars as pl

from paretohqd.frames.batches import compacted
from paretohqd.frames.conversations.layouts import is_plain
from paretohqd.frames.conversations.rows import PAIR
from paretohqd.frames.reading.formats import kind_of
from paretohqd.frames.reading.sizes import row_limit, too_large
from paretohqd.frames.sources import Source
from paretohqd.models import embedded
from paretohqd.models.names import check_hub_name, refuse_shadow
from paretohqd.runs import sections
from paretohqd.runs.columns import read_columns, rests_on_other_rows

LARGE_BYTES = 1 << 29
"""Rows that may take more memory than this are read some at a time."""

SWELLING = {True: 4, False: 1}
"""How many times larger than a file its rows are taken to be; True: Parquet and the like."""


@dataclass
class SourceBlocks:
    """The rows of a source, as often as it is called: of large files some at a time."""

    read: Callable[[Counter[str]], Iterator[pl.DataFrame]]
    """Reads them, and counts those that are left out, by reason."""
    left_out: Counter[str] = field(default_factory=Counter)
    """What was left out, once all have been read."""

    def __call__(self) -> Iterator[pl.DataFrame]:
        """The rows, block by block."""
        left_out: Counter[str] = Counter()
        yield from self.read(left_out)
        self.left_out = left_out


def load_source(
    spec: sections.Data,
    source: str,
    *,
    answers: bool = True,
    left_out: Counter[str] | None = None,
) -> pl.DataFrame:
    """Rows of a source with at least the columns prompt, response and conversation.

    Prompts and answers may be texts or messages: see `Selection.to_dataset` for where they are
    looked for, if not in the columns that `spec` names. A row with chosen and rejected and no other
    answer becomes two. A prompt of more than one message is written as `write_prompt` does.

    Args:
        spec: The data section of the configuration.
        source: `spec.source` or `spec.prompts`.
        answers: False: a source of prompts, which need not have responses.
        left_out: Counts the rows that are left out, by reason.

    Raises:
        ValueError: No such source, a missing column, one that is not text, or rows that have nulls,
            hold tools or no prompt and answer, unless `spec.invalid` is "drop". Null responses are
            empty answers, as CSV has them.
    """
    if source == "embedded:conversations":
        return embedded.conversations().with_columns(pl.col("conversation").cast(pl.String))
    if source.startswith("embedded:"):
        raise ValueError(f"{source}: did you mean embedded:conversations?")
    if source.startswith("hub:"):
        frame = _from_hub(spec, source)
    else:
        frame = Source.of(source).whole(spec.memory_limit)
    try:
        return read_columns(
            frame, spec, Counter() if left_out is None else left_out, answers=answers
        )
    except ValueError as error:
        raise ValueError(f"{source}: {error}") from error


def local_files(source: str) -> list[Path]:
    """The files of this machine that a source names; a folder or a pattern names several."""
    if source.startswith(("embedded:", "hub:")):
        return []
    return [Path(file) for file in Source.of(source).files]


def source_blocks(spec: sections.Data, seed: int) -> SourceBlocks:
    """The rows of the source; with `spec.max_rows` those that the seed draws.

    Raises:
        ValueError: As `load_source`.
    """
    if spec.max_rows is None and not spec.source.startswith(("embedded:", "hub:")):
        source = Source.of(spec.source)
        if _is_large(source) and not rests_on_other_rows(source.schema, spec):
            return SourceBlocks(lambda left_out: _read_in_batches(source, spec, left_out))
    dropped: Counter[str] = Counter()
    frame = draw_rows(spec, seed, dropped)

    def again(left_out: Counter[str]) -> Iterator[pl.DataFrame]:
        left_out.update(dropped)
        yield frame

    return SourceBlocks(again)


def _is_large(source: Source) -> bool:
    """Whether the rows of files may take too much memory; nothing is known of remote ones."""
    if not source.files:
        return source.lazy
    sizes = (SWELLING[kind_of(file).typed] * Path(file).stat().st_size for file in source.files)
    return sum(sizes) > LARGE_BYTES


def _read_in_batches(
    source: Source, spec: sections.Data, left_out: Counter[str]
) -> Iterator[pl.DataFrame]:
    start = 0
    for batch in source.batches([pl.all()]):
        try:
            yield read_columns(batch, spec, left_out, answers=True)
        except ValueError as error:
            where = f" (rows counted from row {start} on)" if start else ""
            raise ValueError(f"{spec.source}: {error}{where}") from error
        start += len(batch)


def draw_rows(spec: sections.Data, seed: int, left_out: Counter[str] | None = None) -> pl.DataFrame:
    """The rows of the source, or `spec.max_rows` of them at random, in the source's order.

    Args:
        spec: The data section of the configuration.
        seed: Decides which rows are drawn.
        left_out: Counts the rows of the whole source that are left out, by reason.

    Raises:
        ValueError: As `load_source`.
    """
    count = spec.max_rows
    if count is not None and Path(spec.source).is_file():
        try:
            return _draw_in_batches(spec, count, seed)
        except ValueError:
            pass  # What is wrong with all rows is said below.
    frame = load_source(spec, spec.source, left_out=left_out)
    if count is None or len(frame) <= count:
        return frame
    return frame[_draw_numbers(len(frame), count, seed)]


def given_columns(
    frame: pl.DataFrame, objectives: Sequence[str], columns: Mapping[str, str]
) -> pl.DataFrame:
    """Scores that the data already have, under their objectives' names; no others of these names.

    Example:
        >>> frame = pl.DataFrame({"a": [1.0], "b": [2.0]})
        >>> given_columns(frame, ["a", "b"], {"a": "b", "b": "a"}).row(0)
        (2.0, 1.0)
    """
    for name, column in columns.items():
        if column not in frame.columns:
            raise ValueError(
                f"objectives: {name}: no column {column!r} in the data: it has "
                f"{', '.join(frame.columns)}"
            )
    scores = frame.select(pl.col(column).alias(name) for name, column in columns.items())
    return pl.concat([frame.drop(objectives, strict=False), scores], how="horizontal")


def _draw_in_batches(spec: sections.Data, count: int, seed: int) -> pl.DataFrame:
    """The same for plain texts, without holding those of other rows.

    Raises:
        ValueError: As `load_source`, but about a batch; or another layout, which all rows decide.
    """
    source = Source.of(spec.source)
    pairs = set(PAIR) <= set(source.names) and spec.response not in source.names
    texts, each = (PAIR, 2) if pairs else ((spec.prompt, spec.response), 1)
    if rests_on_other_rows(source.schema, spec):
        raise ValueError("batches do not hold whole prompts")
    rows, parts, start = each * source.rows(), [], 0
    if np.dtype(np.int64).itemsize * rows > (spec.memory_limit or row_limit()):
        raise ValueError("too many rows to draw from")
    drawn = np.arange(rows) if rows <= count else _draw_numbers(rows, count, seed)
    for batch in source.batches([pl.all()]):
        plain = all(name in source.names and is_plain(batch, name) for name in texts)
        frame = read_columns(batch, spec, Counter(), answers=True) if plain else batch[:0]
        if len(frame) != each * len(batch):
            raise ValueError("no plain prompts and answers")
        first, last = np.searchsorted(drawn, [start, start + len(frame)])
        parts.append(compacted(frame[drawn[first:last] - start]))
        start += len(frame)
    return pl.concat(parts).rechunk()


def _draw_numbers(n: int, count: int, seed: int) -> np.ndarray:
    """The numbers of `count` out of n rows, the same for the same seed, in order."""
    return np.sort(np.random.default_rng([seed, 1]).permutation(n)[:count])


def _from_hub(spec: sections.Data, source: str) -> pl.DataFrame:
    from datasets import load_dataset

    own, name = source == spec.source, source.removeprefix("hub:")
    # The library would read a folder of that name, and `text` as all files of the working folder.
    refuse_shadow(name, source, [Path.cwd()])
    check_hub_name(name, source)
    if "/" not in name:
        raise ValueError(f"{source}: a name on the hub is OWNER/NAME: write hub:OWNER/{name}")
    data = load_dataset(
        name,
        spec.subset if own else None,
        split=spec.split,
        revision=spec.revision if own else None,
    )
    limit = spec.memory_limit or row_limit()
    if data.data.nbytes > limit:  # it lies in files that are mapped into memory
        raise too_large(source, limit)
    frame: pl.DataFrame = data.to_polars()
    return frame
