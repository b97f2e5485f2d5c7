"""Frames from files: Parquet, CSV and JSONL, told apart by the file's ending."""

from __future__ import annotations

from pathlib import Path

import polars as pl

ENDINGS = (".parquet", ".csv", ".jsonl", ".ndjson")


def read_frame(path: Path) -> pl.DataFrame:
    """Read a Parquet, CSV or JSONL file.

    Column types of CSV and JSONL follow from all rows, not from the first hundred.

    Raises:
        ValueError: another ending, no such file, or a file that cannot be parsed.
    """
    ending = _ending(path)
    if not path.is_file():
        raise ValueError(f"{path}: {'not a file' if path.exists() else 'no such file'}")
    try:
        # A name may hold brackets or a star: it is this file, not a pattern.
        if ending == ".parquet":
            return pl.read_parquet(path, glob=False)
        if ending == ".csv":
            return pl.read_csv(path, glob=False, infer_schema_length=None)
        with path.open("rb") as file:
            return pl.read_ndjson(file, infer_schema_length=None)
    except (pl.exceptions.PolarsError, OSError) as error:
        raise ValueError(f"{path}: cannot be read: {_first_line(error)}") from error


def _ending(path: Path) -> str:
    ending = path.suffix.lower()
    if ending not in ENDINGS:
        raise ValueError(f"{path}: expected a name that ends in {', '.join(ENDINGS)}")
    return ending


def _first_line(error: Exception) -> str:
    return (str(error) or type(error).__name__).splitlines()[0]
