"""Conversations as token ids: what a chat template writes, where an answer starts and how it ends.

Training, sampling, likelihoods, pairs and reward models all read a conversation here, so that what
is trained is what is sampled:

    prompt  the template up to where a model goes on, as when it is sampled from
    answer  the row's own text, whatever the template would do to it, and what the template ends it
            with

The template writes control tokens; texts never do. `<|im_end|>` in a prompt or an answer is read
as the characters that it consists of, so a text can neither open a turn nor end one.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence
from typing import Any

import polars as pl

from paretohqd.models.control_tokens import any_of, cut, special_tokens
from paretohqd.models.templates import (
    ANSWER,
    QUESTION,
    Form,
    asked,
    check_answers,
    encoded,
    find_form,
    rendered,
)

SYSTEM_PROMPT = "system_prompt"
"""Column of system messages, where rows have them."""

Row = tuple[list[int], list[int]]
"""Ids of a prompt, and of its answer with all that the template writes behind it."""


def encode_prompts(
    tokenizer: Any, prompts: Sequence[str], system_prompt: Sequence[str] | None = None
) -> list[list[int]]:
    """Token ids of each user message in the chat template, up to where the answer starts.

    `system_prompt` holds a system message for each; an empty one is none.
    """
    return _encode_pieces(
        tokenizer, _prompts(tokenizer, find_form(tokenizer), prompts, system_prompt)
    )


def encode_rows(
    tokenizer: Any,
    prompts: Sequence[str],
    responses: Sequence[str],
    system_prompt: Sequence[str] | None = None,
    *,
    stop: Collection[int] = (),
    sampled: bool = False,
) -> list[Row]:
    """Token ids of each prompt, as `encode_prompts` has them, and of what follows it.

    Args:
        tokenizer: with a chat template.
        prompts: n user messages.
        responses: n answers.
        system_prompt: a system message for each; an empty one is none.
        stop: ids of which one ends each answer, and none stands in it: the tokenizer's end token
            where the template writes none of them.
        sampled: the answers are to be measured, and may be whatever a model says.

    Raises:
        ValueError: a template that no training text can be made with, or as `check_answers`.
    """
    form = find_form(tokenizer)
    if form.fault:
        raise ValueError(f"{form.fault}: set model.chat_template")
    if not sampled:
        check_answers(form, responses)
    ended = not stop or set(encoded(tokenizer, [form.tail])[0]) & set(stop)
    tail = form.tail if ended else tokenizer.eos_token
    control = _pattern(tokenizer, form, answers=True, stop=stop)
    starts = _prompts(tokenizer, form, prompts, system_prompt)
    ends = []
    for response in responses:
        *pieces, last = cut(control, form.ending(response))
        ends.append([*pieces, last + tail])
    asked_ids = _encode_pieces(tokenizer, starts)
    texts = ["".join(start + end) for start, end in zip(starts, ends, strict=True)]
    rows = []
    for start, end, ids, whole in zip(
        starts, ends, asked_ids, encoded(tokenizer, texts), strict=True
    ):
        # Read as one text, unless a token would lie across the places where texts are cut.
        if len(start) == len(end) == 1 and whole[: len(ids)] == ids:
            rows.append((ids, whole[len(ids) :]))
        else:
            rows.append((ids, [i for piece in end for i in _continued(tokenizer, piece)]))
    return rows


def until_end(ids: list[int], stop: Collection[int]) -> list[int]:
    """Leave out what a template writes behind an answer's end token: no sampled answer has it.

    Example:
        >>> until_end([7, 9, 5, 9], {9}), until_end([7, 5], {9})
        ([7, 9], [7, 5])
    """
    last = next((place for place, token in enumerate(ids) if token in stop), len(ids))
    return ids[: last + 1]


def stop_tokens(model: Any, tokenizer: Any) -> list[int]:
    """Ids that end an answer: the tokenizer's end token and those the model declares."""
    return stop_ids(tokenizer, model.generation_config.eos_token_id)


def stop_ids(tokenizer: Any, declared: int | list[int] | None) -> list[int]:
    """Ids that end an answer: the tokenizer's end token and those that are declared."""
    listed = declared if isinstance(declared, list) else [declared]
    return sorted({t for t in [tokenizer.eos_token_id, *listed] if t is not None})


def answer_text(tokenizer: Any, ids: Sequence[int]) -> str:
    """The text of a sampled answer: without control tokens and white space around it."""
    return find_form(tokenizer).said(tokenizer.decode(ids, skip_special_tokens=True))


