"""Choose a training set for each of three preferences, look at it, keep it.

    python examples/select_rows.py

Takes the 8,000 answers that lie beside this file; scoring them needs the extra `demo`.
"""

from pathlib import Path

import polars as pl

import paretohqd as pq
from paretohqd.plots import save
from paretohqd.rewards.scoring import make_reward

ANSWERS = Path(__file__).parent / "smollm2_answers.parquet"


def main(folder: Path = Path("runs/select_rows"), rows: int = 8000) -> None:
    """Score, select, explain, draw and write."""
    folder.mkdir(parents=True, exist_ok=True)
    answers = pl.read_parquet(ANSWERS).head(rows)
    rewards = [
        make_reward(name="relevance", scorer="embedded:relevance"),
        make_reward(name="harmless", scorer="embedded:harmless"),
    ]
    scored = pq.score(answers, rewards)
    chosen = pq.choose(
        scored,
        ["relevance", "harmless"],
        {"to the point": [1, 0], "both": [0.5, 0.5], "harmless": [0, 1]},
        k=80,
        distinct="prompt",  # one answer to a prompt, at most, for each preference
    )
    print(chosen.explain())
    for name, part in chosen:
        means = part.select(pl.mean("relevance", "harmless").round(2)).row(0)
        print(f"{name}: mean relevance {means[0]}, harmless {means[1]}")
    save(chosen.plot(), folder / "chosen.svg")
    chosen["both"].write_parquet(folder / "both.parquet")


if __name__ == "__main__":
    main()
