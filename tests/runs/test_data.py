"""Rows of prompts and answers from every kind of source."""

import json

import polars as pl
import pytest
from polars.testing import assert_frame_equal

from helpers.offline_answers import HH, PAIRS, answers, source_in, split
from paretohqd.frames import batches
from paretohqd.runs import data, sections
from paretohqd.runs.data import load_source, source_blocks


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
        (
            {"response": 1.5},
            {},
            "column 'response' is Float64, not text: set data.response, or write the numbers as",
        ),
        ({"response": True}, {}, "column 'response' is Boolean, not text: set data.response$"),
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


@pytest.mark.parametrize("name", ["response", "answer", "solution"])
def test_answers_that_are_whole_numbers_are_texts(source, name):
    frame = pl.DataFrame({"question": ["1 + 1?", "2 + 2?"], name: [2, 4]})
    named = {"response": name} if name == "solution" else {}
    spec = source(frame, ending=".csv", **named)
    assert load_source(spec, spec.source)["response"].to_list() == ["2", "4"]
    pairs = pl.DataFrame({"prompt": ["1 + 1?"], "chosen": [2], "rejected": [3]})
    spec = source(pairs, ending=".csv")
    assert load_source(spec, spec.source)["response"].to_list() == ["2", "3"]


@pytest.mark.parametrize("name", ["answer", "output", "completion"])
@pytest.mark.parametrize("max_rows", [None, 1])
def test_an_answer_beside_a_pair_has_to_be_named(source, name, max_rows):
    frame = pl.DataFrame(
        {"prompt": ["1 + 1?"] * 2, "chosen": "It is 2.", "rejected": "3", name: "2"}
    )
    both = rf"columns 'chosen' and '{name}' could both hold the answers: .*\(data.prompt, data.resp"
    with pytest.raises(ValueError, match=both):
        source_blocks(source(frame, max_rows=max_rows), 0)
    for response, text in ((name, "2"), ("chosen", "It is 2.")):
        spec = source(frame, response=response)
        assert load_source(spec, spec.source)["response"].to_list() == [text] * 2
    spec = source(frame.rename({name: "solution"}))
    loaded = load_source(spec, spec.source)
    assert loaded["side"].to_list() == ["chosen", "rejected"] * 2
    assert loaded["solution"].to_list() == ["2"] * 4


def test_both_sides_of_a_pair_have_what_else_it_has(source):
    frame = pl.DataFrame(
        {
            "prompt": ["a", "b"],
            "chosen": ["x", "y"],
            "rejected": ["z", "w"],
            "conversation": [7, 7],
            "topic": ["law", "tea"],
            "row_id": [1, 2],
            "score_chosen": [1.0, 2.0],
            "score_rejected": [0.0, 0.5],
            "chosen_model": ["m", "n"],
            "embedding": [[0.5], [1.0]],
        }
    )
    spec = source(frame)
    loaded = load_source(spec, spec.source)
    assert loaded["response"].to_list() == ["x", "z", "y", "w"]
    assert loaded["side"].to_list() == ["chosen", "rejected"] * 2
    assert loaded["conversation"].to_list() == ["7"] * 4
    assert loaded["score"].to_list() == [1.0, 0.0, 2.0, 0.5]
    for name in ("topic", "row_id", "chosen_model", "embedding"):
        assert loaded[name].to_list() == [v for v in frame[name].to_list() for _ in "ab"]
    assert not {"score_chosen", "rejected"} & set(loaded.columns)
    pairs = PAIRS.with_columns(topic=pl.lit("tea"), conversation=pl.int_range(pl.len()))
    parts = split(source(pairs), columns=["topic"])
    assert parts.prompts.columns == parts.held_out.columns == ["prompt", "conversation", "topic"]


# ── rows that cannot be read ─────────────────────────────────────────────────────────────────

USER, ANSWER = {"role": "user", "content": "Tea?"}, {"role": "assistant", "content": "Yes."}
TALKS = [[USER, ANSWER]] * 10
UNREADABLE = {
    "a null side": (PAIRS[:10], "rejected", None),
    "a dialogue that is none": (PAIRS[:10], "chosen", "\n\nAssistant: Hi"),
    "a null prompt": (answers(10), "prompt", None),
    "a null conversation": (answers(10).cast({"conversation": pl.String}), "conversation", None),
    "a null prompt of a pair": (
        pl.DataFrame({"prompt": ["Tea?"] * 10, "chosen": "Yes.", "rejected": "No."}),
        "prompt",
        None,
    ),
    "no messages": (pl.DataFrame({"messages": TALKS}), "messages", None),
    "a null turn": (pl.DataFrame({"messages": TALKS}), "messages", [None, USER, ANSWER]),
    "a tool": (
        pl.DataFrame({"messages": TALKS}),
        "messages",
        [USER, {"role": "tool", "content": "3"}, ANSWER],
    ),
    "half of a character": (
        pl.DataFrame({"messages": [json.dumps(TALKS[0])] * 10}),
        "messages",
        json.dumps([{"role": "user", "content": "\ud83d"}, ANSWER]),
    ),
}


