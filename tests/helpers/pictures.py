"""Selections to draw, and what a picture's specification says of them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from io import StringIO
from typing import Any

import numpy as np
import polars as pl

from paretohqd.selection.choosing import choose
from paretohqd.selection.result import Selection


def made(
    frame: pl.DataFrame, directions: Mapping[str, str], preferences: Any, **options: Any
) -> Selection:
    selection = choose(frame, dict(directions), preferences, **options)
    # Scores from an array column have no columns of their own.
    rows = selection.rows.drop(pl.selectors.by_name(*directions))
    return replace(selection, rows=rows)


def cloud(n: int, names: Iterable[str], seed: int = 0) -> pl.DataFrame:
    rng = np.random.default_rng(seed)
    return pl.DataFrame({name: rng.normal(size=n) for name in names})


def panels(spec: Mapping[str, Any]) -> list[dict[str, Any]]:
    return [part for part in spec["concat"] if "layer" in part and "title" not in part]


def tables(spec: Mapping[str, Any], panel: Mapping[str, Any]) -> Iterator[tuple[Any, pl.DataFrame]]:
    """Each layer of a panel with its data."""
    for layer in panel["layer"]:
        data = spec["datasets"][layer["data"]["name"]]
        yield layer, pl.read_csv(StringIO(data)) if isinstance(data, str) else pl.DataFrame(data)


def drawn(spec: Mapping[str, Any], at: int, *fields: str) -> list[tuple[Any, pl.DataFrame]]:
    """Layers of panel `at` whose data have these fields."""
    layers = tables(spec, panels(spec)[at])
    return [(layer, data) for layer, data in layers if set(fields) <= set(data.columns)]


TWO = {"a": "max", "b": "min"}
