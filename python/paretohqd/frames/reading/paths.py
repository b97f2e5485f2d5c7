"""Which files a path, a folder or a pattern means; none is left out in silence."""

from __future__ import annotations

import glob
import os
import re
import urllib.parse
import urllib.request
from collections.abc import Iterable, Iterator
from pathlib import Path

from paretohqd.frames.new_files import is_link
from paretohqd.frames.reading.formats import READ, TO_CONVERT, kind_of, known_kind


def is_remote(pattern: str) -> bool:
    """Whether a path is on another machine, such as "s3://bucket/*.parquet"."""
    return "://" in pattern and not pattern.startswith("file://")


def local_path(given: str | os.PathLike[str]) -> str:
    """A path as text, with the home folder for "~" and the path of a file:// URL.

    Example:
        >>> local_path("file:///data/my%20scores.parquet")
        '/data/my scores.parquet'
    """
    text = os.fspath(given)
    if text.startswith("file://"):
        parts = urllib.parse.urlsplit(text)
        if parts.netloc not in ("", "localhost"):
            raise ValueError(f"{text}: a file of another machine: expected file:///...")
        return urllib.request.url2pathname(text.removeprefix(f"file://{parts.netloc}"))
    try:
        return str(Path(text).expanduser()) if text.startswith("~") else text
    except RuntimeError:
        return text  # There is no user of that name: it is a file's.


def find_files(pattern: str) -> list[str]:
    """The files that a path, a folder or a pattern means, sorted.

    A file or folder that is named may be a link. What a folder holds, or a pattern finds, may not
    lead out of it: whoever made the folder would choose which files of the reader's are read.

    Raises:
        ValueError: There is none, one is of a kind that is not read, a folder cannot be listed, or
            a link leads out of a folder.
    """
    if "\0" in pattern:
        raise ValueError(f"{pattern!r}: a path holds no null character")
    path = Path(pattern)
    if path.is_file():
        return [pattern]
    if path.is_dir():
        return _files_below(pattern)
    if glob.has_magic(pattern):
        _refuse_unlisted_folders(pattern)
        files = [file for file in sorted(glob.glob(pattern, recursive=True)) if _is_file(file)]
        if not files:
            raise ValueError(f"{pattern}: no file matches")
        _refuse_ways_out(_fixed_part(pattern), files)
        return files
    if path.is_symlink():
        raise ValueError(f"{pattern}: a link to {os.readlink(path)}, which is not there")
    if path.exists():
        raise ValueError(f"{pattern}: not a file: write the rows to one first")
    kind_of(pattern)
    raise ValueError(f"{pattern}: no such file")


def refuse_duplicates(files: list[str]) -> None:
    """Raise a ValueError if a file is named twice: all its rows would be copies."""
    seen: set[str] = set()
    for file in files:
        path = os.path.abspath(file)
        if path in seen:
            raise ValueError(f"{file}: is named twice among the files: name it once")
        seen.add(path)


def _files_below(folder: str) -> list[str]:
    """The files of rows below a folder."""
    paths = sorted(_walk(os.path.normpath(folder)))
    for path in paths:
        if known_kind(path) is None and Path(path).suffix.lower() in TO_CONVERT:
            kind_of(path)  # Raises, and says how to convert it.
    files = [path for path in paths if known_kind(path) is not None and _is_file(path)]
    if not files:
        raise ValueError(f"{folder}: a folder without a file in {', '.join(READ)}")
    _refuse_ways_out(folder, files)
    # A .json beside files of another kind describes them, as dataset_info.json does.
    without_json = [file for file in files if not file.endswith(".json")]
    return without_json or files


def _walk(folder: str) -> Iterator[str]:
    """The paths of files below a folder, without hidden ones, such as other programs' caches."""
    seen = set()
    for parent, folders, names in os.walk(folder, followlinks=True, onerror=_raise_unlisted):
        # A link may lead back to a folder above it.
        target = os.path.realpath(parent)
        folders[:] = [] if target in seen else [name for name in folders if not _is_hidden(name)]
        seen.add(target)
        # Before they are walked through: a link may lead to the whole disk.
        _refuse_ways_out(folder, (os.path.join(parent, name) for name in folders))
        yield from (os.path.join(parent, name) for name in names if not _is_hidden(name))


def _refuse_ways_out(folder: str, found: Iterable[str]) -> None:
    """Raise a ValueError if a file or folder found in a folder lies, by a link, outside of it."""
    home = _home(Path(os.path.realpath(folder)))
    inside: dict[str, bool] = {}
    for path in found:
        parent = os.path.dirname(path)
        if parent not in inside:
            inside[parent] = Path(os.path.realpath(parent)).is_relative_to(home)
        if inside[parent] and not is_link(Path(path)):
            continue
        target = os.path.realpath(path)
        if not Path(target).is_relative_to(home):
            raise ValueError(
                f"{path}: leads by a link to {target}, out of {folder}: name that by itself, or "
                "put a copy there"
            )


def _home(folder: Path) -> Path:
    """The folder within which links may lead: that of the whole repository in the hub's cache.

    There a snapshot, repository/snapshots/commit, is made of links to repository/blobs.
    """
    for commit in (folder, *folder.parents):
        repository = commit.parent.parent
        if commit.parent.name == "snapshots" and (repository / "blobs").is_dir():
            return repository
    return folder


def _fixed_part(pattern: str) -> str:
    """The folder of a pattern that is named as it is."""
    escaped = re.compile(r"\[([*?[])\]")  # as a folder is written whose name has such characters
    parents = (str(parent) for parent in Path(pattern).parents)
    fixed = next(parent for parent in parents if not glob.has_magic(escaped.sub("", parent)))
    return escaped.sub(r"\1", fixed)


def _is_hidden(name: str) -> bool:
    return name.startswith((".", "_"))


def _raise_unlisted(error: OSError) -> None:
    raise ValueError(
        f"{error.filename}: a folder that cannot be listed ({error.strerror}): what is in it would "
        "be left out"
    ) from error


def _refuse_unlisted_folders(pattern: str) -> None:
    """Raise a ValueError if a folder that a pattern may lead into cannot be listed."""
    for parent in reversed(Path(pattern).parents):
        if not glob.has_magic(str(parent)):
            continue
        for folder in glob.glob(str(parent), recursive=True):
            if os.path.isdir(folder):
                try:
                    os.scandir(folder).close()
                except OSError as error:
                    _raise_unlisted(error)


def _is_file(file: str) -> bool:
    """Whether this is a file, and not a folder.

    Raises:
        ValueError: It is neither, but a pipe, say, or a link that leads nowhere.
    """
    if os.path.isfile(file):
        return True
    path = Path(file)
    if path.is_symlink() and not path.exists():
        raise ValueError(f"{file}: a link to {os.readlink(path)}, which is not there")
    if not path.is_dir():
        raise ValueError(f"{file}: not a file: leave it out")
    return False
