"""Rows of prompts and answers from every kind of source."""

import polars as pl
import pytest
from polars.testing import assert_frame_equal

from helpers.offline_answers import HH, PAIRS, answers, source_in, split
from paretohqd.runs import sections
from paretohqd.runs.data import load_source


@pytest.fixture
def source(tmp_path):
    return source_in(tmp_path)


@pytest.mark.parametrize("ending", [".parquet", ".csv", ".jsonl"])
def test_files(source, ending):
    spec = source(answers(), ending=ending)
    loaded = load_source(spec, spec.source)
    expected = answers().with_columns(pl.col("conversation").cast(pl.String))
    assert_frame_equal(loaded, expected.select(loaded.columns))
    assert loaded.columns == ["prompt", "response", "conversation", "score"]


def test_embedded_conversations():
    spec = sections.Data(source="embedded:conversations")
    loaded = load_source(spec, spec.source)
    assert loaded.height > 100_000
    assert loaded.schema["conversation"] == pl.String
    assert {"prompt", "response"} <= set(loaded.columns)
    with pytest.raises(ValueError, match=r"^embedded:chats: did you mean embedded:conversations\?"):
        load_source(spec, "embedded:chats")


def test_renamed_columns(source):
    frame = answers().rename(
        {"prompt": "question", "response": "output", "conversation": "dialogue"}
    )
    # Columns that are there under our names, but were not chosen, give way.
    frame = frame.with_columns(prompt=pl.lit("system"), response=pl.lit(1), conversation=pl.lit(0))
    spec = source(frame, prompt="question", response="output", conversation="dialogue")
    expected = answers().with_columns(pl.col("conversation").cast(pl.String))
    assert_frame_equal(load_source(spec, spec.source), expected, check_column_order=False)
    spec = source(frame, prompt="question", response="output", conversation="question")
    loaded = load_source(spec, spec.source)
    assert loaded["conversation"].to_list() == loaded["prompt"].to_list()
    assert "dialogue" in loaded.columns


def test_the_prompt_is_the_conversation_where_there_is_none(source):
    spec = source(answers().drop("conversation"))
    loaded = load_source(spec, spec.source)
    assert loaded["conversation"].to_list() == loaded["prompt"].to_list()


def test_categories_are_text(source):
    frame = answers().with_columns(pl.col("prompt").cast(pl.Categorical))
    spec = source(frame)
    assert load_source(spec, spec.source).schema["prompt"] == pl.String


@pytest.mark.parametrize(
    ("columns", "more", "message"),
    [
        ({"prompt": None}, {}, "column 'prompt' is Null, not text: set data.prompt"),
        ({"prompt": 1}, {}, "column 'prompt' is Int32, not text: set data.prompt"),
        ({"response": 1.5}, {}, "column 'response' is Float64, not text: set data.response"),
        ({"conversation": 1.5}, {}, "'conversation' is Float64, not text: set data.conversation"),
        ({"conversation": [["x"]]}, {}, r"'conversation' is List.*, not text: set data.conv"),
        ({}, {"prompt": "p"}, r"no column 'p' \(it has prompt, response, .*\): set data.prompt"),
        ({}, {"response": "r"}, r"no column 'r' \(it has .*\): set data.response"),
        ({}, {"conversation": "c"}, r"no column 'c' \(it has .*\): set data.conversation"),
    ],
)
def test_wrong_columns(source, columns, more, message):
    spec = source(answers().with_columns(pl.lit(v).alias(k) for k, v in columns.items()), **more)
    with pytest.raises(ValueError, match=f"^{spec.source}: .*{message}"):
        load_source(spec, spec.source)


@pytest.mark.parametrize("name", ["prompt", "conversation"])
def test_null_prompts_and_conversations_are_refused(source, name):
    nulls = pl.when(pl.int_range(pl.len()).is_in([5, 8])).then(None).otherwise(name).alias(name)
    spec = source(answers().with_columns(nulls))
    with pytest.raises(ValueError, match=rf"'{name}' is null in 2 of 40 rows \(first: row 5\)"):
        load_source(spec, spec.source)


def test_null_answers_are_empty_ones(source):
    nulls = pl.when(pl.int_range(pl.len()) == 5).then(None).otherwise("response").alias("response")
    spec = source(answers().with_columns(nulls), invalid="drop")
    assert load_source(spec, spec.source)["response"][5] == ""
    assert split(spec).dropped["empty answer"] == 1


def test_pairs_become_two_rows_of_one_conversation(source):
    long = HH.format("Hi", "Hello!") + HH.format("What is 2 + 2?", "{}")
    pairs = pl.DataFrame(
        {
            "chosen": [HH.format(" Hi ", " Hello!\n"), long.format("4"), HH.format("Bye", "")],
            "rejected": [HH.format("Hi", "What?"), long.format("5"), HH.format("Bye", "x")],
        }
    )
    spec = source(pairs)
    loaded = load_source(spec, spec.source)
    turns = (
        '[{"role": "user", "content": "Hi"}, {"role": "assistant", "content": "Hello!"}, '
        '{"role": "user", "content": "What is 2 + 2?"}]'
    )
    assert loaded.columns == ["prompt", "response", "conversation", "side"]
    assert loaded.rows() == [
        ("Hi", "Hello!", "Hi", "chosen"),
        ("Hi", "What?", "Hi", "rejected"),
        (turns, "4", "Hi", "chosen"),
        (turns, "5", "Hi", "rejected"),
        ("Bye", "", "Bye", "chosen"),
        ("Bye", "x", "Bye", "rejected"),
    ]


@pytest.mark.parametrize("text", ["no turns at all", None])
def test_pairs_that_are_no_dialogues(source, text):
    pairs = pl.DataFrame(
        {"chosen": [HH.format("a", "b")] * 2, "rejected": [HH.format("a", "c"), text]}
    )
    spec = source(pairs)
    with pytest.raises(
        ValueError, match=r"rejected: row 1 holds .* no dialogue with .* 'Assistant:' turns"
    ):
        load_source(spec, spec.source)


def test_pairs_with_a_prompt_column_are_answers(source):
    frame = answers().with_columns(chosen=pl.lit("x"), rejected=pl.lit("y"))
    spec = source(frame, response="chosen")
    assert set(load_source(spec, spec.source)["response"]) == {"x"}


def test_the_hub_goes_through_datasets(monkeypatch):
    import datasets

    calls = []

    def load_dataset(name, subset, *, split, revision):
        calls.append((name, subset, split, revision))
        return datasets.Dataset.from_dict(answers().to_dict(as_series=False))

    monkeypatch.setattr(datasets, "load_dataset", load_dataset)
    spec = sections.Data(
        source="hub:org/name",
        subset="en",
        split="test",
        revision="abc",
        prompts="hub:org/more",
        held_out=2,
    )
    loaded = split(spec)
    # Another data set has other subsets and revisions.
    assert calls == [("org/name", "en", "test", "abc"), ("org/more", None, "test", None)]
    assert len(loaded.pool) == 32
    assert len(loaded.held_out) == 2


def test_a_misspelt_column_beside_pairs_is_refused(source):
    frame = PAIRS.with_columns(prompt=pl.lit("Hi"), answer=pl.lit("x"))
    with pytest.raises(ValueError, match=r"no column 'anser' .*data\.response"):
        split(source(frame, response="anser"), seed=3)
