"""Rows in and rows out of a command: files, folders, patterns, standard input and output."""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import polars as pl

import paretohqd as pq
from paretohqd.cli import terminal
from paretohqd.frames.reading.formats import kind_of
from paretohqd.frames.sources import Source, read_frame
from paretohqd.frames.writing import (
    check_columns,
    check_output,
    for_json,
    refuse_overwriting,
    write_frame,
)
from paretohqd.plots.progress import RowCounter
from paretohqd.safety.places import shown_path

STREAM = Path("-")
"""Standard input or output, as JSON lines."""


def add_arguments(parser: argparse.ArgumentParser, *, required: bool) -> None:
    """Add the input and the output, which may be required."""
    parser.add_argument(
        "input",
        nargs="+",
        help="Parquet, Arrow, CSV, TSV, JSON: files, folders, patterns; - for JSONL on stdin",
    )
    parser.add_argument(
        "-o",
        "--output",
        type=Path,
        required=required,
        help="the file to write; - for JSONL on standard output; texts are written as they are, in "
        "CSV too, where a spreadsheet takes those that begin with =, +, - or @ for formulas",
    )


def opened(parsed: argparse.Namespace) -> Source:
    """The input, once it is sure that the output can be written."""
    if parsed.output not in (None, STREAM):
        check_output(parsed.output)
    if parsed.input == [str(STREAM)]:
        source = Source(_from_stdin(), pattern="standard input")
    else:
        source = Source.of(parsed.input)
    if parsed.output == STREAM:
        check_columns(source.schema, ".jsonl", "standard output")
    elif parsed.output is not None:
        refuse_overwriting(parsed.output, source.files)
        check_output(parsed.output, source.schema)
    return source


def _from_stdin() -> pl.DataFrame:
    text = sys.stdin.buffer.read()
    if not text.strip():
        raise ValueError("standard input: no rows")
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder, "rows.jsonl")
        file.write_bytes(text)
        try:
            return read_frame(file)
        except ValueError as error:
            reason = str(error).replace(str(file), "standard input")
            raise ValueError(f"standard input: no JSON lines: {reason}") from error


def named(source: Source, output: Path) -> str:
    """What a written file says of its input: paths as they lie from it, when they are absolute."""
    folder = output.absolute().parent
    names = source.pattern.split(", ")
    return ", ".join(shown_path(n, folder) if Path(n).is_absolute() else n for n in names)


@contextmanager
def counted(source: Source) -> Iterator[RowCounter | None]:
    """Show how many rows have been read, and of how many where counting them is quick."""
    if not source.lazy:
        yield None
        return
    quick = bool(source.files) and all(kind_of(file).typed for file in source.files)
    counter = RowCounter(source.rows() if quick else None)
    try:
        yield counter
    finally:
        counter.close()


def write(
    frame: pl.DataFrame | pl.LazyFrame, path: Path, manifest: dict[str, Any] | None = None
) -> None:
    """Write rows, with what they were made by where the format has a place for it."""
    if path != STREAM:
        metadata = None
        if manifest is not None:
            text = json.dumps({"version": pq.__version__, **manifest}, default=str)
            metadata = {"paretohqd": text}
        write_frame(frame, path, metadata=metadata)
        return
    # A buffer of our own: that of an unbuffered Python writes what fits the pipe, and no more.
    with open(sys.stdout.fileno(), "wb", closefd=False) as out:
        for batch in Source(for_json(frame, "standard output")).batches([pl.all()]):
            out.write(batch.write_ndjson().encode())


def say(parsed: argparse.Namespace, text: str) -> None:
    """Print a text, if there is one, where it does not mix with rows."""
    if text:
        terminal.say(text, file=sys.stderr if parsed.output == STREAM else sys.stdout)
