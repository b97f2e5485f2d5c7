"""Frames of any size: memory and time of streaming beside a bare scan, groups, and entry costs.

    python benches/frames.py [--rows 200000000] [--folder FOLDER] [--out benches/results]

Makes a folder of Parquet files with three scores and a text column, then, each in a fresh process:
the sums of the scores by Polars alone (the bare scan), `select` and `layers` of the folder, their
resident memory at most and their time as a ratio to the scan. Then a million groups of eight, what
every kind of table costs to enter, and the ways of taking rows by number. Answers are compared with
those of a frame in memory on what fits. Linux only (VmHWM).
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from rich.progress import track

import paretohqd as pq
from paretohqd.bench.record import place, write
from paretohqd.frames import batches

NAMES = ["a", "b", "c"]
PART = 5_000_000
"""Rows of a file."""
FITS = 20_000_000
"""Rows whose answer is also computed in memory."""


def make(folder: Path, rows: int) -> None:
    """Write the files that are not there yet."""
    folder.mkdir(parents=True, exist_ok=True)
    for part in track(range(rows // PART), "write files", transient=True):
        path = folder / f"{part:04}.parquet"
        if path.exists():
            continue
        scores = np.random.default_rng(part).random((PART, 3))
        text = pl.select(pl.format("answer {} of the file", pl.int_range(PART))).to_series()
        frame = pl.DataFrame(scores, schema=NAMES).with_columns(text=text)
        beside = path.with_suffix(".new")
        frame.write_parquet(beside)
        beside.rename(path)


def files(folder: str, rows: int) -> list[str]:
    return [f"{folder}/{part:04}.parquet" for part in range(rows // PART)]


def scan(folder: str, rows: int) -> Any:
    query = pl.scan_parquet(files(folder, rows), glob=False).select(pl.col(NAMES).sum())
    return query.collect(engine="streaming")


def select(folder: str, rows: int) -> Any:
    return pq.select(files(folder, rows), NAMES, 10, k=100)


def select_again(folder: str, rows: int) -> Any:
    """All but the reading of the chosen rows' other columns."""
    lazy = pl.scan_parquet(files(folder, rows), glob=False).select(NAMES)
    return pq.select(lazy, NAMES, 10, k=100)


def ranked(rank: str, **more: Any) -> Callable[[str, int], Any]:
    """The choice by a rank that looks at all rows."""
    return lambda folder, rows: pq.select(files(folder, rows), NAMES, 10, k=100, rank=rank, **more)


def asked(**more: Any) -> Callable[[str, int], Any]:
    """The choice from the pool with further options."""
    return lambda folder, rows: pq.select(files(folder, rows), NAMES, 10, k=100, **more)


def first_layers(folder: str, rows: int) -> Any:
    return (
        pq.FirstLayers(NAMES, upto=5)
        .add(pl.scan_parquet(files(folder, rows), glob=False).select(NAMES))
        .frame
    )


def layers(folder: str, rows: int) -> Any:
    query = pq.layers(files(folder, rows), NAMES, upto=5)
    return query.filter(pl.col("layer") >= 0).collect(engine="streaming")


CALLS: dict[str, Callable[[str, int], Any]] = {
    "bare scan": scan,
    "select": select,
    "select of score columns": select_again,
    "achievement, points given": ranked("achievement", bounds=[(0, 0, 0), (1, 1, 1)]),
    "achievement of the front": ranked("achievement"),
    "sum, points given": ranked("sum", bounds=[(0, 0, 0), (1, 1, 1)]),
    "select where half take part": asked(where="a + b < 1"),
    "select within noise": asked(epsilon=0.001),
    "first 5 layers": first_layers,
    "layers upto 5, filtered": layers,
}


def child(call: str, folder: str, rows: int) -> None:
    """Print seconds, and the resident memory at most, of one call."""
    start = time.perf_counter()
    CALLS[call](folder, rows)
    seconds = time.perf_counter() - start
    status = Path("/proc/self/status").read_text().splitlines()
    peak = next(int(line.split()[1]) for line in status if line.startswith("VmHWM"))
    print(seconds, peak * 1024)


