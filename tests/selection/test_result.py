"""What a selection tells, and what it turns into."""

import copy
import json
import pickle
import subprocess
import sys

import numpy as np
import polars as pl
import pytest
from polars.testing import assert_frame_equal

import paretohqd as pq
from paretohqd.selection.dataset import sft_dataset

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
    assert chosen.preference_names == ("frank", "kind")
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


def test_a_selection_is_a_collection_of_its_preferences():
    chosen = named()
    assert len(chosen) == 2
    assert_frame_equal(chosen["kind"], chosen.rows.filter(preference=1))
    assert_frame_equal(chosen[1], chosen["kind"])
    assert_frame_equal(chosen[np.int64(0)], chosen["frank"])
    assert [name for name, _ in chosen] == ["frank", "kind"]
    assert_frame_equal(pl.concat(rows for _, rows in chosen), chosen.rows)
    assert all(key in chosen for key in ("frank", "kind", 0, 1))
    for wrong in ("rude", 2, -1, True, None, 0.0, slice(1)):
        assert wrong not in chosen
        with pytest.raises(ValueError, match="expected 0 to 1 or one of frank, kind"):
            chosen[wrong]
    unnamed = pq.choose(FRAME, OBJECTIVES, 3, k=2)
    assert [number for number, _ in unnamed] == [0, 1, 2]
    assert "0" not in unnamed


def test_attributes_and_summary_have_the_same_names():
    chosen, summary = named(), named().summary()
    for name in ("preferences", "r_min", "r_max"):
        assert getattr(chosen, name).tolist() == summary[name]
    for name in ("n_rows", "preference_names", "objectives", "by", "directions", "duplicates"):
        assert getattr(chosen, name) == summary[name]


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
    assert summary["n_rows"] == 300
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
    chosen = pq.select(FRAME.with_columns(key=keys), OBJECTIVES, 3, k=2, by="key")
    assert_frame_equal(chosen.drop("key"), expected)


def test_groups_of_several_columns():
    frame = FRAME.with_columns(
        a=pl.Series([i % 6 for i in range(300)]),
        b=pl.Series([f"{i % 60 // 6}" for i in range(300)]),
    )
    expected = pq.select(FRAME, OBJECTIVES, 3, k=2, by="prompt")
    for data in (frame, frame.lazy()):
        chosen = pq.select(data, OBJECTIVES, 3, k=2, by=["a", "b"])
        assert_frame_equal(chosen.drop("a", "b"), expected)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"by": "promt"}, "by: no column 'promt'"),
        ({"by": []}, "by: name at least one column"),
        ({"by": "prompt", "distinct": "responce"}, "distinct: no column 'responce'"),
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
        chosen = pq.select(data, ["^h.*$", "a.b"], 3, k=2, by="^p")
        assert chosen["row"].to_list() == expected["row"].to_list()
        assert data.lazy().pareto.layers(["^h.*$", "a.b"], upto=1).collect().height == 300


# ── as an object ─────────────────────────────────────────────────────────────────────────────


def test_an_object_shows_itself_without_its_frames():
    chosen = pq.choose(FRAME, OBJECTIVES, NAMED, k=1, by="prompt")
    assert repr(chosen).splitlines() == chosen.explain().splitlines()[:2]
    assert repr(chosen) == (
        f"rows       300 in all, {len(chosen.pool)} in the pool\n"
        f"layers     1 in the pool, with {len(chosen.pool)} rows"
    )
    assert "2 preferences" in chosen._repr_html_()
    assert "120 rows chosen of 300" in chosen._repr_html_()
    assert "within groups of prompt" in chosen._repr_html_()
    odd = pq.choose(FRAME.rename({"help": "<b>&"}), ["<b>&", "harm"], 3, k=2)
    assert "<td>&lt;b&gt;&amp; (max), harm (max)</td>" in odd._repr_html_()
    assert odd._repr_html_().startswith("<table>")
    state = pq.FirstLayers(["<b>&", "harm"], at_least=20).add(FRAME.rename({"help": "<b>&"}))
    assert repr(state) == (
        "<FirstLayers: <b>&, harm; the fewest layers that hold 20 rows; 300 rows added, 300 of "
        "them held>"
    )
    assert "&lt;b&gt;&amp;, harm" in state._repr_html_()
    assert (
        repr(pq.FirstLayers("r", upto=2))
        == "<FirstLayers: r; 2 layers; 0 rows added, 0 of them held>"
    )


def test_a_pickle_holds_the_selection_and_not_the_input():
    frame = pl.concat([FRAME] * 4).with_columns(
        response=pl.format("{} {}", pl.int_range(1200), pl.lit("x" * 900))
    )
    chosen = pq.choose(frame, OBJECTIVES, NAMED, k=6)
    pickled = pickle.dumps(chosen)
    assert len(pickled) < len(pickle.dumps(frame)) / 10
    again = pickle.loads(pickled)
    assert again.scores is None
    assert repr(again) == repr(chosen)
    assert "scores of the pool alone" in again._repr_html_()
    assert "scores of the pool alone" not in chosen._repr_html_()
    assert_frame_equal(again.rows, chosen.rows)
    assert_frame_equal(again.pool, chosen.pool)
    assert (again.explain(), again.summary()) == (chosen.explain(), chosen.summary())
    # The other rows are not at hand: the picture is of the pool, and says so.
    assert "; of the others only the pool is shown" in again.plot().to_json()
    assert "only the pool is shown" not in chosen.plot().to_json()