@pytest.mark.parametrize("name", UNREADABLE)
@pytest.mark.parametrize("large", [False, True])
def test_rows_that_cannot_be_read_are_refused_or_dropped(source, monkeypatch, name, large):
    frame, column, value = UNREADABLE[name]
    if large:
        monkeypatch.setattr(data, "LARGE_BYTES", 0)
        monkeypatch.setattr(batches, "MAX_ROWS", 3)
    spec = source(frame)
    whole = load_source(spec, spec.source)
    values = frame[column].to_list()
    broken = frame.with_columns(
        pl.Series(column, [*values[:6], *[value] * 3, values[9]], strict=False)
    )
    with pytest.raises(ValueError, match=r"data\.invalid"):
        list(source_blocks(source(broken), 0)())
    blocks = source_blocks(source(broken, invalid="drop"), 0)
    lost = 6 if name == "a null prompt of a pair" else 3
    for _ in range(2):
        read = pl.concat(blocks())
        assert len(read) == len(whole) - lost
        assert read.null_count().sum_horizontal().item() == 0
        assert blocks.left_out == {"cannot be read": lost}


def test_dropped_rows_are_counted_beside_others(source):
    frame = answers().with_columns(
        prompt=pl.when(pl.int_range(pl.len()) == 5).then(None).otherwise("prompt"),
        response=pl.when(pl.int_range(pl.len()) == 7).then(pl.lit("")).otherwise("response"),
    )
    parts = split(source(frame, invalid="drop"))
    assert parts.dropped["cannot be read"] == parts.dropped["empty answer"] == 1
    others = pl.DataFrame({"prompt": ["Tea?", None, "Milk?"]})
    spec = source(frame, invalid="drop")
    path = spec.source.replace("source", "prompts")
    others.write_parquet(path)
    spec = sections.Data(source=spec.source, prompts=path, invalid="drop", held_out=3)
    assert split(spec).dropped["prompt for stage 2 cannot be read"] == 1


def test_a_source_of_which_no_row_can_be_read(source):
    frame = pl.DataFrame({"messages": [[ANSWER]] * 3})
    message = r"no rows can be read \(3 cannot be read\): data.invalid: raise says why"
    with pytest.raises(ValueError, match=message):
        split(source(frame, invalid="drop"))


# ── trees of messages ────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("form", ["file", "folder"])
@pytest.mark.parametrize("max_rows", [None, 20])
def test_trees_are_read_whole_however_large(tmp_path, monkeypatch, form, max_rows):
    """The message that a message answers may lie anywhere in the source."""
    n = 60
    tree = pl.DataFrame(
        {
            "message_id": [f"{i}" for i in range(n)],
            "parent_id": [None if i % 6 == 0 else f"{i - 1}" for i in range(n)],
            "text": [f"text {i}" for i in range(n)],
            "role": ["prompter", "assistant"] * (n // 2),
        }
    )
    lost = pl.DataFrame({"message_id": "x", "parent_id": "y", "text": "lost", "role": "assistant"})
    tree = pl.concat([tree, lost]).sample(fraction=1, shuffle=True, seed=0)
    path = tmp_path / "tree.parquet"
    tree.write_parquet(path)
    whole = split(sections.Data(source=str(path), held_out=2, max_rows=max_rows))
    assert len(whole.pool) + 3 * 2 == 30 if max_rows is None else len(whole.pool) < 20
    monkeypatch.setattr(data, "LARGE_BYTES", 0)
    monkeypatch.setattr(batches, "MAX_ROWS", 7)
    if form == "folder":
        path = tmp_path / "trees"
        path.mkdir()
        for start in range(0, n, 16):
            tree[start : start + 16].write_parquet(path / f"{start:02d}.parquet")
    parts = split(sections.Data(source=str(path), held_out=2, max_rows=max_rows))
    assert_frame_equal(parts.pool, whole.pool)
    assert parts.dropped["a message above is missing"] == 1
    spec = sections.Data(source=str(path), memory_limit=1000)
    with pytest.raises(ValueError, match=f"^{path}.*: its rows take more than"):
        source_blocks(spec, 0)
