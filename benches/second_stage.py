"""The second stage taken apart: a comparison's methods beside the paper's form and stage 1.

    paretohqd compare benches/second_stage.yaml
    python benches/second_stage.py runs/second_stage own
    paretohqd compare benches/second_stage_foreign.yaml
    python benches/second_stage.py runs/second_stage_foreign foreign

Writes `benches/results/second-stage-NAME-DATE-MACHINE.csv`: what `summary.csv` has of each method,
and its utility less that of these two on the same prompts, with the standard error over prompts.
That describes these models: how far those of another seed would lie, one seed does not tell.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import numpy as np
import polars as pl

from paretohqd.bench.record import place
from paretohqd.compare.records import ComparisonRecord

COLUMNS = [
    *("method", "utility", "utility_tchebycheff", "following", "hypervolume", "utility_adjusted"),
    *("echo", "collapse", "entropy", "words", "trained_tokens", "generated_tokens", "cost"),
]
BESIDE = ("paper", "stage 1")


def utilities(run: Path) -> dict[str, np.ndarray]:
    """(prompts,) utility on each prompt by method: the mean over preferences and seeds of w . z."""
    record = ComparisonRecord.of(json.loads((run / "results.json").read_text()))
    scores = pl.read_parquet(run / "scores.parquet").filter(part="test")
    scaled = scores.with_columns(
        (pl.col(name) - low) / (high - low) for name, (low, high) in record.bounds.items()
    )
    found = {}
    for (method,), rows in scaled.group_by("method", maintain_order=True):
        served = []
        for w in record.preferences:
            # Who takes no weights serves all preferences.
            mine = [own is None or np.allclose(own, w) for own in rows["weights"]]
            own = rows.filter(pl.Series(mine))
            value = pl.sum_horizontal(
                x * pl.col(n) for x, n in zip(w, record.objectives, strict=True)
            )
            served.append(
                own.group_by("position").agg(value.mean().alias("u")).sort("position")["u"]
            )
        found[str(method)] = np.mean(served, axis=0)
    return found


def table(run: Path) -> pl.DataFrame:
    """The summary with the paired differences."""
    summary = pl.read_csv(run / "summary.csv").select(COLUMNS)
    each = utilities(run)
    for other in BESIDE:
        apart = [each[method] - each[other] for method in summary["method"]]
        error = [float(x.std(ddof=1) / np.sqrt(len(x))) for x in apart]
        summary = summary.with_columns(
            pl.Series(f"less {other}", [float(x.mean()) for x in apart]),
            pl.Series(f"less {other} se", error),
        )
    for method, utility in summary.select("method", "utility").rows():
        assert np.isclose(each[method].mean(), utility), method
    return summary


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("run", type=Path)
    parser.add_argument("name")
    parser.add_argument("--out", type=Path, default=Path("benches/results"))
    given = parser.parse_args()
    made = table(given.run)
    path = place(given.out, f"second-stage-{given.name}")
    made.write_csv(path, float_precision=4)
    for row in made.to_dicts():
        less = "  ".join(
            f"less {other} {row[f'less {other}']:+.3f} (se {row[f'less {other} se']:.3f})"
            for other in BESIDE
        )
        print(f"{row['method']:28} U {row['utility']:.3f}  {less}")
    print(f"written: {path}")


if __name__ == "__main__":
    main()
