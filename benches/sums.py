"""Do sums of neighbouring adapters lie where their neighbours say? A table of a run's midpoints.

    python benches/sums.py runs/quickstart benches/results/sums-quickstart.csv

Half-way between each two neighbouring preferences of a run with two objectives the sum of the two
adapters answers the run's held-out prompts, with the random numbers of the run's own evaluation;
its rewards stand beside the mean of its neighbours' rewards, prompt by prompt.
"""

from __future__ import annotations

import sys
from pathlib import Path

import polars as pl

import paretohqd as pq
from paretohqd.plots.progress import Screen
from paretohqd.policies.cells import parts_of
from paretohqd.policies.explorer import cells
from paretohqd.policies.measuring import measure, render
from paretohqd.policies.scorers import scorers_of


def main(folder: str, out: str) -> None:
    """Measure every midpoint and write the table."""
    run = pq.load(folder)
    rewards = scorers_of(run)
    trained = run.finished.preferences
    found = []
    for one, other in cells(trained):
        middle = [(a + b) / 2 for a, b in zip(trained[one], trained[other], strict=True)]
        assert parts_of(middle, trained).shares == (0.5, 0.5)
        found.append(measure(run.policy(middle), rewards, screen=Screen()))
    print(render(found))
    rows = []
    for one in found:
        row: dict[str, object] = {"weights": str(one.policy.asked), "prompts": len(one.answers)}
        for name in run.objectives:
            row[name], row[f"{name} se"] = one.rewards[name].mean, one.rewards[name].se
            row[f"{name} beyond"] = one.beyond[name].mean
            row[f"{name} beyond se"] = one.beyond[name].se
        row["utility"], row["utility se"] = one.utility.mean, one.utility.se
        row["utility beyond"] = one.utility_beyond.mean
        row["utility beyond se"] = one.utility_beyond.se
        rows.append(row)
    Path(out).parent.mkdir(parents=True, exist_ok=True)
    pl.DataFrame(rows).write_csv(out, float_precision=4)


if __name__ == "__main__":
    main(*sys.argv[1:])
