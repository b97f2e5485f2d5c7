"""The forward pass of a training on a CPU: TRL's numbers, from fewer tokens."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import polars as pl
import pytest
import torch
import trl
from peft import LoraConfig, get_peft_model
from transformers import AutoModelForCausalLM, LlamaForCausalLM
from transformers.pytorch_utils import Conv1D
from trl.trainer.utils import add_fused_lm_head

from helpers.architectures import SETTINGS, configuration
from helpers.small_fit import CPU, Load, fit
from paretohqd.models.machine import Machine
from paretohqd.trainers import cpu_head, cpu_rows, sft

OUTPUTS = ("log_probs", "entropy", "mean_logits", "is_top1")
LENGTHS = [(5, 9), (6, 2), (8, 0), (4, 11), (6, 6)]
"""Tokens of prompt and of answer; the third row trains nothing."""


def batch(vocabulary: int, *, alike: int = 0, pad: int = 0) -> dict[str, torch.Tensor]:
    """A padded batch as TRL's collator makes it; a token without a label ends the first row, and
    all rows begin with some tokens, less than the shortest prompt has.
    """
    torch.manual_seed(3)
    width = max(map(sum, LENGTHS)) + 1
    tokens = torch.full((len(LENGTHS), width), pad)
    labels, mask = torch.full_like(tokens, -100), torch.zeros_like(tokens)
    for row, (prompt, answer) in enumerate(LENGTHS):
        end = prompt + answer + (row == 0)
        tokens[row, :end] = torch.randint(4, vocabulary, (end,))
        labels[row, prompt : prompt + answer] = tokens[row, prompt : prompt + answer]
        mask[row, :end] = 1
    tokens[:, :alike] = tokens[0, :alike]
    return {"input_ids": tokens, "attention_mask": mask, "labels": labels}


def adapted(model: Any) -> Any:
    """With an adapter that does something, and TRL's fused head."""
    torch.manual_seed(1)
    kinds = (torch.nn.Linear, Conv1D)
    names = [name for name, module in model.named_modules() if isinstance(module, kinds)]
    names = [name for name in names if not name.endswith(("lm_head", "out_proj", "conv1d"))]
    wrapped = get_peft_model(
        model, LoraConfig(r=4, target_modules=names, init_lora_weights=False, lora_dropout=0.0)
    )
    add_fused_lm_head(model, outputs=OUTPUTS)
    return wrapped


def passed(model: Any, given: dict[str, torch.Tensor], bfloat16: bool = False) -> tuple[Any, Any]:
    """Outputs, and the gradient of a loss that weighs tokens unequally."""
    model.zero_grad()
    with torch.autocast("cpu", torch.bfloat16, enabled=bfloat16):
        out = model(**given, fused_lm_head=True, use_cache=False)
        weights = torch.linspace(0.5, 2, out.log_probs.numel()).view_as(out.log_probs)
        loss = -(out.log_probs * weights).sum()
    loss.backward()
    grads = [p.grad.flatten() for p in model.parameters() if p.grad is not None]
    return out, torch.cat(grads)


def put(model: Any, **more: Any) -> bool:
    return cpu_head.put_head(model.get_base_model(), **{"longest": 64, **more})


@pytest.mark.parametrize("alike", [0, 2, 4])
@pytest.mark.parametrize("rows", [True, False])
@pytest.mark.parametrize("bfloat16", [False, True])
def test_the_numbers_are_those_of_trl(base: Any, alike: int, rows: bool, bfloat16: bool) -> None:
    model = adapted(base[0])
    given = batch(model.config.vocab_size, alike=alike)
    model.train()
    theirs, their_grad = passed(model, given, bfloat16)
    assert put(model, rows=rows)
    model.train()
    ours, our_grad = passed(model, given, bfloat16)
    rounding = 2e-2 if bfloat16 else 1e-5
    for name in ("log_probs", "entropy", "mean_logits"):
        expected, found = getattr(theirs, name).detach(), getattr(ours, name).detach()
        assert expected.shape == found.shape
        assert float((expected - found).abs().max()) < rounding * float(expected.abs().max())
    assert torch.equal(theirs.label_mask, ours.label_mask)
    if not bfloat16:
        assert torch.equal(theirs.is_top1, ours.is_top1)
    assert float((their_grad - our_grad).norm()) < rounding * float(their_grad.norm())


@pytest.mark.parametrize(("alike", "shared"), [(0, 0), (1, 1), (3, 3), (4, 3)])
def test_no_more_tokens_are_read_than_trained_ones_need(base: Any, alike: int, shared: int) -> None:
    model = adapted(base[0])
    given = batch(model.config.vocab_size, alike=alike)
    assert put(model)
    read: list[Any] = []
    body, head = model.get_base_model().model, model.get_base_model().lm_head
    body.layers[0].mlp.register_forward_hook(lambda _, given, out: read.append(out.shape[:2]))
    head.register_forward_hook(lambda *given: pytest.fail("the head itself is not called"))
    model.train()
    passed(model, given)
    # Each row up to the token before its last label.
    assert read == [(1, sum(p + a - 1 for p, a in LENGTHS if a) - 3 * shared)]
    passed(model, {**given, "labels": torch.full_like(given["labels"], -100)})
    assert read[1] == given["input_ids"].shape, "without a label it is TRL's zero"


