"""The commands on tables: select and layers."""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import polars as pl

import paretohqd as pq
from paretohqd.cli import arguments
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

STREAM = Path("-")
"""Standard input or output, as JSON lines."""


def add_commands(commands: Any) -> None:
    """Add `select` and `layers` to the command line."""
    select = commands.add_parser("select", help="choose a training set for each preference")
    _shared_arguments(select, required=False)
    select.add_argument(
        "--preferences",
        type=arguments.preferences,
        metavar="N",
        help="how many, or weights such as '1,0;0.5,0.5;0,1', 'kind=0.2,0.8' or "
        "'kind=helpful:1,harmless:4' (default: 11; with more objectives about as many)",
    )
    select.add_argument(
        "-k", type=arguments.positive, default=100, help="rows per preference (100)"
    )
    select.add_argument(
        "--bounds",
        choices=("pool", "all"),
        default="pool",
        help="rows that r_min and r_max are taken from",
    )
    select.add_argument(
        "--scale", choices=("box", "none"), default="box", help="units of the distance"
    )
    select.add_argument(
        "--directions",
        choices=("paper", "tchebycheff"),
        default="paper",
        help="shortfalls from the ideal as 1 - w, or as 1 / w",
    )
    select.add_argument(
        "--distinct", metavar="COLUMN", help="no value of this column twice per preference"
    )
    select.add_argument(
        "--duplicates",
        choices=("keep", "drop"),
        default="keep",
        help="keep copies of an answer to a prompt, or take only one",
    )
    select.add_argument(
        "--memory-limit",
        type=arguments.size,
        metavar="SIZE",
        help="what rows may take in memory, such as 1.5GB",
    )
    select.add_argument(
        "--explain", action="store_true", help="say what the pool is made of and how much is shared"
    )
    select.add_argument(
        "--plot", type=Path, metavar="FILE", help="draw the selection: .png, .svg or .html"
    )
    select.set_defaults(work=_select)

    layers = commands.add_parser("layers", help="add each row's Pareto layer")
    _shared_arguments(layers, required=True)
    layers.set_defaults(work=_layers)


def _shared_arguments(parser: argparse.ArgumentParser, *, required: bool) -> None:
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
        help="the file to write; - for JSONL on standard output",
    )
    parser.add_argument(
        "--objectives",
        type=arguments.objectives,
        required=True,
        metavar="NAMES",
        help="score columns, larger is better: helpful,harmless,length:min",
    )
    parser.add_argument(
        "--by",
        type=arguments.names,
        metavar="COLUMN",
        help="each group of rows with the same value here by itself",
    )
    stop = parser.add_mutually_exclusive_group()
    stop.add_argument("--upto", type=arguments.positive, metavar="L", help="this many layers")
    stop.add_argument(
        "--at-least",
        type=arguments.positive,
        metavar="ROWS",
        help="the fewest layers with this many rows",
    )
    parser.add_argument(
        "--nan",
        choices=("raise", "drop"),
        default="raise",
        help="refuse null and NaN scores, or leave such rows out",
    )
    parser.add_argument("--threads", type=arguments.positive, help="threads (all)")


def _select(parsed: argparse.Namespace) -> None:
    if parsed.output is None and not (parsed.explain or parsed.plot):
        raise ValueError("name a file to write (-o), or ask to --explain or --plot")
    source = _opened(parsed)
    if parsed.plot is not None:
        from paretohqd.plots.selection import check_picture

        check_picture(parsed.plot)
    options = {
        "k": parsed.k,
        "upto": parsed.upto,
        "at_least": parsed.at_least,
        "bounds": parsed.bounds,
        "scale": parsed.scale,
        "directions": parsed.directions,
        "distinct": parsed.distinct,
        "duplicates": parsed.duplicates,
        "by": parsed.by,
        "nan": parsed.nan,
    }
    with _counted(source) as progress:
        chosen = pq.choose(
            source,
            parsed.objectives,
            parsed.preferences,
            **options,
            progress=progress,
            memory_limit=parsed.memory_limit,
            n_threads=parsed.threads,
        )
    summary = chosen.summary()
    if parsed.output is not None:
        # Files keep the name that the rows of the input have always had in them.
        rows = {"rows": summary.pop("n_rows")}
        manifest = {"input": source.pattern, "options": options, **rows, **summary}
        _write(chosen.rows, parsed.output, manifest)
    if parsed.plot is not None:
        from paretohqd.plots.selection import save

        save(chosen.plot(), parsed.plot)
    sizes = summary["layers"]
    where = " within groups" if parsed.by else ""
    _say(
        parsed,
        f"{len(chosen)} preferences x {parsed.k} rows of {chosen.n_rows}{where}, from a pool of "
        f"{sum(sizes)} rows in {len(sizes)} layers; {chosen.rows['row'].n_unique()} different rows",
    )
    _say(parsed, chosen.explain() if parsed.explain else "\n".join(chosen.remarks()))


def _layers(parsed: argparse.Namespace) -> None:
    source = _opened(parsed)
    with _counted(source) as progress:
        found = pq.layers(
            source,
            parsed.objectives,
            by=parsed.by,
            upto=parsed.upto,
            at_least=parsed.at_least,
            nan=parsed.nan,
            progress=progress,
            n_threads=parsed.threads,
        )
        sizes: Counter[int | None] = Counter()

        def count(batch: pl.DataFrame) -> pl.DataFrame:
            sizes.update(dict(batch["layer"].value_counts().iter_rows()))
            return batch

        manifest = {
            "input": source.pattern,
            "objectives": parsed.objectives,
            "by": parsed.by,
            "upto": parsed.upto,
            "at_least": parsed.at_least,
            "nan": parsed.nan,
        }
        _write(found.lazy().map_batches(count, streamable=True), parsed.output, manifest)
    rows, dropped = sizes.total(), sizes.pop(None, 0)
    inside = sizes.total() - sizes.pop(-1, 0)
    _say(
        parsed,
        f"{sizes[0]} of {rows} rows on the front; {inside} in {len(+sizes)} layers",
    )
    if dropped:
        _say(parsed, f"dropped    {dropped:,} rows have no layer: null or NaN scores")


def _opened(parsed: argparse.Namespace) -> Source:
    """The input; that the output could be written is known before the work begins."""
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


@contextmanager
def _counted(source: Source) -> Iterator[RowCounter | None]:
    """Show how many rows have been read, of how many where these can be told quickly."""
    if not source.lazy:
        yield None
        return
    quick = bool(source.files) and all(kind_of(file).typed for file in source.files)
    counter = RowCounter(source.rows() if quick else None)
    try:
        yield counter
    finally:
        counter.close()


def _write(frame: pl.DataFrame | pl.LazyFrame, path: Path, manifest: dict[str, Any]) -> None:
    if path != STREAM:
        text = json.dumps({"version": pq.__version__, **manifest}, default=str)
        write_frame(frame, path, metadata={"paretohqd": text})
        return
    # A buffer of our own: that of an unbuffered Python writes what fits the pipe, and no more.
    with open(sys.stdout.fileno(), "wb", closefd=False) as out:
        for batch in Source(for_json(frame, "standard output")).batches([pl.all()]):
            out.write(batch.write_ndjson().encode())


def _say(parsed: argparse.Namespace, text: str) -> None:
    """Tell the result, if there is one, where it does not mix with rows."""
    if text:
        print(text, file=sys.stderr if parsed.output == STREAM else sys.stdout)
