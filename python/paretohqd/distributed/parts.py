"""Rows that lie on many machines, in files or in a Ray Dataset, and what is done to each part."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, Self

import numpy as np
import polars as pl
from numpy.typing import NDArray
from polars.io.plugins import register_io_source

from paretohqd.distributed.cluster import answers, in_order, pa, packed, ray, unpacked
from paretohqd.distributed.merging import PartSpec, merged
from paretohqd.exceptions import first_line
from paretohqd.frames.kept_layers import KeptLayers
from paretohqd.frames.reading.opening import open_file, row_counts
from paretohqd.frames.reading.other_libraries import frame_of_table
from paretohqd.frames.reading.schemas import column
from paretohqd.frames.sources import Source

Rows = NDArray[np.int64]

Types = tuple[pl.Schema, tuple[str, ...]]
"""Columns of all files, and those of them that the names of folders stand for."""

_PATTERN = "the dataset"
"""What a Ray Dataset is called in messages."""

PART = 4_000_000
"""Rows of a file that one task reads, a batch at a time."""


@dataclass(frozen=True, eq=False, kw_only=True)
class Files:
    """Rows in Parquet files that every machine can read.

    Attributes:
        source: All of them.
        sizes: Rows in each file.
    """

    source: Source
    sizes: Rows

    @classmethod
    def of(cls, data: object) -> Self:
        """Find the files and their numbers of rows, which are written at their ends.

        Raises:
            ValueError: No such file, one of another kind or that cannot be read.
        """
        source = Source.of(data)
        if not source.seekable:
            raise ValueError(
                f"{source.pattern}: expected Parquet files on a disk that all machines share, or a "
                "ray.data.Dataset (ray.data.read_csv, read_json, from_arrow; read_parquet for "
                "object stores); paretohqd.select takes other frames and files on one machine"
            )
        _ = source.schema
        # A task does not run in this process's folder.
        source = replace(source, files=tuple(os.path.abspath(file) for file in source.files))
        with source.reading():
            sizes = row_counts(source.files)
        return cls(source=source, sizes=np.array(sizes, dtype=np.int64))

    @property
    def _types(self) -> Types:
        return self.source.schema, self.source.folders

    def first_layers(self, want: PartSpec) -> KeptLayers:
        """The first layers of all rows; other columns are not read."""
        parts = [
            {"file": file, "start": start, "size": min(PART, int(size) - start)}
            for file, size in zip(self.source.files, self.sizes, strict=True)
            for start in range(0, int(size), PART)
        ]
        columns = list(dict.fromkeys([*want.scores.columns, *want.filled, *want.others]))
        types = {name: self.source.schema[name] for name in columns}
        nothing = want.of_frame(pl.DataFrame(schema=types))
        if not parts:
            return nothing
        states = ray.data.from_items(parts, override_num_blocks=len(parts)).map_batches(
            _of_parts,
            fn_args=(want, self._types),
            batch_size=None,
            batch_format="pyarrow",
            num_cpus=1,
        )
        return merged(nothing, answers(states))

    def gather(self, rows: Rows, _: pl.DataFrame) -> pl.DataFrame:
        """Rows by number with all their columns, each file's by a task of its own."""
        unique, again = np.unique(rows, return_inverse=True)
        ends = self.sizes.cumsum()
        task = ray.remote(_of_file)
        parts = [
            task.remote(file, inside - (end - size), self._types)
            for file, size, end, inside in zip(
                self.source.files,
                self.sizes,
                ends,
                np.split(unique, np.searchsorted(unique, ends[:-1])),
                strict=True,
            )
            if len(inside)
        ]
        frames = [pl.DataFrame(schema=self.source.schema)]
        for ref in parts:
            frames += unpacked(ray.get(ref))
        return pl.concat(frames)[again]


def _scan(file: str, types: Types) -> Source:
    return Source(open_file(file, *types), (file,), file)


def _of_parts(parts: pa.Table, want: PartSpec, types: Types) -> pa.Table:
    """The states of some parts, a block of one row each."""
    return pa.concat_tables(
        packed(partial(_of_part, part, want, types)) for part in parts.to_pylist()
    )


def _of_part(part: dict[str, Any], want: PartSpec, types: Types) -> KeptLayers:
    whole = _scan(part["file"], types)
    piece = replace(whole, frame=whole.frame.lazy().slice(part["start"], part["size"]))
    try:
        try:
            return want.of_source(piece)
        except ValueError:
            want.of_source(whole)  # so that the message counts in the file
            raise
    except ValueError as error:
        message = str(error)
        named = message.startswith(part["file"])
        raise ValueError(message if named else f"{part['file']}: {message}") from None


def _of_file(file: str, rows: Rows, types: Types) -> pa.Table:
    """Some rows of a file with all columns; a page per column is read for each, no more."""

    def read() -> pl.DataFrame:
        source = _scan(file, types)
        scan = source.frame.lazy()
        with source.reading():
            return pl.concat(pl.collect_all([scan.slice(int(row), 1) for row in rows]))

    return packed(read)


