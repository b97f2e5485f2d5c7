"""The folder of unpacked models: ours alone, named by content, and looked at before it is used.

Whoever can write into this folder chooses the base model. So it is refused unless this user owns it
and no other may write to it; what is inside has a manifest with the hash of every file, which
shows what was damaged, changed or put there by something else.
"""

from __future__ import annotations

import contextlib
import errno
import json
import os
import secrets
import shutil
import stat
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from paretohqd.frames.hashes import hash_path
from paretohqd.frames.new_files import NO_LINK, write_new

MANIFEST = "unpacked.json"
"""The file of an unpacked folder that lists the others."""

NAME_CHARACTERS = 100
"""The most characters of a file's name that its folder keeps, before the 64 of the hash."""


def cache_folder() -> Path:
    """The folder itself, made if need be: $PARETOHQD_CACHE, else ~/.cache/paretohqd.

    Raises:
        ValueError: It belongs to another user, or another may write to it.
        OSError: It cannot be made.
    """
    root = Path(os.environ.get("PARETOHQD_CACHE") or Path.home() / ".cache" / "paretohqd")
    missing = [folder for folder in (root, *root.parents) if not folder.exists()]
    for folder in reversed(missing):
        folder.mkdir(mode=0o700, exist_ok=True)
    refuse_shared(root)
    return root


def refuse_shared(path: Path) -> None:
    """Raise a ValueError if a file or folder is another user's, or such may write to it.

    A link counts as what it leads to, but must be this user's own.
    """
    if os.name != "posix":  # Elsewhere modes do not say who may write.
        return
    for facts in (path.lstat(), path.stat()):
        if facts.st_uid != os.geteuid():
            raise ValueError(
                f"{path} belongs to another user, who could put another model there: set "
                "PARETOHQD_CACHE to a folder of your own"
            )
    if facts.st_mode & 0o022:
        raise ValueError(
            f"{path} may be written by others, who could put another model there: look what is in "
            f"it, then chmod go-w {path}, or set PARETOHQD_CACHE to a folder of your own"
        )


def unpacked(file: Path, content: str, unpack: Callable[[Path], None]) -> Path:
    """The folder that a file was unpacked to, by now or earlier.

    Args:
        file: The packed file, for names and messages.
        content: Its SHA-256.
        unpack: Fills the folder that it is given.

    Raises:
        ValueError: The cache is not private, or the folder holds something else than was put there.
    """
    root = cache_folder()
    folder = root / f"{file.stem[:NAME_CHARACTERS]}-{content}"
    if not os.path.lexists(folder):
        _remove_torn(root, folder.name)
        with _attempt(root, folder.name) as beside:
            unpack(beside)
            if hash_path(file) != content:
                raise ValueError(f"model {file}: changed while it was unpacked: start again")
            _write_manifest(beside)
            with contextlib.suppress(OSError):  # Another process was first: its is checked below.
                beside.replace(folder)
    wrong = _difference(folder)
    if wrong:
        raise ValueError(
            f"model {file}: the folder that it was unpacked to has changed since ({wrong}): delete "
            f"{folder}, and it is unpacked anew"
        )
    return folder


def _write_manifest(folder: Path) -> None:
    files = {}
    for name in _names(folder):
        facts = (folder / name).lstat()
        if not stat.S_ISREG(facts.st_mode):
            raise ValueError(f"{folder / name} is no plain file, so it cannot be kept unpacked")
        content = hash_path(folder / name)
        files[name] = {"sha256": content, "size": facts.st_size, "changed": facts.st_mtime_ns}
    write_new(folder / MANIFEST, json.dumps(files, indent=1))


def _names(folder: Path) -> list[str]:
    """The paths of all that is in a folder, but of the folders in it; links are not followed."""
    return sorted(
        Path(inside, name).relative_to(folder).as_posix()
        for inside, folders, files in os.walk(folder)
        for name in (*files, *(n for n in folders if Path(inside, n).is_symlink()))
    )


def _difference(folder: Path) -> str | None:
    """What of a folder is not as its manifest says; None if all is."""
    if folder.is_symlink() or not folder.is_dir():
        return "it is no folder"
    refuse_shared(folder)
    try:
        files = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))
        kept = {name: (f["sha256"], f["size"], f["changed"]) for name, f in files.items()}
    except (OSError, ValueError, TypeError, KeyError, AttributeError):
        return f"{MANIFEST} is missing or damaged"
    found = set(_names(folder)) - {MANIFEST}
    if found != kept.keys():
        odd = sorted(found ^ kept.keys())[0]
        return f"{odd} is {'missing' if odd in kept else 'none of its files'}"
    for name, (content, size, changed) in kept.items():
        facts = (folder / name).lstat()
        if not stat.S_ISREG(facts.st_mode):
            return f"{name} is no plain file"
        # Nobody else writes here, so what has its size and time is what was written.
        same = (facts.st_size, facts.st_mtime_ns) == (size, changed)
        if not same and hash_path(folder / name) != content:
            return f"{name} has another content"
    return None


@contextmanager
def _attempt(root: Path, name: str) -> Iterator[Path]:
    """A new folder to fill, locked until it is done: nothing is left of it afterwards."""
    while True:
        beside = root / f"{name}.{secrets.token_hex(6)}"
        lock = _lock_of(beside)
        held = os.open(lock, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600)
        # Another process may take an unlocked attempt for a torn one, and its lock away.
        if _locked(held) is not False and os.fstat(held).st_nlink:
            break
        os.close(held)
    try:
        beside.mkdir(mode=0o700)
        yield beside
    finally:
        shutil.rmtree(beside, ignore_errors=True)
        lock.unlink(missing_ok=True)
        os.close(held)


def _remove_torn(root: Path, name: str) -> None:
    """Remove the attempts at a folder whose processes have ended: nobody holds their locks."""
    for entry in os.listdir(root):
        if not (entry.startswith(f"{name}.") and entry.endswith(".lock")):
            continue
        lock = root / entry
        try:
            held = os.open(lock, os.O_RDWR | NO_LINK)
        except OSError:  # it was just removed, or is a link
            continue
        try:
            if _locked(held) and os.fstat(held).st_nlink:
                shutil.rmtree(lock.with_suffix(""), ignore_errors=True)
                lock.unlink(missing_ok=True)
        finally:
            os.close(held)


def _lock_of(folder: Path) -> Path:
    return folder.with_name(f"{folder.name}.lock")


def _locked(file: int) -> bool | None:
    """Lock an open file: whether it worked; None where the system or file system has no locks."""
    try:
        import fcntl
    except ImportError:
        return None
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        return False if error.errno in (errno.EAGAIN, errno.EACCES) else None
    return True