def fresh(call: str, folder: Path, rows: int, repeats: int) -> tuple[float, float]:
    """The least seconds and the largest peak of some processes."""
    runs = []
    for _ in range(repeats):
        done = subprocess.run(
            [sys.executable, __file__, "--child", call, str(folder), str(rows)],
            capture_output=True,
            text=True,
        )
        if done.returncode:
            raise SystemExit(f"{call}: {done.stderr}")
        seconds, peak = map(float, done.stdout.split())
        runs.append((seconds, peak))
    return min(seconds for seconds, _ in runs), max(peak for _, peak in runs)


def streamed(folder: Path, rows: int) -> list[dict[str, Any]]:
    least, _ = fresh("bare scan", folder, rows, 1)  # The files come into the cache.
    table = []
    for call in CALLS:
        seconds, peak = fresh(call, folder, rows, 2)
        least = seconds if call == "bare scan" else least
        table.append(row(call, rows, seconds, least, peak, "bare scan"))
    return table


def same_answers(folder: Path, rows: int) -> None:
    """What is streamed is what is computed in memory."""
    held = pl.read_parquet(files(str(folder), rows))
    assert select(str(folder), rows).equals(pq.select(held, NAMES, 10, k=100))
    points = [(0, 0, 0), (1, 1, 1)]
    for options in (
        {"rank": "achievement", "bounds": points},
        {"rank": "achievement"},
        {"rank": "sum", "bounds": points},
        {"where": "a + b < 1"},
        {"epsilon": 0.001},
    ):
        streamed = asked(**options)(str(folder), rows)
        assert streamed.equals(pq.select(held, NAMES, 10, k=100, **options))
    assert layers(str(folder), rows).equals(
        held.pareto.layers(NAMES, upto=5).filter(pl.col("layer") >= 0)
    )


def best(call: Callable[[], Any], repeats: int = 5) -> float:
    times = []
    for _ in range(repeats):
        start = time.perf_counter()
        call()
        times.append(time.perf_counter() - start)
    return min(times)


