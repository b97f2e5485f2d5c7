from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import polars as pl
import pytest
import torch
from peft import get_peft_model_state_dict
from safetensors.torch import load_file
from trl import SFTTrainer

from paretohqd import models, training
from paretohqd.config import Model
from paretohqd.models import Machine

CPU = Machine(device="cpu", bfloat16=False, threads=1)
TRAIN = {"max_steps": 3, "per_device_train_batch_size": 2, "learning_rate": 1e-2}
LORA = {"r": 4, "lora_alpha": 8}

Load = Callable[[], tuple[Any, Any]]


class Killed(BaseException):
    """Stands in for a signal: nothing catches it."""


@pytest.fixture
def load(causal: Path) -> Load:
    spec = Model(name=str(causal))
    return lambda: models.load_base(spec, device="cpu", dtype=torch.float32)


@pytest.fixture
def trainers(monkeypatch: pytest.MonkeyPatch) -> list[SFTTrainer]:
    """Trainers that `fit` makes; they do not train."""
    seen: list[SFTTrainer] = []

    class Spy(SFTTrainer):  # type: ignore[misc]
        def train(self, *args: Any, **more: Any) -> None:
            seen.append(self)

    monkeypatch.setattr(training, "SFTTrainer", Spy)
    return seen


def fit(load: Load, rows: pl.DataFrame, out: Path, **more: Any) -> dict[str, Any]:
    model, tokenizer = load()
    settings = {"machine": CPU, "train": TRAIN, "lora": LORA, **more}
    settings["train"] = {**TRAIN, **settings["train"]}
    return training.fit(model, tokenizer, rows, out, **settings)


def weights(out: Path) -> bytes:
    return (out / "adapter" / "adapter_model.safetensors").read_bytes()


def trained(tokenizer: Any, example: dict[str, list[int]]) -> tuple[str, str, str]:
    """What stands before, in and after the tokens with a loss."""
    labels, ids = example["labels"], example["input_ids"]
    places = [i for i, label in enumerate(labels) if label != -100]
    first, last = places[0], places[-1]
    assert places == list(range(first, last + 1)), "the loss is on one stretch"
    assert [labels[i] for i in places] == ids[first : last + 1]
    cuts = ids[:first], ids[first : last + 1], ids[last + 1 :]
    before, inside, after = (tokenizer.decode(part) for part in cuts)
    return before, inside, after


ANSWERS = pl.DataFrame(
    {
        "prompt": ["Tea or coffee?", "<|im_start|>user", "Wie geht's?\n\nSag!", "2 + 2?", "Hi"],
        "response": [
            "Coffee, please.",
            " It starts with a space and ends with a line.\n",
            "Gut — danke! 🙂\n\n\tUnd dir?",
            "4",
            "An end token <|im_end|> in the middle, and on.",
        ],
    }
)


@pytest.mark.parametrize("which", ["tiny", "embedded"])
def test_loss_on_the_answer_and_its_end_token_only(
    which: str, load: Load, trainers: list[SFTTrainer], tmp_path: Path
) -> None:
    if which == "embedded":
        model, tokenizer = models.load_base(Model(), device="cpu", dtype=torch.float32)
    else:
        model, tokenizer = load()
    facts = training.fit(
        model, tokenizer, ANSWERS, tmp_path, machine=CPU, train=TRAIN, lora={"r": 1}
    )
    dataset = trainers[0].train_dataset
    assert len(dataset) == len(ANSWERS)
    for example, (prompt, response) in zip(dataset, ANSWERS.iter_rows(), strict=True):
        before, inside, after = trained(tokenizer, example)
        assert inside == response + "<|im_end|>"
        assert before.endswith(f"<|im_start|>user\n{prompt}<|im_end|>\n<|im_start|>assistant\n")
        assert after == "\n", "the template's own line end is not trained on"
    assert facts["cut_answers"] == 0
    assert facts["rows"] == len(ANSWERS)


def test_all_answers_cut_short_are_refused(load: Load, tmp_path: Path) -> None:
    model, tokenizer = load()
    long = pl.DataFrame({"prompt": ["Hi"] * 3, "response": ["on and on " * 30] * 3})
    limit = int(training.prompt_lengths(tokenizer, long)[0]) + 5
    with pytest.raises(ValueError, match=f"max_length={limit} cuts all 3 answers short"):
        training.fit(
            model, tokenizer, long, tmp_path,
            machine=CPU, train={**TRAIN, "max_length": limit}, lora={"r": 1},
        )  # fmt: skip


def test_labels_reach_the_loss_as_they_are(
    load: Load, trainers: list[SFTTrainer], tmp_path: Path
) -> None:
    """The collator neither drops the end token (pad may equal it) nor adds labels."""
    fit(load, ANSWERS, tmp_path, train={"per_device_train_batch_size": 5})
    batch = next(iter(trainers[0].get_train_dataloader()))
    tokenizer = trainers[0].processing_class
    texts = {tokenizer.decode([t for t in row if t != -100]) for row in batch["labels"].tolist()}
    assert texts == {response + "<|im_end|>" for response in ANSWERS["response"]}


