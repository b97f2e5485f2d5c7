"""What is not finite ends a training, a loading or a sampling, and nothing of it is kept."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import polars as pl
import pytest
import torch
from safetensors.torch import load_file, save_file

from helpers.small_fit import Load, fit
from helpers.small_pairs import fit as fit_pairs
from helpers.small_run import do, settings
from helpers.small_sampling import sample
from paretohqd.models.adapters import load_adapter, load_mixture
from paretohqd.models.finite import FiniteLogits
from paretohqd.models.likelihood import likelihood
from paretohqd.trainers import sft

WILD = {"max_steps": 6, "learning_rate": 1e20}


def spoiled(adapter: Path, value: float) -> Path:
    """The adapter with one number of its last tensor replaced."""
    file = adapter / "adapter_model.safetensors"
    tensors = load_file(file)
    tensors[max(tensors)].view(-1)[0] = value
    save_file(tensors, file, metadata={"format": "pt"})
    return adapter


@pytest.mark.parametrize("logging", [1, 100])
def test_a_training_that_diverges_stops_at_its_step(
    load: Load, rows: pl.DataFrame, tmp_path: Path, logging: int
) -> None:
    steps: list[int] = []
    train = {**WILD, "logging_steps": logging}
    with pytest.raises(ValueError, match=r"^the loss of step 2 is nan: .*lower the learning rate"):
        fit(load, rows, tmp_path, train=train, on_step=lambda done, total: steps.append(done))
    assert steps == [1]
    assert not (tmp_path / "adapter").exists()


def test_a_gradient_that_is_not_finite(
    load: Load, rows: pl.DataFrame, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Clipping would make zeros of it, and the weights would stay as they are."""
    whole = sft.trl.SFTTrainer.training_step

    def large(trainer: Any, *given: Any) -> torch.Tensor:
        loss = whole(trainer, *given)
        for weight in trainer.model.parameters():
            if weight.grad is not None and trainer.state.global_step == 1:
                weight.grad.fill_(1e38)
        return loss

    monkeypatch.setattr(sft.trl.SFTTrainer, "training_step", large)
    with pytest.raises(ValueError, match=r"^the gradient's norm of step 2 is inf"):
        fit(load, rows, tmp_path)
    assert not (tmp_path / "adapter").exists()


def test_weights_that_the_last_step_spoils(load: Load, rows: pl.DataFrame, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"^after step 1 .*lora_[AB].* is not finite"):
        fit(load, rows, tmp_path, train={"max_steps": 1, "learning_rate": 1e39})
    assert not (tmp_path / "adapter").exists()


def test_pairs_that_diverge(load: Load, pairs: pl.DataFrame, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"of step 2 is (nan|inf): the training diverged"):
        fit_pairs(load, pairs, tmp_path, train={**WILD, "logging_steps": 50})
    assert not (tmp_path / "adapter").exists()


def test_a_run_that_diverges_has_no_fit(parts: Path, tmp_path: Path) -> None:
    wild = settings(parts, str(tmp_path / "run"), stages=1, train__learning_rate=1e20)
    with pytest.raises(ValueError, match="the loss of step 2 is nan"):
        do(wild)
    assert not (tmp_path / "run" / "stage1" / "fit" / "00").exists()
    tame = settings(parts, str(tmp_path / "run"), stages=1)
    assert "stage1/score: done before" in do(tame)


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_adapters_that_are_not_finite_are_not_loaded(
    load: Load, rows: pl.DataFrame, tmp_path: Path, value: float
) -> None:
    for name in ("whole", "bad"):
        fit(load, rows, tmp_path / name)
    whole = tmp_path / "whole" / "adapter"
    bad = spoiled(tmp_path / "bad" / "adapter", value)
    base, _ = load()
    with pytest.raises(ValueError, match=r"bad.adapter: .*lora_.* is not finite"):
        load_adapter(base, bad)
    with pytest.raises(ValueError, match=r"bad.adapter: .*lora_.* is not finite"):
        load_mixture(load()[0], [(whole, 0.5), (bad, 0.5)])
    with pytest.raises(ValueError, match=r"bad.adapter: .*lora_.* is not finite"):
        load_adapter(load_adapter(load()[0], whole), bad)
    with pytest.raises(ValueError, match=r"bad.adapter: .*lora_.* is not finite"):
        fit(load, rows, tmp_path / "two", start_from=bad)


@pytest.mark.parametrize("temperature", [0.0, 0.7])
@pytest.mark.parametrize("samples", [1, 2])
def test_a_model_without_scores_gives_no_answers(
    base: Any, temperature: float, samples: int
) -> None:
    model, tokenizer = base
    with torch.no_grad():
        model.model.norm.weight[0] = float("nan")
    with pytest.raises(ValueError, match=r"scores of the next token are nan in \d of \d answers"):
        sample(model, tokenizer, ["Hi", "you"], temperature=temperature, samples=samples)
    with pytest.raises(ValueError, match=r"of 2 of 2 answers are NaN \(first: row 0\)"):
        likelihood(model, tokenizer, ["Hi", "you"], ["tea", "we"])


def test_a_token_may_be_impossible() -> None:
    scores = torch.tensor([[0.0, -torch.inf]])
    assert FiniteLogits()(torch.zeros(1, 1), scores) is scores
    for wrong in ([[0.0, torch.inf]], [[-torch.inf] * 2], [[0.0, torch.nan]]):
        with pytest.raises(ValueError, match="scores of the next token"):
            FiniteLogits()(torch.zeros(1, 1), torch.tensor(wrong))
