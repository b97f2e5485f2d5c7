"""Files of text as bytes: unpacked, line by line, with what is wrong with their encoding."""

from __future__ import annotations

import codecs
import gzip
from collections.abc import Iterable, Iterator

import polars as pl

_WIDE = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)


def lines(file: str) -> Iterator[bytes]:
    """The lines of a file, unpacked, with what ends them; without a mark of UTF-8 in front.

    Raises:
        ValueError: the text is in UTF-16.
        OSError: the file cannot be read.
    """
    for number, line in enumerate(_raw_lines(file)):
        if number == 0:
            if line.startswith(_WIDE) or b"\0" in line[:2]:
                raise ValueError(
                    f"{file}: cannot be read: it is in UTF-16, as Excel's Unicode text is: save it "
                    "as UTF-8 (iconv -f UTF-16 -t UTF-8)"
                )
            line = line.removeprefix(codecs.BOM_UTF8)
        yield line


def _raw_lines(file: str) -> Iterator[bytes]:
    packed = packing(file)
    if packed == "gzip":
        with gzip.open(file) as unpacked:
            yield from unpacked
    elif packed:
        for batch in pl.scan_lines(file, glob=False).collect_batches(maintain_order=True):
            yield from (f"{line}\n".encode() for line in batch["line"])
    else:
        with open(file, "rb") as plain:
            yield from plain


def packing(file: str) -> str:
    """How a file is packed, by its first bytes: "gzip", "zstd", "zlib" or "" for not at all."""
    with open(file, "rb") as start:
        magic = start.read(4)
    if magic.startswith(b"\x1f\x8b"):
        return "gzip"
    if magic == b"\x28\xb5\x2f\xfd":
        return "zstd"
    return "zlib" if magic[:2] in (b"\x78\x01", b"\x78\x9c", b"\x78\xda") else ""


def undecodable(file: str, rows: Iterable[bytes]) -> str:
    """Where the first byte is that is no UTF-8, as a message says it; "" if there is none."""
    for number, line in enumerate(rows, start=1):
        try:
            line.decode()
        except UnicodeDecodeError as error:
            return (
                f"{file}: cannot be read: line {number}: byte {line[error.start]:#04x} at position "
                f"{error.start} is not UTF-8: save it as UTF-8 (iconv -f LATIN1 -t UTF-8)"
            )
    return ""
