"""Print the README's table from a recorded benchmark: `python benches/readme_table.py FILE.csv`.

A row per task and number of objectives: the most points, the cloud that suits us least, and the
package that was fastest on it. Reading alone, the limit of R2 for ever more weights and our own
calls in another precision are no other answer to the task; code of ours on numpy and numba is.
"""

from __future__ import annotations

import sys

import polars as pl

from paretohqd.bench.record import NO_ANSWER, seconds


def main() -> None:
    rows = pl.read_csv(sys.argv[1], infer_schema_length=None).filter(
        [~pl.col(name).is_in(values) for name, values in NO_ANSWER.items()],
        pl.col("rival_s").is_not_null(),
    )
    fastest = rows.sort("rival_s").unique(["task", "data", "n", "m"], keep="first")
    largest = fastest.filter(pl.col("n") == pl.col("n").max().over("task", "m"))
    worst = largest.sort("ratio_all_threads").unique(["task", "m"], keep="first")
    print("| task | data | points | M | all threads | 1 thread | fastest other | ratio | target |")
    print("|---|---|---:|---:|---:|---:|---|---:|---|")
    for row in worst.sort("task", "m").iter_rows(named=True):
        aim = ""
        if row["target"] is not None:
            aim = f"{row['target']:g}x, {'met' if row['met'] == 'yes' else 'short'}"
        print(
            f"| {row['task']} | {row['data']} | {row['n']:,} | {row['m']} "
            f"| {seconds(row['ours_all_threads_s'])} | {seconds(row['ours_1_thread_s'])} "
            f"| {row['rival']} {row['version']}, {seconds(row['rival_s'])} "
            f"| {row['ratio_all_threads']:.1f}x | {aim} |"
        )


if __name__ == "__main__":
    main()
