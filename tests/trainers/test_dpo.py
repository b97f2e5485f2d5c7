"""Training on pairs: the tokens against what the trainer reads, what is learned and refused."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import polars as pl
import pytest
import torch
from safetensors.torch import load_file

from helpers.small_fit import CPU, LORA, Killed, Load, weights
from helpers.small_pairs import TRAIN, fit, log_probability, losses
from helpers.small_sampling import sample
from helpers.tiny import sentences
from paretohqd.models.adapters import load_adapter
from paretohqd.models.chat import pair_lengths
from paretohqd.models.machine import Machine
from paretohqd.trainers import dpo


@pytest.fixture
def batches(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, Any]]:
    """Every batch that a trainer reads while it trains."""
    seen: list[dict[str, Any]] = []

    class Spy(dpo.PairTrainer):
        def compute_loss(self, model: Any, inputs: Any, *args: Any, **more: Any) -> Any:
            seen.append({name: tensor.clone() for name, tensor in inputs.items()})
            return super().compute_loss(model, inputs, *args, **more)

    monkeypatch.setattr(dpo, "PairTrainer", Spy)
    return seen


def test_every_pair_is_read_once_in_its_order_up_to_its_end_tokens(
    load: Load, pairs: pl.DataFrame, batches: list[Any], tmp_path: Path
) -> None:
    facts = fit(load, pairs, tmp_path)
    _, tokenizer = load()
    read: dict[str, list[str]] = {"chosen": [], "rejected": []}
    for batch in batches:
        half = len(batch["input_ids"]) // 2
        for row in range(2 * half):
            ids = batch["input_ids"][row]
            said = tokenizer.decode(ids[batch["completion_mask"][row].bool()])
            whole = tokenizer.decode(ids[batch["attention_mask"][row].bool()])
            side = "chosen" if row < half else "rejected"
            prompt = pairs["prompt"][len(read[side])]
            read[side].append(said)
            assert whole == f"<|im_start|>user\n{prompt}<|im_end|>\n<|im_start|>assistant\n{said}"
    for side, texts in read.items():
        assert texts == [f"{text}<|im_end|>" for text in pairs[side]]
    assert [len(batch["input_ids"]) for batch in batches] == [8, 8, 4]
    assert facts["steps"] == 3
    assert facts["cut_answers"] == 0


@pytest.mark.parametrize(
    "train",
    [
        {},
        {"max_length": 30},
        {"max_length": None},
        {"gradient_accumulation_steps": 2},
        {"max_steps": 7},
        {"max_steps": 2},
        {"num_train_epochs": 2},
    ],
    ids=str,
)
def test_trained_tokens_are_those_that_the_trainer_reads(
    load: Load, pairs: pl.DataFrame, batches: list[Any], tmp_path: Path, train: dict[str, Any]
) -> None:
    facts = fit(load, pairs, tmp_path, train=train)
    _, tokenizer = load()
    lengths = pair_lengths(tokenizer, pairs, train.get("max_length", 512))
    read: list[int] = []
    for batch in batches:
        half = len(batch["input_ids"]) // 2
        sizes = batch["attention_mask"].sum(dim=1)
        read += (sizes[:half] + sizes[half:]).tolist()
    assert read[: len(pairs)] == lengths[: len(read)]
    assert facts["trained_tokens"] == sum(read)
    if train.get("max_length"):
        assert 0 < facts["cut_answers"] < 2 * len(pairs)
        assert max(lengths) == 29 + 30
    assert (facts["generated_tokens"], facts["scored"]) == (0, 0)
    assert len(losses(tmp_path)) == facts["steps"]


def test_odd_texts_are_counted_right(load: Load, batches: list[Any], tmp_path: Path) -> None:
    """Answers that begin with a line end, hold an end token, or end in blanks."""
    pairs = pl.DataFrame(
        {
            "prompt": ["Tea?", "<|im_start|>user", "Sag!\n", "2 + 2?"],
            "chosen": ["\n\nYes", " A space\n", "Gut — danke! 🙂", "An end <|im_end|> and on."],
            "rejected": ["No", "\tb\n\n", "<|im_end|>", "4"],
        }
    )
    fit(load, pairs, tmp_path)
    _, tokenizer = load()
    sizes = batches[0]["attention_mask"].sum(dim=1)
    assert pair_lengths(tokenizer, pairs, 512) == (sizes[:4] + sizes[4:]).tolist()
    # Whichever token a text ends with: nothing stands behind it.
    for ids, mask in zip(batches[0]["input_ids"], batches[0]["attention_mask"], strict=True):
        assert ids[mask.bool()][-1] == tokenizer.eos_token_id


def test_the_reference_is_read_anew_for_other_lengths(
    load: Load, pairs: pl.DataFrame, tmp_path: Path
) -> None:
    """TRL keeps the reference's log-probabilities of a process in files: never the wrong ones."""
    for number, limit in enumerate((512, 30, 28, 512)):
        fit(load, pairs, tmp_path / str(number), train={"max_length": limit})
        assert losses(tmp_path / str(number))[0] == pytest.approx(math.log(2), abs=3e-5)
    assert weights(tmp_path / "0") == weights(tmp_path / "3") != weights(tmp_path / "1")


