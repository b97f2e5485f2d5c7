"""Prompts and answers as texts, for runs and scores.

Rows with tools or with reasoning apart from its answer are refused: nothing is dropped.
"""

from __future__ import annotations

from collections.abc import Callable

import polars as pl

from paretohqd.frames.conversations.layouts import PROMPTS, find_layout, is_plain, texts_of
from paretohqd.frames.conversations.messages import BEGINS, read_dialogue
from paretohqd.frames.conversations.prompts import read_prompt, write_prompt
from paretohqd.frames.conversations.refused import ADVICE
from paretohqd.frames.conversations.rows import PAIR, Conversation, Layout


def default_layout(
    frame: pl.DataFrame,
    *,
    prompt: str,
    response: str,
    options: str,
    answers: bool = True,
) -> Layout:
    """The layout of a frame whose texts are in these columns, or else where `find_layout` looks.

    Callers refuse a missing column themselves if the user named it.

    Args:
        frame: One row per answer.
        prompt: The column of prompts.
        response: The column of answers.
        options: What the user can set, for error messages.
        answers: Whether to read answers too, and not only prompts where a column has them.

    Raises:
        ValueError: As for `find_layout`.
    """
    has_prompts = any(name in frame.columns for name in (prompt, *PROMPTS))
    # Without prompts a column "response" would be whole dialogues, which only a user can say.
    has_answers = response in frame.columns and (has_prompts or response != "response")
    return find_layout(
        frame,
        prompt=prompt if prompt in frame.columns else None,
        completion=response if has_answers else None,
        options=options,
        answers=answers,
    )


def prompts_and_answers(
    frame: pl.DataFrame,
    layout: Layout,
    *,
    allow_empty: bool = False,
    drop: bool = False,
    advice: str | None = None,
) -> tuple[pl.Series, pl.Series]:
    """The prompts and the answers of a frame.

    Args:
        frame: The frame.
        layout: Its columns.
        allow_empty: As for `Layout.read`. Columns of plain texts can hold nulls and blanks anyway:
            callers check for these.
        drop: Whether rows that cannot be read are left out by the caller, and not refused here.
        advice: What to do about such rows, where the caller has a setting for it.

    Returns:
        Two columns of strings: the prompts as `write_prompt` writes them, and the answers, which
        are empty texts if the layout has prompts only. With `drop` both are null in a row that
        cannot be read.

    Raises:
        ValueError: A row cannot be read, or has tools, or reasoning apart from its answer.

    Example:
        >>> turns = [{"role": "user", "content": "Tea?"}, {"role": "assistant", "content": "Yes."}]
        >>> frame = pl.DataFrame({"messages": [turns]})
        >>> prompts, answers = prompts_and_answers(frame, find_layout(frame))
        >>> prompts[0], answers[0]
        ('Tea?', 'Yes.')
    """
    if _is_plain_pair(frame, layout):
        prompts = _with_turns(frame.select(layout.prompts().cast(pl.String)).to_series())
        if layout.answer is None:
            return prompts, pl.repeat("", len(frame), dtype=pl.String, eager=True)
        return prompts, texts_of(frame, layout.answer)
    conversations, refused = layout.read_each(frame, allow_empty=allow_empty)
    if drop:
        conversations = [None if each is None or _more(each) else each for each in conversations]
    else:
        refused.check(len(frame), advice or ADVICE)
        _refuse_more(conversations, layout, advice or "leave such rows out")
    texts = [None if each is None else write_prompt(each.turns) for each in conversations]
    answers = [None if each is None else each.answer["content"] for each in conversations]
    return pl.Series(texts, dtype=pl.String), pl.Series(answers, dtype=pl.String)


def first_turns(prompts: pl.Series) -> pl.Series:
    """What the user says first in each prompt.

    Prompts that begin alike are one conversation, cut off after different turns.

    Example:
        >>> talk = '[{"role": "user", "content": "Hi"}, {"role": "assistant", "content": "Hello"}, '
        >>> talk += '{"role": "user", "content": "Tea?"}]'
        >>> first_turns(pl.Series([talk, "Hi"])).to_list()
        ['Hi', 'Hi']
    """
    return _where(prompts, BEGINS, _first_turn)


def _first_turn(prompt: str) -> str:
    turns = read_prompt(prompt)
    said = [turn["content"] for turn in turns if turn["role"] == "user"]
    return str((said or [turns[0]["content"]])[0])


def _is_plain_pair(frame: pl.DataFrame, layout: Layout) -> bool:
    """Whether each row is a prompt and an answer in plain text, and nothing else."""
    if layout.prompt is None or not is_plain(frame, layout.prompt):
        return False
    if layout.answer is not None and not is_plain(frame, layout.answer):
        return False
    if layout.answer in PAIR and texts_of(frame, layout.answer).str.contains(r"^\s*Human:").any():
        return False
    others = [name for name in (layout.history, layout.system, layout.tools) if name]
    return all(frame[name].is_null().all() for name in others)


def _with_turns(prompts: pl.Series) -> pl.Series:
    """Texts as prompts: those in the form of hh-rlhf that end where an answer begins have turns."""
    dialogue = r"(?s)^\s*Human:.*(?:\r\n?|\n){2}Assistant:\s*$"
    return _where(prompts, rf"{dialogue}|(?:{BEGINS})", _with_turn)


def _with_turn(text: str) -> str:
    *turns, last = read_dialogue(text) or [{}, {}]
    if last != {"role": "assistant", "content": ""}:
        turns = [{"role": "user", "content": text}]
    return write_prompt(turns)


def _where(texts: pl.Series, pattern: str, change: Callable[[str], str]) -> pl.Series:
    """The texts that a pattern is found in, changed."""
    texts = texts.rename("")  # Polars takes some names for patterns, in methods of a Series too
    found = texts.str.contains(pattern).fill_null(False)
    if not found.any():
        return texts
    changed = pl.Series([change(text) for text in texts.filter(found)], dtype=pl.String)
    return texts.scatter(found.arg_true(), changed)


def _refuse_more(conversations: list[Conversation | None], layout: Layout, advice: str) -> None:
    """Raise a ValueError if a conversation holds what no run could keep."""
    refused: dict[str, list[int]] = {}
    for row, conversation in enumerate(conversations):
        if conversation is not None and (what := _more(conversation)):
            refused.setdefault(what, []).append(row)
    for what, rows in refused.items():
        raise ValueError(
            f"{layout.answer or layout.prompt}: row {rows[0]} has {what} ({len(rows)} of "
            f"{len(conversations)} rows), which is neither scored nor trained here: {advice}"
        )


def _more(conversation: Conversation) -> str | None:
    """What a conversation holds beside its texts, or None."""
    turns = [*conversation.turns, conversation.answer]
    if conversation.tools is not None or any(
        turn["role"] == "tool" or "tool_calls" in turn for turn in turns
    ):
        return "tools or calls of them"
    if any(key in turn for turn in turns for key in ("reasoning_content", "thinking")):
        return "reasoning apart from its answer"
    return None
