import os
import subprocess
import sys

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from polars.testing import assert_frame_equal

from paretohqd.frames.reading.formats import WRITTEN as ENDINGS
from paretohqd.frames.sources import read_frame
from paretohqd.frames.writing import check_output, write_frame

FRAME = pl.DataFrame(
    {
        "text": ["plain", 'with "quotes", and\na line', "ünïcödé 🦀", ""],
        "score": [0.1, -1e-300, 12345678.901234567, 1 / 3],
        "count": [1, -2, 3, None],
        "flag": [True, False, None, True],
        "scores": [[0.1, 0.2], [1 / 3], [], None],
    }
)


@pytest.mark.parametrize("ending", ENDINGS)
def test_round_trip(tmp_path, ending):
    path = tmp_path / f"frame{ending}"
    write_frame(FRAME, path)
    frame = read_frame(path)
    if ending == ".csv":
        assert frame["scores"].to_list() == ["0.1;0.2", str(1 / 3), "", None]
        assert_frame_equal(frame.drop("scores"), FRAME.drop("scores"), check_exact=True)
    else:
        assert_frame_equal(frame, FRAME, check_exact=True)
    assert os.listdir(tmp_path) == [path.name]


@settings(max_examples=50)
@given(st.lists(st.floats(allow_nan=False, allow_infinity=False), min_size=1))
@pytest.mark.parametrize("ending", ENDINGS[:3])
def test_floats_come_back_to_the_bit(tmp_path_factory, ending, values):
    path = tmp_path_factory.mktemp("floats") / f"frame{ending}"
    frame = pl.DataFrame({"score": values}, schema={"score": pl.Float64})
    write_frame(frame, path)
    assert read_frame(path)["score"].cast(pl.Float64).to_list() == values


def test_the_ending_may_be_in_capitals(tmp_path):
    write_frame(FRAME, tmp_path / "frame.PARQUET")
    assert_frame_equal(read_frame(tmp_path / "frame.PARQUET"), FRAME)


@pytest.mark.parametrize("ending", ENDINGS)
def test_a_name_is_no_pattern(tmp_path, ending):
    write_frame(FRAME.select("score"), tmp_path / f"a{ending}")
    path = tmp_path / f"[ab]*{ending}"
    write_frame(FRAME.select("count"), path)
    assert read_frame(path).columns == ["count"]


def test_types_follow_from_all_rows(tmp_path):
    late = ["1"] * 300 + ["1.5"]
    (tmp_path / "late.csv").write_text("\n".join(["a", *late]))
    assert read_frame(tmp_path / "late.csv")["a"][-1] == 1.5
    rows = [f'{{"a": {a}}}' for a in late] + ['{"a": 2, "b": "x"}']
    (tmp_path / "late.jsonl").write_text("\n".join(rows))
    frame = read_frame(tmp_path / "late.jsonl")
    assert frame["a"][-2:].to_list() == [1.5, 2.0]
    assert frame["b"][-2:].to_list() == [None, "x"]


@pytest.mark.parametrize("name", ["frame.txt", "frame", "frame.parquet.gz", ".csv"])
def test_another_ending_is_refused(tmp_path, name):
    path = tmp_path / name
    path.touch()
    for call in (read_frame, check_output, lambda p: write_frame(FRAME, p)):
        with pytest.raises(
            ValueError, match=r"expected a name that ends in .parquet, .csv, .jsonl"
        ):
            call(path)
    assert path.read_bytes() == b""


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("x.parquet", b""),
        ("x.parquet", b"PAR1" + b"\xff" * 40 + b"PAR1"),
        ("x.csv", b""),
        ("x.csv", b"a,b\n1,2,3\n"),
        ("x.jsonl", b""),
        ("x.jsonl", b'{"a": 1}\nnot json\n'),
    ],
)
def test_a_broken_file_is_a_one_line_error(tmp_path, name, content):
    path = tmp_path / name
    path.write_bytes(content)
    with pytest.raises(ValueError, match=r"cannot be read: \w") as caught:
        read_frame(path)
    assert str(caught.value).startswith(str(path))
    assert "\n" not in str(caught.value)


