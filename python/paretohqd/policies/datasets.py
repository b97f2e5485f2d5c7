"""A run's chosen rows in the forms that trainers take, a file per preference, with a card."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import polars as pl
import yaml

from paretohqd.frames.conversations.messages import Message
from paretohqd.frames.conversations.prompts import read_prompt
from paretohqd.frames.new_files import write_new, write_parquet
from paretohqd.policies.card import code
from paretohqd.policies.export import CARD, empty_folder
from paretohqd.policies.finished import FinishedRun
from paretohqd.runs import layout
from paretohqd.selection.preferences import format_weights

SPEAKERS = {"system": "system", "user": "human", "assistant": "gpt"}
"""ShareGPT's words for who speaks; others keep their own."""


def export_dataset(run: FinishedRun, folder: str | Path, *, stage: int | None = None) -> Path:
    """Write the rows that trained each preference's model.

    Args:
        run: A finished run.
        folder: A new folder, or an empty one.
        stage: Whose rows; the run's chosen stage if not given.

    Returns:
        The folder: of each preference a Parquet file with all columns of the selection, and JSONL
        files in the forms of TRL (prompt and completion as messages), Alpaca (instruction, input,
        output; a conversation stands as text) and ShareGPT (conversations); and README.md.

    Raises:
        ValueError: Something lies in the folder, or the run has no such stage.
    """
    stage = run.stage if stage is None else stage
    file = run.folder / layout.select(stage) / layout.SELECTION
    if not file.is_file():
        raise ValueError(f"stage: {run.folder} has no selection of stage {stage}")
    out = empty_folder(folder)
    rows = pl.read_parquet(file)
    labels = []
    for number, weights in enumerate(run.preferences):
        own = rows.filter(pl.col("preference") == number)
        name = layout.slug(run.names[number]) if run.names else ""
        label = f"{number:02d}" + (f"-{name}" if name else "")
        labels.append((label, weights, len(own)))
        write_parquet(own, out / f"{label}.parquet")
        talks = [
            (read_prompt(prompt), response)
            for prompt, response in own.select("prompt", "response").iter_rows()
        ]
        for form, make in FORMS.items():
            lines = (json.dumps(make(*talk), ensure_ascii=False) for talk in talks)
            write_new(out / f"{label}.{form}.jsonl", "".join(f"{line}\n" for line in lines))
    write_new(out / CARD, _card(run, stage, labels))
    return out


def as_trl(prompt: Sequence[Message], response: str) -> dict[str, Any]:
    """TRL's form: it trains on the completion alone.

    Example:
        >>> as_trl([{"role": "user", "content": "Tea?"}], "Yes.")["completion"]
        [{'role': 'assistant', 'content': 'Yes.'}]
    """
    return {
        "prompt": list(prompt),
        "completion": [{"role": "assistant", "content": response}],
    }


def as_alpaca(prompt: Sequence[Message], response: str) -> dict[str, Any]:
    """Alpaca's form: the last message is the instruction, what came before stands as its input.

    Example:
        >>> as_alpaca([{"role": "user", "content": "Tea?"}], "Yes.")
        {'instruction': 'Tea?', 'input': '', 'output': 'Yes.'}
    """
    before = "\n".join(f"{turn['role']}: {turn['content']}" for turn in prompt[:-1])
    return {"instruction": prompt[-1]["content"], "input": before, "output": response}


def as_sharegpt(prompt: Sequence[Message], response: str) -> dict[str, Any]:
    """ShareGPT's form.

    Example:
        >>> as_sharegpt([{"role": "user", "content": "Tea?"}], "Yes.")["conversations"][1]
        {'from': 'gpt', 'value': 'Yes.'}
    """
    turns = [*prompt, {"role": "assistant", "content": response}]
    return {
        "conversations": [
            {"from": SPEAKERS.get(turn["role"], turn["role"]), "value": turn["content"]}
            for turn in turns
        ]
    }


FORMS: Mapping[str, Any] = {"trl": as_trl, "alpaca": as_alpaca, "sharegpt": as_sharegpt}
"""What makes a line, by the form's name."""


def _card(run: FinishedRun, stage: int, labels: Sequence[tuple[str, Sequence[float], int]]) -> str:
    """The dataset's card: a configuration per preference, which the Hub shows as such."""
    front = {
        "tags": ["paretohqd", "multi-objective-alignment"],
        "configs": [
            {"config_name": label, "data_files": f"{label}.parquet"} for label, _, _ in labels
        ],
    }
    table = [
        f"| {code(label)} | {format_weights(weights)} | {count} |"
        for label, weights, count in labels
    ]
    return "\n".join(
        [
            "---",
            yaml.safe_dump(front, sort_keys=False, allow_unicode=True).strip(),
            "---",
            "",
            "# Answers chosen for each trade-off",
            "",
            f"For {', '.join(map(code, run.objectives))}: the rows that trained stage {stage} of "
            "each preference's model, chosen by ParetoHqD (arXiv 2504.16628): those of the best "
            "Pareto layers nearest to the preference. Of each there is a Parquet file with all "
            "columns and scores, and JSONL in the forms of TRL, Alpaca and ShareGPT.",
            "",
            "| files | weights | rows |",
            "|---|---|---:|",
            *table,
            "",
            "The texts are the source data's, or models' answers to its prompts: their licence "
            "is not known here.",
            "",
        ]
    )
