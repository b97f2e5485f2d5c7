"""Messages of a conversation, in whichever form a data set has them.

A value of a column becomes a list of {"role", "content"}, with the other keys that chat templates
read. Roles get the names that templates know, contents become texts. Values that would lose
something, such as an image, are refused.
"""

from __future__ import annotations

import ast
import json
import re
from collections.abc import Mapping
from typing import Any

Message = dict[str, Any]

ROLES = {
    **dict.fromkeys(("user", "human", "prompter"), "user"),
    **dict.fromkeys(("assistant", "gpt", "chatgpt", "bot", "model", "ai"), "assistant"),
    **dict.fromkeys(("system", "developer"), "system"),
    "tool": "tool",
}
"""Names of roles in data sets, in lower case, with their names in chat templates."""

KEPT = ("tool_calls", "tool_call_id", "name", "reasoning_content", "thinking")
"""Keys of a message that chat templates read beside its role and content."""

MEDIA = ("images", "image", "videos", "video", "audios", "audio")
"""Keys of a message, and columns, that hold something other than text."""

REFUSED = ("function_call", "functions", "tools", "reasoning", *MEDIA)
"""Keys of a message with content that would be lost."""

TEXT_PARTS = ("text", "input_text", "output_text")
OTHER_PARTS = ("image", "image_url", "input_image", "input_audio", "audio", "video", "file")

BEGINS = r"^\s*\[\s*\{"
"""A pattern, for Polars too, of how a text begins that is a list of objects."""

HUMAN, ASSISTANT = "\n\nHuman:", "\n\nAssistant:"
"""The starts of turns in a dialogue of hh-rlhf."""

_SURROGATE = re.compile(r"\\u[dD][89a-fA-F]")
"""How an escape of a surrogate begins, in JSON and in Python."""

_NEITHER = "holds neither text nor messages with role and content"


class Unreadable(ValueError):
    """Says what is wrong with one value; the caller adds its column and row."""


def read_messages(value: Any) -> list[Message] | None:
    """The messages that a value holds, or None if it is plain text.

    Args:
        value: Text; one message, or a list of them, as objects or as text (JSON, or Python's own
            form, which pandas writes into CSV). A message has a role and a content, or `from` and
            `value` as in ShareGPT. A content is text or a list of parts of the type text.

    Raises:
        Unreadable: The value is anything else.

    Example:
        >>> read_messages([{"from": "human", "value": "Tea?"}, {"from": "gpt", "value": "Yes."}])
        [{'role': 'user', 'content': 'Tea?'}, {'role': 'assistant', 'content': 'Yes.'}]
        >>> read_messages("Tea?") is None
        True
    """
    if isinstance(value, str):
        if not looks_like_messages(value):
            return None
        value = parsed(value)
    elif isinstance(value, Mapping):
        value = [value]
    if not isinstance(value, list | tuple) or not value:
        raise Unreadable(f"{_NEITHER}: it is null" if value is None else _NEITHER)
    return [_message(turn, last=number == len(value)) for number, turn in enumerate(value, 1)]


def looks_like_messages(text: str) -> bool:
    """Whether a text looks like a list of messages that JSON or Python wrote.

    Example:
        >>> looks_like_messages('[{"role": "user", "content": "Tea?"}]')
        True
        >>> looks_like_messages('[{"role": "Hamlet"}]')
        False
    """
    if not re.match(BEGINS, text) or not text.rstrip().endswith("]"):
        return False
    keys = set(re.findall(r"[\"'](role|content|from|value)[\"']\s*:", text))
    return keys >= {"role", "content"} or keys >= {"from", "value"}


def read_dialogue(text: str) -> list[Message] | None:
    r"""The turns of a dialogue in the form of hh-rlhf, or None if the text is not one.

    A dialogue begins with "Human:"; each turn extends to the next empty line that is followed by
    "Human:" or "Assistant:". Lines may end as in files of Windows. Neighbouring turns of one
    speaker are one turn: its texts, with an empty line between them.

    Example:
        >>> read_dialogue("\n\nHuman: Tea?\n\nAssistant: Yes.")
        [{'role': 'user', 'content': 'Tea?'}, {'role': 'assistant', 'content': 'Yes.'}]
        >>> read_dialogue("Assistant: is a word here") is None
        True
    """
    lines = re.sub(r"\r\n?", "\n", text)
    text = f"\n\n{lines.strip()}"
    if not text.startswith(HUMAN):
        return None
    _, *parts = re.split(rf"({HUMAN}|{ASSISTANT})", text)
    turns: list[Message] = []
    for start, part in zip(parts[::2], parts[1::2], strict=True):
        role, content = "user" if start == HUMAN else "assistant", part.strip()
        if turns and turns[-1]["role"] == role:
            said = (turns[-1]["content"], content)
            turns[-1]["content"] = "\n\n".join(filter(None, said))
        else:
            turns.append({"role": role, "content": content})
    return turns


