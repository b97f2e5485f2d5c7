"""How the first layers grow, and what a selection on many machines reads, moves and holds.

    python benches/scale.py [--max-rows 10000000] [--out benches/results]
    python benches/scale.py --check [--rows 4000000] [--parts 64]

The sizes of first layers are measured for up to 1e7 rows and extrapolated to what no one machine
holds; each line says which. `--check` divides rows into parts, merges their states in the tree that
`paretohqd.distributed` uses, and holds the rows that move on each level against the prediction.
"""

from __future__ import annotations

import argparse
import math
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from rich.progress import track

import paretohqd as pq
from paretohqd.bench.record import place, write
from paretohqd.distributed import SAMPLE
from paretohqd.distributed.merging import FAN_IN
from paretohqd.distributed.parts import PART

Floats = np.ndarray
Row = dict[str, Any]


def uniform(n: int, m: int, rng: np.random.Generator) -> Floats:
    return rng.random((n, m))


def normal(n: int, m: int, rng: np.random.Generator) -> Floats:
    """Correlation .5 between any two objectives."""
    return np.sqrt(0.5) * (rng.standard_normal((n, 1)) + rng.standard_normal((n, m)))


def simplex(n: int, m: int, rng: np.random.Generator) -> Floats:
    """What is gained in one objective is lost in the others, up to noise of .01."""
    return rng.dirichlet(np.ones(m), n) + rng.normal(0, 0.01, (n, m))


CLOUDS: dict[str, Callable[[int, int, np.random.Generator], Floats]] = {
    "uniform": uniform,
    "normal": normal,
    "simplex": simplex,
}
OBJECTIVES = (2, 3, 4)
LAYERS = 5
POOL = 1_100
"""Rows that 11 preferences of 100 need: what `at_least` is by default."""


def front(n: float, m: int) -> float:
    """Rows expected on the front of n points with independent objectives.

    E(n, m) = sum over i <= n of E(i, m - 1) / i, which grows as (ln n)^(m-1) / (m-1)! (Bentley,
    Kung, Schkolnick and Thompson 1978). With the lower terms: the complete homogeneous symmetric
    polynomial of 1, 1/2, .., 1/n, from its power sums H_1(n), H_2(n), ..
    """
    powers = [math.log(n) + np.euler_gamma, *(_zeta(s) for s in range(2, m))]
    fronts = [1.0]
    for k in range(1, m):
        fronts.append(sum(powers[i] * fronts[k - 1 - i] for i in range(k)) / k)
    return fronts[m - 1]


def _zeta(s: int) -> float:
    return float((1.0 / np.arange(1, 1_000_001) ** s).sum())


def needed(points: Floats, rows: int = POOL) -> int:
    """Layers that hold the rows which 11 preferences of 100 need."""
    return int(pq.pareto_layers(points, at_least=rows).max()) + 1


def held(points: Floats, upto: int) -> np.ndarray:
    """(upto,) rows in the first layer, the first two, ..."""
    layer = pq.pareto_layers(points, upto=upto)
    return np.bincount(layer[layer >= 0], minlength=upto).cumsum()


