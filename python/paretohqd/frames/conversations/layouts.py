"""The columns in which data sets carry conversations, known by their names.

One rule for datasets, runs and scores.
"""

from __future__ import annotations

from collections.abc import Sequence

import polars as pl

from paretohqd.frames.conversations.messages import BEGINS, MEDIA, is_written
from paretohqd.frames.conversations.rows import PAIR, Layout

PROMPTS = ("prompt", "question", "instruction", "query")
ANSWERS = ("completion", "response", "answer", "output", "chosen")
DIALOGUES = ("messages", "conversations", "conversation")
SYSTEMS = ("system", "system_prompt", "system_message")
PARTS = {"instruction": ("input", "context"), "question": ("context",), "query": ("context",)}
"""Columns of texts that go on where a prompt's column ends, as in Alpaca's sets."""
UNREAD = (*MEDIA, "functions", "documents", "chat_template_kwargs")
"""Columns that stand for a part of the prompt that is no text, or that is not read."""

TEXT = (pl.String, pl.Categorical, pl.Enum)


def find_layout(
    frame: pl.DataFrame,
    *,
    prompt: str | None = None,
    completion: str | None = None,
    messages: str | None = None,
    system: str | None = None,
    options: str = "prompt=, completion=, or messages=",
    answers: bool = True,
) -> Layout:
    """The columns in which a frame holds its conversations, found where they are not named.

    Prompts are in the first of prompt, question, instruction, query that there is; answers in
    the first of completion, response, answer, output, chosen. Where one of the two is missing,
    whole dialogues are in messages, conversations or conversation; where there is none of
    these, in chosen. To an instruction belong input, context and history, to a question or
    a query context, and to every conversation system (or system_prompt, system_message) and tools.

    Args:
        frame: A row for each answer.
        prompt: The column of prompts.
        completion: The column of answers; of whole dialogues where there are no prompts.
        messages: The column of whole dialogues.
        system: The column of system messages.
        options: What the user can set, for the messages of errors.
        answers: False reads prompts alone, where there are such.

    Raises:
        ValueError: No such column, none found, two that could both hold the answers, or one
            that cannot be kept.

    Example:
        >>> frame = pl.DataFrame({"instruction": ["Add."], "input": ["1 + 1"], "output": ["2"]})
        >>> layout = find_layout(frame)
        >>> layout.prompt, layout.parts, layout.answer
        ('instruction', ('input',), 'output')
    """
    for name in (prompt, completion, messages, system):
        if name is not None and name not in frame.columns:
            raise ValueError(f"no column {name!r}: the rows have {', '.join(frame.columns)}")
    if messages is not None and (prompt is not None or completion is not None):
        raise ValueError("messages= holds prompts and answers alike: leave the others out")
    answer = messages
    if messages is None:
        prompt = prompt or _first(frame, PROMPTS)
        answer = completion or _first(frame, ANSWERS)
        if prompt is not None and not answers:
            answer = None
        elif completion is None and (prompt is None or answer is None):
            dialogues = next((x for x in DIALOGUES if _holds_dialogues(frame, x)), None)
            if dialogues is not None and answer is not None:
                raise ValueError(
                    f"columns {dialogues!r} and {answer!r} could both hold the answers: name "
                    f"the right one ({options})"
                )
            answer = answer or dialogues
            if answer is None or (prompt is None and answer not in (*PAIR, dialogues)):
                missing = "prompts" if prompt is None else "answers"
                raise ValueError(
                    f"no column of {missing} was found among {', '.join(frame.columns)}: "
                    f"name them ({options})"
                )
    # Prompts that are messages are whole.
    parts = PARTS.get(prompt, ()) if prompt and frame.schema[prompt] in TEXT else ()
    layout = Layout(
        prompt=prompt,
        answer=answer,
        parts=tuple(x for x in parts if x in frame.columns),
        history=_first(frame, ["history"] if prompt == "instruction" else []),
        system=system or _first(frame, SYSTEMS),
        tools=_first(frame, ["tools"]),
    )
    _refuse_columns(frame, layout)
    return layout


def _refuse_columns(frame: pl.DataFrame, layout: Layout) -> None:
    for name in (*layout.parts, *([layout.system] if layout.system else [])):
        if (dtype := frame.schema[name]) not in (*TEXT, pl.Null):
            raise ValueError(f"column {name!r} is {dtype}, not text: drop it, or rename it")
    for name in UNREAD:
        if name in frame.columns and holds_values(frame.schema[name]):
            there = frame[name].is_not_null()
            if isinstance(frame.schema[name], pl.List):
                there &= frame[name].list.len() > 0
            elif frame.schema[name] in TEXT:
                there &= texts_of(frame, name).str.strip_chars() != ""
            if there.any():
                raise ValueError(
                    f"column {name!r} has values in {there.sum()} of {len(frame)} rows (first: "
                    f"row {there.arg_max()}) and cannot be kept beside texts: drop it if the "
                    "answers do not rest on it"
                )


def is_plain(frame: pl.DataFrame, name: str) -> bool:
    """Whether a column holds texts, none of which are messages written down."""
    if frame.schema[name] not in TEXT:
        return False
    texts = texts_of(frame, name)
    return not any(map(is_written, texts.filter(texts.str.contains(BEGINS))))


def texts_of(frame: pl.DataFrame, name: str) -> pl.Series:
    """A column of texts, whatever their type, as strings."""
    return frame[name].alias("").cast(pl.String)  # "^x.*$" would be taken for a pattern


def holds_values(dtype: pl.DataType) -> bool:
    """Whether a column of this type can hold texts or messages."""
    return not (dtype.is_numeric() or dtype.is_temporal() or dtype in (pl.Null, pl.Boolean))


def _first(frame: pl.DataFrame, names: Sequence[str]) -> str | None:
    return next((name for name in names if name in frame.columns), None)


def _holds_dialogues(frame: pl.DataFrame, name: str) -> bool:
    """Whether a column of that name is one of dialogues: "conversation" may also number them."""
    if name not in frame.columns or not holds_values(frame.schema[name]):
        return False
    if frame.schema[name] not in TEXT or name != "conversation":
        return True
    begins = texts_of(frame, name).str.contains(r"^\s*Human:").any()
    return bool(begins) or not is_plain(frame, name)
