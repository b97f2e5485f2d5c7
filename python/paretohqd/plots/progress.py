"""Progress and results in a terminal: bars, counted rows, lengths of time and plain-text tables.

Only `Screen` needs rich, and loads it when one is made: selecting must work without it.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import TextIO

from paretohqd.safety.printing import printable

Advance = Callable[[int, int], None]

EVERY = 30.0
"""Seconds between lines where there is no terminal."""


class Screen:
    """Lines and bars on standard error, so that standard output is left for results."""

    def __init__(self, *, file: TextIO | None = None, silent: bool = False) -> None:
        """Write to `file`; `silent` is for all but the first of several processes.

        Raises:
            ModuleNotFoundError: rich is not installed.
        """
        from rich.console import Console

        # Plain lines in a notebook, too: rich would show each as a piece of HTML.
        self.console = Console(
            file=file or sys.stderr, quiet=silent, highlight=False, force_jupyter=False
        )

    def line(self, text: str) -> None:
        """One line of plain text; what would act on the terminal is written as an escape."""
        self.console.print(printable(text), markup=False, soft_wrap=True)

    @contextmanager
    def bar(self, what: str) -> Iterator[Advance]:
        """Show how far `what` has come; the caller passes (done, total)."""
        if self.console.is_terminal:
            with self._drawn(what) as advance:
                yield advance
        else:
            yield self._printed(what)

    @contextmanager
    def _drawn(self, what: str) -> Iterator[Advance]:
        from rich.progress import (
            BarColumn,
            MofNCompleteColumn,
            Progress,
            TextColumn,
            TimeElapsedColumn,
            TimeRemainingColumn,
        )

        columns = (
            TextColumn("{task.description}", markup=False),
            BarColumn(),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            TextColumn("left"),
            TimeRemainingColumn(),
        )
        with Progress(*columns, console=self.console, transient=True) as progress:
            task = progress.add_task(printable(what), total=None)
            yield lambda done, total: progress.update(task, completed=done, total=total)

    def _printed(self, what: str) -> Advance:
        start = last = time.monotonic()

        def advance(done: int, total: int) -> None:
            nonlocal last
            now = time.monotonic()
            if now - last >= EVERY and 0 < done < total:
                last = now
                left = duration((now - start) * (total - done) / done)
                self.line(f"  {what}: {done} of {total}, about {left} left")

        return advance


class RowCounter:
    """Rows read so far, in a line on standard error: redrawn on a terminal, repeated elsewhere.

    Example:
        >>> counter = RowCounter(2_000_000, file=sys.stdout)
        >>> counter.text(500_000, seconds=2.0)
        '500,000 of 2,000,000 rows, 250,000 per second, about 6 s left'
    """

    def __init__(self, total: int | None = None, *, file: TextIO | None = None) -> None:
        """Count up to `total` rows, if that is known."""
        self.total = total
        self.file = file or sys.stderr
        self.drawn = self.file.isatty()
        self.every = 0.1 if self.drawn else EVERY
        self.start = self.last = time.monotonic()
        self.previous = 0
        self.width = 0

    def __call__(self, rows: int) -> None:
        """Show that so many rows have been read."""
        now = time.monotonic()
        if rows < self.previous:  # They are read again, from the start.
            self.start = now
        self.previous = rows
        if now - self.last < self.every:
            return
        self.last = now
        line = self.text(rows, now - self.start)
        if self.drawn:
            print(f"\r{line:<{self.width}}", end="", file=self.file, flush=True)
            self.width = len(line)
        else:
            print(line, file=self.file, flush=True)

    def text(self, rows: int, seconds: float) -> str:
        """The line."""
        rate = rows / max(seconds, 1e-9)
        if self.total is None:
            return f"{rows:,} rows, {rate:,.0f} per second"
        left = max(self.total - rows, 0) / max(rate, 1e-9)
        return f"{rows:,} of {self.total:,} rows, {rate:,.0f} per second, about {left:,.0f} s left"

    def close(self) -> None:
        """Remove the line from a terminal."""
        if self.width:
            print(f"\r{'':<{self.width}}\r", end="", file=self.file, flush=True)
            self.width = 0


def duration(seconds: float) -> str:
    """A length of time as people say it.

    Example:
        >>> duration(0.5), duration(8.2), duration(75), duration(8000)
        ('0.50 s', '8.2 s', '1 min 15 s', '2 h 13 min')
    """
    if seconds < 60:
        decimals = 2 if seconds < 1 else 1 if seconds < 10 else 0
        return f"{seconds:.{decimals}f} s"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes} min" if hours else f"{minutes} min {rest} s"


def table(rows: Sequence[Sequence[str]], *, right: Sequence[int] = (), rule: bool = True) -> str:
    """Plain text with aligned columns, two spaces apart.

    Args:
        rows: Cells as they are written; the first row is the head.
        right: Numbers of the columns that are aligned to the right, as numbers should be.
        rule: Underline the head with dashes.

    Example:
        >>> print(table([["task", "rows"], ["layers", "9"], ["rays", ""]], right=[1]))
        task    rows
        ------  ----
        layers     9
        rays
    """
    rows = [[printable(cell) for cell in row] for row in rows]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    dashes = ["-" * width for width in widths]
    lines = [rows[0], dashes, *rows[1:]] if rule else rows
    return "\n".join(
        "  ".join(
            cell.rjust(width) if at in right else cell.ljust(width)
            for at, (cell, width) in enumerate(zip(line, widths, strict=True))
        ).rstrip()
        for line in lines
    )
