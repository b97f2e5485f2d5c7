"""The names of what lies in a run folder: stages, their files, and models.

A stage is a folder, named by its path below the run folder. Folders of finished runs have these
names, so none of them may change.

    data                          pool.parquet, prompts.parquet, held_out.parquet
    stage1/score                  scored.parquet
    stage1/select                 selection.parquet, pool.parquet, summary.json
    stage1/fit/00, 01, ...        adapter/, log.json: a preference each
    stage2/generate/00, ...       answers.parquet: a representative stage-1 model each
    stage2/answers                answers.parquet: all of them, cleaned
    stage2/score, select, fit/00  as in stage 1
    answers/base, stage1-00, ...  answers.parquet: a model's answers to the held-out prompts
    evaluate/base, ...            answers.parquet: the same, scored and measured
    evaluate/summary              metrics.json, table.csv
"""

from __future__ import annotations

import re
from typing import NamedTuple

DATA = "data"
CANDIDATES = "stage2/answers"
SUMMARY = "evaluate/summary"

ADAPTER = "adapter"
"""Folder of a fit."""

POOL = "pool.parquet"
"""In `data`: the rows to select from. In a selection: all scored rows with their layers."""
PROMPTS = "prompts.parquet"
HELD_OUT = "held_out.parquet"
SCORED = "scored.parquet"
SELECTION = "selection.parquet"
ANSWERS = "answers.parquet"
SELECTION_SUMMARY = "summary.json"
LOG = "log.json"
METRICS = "metrics.json"
TABLE = "table.csv"

RUN = "run.json"
CONFIG = "config.yaml"
FACTS = "facts.json"
REPORT = "report.html"
MACHINE = "machine.json"
TEMPLATE = "template.json"
CHECKED = "checked.json"
COMMITS = "commits.json"
CONSENT = "consent.json"
REPLIES = "replies"
"""Folder of what servers replied."""

BASE = "base"
"""Name of the base model."""


class ModelName(NamedTuple):
    """Which model it is: the base is of stage 0 and of no preference."""

    stage: int
    preference: int | None


def stage_name(stage: int) -> str:
    """Name of a stage of training: the folder of its parts, and its set of models."""
    return f"stage{stage}"


def score(stage: int) -> str:
    """Scored answers of a stage."""
    return f"stage{stage}/score"


def select(stage: int) -> str:
    """Training sets of a stage."""
    return f"stage{stage}/select"


def fit(stage: int, preference: int) -> str:
    """Training of a preference's adapter.

    Example:
        >>> fit(1, 3)
        'stage1/fit/03'
    """
    return f"stage{stage}/fit/{preference:02d}"


def generate(preference: int) -> str:
    """What a representative stage-1 model answers for stage 2."""
    return f"stage2/generate/{preference:02d}"


def answers(model: str) -> str:
    """A model's answers to the held-out prompts."""
    return f"answers/{model}"


def evaluate(model: str) -> str:
    """A model's answers to the held-out prompts, scored and measured."""
    return f"evaluate/{model}"


def model_name(stage: int, preference: int | None) -> str:
    """Name of a model, as its folders are called.

    Example:
        >>> model_name(2, 0), model_name(0, None)
        ('stage2-00', 'base')
    """
    return BASE if preference is None else f"stage{stage}-{preference:02d}"


def parse_model(name: str) -> ModelName:
    """The inverse of `model_name`.

    Raises:
        ValueError: No model has this name.

    Example:
        >>> parse_model("stage2-11")
        ModelName(stage=2, preference=11)
    """
    if name == BASE:
        return ModelName(0, None)
    parts = re.fullmatch(r"stage([1-9]\d*)-(\d{2,})", name)
    if parts is None:
        raise ValueError(f"{name!r} is no model's name: expected base or stage1-00, for example")
    return ModelName(int(parts[1]), int(parts[2]))


def models(stages: int, preferences: int) -> list[str]:
    """Names of all models of a run, the base first, then stage by stage."""
    tuned = (model_name(s, p) for s in range(1, stages + 1) for p in range(preferences))
    return [BASE, *tuned]


def phase(name: str) -> str:
    """The kind of work that a stage is part of.

    Example:
        >>> [phase(name) for name in ("data", fit(1, 3), answers(BASE), CANDIDATES)]
        ['data', 'stage1/fit', 'answers', 'stage2/answers']
    """
    parts = name.split("/")
    return "/".join(parts[:2]) if re.fullmatch(r"stage\d+", parts[0]) else parts[0]
