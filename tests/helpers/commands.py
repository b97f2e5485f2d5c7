"""The command line, called in this process as `python -m paretohqd`."""

from __future__ import annotations

import contextlib
import io
import re
import runpy
import sys
import tempfile
import warnings
from collections.abc import Iterator
from unittest import mock


class Failed(Exception):
    """A command that ended with an exit code other than 0; its text is the last line it said."""

    def __init__(self, code: object, line: str) -> None:
        super().__init__(line)
        self.code = code


@contextlib.contextmanager
def _as_typed(*words: object, stdin: bytes = b"") -> Iterator[None]:
    given = io.TextIOWrapper(io.BytesIO(stdin))
    typed = ["paretohqd", *map(str, words)]
    with mock.patch.object(sys, "argv", typed), mock.patch.object(sys, "stdin", given):
        yield


def command(*words: object, stdin: bytes = b"", errors: bool = False) -> str:
    """Run `python -m paretohqd` with these words and return what it prints.

    Args:
        words: The command and its arguments.
        stdin: What is on standard input.
        errors: Return what is on standard error in its place.

    Raises:
        Failed: the exit code is not 0.
    """
    err = io.StringIO()
    code: object = None
    with (
        tempfile.TemporaryFile("w+", encoding="utf-8") as out,  # rows go to its number
        _as_typed(*words, stdin=stdin),
        contextlib.redirect_stdout(out),
        contextlib.redirect_stderr(err),
        warnings.catch_warnings(),
    ):
        try:
            runpy.run_module("paretohqd", run_name="__main__")
        except SystemExit as stop:
            code = stop.code
        if code not in (0, None):
            raise Failed(code, (err.getvalue().strip().splitlines() or [""])[-1])
        out.seek(0)
        return err.getvalue() if errors else out.read()


def without_quotes(text: str) -> str:
    """A line of argparse's, which quotes the choices there are in some versions of Python."""
    return re.sub(r"\(choose from .*\)", lambda match: match[0].replace("'", ""), text)