@pytest.mark.parametrize("name", sorted(SETTINGS))
def test_every_architecture_has_the_numbers_of_trl(name: str) -> None:
    torch.manual_seed(0)
    model = adapted(AutoModelForCausalLM.from_config(configuration(name)).eval())
    given = batch(model.config.vocab_size, alike=2)
    theirs, their_grad = passed(model, given)
    longest = given["input_ids"].shape[1]
    there = put(model, longest=longest)
    ours, our_grad = passed(model, given)
    assert there or name not in ("llama", "mistral", "gpt2", "gemma3", "lfm2", "mamba")
    assert torch.allclose(theirs.log_probs, ours.log_probs, atol=1e-5)
    assert float((their_grad - our_grad).norm()) <= 1e-4 * float(their_grad.norm())


@pytest.mark.parametrize("name", ["mamba", "lfm2", "jamba", "bloom", "mistral", "qwen3_next"])
def test_models_that_look_at_neighbours_read_padded_rows(name: str) -> None:
    torch.manual_seed(0)
    model = AutoModelForCausalLM.from_config(configuration(name)).eval()
    assert not cpu_rows.takes_rows(model.base_model, 64)


def test_a_window_that_holds_the_rows_is_none() -> None:
    model = AutoModelForCausalLM.from_config(configuration("mistral", sliding_window=32)).eval()
    assert cpu_rows.takes_rows(model.base_model, 32)
    assert not cpu_rows.takes_rows(model.base_model, 33)
    assert not cpu_rows.takes_rows(model.base_model, None)
    assert model.config._attn_implementation == "sdpa"


def test_beginnings_are_shared_only_without_noise(base: Any) -> None:
    model = adapted(base[0])
    given = batch(model.config.vocab_size, alike=3)
    model.get_base_model().model.layers[0].mlp.add_module("noise", torch.nn.Dropout(0.1))
    assert put(model)
    read: list[Any] = []
    body = model.get_base_model().model
    body.layers[0].mlp.register_forward_hook(lambda _, given, out: read.append(out.shape[:2]))
    passed(model, given)
    assert read == [(1, sum(p + a - 1 for p, a in LENGTHS if a))]


@pytest.mark.parametrize("what", ["bias", "scale", "trained"])
def test_heads_that_are_no_plain_product_stay_trls(base: Any, what: str) -> None:
    model, _ = base
    if what == "bias":
        model.lm_head.bias = torch.nn.Parameter(torch.ones(model.config.vocab_size))
    elif what == "scale":

        class Scaled(LlamaForCausalLM):  # type: ignore[misc]
            def forward(self, *given: Any, **more: Any) -> Any:
                out = super().forward(*given, **more)
                out.logits = out.logits * 0.5
                return out

        model.__class__ = Scaled
    wrapped = adapted(model)
    if what == "trained":
        model.lm_head.weight.requires_grad_(True)
    before = model.forward
    assert not put(wrapped)
    assert model.forward == before


@pytest.mark.parametrize("bfloat16", [False, True])
def test_a_training_has_the_losses_of_trl(
    load: Load, rows: pl.DataFrame, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, bfloat16: bool
) -> None:
    more: dict[str, Any] = {
        "train": {
            "max_steps": 10,
            "per_device_train_batch_size": 3,
            "gradient_accumulation_steps": 2,
            "learning_rate": 3e-3,
        },
        "lora": {"r": 4, "lora_dropout": 0.0},
        "machine": Machine(device="cpu", bfloat16=True, threads=1) if bfloat16 else CPU,
    }
    put_heads: list[bool] = []
    real = sft.put_head
    monkeypatch.setattr(sft, "put_head", lambda *a, **k: put_heads.append(real(*a, **k)))
    fit(load, rows, tmp_path / "ours", **more)
    assert put_heads == [True]
    monkeypatch.setattr(sft, "SFTTrainer", trl.SFTTrainer)
    fit(load, rows, tmp_path / "theirs", **more)
    ours, theirs = (
        json.loads((tmp_path / who / "log.json").read_text()) for who in ("ours", "theirs")
    )
    assert len(ours) == 10
    assert ours[0]["grad_norm"] == pytest.approx(theirs[0]["grad_norm"], rel=2e-2)
    for a, b in zip(ours, theirs, strict=True):
        assert a["loss"] == pytest.approx(b["loss"], rel=3e-3 if bfloat16 else 1e-5)
        if not bfloat16:  # Adam's first steps follow the sign of what is rounding
            assert a["grad_norm"] == pytest.approx(b["grad_norm"], rel=1e-4)
            assert a["mean_token_accuracy"] == pytest.approx(b["mean_token_accuracy"])


@pytest.mark.parametrize(
    "more",
    [{"gradient_checkpointing": True}, {"neftune_noise_alpha": 5.0}],
    ids=["recomputing", "noise"],
)
def test_settings_that_need_padded_rows(
    load: Load,
    rows: pl.DataFrame,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    more: dict[str, Any],
) -> None:
    calls: list[int] = []
    real = cpu_head.read_rows
    monkeypatch.setattr(cpu_head, "read_rows", lambda *a, **k: calls.append(1) or real(*a, **k))
    fit(load, rows, tmp_path / "plain")
    assert calls
    calls.clear()
    fit(load, rows, tmp_path / "more", train=more)
    assert not calls
