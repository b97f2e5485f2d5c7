"""Frames from files, whose kinds are told apart by their names' endings."""

from __future__ import annotations

import os
from pathlib import Path

import polars as pl

from paretohqd.frames.reading.formats import kind_of
from paretohqd.frames.reading.opening import open_files, reading_error
from paretohqd.frames.reading.paths import local_path


def read_frame(path: Path) -> pl.DataFrame:
    """Read a file of rows: Parquet, Arrow, CSV, TSV or JSON.

    Types of what is text follow from all rows, not from the first hundred.

    Raises:
        ValueError: another ending, no such file, or a file that cannot be parsed.
    """
    file = local_path(path)
    kind_of(file)
    if not os.path.isfile(file):
        raise ValueError(f"{path}: {'not a file' if os.path.exists(file) else 'no such file'}")
    found = open_files([file])
    try:
        return found.frame.collect(engine="streaming")
    except (pl.exceptions.PolarsError, OSError) as error:
        raise reading_error(found.files, found.pattern, error) from error
