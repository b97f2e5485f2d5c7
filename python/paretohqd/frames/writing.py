"""Files that are written whole or not at all: frames as Parquet, CSV or JSONL, and any other."""

from __future__ import annotations

import os
import secrets
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

import polars as pl

from paretohqd.exceptions import first_line
from paretohqd.frames.reading.formats import WRITTEN
from paretohqd.frames.reading.paths import local_path

EXACT_DIGITS = 15
"""Significant digits that a double, and so a JSON number, always keeps."""


@contextmanager
def whole(path: Path) -> Iterator[BinaryIO]:
    """A new file that takes the place of `path` once the block has ended well.

    Until then, and after an error or Ctrl-C, what was there stays and nothing is left beside it.
    The new file has a name of its own, so that two processes cannot write into one, and the mode of
    the file that it replaces. A link stays one: the file that it leads to is replaced.

    Raises:
        OSError: see `check_target`; or the disk is full.

    Example:
        >>> import tempfile
        >>> path = Path(tempfile.mkdtemp()) / "a.txt"
        >>> with whole(path) as file:
        ...     written = file.write(b"text")
        >>> path.read_bytes(), [each.name for each in path.parent.iterdir()]
        (b'text', ['a.txt'])
    """
    target = check_target(path)
    beside = target.with_name(f".{target.name[:40]}.{secrets.token_hex(6)}.new")
    try:
        # Opened by us: a library that opens a file by name may do so after Ctrl-C, in a thread of
        # its own, and leave it behind.
        with beside.open("xb") as file:
            if target.exists():
                os.chmod(beside, target.stat().st_mode & 0o7777)
            yield file
            file.flush()
            os.fsync(file.fileno())
        beside.replace(target)
    finally:
        beside.unlink(missing_ok=True)


def write_text(path: Path, text: str) -> None:
    """Write a text as UTF-8, whole or not at all; a lone surrogate becomes a question mark."""
    with whole(path) as file:
        file.write(text.encode(errors="replace"))


def check_target(path: Path) -> Path:
    """Find out before the work begins whether a file could be written there.

    Returns:
        The place itself: without links, `~` as the home folder.

    Raises:
        OSError: no such folder, one that may not be written, or no ordinary file.
    """
    given = Path(local_path(path))
    target = Path(os.path.realpath(given))
    if target.is_dir():
        raise IsADirectoryError(f"{path}: is a folder, not a file")
    if target.exists() and not target.is_file():
        raise OSError(f"{path}: is no ordinary file, so it cannot be replaced by one")
    for folder in (given.parent, target.parent):
        if not folder.is_dir():
            raise FileNotFoundError(f"{path}: no such folder: {folder}")
    if not os.access(target.parent, os.W_OK | os.X_OK):
        raise PermissionError(f"{path}: the folder {target.parent} may not be written")
    return target


def refuse_overwriting(path: Path, files: Iterable[str | Path]) -> None:
    """Raise a ValueError if a file that is read would be replaced by one that is written."""
    target = check_target(path)
    if target.exists() and any(target.samefile(local_path(file)) for file in files):
        raise ValueError(f"{path}: the input would be overwritten: name another file")


def check_output(path: Path, schema: Mapping[str, pl.DataType] | None = None) -> None:
    """Find out before the work begins whether a frame could be written there.

    Raises:
        ValueError: another ending than `write_frame` knows, or a column that such a file cannot
            hold.
        OSError: see `check_target`.
    """
    ending = path.suffix.lower()
    if ending not in WRITTEN:
        raise ValueError(f"{path}: expected a name that ends in {', '.join(WRITTEN)}")
    check_target(path)
    check_columns(schema or {}, ending, path)


def check_columns(schema: Mapping[str, pl.DataType], ending: str, path: Path | str) -> None:
    """Refuse columns that a file with this ending cannot hold.

    Raises:
        ValueError: there is such a column.
    """
    for name, dtype in schema.items():
        kinds = list(_types(dtype))
        if ending == ".csv":
            form = "CSV"
            lists = isinstance(dtype, pl.List | pl.Array) and len(kinds) == 2
            bad = (len(kinds) > 1 and not lists) or kinds[-1] in (
                pl.Binary,
                pl.Object,
                pl.Duration,
            )
        else:
            form = "JSON"
            bad = ending != ".parquet" and any(kind in (pl.Binary, pl.Object) for kind in kinds)
        if bad:
            raise ValueError(f"{path}: {form} cannot hold column {name!r} ({dtype}): write Parquet")


def write_frame(
    frame: pl.DataFrame | pl.LazyFrame, path: Path, *, metadata: dict[str, str] | None = None
) -> None:
    """Write a Parquet, CSV or JSONL file, whole or not at all; what is lazy in batches.

    CSV has no lists: they become text with semicolons. JSON has no NaN: it becomes null, which
    counts as missing too. Only Parquet keeps `metadata`.

    Raises:
        ValueError: another ending, or a column or value that such a file cannot hold.
        OSError: the folder is missing or cannot be written, or the disk is full.
    """
    query = frame.lazy()
    check_output(path, query.collect_schema())
    ending = path.suffix.lower()
    try:
        with whole(path) as file:
            if ending == ".parquet":
                query.sink_parquet(file, metadata=metadata)
            elif ending == ".csv":
                _for_csv(query, path).sink_csv(file)
            else:
                for_json(frame, path).sink_ndjson(file)
    except (pl.exceptions.PolarsError, OSError) as error:
        # Polars reports a full disk as an error of its own or of the system, by format.
        reason = first_line(error)
        raise OSError(f"{path}: cannot be written: {reason}") from error


