"""Conversations for the tests."""

from __future__ import annotations

import polars as pl

from helpers.tiny import sentences

SYSTEM = {"role": "system", "content": "Be brief."}


def talks(system: bool = True) -> pl.DataFrame:
    """Four answers to each of thirty conversations; every third has a single turn."""
    texts = sentences()
    rows = []
    for i in range(120):
        talk = i // 4
        turns = [{"role": "user", "content": texts[talk * 7]}]
        if talk % 3:
            turns.append({"role": "assistant", "content": texts[talk * 11]})
            turns.append({"role": "user", "content": texts[talk * 13 + 1]})
        answer = {"role": "assistant", "content": texts[(i * 31 + 3) % 588]}
        rows.append(([SYSTEM] if system else []) + turns + [answer])
    return pl.DataFrame({"messages": rows})
