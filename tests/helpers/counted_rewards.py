"""Rewards that are functions of the answer alone."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np


class Counts:
    """A reward that is a function of the answer."""

    def __init__(self, name: str, value: Callable[[str], float]) -> None:
        self.name, self.value = name, value
        self.prompts: list[str] = []

    def score(self, prompts: Sequence[str], responses: Sequence[str]) -> Any:
        self.prompts += prompts
        return np.array([self.value(text) for text in responses])

    def manifest(self) -> dict[str, Any]:
        return {}


def vowels() -> Counts:
    return Counts("vowels", lambda text: sum(c in "aeiou" for c in text) / (1 + len(text)))


def brief(scale: float = 1.0) -> Counts:
    return Counts("brief", lambda text: -scale * len(text))
