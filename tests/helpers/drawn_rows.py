"""Rows drawn with fixed seeds; only by operations that are rounded alike on every machine."""

from __future__ import annotations

from typing import Any

import numpy as np
import polars as pl

KINDS = ("uniform", "front", "ties", "repeated", "single", "wide", "whole", "tenths")
"""See `scores`."""


def scores(kind: str, n: int, m: int, seed: int = 0) -> Any:
    """n scores in m objectives.

    Args:
        kind: "uniform" in the unit box; "front", near a plane, so that layers are few; "ties", of
            six values; "repeated", of which half are copies of others; "single", in single
            precision; "wide", of very different scales with signs; "whole", integers; "tenths",
            whose distances are often equal but for rounding.
        n: Number of points.
        m: Number of objectives.
        seed: Of the generator.
    """
    rng = np.random.default_rng([seed, n, m])
    points = rng.random((n, m))
    if kind == "front":
        points = points.round(3)
        # A difference of thousandths is exact enough to be the same everywhere.
        points[:, -1] = 1.0 - points[:, 0] + points[:, -1] / 8
    elif kind == "ties":
        points = rng.integers(0, 6, (n, m)) / 4
    elif kind == "repeated" and n > 1:
        points = points[rng.integers(0, (n + 1) // 2, n)]
    elif kind == "single":
        points = points.astype(np.float32)
    elif kind == "wide":
        points = (points - 0.5) * np.array([1e-6, 1.0, 1e6, 1e-3, 1e3, 1e9])[:m]
    elif kind == "whole":
        points = rng.integers(-50, 50, (n, m))
    elif kind == "tenths":
        points = rng.integers(0, 21, (n, m)) / 10
    return points


def rows(kind: str = "uniform", n: int = 400, m: int = 2, seed: int = 0) -> pl.DataFrame:
    """n scored answers, five to a prompt or so, from three sources in some order."""
    rng = np.random.default_rng([seed + 1, n, m])
    points = scores(kind, n, m, seed)
    prompts, sources = rng.integers(0, n // 5 + 1, n), rng.integers(0, 3, n)
    answers = rng.integers(0, n // 2 + 1, n)
    return pl.DataFrame(
        {
            "prompt": [f"prompt {i}" for i in prompts],
            "response": [f"answer {i}, ünïcödé" for i in answers],
            "source": [("web", "book", "talk")[i] for i in sources],
            "week": sources * 2 + prompts % 2,
            **{f"s{j}": points[:, j] for j in range(m)},
        }
    )


def names(m: int) -> list[str]:
    """The score columns of `rows`."""
    return [f"s{j}" for j in range(m)]


def with_gaps(frame: pl.DataFrame) -> pl.DataFrame:
    """The same with null and NaN among the first two objectives."""
    number = pl.int_range(pl.len())
    return frame.with_columns(
        s0=pl.when(number % 11 != 3).then("s0"),
        s1=pl.when(number % 13 == 5).then(float("nan")).otherwise("s1"),
    )
