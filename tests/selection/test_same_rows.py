"""Scores so coarse that nothing is traded: the pool grows, and equal training sets are told."""

from __future__ import annotations

import warnings

import numpy as np
import polars as pl
import pytest
from polars.testing import assert_frame_equal

import paretohqd as pq
from helpers import oracle

OBJECTIVES = ["helpful", "correct"]


def likert(best, others=40):
    """Whole numbers from 0 to 4, so many rows of which are (4, 4)."""
    rows = [(4, 4)] * best + [(4, 3), (3, 4), (4, 2), (2, 4), (1, 1)] * (others // 5)
    return pl.DataFrame(rows, schema=OBJECTIVES, orient="row")


def sets(chosen):
    return {tuple(sorted(chosen.of(i)["row"])) for i in range(len(chosen))}


def test_the_default_pool_grows_until_every_objective_varies():
    rng = np.random.default_rng(0)
    front = np.column_stack([np.arange(30), np.arange(30)[::-1], np.full(30, 4)])
    points = np.vstack([front, rng.integers(0, 30, (200, 3)) * [1, 1, 0] + [-30, -30, 2]])
    frame = pl.DataFrame(points, schema=["a", "b", "c"])
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        chosen = pq.choose(frame, ["a", "b", "c"], 3, k=8)
    # The first layer holds 3 x 8 rows, but c is 4 in all of them.
    every = oracle.layers(points)
    assert (every == 0).sum() == 30
    np.testing.assert_array_equal(chosen.layer, oracle.stopped(every, upto=2))
    assert chosen.r_min[2] == 2
    assert len(sets(chosen)) > 1
    assert_frame_equal(pq.select(frame.lazy(), ["a", "b", "c"], 3, k=8), chosen.rows)


def test_it_grows_no_further():
    chosen = pq.choose(likert(30), OBJECTIVES, [[1, 0]], k=20)
    assert chosen.layer_sizes() == [30, 16]


@pytest.mark.parametrize("kind", ["memory", "lazy"])
@pytest.mark.parametrize("options", [{}, {"upto": 2}, {"upto": 1, "bounds": "all"}])
def test_that_all_get_the_same_rows_is_told(kind, options):
    frame = likert(300)
    with pytest.warns(
        pq.SameRowsWarning, match=r"all 11 preferences get the same 20 rows: 300 rows hold the best"
    ):
        chosen = pq.choose(frame.lazy() if kind == "lazy" else frame, OBJECTIVES, k=20, **options)
    assert len(sets(chosen)) == 1
    assert issubclass(pq.SameRowsWarning, UserWarning)


def test_memory_streams_and_parts_agree():
    frame = likert(30)
    chosen = pq.choose(frame, OBJECTIVES, 3, k=40)
    assert_frame_equal(pq.select(frame.lazy(), OBJECTIVES, 3, k=40), chosen.rows)
    state = pq.FirstLayers(OBJECTIVES, upto=len(chosen.layer_sizes()))
    assert_frame_equal(
        pq.choose_from(state.add(frame[:9]).add(frame[9:]), 3, k=40).rows, chosen.rows
    )
    # What was kept of parts is the pool: it does not grow.
    with pytest.raises(
        ValueError, match=r"'helpful' has one value in the whole pool.*give neither"
    ):
        pq.choose_from(pq.FirstLayers(OBJECTIVES, at_least=5).add(frame), 3, k=4)


def test_few_different_points_and_whole_pools_are_told_as_what_they_are():
    frame = pl.DataFrame({"helpful": [1.0, 0.9, 0.0], "correct": [0.0, 0.9, 1.0]})
    with pytest.warns(pq.SameRowsWarning, match="get the same 3 rows: they are the whole pool"):
        pq.select(frame, OBJECTIVES, 3, k=3)
    with pytest.warns(pq.SameRowsWarning, match="get the same row: the preferences or the points"):
        pq.select(frame, OBJECTIVES, [[0.5, 0.5], [0.51, 0.49]], k=1)
    grouped = frame.with_columns(prompt=pl.Series([1, 2, 3]))
    with pytest.warns(pq.SameRowsWarning, match="no group has more than k rows in its pool"):
        pq.select(grouped, OBJECTIVES, 3, k=1, by="prompt")


@pytest.mark.parametrize("preferences", [[[0.5, 0.5]], [[0.5, 0.5]] * 2])
def test_preferences_that_are_the_same_may_get_the_same(preferences):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        pq.select(likert(300), OBJECTIVES, preferences, k=20)


def test_a_constant_score_is_refused_wherever_rows_come_from():
    frame = likert(10).with_columns(correct=pl.lit(4))
    for data in (frame, frame.lazy()):
        with pytest.raises(ValueError, match=r"'correct' is constant .4 in all 50 rows"):
            pq.select(data, OBJECTIVES, k=2)


def test_the_warning_names_the_callers_own_line():
    frame = pl.DataFrame({"a": [4, 4, 0], "b": [4, 4, 1]})
    state = pq.FirstLayers(["a", "b"], upto=2).add(frame)
    for call in (
        lambda: pq.select(frame, ["a", "b"], 3, k=2),
        lambda: pq.choose(frame.lazy(), ["a", "b"], 3, k=2),
        lambda: frame.pareto.select(["a", "b"], 3, k=2),
        lambda: pq.choose_from(state, 3, k=2),
    ):
        with pytest.warns(pq.SameRowsWarning) as caught:
            call()
        assert {each.filename for each in caught} == {__file__}
