"""Files that are opened for writing: always new ones, never what a link leads to.

A folder that somebody else has made may hold a link under any name that we write to. Opened in the
usual way, the file that it leads to would be emptied. So what has the name is taken away first (of
a link that is the link itself), and the file is made where nothing is: the system refuses to make
it if something came between. All files of the package are opened here; a test looks for others.
"""

from __future__ import annotations

import os
import shutil
import stat
from pathlib import Path
from typing import BinaryIO

import polars as pl

NO_LINK = getattr(os, "O_NOFOLLOW", 0)
"""Makes opening a link an error; Windows has no such flag, nor links that anybody may make."""

_JUNCTION = 0xA0000003
"""What Windows calls a folder that leads to another one."""


def open_new(path: Path, *, mode: int = 0o666) -> BinaryIO:
    """Open a new, empty file in place of what has its name.

    Args:
        path: The file, in a folder that is there.
        mode: Who may read and write it, less what the umask forbids.

    Raises:
        OSError: The folder is missing or cannot be written, or the name is a folder's.

    Example:
        >>> import tempfile
        >>> folder = Path(tempfile.mkdtemp())
        >>> _ = (folder / "a").write_text("1")
        >>> (folder / "link").symlink_to(folder / "a")
        >>> with open_new(folder / "link") as file:
        ...     written = file.write(b"2")
        >>> (folder / "a").read_text(), (folder / "link").read_text()
        ('1', '2')
    """
    path.unlink(missing_ok=True)
    return open(path, "xb", opener=lambda name, flags: os.open(name, flags | NO_LINK, mode))


def open_kept(path: Path) -> int:
    """Open a file whose content stays as it is, such as a lock, or make it; its descriptor.

    Raises:
        OSError: It is a link, or the folder cannot be written.
    """
    flags = os.O_RDWR | os.O_CREAT | NO_LINK | getattr(os, "O_CLOEXEC", 0)
    return os.open(path, flags, 0o600)


def touched(path: Path) -> int:
    """Give a file, made if need be, the present time of its file system; that time in ns.

    Raises:
        OSError: As `open_kept`.
    """
    descriptor = open_kept(path)
    try:
        os.utime(descriptor if os.utime in os.supports_fd else path)
        return os.fstat(descriptor).st_mtime_ns
    finally:
        os.close(descriptor)


def write_new(path: Path, text: str) -> None:
    """Write a text as UTF-8 into a new file; a lone surrogate becomes a question mark."""
    with open_new(path) as file:
        file.write(text.encode(errors="replace"))


def copy_new(source: Path, path: Path) -> None:
    """Copy a file's bytes into a new file."""
    with source.open("rb") as given, open_new(path) as file:
        shutil.copyfileobj(given, file)


def write_parquet(frame: pl.DataFrame, path: Path) -> None:
    """Write a frame into a new Parquet file."""
    with open_new(path) as file:
        frame.write_parquet(file)


def is_link(path: Path) -> bool:
    """Whether a path is itself a link, wherever it leads."""
    try:
        return leads_elsewhere(path.lstat())
    except OSError:
        return False  # nothing is there


def leads_elsewhere(status: os.stat_result) -> bool:
    """Whether what `lstat` says is a link's status."""
    tag = getattr(status, "st_reparse_tag", 0)
    return stat.S_ISLNK(status.st_mode) or tag == _JUNCTION


def refuse_link(path: Path) -> None:
    """Raise a ValueError if a path is a link."""
    if is_link(path):
        raise ValueError(
            f"{path}: is a link, to {os.readlink(path)}, and no link is followed where files are "
            "written: name what it leads to, or remove it"
        )


def refuse_way_out(folder: Path, path: Path) -> None:
    """Raise a ValueError unless a path stays below a folder: no part of it may be `..` or a link.

    The folder itself may be a link.
    """
    if not path.is_relative_to(folder) or ".." in path.relative_to(folder).parts:
        raise ValueError(f"{path}: leads out of {folder}")
    for part in (path, *path.parents):
        if part == folder:
            return
        refuse_link(part)
