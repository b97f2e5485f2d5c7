"""Shapes of data that break fast code: each beside uniform data, and beside half its size.

    python benches/shapes.py [--rows 1000000] [--only PATTERN] [--out benches/results]

A shape is within bounds when it takes less than 3 times as long as uniform points of that size,
and less than 3 times as long as its first half (twice is linear, four times quadratic). Answers
that are known, those of a chain, a front, and the same points in another layout, are asserted.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterator
from fnmatch import fnmatch
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from rich.progress import track

import paretohqd as pq
from paretohqd.bench.clouds import Cloud
from paretohqd.bench.measure import best_of
from paretohqd.bench.record import place, seconds, write

LIMIT = 3.0


def uniform(n: int, m: int) -> np.ndarray:
    return Cloud("uni", n, m).points


def front(n: int, m: int) -> np.ndarray:
    """Points that do not dominate each other; for two objectives on a line, without rounding."""
    if m > 2:
        return Cloud("simplex", n, m).points
    x = np.random.default_rng(0).permutation(n).astype(float)
    return np.column_stack([x, n - x])


def tails(n: int, m: int) -> np.ndarray:
    """Cauchy, and one value of a thousand infinite."""
    rng = np.random.default_rng(0)
    points = rng.standard_cauchy((n, m))
    for sign in (-1, 1):
        points[rng.random((n, m)) < 0.0005] = sign * np.inf
    return points


def constant(column: int, n: int, m: int) -> np.ndarray:
    points = uniform(n, m).copy()
    points[:, column] = 0.5
    return points


def zeros(n: int, m: int) -> np.ndarray:
    """A fifth of all values zero, of either sign."""
    points = uniform(n, m) - 0.5
    sign = np.random.default_rng(0).random((n, m))
    points[sign < 0.1], points[sign > 0.9] = 0.0, -0.0
    return points


def strided(n: int, m: int) -> np.ndarray:
    wide = np.zeros((2 * n, 2 * m))
    wide[::2, ::2] = uniform(n, m)
    return wide[::2, ::2]


def chunks(parts: int, n: int, m: int) -> pl.DataFrame:
    pieces = np.array_split(uniform(n, m), parts)
    return pl.concat(
        [pl.DataFrame(piece, [f"c{j}" for j in range(m)]) for piece in pieces], rechunk=False
    )


SHAPES: dict[str, Callable[[int, int], Any]] = {
    "all equal": lambda n, m: np.full((n, m), 0.5),
    "one chain": lambda n, m: (
        np.repeat(np.random.default_rng(0).permutation(n), m).reshape(n, m).astype(float)
    ),
    "one front": front,
    "sorted": lambda n, m: (p := uniform(n, m))[np.lexsort(p.T[::-1])],
    "reversed": lambda n, m: (p := uniform(n, m))[np.lexsort(p.T[::-1])[::-1]],
    "first objective constant": partial(constant, 0),
    "last objective constant": partial(constant, -1),
    "heavy tails, infinities": tails,
    "5 distinct values": lambda n, m: np.floor(5 * uniform(n, m)),
    "f32": lambda n, m: uniform(n, m).astype(np.float32),
    "zeros of both signs": zeros,
    "integers": lambda n, m: (uniform(n, m) * 2**40).astype(np.int64),
    "column-major": lambda n, m: np.asfortranarray(uniform(n, m)),
    "strided": strided,
    "frame": partial(chunks, 1),
    "frame of 50 chunks": partial(chunks, 50),
}
SAME_AS_UNIFORM = ("column-major", "strided", "frame", "frame of 50 chunks")

Call = Callable[[], Any]


def all_layers(points: Any) -> Call:
    return lambda: pq.pareto_layers(points)


def first_layers(points: Any) -> Call:
    return lambda: pq.pareto_layers(points, upto=5)


def nearest(points: Any) -> Call:
    values = np.asarray(points)
    high = values.max(axis=0).astype(float)
    span = np.maximum(high - values.min(axis=0), 1)
    through = high - (1 - pq.preference_grid(values.shape[1], 4)[:11]) * span
    return lambda: pq.nearest_to_rays(points, high, through, k=100)[0]


# The objectives, and what prepares a call on points.
CALLS: dict[str, tuple[tuple[int, ...], Callable[[Any], Call]]] = {
    "all layers": ((2, 3, 4, 5), all_layers),
    "first 5 layers": ((2, 3, 4, 5), first_layers),
    "100 nearest to 11 rays": ((3,), nearest),
}


def expected(shape: str, call: str, points: Any, usual: Any) -> Any:
    """The answer where it is known."""
    if shape in SAME_AS_UNIFORM:
        return usual
    if "layers" not in call:
        return None
    if shape in ("all equal", "one front"):
        return np.zeros(len(points), int)
    if shape == "one chain":
        layers = len(points) - 1 - points[:, 0].astype(int)
        return np.where(layers < 5, layers, -1) if call == "first 5 layers" else layers
    return None


def cases(pattern: str) -> Iterator[tuple[str, int, str]]:
    for call, (sizes, _) in CALLS.items():
        for m in sizes:
            for shape in SHAPES:
                # No distance to infinity; and more than three objectives make large fronts slow.
                unfit = (call.startswith("100") and "infinities" in shape) or (
                    m > 3 and shape == "one front"
                )
                if not unfit and fnmatch(f"{call} m={m} {shape}", pattern):
                    yield call, m, shape


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--only", default="*", metavar="PATTERN", help="'all layers m=2 *'")
    parser.add_argument("--out", type=Path, default=Path("benches/results"))
    arguments = parser.parse_args()
    rows, usual = [], {}
    for call, m, shape in track(list(cases(arguments.only)), "measure", transient=True):
        prepare = CALLS[call][1]
        if (call, m) not in usual:
            usual[call, m] = best_of(prepare(uniform(arguments.rows, m)))
        base, answer = usual[call, m]
        points = SHAPES[shape](arguments.rows, m)
        whole_s, result = best_of(prepare(points))
        half_s, _ = best_of(prepare(points[: len(points) // 2]))
        right = expected(shape, call, points, answer)
        if right is not None and not np.array_equal(result, right):
            raise AssertionError(f"{call}, m = {m}, {shape}: a wrong answer")
        within = whole_s < LIMIT * base and whole_s < LIMIT * half_s
        rows.append(
            {
                "call": call,
                "m": m,
                "shape": shape,
                "n": arguments.rows,
                "seconds": f"{whole_s:.4g}",
                "uniform_s": f"{base:.4g}",
                "over_uniform": f"{whole_s / base:.2f}",
                "half_s": f"{half_s:.4g}",
                "over_half": f"{whole_s / half_s:.2f}",
                "within": "yes" if within else "no",
            }
        )
    path = place(arguments.out, "shapes")
    write(rows, path, list(rows[0]))
    for row in rows:
        print(
            f"{row['call']:22} M={row['m']} {row['shape']:25} {seconds(float(row['seconds'])):>9}  "
            f"{row['over_uniform']:>6}x uniform {row['over_half']:>6}x half"
            f"{'' if row['within'] == 'yes' else '  OVER'}"
        )
    print(f"{sum(row['within'] == 'yes' for row in rows)} of {len(rows)} within; written: {path}")


if __name__ == "__main__":
    main()
