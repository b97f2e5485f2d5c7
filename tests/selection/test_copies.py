"""Copies of an answer: counted, and left out where that is asked for."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from polars.testing import assert_frame_equal

import paretohqd as pq
from helpers import oracle
from paretohqd.selection.copies import copy_columns

pytestmark = pytest.mark.filterwarnings("ignore:all .* preferences get the same")
OBJECTIVES = ["help", "safe"]
TWENTY = pl.DataFrame(np.random.default_rng(0).random((60, 2)), schema=OBJECTIVES).with_columns(
    prompt=pl.Series([f"question {i % 12}" for i in range(60)]),
    response=pl.Series([f"answer {i}" for i in range(60)]),
)
TWENTY = pl.concat([TWENTY] * 20)


@st.composite
def frames(draw):
    """Answers of which some come again, with the same scores."""
    n = draw(st.integers(4, 16))
    scores = draw(st.lists(st.tuples(*[st.integers(0, 9)] * 2), min_size=n, max_size=n))
    prompts = draw(st.lists(st.sampled_from("xyz"), min_size=n, max_size=n))
    # None of the best rows is alone: there is a trade-off in the first layer.
    once = pl.DataFrame([*scores, (10, 0), (0, 10)], schema=OBJECTIVES, orient="row").with_columns(
        prompt=pl.Series([*prompts, "x", "y"]),
        response=pl.int_range(n + 2).cast(pl.String),
    )
    again = draw(st.lists(st.integers(0, n + 1), max_size=30))
    return once, pl.concat([once, once[again]]).with_columns(id=pl.int_range(n + 2 + len(again)))


@settings(deadline=None)
@given(
    frames(),
    st.integers(1, 3),
    st.sampled_from([{}, {"upto": 2}, {"at_least": 4}, {"by": "prompt"}, {"distinct": "prompt"}]),
)
def test_without_copies_the_choice_is_as_if_there_were_none(problem, k, options):
    once, frame = problem
    k = min(k, once["prompt"].n_unique()) if "distinct" in options else min(k, 2)

    def chosen(data, **more):
        return pq.choose(data, OBJECTIVES, 3, k=k, **options, **more)

    try:
        expected = chosen(once)
    except ValueError as error:
        with pytest.raises(ValueError, match=str(error).partition("pool has only")[0]):
            chosen(frame, duplicates="drop")
        return
    selected = chosen(frame, duplicates="drop")
    # The first of all copies stays, and that is the row among those that come once.
    assert_frame_equal(selected.rows.drop("id"), expected.rows, check_dtypes=False)
    assert_frame_equal(selected.pool, expected.pool, check_dtypes=False)
    assert_frame_equal(chosen(frame.lazy(), duplicates="drop").rows, selected.rows)
    if "by" not in options:
        assert selected.copies() == 0
    inside = frame.filter(
        pl.col("response").is_in(once["response"].gather(selected.pool["row"]).to_list())
    )
    assert selected.left_out == len(inside) - len(selected.pool)


@pytest.mark.parametrize("options", [{}, {"by": "prompt"}, {"distinct": "prompt"}])
def test_every_row_twenty_times(options):
    k = 2 if "by" in options else 12
    kept = pq.choose(TWENTY, OBJECTIVES, 3, k=k, **options)
    selected = pq.choose(TWENTY, OBJECTIVES, 3, k=k, duplicates="drop", **options)
    assert selected.copies() == 0
    assert selected.rows.n_unique(["preference", "prompt", "response"]) == len(selected.rows)
    assert (selected.rows["row"] < 60).all()
    assert selected.summary()["copies"]["columns"] == ["prompt", "response"]
    assert selected.summary()["copies"]["left_out"] == selected.left_out == 19 * len(selected.pool)
    assert (
        f"{selected.left_out:,} left out of the pool (equal in prompt, response)"
        in selected.explain()
    )
    if "distinct" not in options:
        assert kept.copies() == len(kept.rows) - kept.rows.n_unique(["preference", "response"])
        assert kept.summary()["copies"]["chosen"] == kept.copies() > 0
        assert f"{kept.copies()} of {len(kept.rows)} chosen rows repeat another" in kept.explain()
        assert "duplicates='drop'" in kept.explain()


def test_of_copies_with_other_scores_the_one_of_the_better_layer_stays():
    frame = pl.DataFrame(
        {
            "help": [1.0, 3.0, 0.0, 2.0],
            "safe": [1.0, 2.0, 3.0, 1.0],
            "prompt": ["x", "x", "x", "y"],
            "response": ["same", "same", "other", "third"],
        }
    )
    for data in (frame, frame.lazy()):
        chosen = pq.choose(data, OBJECTIVES, 2, k=3, duplicates="drop")
        assert chosen.rows["row"].to_list() == [1, 3, 2, 2, 1, 3]
        assert chosen.left_out == 1
    state = pq.FirstLayers(OBJECTIVES, at_least=4).add(frame[:2]).add(frame[2:])
    assert_frame_equal(pq.choose_from(state, 2, k=3, duplicates="drop").rows, chosen.rows)
    grouped = pq.choose(frame, OBJECTIVES, 2, k=3, by="prompt", duplicates="drop")
    assert grouped.of(0)["row"].to_list() == [1, 2, 3]
    assert grouped.left_out == 1


def test_a_pool_without_enough_different_rows_says_so():
    with pytest.raises(ValueError, match="k=61, but the pool has only 60 rows that are no copies"):
        pq.select(TWENTY, OBJECTIVES, 2, k=61, duplicates="drop")
    with pytest.raises(ValueError, match="duplicates: expected 'keep' or 'drop', got 'first'"):
        pq.select(TWENTY, OBJECTIVES, 2, k=1, duplicates="first")


def test_the_default_pool_counts_different_rows():
    chosen = pq.choose(TWENTY, OBJECTIVES, 3, k=5, duplicates="drop")
    sizes = np.bincount(oracle.layers(TWENTY[:60].select(OBJECTIVES).to_numpy()))
    assert chosen.layer_sizes() == sizes[: len(chosen.layer_sizes())].tolist()
    assert sum(chosen.layer_sizes()) >= 15 > sum(chosen.layer_sizes()[:-1])


def test_which_columns_tell_copies():
    text = pl.String()
    alpaca = {"instruction": text, "input": text, "output": text, "help": pl.Float64()}
    assert copy_columns(alpaca, ["help"]) == ("instruction", "input", "output")
    talk = {"id": pl.Int64(), "messages": pl.List(pl.Struct({"role": text, "content": text}))}
    assert copy_columns(talk, []) == ("messages",)
    assert copy_columns({"id": pl.Int64(), "prompt": text}, []) == ("id", "prompt")
    assert copy_columns({"prompt": text, "answer": pl.Float64()}, ["answer"]) == (
        "prompt",
        "answer",
    )
    assert copy_columns({"picture": pl.Object()}, []) == ()


def test_nested_columns_nulls_and_odd_names_are_compared():
    talk = [{"role": "user", "content": "a"}]
    frame = pl.DataFrame(
        {
            "help": [3.0, 3.0, 0.0, 3.0],
            "safe": [0.0, 0.0, 3.0, 0.0],
            "^m.*$": [None, None, 1, 2],
            "n": [[talk], [talk], [talk], [talk]],
        }
    )
    chosen = pq.choose(frame, OBJECTIVES, [[1, 0]], k=3, duplicates="drop")
    assert chosen.rows["row"].to_list() == [0, 3, 2]
    kept = pq.choose(frame, OBJECTIVES, [[1, 0]], k=4)
    assert kept.copies() == 1
    assert "equal in help, safe, ^m.*$, n" in kept.explain()


def test_python_objects_cannot_be_compared():
    frame = TWENTY[:60].with_columns(response=pl.Series([object()] * 60, dtype=pl.Object))
    assert pq.choose(frame, OBJECTIVES, 3, k=2).copies() == 0
    with pytest.raises(ValueError, match="Python objects, which cannot be compared: cast it"):
        pq.choose(frame, OBJECTIVES, 3, k=2, duplicates="drop")


def test_the_column_that_numbers_conversations_is_no_text_of_a_copy():
    schema = dict.fromkeys(["prompt", "response", "conversation", "system"], pl.String())
    assert copy_columns(schema | {"help": pl.Float64()}, ["help"]) == (
        "prompt",
        "response",
        "system",
    )
    # Where there is nothing else it is the dialogue itself.
    assert copy_columns({"conversation": pl.String(), "id": pl.Int64()}, []) == ("conversation",)


def test_whole_dialogues_are_the_text_of_a_copy():
    schema = dict.fromkeys(["chosen", "rejected"], pl.String()) | {"id": pl.Int64()}
    assert copy_columns(schema, []) == ("chosen", "rejected")


def test_a_pool_grows_past_a_copy_that_has_the_best_value():
    frame = pl.DataFrame(
        {
            "prompt": [*"ppqrs"],
            "response": [*"xxyzw"],
            "help": [5, 4, 4, 3, 2],
            "safe": [3, 4, 3, 3, 1],
        }
    )
    for data in (frame, frame.lazy()):
        chosen = pq.select(data, OBJECTIVES, [[1, 0], [0, 1]], k=1, duplicates="drop")
        assert chosen["row"].to_list() == [0, 0]


@pytest.mark.parametrize("stop", [{"at_least": 0}, {"upto": 0}, {"at_least": -1}])
def test_stops_below_one_are_refused_in_groups_too(stop):
    for more in ({}, {"duplicates": "drop"}):
        with pytest.raises(ValueError, match=next(iter(stop))):
            pq.select(TWENTY, OBJECTIVES, 2, k=1, by="prompt", **stop, **more)
