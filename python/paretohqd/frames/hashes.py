"""Hashes of content: of files, which are read once while they stay as they are, and of frames."""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import polars as pl

TICK = 50_000_000
"""Nanoseconds within which two changes of a file may be given the same time."""

COARSE_TICK = 2_000_000_000
"""The same where times are whole seconds, as on file systems of old."""

MEMORY = ".hashes"
"""The folder, below that of `Hashes`, for what is remembered."""

ROWS = 1 << 16
"""Rows whose text is copied at a time."""

Known = tuple[int, int, int, int, str]
"""Size, time of change, time of status change, inode; and the hash that the content then had."""


class Hashes:
    """Hashes of files, kept as long as a file's size, times and inode stay the same.

    A file that was changed a moment before it is read may be changed again without being given
    another time. So what is that fresh is hashed but not kept, unless a moment can be waited for.

    Example:
        >>> import tempfile
        >>> folder = Path(tempfile.mkdtemp())
        >>> _ = (folder / "a").write_text("1")
        >>> Hashes(folder).file(folder / "a") == hash_path(folder / "a")
        True
    """

    def __init__(self, folder: Path, known: Iterable[str] = (), *, read_all: bool = False) -> None:
        """Begin with what `text` gave earlier.

        Args:
            folder: Paths below it are kept relative to it, so that it can be moved.
            known: Texts of earlier ones.
            read_all: Read every file once all the same.
        """
        self.folder = folder
        self.changed = False
        """Whether there is anything to write."""
        self._known: dict[str, Known] = {}
        self._trusted: set[str] | None = set() if read_all else None
        for text in known:
            try:
                for name, (size, changed, status, inode, content) in json.loads(text).items():
                    self._known[name] = (int(size), int(changed), int(status), int(inode), content)
            except (ValueError, TypeError, AttributeError):
                continue  # Nothing is known then.

    def text(self) -> str:
        """What is known, to be kept in a file."""
        return json.dumps(self._known, indent=0)

    def file(self, path: Path) -> str:
        """Hash of a file's content."""
        name, facts = self._name(path), _facts(path)
        known = self._known.get(name)
        fresh = self._trusted is not None and name not in self._trusted
        if known is not None and known[:4] == facts and not fresh:
            return known[4]
        settled = self._settled(facts)
        content = hash_path(path)
        if settled and _facts(path) == facts:
            self._known[name] = (*facts, content)
            self.changed = True
            if self._trusted is not None:
                self._trusted.add(name)
        return content

    def folder_files(self, folder: Path, *, without: Sequence[str] = ()) -> dict[str, str]:
        """Hash of every file below a folder, by its name there, but for some of its own."""
        return {
            path.relative_to(folder).as_posix(): self.file(path) for path in _files(folder, without)
        }

    def path(self, path: Path) -> str:
        """As `hash_path`."""
        return hash_json(self.folder_files(path)) if path.is_dir() else self.file(path)

    def moved(self, before: Path, after: Path) -> None:
        """Files below a folder that was given another name are the same ones."""
        old, new = f"{self._name(before)}/", f"{self._name(after)}/"
        for name in [name for name in self._known if name.startswith(old)]:
            self._known[new + name.removeprefix(old)] = self._known.pop(name)

    def _name(self, path: Path) -> str:
        path = path.absolute()
        inside = path.is_relative_to(self.folder)
        return (path.relative_to(self.folder) if inside else path).as_posix()

    def _settled(self, facts: tuple[int, int, int, int]) -> bool:
        """Whether a later change would be given a later time; a short moment is waited for."""
        changed = max(facts[1], facts[2])
        coarse = changed % 1_000_000_000 == 0
        left = changed + (COARSE_TICK if coarse else TICK) - self._now()
        if 0 < left <= TICK:
            time.sleep(left / 1e9)
            left = 0
        return left <= 0

    def _now(self) -> int:
        """The time as the file system tells it, whose clock need not be this machine's."""
        mark = self.folder / MEMORY / "clock"
        try:
            mark.parent.mkdir(exist_ok=True)
            mark.touch()
            return mark.stat().st_mtime_ns
        except OSError:
            return 0  # Nothing can be kept there either.


