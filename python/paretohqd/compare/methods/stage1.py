"""ParetoHqD in one stage: the rows of the best Pareto layers nearest to each ray."""

from __future__ import annotations

from dataclasses import dataclass

from paretohqd.compare.method import Count, Method, Positive
from paretohqd.compare.methods._selection import (
    Rank,
    SelectionOptions,
    fit_preferences,
    policies_of,
    refuse_pool,
    select_rows,
)
from paretohqd.compare.policy import Policy
from paretohqd.compare.workbench import Workbench


@dataclass(frozen=True, kw_only=True)
class Options(SelectionOptions):
    """The options of `stage1`."""

    k: Count | None = None
    """Rows per preference; selection.k if not given."""
    rank: Rank = "ray"
    """How rows of the best layers are ranked: by the distance to the preference's "ray"; by the
    weighted sum of the rewards in the unit box ("linear"); or by the weighted Euclidean distance to
    the ideal corner of the box ("ideal", compromise programming). "achievement" and "sum" rank all
    rows, as `paretohqd.select` does."""

    learning_rate: Positive | None = None
    """In place of the settings' own."""

    def __post_init__(self) -> None:
        """Refuse an end of a pool where there is none.

        Raises:
            ValueError: `upto` or `at_least` beside a rank of all rows, or as `SelectionOptions`.
        """
        super().__post_init__()
        refuse_pool(self, self.rank)


def policies(bench: Workbench, options: Options) -> list[Policy]:
    """One model per preference on the selected rows."""
    frame = bench.scored()
    k = options.k or bench.settings.selection.k
    rows = select_rows(bench, frame, options, k=k, rank=options.rank)
    adapters = fit_preferences(
        bench, rows, stage=1, share=1 / len(bench.weights), rate=options.learning_rate
    )
    return policies_of(bench, adapters)


METHOD = Method(
    run=policies,
    options=Options,
    family="sft",
    about="ParetoHqD without its second stage: one model per preference on the selected rows.",
    source='Gu et al., "ParetoHqD" (arXiv 2504.16628).',
    exact="the ray of a preference, the choice from the best Pareto layers by nearness to it, "
    "plain SFT per preference.",
    ours="how many layers (at least as many rows as all preferences want), the nadir from those "
    "layers, the distance in units of the box, ties to the better layer, then the earlier row. The "
    "options are ablations.",
)
