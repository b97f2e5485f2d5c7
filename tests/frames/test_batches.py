"""Reading in batches of bytes and rows by number: the same rows either way, within the limit."""

import os
import subprocess
import sys

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st
from polars.testing import assert_frame_equal

import paretohqd as pq
from paretohqd.frames import batches, sources, volumes
from paretohqd.frames.sources import Source

N = 6_000
RNG = np.random.default_rng(6)
SCORES = pl.DataFrame(RNG.normal(size=(N, 2)), schema=["a", "b"])
TEXTS = SCORES.with_columns(text=pl.format("{} " + 40 * "answer ", pl.int_range(N)))
CHATS = TEXTS.select(
    "a", "b", messages=pl.concat_list(pl.struct(role=pl.lit("assistant"), content="text"))
)


def hive(frame, folder):
    """Three folders, week=08, week=9 and week=10, below one whose name also says something."""
    for part, week in enumerate(["08", "9", "10"]):
        inside = folder / "run=3" / f"week={week}"
        inside.mkdir(parents=True)
        frame[part * N // 3 : (part + 1) * N // 3].write_parquet(
            inside / "x.parquet", row_group_size=700
        )
    return folder / "run=3"


def in_order(frame):
    """As the folders come by name: 08, 10, 9."""
    third = N // 3
    weeks = [(frame[:third], 8), (frame[2 * third :], 10), (frame[third : 2 * third], 9)]
    return pl.concat(part.with_columns(week=pl.lit(week, dtype=pl.Int64)) for part, week in weeks)


FRAMES = {
    "texts": TEXTS,
    "chats": CHATS,
    "arrays": TEXTS.with_columns(wide=pl.Series(RNG.random((N, 200)).astype(np.float32))),
}
WAYS = [(kind, way) for kind in FRAMES for way in ("file", "folders", "lazy", "lazy file")]


@pytest.fixture(params=[*WAYS, ("texts", "csv")], ids=" ".join)
def source(request, tmp_path):
    """A source and the frame that it should give."""
    kind, way = request.param
    frame = FRAMES[kind]
    if way == "folders":
        return Source.of(hive(frame, tmp_path)), in_order(frame)
    if way == "lazy":
        return Source.of(frame.lazy()), frame
    if way == "csv":
        frame.write_csv(tmp_path / "x.csv")
        return Source.of(tmp_path / "x.csv"), frame
    frame.write_parquet(tmp_path / "x.parquet", row_group_size=700)
    file = tmp_path / "x.parquet"
    return Source.of(pl.scan_parquet(file) if way == "lazy file" else file), frame


@pytest.fixture
def no_file_is_small(monkeypatch):
    monkeypatch.setattr(sources, "SMALL_BYTES", 0)


@pytest.mark.usefixtures("no_file_is_small")
@pytest.mark.parametrize("limit", [40_000, 800_000, None])
def test_batches_follow_the_limit(source, limit):
    opened, frame = source
    read = list(opened.batches([pl.all()], limit))
    assert_frame_equal(pl.concat(read), frame)
    first = batches.FIRST_ROWS if opened.seekable else batches.CHUNK_ROWS
    allowed = 1.1 * max(batches.share(limit), first * frame.estimated_size() / N)
    assert max(batch.estimated_size() for batch in read) <= allowed
    if limit is None:
        assert len(read) < 10


@pytest.mark.parametrize("rows", [[], [0], [N - 1], [3, 4, 5], list(range(0, N, 11)), range(N)])
def test_rows_by_number(source, rows):
    opened, frame = source
    numbers = np.array(rows, dtype=np.int64)
    assert_frame_equal(opened.take(numbers, ["a"], 100_000), frame[numbers])
    assert_frame_equal(opened.take(numbers), frame[numbers])


@given(st.sets(st.integers(0, N - 1)), st.sampled_from([1, 10_000, 10**9]))
def test_a_slice_finds_what_a_condition_finds(tmp_path_factory, rows, limit):
    numbers = np.array(sorted(rows), dtype=np.int64)
    files = [TEXTS[:2500].lazy(), TEXTS[2500:2500].lazy(), TEXTS[2500:].lazy()]
    starts = np.array([0, 2500, 2500, N])
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(batches, "GAP_ROWS", 50)
        slices = list(batches.by_slices(files.__getitem__, starts, numbers, limit))
    taken = pl.concat([TEXTS.clear(), *slices])
    assert_frame_equal(taken, TEXTS[numbers])
    numbered = TEXTS.lazy().with_row_index("#")
    assert_frame_equal(batches.by_number(numbered, "#", numbers, ["a"]), taken)


def test_a_condition_on_scores_spares_the_other_columns(tmp_path, monkeypatch):
    """The scan itself takes the condition in; above a scan all columns would be decoded."""
    queries = []
    find = sources.by_number
    monkeypatch.setattr(
        sources, "by_number", lambda frame, *rest: queries.append(frame) or find(frame, *rest)
    )
    folder = hive(TEXTS, tmp_path)
    file = folder / "week=9" / "x.parquet"
    for data in (folder, file, [file], pl.scan_parquet(file)):
        pq.select(data, ["a", "b"], 3, k=5)
        (query,) = queries
        queries.clear()
        number = (set(query.collect_schema()) - {*TEXTS.columns, "week", "run"}).pop()
        plan = query.filter(pl.col(number).is_in([1, 2]) & pl.col("a").is_not_null()).explain()
        assert "SELECTION" in plan
        assert "FILTER" not in plan


