"""A page on which a reader moves between trade-offs and sees what a run's models say there."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from markupsafe import Markup
from scipy.spatial import Delaunay, QhullError

from paretohqd.compare.records import load as load_comparison
from paretohqd.frames.conversations.prompts import dialogue
from paretohqd.plots.page import source, template, write
from paretohqd.plots.theme import palette
from paretohqd.policies.finished import FinishedRun, open_run
from paretohqd.runs import layout
from paretohqd.runs.handover import preference_labels
from paretohqd.runs.trusted import refuse_links
from paretohqd.runs.written import is_comparison
from paretohqd.safety.places import shown_path
from paretohqd.safety.printing import printable

PROMPTS = 200
"""Held-out prompts whose answers a page shows at most."""
TEXTS = 2_000_000
"""Characters of all answers on a page; a comparison of many models shows fewer prompts."""
LONGEST = 1500
"""Characters of a prompt or an answer; what is longer is cut."""
POOL = 1500
"""Scored rows of the pool that are drawn as points."""


@dataclass(frozen=True, kw_only=True)
class Family:
    """Models of one training method, a trained preference each."""

    name: str
    weights: Sequence[Sequence[float]]
    labels: Sequence[str]
    answers: Sequence[pl.DataFrame]
    """Of each model: prompt, response and the objectives, the same prompts in the same order."""
    chosen: Sequence[Sequence[Sequence[float]]] = ()
    """Of each preference the scores of the rows that trained it; none where that is not known."""


def write_explorer(folder: str | Path, out: str | Path) -> Path:
    """Write the page of a finished run or comparison; it needs no network and no other file.

    Args:
        folder: The folder of a run or of a comparison.
        out: The page to write.

    Returns:
        `out`.

    Raises:
        ValueError: The folder is not finished, holds links, or its models answered other prompts
            than each other.
    """
    folder = Path(folder)
    refuse_links(folder)
    page = _comparison(folder) if is_comparison(folder) else run_page(open_run(folder))
    return write(page, Path(out), folder=folder)


def run_page(run: FinishedRun, *, live: bool = False) -> str:
    """The page of a run.

    Args:
        run: A finished run.
        live: Whether a server stands behind the page, which answers what a reader types.
    """
    names = [printable(name) for name in run.names]
    family = Family(
        name=f"stage {run.stage}",
        weights=run.preferences,
        labels=preference_labels(run.preferences, names),
        answers=[run.answers(number) for number in range(len(run.adapters))],
        chosen=_chosen(run),
    )
    return _page(
        name=run.folder.resolve().name,
        objectives=run.objectives,
        base=run.answers(None),
        families=[family],
        pool=_pool(run),
        load=shown_path(run.folder, Path.cwd()),
        live=live,
    )


def _comparison(folder: Path) -> str:
    record, answers = load_comparison(folder)
    seed = min((run.seed for run in record.runs), default=0)
    families, base = [], None
    for run in record.runs:
        if run.seed != seed or run.error is not None or not run.policies:
            continue
        if run.kind == "base":
            base = answers[run.policies[0].answers]
        weights = [policy.weights for policy in run.policies if policy.weights is not None]
        if len(weights) != len(run.policies):
            continue
        families.append(
            Family(
                name=f"{run.method} ({run.budget})",
                weights=weights,
                labels=preference_labels(weights, ()),
                answers=[answers[policy.answers] for policy in run.policies],
            )
        )
    if base is None or not families:
        raise ValueError(
            f"{folder}: no base and no method whose models follow preferences: compare base and "
            "one of these"
        )
    return _page(
        name=folder.resolve().name,
        objectives=record.objectives,
        base=base,
        families=families,
        pool=[],
        load=None,
        live=False,
    )


def _page(
    *,
    name: str,
    objectives: Sequence[str],
    base: pl.DataFrame,
    families: Sequence[Family],
    pool: Sequence[Sequence[float]],
    load: str | None,
    live: bool,
) -> str:
    frames = [base, *(frame for family in families for frame in family.answers)]
    for frame in frames:
        if not frame["prompt"].equals(base["prompt"]):
            raise ValueError("the models did not answer the same prompts: evaluate them together")
    shown = _how_many(frames)
    data = {
        "objectives": [printable(name) for name in objectives],
        "prompts": [_cut(dialogue(text)) for text in base["prompt"].head(shown)],
        "base": _model(base, objectives, shown),
        "families": [
            {
                "name": printable(family.name),
                "weights": [list(row) for row in family.weights],
                "labels": list(family.labels),
                "cells": cells(family.weights),
                "colours": palette(family.weights),
                "models": [_model(frame, objectives, shown) for frame in family.answers],
                "chosen": family.chosen,
            }
            for family in families
        ],
        "pool": pool,
        "load": load,
        "live": live,
    }
    named = [("base", base)] + [
        (f"{family.name} {label}", frame)
        for family in families
        for label, frame in zip(family.labels, family.answers, strict=True)
    ]
    rows = [(label, [frame[name].mean() for name in objectives]) for label, frame in named]
    return str(
        template("explorer.html").render(
            name=name,
            data=data,
            objectives=objectives,
            rows=rows,
            behaviour=Markup(source("explorer.js")),
            live=live,
        )
    )


def cells(weights: Sequence[Sequence[float]]) -> list[list[int]]:
    """Numbers of the trained preferences at the corners of each cell of the simplex.

    Two objectives are cut at the trained preferences; more are cut into the Delaunay triangulation,
    and where there is none (too few preferences, or all on a line) there are no cells.

    Example:
        >>> cells([(1, 0), (0, 1), (0.5, 0.5)])
        [[0, 2], [2, 1]]
    """
    points = np.asarray(weights, dtype=np.float64)
    if points.shape[1] == 2:
        order = np.argsort(points[:, 1], kind="stable").tolist()
        return [list(pair) for pair in pairwise(order)]
    m = points.shape[1]
    try:
        # In coordinates whose distances are those of weights.
        plane = points[:, :-1] @ np.linalg.cholesky(np.eye(m - 1) + np.ones((m - 1, m - 1)))
        found: list[list[int]] = Delaunay(plane).simplices.tolist()
    except (QhullError, ValueError):
        return []
    return found


def _model(frame: pl.DataFrame, objectives: Sequence[str], shown: int) -> dict[str, Any]:
    """A model's rewards on all prompts, and its answers to some."""
    return {
        "rewards": [[_short(x) for x in row] for row in frame.select(objectives).iter_rows()],
        "answers": [_cut(text) for text in frame["response"].head(shown)],
    }


