"""Rewarded Soups: one model per objective, interpolated for every preference without training."""

from __future__ import annotations

from typing import Literal

from paretohqd.compare.methods._ranking import best_rows
from paretohqd.compare.methods._sft import fine_tune
from paretohqd.compare.methods.morlhf import reinforced
from paretohqd.compare.policy import Policy
from paretohqd.compare.workbench import Workbench


def soups(
    bench: Workbench,
    *,
    corners: Literal["sft", "rl"] = "sft",
    k: int | None = None,
    steps: int | None = None,
) -> list[Policy]:
    """Interpolate the weights of M corner models by w.

    Source: Rame et al., "Rewarded soups" (arXiv 2306.04488). Exact: the corners share their
    initialisation, and the updates (not their factors A and B) are summed by w. Ours: the corners
    of "sft" are fine-tuned on the k rows of the largest reward in one objective; the paper's are
    RL models, as those of "rl" are, at small scale.

    Args:
        bench: what all methods work with.
        corners: how the M models are trained.
        k: rows per corner of "sft"; selection.k if not given.
        steps: usual steps of a corner, where they are not the settings' own.
    """
    count = len(bench.names)
    made = []
    for place, name in enumerate(bench.names):
        if corners == "rl":
            weights = tuple(float(i == place) for i in range(count))
            made.append(reinforced(bench, weights, per="objective", share=1 / count, steps=steps))
            continue
        frame = bench.scored()
        rows = best_rows(
            bench, frame, frame[name], k=k, per="objective", rank="corner", objective=name
        )
        tuned = fine_tune(
            bench, rows, label=f"corner {name}", per="objective", share=1 / count, steps=steps
        )
        made.append(tuned.adapter)
    policies = []
    for weights in bench.preferences:
        parts = tuple((path, w) for path, w in zip(made, weights, strict=True) if w > 0)
        policies.append(Policy(weights=weights, adapters=parts))
    return policies