@pytest.mark.parametrize("copied", [copy.copy, copy.deepcopy])
def test_a_copy_has_all(copied):
    chosen = named()
    other = copied(chosen)
    assert other is not chosen
    assert_frame_equal(other.scores.collect(), chosen.scores.collect())
    assert_frame_equal(other.rows, chosen.rows)
    assert other.summary() == chosen.summary()
    assert (other.preferences is chosen.preferences) == (copied is copy.copy)


def test_the_overlap_is_computed_once(monkeypatch):
    calls = []
    chosen = pq.choose(FRAME, OBJECTIVES, 21, k=6)
    overlap = pq.Selection.overlap
    monkeypatch.setattr(pq.Selection, "overlap", lambda self: calls.append(1) or overlap(self))
    lines = chosen.explain().splitlines()
    assert len(calls) == 1
    table = overlap(chosen)
    others = table - 9 * np.eye(21)
    for number, line in enumerate(lines[-21:]):
        following = "   -" if number == 20 else f"{table[number, number + 1]:.2f}"
        weights = ", ".join(f"{x:.3g}" for x in chosen.preferences[number])
        farthest = chosen.of(number)["distance"].max()
        assert line == (
            f"  {number:>3} ({weights}): {following} {others[number].max():.2f}; 6 rows, the "
            f"farthest at {farthest:.3g}"
        )


# ── rows that are dropped ────────────────────────────────────────────────────────────────────

HOLED = FRAME.with_columns(
    help=pl.when(pl.int_range(300) % 50 != 3).then("help"),
    harm=pl.when(pl.int_range(300) % 75 != 3).then("harm").otherwise(float("nan")),
)


@pytest.mark.parametrize("kind", ["memory", "lazy", "parts", "groups"])
def test_dropped_rows_are_counted(kind):
    if kind == "parts":
        state = pq.FirstLayers(OBJECTIVES, upto=4, nan="drop")
        chosen = pq.choose_from(state.add(HOLED[:60]).add(HOLED[60:]), 3, k=2)
    else:
        more = {"by": "prompt"} if kind == "groups" else {}
        data = HOLED.lazy() if kind == "lazy" else HOLED
        chosen = pq.choose(data, OBJECTIVES, 3, k=2, nan="drop", **more)
    # Rows 3, 53, .., 253 have no help, 3, 78, 153 and 228 no harm; two of these are one.
    assert chosen.dropped == {"help": 6, "harm": 4}
    assert (
        chosen.dropped_rows
        == HOLED.select((pl.col("help").is_null() | pl.col("harm").is_nan()).sum()).item()
    )
    assert chosen.summary()["dropped"] == {
        "rows": chosen.dropped_rows,
        "scores": {"help": 6, "harm": 4},
    }
    line = f"dropped    {chosen.dropped_rows} rows: null or NaN scores (6 in help, 4 in harm)"
    assert line in chosen.explain().splitlines()
    assert "dropped" not in named().explain()


def test_a_saved_state_knows_what_was_dropped(tmp_path):
    state = pq.FirstLayers(OBJECTIVES, upto=4, nan="drop").add(HOLED[:100])
    state.save(tmp_path / "state.parquet")
    again = pq.FirstLayers.load(tmp_path / "state.parquet").add(HOLED[100:])
    assert again.dropped == {"help": 6, "harm": 4}


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


def test_a_dataset_for_each_preference():
    chosen = named()
    whole = chosen.to_datasets()
    assert list(whole) == ["frank", "kind"]
    for name, data in whole.items():
        assert data.column_names == ["prompt", "completion"]
        assert data.to_list() == chosen.to_dataset(name).to_list()
        assert len(data) == 6
    other = pq.choose(FRAME.rename({"prompt": "ask", "response": "say"}), OBJECTIVES, 3, k=2)
    assert list(other.to_datasets(prompt="ask", completion="say")) == ["0", "1", "2"]
    with pytest.raises(ValueError, match="no column of prompts was found among help, harm, ask"):
        other.to_datasets()


def test_conversations_are_cut_before_the_last_answer():
    talk = [
        {"role": "user", "content": "a"},
        {"role": "assistant", "content": "b"},
        {"role": "user", "content": "c"},
        {"role": "assistant", "content": "d"},
    ]
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
    from paretohqd.plots.selection import save

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


def test_objectives_in_no_sure_order_are_refused():
    for given in ({"help", "harm"}, iter(["help", "harm"])):
        for data in (FRAME, FRAME.lazy()):
            with pytest.raises(ValueError, match="no sure order, or only once: pass a list"):
                pq.choose(data, given, 3, k=2)
    names = {"help": 1, "harm": 2}.keys()
    expected = pq.select(FRAME, ["help", "harm"], 3, k=2)["row"].to_list()
    for data in (FRAME, FRAME.lazy()):
        assert pq.select(data, names, 3, k=2)["row"].to_list() == expected


def test_the_groups_of_a_column_that_looks_like_a_pattern_are_counted():
    frame = FRAME.rename({"prompt": "^g.*$"}).with_columns(gx=pl.int_range(pl.len()))
    explanation = pq.choose(frame, ["help", "harm"], 2, k=1, by="^g.*$").explain()
    assert f"{frame['^g.*$'].n_unique()} of ^g.*$, each with its own layers" in explanation


def test_numbers_of_preferences_of_any_kind():
    chosen = pq.choose(FRAME, ["help", "harm"], 3, k=2)
    assert chosen.of(np.int64(1)).equals(chosen.of(1))
    for wrong in (True, 1.0, np.float64(1), "1"):
        with pytest.raises(ValueError, match="preference: expected 0 to 2"):
            chosen.of(wrong)
