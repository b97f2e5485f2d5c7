"""Frames of other libraries, files, folders and patterns; what is wrong with a file names it."""

import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from datasets import Dataset
from polars.testing import assert_frame_equal

import paretohqd as pq
from paretohqd.frames.sources import Source

RNG = np.random.default_rng(4)
FRAME = pl.DataFrame(RNG.normal(size=(60, 2)), schema=["a", "b"]).with_columns(
    text=pl.Series([f"answer {i}" for i in range(60)])
)
EXPECTED = pq.select(FRAME, ["a", "b"], 3, k=4)


def chosen(data):
    return pq.select(data, ["a", "b"], 3, k=4)


@pytest.mark.parametrize(
    "convert",
    [
        pl.DataFrame.lazy,
        pl.DataFrame.to_pandas,
        pl.DataFrame.to_arrow,
        lambda frame: frame.to_arrow().to_reader(),
        lambda frame: Dataset.from_polars(frame),
        lambda frame: Dataset.from_polars(frame[::-1]).select(range(59, -1, -1)),
        lambda frame: {name: frame[name].to_list() for name in frame.columns},
        lambda frame: pd.DataFrame(frame.to_dict(as_series=False), index=range(100, 160)),
    ],
)
def test_tables_of_other_libraries(convert):
    assert_frame_equal(chosen(convert(FRAME)), EXPECTED)


RELATION = """
import sys, duckdb, paretohqd as pq
relation = duckdb.sql(f"select * from '{sys.argv[1]}'")
pq.select(relation, ["a", "b"], 3, k=4).write_parquet(sys.argv[2])
"""


def test_a_duckdb_relation(tmp_path):
    """In a process of its own: DuckDB 2.0 complains of its own leaks when Python ends."""
    given, out = tmp_path / "x.parquet", tmp_path / "out.parquet"
    FRAME.write_parquet(given)
    subprocess.run([sys.executable, "-c", RELATION, given, out], check=True, capture_output=True)
    assert_frame_equal(pl.read_parquet(out), EXPECTED)


def test_a_column_of_arrays_is_a_reward_vector():
    frame = FRAME.select(pl.concat_arr("a", "b").alias("r"), "text")
    for data in (frame, frame.lazy()):
        for objectives in ("r", ["r"], {"r": "max"}, {"r": ["max", "max"]}):
            selected = pq.select(data, objectives, 3, k=4)
            assert_frame_equal(selected.drop("r"), EXPECTED.drop("a", "b"))
    assert pq.choose(frame, "r", 3, k=4).objectives == {"r[0]": "max", "r[1]": "max"}
    turned = pq.select(frame, {"r": ["max", "min"]}, 3, k=4)
    expected = pq.select(FRAME, {"a": "max", "b": "min"}, 3, k=4)
    assert_frame_equal(turned.drop("r"), expected.drop("a", "b"))
    with pytest.raises(ValueError, match="r: expected 'max', 'min', or a list of 2 of these"):
        pq.select(frame, {"r": ["max"]}, 3, k=4)


def test_arrays_of_arrow_and_datasets_too():
    vectors = FRAME.select(pl.concat_arr("a", "b").alias("r"), "text")
    assert_frame_equal(
        pq.select(vectors.to_arrow(), "r", 3, k=4).drop("r"), EXPECTED.drop("a", "b")
    )
    assert isinstance(pa.table(vectors.to_arrow())["r"].type, pa.FixedSizeListType)


@pytest.fixture
def folder(tmp_path):
    """Three files of twenty rows."""
    for part in range(3):
        FRAME[20 * part : 20 * (part + 1)].write_parquet(tmp_path / f"part-{part}.parquet")
    return tmp_path


@pytest.mark.parametrize(
    "name", ["", "*.parquet", "part-[0-2].parquet", "**/*.parquet"], ids=["folder", *"abc"]
)
def test_folders_and_patterns(folder, name):
    assert_frame_equal(chosen(folder / name), EXPECTED)
    assert_frame_equal(chosen(str(folder / name)), EXPECTED)


def test_lists_of_files(folder):
    files = sorted(folder.iterdir())
    assert_frame_equal(chosen(files), EXPECTED)
    assert chosen([files[1], files[0], files[2]])["text"].to_list() == EXPECTED["text"].to_list()
    assert chosen([files[1], files[0], files[2]])["row"].to_list() != EXPECTED["row"].to_list()


@pytest.mark.parametrize("ending", ["csv", "jsonl", "ndjson", "arrow", "PARQUET"])
def test_other_kinds_of_files(tmp_path, ending):
    write = {"csv": "write_csv", "arrow": "write_ipc", "PARQUET": "write_parquet"}
    path = tmp_path / f"x [1].{ending}"
    getattr(FRAME, write.get(ending, "write_ndjson"))(path)
    assert_frame_equal(chosen(path), EXPECTED)
    assert_frame_equal(chosen(tmp_path), EXPECTED)


