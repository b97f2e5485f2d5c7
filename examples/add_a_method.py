"""A method of your own in a comparison: a function from a workbench to policies, and its options.

    python examples/add_a_method.py examples/compare.yaml --set methods=[paretohqd,ranksum]

The method here trains one model per preference on the answers with the largest weighted sum of
ranks. It gets what every method gets: the same data, scores, seeds, tokens and evaluation.
"""

import sys
from dataclasses import dataclass

import polars as pl

from paretohqd.cli.main import main as command
from paretohqd.compare.method import Count, Method, MethodOptions
from paretohqd.compare.methods import METHODS
from paretohqd.compare.methods._sft import fine_tune
from paretohqd.compare.policy import Policy
from paretohqd.compare.workbench import Workbench


@dataclass(frozen=True, kw_only=True)
class Options(MethodOptions):
    """The options of `ranksum`: its keys in the configuration."""

    k: Count | None = None
    """Rows per preference; selection.k if not given."""


def policies(bench: Workbench, options: Options) -> list[Policy]:
    """One model per preference."""
    frame, k = bench.scored(), options.k or bench.settings.selection.k
    made = []
    for number, weights in enumerate(bench.preferences):
        total = sum(w * pl.col(name).rank() for name, w in zip(bench.names, weights, strict=True))
        rows = frame.top_k(k, by=total)
        tuned = fine_tune(
            bench, rows, label=f"ranksum {number}", per="preference", share=1 / len(bench.weights)
        )
        made.append(Policy(weights=weights, adapters=((tuned.adapter, 1.0),)))
    return made


METHODS["ranksum"] = Method(
    run=policies,
    options=Options,
    family="sft",  # its seeds spread as those of other fine-tuning do
    about="One model per preference on the answers with the largest weighted sum of ranks.",
)

if __name__ == "__main__":
    sys.exit(command(["compare", *sys.argv[1:]]))
