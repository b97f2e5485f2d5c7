"""Record a finished comparison: `python benches/methods.py RUN_FOLDER [NAME]`.

Copies its tables to benches/results/methods-DATE-MACHINE.csv (a row per method and seed),
methods-summary-... (per method), methods-points-... (per policy), methods-costs-... (per method
and number of preferences), methods-scale-... (what is 0 and 1 of each objective) and
methods-scores-....parquet (per policy and prompt, so that others can redo every interval), and
prints the README's table. A record of the same day is replaced. With a name the files are
NAME-DATE-MACHINE.csv, NAME-summary-... and so on.

`python benches/methods.py benches/results/methods-DATE-MACHINE.csv` prints the table of a record.
Where an old record's summary has no utility, it and the hypervolume are worked out from points and
scale, and there are no intervals and no verdicts.
"""

from __future__ import annotations

import json
import sys
from ast import literal_eval
from datetime import date
from pathlib import Path
from typing import Any

import polars as pl

from paretohqd import hypervolume
from paretohqd.bench.record import machine
from paretohqd.compare.methods import METHODS
from paretohqd.compare.records import ComparisonRecord
from paretohqd.compare.scores import published
from paretohqd.runs.utility import scaled, served

RESULTS = Path(__file__).parent / "results"
HEAD = (
    "method",
    "seeds",
    "utility",
    "spread",
    "95 %",
    "against",
    "hypervolume",
    "best one",
    "follows w",
    "echo",
    "entropy",
    "models",
    "trained tokens",
    "sampled",
    "min",
)


def main() -> None:
    if len(sys.argv) not in (2, 3):
        sys.exit(__doc__)
    given = Path(sys.argv[1])
    if given.is_dir():
        given = record(given, *sys.argv[2:])
    print(
        readme_table(
            *(pl.read_csv(table_of(given, table)) for table in ("summary", "points", "scale"))
        )
    )


def table_of(main_table: Path, table: str) -> Path:
    """The record's other table: methods-2026-... becomes methods-points-2026-..."""
    name, _, when = main_table.name.partition("-20")
    return main_table.with_name(f"{name}-{table}-20{when}")


def record(run: Path, name: str = "methods") -> Path:
    """Copy a comparison's tables; returns the first."""
    to = RESULTS / f"{name}-{date.today().isoformat()}-{machine()}.csv"
    left = ComparisonRecord.of(json.loads((run / "results.json").read_text("utf-8")))
    scale = [{"objective": o, "low": a, "high": b} for o, (a, b) in left.bounds.items()]
    tables = {
        table: pl.read_csv(run / f"{table}.csv", infer_schema_length=None)
        for table in ("methods", "summary", "points", "costs")
    }
    for table, frame in {**tables, "scale": pl.DataFrame(scale)}.items():
        rounded = frame.with_columns(pl.selectors.float().round_sig_figs(5))
        rounded.write_csv(to if table == "methods" else table_of(to, table))
    published(run, left).write_parquet(table_of(to, "scores").with_suffix(".parquet"))
    return to


def measured_again(points: pl.DataFrame, scale: pl.DataFrame) -> pl.DataFrame:
    """Utility (with its spread over seeds) and hypervolumes of each method, from mean rewards."""
    bounds = {row["objective"]: (row["low"], row["high"]) for row in scale.to_dicts()}
    preferences = [
        literal_eval(w) for w in points["weights"].unique(maintain_order=True) if w != "-"
    ]
    rows = []
    for (budget, method, seed), policies in points.group_by(
        "budget", "method", "seed", maintain_order=True
    ):
        z = scaled(policies.select(*bounds).to_numpy(), bounds)
        weights = [None if w == "-" else literal_eval(w) for w in policies["weights"]]
        ref = [0.0] * len(bounds)
        rows.append(
            {
                "budget": budget,
                "method": method,
                "seed": seed,
                "utility": float(served(z[:, None], weights, preferences)[0]),
                "hypervolume": hypervolume(z, ref=ref),
                "best_single": max(hypervolume(z[i : i + 1], ref=ref) for i in range(len(z))),
            }
        )
    runs = pl.DataFrame(rows)
    # The base answers the same under any seed: its runs are one.
    runs = runs.unique(["budget", "method", "utility", "hypervolume"], maintain_order=True)
    return runs.group_by("budget", "method", maintain_order=True).agg(
        pl.col("seed").len().alias("seeds"),
        pl.col("utility", "hypervolume", "best_single").mean(),
        pl.col("utility").std().alias("spread"),
    )