def test_folders_whose_names_say_something(tmp_path):
    for part in range(3):
        inside = tmp_path / f"week={part}"
        inside.mkdir()
        FRAME[20 * part : 20 * (part + 1)].write_parquet(inside / "x.parquet")
    selected = chosen(tmp_path)
    assert selected["week"].to_list() == [row // 20 for row in EXPECTED["row"]]
    assert_frame_equal(selected.drop("week"), EXPECTED)


def test_folders_above_and_folders_that_disagree(tmp_path):
    inside = tmp_path / "run=3" / "scores"
    (inside / "week=1").mkdir(parents=True)
    FRAME.write_parquet(inside / "week=1" / "x.parquet")
    assert chosen(inside).columns == [*FRAME.columns, "week", *EXPECTED.columns[3:]]
    FRAME.write_parquet(inside / "y.parquet")
    with pytest.raises(ValueError, match=r"y\.parquet: is in folders for nothing, .* for week"):
        chosen(inside)
    (tmp_path / "week=1").mkdir()
    FRAME.write_csv(tmp_path / "week=1" / "x.csv")
    assert_frame_equal(chosen(tmp_path / "week=1"), EXPECTED)


def test_layers_of_files(folder):
    first = pq.layers(folder, ["a", "b"], upto=2)
    assert isinstance(first, pl.LazyFrame)
    assert_frame_equal(first.collect(), FRAME.pareto.layers(["a", "b"], upto=2))
    first.sink_parquet(folder / "layers.parquet")
    assert_frame_equal(
        pl.read_parquet(folder / "layers.parquet"), FRAME.pareto.layers(["a", "b"], upto=2)
    )


@pytest.mark.parametrize(
    ("path", "message"),
    [
        ("none.parquet", r"none\.parquet: no such file"),
        ("*.nothing", r"\*\.nothing: no file matches"),
        ("empty", r"empty: a folder without a file in \.parquet, "),
        ("x.txt", r"x\.txt: expected a name that ends in \.parquet"),
        ("mixed", r"files of different kinds: \.csv, \.parquet"),
    ],
)
def test_nothing_to_read(tmp_path, path, message):
    (tmp_path / "empty").mkdir()
    (tmp_path / "x.txt").write_text("a")
    (tmp_path / "mixed").mkdir()
    FRAME.write_csv(tmp_path / "mixed" / "x.csv")
    FRAME.write_parquet(tmp_path / "mixed" / "x.parquet")
    with pytest.raises(ValueError, match=message):
        chosen(tmp_path / path)


def break_middle(folder: Path, how: str) -> None:
    path = folder / "part-1.parquet"
    part = pl.read_parquet(path)
    whole = path.read_bytes()
    if how == "column":
        part.drop("b").write_parquet(path)
    elif how == "type":
        part.with_columns(pl.col("b").cast(pl.String)).write_parquet(path)
    elif how == "truncated":
        path.write_bytes(whole[: len(whole) // 2])
    elif how == "no parquet":
        path.write_text("a,b\n1,2\n")
    elif how == "pages":
        path.write_bytes(whole[:4] + bytes(len(whole) - 600) + whole[-596:])


@pytest.mark.parametrize(
    ("how", "message"),
    [
        ("column", r"part-1\.parquet: has no column 'b', which .*part-0\.parquet has"),
        ("type", r"part-1\.parquet: column 'b' is String, but Float64 in .*part-0\.parquet"),
        ("truncated", r"part-1\.parquet: cannot be read: "),
        ("no parquet", r"part-1\.parquet: cannot be read: "),
        ("pages", r"part-1\.parquet: cannot be read: "),
    ],
)
def test_a_broken_file_is_named(folder, how, message):
    break_middle(folder, how)
    with pytest.raises(ValueError, match=message):
        chosen(folder)
    with pytest.raises((ValueError, pl.exceptions.ComputeError), match=message):
        pq.layers(folder, ["a", "b"], upto=1).collect()


@pytest.mark.parametrize(
    ("value", "what"),
    [
        (None, "1 null"),
        (float("nan"), "1 NaN"),
        (float("inf"), "1 infinite values"),
    ],
)
def test_the_file_and_row_of_a_bad_score_are_named(folder, value, what):
    path = folder / "part-2.parquet"
    part = pl.read_parquet(path)
    scores = part["b"].to_list()
    scores[7] = value
    part.with_columns(b=pl.Series(scores)).write_parquet(path)
    where = re.escape(f"(first at row 47: row 7 of {path})")
    with pytest.raises(ValueError, match=f"column 'b' holds {what} {where}"):
        chosen(folder)


def test_the_file_and_row_of_a_null_key_are_named(folder):
    path = folder / "part-1.parquet"
    part = pl.read_parquet(path)
    part.with_columns(text=pl.Series([None, *part["text"][1:]])).write_parquet(path)
    where = re.escape(f"first at row 20: row 0 of {path}")
    with pytest.raises(ValueError, match=f"column 'text' is null or NaN .{where}"):
        pq.select(folder, ["a", "b"], 3, k=2, distinct="text")


def test_a_source_of_a_source():
    source = Source.of(FRAME)
    assert Source.of(source) is source
    assert source.rows() == Source.of(FRAME.lazy()).rows() == 60


def test_remote_patterns_are_left_to_polars():
    with pytest.raises(ValueError, match="pass one remote pattern"):
        Source.of(["s3://bucket/a.parquet", "s3://bucket/b.parquet"])


def test_hidden_files_are_left_out_and_links_within_are_followed(folder, tmp_path_factory):
    for scraps in ("_temporary", ".trash"):
        (folder / scraps).mkdir()
        FRAME.write_parquet(folder / scraps / "x.parquet")
    FRAME.write_parquet(folder / ".x.parquet")
    assert_frame_equal(chosen(folder), EXPECTED)
    above = tmp_path_factory.mktemp("above")
    (above / "_kept").mkdir()
    folder.rename(above / "_kept" / "rows")
    (above / "linked").symlink_to(above / "_kept" / "rows")
    (above / "_kept" / "rows" / "back").symlink_to(above)
    assert_frame_equal(chosen(above), EXPECTED)
    named = tmp_path_factory.mktemp("named") / "by-hand"
    named.symlink_to(above)
    assert_frame_equal(chosen(named), EXPECTED)
