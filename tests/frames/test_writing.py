"""Files appear whole or not at all, and say what the frame says."""

import datetime
import decimal
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import polars as pl
import pytest
from polars.testing import assert_frame_equal

from paretohqd.frames.writing import check_output, check_target, whole, write_frame, write_text


def test_writers_of_one_file_do_not_meet(tmp_path):
    path = tmp_path / "x.txt"
    path.write_text("before")
    with whole(path) as first, whole(path) as second:
        assert first.name != second.name
        first.write(b"first")
        second.write(b"second")
        assert path.read_text() == "before"
    assert path.read_text() == "first"
    assert os.listdir(tmp_path) == ["x.txt"]


def test_many_threads_write_one_file(tmp_path):
    frames = [pl.DataFrame({"a": [i] * 50_000}) for i in range(8)]
    path = tmp_path / "x.parquet"
    threads = [threading.Thread(target=write_frame, args=(frame, path)) for frame in frames]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    written_frame = pl.read_parquet(path)
    assert any(written_frame.equals(frame) for frame in frames)
    assert os.listdir(tmp_path) == ["x.parquet"]


STOPPED = """
import sys
from pathlib import Path
import polars as pl
from paretohqd.frames.writing import write_frame
rows = pl.DataFrame({"a": range(100_000), "text": ["some text that takes a while"] * 100_000})
endless = pl.concat([rows.lazy()] * 2_000)
print("writing", flush=True)
write_frame(endless, Path(sys.argv[1]))
"""


