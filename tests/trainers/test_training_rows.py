"""Rows as the trainer reads them: what the loss is on, what is counted, what is cut."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import polars as pl
import pytest
import torch
from trl import SFTTrainer

from helpers.small_fit import CPU, TRAIN, Load, fit
from paretohqd.frames.conversations.prompts import write_prompt
from paretohqd.models import base, chat
from paretohqd.models.spec import Model
from paretohqd.selection.dataset import sft_dataset
from paretohqd.trainers import sft


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


TURNS = [
    {"role": "system", "content": "Be brief. <|im_end|>"},
    {"role": "user", "content": "Hi"},
    {"role": "assistant", "content": "Hello!"},
    {"role": "user", "content": "Tea or coffee?"},
    {"role": "assistant", "content": "Coffee, please.\n"},
    {"role": "user", "content": "Why?"},
]


def loaded(which: str, load: Load) -> tuple[Any, Any]:
    """The embedded model and its tokenizer, or tiny ones."""
    if which == "embedded":
        return base.load_base(Model(), device="cpu", dtype=torch.float32)
    return load()


CONVERSATIONS = [TURNS, TURNS[1:4], [TURNS[0], TURNS[1]], TURNS[1:]]
"""Three turns with a system's message, two, one, and three without it."""


@pytest.mark.parametrize("which", ["tiny", "embedded"])
def test_loss_on_the_last_answer_of_a_conversation_only(
    which: str, load: Load, sft_trainers: list[SFTTrainer], tmp_path: Path
) -> None:
    model, tokenizer = loaded(which, load)
    prompts = [write_prompt(turns) for turns in CONVERSATIONS]
    rows = pl.DataFrame({"prompt": prompts, "response": "It wakes me."})
    sft.fit(model, tokenizer, rows, tmp_path, machine=CPU, train=TRAIN, lora={"r": 1})
    sampled = chat.encode_prompts(tokenizer, prompts)
    for example, turns, start in zip(
        sft_trainers[0].train_dataset, CONVERSATIONS, sampled, strict=True
    ):
        before, inside, _ = trained(tokenizer, example)
        assert inside == "It wakes me.<|im_end|>"
        rendered = tokenizer.apply_chat_template(turns, tokenize=False, add_generation_prompt=True)
        assert before == rendered
        assert example["input_ids"][: len(start)] == start
        # The text of a control token in a message is no control token.
        ends = [i for i in start if i == tokenizer.eos_token_id]
        written = "".join(turn["content"] for turn in turns).count("<|im_end|>")
        assert len(ends) == rendered.count("<|im_end|>") - written


@pytest.mark.parametrize("which", ["tiny", "embedded"])
def test_loss_on_the_answer_and_its_end_token_only(
    which: str, load: Load, sft_trainers: list[SFTTrainer], tmp_path: Path
) -> None:
    model, tokenizer = loaded(which, load)
    facts = sft.fit(model, tokenizer, ANSWERS, tmp_path, machine=CPU, train=TRAIN, lora={"r": 1})
    dataset = sft_trainers[0].train_dataset
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
    limit = int(chat.prompt_lengths(tokenizer, long)[0]) + 5
    with pytest.raises(ValueError, match=f"max_length={limit} cuts all 3 answers short"):
        sft.fit(
            model,
            tokenizer,
            long,
            tmp_path,
            machine=CPU,
            train={**TRAIN, "max_length": limit},
            lora={"r": 1},
        )


def test_labels_reach_the_loss_as_they_are(
    load: Load, sft_trainers: list[SFTTrainer], tmp_path: Path
) -> None:
    """The collator neither drops the end token (pad may equal it) nor adds labels."""
    fit(load, ANSWERS, tmp_path, train={"per_device_train_batch_size": 5})
    batch = next(iter(sft_trainers[0].get_train_dataloader()))
    tokenizer = sft_trainers[0].processing_class
    texts = {tokenizer.decode([t for t in row if t != -100]) for row in batch["labels"].tolist()}
    assert texts == {response + "<|im_end|>" for response in ANSWERS["response"]}


