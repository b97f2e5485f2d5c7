"""Which policy serves each preference best, told by validation prompts alone.

Nothing here reads a test prompt's answers, and nothing that makes the tables reads an answer to a
prompt of validation: what passes from one to the other are numbers of policies.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import polars as pl

from paretohqd.compare.records import RunRecord
from paretohqd.plots.page import file_of
from paretohqd.runs import layout
from paretohqd.runs.utility import best_for, scaled


def with_choices(
    folder: Path,
    runs: Sequence[RunRecord],
    *,
    bounds: Mapping[str, Sequence[float]],
    preferences: Sequence[Sequence[float]],
) -> tuple[RunRecord, ...]:
    """Add to each run which of its policies is best on validation prompts for each preference.

    Args:
        folder: The comparison's.
        runs: Its runs; those whose policies answered no validation prompts stay as they are.
        bounds: The rewards that are 0 and 1 on the scale, for each objective.
        preferences: Weights w.
    """
    return tuple(
        replace(run, chosen=choices(answers, bounds=bounds, preferences=preferences))
        if (answers := _validation(folder, run, list(bounds)))
        else run
        for run in runs
    )


def choices(
    answers: Sequence[pl.DataFrame],
    *,
    bounds: Mapping[str, Sequence[float]],
    preferences: Sequence[Sequence[float]],
) -> tuple[int, ...]:
    """For each preference w the policy of the largest w . z, z its mean scaled rewards.

    Args:
        answers: Of each policy of a run, with a column per objective.
        bounds: The rewards that are 0 and 1 on the scale, for each objective.
        preferences: Weights w.

    Example:
        >>> rich, safe = pl.DataFrame({"x": [3], "y": [0]}), pl.DataFrame({"x": [1], "y": [4]})
        >>> choices([rich, safe], bounds={"x": (0, 4), "y": (0, 4)}, preferences=[(1, 0), (0, 1)])
        (0, 1)
    """
    means = [scaled(frame.select(*bounds).to_numpy(), bounds).mean(axis=0) for frame in answers]
    return tuple(best_for(means, preferences))


def _validation(folder: Path, run: RunRecord, names: Sequence[str]) -> list[pl.DataFrame]:
    """Scores of each policy's answers to validation prompts; none where it gave none."""
    keys = [policy.validation for policy in run.policies if policy.validation is not None]
    files = [
        file_of(folder, f"{key}/{layout.ANSWERS}", kind="comparison", command="compare")
        for key in keys
    ]
    return [pl.read_parquet(file, columns=list(names)) for file in files]
