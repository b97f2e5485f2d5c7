"""One command at a time works on a run folder."""

from __future__ import annotations

from pathlib import Path

from filelock import BaseFileLock, FileLock, Timeout

from paretohqd.frames.new_files import refuse_link

LOCK = ".lock"


def lock_folder(folder: Path) -> BaseFileLock | None:
    """Hold the folder until this process ends; the system lets go even when it is killed.

    Returns:
        What holds it until it is released; None where the folder's file system has no locks, as
        some clusters have it: there users take care to run one command.

    Raises:
        ValueError: Another process holds it, or the lock is a link.
    """
    refuse_link(folder / LOCK)
    # A lock that is a mere file, which filelock may make, outlives a process that is killed.
    lock = FileLock(folder / LOCK, mode=0o600, thread_local=False, preserve_lock_file=True)
    try:
        lock.acquire(blocking=False)
    except Timeout:
        raise ValueError(f"{folder} is in use by another paretohqd run: wait for it") from None
    except (OSError, NotImplementedError):
        return None
    return lock
