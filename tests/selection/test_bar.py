"""What is left of many rows before they are ranked: all that may be among the first ones."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from polars.testing import assert_frame_equal

import paretohqd as pq
from paretohqd.kernels import _core
from paretohqd.selection import candidates, ranks

RANKS = ["achievement", "sum", "ideal"]
NAMES = ["help", "harm", "brief"]


def order_of(rank: Any, m: int, rng: np.random.Generator, *, whole: bool) -> ranks.Order:
    """Some preferences, of which the first counts one objective alone."""
    weights = rng.dirichlet(np.ones(m), 4)
    weights[0] = np.eye(m)[0]
    units = np.ones(m) if whole else rng.uniform(0.3, 4, m)
    return ranks.Order(
        rank=rank,
        ideal=rng.integers(0, 4, m).astype(np.float64),
        units=units,
        weights=weights,
        falls=(1 - weights) * units,
    )


def losses(order: ranks.Order, points: np.ndarray) -> np.ndarray:
    """(P, n) by the definitions, in the operations whose order the docstrings give."""
    short = order.ideal - points
    if order.rank == "achievement":
        values = []
        for fall in order.falls:
            firm = fall == 0
            terms = short[:, firm] if firm.any() else short / fall
            values.append(terms.max(axis=1))
        return np.array(values)
    parts = list((short / order.units).T)
    return np.array([ranks.lost(order.rank, parts, weights) for weights in order.weights])


@settings(max_examples=300, deadline=None)
@given(
    rank=st.sampled_from(RANKS),
    seed=st.integers(0, 2**32 - 1),
    n=st.sampled_from([0, 1, 63, 64, 65, 700]),
    m=st.integers(2, 7),
    dtype=st.sampled_from([np.float64, np.float32]),
    layout=st.sampled_from(["columns", "rows"]),
    whole=st.booleans(),
    scale=st.sampled_from([1.0, 1e-150, 1e150]),
)
def test_no_row_within_a_bound_is_left_out(
    rank: str, seed: int, n: int, m: int, dtype: Any, layout: str, whole: bool, scale: float
) -> None:
    rng = np.random.default_rng(seed)
    scale = scale if dtype == np.float64 else 1.0
    points = rng.integers(-4, 5, (n, m)) if whole else rng.normal(size=(n, m))
    points = (points * scale).astype(dtype)
    holes = rng.random((n, m)) < 0.02
    points[holes] = np.nan
    order = order_of(rank, m, rng, whole=whole)
    signed = points.astype(np.float64)
    lost = losses(order, signed)
    some = np.nan_to_num(lost[:, :1], nan=1.0) if n else np.ones((4, 1))
    bounds = np.ascontiguousarray(some[:, 0]) * rng.choice([1.0, 0.9])
    larger = rng.random(m) < 0.5
    table = np.where(larger, points, -points).astype(dtype)
    table = np.asfortranarray(table) if layout == "columns" else table
    columns = [table[:, j] for j in range(m)]
    answers = [ranks.Bar(order, bounds).left(columns, larger.tolist(), t) for t in (1, 3)]
    bad = holes.any(axis=1)
    within = (lost <= bounds[:, None]).any(axis=0) | bad
    # A root that is a rounding away may be left in; what is more than that is not.
    near = (lost <= bounds[:, None] + 1e-9 * np.abs(bounds[:, None]) + 1e-140).any(axis=0) | bad
    for rows, worst, best in answers:
        assert set(np.flatnonzero(within)) <= set(rows.tolist()) <= set(np.flatnonzero(near))
        assert (np.diff(rows) > 0).all()
        for j in range(m):
            values = signed[~np.isnan(signed[:, j]), j]
            assert worst[j] == values.min(initial=np.inf)
            assert best[j] == values.max(initial=-np.inf)


@settings(max_examples=100, deadline=None)
@given(
    rank=st.sampled_from(RANKS),
    seed=st.integers(0, 2**32 - 1),
    n=st.integers(40, 400),
    k=st.integers(1, 12),
    whole=st.booleans(),
)
def test_a_sample_bounds_what_is_ranked(rank: str, seed: int, n: int, k: int, whole: bool) -> None:
    """The first rows by the sample's bound are those of a ranking of all, ties and all."""
    rng = np.random.default_rng(seed)
    points = rng.integers(0, 4, (n, 3)) if whole else rng.random((n, 3))
    columns = list(points.astype(np.float64).T)
    order = order_of(rank, 3, rng, whole=whole)
    expected = order.first(columns, min(k, n))  # so few rows are ranked as they are
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ranks, "CHUNK", 16)
        patch.setattr(ranks, "STRIDE", 3)
        found = order.first(columns, min(k, n))
    np.testing.assert_array_equal(found.rows, expected.rows)
    np.testing.assert_array_equal(found.values, expected.values)


