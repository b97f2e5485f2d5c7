"""The rows of a frame of least achievement: streamed as in memory, and those of the arrays."""

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from polars.testing import assert_frame_equal

import paretohqd as pq
from helpers.drawn import NAMES, frames
from paretohqd.frames import batches


@pytest.fixture(autouse=True)
def small_batches(monkeypatch):
    """As if there were many more rows."""
    monkeypatch.setattr(batches, "MAX_ROWS", 7)


def answer(call):
    try:
        return call()
    except ValueError as error:
        return str(error)


@settings(deadline=None)
@given(
    frame=frames(),
    k=st.integers(1, 5),
    by=st.sampled_from([None, "prompt"]),
    minimised=st.booleans(),
    with_ideal=st.booleans(),
)
def test_of_a_lazy_frame(frame, k, by, minimised, with_ideal):
    names = [name for name in frame.columns if name in NAMES]
    m = len(names)
    objectives = dict.fromkeys(names, "min") if minimised else names
    ideal = np.full(m, 2.5) if with_ideal else None
    falls = np.vstack([np.ones(m), np.eye(m), np.arange(1, m + 1)])
    eager = answer(lambda: pq.achievement(frame, objectives, ideal, falls, k=k, by=by))
    lazy = answer(
        lambda: pq.achievement(frame.lazy(), objectives, ideal, falls, k=k, by=by).collect()
    )
    if isinstance(eager, str) or isinstance(lazy, str):
        assert eager == lazy
        return
    assert_frame_equal(lazy, eager)
    arrays = frame.select(names).to_numpy()
    rows, values = pq.least_achievement(
        arrays, ideal, falls, k=k, maximize=not minimised, by=None if by is None else frame[by]
    )
    assert eager["row"].to_list() == rows.ravel().tolist()
    assert eager["achievement"].to_list() == values.ravel().tolist()
    assert_frame_equal(eager.select(frame.columns), frame[rows.ravel()])


def test_columns_that_are_added():
    frame = pl.DataFrame({"p": ["x", "y", "x"], "a": [1.0, 0.5, 0.0], "b": [0.0, 0.5, 1.0]})
    best = pq.achievement(frame, ["a", "b"], [1, 1], [[1, 1], [0, 1]], k=2)
    assert best["preference"].to_list() == [0, 0, 1, 1]
    assert best["position"].to_list() == [0, 1, 0, 1]
    assert best["row"].to_list() == [1, 0, 0, 1]
    assert best["achievement"].to_list() == [0.5, 1, 0, 0.5]
    lazy = pq.achievement(frame.lazy(), ["a", "b"], [1, 1], [[1, 1], [0, 1]], k=2)
    assert lazy.collect_schema() == best.schema
    grouped = pq.achievement(frame, ["a", "b"], None, [[1, 1]], k=2, by="p")
    assert grouped["row"].to_list() == [0, 2, 1]
    assert grouped["position"].to_list() == [0, 1, 0]
    assert grouped["achievement"].to_list() == [1, 1, 0]


@pytest.mark.parametrize("lazy", [False, True])
@pytest.mark.parametrize(
    ("more", "message"),
    [
        ({"objectives": ["a", "z"]}, "no column 'z'"),
        ({"k": 4}, "k = 4 is more than the 3 rows"),
        ({"k": 0}, "k must be an integer of at least 1"),
        ({"by": "z"}, "no column 'z'"),
        ({"directions": [[0, 0]]}, "direction 0 is 0 in all objectives"),
        ({"ideal": [1]}, r"ideal has shape \(1,\)"),
    ],
)
def test_errors(lazy, more, message):
    frame = pl.DataFrame({"a": [1.0, 0.5, 0.0], "b": [0.0, 0.5, 1.0]})
    given = {"objectives": ["a", "b"], "ideal": [1, 1], "directions": [[1, 1]], "k": 1, **more}
    with pytest.raises((ValueError, pl.exceptions.ComputeError), match=message):
        pq.achievement(frame.lazy() if lazy else frame, **given).lazy().collect()


@pytest.mark.parametrize("name", ["preference", "position", "achievement", "row"])
def test_names_that_are_taken(name):
    frame = pl.DataFrame({"a": [1.0], "b": [0.0], name: [1]})
    with pytest.raises(ValueError, match=f"already has a column '{name}'"):
        pq.achievement(frame, ["a", "b"], [1, 1], [[1, 1]], k=1)


@pytest.mark.parametrize("bad", [None, float("nan"), float("inf")])
@pytest.mark.parametrize("ideal", [None, [1, 1]])
def test_bad_scores_are_named_by_their_row(bad, ideal):
    frame = pl.DataFrame({"a": [0.5] * 20 + [bad], "b": [1.0] * 21})
    for either in (frame, frame.lazy()):
        with pytest.raises(ValueError, match=r"'a' .*row 20"):
            pq.achievement(either, ["a", "b"], ideal, [[1, 1]], k=1).lazy().collect()
