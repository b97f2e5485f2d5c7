"""What went wrong: one line for people, and all of it in a file for those who look for causes."""

from __future__ import annotations

import contextlib
import shlex
import sys
import time
import traceback
from collections.abc import Iterator
from pathlib import Path

import polars as pl

from paretohqd.frames.writing import write_text
from paretohqd.runs.layout import RUN
from paretohqd.runs.manifest import versions
from paretohqd.runs.processes import OtherFailedError, own_rank
from paretohqd.runs.trusted import PRIVATE, check_folder
from paretohqd.safety.secrets import redacted

PLAIN = (ValueError, ImportError, pl.exceptions.PolarsError)
"""Errors whose text says what they are; others are named by their kind."""


def sentence(error: BaseException) -> str:
    """An error as one line, with what can be done where that is known.

    Example:
        >>> sentence(KeyError("score"))
        "KeyError: 'score'"
        >>> sentence(ValueError("no rows\\n  to train on"))
        'no rows to train on'
    """
    kind, text = type(error).__name__, " ".join(str(error).split())
    if kind == "OutOfMemoryError":  # torch's, which may not be there
        return (
            "the GPU's memory is full: lower train.per_device_train_batch_size or "
            "generation.batch_size, or set train.gradient_checkpointing: true"
        )
    if isinstance(error, MemoryError):
        return "memory is full: close other programs, or lower batch sizes" + (
            text and f" ({text})"
        )
    if isinstance(error, ModuleNotFoundError) and not isinstance(error, ValueError):
        return f"{error.name} is not installed: pip install 'paretohqd[train]'"
    if isinstance(error, OSError):
        where = f"{error.filename}: " if error.filename else ""
        return f"{where}{error.strerror or text or kind}"
    return text if text and isinstance(error, PLAIN) else f"{kind}: {text}".rstrip(": ")


def described(error: BaseException) -> str:
    """All there is to know of an error: when, of which command and versions, and the traceback.

    Secrets are replaced, and home is `~`: people send such files to others.
    """
    facts = {"time": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())}
    facts |= {"command": shlex.join(sys.orig_argv)} | versions()
    head = "\n".join(f"{name}: {text}" for name, text in facts.items())
    # Line by line: what looks like a secret takes no more of the traceback with it than its line.
    lines = f"{head}\n\n{''.join(traceback.format_exception(error))}".split("\n")
    return "\n".join(map(redacted, lines))


@contextlib.contextmanager
def recorded(folder: Path) -> Iterator[None]:
    """Keep an error's description in a run folder as `error.txt`, until all goes well.

    The error goes on, with a note of where that is. There is no file where the folder is not yet a
    run's, was refused for what is in it, or cannot be written, nor for Ctrl-C, which is no error.
    """
    rank = str(own_rank())
    file = folder.absolute() / ("error.txt" if rank == "0" else f"error-{rank}.txt")
    try:
        yield
    except (KeyboardInterrupt, SystemExit, OtherFailedError):
        raise
    except BaseException as error:  # a panic of Rust's is no Exception
        if (file.parent / RUN).is_file():
            with contextlib.suppress(OSError, ValueError):
                check_folder(file.parent)
                write_text(file, described(error), mode=PRIVATE)
                error.add_note(f"more in {file}")
        raise
    else:
        file.unlink(missing_ok=True)