def test_packed_answers_end_at_their_end_tokens(
    load: Load, trainers: list[SFTTrainer], tmp_path: Path
) -> None:
    fit(load, ANSWERS[:4], tmp_path, train={"packing": True, "packing_strategy": "wrapped"})
    labels = [label for row in trainers[0].train_dataset["labels"] for label in row]
    tokenizer = trainers[0].processing_class
    text = tokenizer.decode([label for label in labels if label != -100])
    assert sorted(text.removesuffix("<|im_end|>").split("<|im_end|>")) == sorted(
        ANSWERS["response"][:4]
    )


@pytest.mark.parametrize(
    ("labels", "expected"),
    [
        ([-100, 5, 9, 7], [-100, 5, 9, -100]),
        ([-100, 5, 9, 5, 9, 7, 7], [-100, 5, 9, 5, 9, -100, -100]),
        ([5, 6], [5, 6]),
        ([5, 9, 7, -100, 5, 7, -100, 9, 7], [5, 9, -100, -100, 5, 7, -100, 9, -100]),
        ([], []),
    ],
)
def test_what_follows_the_last_end_token_is_masked(labels: list[int], expected: list[int]) -> None:
    assert training._until_stop(labels, {9}) == expected


def test_the_dataset_is_conversational(rows: pl.DataFrame) -> None:
    dataset = training.sft_dataset(rows.with_columns(other=1))
    assert dataset.column_names == ["prompt", "completion"]
    assert dataset[0] == {
        "prompt": [{"role": "user", "content": rows["prompt"][0]}],
        "completion": [{"role": "assistant", "content": rows["response"][0]}],
    }


def test_prompt_lengths_are_those_of_the_training_rows(
    load: Load, trainers: list[SFTTrainer], tmp_path: Path
) -> None:
    rows = pl.concat([ANSWERS, ANSWERS[:2]])
    fit(load, rows, tmp_path)
    lengths = training.prompt_lengths(load()[1], rows)
    starts = [
        next(i for i, t in enumerate(e["labels"]) if t != -100) for e in trainers[0].train_dataset
    ]
    assert lengths.to_list() == starts


def test_system_messages_come_before_the_prompt_and_count(
    load: Load, trainers: list[SFTTrainer], tmp_path: Path
) -> None:
    told = ["<help> 0.7", "", "Be brief.", "", "x"]
    rows = ANSWERS.with_columns(before=pl.Series(told[: len(ANSWERS)]))
    fit(load, rows, tmp_path)
    tokenizer = trainers[0].processing_class
    for first, example, prompt in zip(
        told, trainers[0].train_dataset, rows["prompt"], strict=False
    ):
        text = tokenizer.decode(example["input_ids"])
        system = f"<|im_start|>system\n{first}<|im_end|>\n" if first else ""
        assert text.startswith(f"{system}<|im_start|>user\n{prompt}<|im_end|>")
    starts = [
        next(i for i, t in enumerate(e["labels"]) if t != -100) for e in trainers[0].train_dataset
    ]
    assert training.prompt_lengths(tokenizer, rows).to_list() == starts


@pytest.mark.parametrize("limit", [None, 45])
def test_row_lengths_are_the_tokens_that_are_fed(
    load: Load, trainers: list[SFTTrainer], tmp_path: Path, limit: int | None
) -> None:
    rows = ANSWERS.with_columns(before=pl.Series(["", "Be kind."] * 5).head(len(ANSWERS)))
    fit(load, rows, tmp_path, train={"max_length": limit or 512})
    fed = [len(example["input_ids"]) for example in trainers[0].train_dataset]
    assert training.row_lengths(load()[1], rows, limit) == fed


def test_rows_are_trained_on_in_their_order_where_asked(
    load: Load, trainers: list[SFTTrainer], tmp_path: Path
) -> None:
    train = {"train_sampling_strategy": "sequential", "per_device_train_batch_size": 1}
    fit(load, ANSWERS, tmp_path, train=train)
    batches = list(trainers[0].get_train_dataloader())
    fed = [example["input_ids"] for example in trainers[0].train_dataset]
    assert [batch["input_ids"][0].tolist() for batch in batches] == fed


def test_an_answer_that_is_cut_is_counted(
    load: Load, trainers: list[SFTTrainer], tmp_path: Path
) -> None:
    rows = pl.DataFrame({"prompt": ["Hi", "Hi"], "response": ["tea", "tea " * 60]})
    facts = fit(load, rows, tmp_path, train={"max_length": 40})
    assert facts["cut_answers"] == 1
    tokenizer = trainers[0].processing_class
    assert trained(tokenizer, trainers[0].train_dataset[0])[1] == "tea<|im_end|>"
    assert len(trainers[0].train_dataset[1]["input_ids"]) == 40


def test_only_the_adapter_is_trained(load: Load, rows: pl.DataFrame, tmp_path: Path) -> None:
    model, tokenizer = load()
    before = {name: p.clone() for name, p in model.named_parameters()}
    facts = training.fit(model, tokenizer, rows, tmp_path, machine=CPU, train=TRAIN, lora=LORA)
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

    monkeypatch.setattr(training, "SFTTrainer", Spy)
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


