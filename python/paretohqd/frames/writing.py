"""Files written whole or not at all: frames as Parquet, CSV or JSONL, texts, any other content."""

from __future__ import annotations

import os
import secrets
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

import polars as pl

from paretohqd.exceptions import first_line
from paretohqd.frames.new_files import open_new, refuse_link
from paretohqd.frames.reading.formats import WRITTEN
from paretohqd.frames.reading.paths import local_path

TEXT_TYPES = (pl.String, pl.Categorical, pl.Enum)

EXACT_DIGITS = 15
"""Significant digits that a double, and so a JSON number, always preserves."""


@contextmanager
def whole(path: Path, *, mode: int = 0o666) -> Iterator[BinaryIO]:
    """Open a new file that replaces `path` once the block has ended without an error.

    Until then, and after an error or Ctrl-C, the old file stays and no other is left beside it. The
    new file has a unique name until it replaces the old one: two processes never write into the
    same file. It gets the old file's mode.

    Args:
        path: The file.
        mode: Who may read and write it where there was none, less what the umask forbids.

    Raises:
        ValueError: The path is a link.
        OSError: The file cannot be written, as `check_target` says, or the disk is full.

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
        # We open it: a library that opens a file by its name may do so in a thread of its own,
        # after Ctrl-C, and leave it behind.
        with open_new(beside, mode=mode) as file:
            if target.exists():
                new = file.fileno() if os.chmod in os.supports_fd else beside
                os.chmod(new, target.stat().st_mode & 0o7777)
            yield file
            file.flush()
            os.fsync(file.fileno())
        beside.replace(target)
    finally:
        beside.unlink(missing_ok=True)


def write_text(path: Path, text: str, *, mode: int = 0o666) -> None:
    """Write a text as UTF-8, whole or not at all; a lone surrogate becomes a question mark."""
    with whole(path, mode=mode) as file:
        file.write(text.encode(errors="replace"))


def check_target(path: Path) -> Path:
    """Check before the work begins whether a file can be written at a path.

    Returns:
        The path in its real folder, and with the home folder for `~`.

    Raises:
        ValueError: The path is a link: who made it may not be who writes now.
        OSError: The folder is missing or cannot be written, or the path is not an ordinary file's.
    """
    given = Path(local_path(path))
    refuse_link(given)
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
    """Raise a ValueError if writing to `path` would replace one of the files that are read."""
    target = check_target(path)
    if target.exists() and any(target.samefile(local_path(file)) for file in files):
        raise ValueError(f"{path}: the input would be overwritten: name another file")


def check_output(path: Path, schema: Mapping[str, pl.DataType] | None = None) -> None:
    """Check before the work begins whether a frame can be written at a path.

    Raises:
        ValueError: `write_frame` does not know the ending, or such a file cannot hold a column.
        OSError: The file cannot be written, as `check_target` says.
    """
    ending = path.suffix.lower()
    if ending not in WRITTEN:
        raise ValueError(f"{path}: expected a name that ends in {', '.join(WRITTEN)}")
    check_target(path)
    check_columns(schema or {}, ending, path)


def check_columns(schema: Mapping[str, pl.DataType], ending: str, path: Path | str) -> None:
    """Raise a ValueError if a file with this ending cannot hold one of the columns."""
    for name, dtype in schema.items():
        types = list(_types(dtype))
        if ending == ".csv":
            file_format = "CSV"
            plain_list = isinstance(dtype, pl.List | pl.Array) and len(types) == 2
            nested = len(types) > 1 and not plain_list
            refused = nested or types[-1] in (pl.Binary, pl.Object, pl.Duration)
        else:
            file_format = "JSON"
            refused = ending != ".parquet" and any(t in (pl.Binary, pl.Object) for t in types)
        if refused:
            raise ValueError(
                f"{path}: {file_format} cannot hold column {name!r} ({dtype}): write Parquet"
            )


def write_frame(
    frame: pl.DataFrame | pl.LazyFrame, path: Path, *, metadata: dict[str, str] | None = None
) -> None:
    """Write a Parquet, CSV or JSONL file, whole or not at all; a LazyFrame in batches.

    CSV has no lists: they become text with semicolons; texts stay as they are, also those that a
    spreadsheet takes for formulas. JSON has no NaN: it becomes null, which
    counts as missing too. Only Parquet keeps `metadata`.

    Raises:
        ValueError: The ending is unknown, or such a file cannot hold a column or value.
        OSError: The folder is missing or cannot be written, or the disk is full.
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
        # A full disk is a PolarsError for some formats and an OSError for others.
        raise OSError(f"{path}: cannot be written: {first_line(error)}") from error


