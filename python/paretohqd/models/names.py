"""What a model is called: the embedded one, a name on the hub, or a path.

A path says so itself, by its beginning: a folder that happens to have a hub name can then not take
that model's place. Nothing heavy is imported here.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path, PureWindowsPath

EMBEDDED = "embedded"

LOCAL = ("./", "../", "~/", "/")
"""How a path begins."""

_HUB_NAME = re.compile(r"([A-Za-z0-9][\w.-]*/)?[A-Za-z0-9][\w.-]*", re.ASCII)


def is_local(name: str) -> bool:
    """Whether a name is a path, which begins with ./, ../, ~/ or /.

    Example:
        >>> [is_local(name) for name in ("./tiny", "/models/tiny", "someone/tiny", "tiny")]
        [True, True, False, False]
    """
    return name.startswith(LOCAL) or name in (".", "..", "~") or bool(PureWindowsPath(name).drive)


def absolute(name: str) -> str:
    """A path written out, with the home folder for ~."""
    return str(Path(name).expanduser().absolute())


def check_hub_name(name: str, where: str) -> None:
    """Refuse what can be no name on the hub.

    Args:
        name: Such as "someone/model".
        where: What to name in the message.

    Raises:
        ValueError: Something else.

    Example:
        >>> check_hub_name("a/b/c", "model a/b/c")
        Traceback (most recent call last):
        ValueError: model a/b/c: no name on the hub, and a path begins with ./, ../, ~/ or /
    """
    part = name.rpartition("/")[2]
    if not _HUB_NAME.fullmatch(name) or len(name) > 96 or re.search(r"--|\.\.|[-.]$", name):
        raise ValueError(f"{where}: no name on the hub, and a path begins with ./, ../, ~/ or /")
    if part.endswith((".git", ".gguf")):
        raise ValueError(f"{where}: a file's name is no name on the hub: write ./{name} for it")


def refuse_shadow(name: str, where: str, folders: Sequence[Path]) -> None:
    """Refuse a name that is no path where a path would be found: which is meant is to be said.

    Args:
        name: A name that does not begin as a path does.
        where: What to name in the message.
        folders: Where a path would be looked for.

    Raises:
        ValueError: There is a file or folder of that name.
    """
    for folder in folders:
        if _exists(folder / name):
            raise ValueError(
                f"{where}: {name} is no path, which begins with ./, and {folder / name} is there: "
                f"write ./{name} for it; where a name on the hub is meant, move it away"
            )


def named_model(name: str, where: str, folders: Sequence[Path]) -> str:
    """A model's name as a configuration has it, with a path written out.

    Args:
        name: `embedded`, a path, or a name on the hub.
        where: The key, for messages.
        folders: Where relative paths are looked for, one after the other.

    Raises:
        ValueError: A path of nothing, or a name that is none, or that something beside has too.
    """
    if name == EMBEDDED:
        return name
    if not is_local(name):
        refuse_shadow(name, where, folders)
        check_hub_name(name, f"{where}: {name}")
        return name
    for folder in folders:
        path = folder / Path(name).expanduser()
        if _exists(path):
            return str(path.absolute())
    places = " or ".join(dict.fromkeys(str(folder) for folder in folders))
    raise ValueError(f"{where}: {name}: no such file or folder in {places}")


def _exists(path: Path) -> bool:
    try:
        return path.exists()
    except OSError:  # too long for a name, say
        return False
