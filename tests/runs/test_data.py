import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st
from polars.testing import assert_frame_equal

from paretohqd.frames import batches
from paretohqd.frames.writing import write_frame
from paretohqd.runs import config, data
from paretohqd.selection import choosing

HH = "\n\nHuman: {}\n\nAssistant: {}"


def characters(frame):
    """Stands in for the tokens of a prompt."""
    return frame["prompt"].str.len_chars()


def split(spec, *, seed=0, limit=1000):
    return data.split(spec, seed=seed, prompt_lengths=characters, limit=limit)


def answers(n=40, per_conversation=4):
    return pl.DataFrame(
        {
            "prompt": [f"question {i}" for i in range(n)],
            "response": [f"answer {i}" for i in range(n)],
            "conversation": [i // per_conversation for i in range(n)],
            "score": [i / 10 for i in range(n)],
        }
    )


@pytest.fixture
def source(tmp_path):
    """Writes a frame to a file and returns the settings that name it."""

    def make(frame, *, ending=".parquet", **more):
        path = tmp_path / f"source{ending}"
        write_frame(frame, path)
        return config.Data(source=str(path), **{"held_out": 3, **more})

    return make


# ── sources ──────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("ending", [".parquet", ".csv", ".jsonl"])
def test_files(source, ending):
    spec = source(answers(), ending=ending)
    found = data.load_source(spec, spec.source)
    expected = answers().with_columns(pl.col("conversation").cast(pl.String))
    assert_frame_equal(found, expected.select(found.columns))
    assert found.columns == ["prompt", "response", "conversation", "score"]


def test_embedded_conversations():
    spec = config.Data(source="embedded:conversations")
    found = data.load_source(spec, spec.source)
    assert found.height > 100_000
    assert found.schema["conversation"] == pl.String
    assert {"prompt", "response"} <= set(found.columns)
    with pytest.raises(ValueError, match=r"^embedded:chats: did you mean embedded:conversations\?"):
        data.load_source(spec, "embedded:chats")


def test_renamed_columns(source):
    frame = answers().rename(
        {"prompt": "question", "response": "output", "conversation": "dialogue"}
    )
    # Columns that are there under our names, but were not chosen, give way.
    frame = frame.with_columns(prompt=pl.lit("system"), response=pl.lit(1), conversation=pl.lit(0))
    spec = source(frame, prompt="question", response="output", conversation="dialogue")
    expected = answers().with_columns(pl.col("conversation").cast(pl.String))
    assert_frame_equal(data.load_source(spec, spec.source), expected, check_column_order=False)
    spec = source(frame, prompt="question", response="output", conversation="question")
    found = data.load_source(spec, spec.source)
    assert found["conversation"].to_list() == found["prompt"].to_list()
    assert "dialogue" in found.columns


def test_the_prompt_is_the_conversation_where_there_is_none(source):
    spec = source(answers().drop("conversation"))
    found = data.load_source(spec, spec.source)
    assert found["conversation"].to_list() == found["prompt"].to_list()


def test_categories_are_text(source):
    frame = answers().with_columns(pl.col("prompt").cast(pl.Categorical))
    spec = source(frame)
    assert data.load_source(spec, spec.source).schema["prompt"] == pl.String


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
        data.load_source(spec, spec.source)


@pytest.mark.parametrize("name", ["prompt", "conversation"])
def test_null_prompts_and_conversations_are_refused(source, name):
    nulls = pl.when(pl.int_range(pl.len()).is_in([5, 8])).then(None).otherwise(name).alias(name)
    spec = source(answers().with_columns(nulls))
    with pytest.raises(ValueError, match=rf"'{name}' is null in 2 of 40 rows \(first: row 5\)"):
        data.load_source(spec, spec.source)


def test_null_answers_are_empty_ones(source):
    nulls = pl.when(pl.int_range(pl.len()) == 5).then(None).otherwise("response").alias("response")
    spec = source(answers().with_columns(nulls), invalid="drop")
    assert data.load_source(spec, spec.source)["response"][5] == ""
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
    found = data.load_source(spec, spec.source)
    turns = "Hi\n\nAssistant: Hello!\n\nHuman: What is 2 + 2?"
    assert found.columns == ["prompt", "response", "conversation", "side"]
    assert found.rows() == [
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
        data.load_source(spec, spec.source)


def test_pairs_with_a_prompt_column_are_answers(source):
    frame = answers().with_columns(chosen=pl.lit("x"), rejected=pl.lit("y"))
    spec = source(frame, response="chosen")
    assert set(data.load_source(spec, spec.source)["response"]) == {"x"}


def test_the_hub_goes_through_datasets(monkeypatch):
    import datasets

    asked = []

    def load_dataset(name, subset, *, split, revision):
        asked.append((name, subset, split, revision))
        return datasets.Dataset.from_dict(answers().to_dict(as_series=False))

    monkeypatch.setattr(datasets, "load_dataset", load_dataset)
    spec = config.Data(
        source="hub:org/name",
        subset="en",
        split="test",
        revision="abc",
        prompts="hub:org/more",
        held_out=2,
    )
    found = split(spec)
    # Another data set has other subsets and revisions.
    assert asked == [("org/name", "en", "test", "abc"), ("org/more", None, "test", None)]
    assert len(found.pool) == 32
    assert len(found.held_out) == 2


# ── split ────────────────────────────────────────────────────────────────────────────────────


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
    spec = config.Data(
        source=str(folder / "x.parquet"),
        held_out=held_out,
        prompts=str(prompts) if second else None,
    )
    found = split(spec, seed=seed)
    assert found.held_out.columns == found.prompts.columns == ["prompt", "conversation"]
    assert len(found.held_out) == found.held_out["conversation"].n_unique() == held_out
    assert found.prompts["prompt"].is_unique().all()
    held, asked = set(found.held_out["conversation"]), set(found.held_out["prompt"])
    for trained in (found.pool, found.prompts):
        assert not held & set(trained["conversation"])
        assert not asked & set(trained["prompt"])
    # Nothing else is lost, and the order is that of the source.
    others = frame.filter(~pl.col("conversation").is_in(held))
    left = others.filter(~pl.col("prompt").is_in(asked))
    assert_frame_equal(found.pool, left)
    assert sum(found.dropped.values()) == len(others) - len(left)
    if not second:
        assert (
            found.prompts["prompt"].to_list()
            == left["prompt"].unique(maintain_order=True).to_list()
        )


def test_held_out_prompts_are_known_in_every_unicode_form(source):
    frame = answers(40, per_conversation=1).with_columns(
        prompt=pl.Series([f"caf\u00e9 {i % 20}" for i in range(20)] * 2).str.normalize("NFC")
    )
    other = pl.Series([f"cafe\u0301 {i}" for i in range(20)])
    frame = frame.with_columns(prompt=pl.concat([frame["prompt"][:20], other]))
    found = split(source(frame, prompts=None))
    assert found.dropped["prompt is held out"] == 3
    assert len(found.pool) == 40 - 2 * 3
    assert len(found.prompts) == 17
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
    for found in drawn:
        assert found.pool["score"].is_sorted()
        # From the whole source, not its beginning.
        assert found.pool["score"].max() > 30
        assert 80 < len(found.pool) < 100
    assert drawn[0].pool["score"].to_list() != drawn[1].pool["score"].to_list()
    assert len(split(source(answers(400), max_rows=400)).pool) == 388


PAIRS = pl.DataFrame(
    {
        "chosen": [HH.format(f"Hi {i}", f"good {i}") for i in range(90)],
        "rejected": [HH.format(f"Hi {i}", f"bad {i}") for i in range(90)],
    }
)


@pytest.mark.parametrize("ending", [".parquet", ".csv", ".jsonl"])
@pytest.mark.parametrize("frame", [answers(90), PAIRS], ids=["answers", "pairs"])
@pytest.mark.parametrize("max_rows", [20, 91, 180, 500])
def test_rows_are_drawn_without_holding_the_others(source, monkeypatch, ending, frame, max_rows):
    """The same rows as from the whole source, of which only batches are seen."""
    monkeypatch.setattr(batches, "BATCH", 7)
    monkeypatch.setattr(data, "ROWS", 5)
    spec = source(frame, ending=ending, max_rows=max_rows)
    whole = data.load_source(spec, spec.source)
    if len(whole) > max_rows:
        whole = whole[np.sort(np.random.default_rng([3, 1]).permutation(len(whole))[:max_rows])]
    with monkeypatch.context() as patch:
        patch.setattr(data, "read_frame", lambda path: pytest.fail("was read whole"))
        found = split(spec, seed=3)
    held = found.held_out["conversation"].implode()
    assert_frame_equal(found.pool, whole.filter(~pl.col("conversation").is_in(held)))
    # What is wrong is told of all rows, not of a batch.
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
    found = split(source(frame, invalid="drop"))
    assert found.dropped["empty answer"] == 2
    assert not set(blank.values()) & set(found.pool["response"])
    nothing = frame.with_columns(response=pl.lit(" "))
    for invalid in ("raise", "drop"):
        with pytest.raises(ValueError, match=r"^all of 40 answers are empty .*: look at the data"):
            split(source(nothing, invalid=invalid))


def test_long_prompts(source):
    frame = answers()
    # "question 7" has 10 characters and "question 17" has 11.
    with pytest.raises(ValueError, match=r"^30 of 40 prompts have 11 tokens or"):
        split(source(frame), limit=11)
    found = split(source(frame, invalid="drop", held_out=1), limit=11)
    assert found.dropped["prompt too long"] == 30
    assert {*found.pool["prompt"], *found.held_out["prompt"]} <= {
        f"question {i}" for i in range(10)
    }
    assert split(source(frame), limit=12).dropped["prompt too long"] == 0


def test_echoes_are_left_out_of_the_pool(source):
    frame = answers().with_columns(
        response=pl.when(pl.int_range(pl.len()) % 4 == 0).then("prompt").otherwise("response")
    )
    whole, found = split(source(frame)), split(source(frame, max_word_overlap=0.9))
    assert found.dropped["repeats the prompt"] == 7
    expected = whole.pool.filter(pl.col("response") != pl.col("prompt"))
    assert_frame_equal(found.pool, expected)
    assert_frame_equal(found.held_out, whole.held_out)


def test_a_second_source_of_prompts(source, tmp_path):
    # Only prompts, without answers; some are held out, one too long, one twice.
    spec = source(answers())
    held = split(spec).held_out
    texts = [held["prompt"][0], "new", "new", "long" * 300, "question 5"]
    write_frame(pl.DataFrame({"prompt": texts}), tmp_path / "prompts.csv")
    spec = source(answers(), prompts=str(tmp_path / "prompts.csv"))
    found = split(spec)
    assert_frame_equal(found.held_out, held)
    expected = ["new"] if "question 5" in held["prompt"] else ["new", "question 5"]
    assert found.prompts["prompt"].to_list() == expected
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


def test_a_misspelt_column_beside_pairs_is_refused(source):
    frame = PAIRS.with_columns(prompt=pl.lit("Hi"), answer=pl.lit("x"))
    with pytest.raises(ValueError, match=r"no column 'anser' .*data\.response"):
        split(source(frame, response="anser"), seed=3)
