"""PRO: nobody says w; each prompt's own weights are read off it, in training and at use."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated

from paretohqd.compare.method import Amount, Method, MethodOptions, Positive, Range, Steps
from paretohqd.compare.methods._orchestrator import Orchestrator, Told
from paretohqd.compare.methods.moc import weights_text
from paretohqd.compare.methods.morlhf import reinforced
from paretohqd.compare.policy import Policy
from paretohqd.compare.workbench import Workbench
from paretohqd.frames.conversations.prompts import write_prompt
from paretohqd.models.chat import find_form, with_system
from paretohqd.trainers.credit import Asked
from paretohqd.trainers.grpo import STEPS


@dataclass(frozen=True, kw_only=True)
class Options(MethodOptions):
    """The options of `pro`."""

    told: Told = "learned"
    """What each prompt's weights are: what is read off it, or a control: "constant", the mean of
    all prompts, or "shuffled", those of another prompt."""
    prompts: Annotated[int, Range(10)] = 512
    """Prompts that the reading is fitted to, and that are trained on, at most."""
    kl: Amount | None = None
    """The pull towards the base, `beta` of GRPOConfig; that of the settings if not given."""
    steps: Steps | None = None
    """Usual steps; 30 for each preference if not given."""
    learning_rate: Positive | None = None
    """In place of the settings' own."""


def policies(bench: Workbench, options: Options) -> list[Policy]:
    """One model that reads the weights of each prompt."""
    names = bench.names
    orchestrator = Orchestrator(bench, bench.scored(), prompts=options.prompts, told=options.told)
    drawn: dict[str, tuple[float, ...]] = {}
    form = find_form(bench.tokenizer())

    def asked(prompts: Sequence[str]) -> dict[str, str]:
        """What the model reads, each with the prompt that it is for; notes its weights."""
        originals = {}
        some = prompts[: options.prompts]
        for prompt, w in zip(some, orchestrator(some, training=True), strict=True):
            read = write_prompt(with_system(form, prompt, weights_text(names, w)))
            originals[read] = prompt
            drawn[read] = tuple(map(float, w))
        return originals

    def told(prompts: Sequence[str]) -> list[str]:
        return [weights_text(names, w) for w in orchestrator(prompts)]

    adapter = reinforced(
        bench,
        [1 / len(names)] * len(names),
        per="once",
        share=1.0,
        steps=options.steps or STEPS * len(bench.weights),
        learning_rate=options.learning_rate,
        changed={} if options.kl is None else {"beta": options.kl},
        credit=lambda: Asked(drawn),
        credited={
            "rule": "told",
            "told": options.told,
            "fitted": orchestrator.digest,
            "most": options.prompts,
        },
        label="weights of each prompt",
        asked=asked,
    )
    return [Policy(adapters=((adapter, 1.0),), told=told)]


METHOD = Method(
    run=policies,
    options=Options,
    family="rl",
    reconstructed=True,
    about="One model that reads weights which a regression reads off each prompt: one point, and "
    "nobody says w.",
    source='"Preference Orchestrator" (PRO, arXiv 2511.10656), from its text; no code was found.',
    exact="the weights of a prompt are fitted, by KL, to the softmax of its preferred answer's "
    "standardised scores; they take the user's place in training and at use.",
    ours="softmax regression on the base's mean last hidden state of the prompt; preferred is the "
    "answer with the best mean score, where the paper has people's choices; the model is trained "
    "by GRPO and reads the weights in its system message. A high score of the preferred answer "
    'says what is easy for a prompt, not what is wanted of it: the controls "constant" and '
    '"shuffled" belong beside it.',
)
