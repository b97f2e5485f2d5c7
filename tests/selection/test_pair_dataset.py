"""Pairs for trainers that learn from preferences."""

import polars as pl
import pytest

import paretohqd as pq
from paretohqd.selection.pairs import consistent_pairs

FRAME = pl.DataFrame(
    {
        "prompt": ["Tea?", "Tea?", "Tea?", "Why?", "Why?"],
        "response": ["No.", "Yes, gladly.", "Maybe.", "So.", "Because."],
        "kind": [0.0, 2.0, 1.0, 1.0, 2.0],
        "words": [1, 0, 3, 2, 5],
    }
)


def said(messages):
    ((role, text),) = [(message["role"], message["content"]) for message in messages]
    return role, text


def test_pairs_are_the_consistent_ones_as_messages():
    data = pq.preference_pairs(FRAME, {"kind": "max", "words": "min"})
    assert data.column_names == ["prompt", "chosen", "rejected"]
    expected = consistent_pairs(FRAME.with_columns(-pl.col("words")), ["kind", "words"])
    assert len(data) == len(expected) == 1
    for row, pair in zip(data, expected.iter_rows(named=True), strict=True):
        assert said(row["prompt"]) == ("user", pair["prompt"])
        assert said(row["chosen"]) == ("assistant", pair["chosen"])
        assert said(row["rejected"]) == ("assistant", pair["rejected"])
    more = pq.preference_pairs(FRAME, ["kind", "words"])
    assert [said(row["chosen"])[1] for row in more] == ["Maybe.", "Because."]


def test_columns_may_have_other_names():
    frame = FRAME.rename({"prompt": "ask", "response": "say"})
    data = pq.preference_pairs(frame, ["kind", "words"], prompt="ask", response="say", gap="sum")
    assert data.to_list() == pq.preference_pairs(FRAME, ["kind", "words"], gap="sum").to_list()
    arrays = FRAME.with_columns(scores=pl.concat_arr("kind", pl.col("words").cast(pl.Float64)))
    assert (
        pq.preference_pairs(arrays, "scores").to_list()
        == pq.preference_pairs(FRAME, ["kind", "words"]).to_list()
    )


def test_names_that_polars_takes_for_patterns_are_names():
    odd = {"kind": "^w.*$", "prompt": "*"}
    directions = {"^w.*$": "max", "words": "min"}
    data = pq.preference_pairs(FRAME.rename(odd), directions, prompt="*")
    assert data.to_list() == pq.preference_pairs(FRAME, {"kind": "max", "words": "min"}).to_list()


@pytest.mark.parametrize("form", [pl.DataFrame.lazy, pl.DataFrame.to_dict, "file"])
def test_answers_come_in_any_form(form, tmp_path):
    if form == "file":
        FRAME.write_parquet(tmp_path / "answers.parquet")
        given = tmp_path
    else:
        given = form(FRAME)
    expected = pq.preference_pairs(FRAME, ["kind", "words"]).to_list()
    assert pq.preference_pairs(given, ["kind", "words"]).to_list() == expected


@pytest.mark.parametrize(
    ("frame", "objectives", "options", "message"),
    [
        (FRAME, ["kind", "word"], {}, "objectives: no column 'word'"),
        (FRAME, ["kind", "words"], {"prompt": "ask"}, "prompt: no column 'ask': the frame has"),
        (FRAME, ["kind", "words"], {"response": "say"}, "response: no column 'say'"),
        (FRAME, ["kind", "words"], {"gap": "max"}, "gap must be 'min' or 'sum', got 'max'"),
        (FRAME[:1], ["kind"], {}, "is 0 in all 1 rows"),
        (FRAME.with_columns(words=-pl.col("kind")), ["kind", "words"], {}, "no prompt has an"),
    ],
)
def test_wrong_calls(frame, objectives, options, message):
    with pytest.raises(ValueError, match=message):
        pq.preference_pairs(frame, objectives, **options)
