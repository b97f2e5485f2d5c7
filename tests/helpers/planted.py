"""Links that an attacker plants in a folder, and what must be the same afterwards."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

from paretohqd.runs.folder import RunFolder

SECRET = "a key that nobody else should see"

Link = Callable[[Path, Path], None]
"""Puts a link at a place; it leads to something of the victims'."""


def make_victims(home: Path) -> None:
    """Files that no command is told of."""
    (home / "stage" / "score.work").mkdir(parents=True)
    (home / "thesis.txt").write_text(SECRET)
    (home / "stage" / "score.work" / "work.txt").write_text(SECRET)


def snapshot(home: Path) -> dict[str, Any]:
    """All that there is, with contents, modes and times of change."""
    return {
        path.relative_to(home).as_posix(): (
            (status := path.lstat()).st_mode,
            status.st_mtime_ns,
            path.read_bytes() if path.is_file() else sorted(os.listdir(path)),
        )
        for path in [home, *home.rglob("*")]
    }


def snapshot_of_links(run: Path) -> dict[str, Any]:
    return {
        path.relative_to(run).as_posix(): os.readlink(path)
        if path.is_symlink()
        else path.read_bytes()
        if path.is_file()
        else None
        for path in run.rglob("*")
    }


def to_file(place: Path, victims: Path) -> None:
    place.symlink_to(victims / "thesis.txt")


def to_folder(place: Path, victims: Path) -> None:
    place.symlink_to(victims / "stage")


def to_nothing(place: Path, victims: Path) -> None:
    place.symlink_to(victims / "made-by-the-attack")


def to_a_link(place: Path, victims: Path) -> None:
    between = victims.parent / "between"
    between.symlink_to(victims / "thesis.txt")
    place.symlink_to(between)


def relative(place: Path, victims: Path) -> None:
    place.symlink_to(os.path.relpath(victims / "stage", place.parent))


def to_itself(place: Path, victims: Path) -> None:
    place.symlink_to(place.name)


def to_the_run(place: Path, victims: Path) -> None:
    place.symlink_to(".")


def begun(run: Path) -> Path:
    """A run folder with a finished stage, as one that was killed leaves it."""
    with_stage = RunFolder(run)
    with_stage.stage("stage1/score", lambda out: (out / "a").write_text("x") and None, settings={})
    with_stage.close()
    return run


def plant(run: Path, place: str, link: Link, victims: Path) -> Path:
    """Put a link in the place of what may be there."""
    path = run / place
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    path.unlink(missing_ok=True)
    link(path, victims)
    return path
