"""Hashes of files, remembered while a file stays unchanged, and of frames."""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import polars as pl

from paretohqd.frames.new_files import touched

TICK_NS = 50_000_000
"""Nanoseconds within which two changes of a file can get the same time."""

COARSE_TICK_NS = 2_000_000_000
"""The same on old file systems, whose times are whole seconds."""

HASHES_FOLDER = ".hashes"
"""The folder in that of `Hashes` where remembered hashes are kept."""

TEXT_ROWS = 1 << 16
"""Rows whose text is copied at a time."""

Facts = tuple[int, int, int, int]
"""Size, time of change, time of status change, inode of a file."""


class Hashes:
    """Hashes of files, remembered as long as a file's size, times and inode stay the same.

    A file that was changed a moment before it is read may be changed again and still have the same
    time. The hash of so fresh a file is not remembered, unless a short wait makes it old enough.

    Example:
        >>> import tempfile
        >>> folder = Path(tempfile.mkdtemp())
        >>> _ = (folder / "a").write_text("1")
        >>> Hashes(folder).file(folder / "a") == hash_path(folder / "a")
        True
    """

    def __init__(self, folder: Path, saved: Iterable[str] = (), *, read_all: bool = False) -> None:
        """Begin with the hashes that earlier ones remembered.

        Args:
            folder: Paths below it are kept relative to it: it can be moved.
            saved: What `text` returned for earlier ones.
            read_all: Read every file once more, whatever is remembered.
        """
        self.folder = folder
        self.changed = False
        """Whether `text` has anything new to save."""
        self._remembered: dict[str, tuple[*Facts, str]] = {}
        """For each file, its facts and the hash that its content had at that time."""
        self._reread: set[str] | None = set() if read_all else None
        """The files that have been read since the beginning, if all are to be."""
        for text in saved:
            try:
                for name, (size, changed, status, inode, content) in json.loads(text).items():
                    facts = int(size), int(changed), int(status), int(inode)
                    if not Path(name).is_absolute():  # as older versions wrote other files
                        self._remembered[name] = (*facts, content)
            except (ValueError, TypeError, AttributeError):
                continue  # A damaged text: its files are read again.

    def text(self) -> str:
        """The remembered hashes as JSON, to be saved in a file."""
        return json.dumps(self._remembered, indent=0)

    def file(self, path: Path) -> str:
        """Hash of a file's content."""
        name, facts = self._name(path), _facts(path)
        remembered = self._remembered.get(name)
        must_read = self._reread is not None and name not in self._reread
        if remembered is not None and remembered[:4] == facts and not must_read:
            return remembered[4]
        old_enough = self._is_old_enough(facts)
        content = hash_path(path)
        if old_enough and _facts(path) == facts:
            self._remembered[name] = (*facts, content)
            self.changed = True
            if self._reread is not None:
                self._reread.add(name)
        return content

    def folder_files(self, folder: Path, *, without: Sequence[str] = ()) -> dict[str, str]:
        """Hash of every file below a folder, by its relative path, except for some of them."""
        return {
            path.relative_to(folder).as_posix(): self.file(path) for path in _files(folder, without)
        }

    def path(self, path: Path) -> str:
        """Hash of a file's content, or of all files in a folder, as `hash_path` computes it."""
        return hash_json(self.folder_files(path)) if path.is_dir() else self.file(path)

    def moved(self, source: Path, target: Path) -> None:
        """Remember the files of a folder that was moved under its new name."""
        old, new = f"{self._name(source)}/", f"{self._name(target)}/"
        for name in [name for name in self._remembered if name.startswith(old)]:
            self._remembered[new + name.removeprefix(old)] = self._remembered.pop(name)

    def _name(self, path: Path) -> str:
        path = path.absolute()
        if path.is_relative_to(self.folder):
            return path.relative_to(self.folder).as_posix()
        # Not the path itself: the folder may be given away, with what is remembered in it.
        return f"elsewhere/{hashlib.sha256(path.as_posix().encode()).hexdigest()}"

    def _is_old_enough(self, facts: Facts) -> bool:
        """Whether a change from now on would get a later time; waits for up to a tick for that."""
        changed = max(facts[1], facts[2])
        is_coarse = changed % 1_000_000_000 == 0
        left = changed + (COARSE_TICK_NS if is_coarse else TICK_NS) - self._now()
        if 0 < left <= TICK_NS:
            time.sleep(left / 1e9)
            left = 0
        return left <= 0

    def _now(self) -> int:
        """The time of the file system, whose clock need not be this machine's."""
        clock = self.folder / HASHES_FOLDER / "clock"
        try:
            clock.parent.mkdir(mode=0o700, exist_ok=True)
            return touched(clock)
        except OSError:
            return 0  # Nothing can be saved in that folder either.