def for_json(frame: pl.DataFrame | pl.LazyFrame, path: Path | str) -> pl.LazyFrame:
    """The frame as JSON can hold it: decimals as numbers; no infinities, which would be null.

    Raises:
        ValueError: an infinity or a decimal of more than 15 digits; of a LazyFrame when it is
            collected.
    """
    schema = frame.collect_schema()
    kept = {name: _without_decimals(dtype) for name, dtype in schema.items()}
    odd = [name for name, dtype in schema.items() if any(k.is_float() for k in _types(kept[name]))]

    def numbers(batch: pl.DataFrame) -> pl.DataFrame:
        for name in odd:
            # Under no name: Polars takes some names for patterns, in methods of a Series too.
            column = batch.get_column(name).rename("")
            for values in _leaves(column):
                # Batches of a LazyFrame come in any order, and a list's values are no rows.
                rows = values is column and isinstance(frame, pl.DataFrame)
                _check_numbers(values, name, path, rows=rows)
        return batch.with_columns(
            batch.get_column(name).rename("").cast(kept[name]).rename(name) for name in odd
        )

    if isinstance(frame, pl.DataFrame):
        return numbers(frame).lazy()
    return frame.map_batches(numbers, schema=kept, streamable=True) if odd else frame


def _check_numbers(values: pl.Series, name: str, path: Path | str, *, rows: bool) -> None:
    """Refuse what JSON's numbers cannot say."""
    if values.dtype.is_float():
        bad, what = values.is_infinite(), "an infinity"
    elif values.dtype.is_decimal():
        digits = values.cast(pl.String).str.replace_all(r"^-?0*\.?0*|\.|0+$", "")
        bad, what = digits.str.len_chars() > EXACT_DIGITS, f"more than {EXACT_DIGITS} digits"
    else:
        return
    if bad.any():
        where = f"column {name!r}" + (f", row {bad.arg_max()}" if rows else "")
        raise ValueError(
            f"{path}: JSON's numbers cannot hold {what} ({where}): write Parquet or CSV"
        )


def _for_csv(frame: pl.LazyFrame, path: Path) -> pl.LazyFrame:
    """Lists of plain values as text; what is null in a list is nothing between two semicolons.

    Raises:
        ValueError: when it is collected, a text in a list that holds a semicolon.
    """
    schema = frame.collect_schema()
    lists = [name for name, dtype in schema.items() if isinstance(dtype, pl.List | pl.Array)]

    def texts(batch: pl.DataFrame) -> pl.DataFrame:
        # Under no name: Polars takes some names for patterns, in methods of a Series too.
        columns = [batch.get_column(n).rename("").cast(pl.List(pl.String)) for n in lists]
        filled = [each.list.eval(pl.element().fill_null("")) for each in columns]
        for name, each in zip(lists, columns, strict=True):
            if each.explode().str.contains(";", literal=True).any():
                raise ValueError(
                    f"{path}: CSV cannot hold column {name!r}: its lists are written with "
                    "semicolons, and a text in one holds a semicolon: write Parquet or JSONL"
                )
        return batch.with_columns(
            each.list.join(";").rename(name) for name, each in zip(lists, filled, strict=True)
        )

    if not lists:
        return frame
    return frame.map_batches(
        texts, schema=schema | dict.fromkeys(lists, pl.String()), streamable=True
    )


def _types(dtype: pl.DataType) -> Iterator[pl.DataType]:
    """A column's type and the types inside it."""
    yield dtype
    if isinstance(dtype, pl.Struct):
        for field in dtype.fields:
            yield from _types(field.dtype)  # type: ignore[arg-type]
    elif isinstance(dtype, pl.List | pl.Array):
        yield from _types(dtype.inner)  # type: ignore[arg-type]


def _leaves(column: pl.Series) -> Iterator[pl.Series]:
    """The plain values inside a column, by their place in its type."""
    if isinstance(column.dtype, pl.Struct):
        for field in column.dtype.fields:
            yield from _leaves(column.struct.field(field.name))
    elif isinstance(column.dtype, pl.List | pl.Array):
        yield from _leaves(column.explode())
    else:
        yield column


def _without_decimals(dtype: pl.DataType) -> pl.DataType:
    """The same type with doubles for decimals."""
    if isinstance(dtype, pl.Struct):
        return pl.Struct([pl.Field(f.name, _without_decimals(f.dtype)) for f in dtype.fields])  # type: ignore[arg-type]
    if isinstance(dtype, pl.List):
        return pl.List(_without_decimals(dtype.inner))  # type: ignore[arg-type]
    if isinstance(dtype, pl.Array):
        return pl.Array(_without_decimals(dtype.inner), dtype.size)  # type: ignore[arg-type]
    return pl.Float64() if dtype.is_decimal() else dtype
