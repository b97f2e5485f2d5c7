"""How many rows have been read, how fast, and how long it will take: without other packages."""

from __future__ import annotations

import sys
import time
from typing import TextIO


class RowCounter:
    """A line on standard error: redrawn on a terminal, now and then elsewhere.

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
        self.every = 0.1 if self.drawn else 30.0
        self.start = self.last = time.monotonic()
        self.before = 0
        self.width = 0

    def __call__(self, rows: int) -> None:
        """Tell that so many rows have been read."""
        now = time.monotonic()
        if rows < self.before:  # Read again from the start.
            self.start = now
        self.before = rows
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
        """Take the line off a terminal."""
        if self.width:
            print(f"\r{'':<{self.width}}\r", end="", file=self.file, flush=True)
            self.width = 0
