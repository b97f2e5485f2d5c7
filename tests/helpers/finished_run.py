"""A finished run folder with plausible numbers and no model behind it, quickly made."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from paretohqd.runs import layout
from paretohqd.runs.metrics import (
    Collapse,
    Facts,
    Metrics,
    ModelMeasures,
    SampleMean,
    SelectionSummary,
    SetValues,
)
from paretohqd.runs.verdicts import compare_corners

TWO = ["relevance", "harmless"]
THREE = [*TWO, "humour"]
GRIDS = {
    "two-3": (TWO, [(1.0, 0.0), (0.5, 0.5), (0.0, 1.0)]),
    "two-11": (TWO, [(1 - i / 10, i / 10) for i in range(11)]),
    "three-4": (THREE, [(1.0, 0.0, 0.0), (0.0, 1.0, 0.0), (0.0, 0.0, 1.0), (1 / 3, 1 / 3, 1 / 3)]),
    "one-1": (["relevance"], [(1.0,)]),
}


def layers_of(points: np.ndarray, upto: int) -> np.ndarray:
    """Pareto layers by the definition, for a few hundred rows."""
    layer = np.full(len(points), -1, dtype=np.int32)
    for depth in range(upto):
        left = np.flatnonzero(layer < 0)
        rows = points[left]
        as_good = (rows[:, None] >= rows[None]).all(axis=2)
        better = (rows[:, None] > rows[None]).any(axis=2)
        layer[left[~(as_good & better).any(axis=0)]] = depth
    return layer


def write_selection(
    folder: Path, objectives: list[str], preferences: list[tuple[float, ...]], k: int, shift: float
) -> None:
    """What one `select` leaves in a run folder."""
    rng = np.random.default_rng(7)
    m, n = len(objectives), 700
    angle = np.abs(rng.normal(size=(n, m)))
    angle /= np.linalg.norm(angle, axis=1, keepdims=True)
    points = np.round(angle * rng.beta(5, 2, size=(n, 1)) * 3 + shift - 1, 2)
    layer = layers_of(points, 6)
    inside = np.flatnonzero(layer >= 0)
    high, low = points[inside].max(axis=0), points[inside].min(axis=0)
    folder.mkdir(parents=True)
    scores = {name: points[:, i] for i, name in enumerate(objectives)}
    pl.DataFrame({"row": np.arange(n, dtype=np.uint32), **scores, "layer": layer}).write_parquet(
        folder / "pool.parquet"
    )
    k = min(k, len(inside))
    parts, sets = [], []
    for place, weights in enumerate(preferences):
        way = -(1 - np.array(weights)) * (high - low)
        way /= np.linalg.norm(way) or 1.0
        off = points[inside] - high
        along = np.clip(off @ way, 0, None)
        distance = np.linalg.norm(off - along[:, None] * way, axis=1)
        order = np.argsort(distance, kind="stable")[:k]
        rows = inside[order]
        sets.append(set(rows.tolist()))
        parts.append(
            pl.DataFrame(
                {
                    "prompt": [f"question {row}" for row in rows],
                    "response": [f"answer {row}" for row in rows],
                    **{name: points[rows, i] for i, name in enumerate(objectives)},
                    "preference": [place] * k,
                    "weights": [list(weights)] * k,
                    "position": range(k),
                    "distance": distance[order],
                    "layer": layer[rows],
                    "row": rows.astype(np.uint32),
                }
            )
        )
    pl.concat(parts).write_parquet(folder / "selection.parquet")
    summary = SelectionSummary(
        objectives=tuple(objectives),
        through=tuple(preferences),
        r_min=low.tolist(),
        r_max=high.tolist(),
        n=n,
        pool=len(inside),
        layers=tuple(int((layer == depth).sum()) for depth in range(6)),
        overlap=tuple(tuple(len(a & b) / len(a | b) for b in sets) for a in sets),
        k=k,
        bounds="pool",
        scale="box",
    )
    (folder / "summary.json").write_text(summary.to_json())


def write_curves(folder: Path, count: int) -> None:
    """What `fit` leaves: a log of losses per preference, with the trainer's last entry."""
    for place in range(count):
        rng = np.random.default_rng(place)
        log: list[dict[str, Any]] = [
            {
                "step": step,
                "loss": float(
                    1.2 + 2.2 * math.exp(-step / 25) + 0.06 * rng.normal() + 0.02 * place
                ),
                "learning_rate": 1e-4 * (1 - step / 100),
            }
            for step in range(1, 101, 3)
        ]
        log.append({"step": 100, "train_runtime": 12.5})
        (folder / f"{place:02}").mkdir(parents=True)
        (folder / f"{place:02}" / "log.json").write_text(json.dumps(log))


