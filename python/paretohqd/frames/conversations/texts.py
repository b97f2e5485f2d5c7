"""Prompts and answers as plain texts, for what asks a model in one message and no more.

Runs and scores are of such texts. What a row has beyond them, further turns, a system message or
tools, is refused and not dropped.
"""

from __future__ import annotations

import polars as pl

from paretohqd.frames.conversations.layouts import PROMPTS, find_layout, is_plain, texts_of
from paretohqd.frames.conversations.messages import ASSISTANT, HUMAN
from paretohqd.frames.conversations.rows import PAIR, Conversation, Layout


def default_layout(
    frame: pl.DataFrame,
    *,
    prompt: str,
    response: str,
    options: str,
    answers: bool = True,
) -> Layout:
    """The layout of a frame whose texts are in these columns, by default prompt and response.

    What is not there is looked for: whoever has been told another name than these refuses before.

    Args:
        frame: A row for each answer.
        prompt: The column of prompts.
        response: The column of answers.
        options: What the user can set, for the messages of errors.
        answers: False reads prompts alone, where there are such.

    Raises:
        ValueError: As `find_layout`.
    """
    there = set(frame.columns)
    asked = prompt in there or any(name in there for name in PROMPTS)
    named = response in there and (asked or response != "response")
    return find_layout(
        frame,
        prompt=prompt if prompt in there else None,
        completion=response if named else None,
        options=options,
        answers=answers,
    )


def single_turns(
    frame: pl.DataFrame, layout: Layout, *, allow_empty: bool = False
) -> tuple[pl.Series, pl.Series]:
    """The prompts and the answers of a frame.

    A dialogue in the form of hh-rlhf is a prompt as it stands, up to its last answer.

    Args:
        frame: The frame that the layout is of.
        layout: Its columns.
        allow_empty: As for `Layout.read`. Columns that are plain texts may hold nulls and blanks
            anyway: their readers look for these.

    Returns:
        Two columns of strings; the second is empty where the layout has prompts alone.

    Raises:
        ValueError: A row that cannot be read, or one that says more than two texts do.

    Example:
        >>> talk = [{"role": "user", "content": "Tea?"}, {"role": "assistant", "content": "Yes."}]
        >>> frame = pl.DataFrame({"messages": [talk]})
        >>> prompts, answers = single_turns(frame, find_layout(frame))
        >>> prompts[0], answers[0]
        ('Tea?', 'Yes.')
    """
    if _is_text(frame, layout):
        prompts = _without_ends(frame.select(layout.prompts().cast(pl.String)).to_series())
        if layout.answer is None:
            return prompts, pl.repeat("", len(frame), dtype=pl.String, eager=True)
        return prompts, texts_of(frame, layout.answer)
    found = layout.read(frame, allow_empty=allow_empty)
    if layout.prompt is None and layout.answer and is_plain(frame, layout.answer):
        texts = [_asked(text) for text in texts_of(frame, layout.answer)]
    else:
        _refuse_more(found, layout)
        texts = [each.turns[0]["content"] for each in found]
    answers = [each.answer["content"] for each in found]
    return pl.Series(texts, dtype=pl.String), pl.Series(answers, dtype=pl.String)


def _is_text(frame: pl.DataFrame, layout: Layout) -> bool:
    """Whether each row is a prompt and an answer in plain text, and nothing else."""
    if layout.prompt is None or not is_plain(frame, layout.prompt):
        return False
    if layout.answer is not None and not is_plain(frame, layout.answer):
        return False
    if layout.answer in PAIR and texts_of(frame, layout.answer).str.contains(r"^\s*Human:").any():
        return False
    others = [name for name in (layout.history, layout.system, layout.tools) if name]
    return all(frame[name].is_null().all() for name in others)


def _without_ends(prompts: pl.Series) -> pl.Series:
    """Prompts; those that are dialogues up to where an answer begins, without their outer tags.

    The prompt of a whole dialogue has none either: both are the template's to write.
    """
    prompts = prompts.rename("")  # Polars takes some names for patterns, in methods of a Series too
    cut = prompts.str.contains(r"(?s)^\s*Human:.*\n\nAssistant:\s*$").fill_null(False)
    if not cut.any():
        return prompts
    texts = (_asked(text) if tags else text for text, tags in zip(prompts, cut, strict=True))
    return pl.Series(list(texts), dtype=pl.String)


def _asked(dialogue: str) -> str:
    """What stands before the answer that ends a dialogue; all of it where none does."""
    before, _, last = dialogue.rpartition(ASSISTANT)
    whole = dialogue if HUMAN in last or not before else before
    return whole.strip().removeprefix("Human:").strip()


def _refuse_more(found: list[Conversation], layout: Layout) -> None:
    bad: dict[str, list[int]] = {}
    for row, each in enumerate(found):
        if what := _more(each):
            bad.setdefault(what, []).append(row)
    for what, rows in bad.items():
        raise ValueError(
            f"{layout.answer or layout.prompt}: row {rows[0]} has {what} ({len(rows)} of "
            f"{len(found)} rows), but here a prompt is one message: leave such rows out, or write "
            "what the model is to read into the column of prompts"
        )


def _more(conversation: Conversation) -> str | None:
    """What a conversation has beyond one prompt and one answer."""
    turns = [*conversation.turns, conversation.answer]
    if conversation.tools is not None or any("tool_calls" in turn for turn in turns):
        return "tools or calls of them"
    if any(turn["role"] == "system" for turn in turns):
        return "a system message"
    if any(key in turn for turn in turns for key in ("reasoning_content", "thinking")):
        return "reasoning apart from its answer"
    return "several turns" if len(turns) > 2 else None