def test_packed_answers_end_at_their_end_tokens(
    load: Load, sft_trainers: list[SFTTrainer], tmp_path: Path
) -> None:
    fit(load, ANSWERS[:4], tmp_path, train={"packing": True, "packing_strategy": "wrapped"})
    labels = [label for row in sft_trainers[0].train_dataset["labels"] for label in row]
    tokenizer = sft_trainers[0].processing_class
    text = tokenizer.decode([label for label in labels if label != -100])
    assert sorted(text.removesuffix("<|im_end|>").split("<|im_end|>")) == sorted(
        ANSWERS["response"][:4]
    )


def test_the_dataset_is_conversational(rows: pl.DataFrame) -> None:
    dataset = sft_dataset(rows.with_columns(other=1))
    assert dataset.column_names == ["prompt", "completion"]
    assert dataset[0] == {
        "prompt": [{"role": "user", "content": rows["prompt"][0]}],
        "completion": [{"role": "assistant", "content": rows["response"][0]}],
    }


def test_prompt_lengths_are_those_of_the_training_rows(
    load: Load, sft_trainers: list[SFTTrainer], tmp_path: Path
) -> None:
    rows = pl.concat([ANSWERS, ANSWERS[:2]])
    fit(load, rows, tmp_path)
    lengths = chat.prompt_lengths(load()[1], rows)
    starts = [
        next(i for i, t in enumerate(e["labels"]) if t != -100)
        for e in sft_trainers[0].train_dataset
    ]
    assert lengths.to_list() == starts


def test_system_messages_come_before_the_prompt_and_count(
    load: Load, sft_trainers: list[SFTTrainer], tmp_path: Path
) -> None:
    messages = ["<help> 0.7", "", "Be brief.", "", "x"]
    rows = ANSWERS.with_columns(system_prompt=pl.Series(messages[: len(ANSWERS)]))
    fit(load, rows, tmp_path)
    tokenizer = sft_trainers[0].processing_class
    for first, example, prompt in zip(
        messages, sft_trainers[0].train_dataset, rows["prompt"], strict=False
    ):
        text = tokenizer.decode(example["input_ids"])
        system = f"<|im_start|>system\n{first}<|im_end|>\n" if first else ""
        assert text.startswith(f"{system}<|im_start|>user\n{prompt}<|im_end|>")
    starts = [
        next(i for i, t in enumerate(e["labels"]) if t != -100)
        for e in sft_trainers[0].train_dataset
    ]
    assert chat.prompt_lengths(tokenizer, rows).to_list() == starts


@pytest.mark.parametrize("limit", [None, 45])
def test_row_lengths_are_the_tokens_that_are_fed(
    load: Load, sft_trainers: list[SFTTrainer], tmp_path: Path, limit: int | None
) -> None:
    rows = ANSWERS.with_columns(system_prompt=pl.Series(["", "Be kind."] * 5).head(len(ANSWERS)))
    fit(load, rows, tmp_path, train={"max_length": limit or 512})
    fed = [len(example["input_ids"]) for example in sft_trainers[0].train_dataset]
    assert chat.row_lengths(load()[1], rows, limit) == fed


def test_rows_are_trained_on_in_their_order_where_asked(
    load: Load, sft_trainers: list[SFTTrainer], tmp_path: Path
) -> None:
    train = {"train_sampling_strategy": "sequential", "per_device_train_batch_size": 1}
    fit(load, ANSWERS, tmp_path, train=train)
    batches = list(sft_trainers[0].get_train_dataloader())
    fed = [example["input_ids"] for example in sft_trainers[0].train_dataset]
    assert [batch["input_ids"][0].tolist() for batch in batches] == fed


def test_an_answer_that_is_cut_is_counted(
    load: Load, sft_trainers: list[SFTTrainer], tmp_path: Path
) -> None:
    rows = pl.DataFrame({"prompt": ["Hi", "Hi"], "response": ["tea", "tea " * 60]})
    facts = fit(load, rows, tmp_path, train={"max_length": 40})
    assert facts["cut_answers"] == 1
    tokenizer = sft_trainers[0].processing_class
    assert trained(tokenizer, sft_trainers[0].train_dataset[0])[1] == "tea<|im_end|>"
    assert len(sft_trainers[0].train_dataset[1]["input_ids"]) == 40


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