def test_answers_that_would_be_cut_off_whole(
    load: Load, rows: pl.DataFrame, tmp_path: Path
) -> None:
    with pytest.raises(ValueError, match=r"^all of 12 answers would be cut off .*first: row 0\)"):
        fit(load, rows, tmp_path, train={"max_length": 5})
    lengths = [len(p) for p in rows["prompt"]]
    long = rows.with_columns(
        prompt=pl.when(pl.int_range(pl.len()) == 3)
        .then(pl.lit("word " * 200))
        .otherwise(pl.col("prompt"))
    )
    assert max(lengths) < 200
    with pytest.raises(ValueError, match=r"^1 of 12 answers .*max_length=150.*\(first: row 3\)"):
        fit(load, long, tmp_path, train={"max_length": 150})
    assert not list(tmp_path.iterdir())


def test_no_rows(load: Load, rows: pl.DataFrame, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="no rows to train on"):
        fit(load, rows[:0], tmp_path)


def test_a_template_that_does_not_end_answers(
    causal: Path, rows: pl.DataFrame, tmp_path: Path
) -> None:
    template = (
        "{% for m in messages %}{{ m['role'] + ': ' + m['content'] + '\n' }}{% endfor %}"
        "{% if add_generation_prompt %}{{ 'assistant: ' }}{% endif %}"
    )
    spec = Model(name=str(causal), chat_template=template)
    model, tokenizer = models.load_base(spec, device="cpu", dtype=torch.float32)
    with pytest.raises(ValueError, match=r"ends an answer without <\|im_end\|>, .*never stop"):
        training.fit(model, tokenizer, rows, tmp_path, machine=CPU, train=TRAIN, lora=LORA)


def test_an_adapter_that_trains_nothing(
    load: Load, rows: pl.DataFrame, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fit(load, rows, tmp_path / "one")
    whole = training.PeftModel.from_pretrained

    def frozen(*args: Any, **more: Any) -> Any:
        return whole(*args, **{**more, "is_trainable": False})

    monkeypatch.setattr(training.PeftModel, "from_pretrained", frozen)
    with pytest.raises(ValueError, match="no trainable parameters"):
        fit(load, rows, tmp_path / "two", start_from=tmp_path / "one" / "adapter")


@pytest.mark.parametrize("key", training.RESERVED)
def test_settings_that_the_run_decides(key: str) -> None:
    with pytest.raises(ValueError, match=f"^train.{key} is set by the run itself: leave it out"):
        training.check_settings({"max_steps": 2, key: 1}, {})


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
        training.check_settings(train, lora)


def test_settings_arrive_as_they_are(
    load: Load, rows: pl.DataFrame, trainers: list[SFTTrainer], tmp_path: Path
) -> None:
    train = {
        "learning_rate": 0.25,
        "lr_scheduler_type": "constant",
        "weight_decay": 0.125,
        "gradient_accumulation_steps": 3,
        "max_length": 77,
        "warmup_steps": 2,
    }
    lora = {"r": 3, "lora_alpha": 5, "lora_dropout": 0.5, "target_modules": ["q_proj"]}
    training.check_settings(train, lora)
    facts = fit(load, rows, tmp_path, train=train, lora=lora, seed=5)
    arguments = trainers[0].args
    assert {key: getattr(arguments, key) for key in train} == train
    assert (arguments.seed, arguments.use_cpu, arguments.bf16) == (5, True, False)
    assert arguments.report_to == []
    found = trainers[0].model.peft_config["default"]
    assert {key: getattr(found, key) for key in lora} == {**lora, "target_modules": {"q_proj"}}
    assert facts["train"]["learning_rate"] == 0.25
    assert facts["lora"]["r"] == 3


def test_without_settings_the_published_ones_are_in_force(
    load: Load, rows: pl.DataFrame, trainers: list[SFTTrainer], tmp_path: Path
) -> None:
    model, tokenizer = load()
    training.fit(model, tokenizer, rows, tmp_path, machine=CPU, train={}, lora={})
    arguments, adapter = trainers[0].args, trainers[0].model.peft_config["default"]
    assert (arguments.max_steps, arguments.per_device_train_batch_size) == (200, 8)
    assert (arguments.learning_rate, arguments.max_length) == (1.4e-4, 512)
    assert (adapter.r, adapter.lora_alpha, adapter.lora_dropout) == (64, 128, 0.05)
    assert len(adapter.target_modules) == 14, "the seven linear layers of both blocks"


@pytest.mark.parametrize("bfloat16", [True, False])
def test_bfloat16_goes_to_the_trainer(
    load: Load, rows: pl.DataFrame, trainers: list[SFTTrainer], tmp_path: Path, bfloat16: bool
) -> None:
    machine = Machine(device="cpu", bfloat16=bfloat16, threads=1)
    fit(load, rows, tmp_path, machine=machine)
    assert trainers[0].args.bf16 is bfloat16


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

    def die(trainer: Any, out: Path) -> None:
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
