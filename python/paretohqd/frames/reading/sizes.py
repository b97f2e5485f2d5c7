"""How large rows may become in memory: a few kB of a file can hold terabytes, packed or repeated.

Files that are read in parts need no limit. What is held whole has one: the rows that a run keeps,
packed text, which Polars unpacks as a whole, and a JSON array, which Python parses as a whole.
"""

from __future__ import annotations

import gzip
import os
import zlib
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import polars as pl

from paretohqd.frames.reading.text_lines import packing

UNKNOWN_MEMORY = 8_000_000_000
"""Bytes that a machine is taken to have where the system does not say."""

BLOCK_BYTES = 1 << 20
"""Bytes that are unpacked at a time."""

ZSTD_BLOCK_BYTES = 1 << 17
"""The most bytes that a block of zstd unpacks to (RFC 8878, 3.1.1.2.4)."""

DEFLATE_RATIO = 1032
"""The most that gzip and zlib can shrink a text by."""

UNPACKED_COPIES = 2
"""How often Polars holds an unpacked text: 2.0 GB were measured for a text of 1.0 GB."""

ARRAY_COPIES = 8
"""How often a JSON array is held: as bytes, as text and as Python's objects, which are larger."""

_CONTAINER_LIMITS = (
    Path("/sys/fs/cgroup/memory.max"),
    Path("/sys/fs/cgroup/memory/memory.limit_in_bytes"),
)


def machine_memory() -> int:
    """Bytes of memory that this machine has, or the container that we are in."""
    try:
        memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, OSError, ValueError):  # as on Windows
        return UNKNOWN_MEMORY
    for file in _CONTAINER_LIMITS:
        try:
            memory = min(memory, int(file.read_text()))
        except (OSError, ValueError):  # no such file, or "max"
            continue
    return memory


def row_limit() -> int:
    """Bytes that rows may take in memory if nobody says otherwise: half of the memory."""
    return machine_memory() // 2


def least_row_bytes(schema: Mapping[str, pl.DataType]) -> int:
    """The fewest bytes of a row with these columns: of texts and lists, what points to them.

    Example:
        >>> least_row_bytes({"a": pl.Float64(), "text": pl.String()})
        24
    """
    return sum(_least_bytes(dtype) for dtype in schema.values())


def _least_bytes(dtype: Any) -> int:
    if isinstance(dtype, pl.Struct):
        return sum(map(_least_bytes, dict(dtype).values()))
    if isinstance(dtype, pl.Array):
        return dtype.size * _least_bytes(dtype.inner)
    if dtype in (pl.String, pl.Binary):
        return 16
    if isinstance(dtype, pl.List):
        return 8
    sizes: dict[Any, int] = {pl.Boolean: 0, pl.Null: 0, pl.Int8: 1, pl.UInt8: 1}
    sizes |= {
        pl.Int16: 2,
        pl.UInt16: 2,
        pl.Int32: 4,
        pl.UInt32: 4,
        pl.Float32: 4,
        pl.Date: 4,
        pl.Categorical: 4,
        pl.Enum: 1,
    }
    return sizes.get(dtype.base_type(), 8)


def too_large(path: object, limit: int) -> ValueError:
    """The error for rows that would take more memory than they may."""
    return ValueError(
        f"{path}: its rows take more than {readable_size(limit)} in memory, however small the file "
        "is: take fewer rows or columns, or allow more (data.memory_limit)"
    )


def readable_size(size: int) -> str:
    """Bytes for people.

    Example:
        >>> readable_size(12_600_000_000), readable_size(900_000)
        ('12.6 GB', '0.9 MB')
    """
    return f"{size / 1e9:.1f} GB" if size >= 1e8 else f"{size / 1e6:.1f} MB"


def refuse_large_packed(file: str) -> None:
    """Raise a ValueError if a packed text unpacks to more than fits in memory."""
    limit = row_limit() // UNPACKED_COPIES
    if packing(file) and unpacked_bytes(file, limit) > limit:
        raise ValueError(
            f"{file}: unpacks to more than {readable_size(limit)}, and packed text is held in "
            "memory whole: if you trust it, unpack it to disk first (gunzip, zstd -d): plain files "
            "are read in parts"
        )


def refuse_large_array(file: str) -> None:
    """Raise a ValueError if the JSON array in a file is too large to be parsed in memory."""
    limit = row_limit() // ARRAY_COPIES
    size = unpacked_bytes(file, limit) if packing(file) else os.path.getsize(file)
    if size > limit:
        raise ValueError(
            f"{file}: is one JSON array of more than {readable_size(limit)}, which is held in "
            "memory whole: write one object per line, which is read in parts"
        )


def unpacked_bytes(file: str, limit: int) -> int:
    """How many bytes a packed file unpacks to, at most; no more are counted past the limit.

    Damaged files are counted up to where they are damaged.
    """
    packed = packing(file)
    if packed != "zstd" and os.path.getsize(file) * DEFLATE_RATIO <= limit:
        return os.path.getsize(file) * DEFLATE_RATIO
    counts: dict[str, Callable[[str], Iterator[int]]] = {
        "gzip": _gzip_sizes,
        "zlib": _zlib_sizes,
        "zstd": _zstd_sizes,
    }
    total = 0
    try:
        for size in counts[packed](file):
            total += size
            if total > limit:
                break
    except (OSError, EOFError, zlib.error):
        pass  # Whoever reads the file says what is wrong with it.
    return total


def _gzip_sizes(file: str) -> Iterator[int]:
    with gzip.open(file) as unpacked:
        while block := unpacked.read(BLOCK_BYTES):
            yield len(block)


def _zlib_sizes(file: str) -> Iterator[int]:
    unpack = zlib.decompressobj()
    with open(file, "rb") as packed:
        while block := unpack.unconsumed_tail or packed.read(BLOCK_BYTES):
            yield len(unpack.decompress(block, BLOCK_BYTES))


def _zstd_sizes(file: str) -> Iterator[int]:
    """The most that each block can unpack to, from the headers alone (RFC 8878, 3.1.1)."""
    with open(file, "rb") as packed:
        while len(magic := packed.read(4)) == 4:
            if magic[0] & 0xF0 == 0x50 and magic[1:] == b"\x2a\x4d\x18":  # a frame to skip
                packed.seek(int.from_bytes(packed.read(4), "little"), os.SEEK_CUR)
                continue
            kind = int.from_bytes(packed.read(1), "little")
            single = kind >> 5 & 1
            content = (single, 2, 4, 8)[kind >> 6]
            packed.seek((1 - single) + (0, 1, 2, 4)[kind & 3] + content, os.SEEK_CUR)
            last = 0
            while not last and len(header := packed.read(3)) == 3:
                number = int.from_bytes(header, "little")
                last, block, size = number & 1, number >> 1 & 3, number >> 3
                # Bytes as they are, one byte many times, or bytes that are compressed.
                yield size if block < 2 else ZSTD_BLOCK_BYTES
                packed.seek(1 if block == 1 else size, os.SEEK_CUR)
            packed.seek(4 * (kind >> 2 & 1), os.SEEK_CUR)  # a checksum