def csv_for_people(frame: pl.DataFrame) -> str:
    """A table as CSV that a spreadsheet shows as it is: no text in it is taken for a formula.

    Texts and names of columns that begin with = + - @ or a control character get an apostrophe in
    front, which spreadsheets read as "text"; a dash alone, which stands for nothing, is left. Files
    of data are written as they are: `write_frame`.

    Example:
        >>> table = pl.DataFrame({"method": ["=1+1", "SFT"], "gain": [-1, 2]})
        >>> print(csv_for_people(table), end="")
        method,gain
        '=1+1,-1
        SFT,2
    """
    starts = r"(?s)^([=+@\t\r\n\x{FF1D}\x{FF0B}\x{FF0D}\x{FF20}]|-.)"
    columns = [
        each.cast(pl.String).str.replace(starts, "'$1") if each.dtype in TEXT_TYPES else each
        for each in (frame.get_column(name).rename("") for name in frame.columns)
    ]
    names = pl.Series(frame.columns, dtype=pl.String).str.replace(starts, "'$1")
    return pl.DataFrame(
        [each.rename(name) for each, name in zip(columns, names, strict=True)]
    ).write_csv()


def for_json(frame: pl.DataFrame | pl.LazyFrame, path: Path | str) -> pl.LazyFrame:
    """The frame with values that JSON can hold: decimals become numbers, infinities are refused.

    Raises:
        ValueError: There is an infinity, or a decimal with more than 15 digits. For a LazyFrame
            this is raised when it is collected.
    """
    schema = frame.collect_schema()
    kept = {name: _without_decimals(dtype) for name, dtype in schema.items()}
    floats = [name for name, dtype in kept.items() if any(t.is_float() for t in _types(dtype))]

    def numbers(batch: pl.DataFrame) -> pl.DataFrame:
        for name in floats:
            # Without its name: Polars takes some names for patterns, in methods of a Series too.
            column = batch.get_column(name).rename("")
            for values in _leaves(column):
                # Batches of a LazyFrame come in any order, and values in a list have no row.
                name_row = values is column and isinstance(frame, pl.DataFrame)
                _refuse_inexact(values, name, path, name_row=name_row)
        return batch.with_columns(
            batch.get_column(name).rename("").cast(kept[name]).rename(name) for name in floats
        )

    if isinstance(frame, pl.DataFrame):
        return numbers(frame).lazy()
    return frame.map_batches(numbers, schema=kept, streamable=True) if floats else frame


def _refuse_inexact(values: pl.Series, name: str, path: Path | str, *, name_row: bool) -> None:
    """Raise a ValueError for infinities, and for decimals with more digits than a double has."""
    if values.dtype.is_float():
        bad, what = values.is_infinite(), "an infinity"
    elif values.dtype.is_decimal():
        digits = values.cast(pl.String).str.replace_all(r"^-?0*\.?0*|\.|0+$", "")
        bad, what = digits.str.len_chars() > EXACT_DIGITS, f"more than {EXACT_DIGITS} digits"
    else:
        return
    if bad.any():
        position = f"column {name!r}" + (f", row {bad.arg_max()}" if name_row else "")
        raise ValueError(
            f"{path}: JSON's numbers cannot hold {what} ({position}): write Parquet or CSV"
        )


def _for_csv(frame: pl.LazyFrame, path: Path) -> pl.LazyFrame:
    """The frame with lists as text; a null in a list is nothing between two semicolons.

    Raises:
        ValueError: A text in a list holds a semicolon: raised when the frame is collected.
    """
    schema = frame.collect_schema()
    lists = [name for name, dtype in schema.items() if isinstance(dtype, pl.List | pl.Array)]

    def texts(batch: pl.DataFrame) -> pl.DataFrame:
        # Without their names: Polars takes some names for patterns, in methods of a Series too.
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
    """The plain values inside a column, one Series for each plain type within its own."""
    if isinstance(column.dtype, pl.Struct):
        for field in column.dtype.fields:
            yield from _leaves(column.struct.field(field.name))
    elif isinstance(column.dtype, pl.List | pl.Array):
        yield from _leaves(column.explode())
    else:
        yield column


def _without_decimals(dtype: pl.DataType) -> pl.DataType:
    """The same type with doubles in place of decimals."""
    if isinstance(dtype, pl.Struct):
        return pl.Struct([pl.Field(f.name, _without_decimals(f.dtype)) for f in dtype.fields])  # type: ignore[arg-type]
    if isinstance(dtype, pl.List):
        return pl.List(_without_decimals(dtype.inner))  # type: ignore[arg-type]
    if isinstance(dtype, pl.Array):
        return pl.Array(_without_decimals(dtype.inner), dtype.size)  # type: ignore[arg-type]
    return pl.Float64() if dtype.is_decimal() else dtype