@dataclass(frozen=True, eq=False, kw_only=True)
class Blocks:
    """The rows of a Ray Dataset, in the order of its blocks.

    Attributes:
        dataset: The dataset.
        source: Its rows as a LazyFrame that runs it.
    """

    dataset: Any
    source: Source

    @classmethod
    def of(cls, dataset: Any) -> Self:
        """Look at the first rows for the types of the columns."""
        first = next(
            iter(dataset.limit(1).iter_batches(batch_size=None, batch_format="pyarrow")), None
        )
        if first is None:
            raise ValueError(f"{_PATTERN} has no rows")
        schema = frame_of_table(first).schema
        if pl.Null in schema.values():
            schema = _with_later_types(dataset, schema)
        return cls(dataset=dataset, source=Source(_lazy(dataset, schema), pattern=_PATTERN))

    def first_layers(self, want: PartSpec) -> KeptLayers:
        """The first layers of all rows, with all their columns."""
        schema = self.source.schema
        states = self.dataset.map_batches(
            _of_block, fn_args=(want, schema), batch_size=None, batch_format="pyarrow", num_cpus=1
        )
        try:
            return merged(want.of_frame(pl.DataFrame(schema=schema)), answers(states))
        except ValueError as error:
            if str(error).startswith(_PATTERN):
                raise
            # A task knows only its own block; read again, the message counts over all rows.
            replace(want, upto=1).of_source(self.source)
            raise

    def gather(self, _: Rows, kept: pl.DataFrame) -> pl.DataFrame:
        """Rows with all their columns, which came along."""
        return kept


def _with_later_types(dataset: Any, schema: pl.Schema) -> pl.Schema:
    """The types of columns without a value in the first row, from the other blocks."""
    looked_at = dataset.map_batches(_types_of, batch_size=None, batch_format="pyarrow", num_cpus=1)
    types = dict(schema)
    for ref in answers(looked_at):
        for block in unpacked(ray.get(ref)):
            types |= {
                name: block.get(name, kind) for name, kind in types.items() if kind == pl.Null
            }
    return pl.Schema(types)


def _types_of(block: pa.Table) -> pa.Table:
    return packed(lambda: frame_of_table(block).schema)


def _of_block(block: pa.Table, want: PartSpec, schema: pl.Schema) -> pa.Table:
    return packed(lambda: want.of_frame(_typed(block, schema)))


def _typed(block: pa.Table, schema: pl.Schema) -> pl.DataFrame:
    """A block as a frame of these types.

    Raises:
        ValueError: It has others.
    """
    frame = frame_of_table(block)
    if frame.is_empty():
        return pl.DataFrame(schema=schema)
    # A column without a value in a whole block may have lost its type there.
    nulls = [name for name, kind in frame.schema.items() if kind == pl.Null]
    frame = frame.with_columns(column(name).cast(schema.get(name, pl.Null)) for name in nulls)
    for name in dict.fromkeys([*frame.columns, *schema]):
        here, first = frame.schema.get(name, "missing"), schema.get(name, "missing")
        if here != first:
            raise ValueError(
                f"{_PATTERN}: column {name!r} is {here} in one block and {first} in the first: "
                "cast it, or leave it out of all (drop_columns), before"
            )
    return frame.select(map(column, schema))


def _refuse_types(dataset: Any, schema: pl.Schema) -> None:
    """Raise a ValueError if a block has other columns or types than the first."""
    looked_at = dataset.map_batches(
        _look_at, fn_args=(schema,), batch_size=None, batch_format="pyarrow", num_cpus=1
    )
    for ref in answers(looked_at):
        for _ in unpacked(ray.get(ref)):
            pass


def _look_at(block: pa.Table, schema: pl.Schema) -> pa.Table:
    return packed(lambda: _typed(block, schema).is_empty())


def _lazy(dataset: Any, schema: pl.Schema) -> pl.LazyFrame:
    """A dataset's rows in the order of its blocks; it runs each time they are read."""

    def read(
        columns: list[str] | None, predicate: pl.Expr | None, rows: int | None, _: int | None
    ) -> Iterator[pl.DataFrame]:
        wanted = schema if columns is None else pl.Schema({name: schema[name] for name in columns})
        try:
            some = dataset if columns is None else dataset.select_columns(columns)
            some = some if rows is None else some.limit(rows)
            with in_order(some):
                for block in some.iter_batches(batch_size=None, batch_format="pyarrow"):
                    frame = _typed(block, wanted)
                    yield frame if predicate is None else frame.filter(predicate)
        except (ray.exceptions.RayError, pa.ArrowException) as error:
            # Ray merges blocks before they can be looked at.
            _refuse_types(dataset, schema)
            raise ValueError(f"{_PATTERN}: cannot be read: {first_line(error)}") from error

    return register_io_source(read, schema=schema)
