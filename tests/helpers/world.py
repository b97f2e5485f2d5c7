"""Where a recorded call is made: a folder of its own, a number of threads, and some rows."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

import paretohqd as pq

OBJECTIVES = ["a", "b"]

FRAME = pl.DataFrame(
    {
        "prompt": [f"prompt {i // 3}" for i in range(12)],
        "response": [f"answer {i}" for i in range(12)],
        "source": ["web", "book", "web", "book", "web", "book"] * 2,
        "a": [0.0, 0.1, 0.25, 0.4, 0.5, 0.55, 0.7, 0.75, 0.8, 0.9, 0.95, 1.0],
        "b": [1.0, 0.9, 0.95, 0.7, 0.8, 0.6, 0.65, 0.4, 0.5, 0.3, 0.1, 0.0],
    }
)
"""Twelve answers to four prompts."""


@dataclass(frozen=True)
class World:
    """What a call is given.

    Attributes:
        folder: An empty folder of the call's own.
        threads: What is passed as `n_threads`.
    """

    folder: Path
    threads: int | None = None

    def text(self, name: str, content: str | bytes) -> str:
        """Write a file of text and return its path."""
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return str(path)

    def parquet(self, frame: pl.DataFrame = FRAME, name: str = "rows.parquet") -> str:
        """Write a Parquet file and return its path."""
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        frame.write_parquet(path)
        return str(path)

    def jsonl(self, frame: pl.DataFrame = FRAME, name: str = "rows.jsonl") -> str:
        """Write a file of JSON lines and return its path."""
        path = self.folder / name
        frame.write_ndjson(path)
        return str(path)

    def csv(self, frame: pl.DataFrame = FRAME, name: str = "rows.csv") -> str:
        """Write a CSV file and return its path."""
        path = self.folder / name
        frame.write_csv(path)
        return str(path)

    def choose(
        self, frame: object = FRAME, objectives: Any = OBJECTIVES, preferences: Any = 3, **more: Any
    ) -> pq.Selection:
        """`choose` with some defaults."""
        options: dict[str, Any] = {"k": 2, "n_threads": self.threads, **more}
        return pq.choose(frame, objectives, preferences, **options)

    def layers(self, frame: object = FRAME, objectives: Any = OBJECTIVES, **more: Any) -> Any:
        """`layers` with some defaults, computed."""
        layered = pq.layers(frame, objectives, **{"n_threads": self.threads, **more})
        return layered.lazy().collect()


Call = Callable[[World], object]
"""A call that must fail, or one whose result is recorded."""


def changed(name: str, values: Any, frame: pl.DataFrame = FRAME) -> pl.DataFrame:
    """The rows with another column."""
    column = values if isinstance(values, pl.Series) else pl.Series(values)
    return frame.with_columns(column.alias(name))


def with_value(name: str, row: int, value: float | None, frame: pl.DataFrame = FRAME) -> Any:
    """The rows with another score in one of them."""
    values = frame[name].to_list()
    values[row] = value
    return changed(name, pl.Series(values, dtype=pl.Float64), frame)


def points(n: int = 8, m: int = 2, seed: int = 0) -> Any:
    """Scores of n points, none equal."""
    return np.random.default_rng(seed).random((n, m))
