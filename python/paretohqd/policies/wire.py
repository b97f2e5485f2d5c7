"""What a client of the server may ask for, read with care: OpenAI's chat completions."""

from __future__ import annotations

import json
import math
import re
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from paretohqd.frames.conversations.prompts import write_prompt
from paretohqd.policies.cells import Parts, parts_of
from paretohqd.policies.loaded import Run
from paretohqd.selection.preferences import format_weights

BASE = "base"
"""What the server calls the base."""
STEP = 64
"""Weights are rounded to such parts of 1: each new mixture costs the loading of its adapters."""
MOST_TOKENS = 16_384
"""Tokens of an answer, whatever the base's context is."""
MOST_CHOICES, MOST_STOPS, LONGEST_STOP = 8, 4, 100
ROLES = ("system", "developer", "user", "assistant")

TAKEN = (
    *("model", "messages", "max_tokens", "max_completion_tokens", "temperature", "top_p", "n"),
    *("stop", "seed", "stream", "stream_options"),
)
IGNORED = ("user", "metadata", "store", "service_tier", "safety_identifier", "prompt_cache_key")
"""Keys that change nothing of an answer."""
NEUTRAL: Mapping[str, tuple[Any, ...]] = {
    "frequency_penalty": (0, None),
    "presence_penalty": (0, None),
    "logprobs": (False, None),
    "top_logprobs": (0, None),
    "logit_bias": ({}, None),
    "tools": ([], None),
    "tool_choice": ("none", "auto", None),
    "response_format": ({"type": "text"}, None),
    "parallel_tool_calls": (True, False, None),
}
"""Keys whose values may only be such that they change nothing."""


class Refused(ValueError):
    """A request that is not answered, with its HTTP status."""

    def __init__(self, message: str, *, status: int = 400, key: str | None = None) -> None:
        """Say why, and which key is wrong."""
        super().__init__(message)
        self.status, self.key = status, key


@dataclass(frozen=True, kw_only=True)
class Ask:
    """A request, read."""

    model: str
    prompt: str
    parts: Parts | None
    temperature: float
    top_p: float
    max_tokens: int
    n: int
    stop: tuple[str, ...]
    seed: int
    stream: bool
    usage: bool
    """Whether a stream ends with what it took."""


def model_names(run: Run) -> dict[str, tuple[float, ...] | None]:
    """What a request may call a model, but for weights: the preferences' names, and the base."""
    names: dict[str, tuple[float, ...] | None] = {BASE: None}
    for name, weights in run.preferences.items():
        names.setdefault(name, weights)  # one that is called base is had by its weights
        names[f"w:{format_weights(weights)[1:-1].replace(' ', '')}"] = weights
    return names


def read_request(body: Any, run: Run) -> Ask:
    """Check a request's body.

    Args:
        body: What its JSON holds.
        run: The run whose models answer.

    Raises:
        Refused: What is wrong with it.
    """
    if not isinstance(body, dict):
        raise Refused("expected an object with model and messages")
    try:
        json.dumps(body, ensure_ascii=False).encode()
    except UnicodeEncodeError:  # half of a character, which no tokenizer takes
        raise Refused("a text holds half of a character (a lone surrogate)") from None
    for key, value in body.items():
        if key in TAKEN or key in IGNORED:
            continue
        if key in NEUTRAL and value in NEUTRAL[key]:
            continue
        raise Refused(f"{key!r} is not taken here: leave it out", key=key)
    usual = run.finished.generation
    longest = _whole(body, "max_completion_tokens", 1, MOST_TOKENS, None)
    longest = longest or _whole(body, "max_tokens", 1, MOST_TOKENS, usual.max_new_tokens)
    options = body.get("stream_options") or {}
    if not isinstance(options, dict) or set(options) - {"include_usage", "include_obfuscation"}:
        raise Refused("stream_options: expected include_usage", key="stream_options")
    return Ask(
        model=str(body.get("model")),
        prompt=_prompt(body.get("messages")),
        parts=_parts(body.get("model"), run),
        temperature=_number(body, "temperature", 0, 2, usual.temperature),
        top_p=_number(body, "top_p", 0, 1, usual.top_p) or 1e-6,
        max_tokens=longest or usual.max_new_tokens,
        n=_whole(body, "n", 1, MOST_CHOICES, 1) or 1,
        stop=_stops(body.get("stop")),
        seed=_seed(body.get("seed")),
        stream=_flag(body, "stream"),
        usage=bool(options.get("include_usage")),
    )


