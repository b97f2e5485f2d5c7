"""What a selection tells, and what it turns into."""

import json
import subprocess
import sys

import numpy as np
import polars as pl
import pytest
from polars.testing import assert_frame_equal

import paretohqd as pq
from paretohqd.dataset import sft_dataset

RNG = np.random.default_rng(8)
FRAME = pl.DataFrame(RNG.random((300, 2)), schema=["help", "harm"]).with_columns(
    prompt=pl.Series([f"question {i % 60}" for i in range(300)]),
    response=pl.Series([f"answer {i}" for i in range(300)]),
)
OBJECTIVES = {"help": "max", "harm": "min"}
NAMED = {"frank": [0.9, 0.1], "kind": [0.1, 0.9]}


def named(**options):
    return pq.choose(FRAME, OBJECTIVES, NAMED, k=6, **options)


def test_preferences_have_names():
    chosen = named()
    assert chosen.names == ("frank", "kind")
    expected = pq.select(FRAME, OBJECTIVES, list(NAMED.values()), k=6)
    assert_frame_equal(chosen.rows.drop("preference_name"), expected)
    assert_frame_equal(chosen.of("kind"), chosen.of(1))
    assert chosen.of(1)["preference_name"].unique().to_list() == ["kind"]
    for wrong in ("rude", 2, -1, True, None):
        with pytest.raises(ValueError, match="expected 0 to 1 or one of frank, kind"):
            chosen.of(wrong)
    with pytest.raises(ValueError, match="already has a column 'preference_name'"):
        pq.select(FRAME.with_columns(preference_name=1), OBJECTIVES, NAMED, k=6)
    with pytest.raises(ValueError, match="names are text, got 1"):
        pq.select(FRAME, OBJECTIVES, {1: [1, 0]}, k=6)


def test_the_pool_is_in_the_inputs_units():
    chosen = named()
    rows = chosen.pool["row"].to_numpy()
    assert_frame_equal(chosen.pool.select("help", "harm"), FRAME[rows].select("help", "harm"))
    np.testing.assert_array_equal(chosen.layer[rows], chosen.pool["layer"])
    assert (chosen.layer >= 0).sum() == len(rows)
    assert chosen.r_max[1] == chosen.pool["harm"].min()
    assert chosen.objectives == OBJECTIVES


def test_the_summary_is_plain():
    chosen = named()
    summary = json.loads(json.dumps(chosen.summary()))
    assert summary["rows"] == 300
    assert summary["preference_names"] == ["frank", "kind"]
    assert summary["layers"] == chosen.layer_sizes()
    assert summary["by"] is None


def test_within_groups():
    chosen = pq.choose(FRAME, OBJECTIVES, NAMED, k=1, by="prompt")
    parts = []
    for part in FRAME.with_row_index("id").partition_by("prompt", maintain_order=True):
        front = part.pareto.front(OBJECTIVES)
        # A row that beats all others of its prompt leaves no ray, and nothing to choose.
        alone = len(front) == 1
        parts.append(
            pl.concat([front, front]) if alone else pq.select(part, OBJECTIVES, NAMED, k=1, upto=1)
        )
    assert 1 < sum("layer" in part.columns for part in parts) < 60
    expected = pl.concat((part[i : i + 1] for i in range(2) for part in parts), how="diagonal")
    expected = expected.with_columns(pl.col("layer", "distance", "position").fill_null(0))
    expected = expected.with_columns(chosen.rows["preference"])
    same = ["prompt", "response", "preference", "position", "distance", "layer"]
    assert_frame_equal(chosen.rows.select(same), expected.select(same))
    assert chosen.rows["row"].to_list() == expected["id"].to_list()
    assert "60 of prompt, each with its own layers" in chosen.explain()
    assert chosen.by == ("prompt",)


@pytest.mark.parametrize(
    "keys",
    [
        pl.Series([i % 60 for i in range(300)], dtype=pl.Int8),
        pl.Series([f"x{i % 60}" for i in range(300)], dtype=pl.Categorical),
        pl.Series([float(i % 60) for i in range(300)]),
        pl.Series([[i % 60] for i in range(300)]),
        pl.Series([{"a": i % 60} for i in range(300)]),
        pl.Series([bytes([i % 60]) for i in range(300)]),
        pl.Series([i % 60 for i in range(300)]).cast(pl.Date),
        pl.Series([i % 60 for i in range(300)]).cast(pl.Decimal(10, 2)),
    ],
    ids=lambda keys: str(keys.dtype),
)
def test_groups_of_any_type(keys):
    expected = pq.select(FRAME, OBJECTIVES, 3, k=2, by="prompt")
    found = pq.select(FRAME.with_columns(key=keys), OBJECTIVES, 3, k=2, by="key")
    assert_frame_equal(found.drop("key"), expected)