def make_run(
    folder: Path,
    objectives: list[str],
    preferences: list[tuple[float, ...]],
    *,
    stages: int = 2,
    text: str = "It rains today, so I would stay in and read.",
) -> Path:
    """A finished run with plausible numbers and no model behind them."""
    for stage in range(1, stages + 1):
        base = folder / f"stage{stage}"
        write_selection(base / "select", objectives, preferences, 100 // stage, 0.2 * stage)
        write_curves(base / "fit", len(preferences))
    prompts = 24
    rng = np.random.default_rng(3)
    level = rng.normal(scale=0.4, size=(prompts, len(objectives)))
    models: list[ModelMeasures] = []
    base_rewards = level
    names = layout.models(stages, len(preferences))
    written = {}
    for at, name in enumerate(names):
        stage, preference = layout.parse_model(name)
        weights = None if preference is None else tuple(preferences[preference])
        pull = 0 if weights is None else (0.2 + 0.5 * stage) * np.sqrt(np.array(weights))
        rewards = level + pull + rng.normal(scale=0.3 if stage else 0, size=level.shape)
        answers = pl.DataFrame(
            {
                "prompt": [f"Prompt {i}: what shall we do? {text}" for i in range(prompts)],
                "response": [f"{name} says {i}. {text}" for i in range(prompts)],
                **{o: rewards[:, i] for i, o in enumerate(objectives)},
                "tokens": [30] * prompts,
                "finished": [True] * (prompts - 1) + [False],
                "words": [12 + at] * prompts,
                "short": [False] * prompts,
                "repetitive": [i == 1 for i in range(prompts)],
                "echo": [i == 2 for i in range(prompts)],
            }
        )
        (folder / "evaluate" / name).mkdir(parents=True)
        answers.write_parquet(folder / "evaluate" / name / "answers.parquet")
        written[name] = answers
        models.append(
            ModelMeasures(
                model=name,
                stage=stage,
                preference=preference,
                weights=weights,
                n=prompts,
                reward=measured(objectives, rewards),
                gain=measured(objectives, rewards - base_rewards) if stage else None,
                collapse=Collapse(short=0.0, repetitive=1 / 24, any=1 / 24),
                echo=1 / 24,
                words=12.0 + at,
                tokens=30.0,
                finished=23 / 24,
            )
        )
    sets = {"base": 0.1234, **{f"stage{s}": 0.4 + 0.1 * s for s in range(1, stages + 1)}}
    last = {m.model: m.weights for m in models if m.stage in (0, stages)}
    metrics = Metrics(
        objectives=tuple(objectives),
        preferences=tuple(map(tuple, preferences)),
        models=tuple(models),
        bounds={o: (-0.25, 1.75) for o in objectives},
        utility=SetValues(sets={**sets, "best_single": 0.618}, best_single_model=names[1]),
        hypervolume=SetValues(sets={**sets, "best_single": 0.3456}, best_single_model=names[-1]),
        findings=compare_corners(last, written, objectives),
        rank_correlation={
            f"stage{s}": dict.fromkeys(objectives, 0.875) for s in range(1, stages + 1)
        },
    )
    facts = Facts(
        seconds={
            "stage1/score": 31.5,
            "stage1/select": 0.04,
            "stage1/fit/00": 212.0,
            "stage1/fit/01": 200.0,
            "evaluate/base": 95.0,
        },
        versions={"torch": "2.9.0", "polars": "2.1.0"},
        machine="2 cpu cores, no GPU",
        seed=0,
    )
    (folder / "facts.json").write_text(json.dumps(vars(facts)))
    (folder / "evaluate" / "summary").mkdir()
    (folder / "evaluate" / "summary" / "metrics.json").write_text(metrics.to_json())
    (folder / "config.yaml").write_text(
        f"name: demo\nobjectives: {objectives}\nnote: |\n  {text}\n"
    )
    return folder


def measured(objectives: list[str], values: np.ndarray) -> dict[str, SampleMean]:
    """Mean and standard error of each column."""
    se = values.std(axis=0, ddof=1) / math.sqrt(len(values))
    return {
        o: SampleMean(mean=float(values[:, i].mean()), se=float(se[i]))
        for i, o in enumerate(objectives)
    }
