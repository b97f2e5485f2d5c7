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

import numpy as np
import polars as pl
from numpy.typing import NDArray

from paretohqd.frames.writing import whole
from paretohqd.runs import trusted
from paretohqd.runs.processes import Processes

PREFIX = "parts-"
MOST_ROWS = 2_000
MOST_SECONDS = 60.0


class Parts:
    """Rows that are done, each with its number in a column `row`."""

    def __init__(self, work: Path, name: str, processes: Processes | None = None) -> None:
        """Find what an earlier attempt has left.

        Args:
            work: The folder of the stage's work; `remove_parts` takes them out of it.
            name: What rows these are, where a stage has several kinds.
            processes: Those that share the work: each does some of the pieces.
        """
        self._processes = processes or Processes()
        self._folder = work / f"{PREFIX}{name}"
        trusted.make_folders(work, self._folder)
        self._own = f"{self._processes.rank:03d}-"
        for file in self._folder.glob(f".{self._own}*"):
            file.unlink()  # killed while it was written
        self._kept = self._read()
        self._rows = 0
        self._new: list[pl.DataFrame] = []
        self._count = len(list(self._folder.glob(f"{self._own}*.parquet")))
        self._since = time.monotonic()

    def done(self, n: int) -> NDArray[np.bool_]:
        """Which of n rows are done."""
        self._rows = n
        done = np.zeros(n, dtype=bool)
        for frame in (*self._kept, *self._new):
            done[frame["row"].to_numpy()] = True
        return done

    def add(self, rows: pl.DataFrame) -> None:
        """Take rows that are done; they are written with others, or at once if it is time."""
        self._new.append(rows)
        late = time.monotonic() - self._since >= MOST_SECONDS
        if late or sum(map(len, self._new)) >= MOST_ROWS:
            self._write()

    def takes(self, piece: int) -> bool:
        """Whether a numbered piece of the work is this process's."""
        return self._processes.takes(piece)

    def frame(self, schema: dict[str, Any]) -> pl.DataFrame:
        """All rows in the order of their numbers; with this schema if there is none.

        Raises:
            ValueError: A row of those that `done` was asked for is missing, or there more often
                than others.

        Several processes wait for each other here, and only the first gets the rows: it may have
        taken the files away before another has read them.
        """
        if self._processes.world > 1:
            if self._new:
                self._write()
            self._processes.barrier()
            if self._processes.rank:
                return pl.DataFrame(schema=schema)
            self._kept = self._read()
        frame = pl.concat([pl.DataFrame(schema=schema), *self._kept, *self._new]).sort("row")
        times = np.bincount(frame["row"].to_numpy(), minlength=self._rows)
        wrong = times != np.median(times)
        wrong[self._rows :] = True
        if self._rows and wrong.any():
            bad = int(wrong.argmax())
            raise ValueError(
                f"{self._folder}: of {self._rows} rows some are missing or there twice (first: row "
                f"{bad}): delete this folder, and start again"
            )
        return frame

    def _read(self) -> list[pl.DataFrame]:
        return [pl.read_parquet(file) for file in sorted(self._folder.glob("[0-9]*.parquet"))]

    def _write(self) -> None:
        frame = pl.concat(self._new)
        path = self._folder / f"{self._own}{self._count:05d}.parquet"
        with whole(path, mode=trusted.PRIVATE) as file:
            frame.write_parquet(file)
        self._kept.append(frame)
        self._new = []
        self._count += 1
        self._since = time.monotonic()


def remove_parts(work: Path) -> None:
    """Take all parts away, once what they held is written as a whole."""
    for folder in work.glob(f"{PREFIX}*"):
        shutil.rmtree(folder)
