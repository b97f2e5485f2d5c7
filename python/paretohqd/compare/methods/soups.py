"""Rewarded Soups: one model per objective, interpolated for every preference without training."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from paretohqd.compare.method import Count, Method, MethodOptions, Positive, Steps
from paretohqd.compare.methods._dpo import corner_pairs, fit_paired
from paretohqd.compare.methods._groups import answer_groups
from paretohqd.compare.methods._ranking import best_rows
from paretohqd.compare.methods._sft import fine_tune
from paretohqd.compare.methods.morlhf import reinforced
from paretohqd.compare.policy import Policy
from paretohqd.compare.workbench import Workbench
from paretohqd.models.adapters import Weighted, average_factors


@dataclass(frozen=True, kw_only=True)
class Options(MethodOptions):
    """The options of `soups`."""

    corners: Literal["sft", "dpo", "rl"] = "sft"
    """How the M models are trained."""
    k: Count | None = None
    """Rows per corner of "sft"; selection.k if not given."""
    average: Literal["updates", "factors"] = "updates"
    """What is summed by w: the updates B A of the corners, or their factors A and B apart, as the
    official code does, which gives cross terms."""
    beta: Positive | None = None
    """Of "dpo": how much a difference of log-probabilities counts; .1 if not given."""
    steps: Steps | None = None
    """Usual steps of a corner, where they are not the settings' own."""

    def __post_init__(self) -> None:
        """Refuse what would say nothing of these corners."""
        super().__post_init__()
        if self.k is not None and self.corners != "sft":
            raise ValueError(f"k: corners {self.corners!r} train on no chosen rows: leave it out")
        if self.beta is not None and self.corners != "dpo":
            raise ValueError(f"beta: it is of corners 'dpo', not of {self.corners!r}: leave it out")


def policies(bench: Workbench, options: Options) -> list[Policy]:
    """M corner models, and their sum by the weights of each preference."""
    count, steps = len(bench.names), options.steps
    corners = []
    answers = answer_groups(bench) if options.corners == "dpo" else None
    for place, name in enumerate(bench.names):
        weights = tuple(float(i == place) for i in range(count))
        if answers is not None:
            pairs = corner_pairs(bench, answers, name, per="objective")
            corners.append(
                fit_paired(
                    bench,
                    pairs,
                    label=f"corner {name}",
                    per="objective",
                    share=1 / count,
                    beta=0.1 if options.beta is None else options.beta,
                    steps=steps,
                )
            )
            continue
        if options.corners == "rl":
            corners.append(
                reinforced(bench, weights, per="objective", share=1 / count, steps=steps)
            )
            continue
        corners.append(sft_corner(bench, name, k=options.k, share=1 / count, steps=steps))
    made = []
    for weights in bench.preferences:
        parts = tuple((path, w) for path, w in zip(corners, weights, strict=True) if w > 0)
        stored = tuple(path for path, _ in parts)
        if options.average == "factors" and len(parts) > 1:
            parts = ((_averaged(bench, parts), 1.0),)
        made.append(Policy(weights=weights, adapters=parts, made_of=stored))
    return made


def sft_corner(
    bench: Workbench, name: str, *, k: int | None, share: float, steps: int | None
) -> Path:
    """Adapter of a model that is fine-tuned on the best rows of one objective.

    Args:
        bench: What all methods work with.
        name: The objective.
        k: Rows; selection.k if not given.
        share: The part of the whole budget that this training may use.
        steps: Usual steps, where they are not the settings' own.
    """
    frame = bench.scored()
    rows = best_rows(
        bench, frame, frame[name], k=k, per="objective", by=name, rank="corner", objective=name
    )
    return fine_tune(
        bench, rows, label=f"corner {name}", per="objective", share=share, steps=steps
    ).adapter


def _averaged(bench: Workbench, parts: Sequence[Weighted]) -> Path:
    """An adapter whose factors are the weighted means of others', as a step."""

    def write(out: Path) -> None:
        average_factors(parts, out / "adapter")

    hashes = {f"adapter{i}": bench.context.folder.hash_path(p) for i, (p, _) in enumerate(parts)}
    made = bench.step("averaged", write, settings={"weights": [w for _, w in parts]}, inputs=hashes)
    return made.path / "adapter"


METHOD = Method(
    run=policies,
    options=Options,
    family=lambda options: "pairs" if options.corners == "dpo" else options.corners,
    about="Interpolate the weights of M corner models by w.",
    source='Rame et al., "Rewarded soups" (arXiv 2306.04488).',
    exact="the corners share their initialisation, and their weights are summed by w: the "
    "updates, as the paper's formula has it, or with `average: factors` the adapters' factors A "
    "and B, as its code has it.",
    ours='the corners of "sft" are fine-tuned on the k rows of the largest reward in one '
    'objective; the paper\'s are RL models, as those of "rl" are, at small scale. Those of "dpo" '
    "are trained on pairs of each prompt's best and worst answer in one objective: the opponent of "
    "methods that share what such corners learn.",
)
