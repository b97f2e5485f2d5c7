"""The columns that hold conversations, found by the names that data sets give them.

Data sets for training, runs and scores follow the same rule.
"""

from __future__ import annotations

from collections.abc import Sequence

import polars as pl

from paretohqd.frames.conversations.messages import BEGINS, MEDIA, looks_like_messages
from paretohqd.frames.conversations.rows import PAIR, Layout

PROMPTS = ("prompt", "question", "instruction", "query")
ANSWERS = ("completion", "response", "answer", "output", "chosen")
DIALOGUES = ("messages", "conversations", "conversation")
SYSTEMS = ("system", "system_prompt", "system_message")
PARTS = {"instruction": ("input", "context"), "question": ("context",), "query": ("context",)}
"""Columns of texts that belong to the prompts in a column, as in Alpaca's data."""
UNREAD = (*MEDIA, "functions", "documents", "chat_template_kwargs")
"""Columns with a part of the prompt that is not text, or that is not read."""

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
    """Find the columns in which a frame holds its conversations.

    Prompts are in the first column of prompt, question, instruction and query that exists; answers
    in the first of completion, response, answer, output and chosen; beside chosen and rejected the
    right one has to be named. If one of the two is missing, whole dialogues are in messages,
    conversations or conversation, or else in chosen. The columns input, context and history belong
    to an instruction; context belongs to a question or a query; system (or system_prompt,
    system_message) and tools belong to every conversation.

    Args:
        frame: One row per answer.
        prompt: The column of prompts, if it has another name.
        completion: The column of answers; of whole dialogues if there are no prompts.
        messages: The column of whole dialogues.
        system: The column of system messages.
        options: What the user can set, for error messages.
        answers: Whether to read answers too, and not only prompts where a column has them.

    Raises:
        ValueError: A named column is missing, no column was found, two could both hold the
            answers, or one has values that cannot be kept.

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
        elif completion is None and answer not in (None, "chosen") and _has_pairs(frame):
            raise _either("chosen", answer, options)
        elif completion is None and (prompt is None or answer is None):
            dialogues = next((name for name in DIALOGUES if _holds_dialogues(frame, name)), None)
            if dialogues is not None and answer is not None:
                raise _either(dialogues, answer, options)
            answer = answer or dialogues
            if answer is None or (prompt is None and answer not in (*PAIR, dialogues)):
                missing = "prompts" if prompt is None else "answers"
                raise ValueError(
                    f"no column of {missing} was found among {', '.join(frame.columns)}: "
                    f"name them ({options})"
                )
    # Prompts that are messages are complete: no other column belongs to them.
    parts = PARTS.get(prompt, ()) if prompt and frame.schema[prompt] in TEXT else ()
    layout = Layout(
        prompt=prompt,
        answer=answer,
        parts=tuple(name for name in parts if name in frame.columns),
        history=_first(frame, ["history"] if prompt == "instruction" else []),
        system=system or _first(frame, SYSTEMS),
        tools=_first(frame, ["tools"]),
    )
    _refuse_columns(frame, layout)
    return layout


def _either(one: str, other: str | None, options: str) -> ValueError:
    return ValueError(
        f"columns {one!r} and {other!r} could both hold the answers: name the right one "
        f"({options}), or rename the other"
    )


def _has_pairs(frame: pl.DataFrame) -> bool:
    """Whether each row has two answers, of which one was chosen."""
    return all(name in frame.columns and holds_values(frame.schema[name]) for name in PAIR)


def _refuse_columns(frame: pl.DataFrame, layout: Layout) -> None:
    for name in (*layout.parts, *([layout.system] if layout.system else [])):
        if (dtype := frame.schema[name]) not in (*TEXT, pl.Null):
            raise ValueError(f"column {name!r} is {dtype}, not text: drop it, or rename it")
    for name in UNREAD:
        if name in frame.columns and holds_values(frame.schema[name]):
            filled = frame[name].is_not_null()
            if isinstance(frame.schema[name], pl.List):
                filled &= frame[name].list.len() > 0
            elif frame.schema[name] in TEXT:
                filled &= texts_of(frame, name).str.strip_chars() != ""
            if filled.any():
                raise ValueError(
                    f"column {name!r} has values in {filled.sum()} of {len(frame)} rows (first: "
                    f"row {filled.arg_max()}) and cannot be kept beside texts: drop it if the "
                    "answers do not rest on it"
                )


def is_plain(frame: pl.DataFrame, name: str) -> bool:
    """Whether a column holds texts, none of which is a list of messages."""
    if frame.schema[name] not in TEXT:
        return False
    texts = texts_of(frame, name)
    return not any(map(looks_like_messages, texts.filter(texts.str.contains(BEGINS))))


def texts_of(frame: pl.DataFrame, name: str) -> pl.Series:
    """A column of texts of any type as strings."""
    # Without its name: Polars takes one like "^x.*$" for a pattern, in methods of a Series too.
    return frame[name].alias("").cast(pl.String)


def holds_values(dtype: pl.DataType) -> bool:
    """Whether a column of this type can hold texts or messages."""
    return not (dtype.is_numeric() or dtype.is_temporal() or dtype in (pl.Null, pl.Boolean))


def _first(frame: pl.DataFrame, names: Sequence[str]) -> str | None:
    return next((name for name in names if name in frame.columns), None)


def _holds_dialogues(frame: pl.DataFrame, name: str) -> bool:
    """Whether a column holds dialogues: one called "conversation" may also number or name them."""
    if name not in frame.columns or not holds_values(frame.schema[name]):
        return False
    if frame.schema[name] not in TEXT or name != "conversation":
        return True
    has_turns = texts_of(frame, name).str.contains(r"^\s*Human:").any()
    return bool(has_turns) or not is_plain(frame, name)
