"""A prompt as one text: what a user says, or the messages of a whole conversation.

A run keeps a prompt in a column of texts, so that frames, files, hashes and comparisons treat all
prompts alike. A prompt of one user message is that message's text. Any other is the JSON of its
messages, as `Selection.to_dataset` and other readers of texts take it; so is a text that looks like
such JSON and is none, so that no text can be read in two ways.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from paretohqd.frames.conversations.messages import (
    ASSISTANT,
    HUMAN,
    Message,
    looks_like_messages,
    read_messages,
    without_nulls,
)

SYSTEM = "\n\nSystem:"
"""The start of a system message behind others, which dialogues of hh-rlhf do not have."""


def write_prompt(turns: Sequence[Mapping[str, Any]]) -> str:
    """The text of a prompt's messages, the same whatever the order of their keys and with nulls.

    Example:
        >>> write_prompt([{"role": "user", "content": "Tea?"}])
        'Tea?'
        >>> write_prompt([{"role": "system", "content": "Be brief."},
        ...               {"role": "user", "content": "Tea?"}])
        '[{"role": "system", "content": "Be brief."}, {"role": "user", "content": "Tea?"}]'
    """
    messages = [
        {key: turn[key] for key in ("role", "content", *sorted(set(turn) - {"role", "content"}))}
        for turn in without_nulls(list(turns))
    ]
    first = messages[0]
    text: str = first["content"]
    alone = len(messages) == 1 and first == {"role": "user", "content": text}
    if alone and not looks_like_messages(text):
        return text
    return json.dumps(messages, ensure_ascii=False)


def read_prompt(text: str) -> list[Message]:
    """The messages of a prompt's text; the last is a user's or a tool's.

    Raises:
        ValueError: The text looks like messages, and they cannot be read or end with another role.

    Example:
        >>> read_prompt("Tea?")
        [{'role': 'user', 'content': 'Tea?'}]
    """
    turns = read_messages(text)
    if turns is None:
        return [{"role": "user", "content": text}]
    if turns[-1]["role"] not in ("user", "tool"):
        raise ValueError(
            "a conversation to be answered must end with a message of a user or a tool"
        )
    return turns


def dialogue(text: str) -> str:
    r"""A prompt as one readable text, in the form of hh-rlhf but for the first "Human:".

    A system message stands before the dialogue, as nobody's turn.

    Example:
        >>> talk = '[{"role": "user", "content": "Hi"}, {"role": "assistant", "content": "Hello"}, '
        >>> dialogue(talk + '{"role": "user", "content": "Tea?"}]')
        'Hi\n\nAssistant: Hello\n\nHuman: Tea?'
    """
    return "\n\n".join(filter(None, system_and_dialogue(text)))


def system_and_dialogue(text: str) -> tuple[str, str]:
    """What the system's message of a prompt says, and the rest as `dialogue` writes it.

    Example:
        >>> system_and_dialogue('[{"role": "system", "content": "Be brief."}, '
        ...                     '{"role": "user", "content": "Tea?"}]')
        ('Be brief.', 'Tea?')
    """
    first, *others = read_prompt(text)
    system = ""
    if first["role"] == "system":
        system, (first, *others) = first["content"], others
    starts = {"user": HUMAN, "assistant": ASSISTANT}
    texts = [f"{starts.get(turn['role'], SYSTEM)} {turn['content']}" for turn in others]
    return system, "".join([first["content"], *texts])


def last_message(text: str) -> str:
    """What the last message of a prompt says, which an answer answers.

    Example:
        >>> last_message('[{"role": "system", "content": "Be brief."}, '
        ...              '{"role": "user", "content": "Tea?"}]')
        'Tea?'
    """
    content: str = read_prompt(text)[-1]["content"]
    return content
