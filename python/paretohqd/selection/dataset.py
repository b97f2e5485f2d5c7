"""Chosen rows as a dataset for supervised fine-tuning."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, TypedDict

import polars as pl

from paretohqd.frames.conversations.layouts import find_layout
from paretohqd.frames.conversations.rows import Conversation

if TYPE_CHECKING:
    from datasets import Dataset, DatasetDict


class DatasetColumns(TypedDict, total=False):
    """The columns that hold conversations; see `paretohqd.Selection.to_dataset`."""

    prompt: str | None
    completion: str | None
    messages: str | None
    system: str | None


def sft_dataset(
    rows: pl.DataFrame,
    *,
    prompt: str | None = None,
    completion: str | None = None,
    messages: str | None = None,
    system: str | None = None,
    keep: Sequence[str] = (),
) -> Dataset:
    """Rows as the conversational prompt/completion columns whose completion alone TRL trains.

    A `messages` column would be trained on whole, so conversations are cut before their last
    message. See `Selection.to_dataset` for the columns and `find_layout` for those that are found.

    Raises:
        ValueError: No such column, or a row that is no conversation with an answer.
        ImportError: the package `datasets` is not installed.
    """
    layout = find_layout(
        rows, prompt=prompt, completion=completion, messages=messages, system=system
    )
    return _dataset(layout.read(rows), rows.select(keep))


def dataset_dict(parts: Mapping[str, Dataset]) -> DatasetDict:
    """Datasets by their names, as one object of Hugging Face's."""
    return _package().DatasetDict(parts)


def pairs_dataset(pairs: pl.DataFrame) -> Dataset:
    """Pairs of texts (prompt, chosen, rejected) as the messages that TRL's trainers take."""
    roles = {"prompt": "user", "chosen": "assistant", "rejected": "assistant"}
    records = [
        {name: [{"role": role, "content": pair[name]}] for name, role in roles.items()}
        for pair in pairs.select(*roles).iter_rows(named=True)
    ]
    return _package().Dataset.from_list(records)


def _package() -> Any:
    """The package `datasets`, or what to do where there is none."""
    try:
        import datasets
    except ImportError as error:
        raise ImportError("datasets are needed: pip install datasets") from error
    return datasets


def _dataset(conversations: list[Conversation], kept: pl.DataFrame) -> Dataset:
    datasets = _package()
    others = kept.to_dicts() or [{}] * len(conversations)
    records: list[dict[str, Any]] = [
        {"prompt": each.turns, "completion": [each.answer], **more}
        for each, more in zip(conversations, others, strict=True)
    ]
    messages = [message for each in conversations for message in (*each.turns, each.answer)]
    tools = [each.tools for each in conversations]
    called = any(each is not None for each in tools)
    if not called and all(len(message) == 2 for message in messages):
        return datasets.Dataset.from_list(records)
    # As Arrow structs, messages would get each other's keys, which templates take for calls.
    features = datasets.Features(
        {name: datasets.List(datasets.Json()) for name in ("prompt", "completion")}
    )
    if kept.columns:
        features |= datasets.Dataset.from_list(others).features
    if called:
        text = any(isinstance(each, str) for each in tools)
        features["tools"] = datasets.Value("string") if text else datasets.List(datasets.Json())
        records = [record | {"tools": each} for record, each in zip(records, tools, strict=True)]
    return datasets.Dataset.from_list(records, features=datasets.Features(features))
