"""Every score of a comparison in one table without texts, so that anybody can redo every interval.

Beside `results.json`, which has the scale, the preferences, the costs and the choices, it is all
that the tables are made from.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal

import polars as pl

from paretohqd.compare.measures import ComparisonResult
from paretohqd.compare.measuring import TEXT, measure_record
from paretohqd.compare.records import ComparisonRecord, PolicyRecord, RunRecord
from paretohqd.plots.page import file_of
from paretohqd.runs import layout

SCORES = "scores.parquet"
"""The table, in the folder of a comparison."""
OPTIONAL = "entropy"

NAMED: dict[str, Any] = {
    "budget": pl.String,
    "method": pl.String,
    "seed": pl.Int64,
    "policy": pl.Int64,
    "weights": pl.List(pl.Float64),
    "part": pl.String,
    "position": pl.Int64,
}
"""The table's first columns."""

Part = Literal["test", "validation"]


def published(folder: Path, record: ComparisonRecord) -> pl.DataFrame:
    """The table of a comparison: what `scores.parquet` holds.

    Args:
        folder: The comparison's, with its answers.
        record: Its results.

    Returns:
        A row per run, policy, part and prompt, in this order: `budget`, `method`, `seed`, `policy`
        (its number), `weights` (null where it takes none), `part` (`test` or `validation`),
        `position` (where the prompt stands in the order in which the held-out prompts were drawn;
        without validation, in held_out.parquet), a column per objective in the scorer's own units,
        and `echo`, `short`, `repetitive`, `words`, `tokens`, `finished` and, where it is known,
        `entropy`.
    """
    frames = []
    for run, number, policy in _policies(record):
        for part, key in (("test", policy.answers), ("validation", policy.validation)):
            if key is not None:
                file = _file(folder, f"{key}/{layout.ANSWERS}")
                frames.append(rows(run, number, pl.read_parquet(file), part, record))
    if not frames:  # a file needs columns even if all runs failed
        return pl.DataFrame(schema=NAMED)
    return pl.concat(frames, how="diagonal")


def rows(
    run: RunRecord, number: int, answers: pl.DataFrame, part: str, record: ComparisonRecord
) -> pl.DataFrame:
    """The table's rows of one policy.

    Args:
        run: The policy's.
        number: Of the policy.
        answers: To all prompts of the part.
        part: `test` or `validation`.
        record: Of the comparison.

    Example:
        >>> policy = PolicyRecord(weights=(1.0,), answers="a")
        >>> run = RunRecord(
        ...     method="m", kind="sft", budget="own", seed=0, error=None, policies=(policy,))
        >>> record = ComparisonRecord(
        ...     objectives=("x",), preferences=((1.0,),), runs=(run,), bounds={"x": (0.0, 1.0)},
        ...     reference="m")
        >>> answers = pl.DataFrame({
        ...     "prompt": ["a", "b"], "response": ["c", "d"], "x": [0.5, 0.7], "words": [5, 7],
        ...     "tokens": [6, 8], **dict.fromkeys(["short", "repetitive", "echo"], [False, False]),
        ...     "finished": [True, True]})
        >>> rows(run, 0, answers, "test", record).select("policy", "part", "position", "x").rows()
        [(0, 'test', 0, 0.5), (0, 'test', 1, 0.7)]
    """
    weights = run.policies[number].weights
    positions = record.positions.get(part, range(len(answers)))
    same = {
        "budget": run.budget,
        "method": run.method,
        "seed": run.seed,
        "policy": number,
        "weights": None if weights is None else list(weights),
        "part": part,
    }
    named = [pl.lit(value, dtype=NAMED[name]).alias(name) for name, value in same.items()]
    kept = [*record.objectives, *TEXT, *([OPTIONAL] if OPTIONAL in answers.columns else [])]
    return answers.select(*named, pl.Series("position", positions, dtype=pl.Int64), *kept)


def read_scores(folder: Path, part: Part, record: ComparisonRecord) -> dict[str, pl.DataFrame]:
    """The scores of one part alone, as `measure_record` or `choosing.choices` take answers.

    Args:
        folder: With `scores.parquet`.
        part: The other one is not read.
        record: Of the comparison.

    Returns:
        A frame for each policy's answers, by their name in the record; `prompt` is the position.
    """
    table = pl.scan_parquet(_file(folder, SCORES)).filter(pl.col("part") == part).collect()
    if OPTIONAL in table.columns and table[OPTIONAL].null_count() == len(table):
        table = table.drop(OPTIONAL)
    groups = table.rename({"position": "prompt"}).partition_by(
        "budget", "method", "seed", "policy", as_dict=True, maintain_order=True
    )
    found = {}
    for run, number, policy in _policies(record):
        key = policy.answers if part == "test" else policy.validation
        own = groups.get((run.budget, run.method, run.seed, number))
        if key is not None and own is not None:
            found[key] = own
    return found


def measure_scores(folder: Path) -> ComparisonResult:
    """What is measured of a comparison, from its `results.json` and `scores.parquet` alone.

    The same as `comparison.measure_folder` gives of a whole folder, with every interval and
    verdict.

    Args:
        folder: With these two files; no answers are needed.

    Raises:
        ValueError: A file is missing.
    """
    record = ComparisonRecord.of(json.loads(_file(folder, layout.RESULTS).read_text("utf-8")))
    return measure_record(record, read_scores(folder, "test", record))


def _policies(record: ComparisonRecord) -> Iterator[tuple[RunRecord, int, PolicyRecord]]:
    for run in record.runs:
        for number, policy in enumerate(run.policies):
            yield run, number, policy


def _file(folder: Path, name: str) -> Path:
    return file_of(folder, name, kind="comparison", command="compare")
