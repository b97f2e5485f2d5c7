"""Our public calls beside moocore's in one process: equal answers first, then ratios.

    python benches/peers.py [--large] [--out benches/results]

Each figure is the minimum of three repeats of the wall time through the public Python call; the
ratio is the rival's time over ours. moocore runs on one thread. Data: `uni` uniform cube, `corr`
Gaussian with correlation .5, `anti` Dirichlet with noise of .01 (large fronts), `disc` integers
0..10 (ties).
"""

from __future__ import annotations

import argparse
import csv
import os
import platform
import time
from collections.abc import Callable, Iterator
from datetime import date
from pathlib import Path
from typing import Any

import moocore
import numpy as np
from rich.console import Console
from rich.progress import track

import paretohqd as pq

REPEATS = 3
Task = tuple[
    str, str, int, int, Callable[[int | None], Any], Callable[[], Any], Callable[..., bool]
]


def points(kind: str, n: int, m: int) -> np.ndarray:
    rng = np.random.default_rng(n + m)
    if kind == "uni":
        return rng.random((n, m))
    if kind == "corr":
        shared = rng.standard_normal((n, 1))
        return np.sqrt(0.5) * shared + np.sqrt(0.5) * rng.standard_normal((n, m))
    if kind == "anti":
        return rng.dirichlet(np.ones(m), n) + rng.normal(0, 0.01, (n, m))
    return rng.integers(0, 11, (n, m)).astype(float)


def tasks(large: bool) -> Iterator[Task]:
    """Task, data, n, m, our call given the threads, the rival's call, how to compare."""
    sizes = (10_000, 100_000, 1_000_000) if large else (10_000, 100_000)
    for n in sizes:
        for m, kinds in ((2, ("uni", "disc")), (3, ("uni", "corr", "anti", "disc")), (5, ("uni",))):
            for kind in kinds:
                data = points(kind, n, m)
                yield (
                    "all layers", kind, n, m,
                    lambda threads, data=data: pq.pareto_layers(data, n_threads=threads),
                    lambda data=data: moocore.pareto_rank(data, maximise=True),
                    np.array_equal,
                )  # fmt: skip
    for n, m in ((10_000, 2), (100_000, 2), (10_000, 3), (100_000, 3), (1_000, 4), (1_000, 5)):
        front = points("anti", 20 * n, m)
        front = front[pq.pareto_front(front)][:n]
        ref = np.full(m, -0.1)
        yield (
            "hypervolume", "anti", len(front), m,
            lambda threads, f=front, r=ref: pq.hypervolume(f, ref=r, n_threads=threads),
            lambda f=front, r=ref: moocore.hypervolume(f, ref=r, maximise=True),
            lambda a, b: bool(np.isclose(a, b, rtol=1e-9)),
        )  # fmt: skip


def best_of(call: Callable[[], Any]) -> tuple[float, Any]:
    times = []
    for _ in range(REPEATS):
        start = time.perf_counter()
        answer = call()
        times.append(time.perf_counter() - start)
    return min(times), answer


def measure(task: Task) -> dict[str, Any]:
    what, kind, n, m, ours, rival, same = task
    one, answer = best_of(lambda: ours(1))
    every, again = best_of(lambda: ours(None))
    theirs, expected = best_of(rival)
    if not (same(answer, expected) and np.array_equal(answer, again)):
        raise AssertionError(f"{what}, {kind}, n={n}, m={m}: the answers differ")
    return {
        "task": what, "data": kind, "n": n, "m": m,
        "ours_1_thread_s": f"{one:.6f}", "ours_all_threads_s": f"{every:.6f}",
        "moocore_s": f"{theirs:.6f}",
        "ratio_1_thread": f"{theirs / one:.1f}", "ratio_all_threads": f"{theirs / every:.1f}",
    }  # fmt: skip


def machine() -> str:
    names = [
        line.split(":")[1].strip()
        for line in Path("/proc/cpuinfo").read_text().splitlines()
        if line.startswith("model name")
    ] if Path("/proc/cpuinfo").exists() else [platform.processor()]  # fmt: skip
    return f"{os.cpu_count()}x-{'-'.join(names[0].split()[:3])}" if names else platform.machine()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--large", action="store_true", help="up to a million rows")
    parser.add_argument("--out", type=Path, default=Path("benches/results"))
    arguments = parser.parse_args()
    console = Console()
    rows = [
        measure(task)
        for task in track(list(tasks(arguments.large)), "measure", console=console, transient=True)
    ]
    arguments.out.mkdir(parents=True, exist_ok=True)
    path = arguments.out / f"peers-{date.today()}-{machine()}.csv"
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, rows[0].keys())
        writer.writeheader()
        writer.writerows(rows)
    for row in rows:
        console.print(
            f"{row['task']:12} {row['data']:5} n={row['n']:>8,} M={row['m']}  "
            f"{float(row['ours_all_threads_s']):.4f} s  moocore {float(row['moocore_s']):.4f} s  "
            f"{row['ratio_all_threads']}x ({row['ratio_1_thread']}x on one thread)",
            soft_wrap=True,
        )
    console.print(f"written: {path}")


if __name__ == "__main__":
    main()
