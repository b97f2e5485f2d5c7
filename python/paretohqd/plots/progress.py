"""What a person sees while a run works: bars on a terminal, a line now and then elsewhere."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TextIO

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)

Advance = Callable[[int, int], None]

EVERY = 30.0
"""Seconds between lines where there is no terminal."""


class Screen:
    """Lines and bars on standard error, so that standard output stays for results."""

    def __init__(self, *, file: TextIO | None = None, silent: bool = False) -> None:
        """Write to `file`; `silent` is for all but the first of several processes."""
        self.console = Console(file=file or sys.stderr, quiet=silent, highlight=False)

    def line(self, text: str) -> None:
        """One line of plain text."""
        self.console.print(text, markup=False, soft_wrap=True)

    @contextmanager
    def bar(self, what: str) -> Iterator[Advance]:
        """Show how far `what` is; the caller tells (done, total)."""
        if self.console.is_terminal:
            with self._drawn(what) as advance:
                yield advance
        else:
            yield self._spoken(what)

    @contextmanager
    def _drawn(self, what: str) -> Iterator[Advance]:
        columns = (
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            TextColumn("left"),
            TimeRemainingColumn(),
        )
        with Progress(*columns, console=self.console, transient=True) as progress:
            task = progress.add_task(what, total=None)
            yield lambda done, total: progress.update(task, completed=done, total=total)

    def _spoken(self, what: str) -> Advance:
        start = last = time.monotonic()

        def advance(done: int, total: int) -> None:
            nonlocal last
            now = time.monotonic()
            if now - last >= EVERY and 0 < done < total:
                last = now
                left = duration((now - start) * (total - done) / done)
                self.line(f"  {what}: {done} of {total}, about {left} left")

        return advance


def duration(seconds: float) -> str:
    """A length of time as people say it.

    >>> duration(0.5), duration(8.2), duration(75), duration(8000)
    ('0.50 s', '8.2 s', '1 min 15 s', '2 h 13 min')
    """
    if seconds < 60:
        decimals = 2 if seconds < 1 else 1 if seconds < 10 else 0
        return f"{seconds:.{decimals}f} s"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes} min" if hours else f"{minutes} min {rest} s"