def readme_table(summary: pl.DataFrame, points: pl.DataFrame, scale: pl.DataFrame) -> str:
    """A row per method and budget, most useful first; ablations after the methods.

    A record of means alone has no intervals and no verdicts of utility: these columns are left out.
    † marks methods whose policy for each preference was chosen on the prompts that are measured,
    * those that were reconstructed from the abstract of their paper.
    """
    tested = "utility" in summary.columns
    rows = summary if tested else _of_old(summary, points, scale)
    if "chosen_on" in rows.columns:
        rows = rows.with_columns(chosen=pl.col("chosen_on").eq_missing("test"))
    else:
        chosen = [(method in _chosen(points)) for method in rows["method"]]
        rows = rows.with_columns(chosen=pl.Series(chosen, dtype=pl.Boolean))
    head = [name for name in HEAD if tested or name not in ("95 %", "against")]
    lines = [f"| {' | '.join(head)} |", "|---|" + "---:|" * (len(head) - 1)]
    ranked = rows.sort("ablation", maintain_order=True)
    for (ablation, budget), some in ranked.group_by("ablation", "budget", maintain_order=True):
        lines.append(
            f"| *{'ablations, ' * bool(ablation)}budget: {budget}* |" + " |" * (len(head) - 1)
        )
        for row in some.sort("utility", descending=True, nulls_last=True).iter_rows(named=True):
            cells = cells_of(row)
            lines.append(f"| {' | '.join(cells[name] for name in head)} |")
    return "\n".join(lines)


def _chosen(points: pl.DataFrame) -> set[str]:
    """Methods of several policies that take no weights."""
    policies = points.filter(weights="-").group_by("budget", "method", "seed").len()
    return set(policies.filter(pl.col("len") > 1)["method"])


def _of_old(summary: pl.DataFrame, points: pl.DataFrame, scale: pl.DataFrame) -> pl.DataFrame:
    """A summary that has no utility, with what the points tell."""
    known = measured_again(points, scale)
    facts = summary.drop(known.columns[2:], strict=False)
    return known.join(facts, on=["budget", "method"], how="left", maintain_order="left")


def cells_of(row: dict[str, Any]) -> dict[str, str]:
    """A method's cells by their heads."""
    ends = [number(row.get(end)) for end in ("low", "high")]
    verdict = row.get("reference verdict") or ""
    marks = " *" * _reconstructed(row["kind"]) + " †" * bool(row["chosen"])
    name = row["method"].replace("|", "\\|") + marks
    if not row["seeds"]:
        return dict.fromkeys(HEAD, "") | {"method": name, "seeds": f"failed ({row['failed']})"}
    lost = f" ({row['failed']} failed)" if row.get("failed") else ""
    return {
        "method": name,
        "seeds": f"{row['seeds']}{lost}",
        "utility": number(row["utility"]),
        "spread": number(row["spread"]),
        "95 %": " to ".join(ends) if row.get("low") is not None else "",
        "against": f"{verdict} ({row['reference name']})" if verdict else "",
        "hypervolume": number(row["hypervolume"]),
        "best one": number(row["best_single"]),
        "follows w": "" if row["rank_mean"] is None else f"{row['rank_mean']:+.2f}",
        "echo": f"{row['echo']:.1%}",
        "entropy": number(row["entropy"], 2),
        "models": f"{row['models']:.0f}",
        "trained tokens": f"{row['trained_tokens']:,.0f}",
        "sampled": f"{row['generated_tokens']:,.0f}",
        "min": "" if row["seconds"] is None else f"{row['seconds'] / 60:.1f}",
    }


def _reconstructed(kind: str) -> bool:
    """Whether a kind of method is; records may name kinds that are gone."""
    return kind in METHODS and METHODS[kind].reconstructed


def number(value: float | None, digits: int = 3) -> str:
    return "" if value is None else f"{value:.{digits}f}"


if __name__ == "__main__":
    main()