def test_groups_of_several_columns():
    frame = FRAME.with_columns(
        a=pl.Series([i % 6 for i in range(300)]),
        b=pl.Series([f"{i % 60 // 6}" for i in range(300)]),
    )
    expected = pq.select(FRAME, OBJECTIVES, 3, k=2, by="prompt")
    for data in (frame, frame.lazy()):
        found = pq.select(data, OBJECTIVES, 3, k=2, by=["a", "b"])
        assert_frame_equal(found.drop("a", "b"), expected)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"by": "promt"}, "by: no column 'promt'"),
        ({"by": []}, "by: name at least one column"),
        ({"by": "prompt", "distinct": "response"}, "distinct cannot be combined with by"),
        ({"by": "hole"}, r"by: column 'hole' is null in 1 of 300 rows \(first: row 7\)"),
    ],
)
def test_wrong_groups(options, message):
    frame = FRAME.with_columns(hole=pl.Series([None if i == 7 else i for i in range(300)]))
    with pytest.raises(ValueError, match=message):
        pq.select(frame, OBJECTIVES, 3, k=1, **options)


def test_names_that_look_like_patterns():
    frame = FRAME.rename({"help": "^h.*$", "harm": "a.b", "prompt": "^p"})
    expected = pq.select(FRAME, ["help", "harm"], 3, k=2, by="prompt")
    for data in (frame, frame.lazy()):
        found = pq.select(data, ["^h.*$", "a.b"], 3, k=2, by="^p")
        assert found["row"].to_list() == expected["row"].to_list()
        assert data.lazy().pareto.layers(["^h.*$", "a.b"], upto=1).collect().height == 300


# ── datasets ─────────────────────────────────────────────────────────────────────────────────


def test_a_dataset_for_sft():
    chosen = named()
    data = chosen.to_dataset("kind")
    assert data.column_names == ["prompt", "completion"]
    rows = chosen.of("kind")
    assert data["prompt"][0] == [{"role": "user", "content": rows["prompt"][0]}]
    assert data["completion"][5] == [{"role": "assistant", "content": rows["response"][5]}]
    whole = chosen.to_dataset()
    assert whole["preference"] == chosen.rows["preference"].to_list()
    other = pq.choose(FRAME.rename({"prompt": "ask", "response": "say"}), OBJECTIVES, 3, k=2)
    assert list(other.to_dataset(0, prompt="ask", completion="say")["prompt"])
    with pytest.raises(ValueError, match="no column of prompts was found among help, harm, ask"):
        other.to_dataset(0)
    with pytest.raises(ValueError, match="no column 'asks'"):
        other.to_dataset(0, prompt="asks", completion="say")


def test_conversations_are_cut_before_the_last_answer():
    talk = [
        {"role": "user", "content": "a"}, {"role": "assistant", "content": "b"},
        {"role": "user", "content": "c"}, {"role": "assistant", "content": "d"},
    ]  # fmt: skip
    for name in ("messages", "conversation"):
        data = sft_dataset(pl.DataFrame({name: [talk]}))
        assert data["prompt"][0] == talk[:3]
        assert data["completion"][0] == talk[3:]
    turns = pl.DataFrame({"q": [talk[:3]], "a": [talk[3:]]})
    assert sft_dataset(turns, prompt="q", completion="a")["prompt"][0] == talk[:3]
    for bad in (talk[:3], talk[:0], talk[1:2]):
        with pytest.raises(ValueError, match="messages: row 0"):
            sft_dataset(pl.DataFrame({"messages": [bad]}, schema={"messages": pl.Object}))
    with pytest.raises(ValueError, match="q: row 1 holds neither text nor messages"):
        sft_dataset(pl.DataFrame({"q": ["x", None], "a": ["y", "z"]}), prompt="q", completion="a")


def test_the_plot_is_drawn_from_any_kind_of_selection(tmp_path):
    from paretohqd.plots import save

    state = pq.FirstLayers(OBJECTIVES, at_least=30).add(FRAME)
    selections = [
        named(),
        pq.choose(FRAME.lazy(), OBJECTIVES, NAMED, k=6),
        pq.choose_from(state, NAMED, k=6),
        pq.choose(FRAME, OBJECTIVES, NAMED, k=1, by="prompt"),
    ]
    for number, chosen in enumerate(selections):
        path = tmp_path / f"{number}.svg"
        save(chosen.plot(width=500), path)
        text = path.read_text()
        assert "harm (smaller is better)" in text
        assert "kind" in text


def test_a_selection_needs_no_drawing_package():
    script = (
        "import sys, polars as pl, paretohqd as pq\n"
        "frame = pl.DataFrame({'a': [0.0, 1, 2], 'b': [2.0, 1, 0]})\n"
        "pq.choose(frame.lazy(), ['a', 'b'], 3, k=1).explain()\n"
        "assert not {'altair', 'datasets', 'torch', 'ray', 'rich'} & set(sys.modules)\n"
    )
    subprocess.run([sys.executable, "-c", script], check=True)
