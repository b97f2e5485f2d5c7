"""Datasets of every kind of layout in the trainer that users give them to."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import polars as pl
import pytest
from trl import SFTConfig, SFTTrainer

from helpers.small_fit import Load
from helpers.tiny import CHAT_TEMPLATE
from helpers.written_layouts import CALL, LAYOUTS, LONG, OTHER, assistant, frame_of
from paretohqd.selection.dataset import sft_dataset


def trained(model: Any, tokenizer: Any, frame: pl.DataFrame, out: Path) -> list[tuple[str, str]]:
    """What stands before the tokens with a loss in each row, and these tokens."""
    arguments = SFTConfig(output_dir=str(out), use_cpu=True, bf16=False, report_to="none")
    trainer = SFTTrainer(
        model=model, args=arguments, train_dataset=sft_dataset(frame), processing_class=tokenizer
    )
    rows = []
    for row in trainer.train_dataset:
        start = next(i for i, label in enumerate(row["labels"]) if label != -100)
        assert row["labels"][start:] == row["input_ids"][start:]
        ids = row["input_ids"]
        rows.append((tokenizer.decode(ids[:start]), tokenizer.decode(ids[start:])))
    return rows


@pytest.mark.parametrize("name", LAYOUTS)
def test_the_answer_alone_is_trained(name: str, load: Load, tmp_path: Path) -> None:
    model, tokenizer = load()
    row, prompt = LAYOUTS[name]
    prompt_text = tokenizer.apply_chat_template(prompt, tokenize=False, add_generation_prompt=True)
    # The line end is the template's own.
    samples = trained(model, tokenizer, frame_of([row]), tmp_path)
    assert samples == [(prompt_text, "Yes.<|im_end|>\n")]


def test_calls_reach_the_template(load: Load, tmp_path: Path) -> None:
    model, tokenizer = load()
    with_calls = (
        "message['content'] + (message['tool_calls'] | string if 'tool_calls' in message else '')"
    )
    tokenizer.chat_template = "{{ tools }}" + CHAT_TEMPLATE.replace(
        "message['content']", with_calls
    )
    frame = pl.DataFrame(
        {
            "messages": pl.Series(
                [[*LONG[:3], assistant("", tool_calls=[call])] for call in (CALL, OTHER)],
                strict=False,
            ),
            "tools": '[{"name": "x"}]',
        }
    )
    samples = trained(model, tokenizer, frame, tmp_path)
    for (before, inside), call in zip(samples, (CALL, OTHER), strict=True):
        assert inside == f"{[call]}<|im_end|>\n"
        assert before.startswith("[{'name': 'x'}]<|im_start|>user\nHi<|im_end|>")
        assert "function" not in before
