"""The kinds of files that hold rows, told apart by the endings of their names: the one list."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Kind:
    """A file format.

    Attributes:
        name: What it is called in messages.
        endings: How the names of such files end.
        typed: Whether the file stores the types of its columns; else they follow from the values.
        separator: What separates the values of a line, in formats that have such lines.
    """

    name: str
    endings: tuple[str, ...]
    typed: bool = False
    separator: str = ""


PARQUET = Kind("Parquet", (".parquet", ".pq"), typed=True)
CSV = Kind("CSV", (".csv",), separator=",")
TSV = Kind("TSV", (".tsv", ".tab"), separator="\t")
JSON = Kind("JSON", (".jsonl", ".ndjson", ".json"))
ARROW = Kind("Arrow", (".arrow", ".feather", ".ipc"), typed=True)

KINDS = (PARQUET, CSV, JSON, TSV, ARROW)

READ = (
    *(kind.endings[0] for kind in KINDS),
    *(ending for kind in KINDS for ending in kind.endings[1:]),
)
"""Endings of the files that are read."""

WRITTEN = (".parquet", ".csv", ".jsonl", ".ndjson")
"""Endings of the files that `write_frame` writes."""

_KIND_OF = {ending: kind for kind in KINDS for ending in kind.endings}

PACKED = (".gz", ".zst", ".zlib")
"""What may follow the ending of a text file: Polars unpacks these."""

TO_CONVERT = {
    ending: advice
    for advice, endings in {
        "save the sheet as CSV UTF-8 (with commas)": (".xlsx", ".xls", ".xlsm", ".ods"),
        "unpack it, or pack it by gzip": (".bz2", ".xz", ".lzma", ".lz4", ".snappy", ".br", ".z"),
        "unpack it": (".zip", ".7z", ".tar", ".tgz"),
        "write it by pandas' to_parquet": (".pkl", ".pickle"),
        "convert it to Parquet": (".avro", ".orc", ".sqlite", ".db", ".duckdb"),
        "write it as CSV": (".rds", ".rdata", ".dta", ".sav", ".sas7bdat"),
    }.items()
    for ending in endings
}
"""Endings of files that hold rows but are not read, and what to do about them."""


def known_kind(file: str) -> Kind | None:
    """The kind of a file by its name, or None if it is not one that is read.

    Example:
        >>> known_kind("scores.JSONL.gz").name, known_kind("scores.parquet.gz"), known_kind("x")
        ('JSON', None, None)
    """
    # Without pathlib, which takes longer than opening a file.
    _, *endings = os.path.basename(file).lower().lstrip(".").split(".")
    last = f".{endings[-1]}" if endings else ""
    if last in _KIND_OF:
        return _KIND_OF[last]
    second_last = f".{endings[-2]}" if len(endings) > 1 else ""
    kind = _KIND_OF.get(second_last) if last in PACKED else None
    return None if kind is None or kind.typed else kind


def kind_of(file: str) -> Kind:
    """The kind of a file by its name.

    Raises:
        ValueError: It is not one that is read.
    """
    kind = known_kind(file)
    if kind is not None:
        return kind
    advice = TO_CONVERT.get(Path(file).suffix.lower())
    if advice is not None:
        raise ValueError(f"{file}: {Path(file).suffix} files are not read: {advice}")
    raise ValueError(
        f"{file}: expected a name that ends in {', '.join(READ)}; those of text may be followed by "
        f"{', '.join(PACKED)}"
    )
