"""Selections to draw, and what a picture's specification says of them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from io import StringIO
from typing import Any

import numpy as np
import polars as pl

from paretohqd.selection.choosing import choose


@dataclass(frozen=True)
class Made:
    """A selection as `plot` wants it."""

    rows: pl.DataFrame
    preferences: Any
    objectives: Mapping[str, str]
    pool: pl.DataFrame
    r_min: Any
    r_max: Any
    n_rows: int
    scores: pl.LazyFrame | None
    preference_names: tuple[str, ...] | None = None
    by: tuple[str, ...] | None = None

    @property
    def through(self) -> Any:
        """The paper's rays."""
        return self.preferences


def made(frame: pl.DataFrame, ways: Mapping[str, str], preferences: Any, **options: Any) -> Made:
    # Chosen under plain names: these are about pictures, and some look like patterns to Polars.
    plain = [f"o{i}" for i in range(len(ways))]
    back = dict(zip(plain, ways, strict=True))
    scores = frame.select(pl.selectors.by_name(name).alias(o) for o, name in back.items())
    chosen = choose(scores, dict(zip(plain, ways.values(), strict=True)), preferences, **options)
    pool = scores.cast(pl.Float64).with_columns(
        row=pl.int_range(pl.len(), dtype=pl.UInt64), layer=pl.Series(chosen.layer)
    )
    return Made(
        # Scores from an array column have no columns of their own.
        rows=chosen.rows.drop(plain),
        preferences=chosen.preferences,
        objectives=ways,
        pool=pool.filter(pl.col("layer") >= 0).rename(back),
        r_min=chosen.r_min,
        r_max=chosen.r_max,
        n_rows=len(frame),
        scores=scores.lazy().rename(back),
    )


def cloud(n: int, ways: Mapping[str, str], seed: int = 0) -> pl.DataFrame:
    rng = np.random.default_rng(seed)
    return pl.DataFrame({name: rng.normal(size=n) for name in ways})


def panels(spec: Mapping[str, Any]) -> list[dict[str, Any]]:
    return [part for part in spec["concat"] if "layer" in part and "title" not in part]


def tables(spec: Mapping[str, Any], panel: Mapping[str, Any]) -> Iterator[tuple[Any, pl.DataFrame]]:
    """Each layer of a panel with its data."""
    for layer in panel["layer"]:
        data = spec["datasets"][layer["data"]["name"]]
        yield layer, pl.read_csv(StringIO(data)) if isinstance(data, str) else pl.DataFrame(data)


def drawn(spec: Mapping[str, Any], at: int, *fields: str) -> list[tuple[Any, pl.DataFrame]]:
    """Layers of panel `at` whose data have these fields."""
    found = tables(spec, panels(spec)[at])
    return [(layer, data) for layer, data in found if set(fields) <= set(data.columns)]


TWO = {"a": "max", "b": "min"}
