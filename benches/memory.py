"""Peak memory of our calls, each in a fresh process: at most twice the input, and the answer.

    python benches/memory.py [--shrink 1] [--only PATTERN] [--out benches/results]

What counts is the peak above a process that has made a small call of the same kind (so that
imports and threads are there) and does not hold its input yet: the input itself is the first of
the two. Linux only: the kernel's own peak (VmHWM) is reset before the call.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
from collections.abc import Callable
from fnmatch import fnmatch
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from rich.progress import track

import paretohqd as pq
from paretohqd.bench.clouds import Cloud
from paretohqd.bench.record import place, write


@cache
def keys(rows: int, size: int = 8) -> np.ndarray:
    """Groups of so many rows: made before the count begins."""
    return np.arange(rows) // size


def volume(points: np.ndarray) -> Any:
    return pq.hypervolume(points, ref=np.full(points.shape[1], -0.1))


def contributions(points: np.ndarray) -> Any:
    return pq.hypervolume_contributions(points, ref=np.full(points.shape[1], -0.1))


def rays(points: np.ndarray) -> Any:
    m = points.shape[1]
    return pq.nearest_to_rays(points, np.ones(m), pq.preference_grid(m, 4)[:11] * 0.9, k=100)


CALLS: dict[str, Callable[[np.ndarray], Any]] = {
    "all layers": pq.pareto_layers,
    "first 5 layers": lambda points: pq.pareto_layers(points, upto=5),
    "single front": pq.pareto_front,
    "layers in groups of 8": lambda points: pq.pareto_layers(points, groups=keys(len(points))),
    "layers in groups of 256": lambda points: pq.pareto_layers(
        points, groups=keys(len(points), 256)
    ),
    "hypervolume": volume,
    "hypervolume in groups of 8": lambda points: pq.hypervolume(
        points, ref=np.full(points.shape[1], -0.1), groups=keys(len(points))
    ),
    "hypervolume estimate": lambda points: pq.hypervolume_estimate(
        points, ref=np.full(points.shape[1], -0.1)
    ),
    "contributions": contributions,
    "100 nearest to 11 rays": rays,
}
CASES = [
    ("all layers", "uni", 10_000_000, 2),
    ("all layers", "uni", 10_000_000, 3),
    ("all layers", "uni columns", 10_000_000, 3),
    ("all layers", "anti", 5_000_000, 3),
    ("all layers", "disc", 10_000_000, 3),
    ("all layers", "uni f32", 10_000_000, 2),
    ("all layers", "uni f32", 10_000_000, 3),
    ("all layers", "chain", 5_000_000, 2),
    ("all layers", "chain", 5_000_000, 3),
    ("all layers", "chain", 2_000_000, 4),
    ("all layers", "uni", 5_000_000, 4),
    ("all layers", "uni", 5_000_000, 5),
    ("first 5 layers", "uni", 10_000_000, 2),
    ("first 5 layers", "uni", 10_000_000, 3),
    ("first 5 layers", "uni columns", 10_000_000, 3),
    ("first 5 layers", "anti", 5_000_000, 3),
    ("first 5 layers", "uni", 5_000_000, 5),
    ("single front", "uni", 10_000_000, 2),
    ("single front", "uni", 10_000_000, 3),
    ("single front", "anti", 5_000_000, 4),
    ("layers in groups of 8", "uni", 10_000_000, 3),
    ("layers in groups of 256", "uni", 10_000_000, 3),
    ("hypervolume", "sphere", 5_000_000, 2),
    ("hypervolume", "sphere", 5_000_000, 3),
    ("hypervolume", "sphere columns", 5_000_000, 3),
    ("hypervolume", "sphere f32", 5_000_000, 3),
    ("hypervolume", "sphere", 200_000, 4),
    ("hypervolume in groups of 8", "uni", 10_000_000, 3),
    ("hypervolume in groups of 8", "uni", 5_000_000, 4),
    ("hypervolume estimate", "uni", 2_000_000, 5),
    ("contributions", "sphere", 5_000_000, 2),
    ("contributions", "sphere", 2_000_000, 3),
    ("contributions", "uni", 5_000_000, 3),
    ("100 nearest to 11 rays", "uni", 10_000_000, 3),
    ("100 nearest to 11 rays", "uni columns", 10_000_000, 3),
]


def of_this_process(field: str) -> int:
    """VmRSS or VmHWM, in bytes."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith(f"{field}:"):
            return int(line.split()[1]) * 1024
    raise OSError(f"/proc/self/status has no {field}")


def child(call: str, path: str) -> None:
    """Print the bytes of the input, of the answer, and of the peak above the start."""
    run = CALLS[call]
    mapped = np.load(path, mmap_mode="r")
    n, m = mapped.shape
    run(np.random.default_rng(0).random((20_000, m)).astype(mapped.dtype))
    for size in (8, 256):
        keys(n, size)
    before = of_this_process("VmRSS")
    points = np.load(path)
    Path("/proc/self/clear_refs").write_text("5")
    answer = run(points)
    peak = of_this_process("VmHWM") - before
    parts = answer if isinstance(answer, tuple) else (answer,)
    print(points.nbytes, sum(np.asarray(part).nbytes for part in parts), peak)


def measured(call: str, data: str, n: int, m: int, folder: str) -> dict[str, Any]:
    path = f"{folder}/points.npy"
    np.save(path, Cloud(data, n, m).points)
    done = subprocess.run(
        [sys.executable, __file__, "--child", call, path], capture_output=True, text=True
    )
    if done.returncode:
        raise SystemExit(f"{call}, {data}, n = {n}, m = {m}: {done.stderr}")
    size, answer, peak = map(int, done.stdout.split())
    over = peak / (2 * size + answer)
    return {
        "call": call,
        "data": data,
        "n": n,
        "m": m,
        "input_mb": f"{size / 1e6:.1f}",
        "answer_mb": f"{answer / 1e6:.1f}",
        "peak_mb": f"{peak / 1e6:.1f}",
        "over_limit": f"{over:.2f}",
        "within": "yes" if over <= 1 else "no",
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--shrink", type=int, default=1, help="divide every n by this")
    parser.add_argument("--only", default="*", metavar="PATTERN", help="'all layers uni*'")
    parser.add_argument("--out", type=Path, default=Path("benches/results"))
    parser.add_argument("--child", nargs=2, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.child:
        child(*arguments.child)
        return
    chosen = [case for case in CASES if fnmatch(" ".join(map(str, case)), arguments.only)]
    with tempfile.TemporaryDirectory() as folder:
        rows = [
            measured(call, data, n // arguments.shrink, m, folder)
            for call, data, n, m in track(chosen, "measure", transient=True)
        ]
    path = place(arguments.out, "memory")
    write(rows, path, list(rows[0]))
    for row in rows:
        print(
            f"{row['call']:22} {row['data']:14} n={row['n']:>10,} M={row['m']}  peak "
            f"{row['peak_mb']:>7} MB = {row['over_limit']} x (2 x {row['input_mb']} + "
            f"{row['answer_mb']}){'' if row['within'] == 'yes' else '  OVER'}"
        )
    print(f"{sum(row['within'] == 'yes' for row in rows)} of {len(rows)} within; written: {path}")


if __name__ == "__main__":
    main()
