"""Run the chosen tasks, show how far they are, record each as it ends, print the table."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from paretohqd.bench import rivals
from paretohqd.bench.measure import Meter, Row
from paretohqd.bench.record import place, record, table
from paretohqd.bench.task import Task
from paretohqd.bench.tasks import tasks
from paretohqd.plots.progress import Screen


def run(
    *, quick: bool = False, huge: bool = False, only: str | None = None, out: Path | None = None
) -> list[Row]:
    """Measure, print the table on standard output, and write it to a file.

    Args:
        quick: Only the tasks that take about a minute together.
        huge: Those that take minutes each, too.
        only: A pattern that tasks must match, such as `hypervolume*`; see `Task.matches`.
        out: A CSV file, or a folder for `DATE-MACHINE.csv`. It is written after every task; tasks
            that it holds from before are replaced or kept.

    Raises:
        ValueError: No task matches, or `out` cannot be added to.
        AssertionError: Another package's answer is not ours.
    """
    chosen = chosen_tasks(quick=quick, huge=huge, only=only)
    if out is not None:
        out = place(out)
        record([], out)
    bench, rows = Meter(), []
    with _bar(sum(task.seconds for task in chosen)) as advance:
        done = 0
        for task in chosen:
            advance(done, sum(task.seconds for task in chosen))
            rows += bench.measure(task)
            if out is not None:
                record(rows, out)
            done += task.seconds
    print(table(rows))
    for line in _remarks(rows, out):
        print(line)
    return rows


def chosen_tasks(*, quick: bool, huge: bool, only: str | None) -> list[Task]:
    """The tasks to measure."""
    chosen = [
        task
        for task in tasks()
        if (huge or not task.huge)
        and (task.quick or not quick)
        and (only is None or task.matches(only))
    ]
    if not chosen:
        names = ", ".join(sorted({task.name for task in tasks()}))
        raise ValueError(f"no task matches {only!r}; there are: {names}")
    return chosen


def _remarks(rows: Sequence[Row], out: Path | None) -> Iterator[str]:
    met: dict[tuple[object, ...], bool] = {}
    for row in rows:
        if "met" in row:
            task = row["task"], row["data"], row["n"], row["m"]
            met[task] = met.get(task, True) and row["met"]
    if met:
        kept = sum(met.values())
        yield f"{kept} of {len(met)} targets met; a ratio is the other's time over ours"
    there = rivals.installed()
    if not there:
        yield "nothing to compare with is installed: pip install 'paretohqd[bench]'"
    elif missing := [name for name in rivals.PACKAGES if name not in there]:
        yield f"not installed, so not compared: {', '.join(missing)}"
    if out is not None:
        yield f"written: {out}"


@contextmanager
def _bar(total: int) -> Iterator[Callable[[int, int], None]]:
    """A progress bar if `rich` is installed, a line at the start if not."""
    try:
        screen = Screen()
    except ModuleNotFoundError:
        print(f"measuring, about {total} s", file=sys.stderr)
        yield lambda done, total: None
        return
    with screen.bar("seconds of measuring") as advance:
        yield advance
