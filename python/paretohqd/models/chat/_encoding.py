"""Prompts and answers in their chat template, as token ids."""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence
from typing import Any, NamedTuple

import polars as pl

from paretohqd.models.chat._control_tokens import cut, pattern_of, special_tokens
from paretohqd.models.chat._ends import stop_tokens, until_end
from paretohqd.models.chat._templates import (
    ANSWER,
    QUESTION,
    Form,
    check_answers,
    find_form,
    messages,
    render,
    token_ids,
)

SYSTEM_PROMPT = "system_prompt"
"""Column of system messages, where rows have them."""


class EncodedRow(NamedTuple):
    """Token ids of a prompt, of its answer, and of what the template writes behind the answer."""

    prompt: list[int]
    answer: list[int]
    """Up to its end token and with it; all that follows the prompt where no end token is given."""
    rest: list[int]
    """Behind the end token: no sampled answer has it."""


def encode_prompts(
    tokenizer: Any, prompts: Sequence[str], system_prompt: Sequence[str] | None = None
) -> list[list[int]]:
    """Token ids of each prompt in the chat template, up to where the answer starts.

    `system_prompt` holds a further system message for each; an empty one is none.

    Raises:
        ValueError: Conversations that the template does not take: with a system message, say, or
            turns that do not alternate.
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
) -> list[EncodedRow]:
    """Token ids of each prompt, as `encode_prompts` has them, and of what follows it.

    Args:
        tokenizer: A tokenizer with a chat template.
        prompts: n prompts, as texts (see `frames.conversations.prompts`).
        responses: n answers.
        system_prompt: A further system message for each; an empty one is none.
        stop: Ids of which one ends each answer, and none stands in it: the tokenizer's end token
            where the template writes none of them.
        sampled: The answers are to be measured, and may be whatever a model says.

    Raises:
        ValueError: A template that no training text can be made with, or as `check_answers`.
    """
    form = find_form(tokenizer)
    if form.fault:
        raise ValueError(f"{form.fault}: set model.chat_template")
    if not sampled:
        check_answers(form, responses)
    ended = not stop or set(token_ids(tokenizer, [form.tail])[0]) & set(stop)
    tail = form.tail if ended else tokenizer.eos_token
    control = _pattern(tokenizer, form, answers=True, stop=stop)
    starts = _prompts(tokenizer, form, prompts, system_prompt)
    ends = []
    for response in responses:
        *pieces, last = cut(control, form.continuation(response))
        ends.append([*pieces, last + tail])
    prompt_ids = _encode_pieces(tokenizer, starts)
    texts = ["".join(start + end) for start, end in zip(starts, ends, strict=True)]
    rows = []
    for start, end, ids, whole in zip(
        starts, ends, prompt_ids, token_ids(tokenizer, texts), strict=True
    ):
        # Read as one text, unless a token would lie across the positions where texts are cut.
        if len(start) == len(end) == 1 and whole[: len(ids)] == ids:
            following = whole[len(ids) :]
        else:
            following = [i for piece in end for i in _continued(tokenizer, piece)]
        answer = until_end(following, stop)
        rows.append(EncodedRow(ids, answer, following[len(answer) :]))
    return rows


def encode_frame(
    tokenizer: Any, rows: pl.DataFrame, response: str = "response", *, stop: Collection[int] = ()
) -> list[EncodedRow]:
    """`encode_rows` of a frame's columns prompt, `response` and, if there is one, system_prompt."""
    system_prompt = rows[SYSTEM_PROMPT].to_list() if SYSTEM_PROMPT in rows.columns else None
    prompts, responses = rows["prompt"].to_list(), rows[response].to_list()
    return encode_rows(tokenizer, prompts, responses, system_prompt, stop=stop)


def encode_answers(
    model: Any,
    tokenizer: Any,
    prompts: Sequence[str],
    responses: Sequence[str],
    *,
    system_prompt: Sequence[str] | None = None,
    finished: Sequence[bool] | None = None,
) -> list[tuple[list[int], list[int]]]:
    """Token ids of each row's chat up to where the answer starts, and those of the answer.

    See `likelihood` for the arguments and for what the answer's tokens are.
    """
    n = len(prompts)
    finished = [True] * n if finished is None else finished
    columns = {"responses": responses, "system_prompt": system_prompt, "finished": finished}
    for name, values in columns.items():
        if values is not None and len(values) != n:
            raise ValueError(
                f"{n} prompts, but {len(values)} {name}: one for each prompt is needed"
            )
    if not n:
        return []
    stop = stop_tokens(model, tokenizer)
    rows = encode_rows(tokenizer, prompts, responses, system_prompt, stop=stop, sampled=True)
    return [
        (row.prompt, row.answer if ended else row.answer[:-1])
        for row, ended in zip(rows, finished, strict=True)
    ]


