"""Record a finished comparison: `python benches/methods.py RUN_FOLDER [NAME]`.

Copies its tables to benches/results/methods-DATE-MACHINE.csv (a row per method and seed),
methods-summary-... (per method), methods-points-... (per policy) and methods-costs-... (per method
and number of preferences), and prints the README's table. A record of the same day is replaced.
With a name the files are NAME-DATE-MACHINE.csv, NAME-summary-... and so on.
"""

from __future__ import annotations

import json
import sys
from datetime import date
from pathlib import Path

import polars as pl

from paretohqd.bench.record import machine

RESULTS = Path(__file__).parent / "results"


def main() -> None:
    if len(sys.argv) not in (2, 3):
        sys.exit(__doc__)
    run, record = Path(sys.argv[1]), (*sys.argv[2:], "methods")[0]
    where = f"{date.today().isoformat()}-{machine()}"
    for table in ("methods", "summary", "points", "costs"):
        name = "" if table == "methods" else f"{table}-"
        frame = pl.read_csv(run / f"{table}.csv", infer_schema_length=None)
        rounded = frame.with_columns(pl.selectors.float().round_sig_figs(5))
        rounded.write_csv(RESULTS / f"{record}-{name}{where}.csv")
    reference = json.loads((run / "results.json").read_text("utf-8"))["reference"]
    print(readme_table(pl.read_csv(run / "summary.csv", infer_schema_length=None), reference))


def readme_table(summary: pl.DataFrame, reference: str) -> str:
    """A row per method and budget, best hypervolume first; ablations after the methods."""
    lines = [
        f"| method | seeds | hypervolume (95 %) | against {reference} | echoes at the base's score "
        "| follows w | echo | entropy | models | trained tokens | sampled | min |",
        "|---|---:|---|---|---:|---:|---:|---:|---:|---:|---:|---:|",
    ]
    ranked = summary.filter(pl.col("hypervolume").is_not_null())
    ranked = ranked.sort("ablation", maintain_order=True)
    for (ablation, budget), rows in ranked.group_by("ablation", "budget", maintain_order=True):
        lines.append(f"| *{'ablations, ' * bool(ablation)}budget: {budget}* |" + " |" * 11)
        for row in rows.sort("hypervolume", descending=True).iter_rows(named=True):
            told = row["reference verdict"] or ""
            if told and row["reference name"] != reference:
                told += f" (against {row['reference name']})"
            follows = "" if row["rank_mean"] is None else f"{row['rank_mean']:+.2f}"
            minutes = "" if row["seconds"] is None else f"{row['seconds'] / 60:.1f}"
            lines.append(
                f"| {row['method']} | {row['seeds']} "
                f"| {number(row['hypervolume'])} ({number(row['low'])} to {number(row['high'])}) "
                f"| {told} | {number(row['echo_adjusted'])} | {follows} "
                f"| {row['echo']:.1%} | {number(row['entropy'], 2)} | {row['models']:.0f} "
                f"| {row['trained_tokens']:,.0f} | {row['generated_tokens']:,.0f} | {minutes} |"
            )
    return "\n".join(lines)


def number(value: float | None, digits: int = 3) -> str:
    return "-" if value is None else f"{value:.{digits}f}"


if __name__ == "__main__":
    main()
