"""What a method makes: for each preference the adapters to load, and what else acts at use."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
import polars as pl

from paretohqd.models.adapters import Weighted
from paretohqd.models.guide import Tilt


@dataclass(frozen=True, kw_only=True)
class Choice:
    """Answers that are chosen among several by the scorers themselves, at use."""

    candidates: int
    """Answers to each prompt, or beginnings of one, of which the best is taken."""
    weights: tuple[float, ...]
    """What each objective's standardised score counts."""
    constants: Mapping[str, tuple[float, float]]
    """Mean and deviation by which each objective is standardised."""
    each: Literal["answer", "sentence"] = "answer"
    """When it is chosen: once, or after each sentence, from where the answer then goes on."""

    def best(self, frame: pl.DataFrame) -> np.ndarray:
        """The number of each prompt's best candidate among its own, the first of equal ones.

        Args:
            frame: Scored answers, the candidates of a prompt one after the other.
        """
        values: np.ndarray = sum(  # type: ignore[assignment]
            weight * (frame[name].to_numpy() - mean) / deviation
            for weight, (name, (mean, deviation)) in zip(
                self.weights, self.constants.items(), strict=True
            )
        )
        best: np.ndarray = values.reshape(-1, self.candidates).argmax(axis=1)
        return best

    def of(self, frame: pl.DataFrame) -> pl.DataFrame:
        """The best of each prompt's candidates, the first of equal ones.

        Args:
            frame: Scored answers, the candidates of a prompt one after the other.

        Example:
            >>> choice = Choice(candidates=2, weights=(1.0,), constants={"kind": (0.0, 1.0)})
            >>> frame = pl.DataFrame({"kind": [0.0, 2.0, 1.0, 1.0], "response": list("abcd")})
            >>> choice.of(frame)["response"].to_list()
            ['b', 'c']
        """
        best = self.best(frame)
        rows: pl.DataFrame = frame[np.arange(len(best)) * self.candidates + best]
        return rows

    def facts(self) -> dict[str, object]:
        """What a step depends on."""
        constants = {name: list(pair) for name, pair in self.constants.items()}
        facts: dict[str, object] = {"weights": list(self.weights), "constants": constants}
        facts["names"] = list(constants)  # weights are in their order
        return facts if self.each == "answer" else facts | {"candidates": self.candidates}


@dataclass(frozen=True, kw_only=True)
class Edit:
    """A second model that reads prompt, answer and a request, and answers in its place."""

    adapters: tuple[Weighted, ...]
    """Of the second model; none is the base."""
    request: str
    """What it is asked for, as the user's next turn."""
    shuffled: int | None = None
    """Seed by which each prompt gets another one's draft: whether drafts are read at all. None:
    each its own."""


@dataclass(frozen=True, kw_only=True)
class Guidance:
    """A value model that reads along."""

    folder: Path
    tilt: Tilt
    action: bool
    """Whether one forward pass tells the values of all next tokens."""


@dataclass(frozen=True, kw_only=True)
class Policy:
    """How to answer for one preference, or for all where a method knows none."""

    weights: tuple[float, ...] | None = None
    """The preference; None where the method takes none."""
    adapters: tuple[Weighted, ...] = ()
    """Folders of adapters and the weights of their sum; none is the base itself."""
    system_prompt: str = ""
    """System prompt of every prompt; empty for none."""
    told: Callable[[Sequence[str]], list[str]] | None = None
    """Gives each prompt a system prompt of its own, in the place of one for all."""
    choice: Choice | None = None
    """How one of several answers is chosen; None: there is one."""
    edit: Edit | None = None
    """What is made of each answer; None: nothing."""
    guidance: Guidance | None = None
    """What acts on each token; None: nothing."""
    made_of: tuple[Path, ...] = ()
    """What is stored for it, where that is not its adapters but what they are made of."""
    least: tuple[tuple[str, float], ...] = ()
    """What the method promises of its mean scores: objectives and the least that each shall be."""

    def __post_init__(self) -> None:
        """Refuse what does not go together.

        Raises:
            ValueError: A value model with something that is not the base alone, an edit of answers
                that are chosen, or a choice after each sentence with a system prompt for each.
        """
        more = self.adapters or self.system_prompt or self.told or self.choice
        if self.guidance is not None and more:
            raise ValueError("guidance: a value model reads along with the base alone")
        if self.edit is not None and self.choice is not None:
            raise ValueError("edit: one answer is edited, none that is chosen among several")
        if self.told is not None and self.choice is not None and self.choice.each == "sentence":
            raise ValueError("choice: sentence by sentence there is one system prompt for all")

    @property
    def passes(self) -> float:
        """Forward passes for each token of an answer, at use."""
        passes = 1.0 if self.choice is None else float(self.choice.candidates)
        if self.guidance is not None:
            passes += 1 if self.guidance.action else self.guidance.tilt.candidates
        return passes + (self.edit is not None)

    @property
    def folders(self) -> set[Path]:
        """Of all that is stored for it."""
        if self.made_of:
            return set(self.made_of)
        edit = self.edit.adapters if self.edit else ()
        own = {folder for folder, _ in (*self.adapters, *edit)}
        return own | ({self.guidance.folder} if self.guidance else set())