def encode_example(tokenizer: Any) -> list[int]:
    """Token ids of a short chat, as the template itself writes it."""
    return token_ids(tokenizer, [render(tokenizer, messages("?", "!"))])[0]


def holds_control(tokenizer: Any, texts: Sequence[str]) -> list[bool]:
    """Which texts have the characters of control tokens in them; they are read as characters."""
    control = _pattern(tokenizer, find_form(tokenizer), answers=False)
    return [control.search(text) is not None for text in texts]


def _prompts(
    tokenizer: Any, form: Form, prompts: Sequence[str], system_prompt: Sequence[str] | None
) -> list[list[str]]:
    """Each prompt in its template, in pieces that are encoded apart: mostly one."""
    control = _pattern(tokenizer, form, answers=False)
    pieces = []
    refused: dict[str, list[int]] = {}
    for row, prompt in enumerate(prompts):
        try:
            chat = with_system(form, prompt, system_prompt[row] if system_prompt else "")
            cuts = [cut(control, message["content"]) for message in chat]
            # Stands for the cuts while the template is filled in, and in no text.
            taken = [tokenizer.chat_template, *(message["content"] for message in chat)]
            mark = next(
                c for c in map(chr, range(0xE000, 0xF900)) if not any(c in t for t in taken)
            )
            marked = [
                message | {"content": mark.join(parts)}
                for message, parts in zip(chat, cuts, strict=True)
            ]
            text = render(tokenizer, marked, add_generation_prompt=True) + form.start
        except ValueError as error:
            refused.setdefault(str(error), []).append(row)
            continue
        pieces.append(text.split(mark))
    for reason, rows in refused.items():
        raise ValueError(f"{reason} ({len(rows)} of {len(prompts)} prompts; first: row {rows[0]})")
    return pieces


def with_system(form: Form, prompt: str, system: str) -> list[dict[str, str]]:
    """A prompt's messages, as the template can write them, with a further system message.

    Args:
        form: The template's.
        prompt: A text, or a conversation as text.
        system: The message; empty for none. Where the template takes none, it stands before what
            the user says first, and an empty one of the conversation's own falls away.

    Raises:
        ValueError: The conversation has a system message of its own, and no place is left for it.
    """
    if form.system:
        return messages(prompt, system_prompt=system)
    chat = [
        message
        for message in messages(prompt)
        if message["role"] != "system" or message["content"].strip()
    ]
    if any(message["role"] == "system" for message in chat):
        raise ValueError(
            "the chat template takes no system message, and conversations have one: set "
            "model.chat_template, or write it into the user's first message"
        )
    if system:  # it is not the conversation's: it stands before what the user says
        first = chat[0]
        chat[0] = first | {"content": f"{system}\n\n{first['content']}"}
    return chat


def _pattern(
    tokenizer: Any, form: Form, *, answers: bool, stop: Collection[int] = ()
) -> re.Pattern[str]:
    """Finds control tokens in texts: special ones, those that end texts, and the template's others.

    Of the others an answer may hold those of thoughts and tools: only what every conversation is
    made of is the template's alone.
    """
    decoder = tokenizer.added_tokens_decoder
    added = {token.content for token in decoder.values() if token.content.strip()}
    ends = {decoder[token].content for token in stop if token in decoder}
    written = render(tokenizer, messages(QUESTION, ANSWER))
    if not answers:
        written += tokenizer.chat_template
    own = form.opening + form.gap if answers else ""
    others = {token for token in added if token in written and token not in own}
    return pattern_of(special_tokens(tokenizer) | ends | others)


def _encode_pieces(tokenizer: Any, texts: Sequence[list[str]]) -> list[list[int]]:
    rows = token_ids(tokenizer, [pieces[0] for pieces in texts])
    for ids, (_, *more) in zip(rows, texts, strict=True):
        for piece in more:
            ids += _continued(tokenizer, piece)
    return rows


def _continued(tokenizer: Any, piece: str) -> list[int]:
    """Ids of a text that goes on from another.

    Some tokenizers put a space before whatever they are given; behind a line's end they do not.
    """
    if not piece:
        return []
    line, ids = token_ids(tokenizer, ["\n", "\n" + piece])
    return ids[len(line) :] if ids[: len(line)] == line else token_ids(tokenizer, [piece])[0]
