"""PAMA: reinforcement learning on what the objective that gains least gains."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import Literal

from paretohqd.compare.method import Amount, Method, MethodOptions, Positive, Steps
from paretohqd.compare.methods.morlhf import reinforced
from paretohqd.compare.policy import Policy
from paretohqd.compare.workbench import Workbench
from paretohqd.trainers.credit import Weakest


@dataclass(frozen=True, kw_only=True)
class Options(MethodOptions):
    """The options of `pama`."""

    credit: Literal["batch", "answer"] = "batch"
    """What decides: the objective of the smallest mean gain in a batch, or in each answer."""
    kl: Amount = 0.2
    """The pull towards the base, `beta` of GRPOConfig."""
    steps: Steps | None = None
    """Usual steps; 30 if not given."""
    learning_rate: Positive | None = None
    """In place of the settings' own."""


def policies(bench: Workbench, options: Options) -> list[Policy]:
    """One model, which takes no preference."""
    count = len(bench.names)
    adapter = reinforced(
        bench,
        [1 / count] * count,
        per="once",
        share=1.0,
        steps=options.steps,
        learning_rate=options.learning_rate,
        changed={"beta": options.kl},
        credit=partial(Weakest, per=options.credit),
        credited={"rule": "weakest", "per": options.credit},
        label="the weakest objective",
    )
    return [Policy(adapters=((adapter, 1.0),))]


METHOD = Method(
    run=policies,
    options=Options,
    family="rl",
    reconstructed=True,
    about="One model, trained on the positive advantages of the objective that gains least.",
    source='"Pareto Multi-Objective Alignment for Language Models" (PAMA, arXiv 2508.07768), from '
    "its text; its authors' code was not found.",
    exact="advantages below 0 count 0, the objectives' weights are those of the min-norm problem "
    "min over c of (sum_i c_i A_i)^2, A_i the batch's mean positive advantage in objective i, and "
    "there is a pull of .2 towards the base.",
    ours="no A_i is negative, so the weights are all on the objective of the smallest. What the "
    "step then trains on is a reading: its positive advantages (`credit: batch`), or each answer's "
    "smallest one over the objectives (`credit: answer`); one number for all answers, as another "
    "reading has it, tells no answer from another. Advantages are differences to the group's mean "
    "on frozen scales, since those that are divided by the group's deviation have about the same "
    "mean in every objective; GRPO in place of PPO.",
)