def measure(cloud: str, m: int, largest: int) -> list[Row]:
    """Sizes for 1e4, 1e5, .. rows: the mean of 20 clouds, of fewer where they are large."""
    rows = []
    draw = CLOUDS[cloud]
    limit = needed(draw(SAMPLE, m, np.random.default_rng([m, SAMPLE])), 2 * POOL)
    n = 10_000
    while n <= largest:
        sizes = []
        for seed in range(max(2, min(20, 4_000_000 // n))):
            points = draw(n, m, np.random.default_rng([seed, m, n]))
            sums = held(points, max(limit, LAYERS))
            sizes.append((sums[0], sums[LAYERS - 1], sums[limit - 1], needed(points)))
        one, five, kept, layers = np.mean(sizes, axis=0)
        rows.append(
            {
                "cloud": cloud,
                "m": m,
                "n": n,
                "what": "measured",
                "front": one,
                "first_5": five,
                "layers_needed": layers,
                "limit": limit,
                "kept": kept,
            }
        )
        n *= 10
    return rows


def growth(rows: list[Row], column: str) -> tuple[float, Callable[[float], float]]:
    """The exponent of a size's growth, and the size at any n: a line through the last three.

    In a power of n for the simplex, whose fronts are a share of all rows up to the noise; in a
    power of ln n for the others, as theory has it for independent objectives.
    """
    scale = math.log if rows[0]["cloud"] == "simplex" else lambda n: math.log(math.log(n))
    last = rows[-3:]
    x = [scale(row["n"]) for row in last]
    slope, start = np.polyfit(x, [math.log(row[column]) for row in last], 1)
    return float(slope), lambda n: math.exp(start + slope * scale(n))


def between(rows: list[Row]) -> Callable[[float], float]:
    """Rows kept of n: on a line between measured sizes, past the last of them as they grow."""
    x = [math.log(row["n"]) for row in rows]
    y = [math.log(row["kept"]) for row in rows]
    _, beyond = growth(rows, "kept")
    return lambda n: beyond(n) if n > rows[-1]["n"] else math.exp(np.interp(math.log(n), x, y))


def extrapolate(rows: list[Row], targets: list[float]) -> list[Row]:
    sizes = {column: growth(rows, column)[1] for column in ("front", "first_5", "kept")}
    return [
        {**rows[-1], "n": n, "what": "extrapolated", "layers_needed": None}
        | {column: size(n) for column, size in sizes.items()}
        for n in targets
    ]


def row_bytes(m: int) -> int:
    """What a kept row weighs: its scores, its number and its layer."""
    return 8 * m + 8 + 4


def tree(rows: int, parts: int, size: Callable[[float], float]) -> list[tuple[int, float]]:
    """(states, rows in each) of each level, from the parts to the one that is left."""
    levels = [(parts, size(rows / parts))]
    while levels[-1][0] > 1:
        states = -(-levels[-1][0] // FAN_IN)
        levels.append((states, size(rows / states)))
    return levels


def plan(rows: list[Row], n: float, nodes: int) -> list[str]:
    """What a selection from n rows on some machines reads, moves and holds."""
    m, cloud = rows[0]["m"], rows[0]["cloud"]
    size = between(rows)
    parts = math.ceil(n / PART)
    levels = tree(int(n), parts, size)
    weight = row_bytes(m)
    moved = [states * kept * weight for states, kept in levels]
    return [
        cloud,
        str(m),
        f"{rows[0]['limit']}",
        gb(8 * m * n),
        gb(8 * m * n / nodes),
        f"{levels[0][1]:,.0f}",
        " ".join(gb(each) for each in moved[:-1]),
        gb(sum(moved[:-1])),
        f"{sum(moved[:-1]) / (8 * m * n):.1e}",
        gb(FAN_IN * levels[-2][1] * weight),
        f"{levels[-1][1]:,.0f}",
    ]


def check(rows: int, parts: int, largest: int) -> None:
    """Divide, merge in the tree, and compare each level with the prediction."""
    print(f"{rows:,} rows in {parts} parts; kept rows and bytes of each level's states")
    for cloud, draw in CLOUDS.items():
        for m in OBJECTIVES:
            measured = measure(cloud, m, largest)
            limit = measured[0]["limit"]
            predicted = tree(rows, parts, between(measured))
            points = draw(rows, m, np.random.default_rng([99, m, rows]))
            names = [f"c{j}" for j in range(m)]
            frame = pl.DataFrame(points, schema=names)
            states = [
                pq.FirstLayers(names, upto=limit)
                .add(frame[at * rows // parts : (at + 1) * rows // parts])
                .layers
                for at in range(parts)
            ]
            level = 0
            while True:
                kept = sum(len(state.settled().row) for state in states)
                travels = sum(len(pickle.dumps(state)) for state in states)
                model = predicted[level][0] * predicted[level][1]
                print(
                    f"{cloud:8} M={m} L={limit:<4} level {level}: {len(states):>3} states, "
                    f"{kept:>9,} rows, predicted {model:>11,.0f} ({kept / model:.2f}); "
                    f"{travels / 1e6:8.2f} MB, predicted {model * row_bytes(m) / 1e6:8.2f} "
                    f"({travels / model / row_bytes(m):.2f})"
                )
                if len(states) == 1:
                    break
                groups = [states[at : at + FAN_IN] for at in range(0, len(states), FAN_IN)]
                states = [first.merge(*others) for first, *others in groups]
                level += 1
            layer = pq.pareto_layers(points, upto=limit)
            inside = np.flatnonzero(layer >= 0)
            merged = states[0].settled()
            if not (
                np.array_equal(merged.row, inside) and np.array_equal(merged.layer, layer[inside])
            ):
                raise AssertionError(f"{cloud}, m = {m}: the tree gives a wrong answer")


def gb(size: float) -> str:
    """Bytes for people."""
    for unit in ("B", "kB", "MB", "GB", "TB"):
        if size < 1000 or unit == "TB":
            return f"{size:.3g} {unit}"
        size /= 1000
    raise AssertionError


def table(heads: list[str], rows: list[list[str]]) -> str:
    lines = [heads, ["---"] * len(heads), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def number(value: float | None) -> str:
    return "" if value is None else f"{value:,.0f}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--max-rows", type=int, default=10_000_000, help="measured up to here")
    parser.add_argument("--target", type=float, default=1e10, help="extrapolated to here")
    parser.add_argument("--nodes", type=int, default=100)
    parser.add_argument("--check", action="store_true", help="divide and merge on this machine")
    parser.add_argument("--rows", type=int, default=4_000_000, help="of --check")
    parser.add_argument("--parts", type=int, default=64, help="of --check")
    parser.add_argument("--out", type=Path, default=Path("benches/results"))
    arguments = parser.parse_args()
    if arguments.check:
        check(arguments.rows, arguments.parts, arguments.rows)
        return
    every: list[Row] = []
    plans, exponents = [], []
    cases = [(cloud, m) for cloud in CLOUDS for m in OBJECTIVES]
    for cloud, m in track(cases, "measure", transient=True):
        rows = measure(cloud, m, arguments.max_rows)
        every += rows + extrapolate(rows, [1e8, 1e9, arguments.target])
        plans.append(plan(rows, arguments.target, arguments.nodes))
        exponents.append(
            [
                cloud,
                str(m),
                "n" if cloud == "simplex" else "ln n",
                *(f"{growth(rows, column)[0]:.2f}" for column in ("front", "first_5", "kept")),
            ]
        )
    path = place(arguments.out, "scale")
    write(
        [
            {k: number(v).replace(",", "") if isinstance(v, float) else v for k, v in row.items()}
            for row in every
        ],
        path,
        list(every[0]),
    )
    print(
        table(
            [
                "cloud",
                "M",
                "n",
                "",
                "front",
                "theory",
                "first 5",
                "layers for 1,100",
                "L",
                "first L",
            ],
            [
                [
                    row["cloud"],
                    str(row["m"]),
                    f"{row['n']:.0e}".replace("e+0", "e").replace("e+", "e"),
                    row["what"],
                    number(row["front"]),
                    number(front(row["n"], row["m"])) if row["cloud"] == "uniform" else "",
                    number(row["first_5"]),
                    number(row["layers_needed"]),
                    str(row["limit"]),
                    number(row["kept"]),
                ]
                for row in every
            ],
        )
    )
    print()
    print(table(["cloud", "M", "power of", "front", "first 5", "first L"], exponents))
    print()
    print(f"{arguments.target:.0e} rows, {arguments.nodes} machines, parts of {PART:,} rows:")
    print(
        table(
            [
                "cloud",
                "M",
                "L",
                "read",
                "per machine",
                "rows kept of a part",
                "moved, by level",
                "moved",
                "moved/read",
                "largest merge",
                "rows left",
            ],
            plans,
        )
    )
    print(f"written: {path}")


if __name__ == "__main__":
    main()