def test_training_makes_the_chosen_answers_likelier(load: Load, tmp_path: Path) -> None:
    texts = sentences()
    pairs = pl.DataFrame(
        {
            "prompt": [texts[37 * i % 588] for i in range(40)],
            "chosen": ["I like good tea today."] * 40,
            "rejected": [texts[(53 * i + 9) % 588] for i in range(40)],
        }
    )
    facts = fit(load, pairs, tmp_path, train={"max_steps": 60})
    logged = losses(tmp_path)
    assert logged[0] == pytest.approx(math.log(2), abs=1e-4)
    assert max(logged[-3:]) < 0.5
    log = json.loads((tmp_path / "log.json").read_text())
    assert log[-1]["rewards/accuracies"] == 1
    assert log[-1]["logps/chosen"] > log[0]["logps/chosen"]
    base, tokenizer = load()
    before, after = [], []
    ids = [tokenizer(text, return_tensors="pt")["input_ids"][0] for text in pairs["chosen"][:1]]
    ids += [tokenizer(text, return_tensors="pt")["input_ids"][0] for text in pairs["rejected"][:5]]
    for one in ids:
        before.append(log_probability(base, one, torch.ones(len(one))))
    model = load_adapter(base, tmp_path / "adapter")
    for one in ids:
        after.append(log_probability(model, one, torch.ones(len(one))))
    gain = torch.stack(after) - torch.stack(before)
    assert (gain[0] > gain[1:]).all(), "also without the prompt"
    answers = sample(model, tokenizer, pairs["prompt"][:3].to_list(), max_new_tokens=4)
    assert len(answers) == 3
    saved = load_file(tmp_path / "adapter" / "adapter_model.safetensors")
    assert facts["trainable_parameters"] == sum(tensor.numel() for tensor in saved.values())
    assert all(bool(saved[name].abs().max() > 0) for name in saved if "lora_B" in name)


def test_only_the_adapter_is_trained_and_saved(
    load: Load, pairs: pl.DataFrame, tmp_path: Path
) -> None:
    model, tokenizer = load()
    before = {name: p.clone() for name, p in model.named_parameters()}
    facts = dpo.fit_pairs(
        model,
        tokenizer,
        pairs,
        tmp_path,
        machine=CPU,
        train=TRAIN,
        lora={**LORA, "lora_dropout": 0.3},
    )
    after = {n.replace(".base_layer", ""): p for n, p in model.named_parameters()}
    for name, parameter in before.items():
        assert torch.equal(after[name], parameter), name
    assert sorted(p.name for p in tmp_path.iterdir()) == ["adapter", "log.json"]
    names = ["adapter_config.json", "adapter_model.safetensors"]
    assert sorted(p.name for p in (tmp_path / "adapter").iterdir()) == names, "no copy, no card"
    assert facts["lora"]["lora_dropout"] == 0, "what was in force, not what was asked for"
    assert (facts["beta"], facts["weight"], facts["pairs"]) == (0.1, 1.0, 10)
    json.dumps(facts, default=str)


