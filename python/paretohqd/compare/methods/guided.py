"""Guided decoding: the base's answer, of which each sentence is the best of several by w . z."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from paretohqd.compare.method import Method, MethodOptions, Range
from paretohqd.compare.methods.best_of_n import chosen
from paretohqd.compare.policy import Policy
from paretohqd.compare.workbench import Workbench


@dataclass(frozen=True, kw_only=True)
class Options(MethodOptions):
    """The options of `guided`."""

    n: Annotated[int, Range(2, 256)] = 4
    """Ways to go on after each sentence, of which one is taken."""


def policies(bench: Workbench, options: Options) -> list[Policy]:
    """The base, with a choice after each sentence for each preference."""
    bench.notes["at use"] = (
        f"{options.n} ways to go on after each sentence, and the scores of what is there by then: "
        "it sees the evaluators"
    )
    return chosen(bench, options.n, each="sentence")


METHOD = Method(
    run=policies,
    options=Options,
    about="No training: after each sentence n ways to go on, and of these the best by w . z. It "
    "sees the evaluators at use.",
    source="Blockwise best-of-n, as in Controlled Decoding (arXiv 2310.17022, section 3.2).",
    exact="the base is sampled, block after block, and the block is taken whose beginning of an "
    "answer has the largest value.",
    ours="a block is a sentence; the value is the weighted sum of the scorers' rewards of what is "
    "there by then, standardised by frozen constants of the offline answers, where the paper "
    "trains a value function.",
)
