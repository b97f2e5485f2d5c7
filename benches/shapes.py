"""Shapes of data that break fast code: each beside usual data, and beside half its size.

    python benches/shapes.py [--rows 1000000] [--only PATTERN] [--out benches/results]

A shape is within bounds when it takes less than 3 times as long as usual points of that size (a
uniform cloud; for contributions a front), and less than 3 times as long as its first half (twice is
linear, four times quadratic). A number of threads is within bounds when it takes less than 3 times
as long as the best number. Answers that are known, those of a chain, a front, and the same points
in another layout, are asserted.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator
from fnmatch import fnmatch
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from rich.progress import track

import paretohqd as pq
from paretohqd.bench.measure import best_of
from paretohqd.bench.record import place, seconds, write

sys.path.insert(0, str(Path(__file__).parent))
from clouds import ADVERSARY_ROWS, LARGE_FRONTS, SAME_AS_UNIFORM, SHAPES, front, uniform

LIMIT = 3.0
THREADS = (1, 2, 4, 8, 16, 32, 64)


def all_layers(points: Any, threads: int | None = None) -> Any:
    return pq.pareto_layers(points, n_threads=threads)


def first_layers(points: Any, threads: int | None = None) -> Any:
    return pq.pareto_layers(points, upto=5, n_threads=threads)


def contributions(points: Any, threads: int | None = None) -> Any:
    return pq.hypervolume_contributions(points, ref=[0] * points.shape[1], n_threads=threads)


def nearest(points: Any, threads: int | None = None) -> Any:
    values = np.asarray(points)
    high = values.max(axis=0).astype(float)
    span = np.maximum(high - values.min(axis=0), 1)
    through = high - (1 - pq.preference_grid(values.shape[1], 4)[:11]) * span
    return pq.nearest_to_rays(points, high, through, k=100, n_threads=threads)[0]


CALLS = {
    "all layers": all_layers,
    "first 5 layers": first_layers,
    "100 nearest to 11 rays": nearest,
    "contributions": contributions,
}
# The objectives, and those in which many threads are tried.
OBJECTIVES = {
    "all layers": (2, 3, 4, 5, 6),
    "first 5 layers": (2, 3, 4, 5),
    "100 nearest to 11 rays": (3,),
    "contributions": (3,),
}
MANY_THREADS = {
    "all layers": (2, 3, 5),
    "first 5 layers": (3,),
    "100 nearest to 11 rays": (3,),
    "contributions": (3,),
}


class Case(NamedTuple):
    """A call on a shape, or with a number of threads on usual data."""

    call: str
    m: int
    shape: str
    n: int
    threads: int | None = None


def usual(call: str, n: int, m: int) -> Any:
    return front(n, m) if call == "contributions" else uniform(n, m)


def fits(call: str, m: int, shape: str) -> bool:
    """Whether the shape is for this call."""
    if call == "contributions":
        return shape in ("all equal", "one chain", "sorted", "f32", "one above a front")
    if shape == "one above a front" or (m == 6 and shape != "noisy chain"):
        return False
    if shape == "the adversary":
        return call == "all layers" and m == 4
    # No distance to infinity; and more than three objectives make large fronts slow.
    return not (
        (call.startswith("100") and "infinities" in shape) or (m > 3 and shape in LARGE_FRONTS)
    )


def cases(pattern: str, rows: int) -> Iterator[Case]:
    for call, sizes in OBJECTIVES.items():
        for m in sizes:
            for shape in SHAPES:
                if fits(call, m, shape) and fnmatch(f"{call} m={m} {shape}", pattern):
                    n = min(rows, ADVERSARY_ROWS) if shape == "the adversary" else rows
                    yield Case(call, m, shape, n)
    for call, sizes in MANY_THREADS.items():
        for m in sizes:
            for threads in THREADS:
                if fnmatch(f"{call} m={m} {threads} threads", pattern):
                    yield Case(call, m, f"{threads} threads", rows, threads)


def expected(case: Case, points: Any, usual_answer: Any) -> Any:
    """The answer where it is known."""
    call, shape = case.call, case.shape
    if shape in SAME_AS_UNIFORM or case.threads:
        return usual_answer
    if call == "contributions":
        if shape == "one above a front":
            below = pq.hypervolume(points[1:], ref=[0] * case.m)
            return np.concatenate([[1 - below], np.zeros(len(points) - 1)])
        return np.zeros(len(points)) if shape == "all equal" else None
    if "layers" not in call:
        return None
    if shape in ("all equal", "one front"):
        return np.zeros(len(points), int)
    if shape == "one chain":
        layers = len(points) - 1 - points[:, 0].astype(int)
        return np.where(layers < 5, layers, -1) if call == "first 5 layers" else layers
    return None


class Shapes:
    """Measures cases, and remembers the times on usual data."""

    def __init__(self) -> None:
        self.times: dict[tuple[object, ...], tuple[float, Any]] = {}

    def once(self, call: str, n: int, m: int, threads: int | None = None) -> tuple[float, Any]:
        key = (call, n, m, threads)
        if key not in self.times:
            points = usual(call, n, m)
            self.times[key] = best_of(lambda: CALLS[call](points, threads))
        return self.times[key]

    def measure(self, case: Case) -> dict[str, Any]:
        run = CALLS[case.call]
        row: dict[str, Any] = {"call": case.call, "m": case.m, "shape": case.shape, "n": case.n}
        if case.threads:
            whole_s, result = self.once(case.call, case.n, case.m, case.threads)
            every = [self.once(case.call, case.n, case.m, threads) for threads in THREADS]
            base, answer = min(every, key=lambda timed: timed[0])
            within, half = whole_s < LIMIT * base, {"half_s": "", "over_half": ""}
            points = None
        else:
            base, answer = self.once(case.call, case.n, case.m)
            points = SHAPES[case.shape](case.n, case.m)
            whole_s, result = best_of(lambda: run(points))
            first = points[: len(points) // 2]
            half_s, _ = best_of(lambda: run(first))
            within = whole_s < LIMIT * base and whole_s < LIMIT * half_s
            half = {"half_s": f"{half_s:.4g}", "over_half": f"{whole_s / half_s:.2f}"}
        right = expected(case, points, answer)
        if right is not None and not np.allclose(result, right, rtol=0, atol=1e-12):
            raise AssertionError(f"{case.call}, m = {case.m}, {case.shape}: a wrong answer")
        return row | {
            "seconds": f"{whole_s:.4g}",
            "uniform_s": f"{base:.4g}",
            "over_uniform": f"{whole_s / base:.2f}",
            **half,
            "within": "yes" if within else "no",
        }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--only", default="*", metavar="PATTERN", help="'all layers m=2 *'")
    parser.add_argument("--out", type=Path, default=Path("benches/results"))
    arguments = parser.parse_args()
    shapes = Shapes()
    chosen = list(cases(arguments.only, arguments.rows))
    rows = [shapes.measure(case) for case in track(chosen, "measure", transient=True)]
    path = place(arguments.out, "shapes")
    write(rows, path, list(rows[0]))
    for row in rows:
        over = "best" if row["shape"].endswith("threads") else "usual"
        half = f"{row['over_half']:>6}x half" if row["over_half"] else ""
        print(
            f"{row['call']:22} M={row['m']} {row['shape']:25} {seconds(float(row['seconds'])):>9}  "
            f"{row['over_uniform']:>6}x {over} {half}{'' if row['within'] == 'yes' else '  OVER'}"
        )
    print(f"{sum(row['within'] == 'yes' for row in rows)} of {len(rows)} within; written: {path}")


if __name__ == "__main__":
    main()
