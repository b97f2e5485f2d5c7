"""What a method makes: for each preference the adapters to load and the system prompt."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import polars as pl

from paretohqd.models.adapters import Weighted


@dataclass(frozen=True, kw_only=True)
class Choice:
    """Answers that are chosen among several by the scorers themselves, at use."""

    candidates: int
    """Answers to each prompt, of which the best is given."""
    weights: tuple[float, ...]
    """What each objective's standardised score counts."""
    constants: Mapping[str, tuple[float, float]]
    """Mean and deviation by which each objective is standardised."""

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
        values: np.ndarray = sum(  # type: ignore[assignment]
            weight * (frame[name].to_numpy() - mean) / deviation
            for weight, (name, (mean, deviation)) in zip(
                self.weights, self.constants.items(), strict=True
            )
        )
        best = values.reshape(-1, self.candidates).argmax(axis=1)
        rows: pl.DataFrame = frame[np.arange(len(best)) * self.candidates + best]
        return rows

    def facts(self) -> dict[str, object]:
        """What a step depends on."""
        constants = {name: list(pair) for name, pair in self.constants.items()}
        return {"weights": list(self.weights), "constants": constants}


@dataclass(frozen=True, kw_only=True)
class Policy:
    """How to answer for one preference, or for all where a method knows none."""

    weights: tuple[float, ...] | None = None
    """The preference; None where the method takes none."""
    adapters: tuple[Weighted, ...] = ()
    """Folders of adapters and the weights of their sum; none is the base itself."""
    system_prompt: str = ""
    """System prompt of every prompt; empty for none."""
    choice: Choice | None = None
    """How one of several answers is chosen; None: there is one."""
    least: tuple[tuple[str, float], ...] = ()
    """What the method promises of its mean scores: objectives and the least that each shall be."""

    @property
    def passes(self) -> float:
        """Forward passes for each token of an answer, at use."""
        return 1.0 if self.choice is None else float(self.choice.candidates)
