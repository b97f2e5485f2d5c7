"""What methods that train on preference pairs share: one training on the bench."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import polars as pl

from paretohqd.compare.workbench import Workbench, batch_size
from paretohqd.models.chat import pair_lengths
from paretohqd.trainers import dpo


def fit_paired(
    bench: Workbench,
    pairs: pl.DataFrame,
    *,
    label: str,
    per: str,
    share: float,
    beta: float,
    weight: float = 1.0,
    steps: int | None = None,
    learning_rate: float | None = None,
) -> Path:
    """Train one adapter on pairs, repeated and shuffled to the steps or the budget.

    Args:
        bench: what all methods work with.
        pairs: prompt, chosen, rejected and perhaps margin.
        label: what the progress bar calls it.
        per: what the training is repeated for: "once" or "preference".
        share: the part of the whole budget that this training may use.
        beta: of the loss, see `pairwise.fit_pairs`.
        weight: of the main objective.
        steps: usual steps; pairs.max_steps or else train.max_steps if not given.
        learning_rate: in place of the settings' own.

    Returns:
        Folder of the adapter.

    Raises:
        ValueError: settings that DPOConfig does not have, or a budget too small for one step.
    """
    given, lora = dict(bench.settings.pairs), bench.settings.lora
    dpo.check_settings(given, lora)
    usual = bench.train_settings()
    train = {**dpo.DEFAULTS, "max_length": usual["max_length"], **given}
    if learning_rate is not None:
        train["learning_rate"] = learning_rate
    steps = steps or given.get("max_steps") or usual["max_steps"]
    pairs = pairs.select(
        c for c in ("prompt", "chosen", "rejected", dpo.MARGIN) if c in pairs.columns
    )
    lengths = pair_lengths(bench.tokenizer(), pairs, train["max_length"])
    batch = batch_size(train)
    order = bench.order(lengths, batch=batch, share=share, steps=steps)
    ordered = pairs[order]
    train["max_steps"] = len(order) // batch

    def work(base: Any, tokenizer: Any, out: Path, on_step: Any) -> Mapping[str, Any]:
        return dpo.fit_pairs(
            base,
            tokenizer,
            ordered,
            out,
            machine=bench.session.machine,
            train=train,
            lora=lora,
            seed=bench.seed,
            beta=beta,
            weight=weight,
            on_step=on_step,
        )

    made = bench.train(
        "dpo",
        work,
        label=label,
        settings={"train": train, "lora": lora, "beta": beta, "weight": weight},
        inputs={"pairs": bench.session.folder.hash_frame(ordered)},
    )
    bench.charge(made, "train", per, trained=made.manifest["notes"]["trained_tokens"])
    bench.note_training(label, pairs=len(pairs), order=order, steps=train["max_steps"])
    return made.path / "adapter"
