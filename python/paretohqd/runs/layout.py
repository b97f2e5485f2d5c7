"""The names of what lies in a run folder: stages, their files, and models.

A stage is a folder, named by its path below the run folder. Folders of finished runs have these
names, so none of them may change. Behind the number of a preference that has a name stands that
name, as `placed` says: stage1/fit/00-brief.

    data                          pool.parquet, prompts.parquet, held_out.parquet; of a comparison
                                  with validation prompts drawn.parquet
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
import unicodedata
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

DATA = "data"
CANDIDATES = "stage2/answers"
SUMMARY = "evaluate/summary"

WORK = ".work"
"""Ends the name of a stage's folder while it is filled."""

ADAPTER = "adapter"
"""Folder of a fit."""

POOL = "pool.parquet"
"""In `data`: the rows to select from. In a selection: all scored rows with their layers."""
PROMPTS = "prompts.parquet"
HELD_OUT = "held_out.parquet"
DRAWN = "drawn.parquet"
"""Of each held-out prompt its place in the order in which conversations were drawn."""
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
RESULTS = "results.json"
"""Of a comparison: what it ends with."""
CONCLUSIONS = (FACTS, RESULTS)
"""What says that all in the folder belongs together."""
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


NUMBERED = re.compile(
    r"((?:stage\d+/(?:fit|generate)/|(?:answers|evaluate)/stage\d+-)" r"(\d{2,}))(.*)"
)
"""A stage of one preference: its name, the preference's number, and what its folder adds."""

PARENTS = ("stage*/fit", "stage*/generate", "answers", "evaluate")
"""Where stages of one preference lie."""


def slug(name: str) -> str:
    """A preference's name as a part of a folder's: plain letters, digits and hyphens.

    Example:
        >>> slug("Très brief!"), slug("簡潔")
        ('tres-brief', '')
    """
    plain = unicodedata.normalize("NFKD", name).encode("ascii", "ignore").decode().lower()
    return re.sub(r"[^a-z0-9]+", "-", plain).strip("-")[:40].rstrip("-")


def placed(name: str, names: Sequence[str]) -> str:
    """The folder of a stage, given the preferences' names, if they have any.

    Example:
        >>> placed(fit(1, 1), ["Brief", "Kind"]), placed(fit(1, 1), []), placed(SUMMARY, ["Brief"])
        ('stage1/fit/01-kind', 'stage1/fit/01', 'evaluate/summary')
    """
    found = NUMBERED.fullmatch(name)
    if found is None or int(found[2]) >= len(names) or not (kind := slug(names[int(found[2])])):
        return name
    return f"{found[1]}-{kind}"


def find(run: Path, name: str) -> Path:
    """Where a run has a stage, whatever its preferences' names are."""
    path = run / name
    if NUMBERED.fullmatch(name) is None or path.exists():
        return path
    labelled = (p for p in path.parent.glob(f"{path.name}-*") if not p.name.endswith(WORK))
    return min(labelled, default=path)


def renamed(run: Path, names: Sequence[str]) -> Iterator[tuple[Path, Path]]:
    """Folders that the preferences were called otherwise in, and what they are to be called."""
    for parent in PARENTS:
        for path in sorted(run.glob(f"{parent}/*")):
            name = path.relative_to(run).as_posix()
            ending = WORK if name.endswith(WORK) else ""
            found = NUMBERED.fullmatch(name.removesuffix(ending))
            if found is None or (found[3] and not found[3].startswith("-")):
                continue
            to = run / (placed(found[1], names) + ending)
            if to != path and not to.exists():
                yield path, to


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
