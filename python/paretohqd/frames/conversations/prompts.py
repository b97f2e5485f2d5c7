"""A prompt as one text: what a user says, or the messages of a whole conversation.

A run keeps a prompt in a column of texts, so that frames, files, hashes and comparisons treat all
prompts alike. A prompt of one user message is that message's text. Any other is the JSON of its
messages, as `Selection.to_dataset` and other readers of texts take it; so is a text that looks like
such JSON and is none, so that no text can be read in two ways.
"""

from __future__ import annotations

import json
from collections.abc import Sequence

from paretohqd.frames.conversations.messages import Message, looks_like_messages, read_messages


def write_prompt(turns: Sequence[Message]) -> str:
    """The text of a prompt's messages.

    Example:
        >>> write_prompt([{"role": "user", "content": "Tea?"}])
        'Tea?'
        >>> write_prompt([{"role": "system", "content": "Be brief."},
        ...               {"role": "user", "content": "Tea?"}])
        '[{"role": "system", "content": "Be brief."}, {"role": "user", "content": "Tea?"}]'
    """
    first = turns[0]
    text: str = first["content"]
    alone = len(turns) == 1 and first == {"role": "user", "content": text}
    if alone and not looks_like_messages(text):
        return text
    return json.dumps(list(turns), ensure_ascii=False)


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
        raise ValueError("a conversation to be answered must end with a message of a user or a tool")
    return turns


def last_message(text: str) -> str:
    """What the last message of a prompt says, which an answer answers.

    Example:
        >>> last_message('[{"role": "system", "content": "Be brief."}, '
        ...              '{"role": "user", "content": "Tea?"}]')
        'Tea?'
    """
    content: str = read_prompt(text)[-1]["content"]
    return content