def in_two_files(frame: pl.DataFrame, folder: Path) -> None:
    half = len(frame) // 2
    frame[:half].write_parquet(folder / "first.parquet", row_group_size=100)
    frame[half:].write_parquet(folder / "second.parquet", row_group_size=100)


@pytest.mark.parametrize("rank", RANKS)
@pytest.mark.parametrize(
    "options",
    [
        {"bounds": [(0, 1, 0), (1, 0, 1)]},
        {"bounds": "pool"},
        {"bounds": "all", "where": "help + harm < 1.2"},
        {"nan": "drop", "distinct": "prompt"},
        {"exclusive": True, "duplicates": "drop"},
    ],
    ids=str,
)
def test_many_batches_settled_again_and_again(
    rank: Any, options: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Rows get better with their number, so that the bar rises all the way."""
    monkeypatch.setattr(candidates, "SETTLE", 8)
    monkeypatch.setattr("paretohqd.frames.batches.SMALL_BYTES", 1)
    monkeypatch.setattr("paretohqd.frames.sources.SMALL_BYTES", 1)
    rng = np.random.default_rng(7)
    scores = (rng.random((20_000, 3)) * np.linspace(0.4, 1, 20_000)[:, None]).round(2)
    frame = pl.DataFrame(scores, schema=NAMES).with_columns(
        prompt=pl.format("prompt {}", pl.int_range(20_000) % 50)
    )
    if options.get("nan"):
        frame = frame.with_columns(
            pl.when(pl.int_range(20_000) % 997 != 0).then("harm").alias("harm")
        )
    in_two_files(frame, tmp_path)
    objectives = {"help": "max", "harm": "min", "brief": "max"}
    whole = pq.choose(frame, objectives, 6, k=20, rank=rank, **options)
    read = pq.choose(
        tmp_path,
        objectives,
        6,
        k=20,
        rank=rank,
        memory_limit=2_000_000,
        **options,
    )
    assert_frame_equal(read.rows, whole.rows, check_exact=True)
    assert_frame_equal(read.pool, whole.pool, check_exact=True)
    assert read.dropped == whole.dropped
    assert read.dropped_rows == whole.dropped_rows
    assert read.excluded == whole.excluded


@pytest.mark.parametrize("rank", RANKS)
def test_an_infinite_score_far_down_is_refused_as_in_memory(
    rank: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("paretohqd.frames.batches.SMALL_BYTES", 1)
    monkeypatch.setattr("paretohqd.frames.sources.SMALL_BYTES", 1)
    rng = np.random.default_rng(8)
    frame = pl.DataFrame(rng.random((4000, 2)), schema=["a", "b"])
    frame[3500, "b"] = -np.inf
    in_two_files(frame, tmp_path)
    options: dict[str, Any] = {"k": 3, "rank": rank, "bounds": [(0, 0), (1, 1)]}
    with pytest.raises(ValueError, match="infinite"):
        pq.choose(frame, ["a", "b"], 3, **options)
    with pytest.raises(ValueError, match=r"infinite.*second\.parquet"):
        pq.choose(tmp_path, ["a", "b"], 3, memory_limit=100_000, **options)


def test_what_the_kernel_refuses() -> None:
    columns, two, four = [np.zeros(3)] * 2, np.ones(2), np.ones(4)
    with pytest.raises(ValueError, match="no rank is called ray"):
        _core.within_bounds(columns, [True] * 2, "ray", two, two, four, two, None)
    for given_ in ([four, two, four], [two, four, four], [two, two, two]):
        with pytest.raises(ValueError, match=r"expected|has"):
            _core.within_bounds(columns, [True] * 2, "sum", *given_, two, None)
    with pytest.raises(ValueError, match="larger"):
        _core.within_bounds(columns, [True], "sum", two, two, four, two, None)
