"""MAH-DPO: one body with a head per objective, trained on pairs; heads are summed by w at use."""

from __future__ import annotations

from dataclasses import dataclass

import polars as pl

from paretohqd.compare.method import Method, MethodOptions, Positive, Steps
from paretohqd.compare.methods._dpo import PASSES, corner_pairs, pair_settings
from paretohqd.compare.methods._groups import answer_groups
from paretohqd.compare.policy import Policy
from paretohqd.compare.workbench import Workbench, batch_size
from paretohqd.models.chat import pair_lengths
from paretohqd.trainers import heads
from paretohqd.trainers.several import BODY


@dataclass(frozen=True, kw_only=True)
class Options(MethodOptions):
    """The options of `mahdpo`."""

    beta: Positive = 0.1
    """How much a difference of log-probabilities counts."""
    steps: Steps | None = None
    """Usual steps; pairs.max_steps or else train.max_steps if not given."""
    learning_rate: Positive | None = None
    """In place of the settings' own; 1e-4 without any."""


def policies(bench: Workbench, options: Options) -> list[Policy]:
    """One body and M heads, summed for each preference.

    Raises:
        ValueError: An objective without pairs, or a budget too small for one step.
    """
    names, frame = bench.names, answer_groups(bench)
    pairs = [corner_pairs(bench, frame, name, per="once") for name in names]
    # As many of each objective: the longer lists are cut.
    count = min(map(len, pairs))
    bench.notes["pairs of each objective"] = dict(zip(names, map(len, pairs), strict=True))
    settings = bench.settings.pairs
    usual = bench.train_settings()
    train = pair_settings(bench)
    if options.learning_rate is not None:
        train["learning_rate"] = options.learning_rate
    heads.KIND.check_all(settings, bench.settings.lora, "pairs")
    own = [
        part.head(count).select("prompt", "chosen", "rejected", pl.lit(name).alias(heads.OBJECTIVE))
        for name, part in zip(names, pairs, strict=True)
    ]
    tokenizer = bench.tokenizer()
    tokens = [pair_lengths(tokenizer, part, train["max_length"]) for part in own]
    each = max(1, round(batch_size(train) / len(names)))
    order = bench.order(
        [sum(row) for row in zip(*tokens, strict=True)],
        batch=each,
        share=1.0,
        steps=options.steps or settings.get("max_steps") or usual["max_steps"],
        passes=PASSES,
    )
    train["max_steps"] = len(order) // each
    # A row of each objective, one after the other.
    rows = pl.concat([part[order].with_row_index("at") for part in own]).sort(
        "at", maintain_order=True
    )
    made = bench.train(
        "heads",
        lambda base, tokenizer, **common: heads.fit_heads(
            base,
            tokenizer,
            rows,
            names,
            train=train,
            lora=bench.settings.lora,
            beta=options.beta,
            **common,
        ),
        label=f"{len(names)} heads",
        per="once",
        passes=PASSES,
        settings={"train": train, "lora": bench.settings.lora, "beta": options.beta},
        inputs={"pairs": bench.context.folder.hash_frame(rows)},
    )
    body = (made.path / BODY, 1.0)
    parts = [made.path / heads.head_name(place) for place in range(len(names))]
    return [
        Policy(
            weights=weights,
            adapters=(body, *((p, w) for p, w in zip(parts, weights, strict=True) if w > 0)),
        )
        for weights in bench.preferences
    ]


METHOD = Method(
    run=policies,
    options=Options,
    family="pairs",
    about="One body with a head per objective, trained together on each one's pairs; the logits of "
    "the heads are summed by w.",
    source='"Multi-objective alignment of language models with MAHALO" (MAH-DPO, arXiv '
    "2510.01167), and its public code.",
    exact="the mean over the objectives of DPO's loss on as many pairs of each, the untrained "
    "model for a reference, a body that all heads share, and the logits of the heads summed by w.",
    ours="body and heads are LoRA adapters, where the paper trains all weights; so heads need no "
    "noise to become different, and the embedding that this model's head shares is left as it is. "
    "The pairs are each prompt's best and worst answer in an objective. AdamW at the settings' "
    "rate, where the paper has RMSprop at 5e-7. No process rewards and no guided decoding.",
)
