"""The files that a path, a folder or a pattern stands for; none is left out in silence."""

from __future__ import annotations

import glob
import os
import urllib.parse
import urllib.request
from collections.abc import Iterator
from pathlib import Path

from paretohqd.frames.reading.formats import JSON, READ, TO_CONVERT, kind_of, known_kind


def is_remote(pattern: str) -> bool:
    """Whether a path leads to another machine, as "s3://bucket/*.parquet" does."""
    return "://" in pattern and not pattern.startswith("file://")


def local_path(given: str | os.PathLike[str]) -> str:
    """A path as text: "~" is the home folder, and file:// URLs are paths.

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
        return text  # There is no such user: then it is a name.


def find_files(pattern: str) -> list[str]:
    """The files that a path, a folder or a pattern stands for, sorted.

    Raises:
        ValueError: none, one of a kind that is not read, or a folder that may not be listed.
    """
    if "\0" in pattern:
        raise ValueError(f"{pattern!r}: a path holds no null character")
    path = Path(pattern)
    if path.is_file():
        return [pattern]
    if path.is_dir():
        return _inside(pattern)
    if glob.has_magic(pattern):
        _refuse_closed_folders(pattern)
        files = [file for file in sorted(glob.glob(pattern, recursive=True)) if _is_file(file)]
        if not files:
            raise ValueError(f"{pattern}: no file matches")
        return files
    if path.is_symlink():
        raise ValueError(f"{pattern}: a link to {os.readlink(path)}, which is not there")
    if path.exists():
        raise ValueError(f"{pattern}: not a file: write the rows to one first")
    kind_of(pattern)
    raise ValueError(f"{pattern}: no such file")


def refuse_twice(files: list[str]) -> None:
    """Raise a ValueError if a file is named twice: all its rows would be copies."""
    seen: set[str] = set()
    for file in files:
        place = os.path.abspath(file)
        if place in seen:
            raise ValueError(f"{file}: is named twice among the files: name it once")
        seen.add(place)


def _inside(folder: str) -> list[str]:
    """The files of rows below a folder."""
    found = sorted(_walk(os.path.normpath(folder)))
    for file in found:
        if known_kind(file) is None and Path(file).suffix.lower() in TO_CONVERT:
            kind_of(file)
    files = [file for file in found if known_kind(file) is not None and _is_file(file)]
    # Beside files of another kind a .json says something about them: dataset_info.json.
    rows = [file for file in files if known_kind(file) is not JSON or not file.endswith(".json")]
    if not files:
        raise ValueError(f"{folder}: a folder without a file in {', '.join(READ)}")
    return rows or files


def _walk(folder: str) -> Iterator[str]:
    """The files below a folder; what is hidden, as other programs' scraps are, is left out."""
    seen = set()
    for place, folders, names in os.walk(folder, followlinks=True, onerror=_refuse_closed):
        # A link may lead back to where it is.
        here = os.path.realpath(place)
        shown = [] if here in seen else [f for f in folders if not f.startswith((".", "_"))]
        seen.add(here)
        folders[:] = shown
        yield from (os.path.join(place, name) for name in names if not name.startswith((".", "_")))


def _refuse_closed(error: OSError) -> None:
    raise ValueError(
        f"{error.filename}: a folder that cannot be listed ({error.strerror}): what is in it would "
        "be left out"
    ) from error


def _refuse_closed_folders(pattern: str) -> None:
    """Raise a ValueError if a folder that a pattern may lead into cannot be listed."""
    for above in reversed(Path(pattern).parents):
        if not glob.has_magic(str(above)):
            continue
        for folder in glob.glob(str(above), recursive=True):
            if os.path.isdir(folder):
                try:
                    os.scandir(folder).close()
                except OSError as error:
                    _refuse_closed(error)


def _is_file(file: str) -> bool:
    """Whether this is a file; a folder is none.

    Raises:
        ValueError: neither, such as a pipe, or a link that leads nowhere.
    """
    if os.path.isfile(file):
        return True
    path = Path(file)
    if path.is_symlink() and not path.exists():
        raise ValueError(f"{file}: a link to {os.readlink(path)}, which is not there")
    if not path.is_dir():
        raise ValueError(f"{file}: not a file: leave it out")
    return False


def hive_keys(patterns: list[str], files: list[str]) -> list[str]:
    """The columns that names of subfolders stand for ("week=3"), if a single folder has any.

    Raises:
        ValueError: files are in folders for different columns.
    """
    (first, *more) = patterns
    if more or not Path(first).is_dir() or not any("=" in file for file in files):
        return []
    keys: list[str] = []
    for number, file in enumerate(files):
        parts = Path(file).relative_to(first).parts[:-1]
        here = [part.partition("=")[0] for part in parts if "=" in part]
        if number and here != keys:
            raise ValueError(
                f"{file}: is in folders for {', '.join(here) or 'nothing'}, {files[0]} for "
                f"{', '.join(keys) or 'nothing'}: move it, or name the files"
            )
        keys = here
    return keys


def folder_values(file: str) -> dict[str, str | None]:
    """What the names of the folders above a file say, as Hive and Spark write it.

    Example:
        >>> folder_values("/scores/week=3/by=__HIVE_DEFAULT_PARTITION__/x.csv")
        {'week': '3', 'by': None}
    """
    found: dict[str, str | None] = {}
    for part in Path(file).parts[:-1]:
        name, mark, value = part.partition("=")
        if mark:
            text = urllib.parse.unquote(value)
            found[name] = None if text == "__HIVE_DEFAULT_PARTITION__" else text
    return found
