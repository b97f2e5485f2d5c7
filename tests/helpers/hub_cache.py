"""A local copy of a hub's models, laid out as the hub's client keeps them: no network is asked."""

from __future__ import annotations

import shutil
from pathlib import Path

FIRST, SECOND = "1" * 40, "2" * 40
"""Commits."""


def put(cache: Path, name: str, source: Path, commit: str = FIRST, branch: str = "main") -> Path:
    """Put a folder into the cache as a model of that name, and let a branch stand at it.

    Returns:
        The folder of the commit.
    """
    model = cache / f"models--{name.replace('/', '--')}"
    snapshot = model / "snapshots" / commit
    shutil.copytree(source, snapshot)
    move(cache, name, commit, branch)
    return snapshot


def move(cache: Path, name: str, commit: str, branch: str = "main") -> None:
    """Let a branch stand at another commit."""
    ref = cache / f"models--{name.replace('/', '--')}" / "refs" / branch
    ref.parent.mkdir(parents=True, exist_ok=True)
    ref.write_text(commit)