def _how_many(frames: Sequence[pl.DataFrame]) -> int:
    """As many prompts as a page has room for the answers to."""
    texts = frames[0]["prompt"].str.len_chars().clip(0, LONGEST)
    for frame in frames:
        texts += frame["response"].str.len_chars().clip(0, LONGEST)
    room = (texts.cum_sum() <= TEXTS).sum()
    return max(1, min(PROMPTS, int(room), len(frames[0])))


def _cut(text: str) -> str:
    return text if len(text) <= LONGEST else f"{text[:LONGEST]} …"


def _short(value: float) -> float:
    return float(f"{value:.4g}")


def _pool(run: FinishedRun) -> list[list[float]]:
    """Scores of some rows of the last stage's pool, drawn with the run's seed."""
    file = run.folder / layout.select(run.stage) / layout.POOL
    frame = pl.read_parquet(file, columns=list(run.objectives))
    if len(frame) > POOL:
        frame = frame.sample(POOL, seed=run.facts.seed, shuffle=False)
    return [[_short(x) for x in row] for row in frame.iter_rows()]


def _chosen(run: FinishedRun) -> list[list[list[float]]]:
    """Scores of the rows that trained each preference's model."""
    folder = run.folder / layout.select(run.stage)
    frame = pl.read_parquet(folder / layout.SELECTION, columns=["preference", *run.objectives])
    return [
        [
            [_short(x) for x in row]
            for row in frame.filter(pl.col("preference") == number)
            .select(run.objectives)
            .iter_rows()
        ]
        for number in range(len(run.preferences))
    ]
