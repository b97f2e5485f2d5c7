"""What a run folder must be before anything in it is changed: nobody else's, and without links.

A folder that a user was given, or that others may write, can hold links in place of files and
stages: what a run writes, replaces or removes would be what they lead to. So the whole folder is
looked at before a command works in it, and each stage's way once more before it is touched. That
suffices because nobody but the user can put anything there afterwards, which is checked too. Of
another user's folder not even root makes use: its owner could change it at any time.

New folders are the user's alone (mode 0700), and so are the files of a finished stage (0600): they
hold prompts and answers. The process's umask is left alone. It belongs to all threads, those of the
caller's own program included, while a folder that nobody else may enter protects what libraries
write into it from the first byte.
"""

from __future__ import annotations

import os
import stat
import tempfile
from collections.abc import Iterator
from pathlib import Path

from paretohqd.frames.new_files import leads_elsewhere, refuse_link

PRIVATE = 0o600
"""Mode of files in a run folder."""
PRIVATE_FOLDER = 0o700

OTHERS_WRITE = stat.S_IWGRP | stat.S_IWOTH


def check_folder(folder: Path) -> None:
    """Refuse a run folder in which a command could change what is not the run's.

    Raises:
        ValueError: It is a link or holds one, or what is neither a file nor a folder; or, but on
            Windows, it or something in it belongs to another user or can be written by others.
        OSError: A folder in it cannot be listed.
    """
    refuse_links(folder)
    if not (hasattr(os, "geteuid") and folder.exists() and _keeps_owners(folder)):
        return
    for path, status in _entries(folder):
        if status.st_uid != os.geteuid():
            raise ValueError(
                f"{path}: belongs to another user, who could lead elsewhere what is written: copy "
                f"{folder} and give the copy with --run-folder"
            )
        if status.st_mode & OTHERS_WRITE:
            raise ValueError(
                f"{path}: can be written by other users, who could lead elsewhere what is written "
                f"there: make sure that nobody did, then chmod -R go-w {folder}"
            )


def refuse_links(folder: Path) -> None:
    """Refuse a folder that is a link or holds one, or what is neither a file nor a folder.

    Raises:
        ValueError: The first such thing.
        OSError: A folder in it cannot be listed.
    """
    for path, status in _entries(folder):
        if leads_elsewhere(status):
            refuse_link(path)
        if not (stat.S_ISREG(status.st_mode) or stat.S_ISDIR(status.st_mode)):
            raise ValueError(f"{path}: neither a file nor a folder: remove it")


def _entries(folder: Path) -> Iterator[tuple[Path, os.stat_result]]:
    """A folder and all that is below it, links unfollowed; what vanishes meanwhile is left out."""
    waiting = [folder]
    while waiting:
        path = waiting.pop()
        try:
            status = path.lstat()
            yield path, status
            if stat.S_ISDIR(status.st_mode):
                waiting.extend(path.iterdir())
        except FileNotFoundError:
            continue


def _keeps_owners(folder: Path) -> bool:
    """Whether the file system has owners and modes.

    Some mounts of other systems' disks and shares say the same of all files. There nothing can be
    told of a folder's owner, and nothing done about its mode.
    """
    status = folder.lstat()
    if status.st_uid == os.geteuid() and not status.st_mode & OTHERS_WRITE:
        return True
    try:
        ours = tempfile.mkdtemp(prefix=".", dir=folder)  # made for nobody else
    except OSError:
        return True
    status = os.lstat(ours)
    os.rmdir(ours)
    return status.st_uid == os.geteuid() and not status.st_mode & OTHERS_WRITE


def make_folders(folder: Path, path: Path) -> None:
    """Make a folder at a path below another one, for this user alone, as are those on its way.

    Raises:
        ValueError: One of them is a link.
        OSError: One of them is no folder, or cannot be made.
    """
    for part in reversed([path, *path.parents]):
        if part.is_relative_to(folder) and part != folder:
            refuse_link(part)
            part.mkdir(mode=PRIVATE_FOLDER, exist_ok=True)


def make_private(folder: Path) -> None:
    """Take a folder, and all that is below it, from everybody but the user."""
    for path, status in _entries(folder):
        if not leads_elsewhere(status):
            path.chmod(stat.S_IMODE(status.st_mode) & ~(stat.S_IRWXG | stat.S_IRWXO))


def has_other_names(folder: Path) -> bool:
    """Whether a file below a folder has a second name, such as in a copy made of hard links.

    Written where it lies, it would change there as well.
    """
    return any(
        stat.S_ISREG(status.st_mode) and status.st_nlink > 1 for _, status in _entries(folder)
    )
