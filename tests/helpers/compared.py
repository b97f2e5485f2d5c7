"""A comparison with plausible numbers and no model behind it, quickly made."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import polars as pl

from paretohqd.compare.measures import ComparisonResult, MethodResult
from paretohqd.compare.measuring import measure_runs
from paretohqd.compare.records import ComparisonRecord, RunRecord
from paretohqd.compare.report import page

XY = ("x", "y")
TWO = ("relevance", "harmless logit")
BOX = {"x": (-3.0, 5.0), "y": (-3.0, 5.0)}
CORNERS = ([1.0, 0.0], [0.5, 0.5], [0.0, 1.0])
LIMITS = [
    "A model of 135M parameters says little about large ones.",
    "The scorers are proxies: a similarity and a profanity classifier, not people.",
]
# name, kind, gain at a corner, echo rate, models, seconds of a part, how the part counts
METHODS: tuple[tuple[str, str, float, float, int, float, str], ...] = (
    ("base", "base", 0.0, 0.02, 0, 0.0, "once"),
    ("SFT", "sft", 0.10, 0.05, 1, 70.0, "once"),
    ("linear scalarisation", "linear", 0.40, 0.08, 3, 66.0, "preference"),
    ("full data", "full", 0.30, 0.07, 3, 190.0, "preference"),
    ("ParetoHqD stage 1", "hqd1", 0.42, 0.09, 3, 64.0, "preference"),
    ("ParetoHqD", "hqd", 0.50, 0.10, 3, 95.0, "preference"),
    ("rewarded soups (SFT)", "soups", 0.38, 0.09, 2, 66.0, "objective"),
    ("RiC", "ric", 0.05, 0.04, 1, 210.0, "once"),
    ("MORLHF (GRPO, small scale)", "grpo", 0.90, 0.30, 3, 720.0, "preference"),
    ("MODPO", "modpo", 0.45, 0.06, 3, 260.0, "preference"),
    ("RCS", "rcs", 0.25, 0.03, 1, 250.0, "once"),
    ("UC-MOA", "ucmoa", 0.08, 0.05, 1, 205.0, "once"),
)
ABLATIONS = ("ParetoHqD, L = 1", "ParetoHqD, k = 25", "ParetoHqD, nearest to the corner")


def answers_frame(
    scores: np.ndarray,
    names: Sequence[str] = TWO,
    *,
    echo: float = 0.0,
    text: str = "I would stay in and read.",
    seed: int = 0,
) -> pl.DataFrame:
    """Measured answers with these (N, m) scores."""
    rng = np.random.default_rng(seed)
    n = len(scores)
    return pl.DataFrame(
        {
            "prompt": [f"Prompt {i}: it rains; what shall we do?" for i in range(n)],
            "response": [f"{text} ({i})" for i in range(n)],
            **{name: scores[:, i] for i, name in enumerate(names)},
            "short": rng.random(n) < 0.02,
            "repetitive": rng.random(n) < 0.05,
            "echo": rng.random(n) < echo,
            "words": rng.integers(8, 40, n, dtype=np.int32),
            "tokens": rng.integers(10, 48, n),
            "finished": rng.random(n) < 0.8,
            "entropy": rng.normal(2.0, 0.2, n),
        }
    )


def make(
    *,
    prompts: int = 64,
    seeds: Sequence[int] = (0, 1, 2),
    budgets: Sequence[str] = ("matched", "own"),
    objectives: Sequence[str] = TWO,
    weights: Sequence[Sequence[float]] = CORNERS,
    methods: Sequence[Any] = METHODS,
    ablations: Sequence[str] = ABLATIONS,
    text: str = "I would stay in and read.",
    fails: Mapping[tuple[str, int], str] | None = None,
) -> tuple[dict[str, Any], dict[str, pl.DataFrame]]:
    """`results` and `answers` as a finished comparison leaves them."""
    names = list(objectives)
    rng = np.random.default_rng(5)
    level = rng.normal(
        [0.25, 4.5, 0.0][: len(names)], [0.2, 1.2, 0.5][: len(names)], size=(prompts, len(names))
    )
    scale = np.array([0.25, 1.0, 0.4])[: len(names)]
    runs: list[dict[str, Any]] = []
    answers: dict[str, pl.DataFrame] = {}
    hqd = next((m for m in methods if m[1] == "hqd"), None)
    extra = [(name, *hqd[1:2], 0.3 + 0.1 * i, *hqd[3:]) for i, name in enumerate(ablations) if hqd]
    for budget in budgets:
        for place, (name, kind, gain, echo, models, seconds, per) in enumerate([*methods, *extra]):
            for seed in [seeds[0]] if kind == "base" else seeds:
                failed = (fails or {}).get((name, seed))
                plain = kind in ("base", "sft", "rcs")
                policies = []
                for i, w in enumerate([None] if plain else weights):
                    key = f"{budget}/{place}-{kind}/{seed}/{i}"
                    pull = np.full(len(names), 0.3) if w is None else 1.5 * np.array(w) - 0.3
                    noise = np.random.default_rng([place, seed, i, len(budget)])
                    scores = level + gain * pull * scale * (0.9 if budget == "own" else 1)
                    if kind != "base":
                        scores = scores + noise.normal(0, 0.6, level.shape) * scale
                        scores = scores + noise.normal(0, 0.04, len(names)) * scale
                    if not failed:
                        answers[key] = answers_frame(
                            scores, names, echo=echo, text=f"{name}: {text}", seed=seed + 7 * i
                        )
                        policies.append({"weights": w, "answers": key})
                times = {"once": 1, "objective": len(names), "preference": len(weights)}[per]
                trained = int(240 * seconds * times)
                runs.append(
                    {
                        "method": name,
                        "kind": kind,
                        "budget": budget,
                        "seed": seed,
                        "error": failed,
                        "ablation": name in ablations,
                        "policies": policies,
                        "models": models,
                        "trained_tokens": trained,
                        "generated_tokens": 9000 if kind in ("grpo", "hqd") else 0,
                        "scored": 96 if kind in ("grpo", "hqd") else 0,
                        "seconds": {"select": 0.1, "train": seconds * times, "generate": 30.0},
                        "costs": [
                            {
                                "phase": "train",
                                "per": per,
                                "seconds": seconds,
                                "trained": trained // times,
                                "generated": 0,
                                "scored": 0,
                            }
                        ]
                        * times
                        + [
                            {
                                "phase": "sample",
                                "per": "once",
                                "seconds": 30.0,
                                "trained": 0,
                                "generated": 9000 if kind in ("grpo", "hqd") else 0,
                                "scored": 96 if kind in ("grpo", "hqd") else 0,
                            }
                        ],
                        "notes": {"asked high against low": "relevance +0.013 (se 0.022)"}
                        if kind == "ric"
                        else {},
                        "source": "arXiv 2306.04488" if kind == "soups" else "ours",
                        "exact": "the merge is exact to 1e-6",
                        "ours": "corners of SFT, not of RL",
                    }
                )
    results = {
        "name": "demo",
        "objectives": names,
        "preferences": [list(w) for w in weights],
        "bounds": dict(zip(names, ([0.0, 0.6], [3.0, 6.0], [-0.7, 0.7]), strict=False)),
        "reference": "ParetoHqD",
        "seed": 0,
        "limits": LIMITS,
        "budgets": {
            "matched": "each method trains on as many tokens as ParetoHqD in all",
            "own": "each method's usual number of steps",
        },
        "runs": runs,
        "machine": "2 cpu cores, no GPU",
        "versions": {"torch": "2.13.0", "polars": "2.1.0"},
    }
    return results, answers


def result_of(
    results: Mapping[str, Any], answers: Mapping[str, pl.DataFrame], **options: Any
) -> ComparisonResult:
    """What is measured of `results`, which `make` gives."""
    record = ComparisonRecord.of(results)
    return measure_runs(
        record.runs,
        answers,
        objectives=record.objectives,
        preferences=record.preferences,
        bounds=record.bounds,
        reference=record.reference,
        **options,
    )


def page_of(results: Mapping[str, Any], answers: Mapping[str, pl.DataFrame]) -> str:
    """The page of `results`, which `make` gives."""
    named = {name: results[name] for name in ("name", "config") if name in results}
    return page(ComparisonRecord.of(results), answers, **named)


def run(method: str, keys: Sequence[str], *, seed: int = 0, **more: Any) -> dict[str, Any]:
    """A run without costs; `weights` None unless given."""
    weights = more.pop("weights", [None] * len(keys))
    policies = [{"weights": w, "answers": k} for w, k in zip(weights, keys, strict=True)]
    plain = {"kind": method, "budget": "own", "error": None, "policies": policies}
    return {"method": method, "seed": seed, **plain, **more}


def measured(runs: Sequence[Mapping[str, Any]], answers: Any, **options: Any) -> ComparisonResult:
    """What is measured of a few runs in a fixed box."""
    given = {"objectives": XY, "preferences": CORNERS, "bounds": BOX, "reference": "ParetoHqD"}
    return measure_runs(list(map(RunRecord.of, runs)), answers, **{**given, **options})


def entry(result: ComparisonResult, method: str, budget: str = "own") -> MethodResult:
    """A method's entry."""
    return next(e for e in result.methods if (e.method, e.budget) == (method, budget))
