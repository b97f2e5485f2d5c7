"""Lines of text files as bytes: unpacked, and refused where they are not UTF-8."""

from __future__ import annotations

import codecs
import gzip
from collections.abc import Iterable, Iterator

import polars as pl

_UTF16_MARKS = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)


def lines(file: str) -> Iterator[bytes]:
    """The lines of a file, unpacked, with their line ends, without a byte-order mark in front.

    Raises:
        ValueError: The text is in UTF-16.
        OSError: The file cannot be read.
    """
    for number, line in enumerate(_raw_lines(file)):
        if number == 0:
            if line.startswith(_UTF16_MARKS) or b"\0" in line[:2]:
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
    """How a file is packed, by its first bytes: "gzip", "zstd", "zlib", or "" if it is not."""
    with open(file, "rb") as start:
        magic = start.read(4)
    if magic.startswith(b"\x1f\x8b"):
        return "gzip"
    if magic == b"\x28\xb5\x2f\xfd":
        return "zstd"
    return "zlib" if magic[:2] in (b"\x78\x01", b"\x78\x9c", b"\x78\xda") else ""


def refuse_other_encodings(file: str, rows: Iterable[bytes]) -> None:
    """Raise a ValueError that names the line and the first byte that is not UTF-8, if one is not.

    Args:
        file: The file, for the message.
        rows: Its lines.
    """
    for number, line in enumerate(rows, start=1):
        try:
            line.decode()
        except UnicodeDecodeError as error:
            raise not_utf8(file, number, error) from error


def not_utf8(file: str, line_number: int, error: UnicodeDecodeError) -> ValueError:
    """The error for a line that is not UTF-8."""
    return ValueError(
        f"{file}: cannot be read: line {line_number}: byte {error.object[error.start]:#04x} at "
        f"position {error.start} is not UTF-8: save it as UTF-8 (iconv -f LATIN1 -t UTF-8)"
    )
