"""Names of files and folders as others may see them: never this machine's own places."""

from __future__ import annotations

import os
import re
from pathlib import Path


class FoundPath(str):
    """The absolute path of a file that a configuration names, with the name that is written.

    It is the path wherever a text is wanted; only what is written for others asks for `shown`, so
    that stages and pages name the file as it lies from the configuration's folder.

    Example:
        >>> path = FoundPath("/home/me/work/rows.csv", "rows.csv")
        >>> path == "/home/me/work/rows.csv", path.shown
        (True, 'rows.csv')
    """

    __slots__ = ("shown",)

    shown: str

    def __new__(cls, path: str, shown: str) -> FoundPath:
        """Take the path and what is shown of it."""
        self = super().__new__(cls, path)
        self.shown = shown
        return self

    def __getnewargs__(self) -> tuple[str, str]:  # type: ignore[override]
        """What a copy or a pickle is made of."""
        return str(self), self.shown


def shown_path(path: str | Path, folder: str | Path) -> str:
    """A path as it lies from a folder, or from home where only home's name would lead to it.

    Example:
        >>> shown_path("/srv/data/rows.csv", "/srv/conf"), shown_path("/srv/a/b.csv", "/srv/a")
        ('../data/rows.csv', 'b.csv')
    """
    path, folder = Path(os.path.abspath(path)), Path(os.path.abspath(folder))
    home = _home()
    if home and path.is_relative_to(home) and not folder.is_relative_to(home):
        return (Path("~") / path.relative_to(home)).as_posix()
    try:
        return Path(os.path.relpath(path, folder)).as_posix()
    except ValueError:  # another drive
        return path.name


def shown_name(name: str) -> str:
    """The name of a file or a model as others may see it.

    Example:
        >>> shown_name(FoundPath("/home/me/tiny", "./tiny")), shown_name("someone/tiny")
        ('./tiny', 'someone/tiny')
    """
    return name.shown if isinstance(name, FoundPath) else name


def without_own_folders(text: str) -> str:
    """A text that names files of this folder relative to it, and home as `~`."""
    if "/" not in text and "\\" not in text:
        return text
    for folder, instead in ((Path.cwd(), ""), (_home(), "~/")):
        if folder and len(folder.parts) > 1:
            name = rf"(?<![\w.~-]){re.escape(str(folder))}"
            text = re.sub(rf"{name}[/\\]", instead, text)
            text = re.sub(rf"{name}(?![\w.-])", instead.rstrip("/") or ".", text)
    return text


def _home() -> Path | None:
    try:
        home = Path.home()
    except RuntimeError:  # no user of the system
        return None
    return home if len(home.parts) > 1 else None