def test_no_file_and_no_folder(tmp_path):
    with pytest.raises(ValueError, match="no such file"):
        read_frame(tmp_path / "none.csv")
    (tmp_path / "folder.csv").mkdir()
    with pytest.raises(ValueError, match="not a file"):
        read_frame(tmp_path / "folder.csv")
    for call in (check_output, lambda p: write_frame(FRAME, p)):
        with pytest.raises(IsADirectoryError, match="is a folder"):
            call(tmp_path / "folder.csv")
        with pytest.raises(FileNotFoundError, match=r"no such folder: .*none"):
            call(tmp_path / "none" / "x.csv")
    assert os.listdir(tmp_path) == ["folder.csv"]


@pytest.mark.parametrize(
    ("column", "refusing"),
    [
        (pl.Series([{"x": 1}]), [".csv"]),
        (pl.Series([[[1]]]), [".csv"]),
        (pl.Series([[{"x": 1}]]), [".csv"]),
        (pl.Series([b"x"]), [".csv", ".jsonl"]),
        (pl.Series([[b"x"]]), [".csv", ".jsonl"]),
        (pl.Series([{"x": [b"x"]}]), [".csv", ".jsonl"]),
        (pl.Series([[1.5, 2.0]], dtype=pl.Array(pl.Float32, 2)), []),
    ],
)
def test_columns_that_a_format_cannot_hold(tmp_path, column, refusing):
    frame = pl.DataFrame({"kept": [1], "odd": column})
    for ending in ENDINGS[:3]:
        path = tmp_path / f"x{ending}"
        if ending in refusing:
            with pytest.raises(ValueError, match=r"cannot hold column 'odd' .*: write Parquet"):
                write_frame(frame, path)
            assert not path.exists()
        else:
            write_frame(frame, path)
            assert read_frame(path)["kept"].to_list() == [1]


@pytest.mark.parametrize("ending", ENDINGS)
@pytest.mark.parametrize("error", [KeyboardInterrupt, pl.exceptions.ComputeError, MemoryError])
def test_a_write_that_stops_leaves_what_was_there(tmp_path, monkeypatch, ending, error):
    path = tmp_path / f"x{ending}"
    write_frame(FRAME, path)
    before = path.read_bytes()

    def torn(frame, target, **_):
        target.write(b"half")
        raise error("stopped")

    for method in ("sink_parquet", "sink_csv", "sink_ndjson"):
        monkeypatch.setattr(pl.LazyFrame, method, torn)
    with pytest.raises(OSError if error is pl.exceptions.ComputeError else error, match="stopped"):
        write_frame(FRAME, path)
    assert path.read_bytes() == before
    assert os.listdir(tmp_path) == [path.name]


FULL = """
import resource, signal, sys
from pathlib import Path
import polars as pl
from paretohqd.frames.writing import write_frame
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, 20_000))
for path in map(Path, sys.argv[1:]):
    try:
        write_frame(pl.DataFrame({"a": [i / 7 for i in range(50_000)]}), path)
    except OSError as error:
        print(error)
"""


def test_a_full_disk_leaves_what_was_there(tmp_path):
    paths = [tmp_path / f"x{ending}" for ending in ENDINGS]
    for path in paths:
        path.write_text("before")
    # A limit on the size of files stands in for a disk that is full.
    run = subprocess.run(
        [sys.executable, "-c", FULL, *paths], capture_output=True, text=True, check=True
    )
    lines = run.stdout.splitlines()
    assert len(lines) == len(paths)
    for path, line in zip(paths, lines, strict=True):
        assert line.startswith(f"{path}: cannot be written: ")
        assert "File too large" in line
        assert path.read_text() == "before"
    assert len(os.listdir(tmp_path)) == len(paths)
