"""Where a run folder lies: below the working folder, unless whoever starts the run says otherwise.

A configuration may be a stranger's. What it names as its run folder is made, filled and, in parts,
removed: so it stays where the command runs. A path given by hand may be any.
"""

from __future__ import annotations

import os
from pathlib import Path


def run_path(run: str) -> Path:
    """The run folder that a path means, with the home folder for `~`.

    Raises:
        ValueError: There is no user of that name.

    Example:
        >>> run_path("runs/first").as_posix()
        'runs/first'
    """
    try:
        return Path(run).expanduser()
    except RuntimeError as error:
        raise ValueError(f"run: {run}: {error}; a folder of that name is ./{run}") from None


def refuse_outside(run: str) -> None:
    """Refuse the run folder that a configuration file names if it is not below the working folder.

    Raises:
        ValueError: It is an absolute path, one with `~` or `..`, or leads outside by a link.
    """
    by_hand = (
        f"give it by hand: --run-folder {run} on the command line, in Python load_settings(.., .., "
        f"{{'run': {run!r}}})"
    )
    path = Path(run)
    if path.anchor or ".." in path.parts or run.startswith("~"):
        raise ValueError(
            f"run: {run}: a configuration file names a folder below the one where the command "
            f"runs, without ~ and ..; if this is meant, {by_hand}"
        )
    inside, real = os.path.realpath(Path.cwd()), os.path.realpath(path)
    if not Path(real).is_relative_to(inside):
        raise ValueError(f"run: {run}: leads by a link to {real}; if this is meant, {by_hand}")
