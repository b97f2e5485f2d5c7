"""The rows that commands are tried on, and a process of its own to try them in."""

import subprocess
import sys

import numpy as np
import polars as pl

rng = np.random.default_rng(0)
FRAME = pl.DataFrame(
    {
        "prompt": [f"Question {i % 50}?" for i in range(200)],
        "response": [f"I love answer {i}." for i in range(200)],
        "help": rng.random(200),
        "harm": rng.random(200).round(2),
        "words": rng.integers(1, 90, 200),
    }
)


def python(*arguments, **more):
    return subprocess.run(
        [sys.executable, *map(str, arguments)], capture_output=True, text=True, **more
    )