def prompt_lengths(tokenizer: Any, frame: pl.DataFrame) -> pl.Series:
    """Tokens of each row's prompt in the chat template, up to where its answer starts."""
    keys = ["prompt", SYSTEM_PROMPT] if SYSTEM_PROMPT in frame.columns else ["prompt"]
    unique = frame.select(keys).unique(maintain_order=True)
    ids = encode_prompts(tokenizer, *(unique[key].to_list() for key in keys))
    table = unique.with_columns(length=pl.Series([len(row) for row in ids], dtype=pl.Int64))
    return frame.select(keys).join(table, on=keys, how="left", maintain_order="left")["length"]


def frame_rows(
    tokenizer: Any,
    rows: pl.DataFrame,
    response: str = "response",
    *,
    stop: Collection[int] = (),
) -> list[Row]:
    """`encode_rows` of a frame's columns prompt, `response` and perhaps before."""
    system_prompt = rows[SYSTEM_PROMPT].to_list() if SYSTEM_PROMPT in rows.columns else None
    prompts, responses = rows["prompt"].to_list(), rows[response].to_list()
    return encode_rows(tokenizer, prompts, responses, system_prompt, stop=stop)


def row_lengths(tokenizer: Any, rows: pl.DataFrame, max_length: int | None) -> list[int]:
    """Tokens of each row as it is trained on: prompt, answer and what the template adds."""
    found = [len(prompt) + len(answer) for prompt, answer in frame_rows(tokenizer, rows)]
    return [min(length, max_length or length) for length in found]


def holds_control(tokenizer: Any, texts: Sequence[str]) -> list[bool]:
    """Which texts have the characters of control tokens in them; they are read as characters."""
    control = _pattern(tokenizer, find_form(tokenizer), answers=False)
    return [control.search(text) is not None for text in texts]


def _prompts(
    tokenizer: Any, form: Form, prompts: Sequence[str], system_prompt: Sequence[str] | None
) -> list[list[str]]:
    """Each prompt in its template, in pieces that are encoded apart: mostly one."""
    control = _pattern(tokenizer, form, answers=False)
    found = []
    for prompt, first in zip(prompts, system_prompt or [""] * len(prompts), strict=True):
        if first and not form.system:
            prompt, first = f"{first}\n\n{prompt}", ""
        texts = [cut(control, text) for text in (prompt, first)]
        # Stands for the cuts while the template is filled in, and in no text.
        taken = (prompt, first, tokenizer.chat_template)
        mark = next(c for c in map(chr, range(0xE000, 0xF900)) if not any(c in t for t in taken))
        chat = asked(*(mark.join(pieces) for pieces in texts))
        text = rendered(tokenizer, chat, add_generation_prompt=True) + form.start
        found.append(text.split(mark))
    return found


def _pattern(
    tokenizer: Any, form: Form, *, answers: bool, stop: Collection[int] = ()
) -> re.Pattern[str]:
    """Finds control tokens in texts: special ones, those that end texts, and the template's others.

    Of the others an answer may hold those of thoughts and tools: only what every conversation is
    made of is the template's alone.
    """
    known = tokenizer.added_tokens_decoder
    added = {token.content for token in known.values() if token.content.strip()}
    ends = {known[token].content for token in stop if token in known}
    written = rendered(tokenizer, [*asked(QUESTION), {"role": "assistant", "content": ANSWER}])
    if not answers:
        written += tokenizer.chat_template
    own = form.opening + form.gap if answers else ""
    others = {token for token in added if token in written and token not in own}
    return any_of(special_tokens(tokenizer) | ends | others)


def _encode_pieces(tokenizer: Any, texts: Sequence[list[str]]) -> list[list[int]]:
    found = encoded(tokenizer, [pieces[0] for pieces in texts])
    for ids, (_, *more) in zip(found, texts, strict=True):
        for piece in more:
            ids += _continued(tokenizer, piece)
    return found


def _continued(tokenizer: Any, piece: str) -> list[int]:
    """Ids of a text that goes on from another.

    Some tokenizers put a space before whatever they are given; behind a line's end they do not.
    """
    if not piece:
        return []
    line, ids = encoded(tokenizer, ["\n", "\n" + piece])
    return ids[len(line) :] if ids[: len(line)] == line else encoded(tokenizer, [piece])[0]
