"""What is held out, what is left out, and which rows are drawn."""

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st
from polars.testing import assert_frame_equal

from helpers.offline_answers import PAIRS, answers, source_in, split
from paretohqd.frames import batches
from paretohqd.frames.sources import Source
from paretohqd.frames.writing import write_frame
from paretohqd.runs import sections
from paretohqd.runs.data import load_source
from paretohqd.selection import choosing


@pytest.fixture
def source(tmp_path):
    return source_in(tmp_path)


@given(
    rows=st.lists(st.tuples(st.integers(0, 9), st.integers(0, 12)), max_size=60),
    held_out=st.integers(1, 6),
    seed=st.integers(0, 2**31 - 1),
    second=st.booleans(),
)
def test_no_conversation_and_no_prompt_on_both_sides(
    tmp_path_factory, rows, held_out, seed, second
):
    folder = tmp_path_factory.mktemp("split")
    # One conversation more than are held out has a prompt of its own, so that some row is left.
    rows = rows + [(100 + i, 100 + i) for i in range(held_out + 1)]
    frame = pl.DataFrame(
        {
            "prompt": [f"p{p}" for p, _ in rows],
            "response": [f"r{i}" for i in range(len(rows))],
            "conversation": [str(c) for _, c in rows],
        }
    )
    write_frame(frame, folder / "x.parquet")
    prompts = folder / "prompts.parquet"
    every = pl.DataFrame({"prompt": [f"p{p}" for p in range(14)], "conversation": range(14)})
    write_frame(every, prompts)
    spec = sections.Data(
        source=str(folder / "x.parquet"),
        held_out=held_out,
        prompts=str(prompts) if second else None,
    )
    parts = split(spec, seed=seed)
    assert parts.held_out.columns == parts.prompts.columns == ["prompt", "conversation"]
    assert len(parts.held_out) == parts.held_out["conversation"].n_unique() == held_out
    assert parts.prompts["prompt"].is_unique().all()
    held, held_prompts = set(parts.held_out["conversation"]), set(parts.held_out["prompt"])
    for trained in (parts.pool, parts.prompts):
        assert not held & set(trained["conversation"])
        assert not held_prompts & set(trained["prompt"])
    # Nothing else is lost, and the order is that of the source.
    others = frame.filter(~pl.col("conversation").is_in(held))
    left = others.filter(~pl.col("prompt").is_in(held_prompts))
    assert_frame_equal(parts.pool, left)
    assert sum(parts.dropped.values()) == len(others) - len(left)
    if not second:
        assert (
            parts.prompts["prompt"].to_list()
            == left["prompt"].unique(maintain_order=True).to_list()
        )


def test_held_out_prompts_are_known_in_every_unicode_form(source):
    frame = answers(40, per_conversation=1).with_columns(
        prompt=pl.Series([f"caf\u00e9 {i % 20}" for i in range(20)] * 2).str.normalize("NFC")
    )
    other = pl.Series([f"cafe\u0301 {i}" for i in range(20)])
    frame = frame.with_columns(prompt=pl.concat([frame["prompt"][:20], other]))
    parts = split(source(frame, prompts=None))
    assert parts.dropped["prompt is held out"] == 3
    assert len(parts.pool) == 40 - 2 * 3
    assert len(parts.prompts) == 17
    # Conversations that are named by their prompts are one, too.
    assert split(source(frame.drop("conversation"))).dropped["prompt is held out"] == 0


def test_the_same_seed_gives_the_same_split(source):
    spec = source(answers(), max_rows=30)
    one, two, other = split(spec, seed=1), split(spec, seed=1), split(spec, seed=2)
    for name in ("pool", "prompts", "held_out"):
        assert_frame_equal(getattr(one, name), getattr(two, name))
    assert one.held_out["conversation"].to_list() != other.held_out["conversation"].to_list()


def test_max_rows_draws_rows_in_order(source):
    spec = source(answers(400), max_rows=100)
    drawn = [split(spec, seed=seed) for seed in (1, 2)]
    for parts in drawn:
        assert parts.pool["score"].is_sorted()
        # From the whole source, not its beginning.
        assert parts.pool["score"].max() > 30
        assert 80 < len(parts.pool) < 100
    assert drawn[0].pool["score"].to_list() != drawn[1].pool["score"].to_list()
    assert len(split(source(answers(400), max_rows=400)).pool) == 388


