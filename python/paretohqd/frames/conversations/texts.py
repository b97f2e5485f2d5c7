"""Prompts and answers as plain texts, for runs and scores, whose prompts are a single message.

Rows with more, such as further turns, a system message or tools, are refused: nothing is dropped.
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


def single_turns(
    frame: pl.DataFrame, layout: Layout, *, allow_empty: bool = False
) -> tuple[pl.Series, pl.Series]:
    """The prompts and the answers of a frame.

    A dialogue in the form of hh-rlhf is a prompt as it stands, up to its last answer.

    Args:
        frame: The frame.
        layout: Its columns.
        allow_empty: As for `Layout.read`. Columns of plain texts can hold nulls and blanks anyway:
            callers check for these.

    Returns:
        Two columns of strings; the second holds empty texts if the layout has prompts only.

    Raises:
        ValueError: A row cannot be read, or holds more than a prompt and an answer.

    Example:
        >>> turns = [{"role": "user", "content": "Tea?"}, {"role": "assistant", "content": "Yes."}]
        >>> frame = pl.DataFrame({"messages": [turns]})
        >>> prompts, answers = single_turns(frame, find_layout(frame))
        >>> prompts[0], answers[0]
        ('Tea?', 'Yes.')
    """
    if _is_plain_pair(frame, layout):
        prompts = _without_ends(frame.select(layout.prompts().cast(pl.String)).to_series())
        if layout.answer is None:
            return prompts, pl.repeat("", len(frame), dtype=pl.String, eager=True)
        return prompts, texts_of(frame, layout.answer)
    conversations = layout.read(frame, allow_empty=allow_empty)
    if layout.prompt is None and layout.answer and is_plain(frame, layout.answer):
        texts = [_prompt_of(dialogue) for dialogue in texts_of(frame, layout.answer)]
    else:
        _refuse_more(conversations, layout)
        texts = [each.turns[0]["content"] for each in conversations]
    answers = [each.answer["content"] for each in conversations]
    return pl.Series(texts, dtype=pl.String), pl.Series(answers, dtype=pl.String)


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


def _without_ends(prompts: pl.Series) -> pl.Series:
    """Prompts without the first "Human:" and the last "Assistant:" of those that are dialogues.

    The prompt of a whole dialogue has neither: the chat template writes both.
    """
    prompts = prompts.rename("")  # Polars takes some names for patterns, in methods of a Series too
    dialogues = prompts.str.contains(r"(?s)^\s*Human:.*\n\nAssistant:\s*$").fill_null(False)
    if not dialogues.any():
        return prompts
    texts = [
        _prompt_of(text) if is_dialogue else text
        for text, is_dialogue in zip(prompts, dialogues, strict=True)
    ]
    return pl.Series(texts, dtype=pl.String)


def _prompt_of(dialogue: str) -> str:
    """The part of a dialogue before the answer that ends it; all of it if none does."""
    head, _, last = dialogue.rpartition(ASSISTANT)
    prompt = dialogue if HUMAN in last or not head else head
    return prompt.strip().removeprefix("Human:").strip()


def _refuse_more(conversations: list[Conversation], layout: Layout) -> None:
    """Raise a ValueError if a conversation holds more than a prompt and an answer."""
    refused: dict[str, list[int]] = {}
    for row, conversation in enumerate(conversations):
        if what := _more(conversation):
            refused.setdefault(what, []).append(row)
    for what, rows in refused.items():
        raise ValueError(
            f"{layout.answer or layout.prompt}: row {rows[0]} has {what} ({len(rows)} of "
            f"{len(conversations)} rows), but here a prompt is one message: leave such rows out, "
            "or write what the model is to read into the column of prompts"
        )


def _more(conversation: Conversation) -> str | None:
    """What a conversation holds beyond one prompt and one answer, or None."""
    turns = [*conversation.turns, conversation.answer]
    if conversation.tools is not None or any("tool_calls" in turn for turn in turns):
        return "tools or calls of them"
    if any(turn["role"] == "system" for turn in turns):
        return "a system message"
    if any(key in turn for turn in turns for key in ("reasoning_content", "thinking")):
        return "reasoning apart from its answer"
    return "several turns" if len(turns) > 2 else None