def hash_path(path: Path) -> str:
    """Hash of a file's content, or of all files in a folder."""
    if path.is_dir():
        return hash_json({f.relative_to(path).as_posix(): hash_path(f) for f in _files(path)})
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def hash_json(content: Any) -> str:
    """Hash of what JSON can hold, whatever the order of its keys."""
    text = json.dumps(content, sort_keys=True, default=str)
    return hashlib.sha256(text.encode()).hexdigest()


def hash_frame(frame: pl.DataFrame) -> str:
    """Hash of a frame's names, types and values.

    It does not depend on how the frame lies in memory, on threads or on Polars' version: what is
    hashed are numbers as little-endian bytes, lengths, and texts as UTF-8.

    Raises:
        ValueError: a column of Python objects.

    Example:
        >>> frame = pl.DataFrame({"text": ["a", "b"], "score": [1.0, None]})
        >>> hash_frame(pl.concat([frame[:1], frame[1:]])) == hash_frame(frame)
        True
    """
    found = hashlib.sha256()
    for column in frame:
        name = column.name.encode()
        found.update(b"column %d %d %s" % (len(column), len(name), name))
        for part in _parts(column):
            found.update(part)
    return found.hexdigest()


def hash_frame_as_json(frame: pl.DataFrame) -> str:
    """Hash of a small frame as run folders hold it that do not say how frames are hashed."""
    return hashlib.sha256(frame.write_json().encode()).hexdigest()


def _parts(values: pl.Series) -> Iterator[bytes]:
    """A column as bytes: its type, where it is null, and its values."""
    dtype = values.dtype
    if dtype == pl.Object:
        raise ValueError(f"column {values.name!r} holds Python objects, which have no hash")
    yield _type(dtype).encode() + b"\0"
    if dtype == pl.Null:
        return
    yield values.is_null().to_numpy().tobytes()
    values = values.drop_nulls()
    if isinstance(dtype, pl.Struct):
        for field in dtype.fields:
            yield field.name.encode() + b"\0"
            yield from _parts(values.struct.field(field.name))
    elif isinstance(dtype, pl.List | pl.Array):
        lists = values.arr.to_list() if isinstance(dtype, pl.Array) else values
        lengths = lists.list.len()
        yield lengths.cast(pl.UInt64).to_numpy().astype("<u8").tobytes()
        yield from _parts(lists.filter(lengths > 0).explode())
    elif _type(dtype) == "text" or dtype == pl.Binary:
        texts = values if dtype == pl.Binary else values.cast(pl.String).cast(pl.Binary)
        yield texts.bin.size().cast(pl.UInt64).to_numpy().astype("<u8").tobytes()
        for start in range(0, len(texts), ROWS):
            yield b"".join(texts[start : start + ROWS].to_list())
    else:
        numbers = values.fill_nan(float("nan")) if dtype.is_float() else values.to_physical()
        array = numbers.to_numpy()
        yield array.astype(array.dtype.newbyteorder("<")).tobytes()


def _type(dtype: pl.DataType) -> str:
    """A type's name; those whose values are hashed as text share one."""
    if isinstance(dtype, pl.Datetime):
        return f"datetime {dtype.time_unit} {dtype.time_zone}"
    if isinstance(dtype, pl.Duration):
        return f"duration {dtype.time_unit}"
    texts = (pl.String, pl.Categorical, pl.Enum, pl.Decimal, pl.Int128, pl.UInt128)
    return "text" if dtype in texts else dtype.base_type().__name__.lower()


def _files(folder: Path, without: Sequence[str] = ()) -> list[Path]:
    left_out = {folder / name for name in without}
    return sorted(p for p in folder.rglob("*") if p.is_file() and p not in left_out)


def _facts(path: Path) -> tuple[int, int, int, int]:
    found = path.stat()
    return found.st_size, found.st_mtime_ns, found.st_ctime_ns, found.st_ino
