"""Training an adapter: what it changes, what it repeats, what it refuses."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import polars as pl
import pytest
import torch
from peft import get_peft_model_state_dict
from safetensors.torch import load_file
from trl import SFTTrainer

from helpers.small_fit import CPU, LORA, TRAIN, Killed, Load, fit, weights
from paretohqd.models.machine import Machine
from paretohqd.trainers import sft, training


def test_only_the_adapter_is_trained(load: Load, rows: pl.DataFrame, tmp_path: Path) -> None:
    model, tokenizer = load()
    before = {name: p.clone() for name, p in model.named_parameters()}
    facts = sft.fit(model, tokenizer, rows, tmp_path, machine=CPU, train=TRAIN, lora=LORA)
    after = {n.replace(".base_layer", ""): p for n, p in model.named_parameters()}
    for name, parameter in before.items():
        assert torch.equal(after[name], parameter), name
    trainable = {n: p for n, p in model.named_parameters() if p.requires_grad}
    assert trainable
    assert all("lora_" in name for name in trainable)
    assert facts["trainable_parameters"] == sum(p.numel() for p in trainable.values())
    saved = load_file(tmp_path / "adapter" / "adapter_model.safetensors")
    assert all("lora_" in name for name in saved)
    # B starts at zero: that it is not shows that training took place.
    assert all(bool(saved[name].abs().max() > 0) for name in saved if "lora_B" in name)
    log = json.loads((tmp_path / "log.json").read_text())
    assert [entry["step"] for entry in log] == [1, 2, 3]
    assert all(entry["loss"] > 0 for entry in log)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["adapter", "log.json"]


def test_the_same_seed_gives_the_same_bytes(load: Load, rows: pl.DataFrame, tmp_path: Path) -> None:
    for name, seed in (("a", 1), ("b", 1), ("c", 2)):
        torch.manual_seed(hash(name))
        fit(load, rows, tmp_path / name, seed=seed)
    assert weights(tmp_path / "a") == weights(tmp_path / "b")
    assert weights(tmp_path / "a") != weights(tmp_path / "c")


def test_training_lowers_the_loss(load: Load, rows: pl.DataFrame, tmp_path: Path) -> None:
    more = {"max_steps": 30, "learning_rate": 3e-2, "per_device_train_batch_size": 4}
    fit(load, rows, tmp_path, train=more, lora={"r": 8, "lora_dropout": 0.0})
    loss = [entry["loss"] for entry in json.loads((tmp_path / "log.json").read_text())]
    assert sum(loss[-5:]) < 0.99 * sum(loss[:5])


def test_stage_two_goes_on_with_the_adapter(
    load: Load, rows: pl.DataFrame, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = fit(load, rows, tmp_path / "one")
    starts: list[dict[str, torch.Tensor]] = []

    class Spy(SFTTrainer):  # type: ignore[misc]
        def train(self, *args: Any, **more: Any) -> Any:
            assert list(self.model.peft_config) == ["default"], "no second adapter"
            state = get_peft_model_state_dict(self.model)
            starts.append({name: tensor.clone() for name, tensor in state.items()})
            return super().train(*args, **more)

    monkeypatch.setattr(sft, "SFTTrainer", Spy)
    # Other LoRA settings must not matter: the adapter brings its own.
    second = fit(
        load, rows[:5], tmp_path / "two", start_from=tmp_path / "one" / "adapter", lora={"r": 2}
    )
    saved = load_file(tmp_path / "one" / "adapter" / "adapter_model.safetensors")
    assert saved.keys() == starts[0].keys()
    assert all(torch.equal(saved[name], starts[0][name]) for name in saved)
    assert second["trainable_parameters"] == first["trainable_parameters"] > 0
    assert second["lora"]["r"] == 4
    further = load_file(tmp_path / "two" / "adapter" / "adapter_model.safetensors")
    assert further.keys() == saved.keys()
    assert all(not torch.equal(saved[name], further[name]) for name in saved)


def test_no_rows(load: Load, rows: pl.DataFrame, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="no rows to train on"):
        fit(load, rows[:0], tmp_path)


def test_a_template_that_does_not_end_answers(
    load: Load, rows: pl.DataFrame, tmp_path: Path
) -> None:
    template = (
        "{% for m in messages %}{{ m['role'] + ': ' + m['content'] + '\n' }}{% endfor %}"
        "{% if add_generation_prompt %}{{ 'assistant: ' }}{% endif %}"
    )
    with pytest.raises(ValueError, match=r"ends an answer without <\|im_end\|>, .*never stop"):
        fit(lambda: load(template), rows, tmp_path)


def test_an_adapter_that_trains_nothing(
    load: Load, rows: pl.DataFrame, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fit(load, rows, tmp_path / "one")
    whole = sft.put_adapter

    def frozen(*args: Any, **more: Any) -> Any:
        return whole(*args, **{**more, "trainable": False})

    monkeypatch.setattr(sft, "put_adapter", frozen)
    with pytest.raises(ValueError, match="no trainable parameters"):
        fit(load, rows, tmp_path / "two", start_from=tmp_path / "one" / "adapter")


@pytest.mark.parametrize("key", sft.KIND.keys.own)
def test_settings_that_the_run_decides(key: str) -> None:
    with pytest.raises(ValueError, match=f"^train.{key} is set by the run itself: leave it out"):
        sft.check_settings({"max_steps": 2, key: 1}, {})


@pytest.mark.parametrize(
    ("train", "lora", "message"),
    [
        ({"learning_rat": 1}, {}, r"unknown key train\.learning_rat: did you mean learning_rate\?"),
        ({"max_step": 1}, {}, r"unknown key train\.max_step: did you mean max_steps\?"),
        ({}, {"lora_alfa": 1}, r"unknown key lora\.lora_alfa: did you mean lora_alpha\?"),
        ({}, {"rank": 1}, r"unknown key lora\.rank: "),
    ],
)
def test_misspelt_settings(train: dict[str, Any], lora: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        sft.check_settings(train, lora)


def test_settings_arrive_as_they_are(
    load: Load, rows: pl.DataFrame, sft_trainers: list[SFTTrainer], tmp_path: Path
) -> None:
    train = {
        "learning_rate": 0.25,
        "lr_scheduler_type": "constant_with_warmup",
        "weight_decay": 0.125,
        "gradient_accumulation_steps": 3,
        "max_length": 77,
        "warmup_steps": 2,
    }
    lora = {"r": 3, "lora_alpha": 5, "lora_dropout": 0.5, "target_modules": ["q_proj"]}
    sft.check_settings(train, lora)
    facts = fit(load, rows, tmp_path, train=train, lora=lora, seed=5)
    arguments = sft_trainers[0].args
    assert {key: getattr(arguments, key) for key in train} == train
    assert (arguments.seed, arguments.use_cpu, arguments.bf16) == (5, True, False)
    assert arguments.report_to == []
    result = sft_trainers[0].model.peft_config["default"]
    assert {key: getattr(result, key) for key in lora} == {**lora, "target_modules": {"q_proj"}}
    assert facts["train"]["learning_rate"] == 0.25
    assert facts["lora"]["r"] == 3


def test_without_settings_the_published_ones_are_in_force(
    load: Load, rows: pl.DataFrame, sft_trainers: list[SFTTrainer], tmp_path: Path
) -> None:
    model, tokenizer = load()
    sft.fit(model, tokenizer, rows, tmp_path, machine=CPU, train={}, lora={})
    arguments, adapter = sft_trainers[0].args, sft_trainers[0].model.peft_config["default"]
    assert (arguments.max_steps, arguments.per_device_train_batch_size) == (200, 8)
    assert (arguments.learning_rate, arguments.max_length) == (1.4e-4, 512)
    assert (adapter.r, adapter.lora_alpha, adapter.lora_dropout) == (64, 128, 0.05)
    assert len(adapter.target_modules) == 14, "the seven linear layers of both blocks"


@pytest.mark.parametrize("bfloat16", [True, False])
def test_bfloat16_goes_to_the_trainer(
    load: Load, rows: pl.DataFrame, sft_trainers: list[SFTTrainer], tmp_path: Path, bfloat16: bool
) -> None:
    machine = Machine(device="cpu", bfloat16=bfloat16, threads=1)
    fit(load, rows, tmp_path, machine=machine)
    assert sft_trainers[0].args.bf16 is bfloat16


def test_bfloat16_trains(load: Load, rows: pl.DataFrame, tmp_path: Path) -> None:
    machine = Machine(device="cpu", bfloat16=True, threads=1)
    fit(load, rows, tmp_path / "bf16", machine=machine)
    fit(load, rows, tmp_path / "fp32")
    saved = load_file(tmp_path / "bf16" / "adapter" / "adapter_model.safetensors")
    assert {tensor.dtype for tensor in saved.values()} == {torch.float32}
    assert weights(tmp_path / "bf16") != weights(tmp_path / "fp32")


SAVING = {"max_steps": 8, "save_strategy": "steps", "lr_scheduler_type": "constant"}


@pytest.mark.parametrize("torn", [False, True], ids=["whole", "torn"])
def test_going_on_from_a_checkpoint_changes_nothing(
    load: Load, rows: pl.DataFrame, tmp_path: Path, torn: bool
) -> None:
    saving = {**SAVING, "save_steps": 3}
    fit(load, rows, tmp_path / "whole", train={**saving, "save_strategy": "no"})

    def die(done: int, total: int) -> None:
        if done == 7:
            raise Killed

    out = tmp_path / "killed"
    with pytest.raises(Killed):
        fit(load, rows, out, train=saving, on_step=die)
    checkpoints = sorted((out / "checkpoints").glob("checkpoint-*"))
    assert [p.name for p in checkpoints] == ["checkpoint-3", "checkpoint-6"]
    if torn:
        (checkpoints[1] / "trainer_state.json").write_text('{"epoch": ')
        (checkpoints[1] / "adapter_model.safetensors").write_bytes(b"half")
    steps: list[tuple[int, int]] = []
    facts = fit(load, rows, out, train=saving, on_step=lambda *at: steps.append(at))
    start = 4 if torn else 7
    assert steps == [(step, 8) for step in range(start, 9)], "what was done is not done again"
    assert facts["steps"] == 8
    assert weights(out) == weights(tmp_path / "whole")
    assert (out / "log.json").read_text() == (tmp_path / "whole" / "log.json").read_text()
    assert not (out / "checkpoints").exists()


@pytest.mark.parametrize("length", [{}, {"max_steps": -1, "num_train_epochs": 2}], ids=str)
def test_a_fit_that_died_after_its_last_step_takes_no_further_one(
    load: Load, rows: pl.DataFrame, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, length: Any
) -> None:
    saving = {**SAVING, "save_steps": 4, **length}
    fit(load, rows, tmp_path / "whole", train=saving)

    def die(trainer: Any, out: Path, log: list[Any]) -> None:
        raise Killed

    out = tmp_path / "killed"
    with monkeypatch.context() as patch:
        patch.setattr(training, "save_adapter", die)
        with pytest.raises(Killed):
            fit(load, rows, out, train=saving)
    steps: list[tuple[int, int]] = []
    again = fit(load, rows, out, train=saving, on_step=lambda *at: steps.append(at))
    assert steps == []
    assert again["steps"] == (12 if length else 8)
    assert weights(out) == weights(tmp_path / "whole")
    assert (out / "log.json").read_text() == (tmp_path / "whole" / "log.json").read_text()
