"""Parquet files that are written block by block: the whole is never in memory."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import polars as pl
import pyarrow.parquet

from paretohqd.frames.new_files import open_new

GROUP = 1 << 16
"""Rows of a row group, whatever the blocks are: so the bytes depend on the rows alone."""


class ParquetRows:
    """A file under way; see `parquet_rows`."""

    def __init__(self, file: Any) -> None:
        """Write into an open file."""
        self._file = file
        self._writer: Any = None
        self._schema: pl.Schema | None = None
        self._held: list[pl.DataFrame] = []
        self.rows = 0

    def write(self, frame: pl.DataFrame) -> None:
        """Add rows.

        Raises:
            ValueError: They have other columns than those before.
        """
        if self._schema is None:
            self._schema = frame.schema
        if frame.schema != self._schema:
            raise ValueError(
                f"rows from row {self.rows} on have other columns than those before: "
                f"{dict(frame.schema)}, and before {dict(self._schema)}"
            )
        self._held.append(frame)
        self.rows += len(frame)
        while sum(map(len, self._held)) >= GROUP:
            rows = pl.concat(self._held)
            self._group(rows[:GROUP])
            self._held = [rows[GROUP:]]

    def close(self) -> None:
        """Write what is left, and the file's end."""
        rows = pl.concat(self._held) if self._held else pl.DataFrame()
        if len(rows) or self._writer is None:
            self._group(rows)
        self._writer.close()

    def _group(self, rows: pl.DataFrame) -> None:
        # Views of texts are not read by all.
        table = rows.to_arrow(compat_level=pl.CompatLevel.oldest())
        if self._writer is None:
            self._writer = pyarrow.parquet.ParquetWriter(
                self._file, table.schema, compression="zstd"
            )
        self._writer.write_table(table, row_group_size=GROUP)


@contextmanager
def parquet_rows(path: Path) -> Iterator[ParquetRows]:
    """A new Parquet file that takes rows while the block runs.

    Example:
        >>> import tempfile
        >>> path = Path(tempfile.mkdtemp()) / "rows.parquet"
        >>> with parquet_rows(path) as file:
        ...     for block in (["a"], ["b", None]):
        ...         file.write(pl.DataFrame({"text": block}, schema={"text": pl.String}))
        >>> pl.read_parquet(path)["text"].to_list()
        ['a', 'b', None]
    """
    with open_new(path) as opened:
        file = ParquetRows(opened)
        yield file
        file.close()
