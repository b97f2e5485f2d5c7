"""Frames in and out of files: Parquet, CSV and JSONL, told apart by the file's ending."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import polars as pl

READERS: dict[str, Callable[..., pl.DataFrame]] = {
    ".parquet": pl.read_parquet,
    ".csv": pl.read_csv,
    ".jsonl": pl.read_ndjson,
    ".ndjson": pl.read_ndjson,
}


def read_frame(path: Path) -> pl.DataFrame:
    """Read a Parquet, CSV or JSONL file.

    Raises:
        ValueError: another ending, no such file, or a file that cannot be parsed.
    """
    reader = READERS[_ending(path)]
    if not path.is_file():
        raise ValueError(f"{path}: no such file")
    try:
        return reader(path)
    except (pl.exceptions.PolarsError, OSError) as error:
        raise ValueError(f"{path}: cannot be read: {str(error).splitlines()[0]}") from error


def write_frame(frame: pl.DataFrame, path: Path) -> None:
    """Write a Parquet, CSV or JSONL file, whole or not at all.

    CSV has no lists: they become text with semicolons.

    Raises:
        ValueError: another ending.
        OSError: the folder is missing or cannot be written, or the disk is full.
    """
    ending = _ending(path)
    beside = path.with_name(f".{path.name}.new")
    try:
        if ending == ".parquet":
            frame.write_parquet(beside)
        elif ending == ".csv":
            lists = [name for name, dtype in frame.schema.items() if isinstance(dtype, pl.List)]
            joined = [pl.col(name).cast(pl.List(pl.String)).list.join(";") for name in lists]
            frame.with_columns(joined).write_csv(beside)
        else:
            frame.write_ndjson(beside)
        beside.replace(path)
    except BaseException:
        beside.unlink(missing_ok=True)
        raise


def _ending(path: Path) -> str:
    ending = path.suffix.lower()
    if ending not in READERS:
        raise ValueError(f"{path}: expected a name that ends in {', '.join(READERS)}")
    return ending