def test_folders_are_read_for_the_columns_asked_for(tmp_path):
    folder = hive(TEXTS, tmp_path)
    expected = volumes.volume(folder, ["a", "b"], ref=[-9, -9])
    for path in folder.rglob("*.parquet"):
        content = bytearray(path.read_bytes())
        position = content.index(b"answer answer")
        content[position - 40 : position + 40] = bytes(80)
        path.write_bytes(content)
    assert volumes.volume(folder, ["a", "b"], ref=[-9, -9]) == expected
    with pytest.raises(ValueError, match="cannot be read"):
        list(Source.of(folder).batches([pl.all()]))


def test_the_limit_binds_the_reading_of_chosen_rows(tmp_path, monkeypatch):
    CHATS.write_parquet(tmp_path / "x.parquet")
    limits = []
    find = sources.by_slices

    def spied(opened, starts, rows, limit):
        limits.append(limit)
        return find(opened, starts, rows, limit)

    monkeypatch.setattr(sources, "by_slices", spied)
    selected = pq.select(tmp_path, ["a", "b"], 3, k=5, memory_limit=500_000)
    assert limits == [500_000]
    assert_frame_equal(selected, pq.select(CHATS, ["a", "b"], 3, k=5))


def test_small_files_are_read_ahead(tmp_path, monkeypatch):
    """Thousands of them would take a slice each."""
    for part in range(40):
        TEXTS[150 * part : 150 * (part + 1)].write_parquet(tmp_path / f"{part:02}.parquet")
    monkeypatch.setattr(sources, "in_slices", lambda *_: pytest.fail("was sliced"))
    assert_frame_equal(pl.concat(Source.of(tmp_path).batches([pl.all()])), TEXTS)


@pytest.mark.usefixtures("no_file_is_small")
def test_one_huge_answer_among_small_ones(tmp_path):
    text = pl.Series(["short"] * N).scatter(3_000, "long " * 2_000_000)
    frame = SCORES.with_columns(text=text)
    frame.write_parquet(tmp_path / "x.parquet")
    read = list(Source.of(tmp_path).batches([pl.all()], 8_000_000))
    assert_frame_equal(pl.concat(read), frame)
    large = [batch for batch in read if batch.estimated_size() > batches.share(8_000_000)]
    assert len(large) == 1
    assert len(read) < 30, "small rows after it are read many at a time again"
    assert_frame_equal(
        Source.of(tmp_path).take(np.array([7, 3_000, 5_000])), frame[[7, 3000, 5000]]
    )


def test_taken_rows_let_go_of_the_others():
    texts = pl.DataFrame({"text": [f"{i} " + 20 * "answer " for i in range(50_000)]})
    for frame in (texts, texts.select(pl.struct("text").implode().over("text"))):
        few = frame[[3, 40_000]]
        assert_frame_equal(batches.compacted(few), few)
    numbers = SCORES[[3, 4]]
    assert batches.compacted(numbers) is numbers


PEAK = """
import sys
from pathlib import Path
import polars as pl
import paretohqd as pq

def peak():
    status = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in status if line.startswith("VmHWM")) * 1024

small = pl.LazyFrame({"a": [0.0, 1.0, 0.5], "b": [1.0, 0.0, 0.5]})
pq.select(small, ["a", "b"], 2, k=1)
before = peak()
if sys.argv[2] == "select":
    pq.select(sys.argv[1], ["a", "b"], 5, k=20, memory_limit=int(sys.argv[3]))
else:
    for batch in pq.layers(sys.argv[1], ["a", "b"], upto=3).collect_batches():
        pass
print(peak() - before)
"""


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="asks Linux for the peak")
@pytest.mark.parametrize("kind", ["texts", "chats"])
@pytest.mark.parametrize("call", ["select", "layers"])
def test_the_peak_stays_within_the_limit(tmp_path, kind, call):
    """Answers of 1.5 kB, 600 MB in two row groups, in a process of its own."""
    n = 1 << 18
    for part in range(2):
        frame = pl.DataFrame(np.random.default_rng(part).random((n, 2)), schema=["a", "b"])
        text = pl.format("{} " + 250 * "words ", pl.int_range(n))
        if kind == "chats":
            text = pl.concat_list(pl.struct(role=pl.lit("assistant"), content=text))
        frame.with_columns(text=text).write_parquet(tmp_path / f"{part}.parquet", row_group_size=n)
    limit = 256_000_000
    done = subprocess.run(
        [sys.executable, "-c", PEAK, str(tmp_path), call, str(limit)],
        capture_output=True,
        text=True,
        check=True,
        env={**os.environ, "POLARS_MAX_THREADS": "2"},
    )
    assert int(done.stdout) < limit
