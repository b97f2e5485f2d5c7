"""Record a finished run: `python benches/run.py RUN_FOLDER NAME`.

Writes to benches/results NAME-DATE-MACHINE.csv (a row per model: rewards with their errors, gains
over the base, collapse, echo, words, tokens), NAME-sets-... (utility and hypervolume of the base,
of each stage's models and of the best single one) and NAME-phases-... (seconds, CPU seconds and
number of parts of each phase).
"""

from __future__ import annotations

import sys
from pathlib import Path

import polars as pl

from paretohqd.bench.record import place
from paretohqd.runs import layout
from paretohqd.runs.manifest import MANIFEST, Manifest
from paretohqd.runs.metrics import Metrics

RESULTS = Path(__file__).parent / "results"


def main(run: Path, name: str) -> None:
    """Write the three tables, and show them."""
    tables = {name: pl.read_csv(run / layout.SUMMARY / layout.TABLE, infer_schema_length=None)}
    metrics = (run / layout.SUMMARY / layout.METRICS).read_text("utf-8")
    tables[f"{name}-sets"] = sets(Metrics.from_json(metrics))
    tables[f"{name}-phases"] = phases(run)
    for what, table in tables.items():
        rounded = table.with_columns(pl.selectors.float().round_sig_figs(5))
        rounded.write_csv(place(RESULTS, what))
        with pl.Config(tbl_rows=-1, tbl_cols=-1, tbl_width_chars=250):
            print(what, rounded, sep="\n")


def sets(metrics: Metrics) -> pl.DataFrame:
    """A row per set of models."""
    return pl.DataFrame(
        {
            "models": list(metrics.utility.sets),
            "utility": list(metrics.utility.sets.values()),
            "hypervolume": list(metrics.hypervolume.sets.values()),
        }
    )


def phases(run: Path) -> pl.DataFrame:
    """A row per phase, in the order of the phases' ends."""
    done = [
        (path.parent.relative_to(run).as_posix(), Manifest.read(path.parent), path.stat().st_mtime)
        for path in run.rglob(MANIFEST)
        if path.relative_to(run).parts[0] != "superseded"
    ]
    rows = [
        (layout.phase(name), manifest.seconds, manifest.cpu_seconds)
        for name, manifest, _ in sorted(done, key=lambda found: found[2])
    ]
    columns = ["phase", "seconds", "cpu_seconds"]
    return (
        pl.DataFrame(rows, columns, orient="row")
        .group_by("phase", maintain_order=True)
        .agg(pl.col("seconds", "cpu_seconds").sum(), parts=pl.len())
    )


if __name__ == "__main__":
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    main(Path(sys.argv[1]), sys.argv[2])