def test_a_margin_changes_what_is_learned(load: Load, pairs: pl.DataFrame, tmp_path: Path) -> None:
    fit(load, pairs, tmp_path / "dpo")
    fit(load, pairs.with_columns(margin=2.0), tmp_path / "modpo")
    fit(load, pairs.with_columns(margin=0), tmp_path / "none")
    assert weights(tmp_path / "dpo") != weights(tmp_path / "modpo")
    assert weights(tmp_path / "dpo") == weights(tmp_path / "none")


def test_the_same_seed_gives_the_same_bytes(
    load: Load, pairs: pl.DataFrame, tmp_path: Path
) -> None:
    for name, seed in (("a", 1), ("b", 1), ("c", 2)):
        torch.manual_seed(hash(name))
        fit(load, pairs, tmp_path / name, seed=seed)
    assert weights(tmp_path / "a") == weights(tmp_path / "b")
    assert weights(tmp_path / "a") != weights(tmp_path / "c")


def test_going_on_from_a_checkpoint_changes_nothing(
    load: Load, pairs: pl.DataFrame, tmp_path: Path
) -> None:
    frame = pairs.with_columns(margin=pl.int_range(pl.len()) / 10)
    saving = {"max_steps": 8, "save_strategy": "steps", "save_steps": 3}
    whole = fit(load, frame, tmp_path / "whole", train=saving, weight=0.5)

    def die(done: int, total: int) -> None:
        if done == 7:
            raise Killed

    with pytest.raises(Killed):
        fit(load, frame, tmp_path / "killed", train=saving, weight=0.5, on_step=die)
    steps: list[tuple[int, int]] = []
    again = fit(
        load,
        frame,
        tmp_path / "killed",
        train=saving,
        weight=0.5,
        on_step=lambda *at: steps.append(at),
    )
    assert steps == [(7, 8), (8, 8)], "what was done is not done again"
    assert weights(tmp_path / "killed") == weights(tmp_path / "whole")
    assert losses(tmp_path / "killed") == losses(tmp_path / "whole")
    assert again["trained_tokens"] == whole["trained_tokens"]


def test_settings_arrive_as_they_are(
    load: Load, pairs: pl.DataFrame, pair_trainers: list[Any], tmp_path: Path
) -> None:
    train = {"learning_rate": 0.25, "weight_decay": 0.125, "max_length": 77, "warmup_steps": 2}
    dpo.check_settings(train, LORA)
    facts = fit(load, pairs, tmp_path, train=train, seed=5)
    arguments = pair_trainers[0].args
    assert {key: getattr(arguments, key) for key in train} == train
    assert (arguments.seed, arguments.use_cpu, arguments.bf16) == (5, True, False)
    assert arguments.loss_type == ["sigmoid"]
    assert facts["train"]["learning_rate"] == 0.25
    model, tokenizer = load()
    machine = Machine(device="cpu", bfloat16=True, threads=1)
    dpo.fit_pairs(model, tokenizer, pairs, tmp_path, machine=machine, train={}, lora={})
    arguments = pair_trainers[1].args
    assert (arguments.bf16, arguments.learning_rate, arguments.max_length) == (True, 1e-4, 512)
    assert arguments.per_device_train_batch_size == 8
    assert pair_trainers[1].model.peft_config["default"].r == 64


