"""The measured rows as a CSV file that later runs add to, and as a table to read."""

from __future__ import annotations

import csv
import math
import os
import platform
from collections.abc import Iterable, Sequence
from datetime import date
from io import StringIO
from pathlib import Path

from paretohqd.bench.indicator_rivals import R2_LIMIT
from paretohqd.bench.measure import Row
from paretohqd.bench.ray_rivals import READING
from paretohqd.frames.writing import write_text
from paretohqd.plots.progress import table as plain_table

COLUMNS = (
    "task",
    "data",
    "n",
    "m",
    "ours_1_thread_s",
    "ours_all_threads_s",
    "rival",
    "call",
    "version",
    "rival_s",
    "ratio_1_thread",
    "ratio_all_threads",
    "target",
    "met",
    "note",
)
NO_ANSWER = {"call": [READING, R2_LIMIT], "rival": ["paretohqd"]}
"""What is recorded beside tasks and is no other way to do them: reading alone, a limit, our own."""

_KEY = ("task", "data", "n", "m", "rival", "call")


def record(rows: Iterable[Row], path: Path) -> None:
    """Write rows to a CSV file; those of the same task that it holds are replaced."""
    new = [{name: _written(row.get(name)) for name in COLUMNS} for row in rows]
    tasks = {tuple(row[name] for name in _KEY[:4]) for row in new}
    old = []
    if path.exists():
        with path.open(newline="") as file:
            reader = csv.DictReader(file)
            if tuple(reader.fieldnames or ()) != COLUMNS:
                raise ValueError(f"{path} holds something else than a benchmark: name another file")
            old = [row for row in reader if tuple(row[name] for name in _KEY[:4]) not in tasks]
    write([*old, *new], path, COLUMNS)


def write(rows: Iterable[Row], path: Path, columns: Sequence[str]) -> None:
    """Write a CSV file, whole or not at all."""
    text = StringIO()
    writer = csv.DictWriter(text, columns, lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    write_text(path, text.getvalue())


def _written(value: object) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return f"{value:.4g}"
    return "" if value is None else str(value)


HEAD = (
    *("task", "data", "n", "M", "1 thread", "all"),
    *("compared with", "time", "ratio", "1 thr.", "target", "", "note"),
)
RIGHT = (2, 3, 4, 5, 7, 8, 9, 10)
"""Columns of numbers."""


def table(rows: Sequence[Row]) -> str:
    """A line per comparison, by task and size; of several packages the fastest comes first."""
    names = list(dict.fromkeys(row["task"] for row in rows))
    in_order = sorted(
        rows,
        key=lambda row: (
            names.index(row["task"]),
            row["m"],
            row["n"],
            row["data"],
            row.get("rival_s", math.inf),
        ),
    )
    lines: list[Sequence[str]] = [HEAD]
    previous: list[str] = []
    for row in in_order:
        ours = [row["task"], row["data"], f"{row['n']:,}", str(row["m"])]
        ours += [seconds(row["ours_1_thread_s"]), seconds(row["ours_all_threads_s"])]
        # What is compared with several packages stands there once.
        lines.append([*([""] * len(ours) if ours == previous else ours), *_rival_cells(row)])
        previous = ours
    return plain_table(lines, right=RIGHT, rule=False)


def _rival_cells(row: Row) -> list[str]:
    if "rival" not in row:
        return [""] * 7
    cells = [f"{row['rival']} {row['call']}"]
    if "rival_s" not in row:
        return [*cells, *[""] * 5, row["note"]]
    cells += [seconds(row["rival_s"]), f"{row['ratio_all_threads']:.1f}x"]
    cells += [f"{row['ratio_1_thread']:.1f}x"]
    target = (
        [f"{row['target']:g}x", "met" if row["met"] else "SHORT"] if "target" in row else ["", ""]
    )
    return [*cells, *target, f"({row['note']})" if row["note"] else ""]


def seconds(value: float) -> str:
    """A time as people read it.

    Example:
        >>> seconds(0.000012), seconds(0.0341), seconds(12.3)
        ('12 us', '34.1 ms', '12.3 s')
    """
    for factor, unit in ((1.0, "s"), (1e3, "ms"), (1e6, "us")):
        if value * factor >= 1 or unit == "us":
            return f"{value * factor:.3g} {unit}"
    raise AssertionError


def machine() -> str:
    """Cores and processor, fit for a file's name: `2x-AMD-EPYC`."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        lines = []
    names = [line.partition(":")[2].split() for line in lines if line.startswith("model name")]
    words = names[0] if names else (platform.processor() or platform.machine()).split()
    kept = ["".join(c for c in word if c.isalnum()) for word in words[:3]]
    return f"{os.cpu_count()}x-{'-'.join(filter(None, kept))}"


def place(out: Path, what: str = "") -> Path:
    """A file to write to: in a folder it is called `[WHAT-]DATE-MACHINE.csv`."""
    name = "-".join(filter(None, (what, str(date.today()), machine())))
    return out / f"{name}.csv" if out.is_dir() else out
