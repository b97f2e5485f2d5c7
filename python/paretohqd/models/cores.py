"""How many processors this process may use, which is not how many the machine has.

A container has a quota (of a control group), a batch system binds to some cores: threads beyond
that wait for each other, and OpenMP's wait by spinning.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

GROUPS = Path("/sys/fs/cgroup")
"""Where control groups are mounted."""

MEMBER = Path("/proc/self/cgroup")
"""The file that names the groups of this process."""


def usable_cores() -> int:
    """Whole processors that this process may keep busy: by its affinity and its quotas; at least 1.

    Example:
        >>> usable_cores() >= 1
        True
    """
    if hasattr(os, "sched_getaffinity"):
        cores = len(os.sched_getaffinity(0))
    else:
        cores = os.cpu_count() or 1
    quotas = (quota for folder in _folders() if (quota := _quota(folder)) is not None)
    return max(1, min(cores, int(min(quotas, default=cores))))


def _folders() -> Iterator[Path]:
    """Folders of the groups that this process is in, with those that hold them.

    A container may see its own group as the root, and be told its path on the host: folders that
    are not there say nothing, and the root is always among those looked at.
    """
    try:
        lines = MEMBER.read_text().splitlines()
    except OSError:  # no Linux
        return
    for line in lines:
        _, _, rest = line.partition(":")
        controllers, _, path = rest.partition(":")
        if controllers == "":
            roots = [GROUPS, GROUPS / "unified"]
        elif "cpu" in controllers.split(","):
            roots = [GROUPS / controllers, GROUPS / "cpu"]
        else:
            continue
        for root in roots:
            folder = root / path.lstrip("/")
            yield folder
            while folder != root and root in folder.parents:
                folder = folder.parent
                yield folder


def _quota(folder: Path) -> float | None:
    """Processors that a group may use, as version 2 writes it, or version 1; None if all."""
    try:
        if (now := folder / "cpu.max").is_file():
            quota, period = now.read_text().split()
        else:
            quota = (folder / "cpu.cfs_quota_us").read_text().strip()
            period = (folder / "cpu.cfs_period_us").read_text().strip()
        return int(quota) / int(period) if quota not in ("max", "-1") else None
    except (OSError, ValueError, ZeroDivisionError):
        return None