def in_groups(groups: int) -> list[dict[str, Any]]:
    """Groups of eight, in order and shuffled, beside the same rows without groups."""
    rng = np.random.default_rng(1)
    frame = pl.DataFrame(rng.random((8 * groups, 3)), schema=NAMES).with_columns(
        prompt=pl.Series(np.arange(8 * groups) // 8)
    )
    shuffled = frame.sample(fraction=1, shuffle=True, seed=1)
    texts = shuffled.with_columns(pl.format("prompt {}", "prompt").alias("prompt"))
    whole = best(lambda: frame.pareto.layers(NAMES), 3)
    table = [row("layers without groups", len(frame), whole, whole, 0, "itself")]
    for order, data in (("in order", frame), ("shuffled", shuffled), ("shuffled texts", texts)):
        layers = best(lambda data=data: data.pareto.layers(NAMES, by="prompt"), 3)
        table.append(row(f"layers by prompt, {order}", len(frame), layers, whole, 0, "no groups"))
        chosen = best(lambda data=data: pq.select(data, NAMES, 10, k=1, by="prompt"), 2)
        table.append(row(f"select by prompt, {order}", len(frame), chosen, whole, 0, "no groups"))
    return table


def entries(n: int) -> list[dict[str, Any]]:
    """The same layers from every kind of table, beside a Polars frame of one chunk."""
    values = np.random.default_rng(2).random((n, 3))
    frame = pl.DataFrame(values, schema=NAMES)
    chunked = pl.concat([frame[i : i + n // 10] for i in range(0, n, n // 10)], rechunk=False)
    kinds: dict[str, Any] = {
        "Polars": frame,
        "Polars, 10 chunks": chunked,
        "Polars, lazy": frame.lazy(),
        "Arrow": frame.to_arrow(),
        "pandas": frame.to_pandas(),
        "array column": frame.select(pl.concat_arr(NAMES).alias("r")),
    }
    first = best(lambda: pq.layers(frame, NAMES, upto=5))
    table = []
    for kind, data in kinds.items():
        names = ["r"] if kind == "array column" else NAMES

        def call(data: Any = data, names: list[str] = names) -> Any:
            return pq.layers(data, names, upto=5).lazy().select("layer").collect()

        assert call().equals(pq.layers(frame, NAMES, upto=5).select("layer"))
        table.append(row(f"first 5 layers of {kind}", n, best(call), first, 0, "Polars"))
    return table


def ways_of_taking(folder: Path, rows: int) -> list[dict[str, Any]]:
    """Rows by number out of row groups of several sizes: by a condition, by slices, by reading all.

    `Source.take` takes the condition, or slices where there are lists, which are decoded whole.
    """
    table, scores = [], np.random.default_rng(3).random((rows, 3))
    text = pl.select(pl.format("{} " + 200 * "answer ", pl.int_range(rows))).to_series()
    flat = pl.DataFrame(scores, schema=NAMES).with_columns(text=text)
    chats = flat.select(*NAMES, messages=pl.concat_list(pl.struct(content="text")))
    for kind, frame in (("text", flat), ("lists", chats)):
        for size in (20_000, 122_880, 262_144):
            path = folder / f"{kind}-{size}.parquet"
            frame.write_parquet(path, row_group_size=size)
            for count in (10, 1000):
                numbers = np.sort(np.random.default_rng(4).choice(rows, count, replace=False))
                table += taken(path, kind, size, numbers, frame[numbers])
            path.unlink()
    return table


def taken(
    path: Path, kind: str, size: int, numbers: np.ndarray, expected: pl.DataFrame
) -> list[dict[str, Any]]:
    scan = pl.scan_parquet(path, glob=False)
    n = scan.select(pl.len()).collect().item()

    def by_condition() -> pl.DataFrame:
        numbered = pl.scan_parquet(path, glob=False, row_index_name="#")
        return batches.by_number(numbered, "#", numbers, NAMES)

    def by_slices() -> pl.DataFrame:
        return pl.concat(batches.by_slices([scan].__getitem__, np.array([0, n]), numbers, None))

    def by_reading() -> pl.DataFrame:
        parts, start = [], 0
        for batch in batches.in_batches(scan, None):
            first, last = np.searchsorted(numbers, [start, start + len(batch)])
            parts.append(batches.compacted(batch[numbers[first:last] - start]))
            start += len(batch)
        return pl.concat(parts)

    ways = {"condition": by_condition, "slices": by_slices, "reading all": by_reading}
    seconds = dict.fromkeys(ways, np.inf)
    for _ in range(3):  # In turn: what else the machine does meets all of them.
        for way, call in ways.items():
            start = time.perf_counter()
            assert call().equals(expected)
            seconds[way] = min(seconds[way], time.perf_counter() - start)
    what = f"{len(numbers)} rows, {kind}, groups of {size}"
    whole = seconds["reading all"]
    return [row(f"{what}: {way}", n, s, whole, 0, "reading all") for way, s in seconds.items()]


def row(call: str, n: int, seconds: float, base: float, peak: float, beside: str) -> dict[str, Any]:
    return {
        "call": call,
        "rows": n,
        "seconds": f"{seconds:.3g}",
        "beside": beside,
        "ratio": f"{seconds / base:.2f}",
        "peak_mb": f"{peak / 1e6:.0f}" if peak else "",
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", type=int, default=200_000_000)
    parser.add_argument("--groups", type=int, default=1_000_000)
    parser.add_argument("--folder", type=Path, default=Path("runs/frames"))
    parser.add_argument("--out", type=Path, default=Path("benches/results"))
    parser.add_argument("--child", nargs=3, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.child:
        child(given.child[0], given.child[1], int(given.child[2]))
        return
    make(given.folder, given.rows)
    same_answers(given.folder, min(FITS, given.rows))
    table = [
        *streamed(given.folder, given.rows),
        *in_groups(given.groups),
        *entries(10_000_000),
        *ways_of_taking(given.folder, 1 << 19),
    ]
    path = place(given.out, "frames")
    write(table, path, list(table[0]))
    for line in table:
        peak = f"  at most {line['peak_mb']} MB" if line["peak_mb"] else ""
        size = f"{line['call']:52} {line['rows']:>12,} rows"
        print(f"{size}  {line['seconds']:>7} s = {line['ratio']:>6} x {line['beside']}{peak}")
    print(f"written: {path}")


if __name__ == "__main__":
    main()