@pytest.mark.parametrize("ending", [".parquet", ".csv", ".jsonl"])
@pytest.mark.parametrize("frame", [answers(90), PAIRS], ids=["answers", "pairs"])
@pytest.mark.parametrize("max_rows", [20, 91, 180, 500])
def test_rows_are_drawn_without_holding_the_others(source, monkeypatch, ending, frame, max_rows):
    """The same rows as from the whole source, of which only batches are seen."""
    monkeypatch.setattr(batches, "MAX_ROWS", 7)
    monkeypatch.setattr("paretohqd.runs.unusable.ROWS", 5)
    spec = source(frame, ending=ending, max_rows=max_rows)
    whole = load_source(spec, spec.source)
    if len(whole) > max_rows:
        whole = whole[np.sort(np.random.default_rng([3, 1]).permutation(len(whole))[:max_rows])]
    with monkeypatch.context() as patch:
        patch.setattr(Source, "whole", lambda *more: pytest.fail("was read whole"))
        parts = split(spec, seed=3)
    held = parts.held_out["conversation"].implode()
    assert_frame_equal(parts.pool, whole.filter(~pl.col("conversation").is_in(held)))
    # A message is about all rows, not about a batch.
    column = frame.columns[0]
    nulls = pl.when(pl.int_range(pl.len()).is_in([50, 88])).then(None).otherwise(column)
    broken = source(frame.with_columns(nulls.alias(column)), ending=ending, max_rows=max_rows)
    with pytest.raises(ValueError, match=r"null in 2 of 90 rows|row 50"):
        split(broken, seed=3)


def test_empty_answers(source):
    blank = {"answer 3": " \n", "answer 30": ""}
    frame = answers().with_columns(pl.col("response").replace(blank))
    message = (
        r"^2 of 40 answers are empty \(the first prompt: 'question 3'\): fix them, .*invalid: drop"
    )
    with pytest.raises(ValueError, match=message):
        split(source(frame))
    parts = split(source(frame, invalid="drop"))
    assert parts.dropped["empty answer"] == 2
    assert not set(blank.values()) & set(parts.pool["response"])
    nothing = frame.with_columns(response=pl.lit(" "))
    for invalid in ("raise", "drop"):
        with pytest.raises(ValueError, match=r"^all of 40 answers are empty .*: look at the data"):
            split(source(nothing, invalid=invalid))


def test_long_prompts(source):
    frame = answers()
    # "question 7" has 10 characters and "question 17" has 11.
    with pytest.raises(ValueError, match=r"^30 of 40 prompts have 11 tokens or"):
        split(source(frame), limit=11)
    parts = split(source(frame, invalid="drop", held_out=1), limit=11)
    assert parts.dropped["prompt too long"] == 30
    assert {*parts.pool["prompt"], *parts.held_out["prompt"]} <= {
        f"question {i}" for i in range(10)
    }
    assert split(source(frame), limit=12).dropped["prompt too long"] == 0


def test_echoes_are_left_out_of_the_pool(source):
    frame = answers().with_columns(
        response=pl.when(pl.int_range(pl.len()) % 4 == 0).then("prompt").otherwise("response")
    )
    whole, parts = split(source(frame)), split(source(frame, max_word_overlap=0.9))
    assert parts.dropped["repeats the prompt"] == 7
    expected = whole.pool.filter(pl.col("response") != pl.col("prompt"))
    assert_frame_equal(parts.pool, expected)
    assert_frame_equal(parts.held_out, whole.held_out)


def test_a_second_source_of_prompts(source, tmp_path):
    # Only prompts, without answers; some are held out, one too long, one twice.
    spec = source(answers())
    held = split(spec).held_out
    texts = [held["prompt"][0], "new", "new", "long" * 300, "question 5"]
    write_frame(pl.DataFrame({"prompt": texts}), tmp_path / "prompts.csv")
    spec = source(answers(), prompts=str(tmp_path / "prompts.csv"))
    parts = split(spec)
    assert_frame_equal(parts.held_out, held)
    expected = ["new"] if "question 5" in held["prompt"] else ["new", "question 5"]
    assert parts.prompts["prompt"].to_list() == expected
    # The same conversation is held out whole, whatever its other prompts are.
    write_frame(answers().select("prompt", "conversation"), tmp_path / "prompts.csv")
    again = split(spec)
    assert len(again.prompts) == 40 - 3 * 4
    assert not set(again.prompts["conversation"]) & set(held["conversation"])
    write_frame(pl.DataFrame({"prompt": ["long" * 300]}), tmp_path / "prompts.csv")
    with pytest.raises(
        ValueError, match=r"prompts.csv: no prompts that are not held out and short"
    ):
        split(spec)


def test_nothing_is_left(source):
    with pytest.raises(ValueError, match=r"source.parquet: no rows$"):
        split(source(answers()[:0]))
    same = answers().with_columns(prompt=pl.lit("always the same"))
    with pytest.raises(ValueError, match=r"left to select from \(28 prompt is held out\)"):
        split(source(same))
    with pytest.raises(ValueError, match=r"only 10: lower it, or name the column with data.conv"):
        split(source(answers(), held_out=10))


@pytest.mark.parametrize("name", choosing.ADDED)
def test_columns_that_a_selection_adds_are_refused_early(source, name):
    with pytest.raises(ValueError, match=f"selection adds a column '{name}' too: rename it"):
        split(source(answers().with_columns(pl.lit(0).alias(name))))