def _parts(name: Any, run: Run) -> Parts | None:
    """The trained preferences of a model's name."""
    if not isinstance(name, str):
        raise Refused("model: expected a name; GET /v1/models lists them", key="model")
    known = model_names(run)
    if name in known:
        weights = known[name]
        return None if weights is None else parts_of(weights, run.finished.preferences)
    found = re.fullmatch(r"w:([0-9.eE+, -]{1,200})", name)
    try:
        given = [float(word) for word in found[1].split(",")] if found else []
    except ValueError:
        given = []
    if not found or len(given) != len(run.objectives):
        raise Refused(
            f"model {name[:80]!r}: no such model; GET /v1/models lists them, and any weights are "
            f"w:{','.join(['0.5'] * len(run.objectives))} for {', '.join(run.objectives)}",
            status=404,
            key="model",
        )
    total = sum(given)
    if not all(map(math.isfinite, given)) or min(given) < 0 or not 0 < total < math.inf:
        raise Refused("model: weights are at least 0 and not all 0", key="model")
    exact = parts_of([weight / total for weight in given], run.finished.preferences)
    if exact.exact:
        return exact
    rounded = [round(STEP * weight / total) for weight in given]
    whole = sum(rounded) or 1
    return parts_of([share / whole for share in rounded], run.finished.preferences)


def _prompt(messages: Any) -> str:
    """Messages as a prompt's text."""
    if not isinstance(messages, list) or not messages:
        raise Refused("messages: expected a list of messages", key="messages")
    turns = []
    for place, message in enumerate(messages):
        where = f"messages[{place}]"
        if not isinstance(message, dict) or message.get("role") not in ROLES:
            raise Refused(f"{where}: expected a role of {', '.join(ROLES)}", key="messages")
        content = message.get("content")
        if isinstance(content, list):
            texts = [part.get("text") for part in content if isinstance(part, dict)]
            plain = all(isinstance(p, dict) and p.get("type") == "text" for p in content)
            if not plain or not all(isinstance(text, str) for text in texts):
                raise Refused(f"{where}: only text is taken", key="messages")
            content = "".join(map(str, texts))
        if not isinstance(content, str):
            raise Refused(f"{where}.content: expected text", key="messages")
        if message.get("tool_calls"):
            raise Refused(f"{where}: tools are not taken", key="messages")
        role = "system" if message["role"] == "developer" else message["role"]
        turns.append({"role": role, "content": content})
    if turns[-1]["role"] != "user":
        raise Refused("messages: a conversation must end with the user", key="messages")
    return write_prompt(turns)


def _stops(given: Any) -> tuple[str, ...]:
    texts = [given] if isinstance(given, str) else ([] if given is None else given)
    right = isinstance(texts, list) and len(texts) <= MOST_STOPS
    if not right or not all(isinstance(t, str) and 0 < len(t) <= LONGEST_STOP for t in texts):
        raise Refused(f"stop: expected up to {MOST_STOPS} texts", key="stop")
    return tuple(texts)


def _seed(given: Any) -> int:
    if given is None:
        return secrets.randbits(31)
    if isinstance(given, bool) or not isinstance(given, int) or not 0 <= given < 2**63:
        raise Refused("seed: expected a whole number of at least 0", key="seed")
    return given


def _flag(body: dict[str, Any], key: str) -> bool:
    value = body.get(key)
    if value is not None and not isinstance(value, bool):
        raise Refused(f"{key}: expected true or false", key=key)
    return bool(value)


def _number(body: dict[str, Any], key: str, least: float, most: float, usual: float) -> float:
    value = body.get(key)
    if value is None:
        return usual
    if isinstance(value, bool) or not isinstance(value, int | float) or not least <= value <= most:
        raise Refused(f"{key}: expected a number from {least} to {most}", key=key)
    return float(value)


def _whole(
    body: dict[str, Any], key: str, least: int, most: int | None, usual: int | None
) -> int | None:
    value = body.get(key)
    if value is None:
        return usual
    whole = isinstance(value, int) and not isinstance(value, bool)
    if not whole or value < least or (most is not None and value > most):
        upto = "" if most is None else f" to {most}"
        raise Refused(f"{key}: expected a whole number from {least}{upto}", key=key)
    return int(value)
