"""Frames in and out of files: Parquet, CSV and JSONL, told apart by the file's ending."""

from __future__ import annotations

from collections.abc import Iterator
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


def check_output(path: Path) -> None:
    """Find out before the work begins whether a file could be written there.

    Raises:
        ValueError: another ending than `write_frame` knows.
        OSError: no such folder, or a folder of that name.
    """
    _ending(path)
    if path.is_dir():
        raise IsADirectoryError(f"{path}: is a folder, not a file")
    if not path.parent.is_dir():
        raise FileNotFoundError(f"{path}: no such folder: {path.parent}")


def write_frame(
    frame: pl.DataFrame | pl.LazyFrame, path: Path, *, metadata: dict[str, str] | None = None
) -> None:
    """Write a Parquet, CSV or JSONL file, whole or not at all; what is lazy in batches.

    CSV has no lists: they become text with semicolons. Only Parquet keeps `metadata`.

    Raises:
        ValueError: another ending, or a column that such a file cannot hold.
        OSError: the folder is missing or cannot be written, or the disk is full.
    """
    ending = _ending(path)
    check_output(path)
    beside = path.with_name(f".{path.name}.new{ending}")
    query = frame.lazy()
    try:
        if ending == ".parquet":
            query.sink_parquet(beside, metadata=metadata)
        elif ending == ".csv":
            _for_csv(query, path).sink_csv(beside)
        else:
            _for_json(query, path).sink_ndjson(beside)
        beside.replace(path)
    except (pl.exceptions.PolarsError, OSError) as error:
        # Polars reports a full disk as an error of its own or of the system, by format.
        raise OSError(f"{path}: cannot be written: {_first_line(error)}") from error
    finally:
        beside.unlink(missing_ok=True)


def _for_csv(frame: pl.LazyFrame, path: Path) -> pl.LazyFrame:
    """Lists of plain values as text."""
    texts = []
    for name, dtype in frame.collect_schema().items():
        _, *inner = _types(dtype)
        if isinstance(dtype, pl.List | pl.Array) and len(inner) == 1:
            texts.append(pl.col(name).cast(pl.List(pl.String)).list.join(";"))
        elif inner or dtype in (pl.Binary, pl.Object):
            raise ValueError(f"{path}: CSV cannot hold column {name!r} ({dtype}): write Parquet")
    return frame.with_columns(texts)


def _for_json(frame: pl.LazyFrame, path: Path) -> pl.LazyFrame:
    for name, dtype in frame.collect_schema().items():
        if any(each in (pl.Binary, pl.Object) for each in _types(dtype)):
            raise ValueError(f"{path}: JSON cannot hold column {name!r} ({dtype}): write Parquet")
    return frame


def _types(dtype: pl.DataType) -> Iterator[pl.DataType]:
    """A column's type and the types inside it."""
    yield dtype
    if isinstance(dtype, pl.Struct):
        for field in dtype.fields:
            yield from _types(field.dtype)  # type: ignore[arg-type]
    elif isinstance(dtype, pl.List | pl.Array):
        yield from _types(dtype.inner)  # type: ignore[arg-type]


def _ending(path: Path) -> str:
    ending = path.suffix.lower()
    if ending not in ENDINGS:
        raise ValueError(f"{path}: expected a name that ends in {', '.join(ENDINGS)}")
    return ending


def _first_line(error: Exception) -> str:
    return (str(error) or type(error).__name__).splitlines()[0]
