"""Ranks that look at all rows: achievement, weighted sum and ideal point."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from polars.testing import assert_frame_equal

import paretohqd as pq
from helpers import oracle
from helpers.drawn import NAMES, frame_of
from paretohqd.cli.main import main
from paretohqd.runs.config_reader import from_mapping
from paretohqd.runs.sections import Selection
from paretohqd.selection.choosing import ADDED, choose_by_rule
from paretohqd.selection.preferences import ray_weights

RANKS = ["achievement", "sum", "ideal"]


def lost(rank: str, chosen: pq.Selection, points: np.ndarray) -> np.ndarray:
    """(P, n) what each preference loses with each row, by the definitions."""
    signs = np.array([1 if d == "max" else -1 for d in chosen.objectives.values()])
    low, high = chosen.r_min * signs, chosen.r_max * signs
    short = (high - points * signs) / (high - low)
    weights = chosen.preferences[:, None, :]
    if rank == "sum":
        return (weights * short).sum(axis=2)
    if rank == "ideal":
        return np.sqrt((np.square(weights * np.maximum(short, 0))).sum(axis=2))
    falls = 1 - ray_weights(chosen.preferences, chosen.directions)
    values = np.empty((len(falls), len(points)))
    for number, fall in enumerate(falls):
        firm = fall == 0
        terms = np.where(firm, -np.inf, short / np.where(firm, 1, fall))
        values[number] = terms.max(axis=1)
        if firm.any():  # such an objective counts before all others, in its own units
            values[number] = ((high - points * signs)[:, firm]).max(axis=1)
    return values


whole = st.lists(
    st.tuples(st.integers(-3, 3), st.integers(-3, 3), st.integers(0, 3)), min_size=4, max_size=25
)
real = st.lists(
    st.tuples(*[st.floats(-5, 5, width=32).map(lambda x: round(x, 3))] * 3), min_size=4, max_size=25
)


@pytest.mark.filterwarnings("ignore::paretohqd.selection.same_rows.SameRowsWarning")
@settings(deadline=None, max_examples=150)
@given(
    whole | real,
    st.integers(2, 3),
    st.sampled_from(RANKS),
    st.sampled_from(["pool", "all"]),
    st.sampled_from(["paper", "tchebycheff"]),
    st.integers(1, 6),
)
def test_the_definitions(
    rows: list[tuple[float, ...]], m: int, rank: Any, bounds: Any, directions: Any, k: int
) -> None:
    """No chosen row is dominated by one that was left out, and none left out loses less."""
    points = np.array(rows, dtype=np.float64)[:, :m]
    assume((np.ptp(points, axis=0) > 0).all() and len(points) >= k)
    names = NAMES[:m]
    frame = pl.DataFrame({name: points[:, i] for i, name in enumerate(names)})
    given_ = dict(zip(names, ["max", "min", "max"], strict=False))
    options = {"k": k, "rank": rank, "bounds": bounds}
    if rank == "achievement":
        options["directions"] = directions
    chosen = pq.choose(frame, given_, 2 * m, **options)
    signed = points * [1 if d == "max" else -1 for d in given_.values()]
    layer = oracle.layers(signed)
    values = lost(rank, chosen, points)
    for number in range(len(chosen)):
        taken = chosen[number]["row"].to_numpy()
        assert len(set(taken)) == k
        others = np.setdiff1d(np.arange(len(points)), taken)
        for row in taken:
            assert not any(oracle.dominates(signed[other], signed[row]) for other in others)
        own = values[number][taken]
        assert chosen[number]["distance"].to_numpy() == pytest.approx(own, rel=1e-12, abs=1e-12)
        assert (np.diff(own) >= -1e-12).all()
        if len(others):
            assert values[number][others].min() >= own.max() - 1e-9 * (1 + abs(own.max()))
        assert chosen[number]["layer"].to_list() == layer[taken].tolist()
        assert layer[taken].max() < k, "the k first rows are in the first k layers"
    inside = chosen.layer >= 0
    assert (chosen.layer[inside] == layer[inside]).all()


@pytest.mark.parametrize("rank", RANKS)
@pytest.mark.parametrize("bounds", ["pool", "all", [(0, 0, 0), (40, 39, 41)]])
@pytest.mark.parametrize(
    "more",
    [{}, {"distinct": "prompt"}, {"duplicates": "drop"}, {"distinct": "prompt", "nan": "drop"}],
    ids=str,
)
def test_the_same_rows_wherever_they_lie(
    rank: Any, bounds: Any, more: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rng = np.random.default_rng(5)
    scores = rng.integers(0, 40, (3000, 3)).astype(np.float64)
    frame = frame_of(scores).with_columns(
        prompt=pl.Series((np.arange(3000) // 40).astype(str)),
        response=pl.Series(rng.integers(0, 9, 3000).astype(str)),
    )
    if more.get("nan"):
        frame = frame.with_columns(pl.when(pl.int_range(pl.len()) % 7 > 0).then("a").alias("a"))
    options = {"k": 12, "rank": rank, "bounds": bounds, **more}
    expected = pq.choose(frame, NAMES, 6, **options)
    assert len(expected.rows) == 72
    for start in range(0, 3000, 900):
        frame[start : start + 900].write_parquet(tmp_path / f"{start:04}.parquet")
    monkeypatch.setattr("paretohqd.frames.batches.SMALL_BYTES", 1)
    monkeypatch.setattr("paretohqd.frames.sources.SMALL_BYTES", 1)
    for source in (frame.lazy(), tmp_path):
        found = pq.choose(source, NAMES, 6, memory_limit=300_000, **options)
        assert_frame_equal(found.rows, expected.rows, check_exact=True)
        assert_frame_equal(found.pool, expected.pool, check_exact=True)
        assert found.r_min.tolist() == expected.r_min.tolist()
        assert found.summary() == expected.summary()
    for threads in (1, 2):
        again = pq.choose(frame, NAMES, 6, n_threads=threads, **options)
        assert_frame_equal(again.rows, expected.rows, check_exact=True)
    nan = options.pop("nan", "raise")
    state = pq.FirstLayers(NAMES, upto=16, nan=nan)
    for start in range(0, 3000, 1000):
        state.add(frame[start : start + 1000])
    kept = pq.choose_from(state, 6, **options)
    assert_frame_equal(kept.rows.select(ADDED), expected.rows.select(ADDED), check_exact=True)


@pytest.mark.parametrize("rank", RANKS)
def test_one_of_each_prompt_and_no_copies(rank: Any) -> None:
    """What is left out is what a walk down the whole order leaves out."""
    rng = np.random.default_rng(6)
    frame = frame_of(rng.integers(0, 9, (400, 2)).astype(np.float64)).with_columns(
        prompt=pl.Series((np.arange(400) // 20).astype(str)),
        response=pl.Series(rng.integers(0, 4, 400).astype(str)),
    )
    every = pq.choose(frame, NAMES[:2], 3, k=400, rank=rank)
    chosen = pq.choose(frame, NAMES[:2], 3, k=15, rank=rank, distinct="prompt", duplicates="drop")
    for number in range(3):
        seen, walked = set[tuple[str, str]](), []
        prompts = set[str]()
        for row in every[number].iter_rows(named=True):
            text = (row["prompt"], row["response"])
            if text in seen:
                continue
            seen.add(text)
            if row["prompt"] not in prompts:
                prompts.add(row["prompt"])
                walked.append(row["row"])
        assert chosen[number]["row"].to_list() == walked[:15]
    with pytest.raises(ValueError, match="only 20 different values of the column `distinct`"):
        pq.choose(frame, NAMES[:2], 3, k=21, rank=rank, distinct="prompt")


@pytest.mark.parametrize("rank", RANKS)
@pytest.mark.parametrize("bounds", ["pool", "all", [(0, 0), (9, 9)]])
@pytest.mark.parametrize("duplicates", ["keep", "drop"])
def test_groups_give_what_each_gives_alone(rank: Any, bounds: Any, duplicates: Any) -> None:
    rng = np.random.default_rng(7)
    frame = frame_of(rng.integers(0, 9, (300, 2)).astype(np.float64)).with_columns(
        prompt=pl.Series(rng.permutation(np.arange(300) % 9).astype(str)),
        response=pl.Series(rng.integers(0, 12, 300).astype(str)),
    )
    options = {"k": 5, "rank": rank, "bounds": bounds, "duplicates": duplicates}
    grouped = pq.select(frame, NAMES[:2], 3, by="prompt", **options)
    assert len(grouped) == 3 * 9 * 5
    compared = 0
    for name in frame["prompt"].unique(maintain_order=True):
        part = frame.with_row_index("number").filter(pl.col("prompt") == name)
        own = pq.choose(part, NAMES[:2], 3, **options)
        if bounds == "pool" and own.pool.filter(pl.col("layer") == 0)[NAMES[0]].n_unique() < 2:
            continue  # alone the pool grows where the front has one value
        theirs = grouped.filter(pl.col("prompt") == name)
        assert theirs["row"].to_list() == own.rows["number"].to_list()
        same = ["preference", "position", "distance", "layer"]
        assert_frame_equal(theirs.select(same), own.rows.select(same), check_exact=True)
        compared += 1
    assert compared > 5


def test_a_hollow_front() -> None:
    """A weighted sum finds the ends alone; achievement, as the ray, finds the middle."""
    x = np.linspace(0, 1, 101)
    frame = pl.DataFrame({"help": x, "safe": (1 - np.sqrt(x)) ** 2})
    middle = {rank: pq.choose(frame, ["help", "safe"], 3, k=1, rank=rank)[1] for rank in RANKS}
    assert middle["sum"]["help"].item() in (0, 1)
    assert middle["achievement"]["help"].item() == pytest.approx(0.25, abs=0.02)
    ray = pq.choose(frame, ["help", "safe"], 3, k=1)[1]
    assert ray["help"].item() == middle["achievement"]["help"].item()


def test_rows_far_down_a_ray_are_not_taken() -> None:
    """A row on the ray and far from the ideal comes before better ones by its distance alone."""
    frame = pl.DataFrame({"a": [1.0, 0.0, 0.7, 0.3, 0.62], "b": [0.0, 1.0, 0.68, 0.3, 0.7]})
    even = {"even": [0.5, 0.5]}
    by_ray = pq.choose(frame, ["a", "b"], even, k=2, upto=9)
    assert by_ray.rows["row"].to_list() == [3, 2]
    by_achievement = pq.choose(frame, ["a", "b"], even, k=2, rank="achievement")
    assert by_achievement.rows["row"].to_list() == [2, 4]


@pytest.mark.parametrize("rank", RANKS)
def test_rounding_lets_no_dominated_row_come_first(rank: Any) -> None:
    """Beside an ideal that is far off all shortfalls are one number; the better row is later."""
    frame = pl.DataFrame({"a": [1.0, 3.0, 2.0, 0.0], "b": [0.5, 0.5, 0.5, 1.0], "g": [0, 0, 0, 0]})
    options: Any = {"k": 2, "rank": rank, "bounds": [(-1e18, 0), (1e18, 1)]}
    for more in ({}, {"by": "g"}):
        chosen = pq.choose(frame, ["a", "b"], {"a": [0.9, 0.1]}, **options, **more)
        own = chosen.rows.filter(pl.col("b") == 0.5)["row"].to_list()
        assert own == [1, 2][: len(own)]
        assert own or rank == "achievement"


def test_fixed_points_give_the_same_rays_tomorrow() -> None:
    rng = np.random.default_rng(8)
    monday = frame_of(rng.random((500, 2)))
    points = {"a": "max", "b": "min"}
    first = pq.choose(monday, points, 3, k=5, upto=3)
    ends = [first.r_min.tolist(), first.r_max.tolist()]
    again = pq.choose(monday, points, 3, k=5, upto=3, bounds=ends)
    assert_frame_equal(again.rows, first.rows, check_exact=True)
    better = monday.with_columns(pl.col("a") + 5)
    moved = pq.choose(better, points, 3, k=5, upto=3, bounds=ends)
    assert moved.r_max.tolist() == first.r_max.tolist()
    grouped = monday.with_columns(g=pl.Series(np.arange(500) % 2))
    chosen = pq.choose(grouped, points, 3, k=5, upto=3, bounds=ends, by="g")
    for group in (0, 1):
        own = pq.choose(grouped.filter(pl.col("g") == group), points, 3, k=5, upto=3, bounds=ends)
        theirs = chosen.rows.filter(pl.col("g") == group)
        assert theirs["distance"].to_list() == own.rows["distance"].to_list()


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"rank": "tchebycheff"}, "rank: expected 'ray', 'achievement', 'sum' or 'ideal'"),
        ({"rank": "sum", "upto": 2}, "upto: rank='sum' chooses from all rows"),
        ({"rank": "ideal", "at_least": 9}, "at_least: rank='ideal' chooses from all rows"),
        ({"rank": "achievement", "scale": "none"}, "scale: rank='achievement' goes down a ray"),
        ({"rank": "achievement", "scale": [1, 2]}, "scale: rank='achievement' goes down a ray"),
        ({"rank": "sum", "directions": "tchebycheff"}, "directions: rank='sum' takes the weights"),
        ({"rank": "sum", "k": 11}, "k=11, but there are only 10 rows"),
        (
            {"bounds": "front"},
            "bounds: expected 'pool', 'all' or two points (r_min and r_max), got",
        ),
        ({"bounds": 3}, "bounds: expected 'pool', 'all' or two points"),
        ({"bounds": [(0, 0), (1, 1), (2, 2)]}, "bounds: expected 'pool', 'all' or two points"),
        ({"bounds": [(0, "x"), (1, 1)]}, "bounds: expected 'pool', 'all' or two points"),
        ({"bounds": [(0,), (1,)]}, "bounds: expected r_min and r_max of 2 finite numbers each"),
        ({"bounds": [(0, 0), (1, float("nan"))]}, "of 2 finite numbers each"),
        ({"bounds": [(0, 3), (1, 3)]}, "bounds: b: r_max must be above r_min, got r_min 3 and"),
        ({"bounds": [(-1e308, 0), (1e308, 1)]}, "further apart than doubles can hold"),
    ],
)
def test_what_is_refused(options: dict[str, Any], words: str) -> None:
    frame = frame_of(np.random.default_rng(9).random((10, 2)))
    with pytest.raises(ValueError, match=re.escape(words)):
        pq.select(frame, NAMES[:2], 3, **{"k": 2, **options})
    for source in (frame, frame.lazy()):
        infinite = source.with_columns(pl.when(pl.int_range(pl.len()) == 4).then(np.inf).alias("a"))
        with pytest.raises(ValueError, match=r"infinite|null"):
            pq.select(infinite, NAMES[:2], 3, k=2, rank="sum")
        same = source.with_columns(a=pl.lit(1.0))
        with pytest.raises(ValueError, match="'a' is constant"):
            pq.select(same, NAMES[:2], 3, k=2, rank="sum", bounds="all")


def test_a_state_that_let_rows_go() -> None:
    frame = frame_of(np.random.default_rng(10).random((500, 2)))
    state = pq.FirstLayers(NAMES[:2], upto=3).add(frame)
    assert len(pq.choose_from(state, 3, k=3, rank="achievement").rows) == 9
    with pytest.raises(ValueError, match=r"beyond the 3 layers that are kept might .* \(upto\)"):
        pq.choose_from(state, 3, k=60, rank="achievement")


def test_the_command_line_and_a_configuration(tmp_path: Path) -> None:
    frame = frame_of(np.random.default_rng(11).random((200, 2)))
    frame.write_csv(tmp_path / "rows.csv")
    given_ = ["--objectives", "a,b:min", "--preferences", "3", "-k", "4"]
    out = tmp_path / "out.parquet"
    points: Any = {"a": "max", "b": "min"}
    for rank in RANKS:
        for text, bounds in (("all", "all"), ("0,1:1,0", [(0, 1), (1, 0)])):
            asked = ["--rank", rank, "--bounds", text, "-o", str(out)]
            assert main(["select", str(tmp_path / "rows.csv"), *given_, *asked]) == 0
            expected = pq.select(frame, points, 3, k=4, rank=rank, bounds=bounds)
            assert pl.read_parquet(out)["row"].to_list() == expected["row"].to_list()
    section = from_mapping(Selection, {"rank": "achievement", "bounds": [[0, 1], [1, 0]]})
    expected = pq.select(frame, points, 3, k=4, rank="achievement", bounds=[(0, 1), (1, 0)])
    by_rule = choose_by_rule(section.rule(k=4), frame, points, 3)
    assert_frame_equal(by_rule.rows, expected)


@pytest.mark.parametrize("rank", RANKS)
@pytest.mark.parametrize("bounds", ["pool", "all"])
@pytest.mark.parametrize("lazy", [False, True])
def test_rows_of_which_none_takes_part_and_spans_past_all_doubles(
    rank: Any, bounds: Any, lazy: bool
) -> None:
    frame = frame_of(np.random.default_rng(12).random((10, 2)))
    source = frame.lazy() if lazy else frame
    options: dict[str, Any] = {"rank": rank, "bounds": bounds, "k": 2}
    for none in (source.filter(False), source.with_columns(a=pl.lit(None, dtype=pl.Float64))):
        with pytest.raises(ValueError, match="k=2, but there are only 0 rows to choose from"):
            pq.choose(none, NAMES[:2], 3, nan="drop", **options)
    with pytest.raises(ValueError, match="k=2, but there are only 0 rows to choose from"):
        pq.choose(source, NAMES[:2], 3, where="a > 9", **options)
    ends = pl.DataFrame({"a": [1.7e308, 0.0, -1.7e308, 1.0], "b": [-1.0, 0.0, 1.0, 0.5]})
    with pytest.raises(ValueError, match="'a' spans more than doubles can hold: scale it down"):
        pq.choose(ends.lazy() if lazy else ends, NAMES[:2], 3, **options)


@pytest.mark.parametrize("lazy", [False, True])
def test_scores_that_doubles_cannot_divide(lazy: bool) -> None:
    frame = pl.DataFrame({"a": [0.0, 5e-324, 0.0], "b": [1.0, 0.0, 0.5]})
    source: Any = frame.lazy() if lazy else frame
    with pytest.raises(ValueError, match=r"'a' spans no more than 4\.94.*e-324, .*: scale it up"):
        pq.choose(source, NAMES[:2], [[0.6, 0.4]], k=1, rank="achievement")
    corners = pq.choose(source, NAMES[:2], [[1, 0], [0, 1]], k=1, rank="achievement")
    assert corners.rows["row"].to_list() == [1, 0]
