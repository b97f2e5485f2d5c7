"""MOC: one policy that reads w, trained by reinforcement learning on all preferences at once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import ArrayLike

from paretohqd.compare.method import Amount, Count, Method, MethodOptions, Positive, Steps
from paretohqd.compare.methods.morlhf import reinforced
from paretohqd.compare.policy import Policy
from paretohqd.compare.workbench import Workbench
from paretohqd.frames.conversations.prompts import write_prompt
from paretohqd.kernels.rays import preference_grid
from paretohqd.models.chat import Form, find_form, with_system
from paretohqd.trainers.credit import Asked
from paretohqd.trainers.grpo import STEPS

ROUNDS = 4
"""How often the prompts are gone through, with other preferences, before one comes again."""


@dataclass(frozen=True, kw_only=True)
class Options(MethodOptions):
    """The options of `moc`."""

    divisions: Count = 10
    """Divisions of the lattice that preferences are drawn from."""
    kl: Amount | None = None
    """The pull towards the base, `beta` of GRPOConfig; that of the settings if not given."""
    steps: Steps | None = None
    """Usual steps; 30 for each preference if not given."""
    learning_rate: Positive | None = None
    """In place of the settings' own."""


def policies(bench: Workbench, options: Options) -> list[Policy]:
    """One model that reads the weights."""
    count = len(bench.names)
    drawn = Drawn(bench.names, options.divisions, bench.seed, find_form(bench.tokenizer()))
    adapter = reinforced(
        bench,
        [1 / count] * count,
        per="once",
        share=1.0,
        steps=options.steps or STEPS * len(bench.weights),
        learning_rate=options.learning_rate,
        changed={} if options.kl is None else {"beta": options.kl},
        credit=lambda: Asked(drawn.weights),
        credited={"rule": "asked", "divisions": options.divisions},
        label="preferences in the system message",
        asked=drawn,
    )
    return [
        Policy(
            weights=weights,
            adapters=((adapter, 1.0),),
            system_prompt=weights_text(bench.names, weights),
        )
        for weights in bench.preferences
    ]


@dataclass
class Drawn:
    """Prompts with a drawn preference before each, and these preferences."""

    names: Sequence[str]
    divisions: int
    seed: int
    form: Form
    """What the chat template takes."""
    weights: dict[str, tuple[float, ...]] = field(default_factory=dict)
    """The preference of each, by what the model reads."""

    def __call__(self, prompts: Sequence[str]) -> dict[str, str]:
        """What the model reads, each with the prompt that it is for."""
        rng = np.random.default_rng([self.seed, 19])
        lattice = preference_grid(len(self.names), self.divisions)
        originals = {}
        for _ in range(ROUNDS):
            for prompt in prompts:
                w = lattice[rng.integers(len(lattice))]
                text = weights_text(self.names, w)
                read = write_prompt(with_system(self.form, prompt, text))
                originals[read] = prompt
                self.weights[read] = tuple(map(float, w))
        return originals


def weights_text(names: Sequence[str], weights: ArrayLike) -> str:
    """A preference as the model reads it, in hundredths.

    Example:
        >>> weights_text(["help", "safe"], [0.7, 0.3])
        'Weights: <help> 0.70 <safe> 0.30'
    """
    values = np.asarray(weights, dtype=np.float64)
    parts = " ".join(f"<{name}> {value:.2f}" for name, value in zip(names, values, strict=True))
    return f"Weights: {parts}"


METHOD = Method(
    run=policies,
    options=Options,
    family="rl",
    reconstructed=True,
    about="One model that reads w in its system message, trained by reinforcement learning with "
    "another w for each prompt.",
    source='"Multi-Objective Control" (MOC, arXiv 2604.04497), from its abstract and summaries; no '
    "code was found.",
    exact="one policy conditioned on the preference in the prompt, trained by reinforcement "
    "learning on preferences that differ from prompt to prompt.",
    ours="GRPO on w . z in the place of PPO with a min-norm combination and a term that ties the "
    "rewards to w; the preferences are drawn from a lattice and stand in the system message, in "
    "hundredths; rewards do not see them.",
)
