"""One command at a time works on a run folder."""

from __future__ import annotations

import os
from pathlib import Path
from typing import IO

from paretohqd.frames.new_files import open_kept, refuse_link


def lock_folder(folder: Path) -> IO[str] | None:
    """Hold the folder until this process ends; the system lets go even when it is killed.

    Returns:
        What holds it until it is closed; None where the system or its file system has no locks.

    Raises:
        ValueError: Another process holds it, or the lock is a link.
    """
    try:
        import fcntl
    except ImportError:  # no such lock on Windows: there users take care to run one command
        return None
    refuse_link(folder / ".lock")
    file = os.fdopen(open_kept(folder / ".lock"), "r+")
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        file.close()
        raise ValueError(f"{folder} is in use by another paretohqd run: wait for it") from None
    except OSError:  # a file system without locks, as some clusters have
        file.close()
        return None
    return file
