"""What ParetoHqD with one stage and with two share: its options, its rows, its models."""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from enum import Enum
from pathlib import Path
from typing import Any, Literal

import numpy as np
import polars as pl

from paretohqd.compare.method import Count, MethodOptions
from paretohqd.compare.methods._ranking import best
from paretohqd.compare.methods._sft import fine_tune
from paretohqd.compare.policy import Policy
from paretohqd.compare.workbench import Workbench
from paretohqd.frames.objectives import column
from paretohqd.kernels.layers import pareto_layers
from paretohqd.selection.choosing import choose_by_rule
from paretohqd.selection.copies import copy_columns
from paretohqd.selection.preferences import Directions
from paretohqd.selection.rule import Bounds, Rule

Rank = Literal["ray", "linear", "ideal", "achievement", "sum"]

OF_ALL_ROWS = ("achievement", "sum")
"""Ranks that know no pool."""


class Unset(Enum):
    """What an option has that is not given: unlike null, which has a meaning of its own."""

    UNSET = "the settings' own"


UNSET = Unset.UNSET


@dataclass(frozen=True, kw_only=True)
class SelectionOptions(MethodOptions):
    """Options of `paretohqd.select` that replace the settings' own."""

    upto: Count | Unset | None = UNSET
    """In place of `selection.upto`."""
    at_least: Count | Unset | None = UNSET
    """In place of `selection.at_least`."""
    bounds: Literal["pool", "all"] | Unset = UNSET
    """In place of `selection.bounds`."""
    scale: Literal["box", "none"] | Unset = UNSET
    """In place of `selection.scale`."""
    directions: Directions | Unset = UNSET
    """In place of `selection.directions`."""
    distinct: str | Unset | None = UNSET
    """A column of which each preference gets no value twice; null for none. Without it that is the
    prompt, if `selection.one_per_prompt` says so."""
    duplicates: Literal["keep", "drop"] | Unset = UNSET
    """In place of `selection.duplicates`."""

    def __post_init__(self) -> None:
        """Refuse two ways to end the pool.

        Raises:
            ValueError: Both are given, or a number is out of range.
        """
        super().__post_init__()
        if None not in (self.upto, self.at_least) and UNSET not in (self.upto, self.at_least):
            raise ValueError("give upto or at_least, and not both")

    def for_select(self) -> dict[str, Any]:
        """Those that are given."""
        values = {f.name: getattr(self, f.name) for f in fields(SelectionOptions)}
        return {name: value for name, value in values.items() if value is not UNSET}


def rule_of(bench: Workbench, options: SelectionOptions, *, k: int, rank: Rank) -> Rule:
    """The rule of selection; ranks that this module adds choose from the pool of the ray."""
    own: dict[str, Any] = {"rank": rank} if rank in OF_ALL_ROWS else {}
    return bench.rule(k=k, **{**options.for_select(), **own})


def refuse_pool(options: SelectionOptions, rank: Rank) -> None:
    """Refuse an end of a pool where there is none.

    Raises:
        ValueError: `upto` or `at_least` beside a rank of all rows.
    """
    if rank in OF_ALL_ROWS and {options.upto, options.at_least} - {UNSET, None}:
        raise ValueError(f"rank: {rank} chooses from all rows: leave out upto and at_least")


def select_rows(
    bench: Workbench,
    frame: pl.DataFrame,
    options: SelectionOptions,
    *,
    k: int,
    rank: Rank = "ray",
    reference: Bounds | None = None,
) -> pl.DataFrame:
    """The training rows of all preferences: prompt, response and preference.

    Where a fixed number of layers holds fewer rows than k, k is lowered, and that is noted. The
    reference points may be given.
    """
    rule = rule_of(bench, options, k=k, rank=rank)
    if reference is not None:
        rule = replace(rule, bounds=reference)
    if rank in OF_ALL_ROWS:
        return bench.choose(frame, rule)
    if rule.upto is not None:
        layer = pareto_layers(frame.select(bench.names), upto=rule.upto)
        pool = frame.filter(pl.Series(layer >= 0))
        if rule.duplicates == "drop":
            pool = pool.unique([*map(column, copy_columns(frame.schema, bench.names))])
        room = len(pool) if rule.distinct is None else pool[rule.distinct].n_unique()
        if room < k:
            bench.notes["k"] = f"{room} rows in {rule.upto} layers, {k} were wanted"
            rule = replace(rule, k=room)
    if rank == "ray":
        return bench.choose(frame, rule)

    def work() -> pl.DataFrame:
        chosen = choose_by_rule(rule, frame, bench.names, bench.weights)
        pool = frame[chosen.pool["row"].to_numpy()]
        width = np.where(chosen.r_max > chosen.r_min, chosen.r_max - chosen.r_min, 1.0)
        box = (pool.select(bench.names).to_numpy() - chosen.r_min) / width
        parts = []
        for number, weights in enumerate(bench.weights):
            values = box @ weights if rank == "linear" else -(weights * (1 - box) ** 2).sum(axis=1)
            rows = best(pool, values, rule.k, one_per_prompt=rule.distinct is not None)
            parts.append(rows.with_columns(preference=pl.lit(number)))
        return pl.concat(parts)

    return bench.table("select", work, frame, rank=rank, **bench.rule_settings(rule))


def fit_preferences(
    bench: Workbench,
    rows: pl.DataFrame,
    *,
    stage: int,
    share: float,
    start_from: list[Path] | None = None,
    rate: float | None = None,
) -> list[Path]:
    """Train each preference's adapter on its rows; `share` is of one of them.

    The learning rate is the stage's own if none is given.
    """
    return [
        fine_tune(
            bench,
            rows.filter(pl.col("preference") == number),
            label=f"stage {stage} {number}",
            per="preference",
            share=share,
            stage=stage,
            start_from=None if start_from is None else start_from[number],
            rate=rate,
        ).adapter
        for number in range(len(bench.weights))
    ]


def policies_of(bench: Workbench, adapters: list[Path]) -> list[Policy]:
    """One policy per preference, each with its adapter."""
    return [
        Policy(weights=weights, adapters=((adapter, 1.0),))
        for weights, adapter in zip(bench.preferences, adapters, strict=True)
    ]
