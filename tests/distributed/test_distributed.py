"""What runs on Ray gives the answer of what runs without it."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from itertools import pairwise
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from polars.testing import assert_frame_equal

import paretohqd as pq
from paretohqd import FirstLayers

ray = pytest.importorskip("ray")
pytest.importorskip("ray.data")

from helpers.drawn import NAMES, frames  # noqa: E402
from helpers.tiny import sentences  # noqa: E402
from paretohqd import distributed  # noqa: E402
from paretohqd.distributed import actors, merging, parts  # noqa: E402
from paretohqd.frames import kept_layers  # noqa: E402
from paretohqd.models.spec import Model, Sampling  # noqa: E402
from paretohqd.rewards import scoring  # noqa: E402

pytestmark = [
    pytest.mark.slow,
    pytest.mark.filterwarnings("ignore:all .* preferences get the same"),
]


@pytest.fixture(scope="module", autouse=True)
def cluster():
    # Workers cannot import what is defined here.
    ray.cloudpickle.register_pickle_by_value(sys.modules[__name__])
    context = ray.data.DataContext.get_current()
    context.enable_progress_bars = False
    context.print_on_execution_start = False
    ray.init(
        num_cpus=2,
        include_dashboard=False,
        object_store_memory=200_000_000,
        log_to_driver=False,
        logging_level="ERROR",
    )
    yield
    ray.shutdown()


@pytest.fixture(autouse=True)
def many_parts(monkeypatch):
    """As if there were many more rows."""
    monkeypatch.setattr(kept_layers, "SETTLE", 8)
    monkeypatch.setattr(parts, "PART", 20)
    monkeypatch.setattr(merging, "FAN_IN", 3)
    monkeypatch.setattr(distributed, "SAMPLE", 16)


def arrow(frame):
    return frame.to_arrow(compat_level=pl.CompatLevel.oldest())


def dataset_of(pieces):
    return ray.data.from_arrow([arrow(piece) for piece in pieces])


def files_of(pieces, folder):
    for i, piece in enumerate(pieces):
        piece.write_parquet(folder / f"part-{i:02}.parquet", row_group_size=7)
    return folder


def cut(frame, at):
    ends = [0, *sorted(at), len(frame)]
    return [frame[start:end] for start, end in pairwise(ends)]


def cloud(n, seed=3):
    values = np.random.default_rng(seed).normal(size=(n, 2))
    return pl.DataFrame(values, schema=["a", "b"]).with_columns(
        text=pl.format("answer {}", pl.int_range(n))
    )


def answer(call, data):
    try:
        return call(data)
    except ValueError as error:
        return str(error)


STOPS = [{}, {"upto": 1}, {"upto": 3}, {"at_least": 4}, {"at_least": 30}, {"at_least": 1000}]
OPTIONS = [
    {},
    {"bounds": "all"},
    {"scale": "none"},
    {"distinct": "prompt"},
    {"duplicates": "drop"},
    {"distinct": "prompt", "duplicates": "drop"},
    {"rank": "achievement"},
    {"rank": "sum", "bounds": "all", "distinct": "prompt"},
]


@settings(
    max_examples=15,
    deadline=None,
    database=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(
    frame=frames(),
    cuts=st.lists(st.integers(0, 60), max_size=6),
    stop=st.sampled_from(STOPS),
    k=st.integers(1, 6),
    options=st.sampled_from(OPTIONS),
    minimised=st.booleans(),
    of_files=st.booleans(),
)
def test_select(tmp_path_factory, frame, cuts, stop, k, options, minimised, of_files):
    names = frame.columns[:-1]
    objectives = dict.fromkeys(names, "min") if minimised else names
    pieces = cut(frame, [min(at, len(frame)) for at in cuts])
    data = files_of(pieces, tmp_path_factory.mktemp("data")) if of_files else dataset_of(pieces)
    expected = answer(lambda data: pq.select(data, objectives, 3, k=k, **stop, **options), frame)
    chosen = answer(
        lambda data: distributed.select(data, objectives, 3, k=k, **stop, **options), data
    )
    if isinstance(expected, str):
        assert chosen == expected
    else:
        assert_frame_equal(chosen, expected, check_exact=True)


@pytest.mark.parametrize("of_files", [False, True])
@pytest.mark.parametrize("rank", ["achievement", "sum", "ideal"])
def test_ranks_of_all_rows(tmp_path, rank, of_files):
    """Rows that are sorted by score, so that the first parts know nothing of the best."""
    frame = cloud(400).sort(pl.col("a") + pl.col("b"))
    pieces = cut(frame, [40, 41, 200])
    data = files_of(pieces, tmp_path) if of_files else dataset_of(pieces)
    for bounds in ("pool", "all", [(-3, -3), (3, 3)]):
        options = {"k": 25, "rank": rank, "bounds": bounds}
        chosen = distributed.choose(data, ["a", "b"], 3, **options)
        expected = pq.choose(frame, ["a", "b"], 3, **options)
        assert_frame_equal(chosen.rows, expected.rows, check_exact=True)
        assert_frame_equal(chosen.pool, expected.pool, check_exact=True)
        assert chosen.summary() == expected.summary()


ASKED = [
    {"where": "source <> 's1' AND a < 2"},
    {"where": pl.col("b") > -1, "rank": "sum"},
    {"at_most": {"prompt": 1, "source": 8}},
    {"at_most": {"prompt": 2, "source": 8}, "rank": "achievement"},
    {"exclusive": True, "distinct": "prompt"},
    {"epsilon": {"a": 0.5}},
    {"epsilon": 0.25, "upto": 2, "sample": 3},
    {"diverse": "embedding", "where": "source <> 's0'"},
    {"sample": 5, "rank": "ideal", "prefix": "x_"},
]


@pytest.mark.parametrize("of_files", [False, True])
@pytest.mark.parametrize("options", ASKED, ids=lambda options: " ".join(options))
def test_what_users_ask(tmp_path, options, of_files):
    rng = np.random.default_rng(1)
    frame = cloud(300).with_columns(
        prompt=pl.format("p{}", pl.Series(rng.integers(0, 40, 300))),
        source=pl.format("s{}", pl.Series(rng.integers(0, 3, 300))),
        embedding=pl.Series(rng.normal(size=(300, 3)), dtype=pl.Array(pl.Float64, 3)),
    )
    pieces = cut(frame, [30, 31, 170])
    data = files_of(pieces, tmp_path) if of_files else dataset_of(pieces)
    chosen = distributed.choose(data, ["a", "b"], 3, k=6, **options)
    expected = pq.choose(frame, ["a", "b"], 3, k=6, **options)
    assert_frame_equal(chosen.rows, expected.rows, check_exact=True)
    assert chosen.summary() == expected.summary()
    assert chosen.excluded == expected.excluded


def merged_state(states):
    first, *others = states
    for other in others:
        first.merge(other)
    return first


@given(frames(), st.lists(st.integers(0, 60), max_size=8), st.integers(1, 4), st.integers(2, 4))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_merging_in_a_tree_is_adding_in_a_row(frame, cuts, upto, fan_in):
    names = frame.columns[:-1]
    whole = FirstLayers(names, upto=upto).add(frame)
    states = [
        FirstLayers(names, upto=upto).add(piece)
        for piece in cut(frame, [min(at, len(frame)) for at in cuts])
    ]
    while len(states) > 1:
        states = [merged_state(states[at : at + fan_in]) for at in range(0, len(states), fan_in)]
    (state,) = states
    assert_frame_equal(state.kept, whole.kept)
    assert (state.rows, state.usable) == (whole.rows, whole.usable)
    np.testing.assert_array_equal([state.low, state.high], [whole.low, whole.high])


@pytest.mark.parametrize("of_files", [False, True])
def test_parts_of_the_answer(tmp_path, of_files):
    frame = cloud(300)
    pieces = cut(frame, [40, 41, 200])
    data = files_of(pieces, tmp_path) if of_files else dataset_of(pieces)
    chosen = distributed.choose(data, ["a", "b"], 3, k=5)
    expected = pq.choose(frame, ["a", "b"], 3, k=5)
    np.testing.assert_array_equal(chosen.layer, expected.layer)
    assert_frame_equal(chosen.rows, expected.rows)
    assert_frame_equal(chosen.pool, expected.pool)
    np.testing.assert_array_equal(chosen.r_min, expected.r_min)
    assert_frame_equal(chosen.scores.collect(), frame.select("a", "b"))


@pytest.mark.parametrize("of_files", [False, True])
def test_coarse_scores_and_copies_are_those_of_one_machine(tmp_path, of_files):
    rng = np.random.default_rng(4)
    base = rng.normal(3, 1, 300)
    scores = {name: (base + rng.normal(0, 0.7, 300)).round().clip(0, 4) for name in "ab"}
    number = pl.int_range(300)
    frame = pl.DataFrame(scores).with_columns(
        pl.when(number % 50 != 9).then("a"), prompt=number % 40, response=number % 60
    )
    pieces = cut(frame, [40, 41, 200])
    data = files_of(pieces, tmp_path) if of_files else dataset_of(pieces)
    for options in ({}, {"duplicates": "drop"}, {"preferences": {"b": 3, "a": 1}}):
        options = {"preferences": 3, "k": 4, "nan": "drop", **options}
        chosen = distributed.choose(data, ["a", "b"], **options)
        expected = pq.choose(frame, ["a", "b"], **options)
        assert_frame_equal(chosen.rows, expected.rows, check_exact=True)
        assert_frame_equal(chosen.pool, expected.pool)
        assert chosen.summary() == expected.summary()
        assert chosen.dropped == {"a": 6}


def test_directions_are_those_of_one_machine(tmp_path):
    frame = cloud(300).with_columns(c=(pl.col("a") * 7 + pl.col("b") * 3) % 11)
    options = {"preferences": pq.preference_grid(3, 3), "k": 5, "directions": "tchebycheff"}
    chosen = distributed.select(files_of(cut(frame, [40]), tmp_path), NAMES, **options)
    assert_frame_equal(chosen, pq.select(frame, NAMES, **options))


def test_a_column_without_a_name_has_none_in_blocks_either():
    frame = pl.DataFrame({"": range(30), "b": [(i * 7) % 30 for i in range(30)], "c": ["x"] * 30})
    chosen = distributed.select(dataset_of([frame[:11], frame[11:]]), ["", "b"], 3, k=2)
    assert_frame_equal(chosen, pq.select(frame, ["", "b"], 3, k=2))


def test_only_scores_of_files_travel(tmp_path):
    files = parts.Files.of(files_of(cut(cloud(100), [30]), tmp_path))
    scores = pq.frames.objectives.ObjectiveColumns.of(files.source.schema, ["a", "b"])
    want = merging.PartSpec(scores=scores, upto=2, filled=(), others=(), nan="raise")
    assert files.first_layers(want).settled().frame.columns == ["a", "b"]


def test_files_named_from_here(tmp_path, monkeypatch):
    frame = cloud(60)
    files_of(cut(frame, [20]), tmp_path)
    monkeypatch.chdir(tmp_path)
    chosen = distributed.select("part-*.parquet", ["a", "b"], 3, k=5)
    assert_frame_equal(chosen, pq.select(frame, ["a", "b"], 3, k=5))


def test_folders_that_say_what_is_in_them(tmp_path):
    frame = cloud(60)
    for i, piece in enumerate(cut(frame, [20, 40])):
        (tmp_path / f"day={i}").mkdir()
        piece.write_parquet(tmp_path / f"day={i}" / "scores.parquet")
    chosen = distributed.select(tmp_path, ["a", "b"], 3, k=5)
    assert_frame_equal(chosen, pq.select(tmp_path, ["a", "b"], 3, k=5))
    assert chosen["day"].to_list() == [row // 20 for row in chosen["row"].to_list()]


def test_blocks_keep_their_order_whichever_is_done_first():
    frame = cloud(120)

    def late(block):
        if block["text"][0].as_py() == "answer 0":
            time.sleep(1.5)
        return block

    slow = dataset_of(cut(frame, [30, 60, 90])).map_batches(
        late, batch_size=None, batch_format="pyarrow"
    )
    chosen = distributed.select(slow, ["a", "b"], 3, k=9)
    assert_frame_equal(chosen, pq.select(frame, ["a", "b"], 3, k=9))
    assert not slow.context.execution_options.preserve_order, "left as it was"


def test_datasets_of_other_origins(tmp_path):
    frame = cloud(90)
    expected = pq.select(frame, ["a", "b"], 3, k=9)
    files_of(cut(frame, [20, 50]), tmp_path)
    for data in (
        ray.data.read_parquet(str(tmp_path)),
        ray.data.from_items(frame.to_dicts(), override_num_blocks=4),
        ray.data.from_pandas(frame.to_pandas()).map_batches(lambda b: b, batch_format="pandas"),
    ):
        assert_frame_equal(distributed.select(data, ["a", "b"], 3, k=9), expected)


def test_rows_that_push_the_pool_aside_make_it_read_again(tmp_path, monkeypatch):
    """Rows in ascending order: what the first ones need says little about the last."""
    side = np.arange(40.0)
    low = pl.DataFrame({"a": side, "b": side[::-1]})
    chain = pl.DataFrame({"a": 100 + side, "b": 100 + side})
    frame = pl.concat([low, chain])
    limits = []
    original = parts.Files.first_layers
    monkeypatch.setattr(
        parts.Files,
        "first_layers",
        lambda self, want: (limits.append(want.upto), original(self, want))[1],
    )
    chosen = distributed.select(files_of([frame], tmp_path), ["a", "b"], 3, k=8)
    assert_frame_equal(chosen, pq.select(frame, ["a", "b"], 3, k=8))
    assert limits == [1, 2, 4, 8, 16, 32]


# ── what cannot be chosen from ──────────────────────────────────────────────────────────────

BAD = [
    ([1.0, None, float("nan"), None], "column 'b' holds 2 nulls and 1 NaN (first at row {})", 1),
    ([1.0, 2.0, 3.0, float("inf")], "column 'b' holds 1 infinite values (first at row {})", 3),
]


@pytest.mark.parametrize(("end", "message", "row"), BAD)
def test_bad_scores_are_counted_and_named(tmp_path, end, message, row):
    good = cloud(90)
    bad = pl.DataFrame({"a": [0.0] * 4, "b": end, "text": [""] * 4})
    pieces = [good, pl.concat([good[:50], bad]), good]
    with pytest.raises(ValueError, match="column 'b'") as caught:
        distributed.select(files_of(pieces, tmp_path), ["a", "b"], 3, k=5)
    expected = f"{tmp_path}/part-01.parquet: {message.format(50 + row)}"
    assert str(caught.value).startswith(expected), "one line, counted in the file"
    assert "\n" not in str(caught.value)
    with pytest.raises(ValueError, match="column 'b'") as caught:
        distributed.select(dataset_of(pieces), ["a", "b"], 3, k=5)
    assert type(caught.value) is ValueError
    assert str(caught.value).startswith(message.format(140 + row)), "counted in all rows"


def test_bad_scores_may_be_dropped(tmp_path):
    bad = pl.DataFrame({"a": [None, 9.0], "b": [9.0, None], "text": ["x", "y"]})
    pieces = [bad, cloud(50), bad]
    expected = pq.select(pl.concat(pieces), ["a", "b"], 3, k=5, nan="drop")
    for data in (files_of(pieces, tmp_path), dataset_of(pieces)):
        assert_frame_equal(distributed.select(data, ["a", "b"], 3, k=5, nan="drop"), expected)


def test_files_that_differ_or_are_torn(tmp_path):
    frame = cloud(30)
    files_of([frame, frame.with_columns(pl.col("b").cast(pl.String))], tmp_path)
    with pytest.raises(ValueError, match=r"part-01\.parquet: column 'b' is String, but Float64"):
        distributed.select(tmp_path, ["a", "b"], 3, k=5)
    files_of([frame, frame.drop("b")], tmp_path)
    with pytest.raises(ValueError, match=r"part-01\.parquet.*b"):
        distributed.select(tmp_path, ["a", "b"], 3, k=5)
    files_of([frame, frame], tmp_path)
    torn = bytearray((tmp_path / "part-01.parquet").read_bytes())
    torn[4:60] = bytes(56)  # the footer, and so the number of rows, is whole
    (tmp_path / "part-01.parquet").write_bytes(torn)
    with pytest.raises(ValueError, match=r"part-01\.parquet: cannot be read"):
        distributed.select(tmp_path, ["a", "b"], 3, k=5)


def test_other_columns_that_differ_are_noticed_when_rows_are_gathered(tmp_path):
    frame = cloud(30)
    files_of([frame, frame.with_columns(text=pl.lit(1))], tmp_path)
    with pytest.raises(ValueError, match=r"part-01\.parquet.*text"):
        distributed.select(tmp_path, ["a", "b"], 3, k=20)


def test_wrong_calls(tmp_path):
    frame = cloud(30)
    data = dataset_of([frame])
    frame.write_csv(tmp_path / "x.csv")
    for wrong, message in [
        (tmp_path / "x.csv", r"x\.csv: expected Parquet files"),
        (frame, "expected Parquet files"),
        (tmp_path / "none.parquet", "no such file"),
        (ray.data.from_arrow(arrow(frame[:0])), "no rows"),
    ]:
        with pytest.raises(ValueError, match=message):
            distributed.select(wrong, ["a", "b"], 3, k=5)
    for options, message in [
        ({"upto": 1, "at_least": 1}, "choose one of upto"),
        ({"upto": 0}, "upto must be an integer of at least 1"),
        ({"bounds": "some"}, "bounds: expected"),
        ({"nan": "keep"}, "nan must be"),
        ({"distinct": "prompt"}, "distinct: no column 'prompt'"),
        ({"k": 0}, "k must be"),
    ]:
        with pytest.raises(ValueError, match=message):
            distributed.select(data, ["a", "b"], 3, **{"k": 5, **options})
    with pytest.raises(ValueError, match="'text' has dtype String"):
        distributed.select(data, ["a", "text"], 3, k=5)
    with pytest.raises(ValueError, match="already has a column 'row'"):
        distributed.select(dataset_of([frame.with_columns(row=0)]), ["a", "b"], 3, k=5)


def test_blocks_of_other_types_are_refused():
    frame = cloud(30)
    data = dataset_of([frame, frame.with_columns(pl.col("b").cast(pl.Float32))])
    with pytest.raises(ValueError, match="column 'b' is Float32 in one block and Float64"):
        distributed.select(data, ["a", "b"], 3, k=5)


@pytest.mark.parametrize("stop", [{}, {"upto": 3}])
@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            lambda frame: frame.cast({"b": pl.String}),
            "column 'b' is String in one block and Float64 in the first",
        ),
        (
            lambda frame: frame.drop("b"),
            "column 'b' is missing in one block and Float64 in the first",
        ),
        (
            lambda frame: frame.drop("text"),
            "column 'text' is missing in one block and String in the",
        ),
        (
            lambda frame: frame.with_columns(new=1),
            "column 'new' is Int32 in one block and missing in the first",
        ),
    ],
)
def test_the_column_in_which_blocks_differ_is_named(stop, change, message):
    frame = cloud(30)
    with pytest.raises(ValueError, match=message):
        distributed.select(dataset_of([frame, change(frame)]), ["a", "b"], 3, k=5, **stop)


def test_the_type_of_a_column_without_a_value_in_the_first_block_is_found():
    frame = cloud(30)
    data = dataset_of(
        [frame.with_columns(text=pl.lit(None)), frame, frame.select("text", "b", "a")]
    )
    expected = pl.concat([frame.with_columns(text=pl.lit(None, pl.String)), frame, frame])
    assert_frame_equal(
        distributed.select(data, ["a", "b"], 3, k=5), pq.select(expected, ["a", "b"], 3, k=5)
    )


def test_files_on_a_cluster_have_common_types(tmp_path):
    frames = [cloud(30), cloud(40).with_columns(pl.col("a").cast(pl.Float32)).drop("text")]
    files_of(frames, tmp_path)
    chosen = distributed.select(tmp_path, ["a", "b"], 3, k=5)
    assert_frame_equal(chosen, pq.select(tmp_path, ["a", "b"], 3, k=5))


def test_a_column_without_a_value_in_a_block_has_the_type_of_the_others():
    frame = cloud(60).with_columns(pl.when(pl.int_range(60) < 30).then("text").alias("text"))
    table = arrow(frame[30:])
    import pyarrow as pa

    table = table.set_column(2, "text", pa.nulls(30))
    data = ray.data.from_arrow([arrow(frame[:30]), table])
    chosen = distributed.select(data, ["a", "b"], 3, k=9)
    assert_frame_equal(chosen, pq.select(frame, ["a", "b"], 3, k=9))


# ── workers that die ────────────────────────────────────────────────────────────────────────


def deadly(work, mark, times=1):
    """The same work, but its process dies over it, so many times."""

    def tried(*arguments):
        for number in range(times):
            try:
                (mark.parent / f"{mark.name}{number}").touch(exist_ok=False)
            except FileExistsError:
                continue
            os._exit(1)
        return work(*arguments)

    return tried


def test_workers_that_die_over_files(tmp_path, monkeypatch):
    frame = cloud(200)
    (tmp_path / "data").mkdir()
    data = files_of(cut(frame, [77]), tmp_path / "data")
    monkeypatch.setattr(parts, "_of_parts", deadly(parts._of_parts, tmp_path / "mark", 2))
    monkeypatch.setattr(parts, "_of_file", deadly(parts._of_file, tmp_path / "gathered"))
    chosen = distributed.select(data, ["a", "b"], 3, k=5)
    assert len(list(tmp_path.glob("mark*"))) == 2, "two died"
    assert (tmp_path / "gathered0").exists()
    assert_frame_equal(chosen, pq.select(frame, ["a", "b"], 3, k=5))


def test_workers_that_die_over_blocks_and_merges(tmp_path, monkeypatch):
    frame = cloud(200)
    monkeypatch.setattr(parts, "_of_block", deadly(parts._of_block, tmp_path / "block", 2))
    monkeypatch.setattr(merging, "_merge", deadly(merging._merge, tmp_path / "merge"))
    chosen = distributed.select(dataset_of(cut(frame, [40, 90, 91])), ["a", "b"], 3, k=5)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["block0", "block1", "merge0"]
    assert_frame_equal(chosen, pq.select(frame, ["a", "b"], 3, k=5))


# ── scores ──────────────────────────────────────────────────────────────────────────────────


def answers_of(n):
    texts = sentences()
    return pl.DataFrame(
        {
            "id": range(n),
            "prompt": [texts[37 * i % 588] for i in range(n)],
            "response": [texts[(101 * i + 5) % 588] for i in range(n)],
        }
    )


class Length:
    """A reward whose first actor dies, and that can give what is no number."""

    name = "length"

    def __init__(self, mark: Path | None = None) -> None:
        self.mark = mark

    def score(self, prompts, responses):
        if self.mark is not None and not self.mark.exists():
            self.mark.touch()
            os._exit(1)
        return np.array([np.nan if "odd" in r else len(r) for r in responses])

    def manifest(self):
        return {}


def test_scores_are_those_of_one_call(classifier):
    pytest.importorskip("vaderSentiment")
    frame = answers_of(50)
    # Polars takes such a name for a pattern.
    mood = scoring.make_reward(name="^mood.*$", scorer="embedded:positivity")
    kind = scoring.make_reward(name="kind", model=str(classifier), batch_size=1, device="cpu")
    rewards = [mood, kind]
    expected = scoring.score(frame, rewards)
    assert expected["^mood.*$"].n_unique() > 5
    scores = distributed.score(frame, [mood], batch_size=8, concurrency=2)
    assert_frame_equal(scores, expected.drop("kind"), check_exact=True)
    data = dataset_of(cut(frame, [13, 40]))
    lazy = distributed.score(data, rewards, concurrency=1)
    scored = pl.concat([pl.from_arrow(table) for table in ray.get(lazy.to_arrow_refs())]).sort("id")
    # A model adds up in another order on another number of threads.
    assert_frame_equal(scored, expected, abs_tol=1e-5)


def test_an_actor_that_dies_and_what_is_wrong_with_answers(tmp_path):
    frame = answers_of(30)
    scored = distributed.score(frame, [Length(tmp_path / "mark")], batch_size=8, concurrency=1)
    assert (tmp_path / "mark").exists()
    assert_frame_equal(scored, scoring.score(frame, [Length()]))
    assert_frame_equal(
        distributed.score(frame[:0], [Length()]), scoring.score(frame[:0], [Length()])
    )
    odd = frame.with_columns(
        response=pl.when(pl.col("id") == 19).then(pl.lit("odd")).otherwise("response")
    )
    with pytest.raises(
        ValueError,
        match="in the batch that begins at row 16: reward 'length' gave "
        r"1 score\(s\) that are not finite, the first, nan, in row 3",
    ):
        distributed.score(odd, [Length()], batch_size=8, concurrency=1)
    for wrong in (
        frame.with_columns(response=pl.lit(" ")),
        frame.drop("prompt"),
        frame.with_columns(length=pl.lit(1)),
    ):
        expected = answer(lambda frame: scoring.score(frame, [Length()]), wrong)
        assert answer(lambda frame: distributed.score(frame, [Length()]), wrong) == expected


@pytest.mark.parametrize(
    ("resources", "limits", "size", "gpus"),
    [
        ({"CPU": 8.0}, (None, None), 8, 0),
        ({"CPU": 8.0, "GPU": 4.0}, (None, None), 4, 1),
        ({"CPU": 8.0, "GPU": 4.0}, (None, 0.5), 8, 0.5),
        ({"CPU": 8.0, "GPU": 4.0}, (3, 0), 3, 0),
        ({}, (None, None), 1, 0),
    ],
)
def test_as_many_actors_as_there_are_gpus_or_else_cores(monkeypatch, resources, limits, size, gpus):
    monkeypatch.setattr(ray, "cluster_resources", lambda: resources)
    options = actors.actor_pool(*limits)
    assert options["num_gpus"] == gpus
    assert (options["compute"].min_size, options["compute"].max_size) == (size, size)


# ── answers ─────────────────────────────────────────────────────────────────────────────────


def test_answers_are_those_of_one_call(causal, base, tmp_path):
    import torch
    from peft import LoraConfig, get_peft_model

    from paretohqd.models import base as models
    from paretohqd.models.adapters import load_adapter
    from paretohqd.models.sampling import generate

    spec = Model(name=str(causal))
    prompts = [*sentences()[:200:9], "Hi", "Hi"]
    fresh, _ = models.load_base(spec, device="cpu", dtype=torch.float32)
    wrapped = get_peft_model(
        fresh, LoraConfig(r=4, target_modules="all-linear", init_lora_weights=False)
    )
    wrapped.save_pretrained(tmp_path / "adapter")
    model, tokenizer = base
    options = {
        "system_prompt": ["Be brief.", ""] * (len(prompts) // 2) + [""] * (len(prompts) % 2),
        "seed": 3,
        "samples": 2,
        "sampling": Sampling(max_new_tokens=12, batch_size=8),
    }
    expected = generate(load_adapter(model, tmp_path / "adapter"), tokenizer, prompts, **options)
    answers = distributed.generate(
        prompts, model=str(causal), adapter=tmp_path / "adapter", concurrency=2, **options
    )
    assert_frame_equal(answers, expected)
    assert answers["response"].n_unique() > len(prompts)
    assert distributed.generate([], model=spec).equals(answers[:0])
    with pytest.raises(ValueError, match=r"^1 of 2 prompts leave no room .* \(first: row 1 with"):
        distributed.generate(["Hi", "word " * 700], model=spec)
    with pytest.raises(ValueError, match="system_prompt: 1 messages for 2 prompts; pass one for"):
        distributed.generate(["Hi", "Hi"], model=spec, system_prompt=["Be brief."])
    with pytest.raises(ValueError, match="nowhere"):
        distributed.generate(["Hi"], model=spec, adapter=tmp_path / "nowhere", concurrency=1)


# ── without Ray ─────────────────────────────────────────────────────────────────────────────


def test_ray_is_loaded_only_where_it_is_asked_for_and_missed_with_advice():
    program = """
import sys
import paretohqd
assert "ray" not in sys.modules
sys.modules["ray"] = None
try:
    import paretohqd.distributed
except ImportError as error:
    print(error)
"""
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    assert "pip install 'paretohqd[ray]'" in done.stdout
