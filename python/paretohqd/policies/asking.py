"""What a caller asks for: a trade-off, and a conversation to answer."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from paretohqd.exceptions import unknown_word
from paretohqd.frames.conversations.prompts import write_prompt
from paretohqd.selection.preferences import TOLERANCE, format_weights

Weights = str | Mapping[str, float] | Sequence[float]
"""A preference: its name in the run, weights by the objectives' names, or in their order."""

Talk = str | Sequence[Mapping[str, Any]]
"""What a user says, or a conversation that ends with the user."""


def prompt_of(messages: Talk) -> str:
    """A conversation as a prompt's text.

    Raises:
        ValueError: It does not end with the user, or a message is none.
    """
    if isinstance(messages, str):
        messages = [{"role": "user", "content": messages}]
    if isinstance(messages, Mapping) or not all(isinstance(m, Mapping) for m in messages):
        raise ValueError("messages: expected a text, or a list of messages with role and content")
    for place, message in enumerate(messages):
        if not all(isinstance(message.get(key), str) for key in ("role", "content")):
            raise ValueError(f"messages[{place}]: expected a role and a content of text")
    if not messages or messages[-1]["role"] != "user":
        raise ValueError("messages: a conversation must end with the user")
    return write_prompt(messages)


def settle(
    weights: Weights, names: Sequence[str], known: Mapping[str, tuple[float, ...]]
) -> tuple[tuple[float, ...], str]:
    """A preference as M numbers that sum to 1, and a note where that changed them.

    Args:
        weights: What was given.
        names: The objectives.
        known: The trained preferences by name.

    Raises:
        ValueError: See `loaded.Run.policy`.
    """
    if isinstance(weights, str):
        if weights not in known:
            raise unknown_word("no preference of this run", weights, known)
        return known[weights], ""
    if isinstance(weights, Mapping):
        for name in weights:
            if name not in names:
                raise unknown_word("weights: no objective", str(name), names)
        weights = [weights.get(name, 0.0) for name in names]
    try:
        given = np.array(list(weights), dtype=np.float64)
    except (TypeError, ValueError):
        given = np.empty(0)
    if given.shape != (len(names),):
        raise ValueError(
            f"weights: expected {len(names)} numbers, for {', '.join(names)}, got {weights!r}"
        )
    if not np.isfinite(given).all() or (given < 0).any() or not given.max() > 0:
        raise ValueError(
            f"weights: expected numbers of at least 0, not all 0, got {given.tolist()}"
        )
    total = float((given / given.max()).sum()) * float(given.max())
    given = given / given.max()
    settled = tuple((given / given.sum() + 0.0).tolist())
    if abs(total - 1) <= TOLERANCE:
        return settled, ""
    return settled, f"weights that sum to {total:g} were divided by that: {format_weights(settled)}"


def in_words(words: Sequence[str]) -> Weights:
    """What `loaded.Run.policy` takes, of words that somebody typed.

    Example:
        >>> in_words([".7", ".3"]), in_words(["very", "brief"])
        ([0.7, 0.3], 'very brief')
    """
    try:
        return [float(word) for word in words]
    except ValueError:
        return " ".join(words)
