"""PSL: adapters trained together for all preferences, mixed by a network that reads w."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import polars as pl

from paretohqd.compare.method import Count, Method, MethodOptions, Positive, Steps
from paretohqd.compare.methods._constants import center_and_spread, standardised
from paretohqd.compare.methods._ranking import best_rows
from paretohqd.compare.policy import Policy
from paretohqd.compare.workbench import Workbench, batch_size
from paretohqd.kernels.rays import preference_grid
from paretohqd.models import chat
from paretohqd.selection.preferences import format_weights
from paretohqd.trainers import conditioned


@dataclass(frozen=True, kw_only=True)
class Options(MethodOptions):
    """The options of `psl`."""

    adapters: Count | None = None
    """K; one for each objective if not given."""
    divisions: Count | None = None
    """Divisions of the lattice of preferences that it is trained on; 10 for two objectives and 4
    for more if not given."""
    k: Count | None = None
    """Rows for each of these preferences; selection.k if not given."""
    steps: Steps | None = None
    """Usual steps; as many as all preferences' models have if not given."""
    learning_rate: Positive | None = None
    """In place of the settings' own."""


def policies(bench: Workbench, options: Options) -> list[Policy]:
    """One policy per preference, all sums of the same adapters.

    Raises:
        ValueError: Fewer rows than a step takes, or a budget too small for one step.
    """
    names, count = bench.names, options.adapters or len(bench.names)
    frame, train = bench.scored(), bench.train_settings()
    if options.learning_rate is not None:
        train["learning_rate"] = options.learning_rate
    conditioned.KIND.check_all(bench.settings.train, bench.settings.lora, "train")
    reached = standardised(frame, names, *center_and_spread(frame, names))
    lattice = preference_grid(len(names), options.divisions or (10 if len(names) == 2 else 4))
    each = batch_size(train)
    rng = np.random.default_rng([bench.seed, 18])
    batches: list[pl.DataFrame] = []
    for w in lattice:
        rows = best_rows(
            bench,
            frame,
            reached @ w,
            k=options.k,
            per="once",
            by=f"preference {format_weights(w)}",
            rank="linear",
            weights=w.tolist(),
        )
        rows = rows.select("prompt", "response")[rng.permutation(len(rows))]
        own = pl.Series(conditioned.WEIGHTS, [w.tolist()] * each)
        batches += [
            rows[start : start + each].with_columns(own)
            for start in range(0, len(rows) - each + 1, each)
        ]
    if not batches:
        raise ValueError(f"fewer rows for a preference than the {each} of a step: raise k")
    tokenizer, longest = bench.tokenizer(), train["max_length"]
    tokens = [int(np.sum(chat.trained_lengths(tokenizer, rows, longest))) for rows in batches]
    usual = options.steps or len(bench.weights) * train["max_steps"]
    order = bench.order(tokens, batch=1, share=1.0, steps=usual)
    train["max_steps"] = len(order)
    rows = pl.concat(
        batches[at].with_columns(pl.lit(step).alias(conditioned.STEP))
        for step, at in enumerate(order)
    )
    made = bench.train(
        "conditioned",
        lambda base, tokenizer, **common: conditioned.fit_conditioned(
            base,
            tokenizer,
            rows,
            count=count,
            train=train,
            lora=bench.settings.lora,
            **common,
        ),
        label=f"{count} adapters and their coefficients",
        per="once",
        settings={"train": train, "lora": bench.settings.lora, "count": count},
        inputs={"rows": bench.context.folder.hash_frame(rows)},
    )
    mixed = {w: conditioned.coefficients(made.path, w) for w in bench.preferences}
    bench.notes["coefficients"] = {
        ", ".join(f"{x:.3g}" for x in w): found.round(3).tolist() for w, found in mixed.items()
    }
    return [
        Policy(
            weights=w,
            adapters=tuple((made.path / f"adapter-{k}", float(x)) for k, x in enumerate(found)),
        )
        for w, found in mixed.items()
    ]


METHOD = Method(
    run=policies,
    options=Options,
    family="conditioned",
    reconstructed=True,
    about="Adapters trained together on the rows of many preferences; a small network turns w into "
    "the coefficients of their sum.",
    source='After "Pareto Set Learning for Multi-Objective Reinforcement Learning" (PSL-MORL, '
    "arXiv 2501.06773), from notes on its text; no code was found.",
    exact="one network from preferences to policies, trained with another preference at each step "
    "on that preference's weighted sum.",
    ours="a hypernetwork over adapters: it writes the coefficients of K LoRA adapters and not a "
    "policy's weights, starting from w itself where there is an adapter for each objective; it is "
    "fine-tuned on the rows of the largest weighted sum for each preference of a lattice, in place "
    "of reinforcement learning. `soups` is the same without the network and with corners trained "
    "apart.",
)
