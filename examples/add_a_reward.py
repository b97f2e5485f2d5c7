"""A reward of your own: an object with a name, scores of pairs of texts, and what to note of it.

python examples/add_a_reward.py
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl

import paretohqd as pq
from paretohqd.rewards.scoring import make_reward


@dataclass(frozen=True)
class Short:
    """Fewer words are better, down to a number."""

    enough: int = 8
    name: str = "short"

    def score(self, prompts: Sequence[str], responses: Sequence[str]) -> np.ndarray:
        """One finite number for each pair; larger is better."""
        words = np.array([len(response.split()) for response in responses])
        return -np.maximum(words - self.enough, 0).astype(float)

    def manifest(self) -> dict[str, Any]:
        """What is kept beside the scores, so that they can be told from others."""
        return {"kind": "short", "enough": self.enough}


def main() -> None:
    """Score some answers by it and by an embedded scorer, and select."""
    answers = pl.DataFrame(
        {
            "prompt": ["How was the film?"] * 4,
            "response": [
                "Great!",
                "I loved it, from the first scene to the last one, and so did all of my friends.",
                "It was long.",
                "Terrible. I hated the story, the songs, the people and above all the ending.",
            ],
        }
    )
    scored = pq.score(answers, [Short(), make_reward(name="kind", scorer="embedded:positivity")])
    print(scored.drop("prompt"))
    print(pq.select(scored, ["short", "kind"], 3, k=1).select("preference", "response"))


if __name__ == "__main__":
    main()