def test_nothing_is_printed(
    load: Load, pairs: pl.DataFrame, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    fit(load, pairs, tmp_path)
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize("key", dpo.KIND.keys.own)
def test_settings_that_the_run_decides(key: str) -> None:
    with pytest.raises(ValueError, match=f"^pairs.{key} is set by the run itself: leave it out"):
        dpo.check_settings({key: 1}, {})


@pytest.mark.parametrize(
    ("train", "lora", "message"),
    [
        ({"learning_rat": 1}, {}, r"unknown key pairs\.learning_rat: did you mean learning_rate\?"),
        ({"learning_rate": "fast"}, {}, r"pairs\.learning_rate: expected a number, got 'fast'"),
        ({}, {"lora_alfa": 1}, r"unknown key lora\.lora_alfa: did you mean lora_alpha\?"),
    ],
)
def test_misspelt_settings(train: dict[str, Any], lora: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        dpo.check_settings(train, lora)


@pytest.mark.parametrize(
    ("change", "more", "message"),
    [
        (lambda f: f[:0], {}, "no pairs to train on"),
        (lambda f: f.drop("rejected"), {}, "text column 'rejected'; the frame has prompt, chosen"),
        (lambda f: f.with_columns(chosen=pl.lit(1)), {}, "text column 'chosen'"),
        (
            lambda f: f.with_columns(chosen=pl.lit(None, pl.String)),
            {},
            "column 'chosen' holds 10 nulls",
        ),
        (
            lambda f: f.with_columns(rejected=pl.col("chosen")),
            {},
            r"10 of 10 pairs hold one text twice \(first: row 0\)",
        ),
        (lambda f: f.with_columns(margin=float("nan")), {}, "'margin' must hold a finite number"),
        (lambda f: f.with_columns(margin=pl.lit("1")), {}, "'margin' must hold a finite number"),
        (lambda f: f.with_columns(margin=None), {}, "'margin' must hold a finite number"),
        (lambda f: f, {"weight": 0.0}, "weight must be above 0 and at most 1"),
        (lambda f: f, {"weight": 1.5}, "weight must be above 0 and at most 1"),
        (lambda f: f, {"beta": 0.0}, "beta above 0"),
        (lambda f: f, {"beta": float("nan")}, "beta above 0"),
        (lambda f: f, {"train": {"max_length": 12}}, "all of 10 answers would be cut off whole"),
        (
            lambda f: f,
            {"train": {"max_length": 25}},
            "max_length=25 cuts all 20 answers short",
        ),
    ],
)
def test_bad_input(
    load: Load, pairs: pl.DataFrame, tmp_path: Path, change: Any, more: Any, message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        fit(load, change(pairs), tmp_path, **more)
    assert not list(tmp_path.iterdir())


def test_a_template_that_does_not_end_answers(
    load: Load, pairs: pl.DataFrame, tmp_path: Path
) -> None:
    template = (
        "{% for m in messages %}{{ m['role'] + ': ' + m['content'] + '\n' }}{% endfor %}"
        "{% if add_generation_prompt %}{{ 'assistant: ' }}{% endif %}"
    )
    with pytest.raises(ValueError, match=r"ends an answer without <\|im_end\|>, .*never stop"):
        fit(lambda: load(template), pairs, tmp_path)


@pytest.mark.parametrize(
    ("changed", "same"),
    [
        ({"optim": "sgd"}, False),
        ({"weight_decay": 0.5}, False),
        ({"max_grad_norm": 1e-3}, False),
        ({"disable_dropout": False}, False),
        ({"dataloader_num_workers": 1}, True),
        ({"logging_steps": 2}, True),
    ],
    ids=str,
)
def test_a_setting_changes_what_is_trained(
    load: Load, pairs: pl.DataFrame, tmp_path: Path, changed: dict[str, Any], same: bool
) -> None:
    lora = {**LORA, "lora_dropout": 0.3}
    for name, train in (("plain", {}), ("changed", changed)):
        fit(load, pairs, tmp_path / name, train=train, lora=lora)
    assert (weights(tmp_path / "plain") == weights(tmp_path / "changed")) is same


def test_a_number_of_steps_and_of_epochs(load: Load, pairs: pl.DataFrame, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"^pairs\.num_train_epochs: max_steps is given too"):
        fit(load, pairs, tmp_path, train={"max_steps": 2, "num_train_epochs": 1})


def test_recomputed_activations_are_the_same_but_for_rounding(
    load: Load, pairs: pl.DataFrame, tmp_path: Path
) -> None:
    """They are of padded rows, on a CPU where the others have no padding."""
    losses = []
    for name, train in (("plain", {}), ("changed", {"activation_checkpointing": True})):
        fit(load, pairs, tmp_path / name, train=train)
        log = json.loads((tmp_path / name / "log.json").read_text())
        losses.append([entry["loss"] for entry in log])
    assert len(losses[0]) > 2
    assert losses[0] == pytest.approx(losses[1], rel=1e-4)
