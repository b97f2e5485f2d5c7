"""What a stage has done so far, in files that a later attempt goes on from.

Hours of scoring or sampling are one stage. Its finished rows are written every minute or every
2,000 rows, whichever comes first, so that a kill costs no more than that. What is done next never
depends on how the rows before were divided into files.
"""

from __future__ import annotations

import shutil
import time
from pathlib import Path
from typing import Any

import polars as pl

from paretohqd.frames.writing import whole
from paretohqd.runs import trusted

PREFIX = "parts-"
MOST_ROWS = 2_000
MOST_SECONDS = 60.0


class Parts:
    """Rows that are done, each with its number in a column `row`."""

    def __init__(self, work: Path, name: str) -> None:
        """Find what an earlier attempt has left.

        Args:
            work: The folder of the stage's work; `remove_parts` takes them out of it.
            name: What rows these are, where a stage has several kinds.
        """
        self._folder = work / f"{PREFIX}{name}"
        trusted.make_folders(work, self._folder)
        kept = []
        for file in sorted(self._folder.iterdir()):
            if file.suffix == ".parquet" and not file.name.startswith("."):
                kept.append(pl.read_parquet(file))
            else:
                file.unlink()  # killed while it was written
        self._kept: list[pl.DataFrame] = kept
        self._new: list[pl.DataFrame] = []
        self._count = len(kept)
        self._since = time.monotonic()

    def done(self) -> set[int]:
        """The numbers of the rows that are done."""
        return {row for frame in (*self._kept, *self._new) for row in frame["row"]}

    def add(self, rows: pl.DataFrame) -> None:
        """Take rows that are done; they are written with others, or at once if it is time."""
        self._new.append(rows)
        late = time.monotonic() - self._since >= MOST_SECONDS
        if late or sum(map(len, self._new)) >= MOST_ROWS:
            self._write()

    def frame(self, schema: dict[str, Any]) -> pl.DataFrame:
        """All rows in the order of their numbers; with this schema if there is none."""
        return pl.concat([pl.DataFrame(schema=schema), *self._kept, *self._new]).sort("row")

    def _write(self) -> None:
        frame = pl.concat(self._new)
        with whole(self._folder / f"{self._count:05d}.parquet", mode=trusted.PRIVATE) as file:
            frame.write_parquet(file)
        self._kept.append(frame)
        self._new = []
        self._count += 1
        self._since = time.monotonic()


def remove_parts(work: Path) -> None:
    """Take all parts away, once what they held is written as a whole."""
    for folder in work.glob(f"{PREFIX}*"):
        shutil.rmtree(folder)