def _message(raw: Any, *, last: bool) -> Message:
    # A feature of the type Json, in a Dataset, is text in Arrow.
    raw = parsed(raw) if _is_object(raw) else without_nulls(raw)
    if not isinstance(raw, Mapping) or not raw:
        raise Unreadable("has a message that is null" if raw in (None, {}) else _NEITHER)
    for key in REFUSED:
        if raw.get(key) not in (None, "", [], {}):
            raise Unreadable(f"has a message with {key!r}, which cannot be kept")
    role = _first(raw, "role", "from")
    if not isinstance(role, str):
        raise Unreadable(_NEITHER)
    if role.strip().lower() not in ROLES:
        raise Unreadable(
            f"has a message of the role {role!r}, which is none of user, assistant, system, tool"
        )
    message: Message = {"role": ROLES[role.strip().lower()]}
    extras = {key: raw[key] for key in KEPT if raw.get(key) not in (None, "", [], {})}
    calls = extras.get("tool_calls")
    if isinstance(calls, str):
        calls = extras["tool_calls"] = parsed(calls)
    if calls is not None and not isinstance(calls, list):
        raise Unreadable("has tool_calls that are no list")
    content = _first(raw, "content", "value", "text")
    if message["role"] != "tool":
        content = _parts(content)
    message["content"] = "" if content is None and calls else _text(content)
    unweighted = raw.get("weight", 1) == 0 or raw.get("train", True) in (False, 0)
    if last and message["role"] == "assistant" and unweighted:
        raise Unreadable("ends with a message that is marked as one not to train on")
    return message | extras


def _is_object(raw: Any) -> bool:
    return isinstance(raw, str) and raw.lstrip().startswith("{")


def _first(raw: Mapping[str, Any], *names: str) -> Any:
    """The first value of a message, under one of these names, that is not null."""
    return next((raw[name] for name in names if raw.get(name) is not None), None)


def _parts(content: Any) -> Any:
    """The parts of a content that is their JSON text, as it is in columns with other texts."""
    if not isinstance(content, str) or not re.match(BEGINS, content):
        return content
    part_types = (*TEXT_PARTS, *OTHER_PARTS)
    try:
        parts = json.loads(content)
    except (ValueError, RecursionError):
        has_type = re.search(rf"[{{,](?:{'|'.join(part_types)})[,}}]", content)
        if has_type and content.startswith("[{") and content.endswith("}]"):
            raise Unreadable(
                "has parts that Polars made a text of, beside texts: make all contents lists"
            ) from None
        return content
    if not all(isinstance(part, dict) and part.get("type") in part_types for part in parts):
        return content
    _refuse_surrogates(content, parts)
    return parts


def _text(content: Any) -> str:
    if isinstance(content, str):
        return content
    if content is None:
        raise Unreadable("has a message whose content is null")
    if not isinstance(content, list):
        raise Unreadable(_NEITHER)
    texts = []
    for part in content:
        kind = part.get("type", "text") if isinstance(part, Mapping) else "text"
        text = part.get("text") if isinstance(part, Mapping) else part
        if kind not in TEXT_PARTS:
            raise Unreadable(f"has a message with a part of the type {kind!r}: only text is read")
        if not isinstance(text, str):
            raise Unreadable("has a message with a part that holds no text")
        texts.append(text)
    return "".join(texts)


def parsed(text: str) -> Any:
    """The value that a text of JSON or Python holds.

    Raises:
        Unreadable: The text is neither, or has half of a character.
    """
    value = _evaluated(text)
    _refuse_surrogates(text, value)
    return value


def _evaluated(text: str) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        pass
    try:
        return ast.literal_eval(text.strip())
    except (ValueError, SyntaxError, MemoryError, RecursionError):
        raise Unreadable("is text that looks like a list of messages and is no JSON") from None


def _refuse_surrogates(text: str, value: Any) -> None:
    """Refuse a value that was read from a text where an escape writes half of a character.

    UTF-16 writes some characters as two halves, surrogates. JSON can hold one alone, as text that
    was cut between them does; no column of texts can.
    """
    if _SURROGATE.search(text) is None:
        return
    try:
        json.dumps(value, ensure_ascii=False, default=str).encode()
    except UnicodeEncodeError:
        raise Unreadable(
            "has half of a character that is written as two (a lone surrogate, such as \\ud83d)"
        ) from None


def without_nulls(value: Any) -> Any:
    """A value without keys that are null, as the structs of a column all have the same fields.

    Example:
        >>> without_nulls([{"role": "user", "tool_calls": None}])
        [{'role': 'user'}]
    """
    if isinstance(value, Mapping):
        return {key: without_nulls(v) for key, v in value.items() if v is not None}
    if isinstance(value, list | tuple):
        return [without_nulls(v) for v in value]
    return value


def read_tools(value: Any) -> Any:
    """The tools of a conversation as they are, JSON text or a list; None if there are none.

    Raises:
        Unreadable: The value is text but not a JSON list, or neither text nor a list.
    """
    if value is None or (isinstance(value, str) and not value.strip()):
        return None
    try:
        tools = json.loads(value) if isinstance(value, str) else without_nulls(value)
    except (ValueError, RecursionError):
        tools = value
    if tools is None or (isinstance(tools, list) and not tools):
        return None
    if isinstance(tools, list):
        if isinstance(value, str):
            return value
        tools = [parsed(tool) if _is_object(tool) else tool for tool in tools]
        if all(isinstance(tool, Mapping) for tool in tools):
            return tools
    raise Unreadable("holds no list of tools, nor the JSON of one")