@pytest.mark.parametrize("ending", [".parquet", ".csv", ".jsonl"])
def test_ctrl_c_leaves_nothing_behind(tmp_path, ending):
    path = tmp_path / f"x{ending}"
    path.write_text("before")
    work = subprocess.Popen(
        [sys.executable, "-c", STOPPED, path],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert work.stdout.readline() == "writing\n"
    deadline = time.monotonic() + 60
    while len(os.listdir(tmp_path)) < 2 and time.monotonic() < deadline:
        time.sleep(0.01)  # until the new file is there
    work.send_signal(signal.SIGINT)
    assert "KeyboardInterrupt" in work.communicate(timeout=120)[1]
    assert os.listdir(tmp_path) == [path.name]
    assert path.read_text() == "before"


def test_a_replaced_file_keeps_its_mode(tmp_path):
    path = tmp_path / "x.csv"
    path.touch(0o600)
    write_text(path, "secret")
    assert (path.stat().st_mode & 0o777, path.read_text()) == (0o600, "secret")
    write_text(tmp_path / "new.txt", "")
    umask = os.umask(0)
    os.umask(umask)
    assert (tmp_path / "new.txt").stat().st_mode & 0o777 == 0o666 & ~umask


def test_a_link_is_refused_and_a_linked_folder_is_not(tmp_path):
    (tmp_path / "there").mkdir()
    link, target = tmp_path / "x.csv", tmp_path / "there" / "y.csv"
    link.symlink_to(target)
    for content in (None, "old"):
        if content is not None:
            target.write_text(content)
        with pytest.raises(ValueError, match=r"x\.csv: is a link, to .*y\.csv, and no link is"):
            write_text(link, "new")
        assert link.is_symlink()
        assert (target.read_text() if target.exists() else None) == content
    (tmp_path / "linked").symlink_to(tmp_path / "there")
    write_text(tmp_path / "linked" / "y.csv", "new")
    assert target.read_text() == "new"


def test_what_is_no_file_is_not_replaced(tmp_path, monkeypatch):
    pipe = tmp_path / "pipe.csv"
    os.mkfifo(pipe)
    for call in (check_target, check_output, lambda p: write_text(p, "")):
        with pytest.raises(OSError, match="is no ordinary file"):
            call(pipe)
    assert pipe.is_fifo()
    monkeypatch.setattr(os, "access", lambda path, mode: False)
    with pytest.raises(PermissionError, match=r"x\.csv: the folder .* may not be written"):
        check_output(tmp_path / "x.csv")


def test_the_home_folder_and_long_names(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    write_text(Path("~") / "x.txt", "home")
    assert (tmp_path / "x.txt").read_text() == "home"
    name = "ü" * 125 + ".csv"
    write_text(tmp_path / name, "long")
    assert (tmp_path / name).read_text() == "long"


def test_decimals_are_numbers_in_json(tmp_path):
    path = tmp_path / "x.jsonl"
    texts = ["0.1", "-123456789012.125", "0.000", None, "4"]
    frame = pl.DataFrame({"score": pl.Series(texts).cast(pl.Decimal(38, 10))}).with_columns(
        inside=pl.struct(list=pl.concat_list("score"))
    )
    for given in (frame, frame.lazy()):
        write_frame(given, path)
        rows = pl.read_ndjson(path)
        assert rows["score"].to_list() == [0.1, -123456789012.125, 0.0, None, 4.0]
        assert rows["inside"].struct.field("list").to_list()[0] == [0.1]


@pytest.mark.parametrize(
    ("column", "what"),
    [
        ([1.0, float("inf"), 0.5], r"an infinity \(column 'odd', row 1\)"),
        ([[0.5], [1.0, float("-inf")], None], r"an infinity \(column 'odd'\)"),
        ([{"a": [0.5]}, {"a": [float("-inf")]}, None], r"an infinity \(column 'odd'\)"),
        ([decimal.Decimal("1.5"), None, decimal.Decimal("1234567890123456.7")], r"15 .* row 2\)"),
    ],
)
def test_values_that_json_cannot_hold(tmp_path, column, what):
    path = tmp_path / "x.jsonl"
    frame = pl.DataFrame({"kept": [1, 2, 3], "odd": column})
    with pytest.raises(ValueError, match=rf"JSON's numbers cannot hold .*{what}.*: write Parquet"):
        write_frame(frame, path)
    with pytest.raises(ValueError, match=r"JSON's numbers cannot hold .*column 'odd'\)"):
        write_frame(frame.lazy(), path)
    assert os.listdir(tmp_path) == []
    write_frame(frame, tmp_path / "x.parquet")
    assert_frame_equal(pl.read_parquet(tmp_path / "x.parquet"), frame)


def test_nan_is_missing_in_json_and_itself_in_csv(tmp_path):
    frame = pl.DataFrame({"a": [1.5, float("nan"), None], "b": [float("inf"), 0.5, 1.0]})
    write_frame(frame.select("a"), tmp_path / "x.jsonl")
    assert pl.read_ndjson(tmp_path / "x.jsonl")["a"].to_list() == [1.5, None, None]
    write_frame(frame, tmp_path / "x.csv")
    assert_frame_equal(pl.read_csv(tmp_path / "x.csv"), frame)


def test_lists_in_csv_keep_the_places_of_nulls(tmp_path):
    frame = pl.DataFrame({"^a.*$": [[0.5, None, 2.0], [], None], "text": ["x", "", None]})
    for given in (frame, frame.lazy()):
        write_frame(given, tmp_path / "x.csv")
        assert (tmp_path / "x.csv").read_text() == '^a.*$,text\n0.5;;2.0,x\n"",""\n,\n'


def test_columns_are_checked_before_the_work(tmp_path):
    schema = {"a": pl.Float64(), "spent": pl.Duration()}
    with pytest.raises(ValueError, match="CSV cannot hold column 'spent'"):
        check_output(tmp_path / "x.csv", schema)
    for ending in (".parquet", ".jsonl"):
        check_output(tmp_path / f"x{ending}", schema)
    times = pl.DataFrame({"spent": [datetime.timedelta(seconds=3)]})
    write_frame(times, tmp_path / "x.jsonl")
    assert (tmp_path / "x.jsonl").read_text() == '{"spent":"PT3S"}\n'


def test_names_that_look_like_patterns_in_json(tmp_path):
    frame = pl.DataFrame({"^w.*$": [0.5, 1.0], "w": [1.0, 2.0]})
    for given in (frame, frame.lazy()):
        write_frame(given, tmp_path / "x.jsonl")
        assert pl.read_ndjson(tmp_path / "x.jsonl").equals(frame)


def test_a_semicolon_in_a_list_of_texts_is_refused_in_csv(tmp_path):
    frame = pl.DataFrame({"tags": [["a", "b"], ["c;d"], None]})
    for given in (frame, frame.lazy()):
        with pytest.raises(ValueError, match="column 'tags': its lists are written with semicolo"):
            write_frame(given, tmp_path / "x.csv")
    assert os.listdir(tmp_path) == []