def hash_path(path: Path) -> str:
    """Hash of a file's content, or of all files in a folder."""
    if path.is_dir():
        return hash_json({f.relative_to(path).as_posix(): hash_path(f) for f in _files(path)})
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def hash_json(content: Any) -> str:
    """Hash of a value that JSON can hold, whatever the order of its keys."""
    text = json.dumps(content, sort_keys=True, default=str)
    return hashlib.sha256(text.encode()).hexdigest()


def hash_frame(frame: pl.DataFrame) -> str:
    """Hash of a frame's names, types and values.

    It does not depend on the frame's chunks in memory, on threads or on Polars' version: numbers
    are hashed as little-endian bytes, texts as their lengths and UTF-8.

    Raises:
        ValueError: A column holds Python objects.

    Example:
        >>> frame = pl.DataFrame({"text": ["a", "b"], "score": [1.0, None]})
        >>> hash_frame(pl.concat([frame[:1], frame[1:]])) == hash_frame(frame)
        True
    """
    digest = hashlib.sha256()
    for column in frame:
        name = column.name.encode()
        digest.update(b"column %d %d %s" % (len(column), len(name), name))
        for part in _column_bytes(column):
            digest.update(part)
    return digest.hexdigest()


def hash_frame_as_json(frame: pl.DataFrame) -> str:
    """Hash of a small frame, as in older run folders, which do not say how frames are hashed."""
    return hashlib.sha256(frame.write_json().encode()).hexdigest()


def _column_bytes(values: pl.Series) -> Iterator[bytes]:
    """A column as bytes: its type, which values are null, and the others."""
    dtype = values.dtype
    if dtype == pl.Object:
        raise ValueError(f"column {values.name!r} holds Python objects, which have no hash")
    yield _type_name(dtype).encode() + b"\0"
    if dtype == pl.Null:
        return
    yield values.is_null().to_numpy().tobytes()
    values = values.drop_nulls()
    if isinstance(dtype, pl.Struct):
        for field in dtype.fields:
            yield field.name.encode() + b"\0"
            yield from _column_bytes(values.struct.field(field.name))
    elif isinstance(dtype, pl.List | pl.Array):
        lists = values.arr.to_list() if isinstance(dtype, pl.Array) else values
        lengths = lists.list.len()
        yield lengths.cast(pl.UInt64).to_numpy().astype("<u8").tobytes()
        yield from _column_bytes(lists.filter(lengths > 0).explode())
    elif _type_name(dtype) == "text" or dtype == pl.Binary:
        texts = values if dtype == pl.Binary else values.cast(pl.String).cast(pl.Binary)
        yield texts.bin.size().cast(pl.UInt64).to_numpy().astype("<u8").tobytes()
        for start in range(0, len(texts), TEXT_ROWS):
            yield b"".join(texts[start : start + TEXT_ROWS].to_list())
    else:
        numbers = values.fill_nan(float("nan")) if dtype.is_float() else values.to_physical()
        array = numbers.to_numpy()
        yield array.astype(array.dtype.newbyteorder("<")).tobytes()


def _type_name(dtype: pl.DataType) -> str:
    """A type's name; types whose values are hashed as text share one."""
    if isinstance(dtype, pl.Datetime):
        return f"datetime {dtype.time_unit} {dtype.time_zone}"
    if isinstance(dtype, pl.Duration):
        return f"duration {dtype.time_unit}"
    texts = (pl.String, pl.Categorical, pl.Enum, pl.Decimal, pl.Int128, pl.UInt128)
    return "text" if dtype in texts else dtype.base_type().__name__.lower()


def _files(folder: Path, without: Sequence[str] = ()) -> list[Path]:
    excluded = {folder / name for name in without}
    return sorted(p for p in folder.rglob("*") if p.is_file() and p not in excluded)


def _facts(path: Path) -> Facts:
    status = path.stat()
    return status.st_size, status.st_mtime_ns, status.st_ctime_ns, status.st_ino
