"""The loss on pairs against its formula and TRL's own trainer, with the margin and the weight."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import polars as pl
import pytest
import torch
from trl import DPOConfig, DPOTrainer

from helpers.small_fit import Load
from helpers.small_pairs import fit, log_probability
from helpers.tiny import CHAT_TEMPLATE
from paretohqd.trainers import dpo

NO_TAIL = CHAT_TEMPLATE.replace("'<|im_end|>' + '\n'", "'<|im_end|>'")


def moved(trainer: Any) -> Any:
    """Give the adapter weights of its own, so that the policy is not the reference; a batch."""
    draw = torch.Generator().manual_seed(3)
    with torch.no_grad():
        for name, weight in trainer.model.named_parameters():
            if "lora_B" in name:
                weight.copy_(torch.randn(weight.shape, generator=draw) / 2)
    return next(iter(trainer.get_train_dataloader()))


def loss_of(trainer: Any, batch: Any) -> float:
    with torch.no_grad():
        return float(trainer.compute_loss(trainer.model, batch))


def test_no_margin_and_the_whole_weight_is_dpo(
    load: Load, pairs: pl.DataFrame, pair_trainers: list[Any], tmp_path: Path
) -> None:
    """Against TRL's own trainer, whose tokens are ours where the template writes no tail."""
    results = []
    for name, frame in (("dpo", pairs), ("modpo", pairs.with_columns(margin=0.0))):
        fit(lambda: load(NO_TAIL), frame, tmp_path / name)
        results.append(loss_of(pair_trainers[-1], moved(pair_trainers[-1])))
    model, tokenizer = load(NO_TAIL)
    plain = DPOTrainer(
        model=model,
        args=DPOConfig(
            str(tmp_path),
            bf16=False,
            use_cpu=True,
            report_to="none",
            beta=0.1,
            seed=0,
            per_device_train_batch_size=4,
            train_sampling_strategy="sequential",
        ),
        train_dataset=dpo._dataset(pairs),
        processing_class=tokenizer,
        peft_config=pair_trainers[0].model.peft_config["default"],
    )
    expected = loss_of(plain, moved(plain))
    assert abs(expected - math.log(2)) > 0.03, "the adapter makes a difference"
    assert results == pytest.approx([expected] * 2, abs=1e-6)


def test_a_margin_of_one_at_the_start(
    load: Load, pairs: pl.DataFrame, pair_trainers: list[Any], tmp_path: Path
) -> None:
    """The policy is the reference: -log sigmoid(0) without a margin, -log sigmoid(-1) with one."""
    for margin, expected in ((None, 0.693147), (1.0, 1.313262), (-1.0, 0.313262)):
        frame = pairs if margin is None else pairs.with_columns(margin=margin)
        fit(load, frame, tmp_path)
        batch = next(iter(pair_trainers[-1].get_train_dataloader()))
        assert loss_of(pair_trainers[-1], batch) == pytest.approx(expected, abs=3e-5)


@pytest.mark.parametrize(("beta", "weight"), [(0.1, 1.0), (0.1, 0.5), (0.3, 0.6)])
def test_the_loss_is_the_formula(
    load: Load,
    pairs: pl.DataFrame,
    pair_trainers: list[Any],
    tmp_path: Path,
    beta: float,
    weight: float,
) -> None:
    """-log sigmoid((beta (dc - dr) - margin) / weight) from the models' plain probabilities."""
    margins = [0.3 * (i - 4) for i in range(len(pairs))]
    frame = pairs.with_columns(margin=pl.Series(margins))
    fit(load, frame, tmp_path, beta=beta, weight=weight)
    trainer = pair_trainers[0]
    batch = moved(trainer)
    reference, _ = load()
    each = []
    for place in range(4):
        delta = []
        for row in (place, place + 4):
            ids = batch["input_ids"][row][batch["attention_mask"][row].bool()]
            mask = batch["completion_mask"][row][batch["attention_mask"][row].bool()]
            policy = log_probability(trainer.model, ids, mask)
            delta.append(policy - log_probability(reference, ids, mask))
        each.append((beta * (delta[0] - delta[1]) - margins[place]) / weight)
    expected = -torch.nn.functional.logsigmoid(torch.stack(each)).mean()
    # Sums of log-probabilities are near -200, where float32 has steps of 1.5e-5.
    assert loss_of(trainer, batch) == pytest.approx(float(expected), abs=5e-5)


def test_half_the_weight_doubles_beta_and_margin(
    load: Load, pairs: pl.DataFrame, pair_trainers: list[Any], tmp_path: Path
) -> None:
    results = []
    for beta, margin, weight in ((0.1, 0.7, 0.5), (0.2, 1.4, 1.0)):
        fit(load, pairs.with_columns(margin=margin), tmp_path, beta=beta, weight=weight)
        results.append(loss_of(pair_trainers[-1], moved(pair_trainers[-1])))
    assert results[0] == pytest.approx(results[1], abs=1e-5)


def test_the_margin_reaches_an_evaluation_too(
    load: Load, pairs: pl.DataFrame, pair_trainers: list[Any], tmp_path: Path
) -> None:
    fit(load, pairs.with_columns(margin=1.0), tmp_path)
    result = pair_trainers[0].evaluate(dpo._dataset(pairs.with_columns(margin=-1.0)))
    assert result["eval_loss"] == pytest.approx(0.313262, abs=3e-5)
