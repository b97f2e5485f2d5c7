"""MOA: reinforcement learning with weights that follow the objectives' trends."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Annotated

from paretohqd.compare.method import Amount, Method, MethodOptions, Positive, Range, Steps
from paretohqd.compare.methods.morlhf import reinforced
from paretohqd.compare.policy import Policy
from paretohqd.compare.workbench import Workbench
from paretohqd.trainers.credit import Rising


@dataclass(frozen=True, kw_only=True)
class Options(MethodOptions):
    """The options of `moa`."""

    window: Annotated[int, Range(2)] = 5
    """Steps that an objective's trend is fitted to."""
    sharpness: Amount = 1.0
    """How much a difference to the trend counts, in 1 / deviations; at 0 all weigh the same."""
    drop: bool = True
    """Whether answers that conflict with the foremost objective are left out."""
    steps: Steps | None = None
    """Usual steps; 30 if not given."""
    learning_rate: Positive | None = None
    """In place of the settings' own."""


def policies(bench: Workbench, options: Options) -> list[Policy]:
    """One model, which takes no preference."""
    count = len(bench.names)
    rule = {name: asdict(options)[name] for name in ("window", "sharpness", "drop")}
    adapter = reinforced(
        bench,
        [1 / count] * count,
        per="once",
        share=1.0,
        steps=options.steps,
        learning_rate=options.learning_rate,
        credit=lambda: Rising(options.window, options.sharpness, options.drop),
        credited={"rule": "rising", **rule},
        label="the objectives' trends",
    )
    return [Policy(adapters=((adapter, 1.0),))]


METHOD = Method(
    run=policies,
    options=Options,
    family="rl",
    reconstructed=True,
    about="One model, trained on a sum whose weights follow how far each objective is ahead of its "
    "trend, without the answers that hurt the foremost one.",
    source='"MOA: Multi-Objective Alignment for Role-Playing Agents" (arXiv 2512.09756), from '
    "its text; no code was found.",
    exact="each objective's mean reward is held against what a line through its last steps gives, "
    "the weights are the softmax of the differences, and answers that score well but conflict with "
    "the objective of the largest one are left out before advantages are computed.",
    ours="an answer conflicts if it is above its group's mean in the weighted sum and below it in "
    "that objective (the paper's rule is not known here), 5 steps to a line, a softmax at "
    "temperature 1 on frozen scales; no answers of a stronger model and no thinking before them.",
)
