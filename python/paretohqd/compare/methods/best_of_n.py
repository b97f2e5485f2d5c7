"""Best of n: the base's best answer of several by w . z, chosen by the scorers at use."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Literal

from paretohqd.compare.method import Method, MethodOptions, Range
from paretohqd.compare.methods._constants import reward_constants
from paretohqd.compare.policy import Choice, Policy
from paretohqd.compare.workbench import Workbench


@dataclass(frozen=True, kw_only=True)
class Options(MethodOptions):
    """The options of `best_of_n`."""

    n: Annotated[int, Range(2, 256)] = 8
    """Answers to each prompt, of which one is given."""


def policies(bench: Workbench, options: Options) -> list[Policy]:
    """The base, with a choice for each preference; the answers to choose from are the same."""
    bench.notes["at use"] = (
        f"{options.n} answers to each prompt, and their scores: it sees the evaluators"
    )
    return chosen(bench, options.n, each="answer")


def chosen(bench: Workbench, n: int, *, each: Literal["answer", "sentence"]) -> list[Policy]:
    """The base, whose answers are chosen for each preference among n."""
    constants = reward_constants(bench, bench.scored())
    return [
        Policy(
            weights=weights,
            choice=Choice(candidates=n, weights=weights, constants=constants, each=each),
        )
        for weights in bench.preferences
    ]


METHOD = Method(
    run=policies,
    options=Options,
    about="No training: n answers of the base to each prompt, and of these the best by w . z. It "
    "sees the evaluators at use.",
    source="Best-of-n sampling, as the reference of whatever needs the scorers.",
    exact="the answer of the largest weighted sum of rewards among n of the base's.",
    ours="rewards are standardised by frozen constants of the offline answers; the same n answers "
    "serve every preference.",
)
