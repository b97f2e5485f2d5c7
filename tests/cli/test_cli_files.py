import io
import json
import os
import re
import subprocess
import sys
from importlib.metadata import version

import numpy as np
import polars as pl
import pytest
from polars.testing import assert_frame_equal

import paretohqd as pq
from helpers.answers_given import FRAME, python
from paretohqd.cli import select
from paretohqd.frames.sources import read_frame
from paretohqd.frames.writing import write_frame


@pytest.mark.parametrize(
    "given", [["parts"], ["parts/*.parquet"], [f"parts/{i}.parquet" for i in range(4)]]
)
def test_folders_patterns_and_lists(run, folder, tmp_path, monkeypatch, given):
    monkeypatch.chdir(tmp_path)
    command = ["--objectives", "help,harm", "--preferences", "3", "-k", "5", "-o", "out.parquet"]
    assert run("select", *given, *command)[0] == 0
    assert_frame_equal(
        read_frame(tmp_path / "out.parquet"), pq.select(FRAME, ["help", "harm"], 3, k=5)
    )
    assert run("layers", *given, "--objectives", "help,harm", "--upto", 2, "-o", "out.csv")[0] == 0
    expected = FRAME.pareto.layers(["help", "harm"], upto=2)
    assert read_frame(tmp_path / "out.csv")["layer"].to_list() == expected["layer"].to_list()


def test_select_within_groups(run, folder, tmp_path):
    out = tmp_path / "out.parquet"
    code, said, _ = run(
        "select",
        folder,
        "-o",
        out,
        "--objectives",
        "help,harm:min",
        "--by",
        "prompt",
        "-k",
        1,
        "--preferences",
        "frank=0.8,0.2;kind=0.2,0.8",
    )
    expected = pq.select(
        FRAME,
        {"help": "max", "harm": "min"},
        {"frank": [0.8, 0.2], "kind": [0.2, 0.8]},
        k=1,
        by="prompt",
    )
    assert code == 0
    assert "2 preferences x 1 rows of 200 within groups" in said
    assert_frame_equal(read_frame(out), expected)
    assert expected["preference_name"].unique(maintain_order=True).to_list() == ["frank", "kind"]


def test_the_file_says_how_it_was_made(run, folder, tmp_path):
    out = tmp_path / "out.parquet"
    run("select", folder, "-o", out, "--objectives", "help,harm", "-k", 5, "--distinct", "prompt")
    manifest = json.loads(pl.read_parquet_metadata(out)["paretohqd"])
    chosen = pq.choose(FRAME, ["help", "harm"], k=5, distinct="prompt")
    assert manifest["version"] == version("paretohqd")
    assert manifest["layers"] == chosen.layer_sizes()
    assert manifest["options"]["distinct"] == "prompt"
    assert manifest["r_max"] == chosen.r_max.tolist()
    assert manifest["input"] == folder.name
    run("layers", folder, "-o", out, "--objectives", "help,harm", "--at-least", 9)
    assert json.loads(pl.read_parquet_metadata(out)["paretohqd"])["at_least"] == 9


def test_explain_needs_no_output(run, folder):
    code, said, _ = run("select", folder, "--objectives", "help,harm:min", "-k", 5, "--explain")
    chosen = pq.choose(FRAME, {"help": "max", "harm": "min"}, k=5)
    assert code == 0
    assert chosen.explain() in said
    sizes = chosen.layer_sizes()
    for part in (
        f"200 in all, {sum(sizes)} in the pool",
        f"{len(sizes)} in the pool, with {sizes[0]},",
        f"harm (min): worst {chosen.r_min[1]:g}, best {chosen.r_max[1]:g}",
        f"(1, 0): {chosen.overlap()[0, 1]:.2f}",
    ):
        assert part in said


def test_select_needs_something_to_do(fails, folder):
    assert "name a file to write" in fails("select", folder, "--objectives", "help,harm")


def test_a_memory_limit_that_is_too_low(fails, tmp_path):
    front = pl.DataFrame({"a": np.arange(30_000.0), "b": -np.arange(30_000.0)})
    write_frame(front, tmp_path / "front.parquet")
    out = tmp_path / "out.parquet"
    options = ["--objectives", "a,b", "--upto", 1, "--memory-limit", "100kB"]
    said = fails("select", tmp_path / "front.parquet", "-o", out, *options)
    assert "take more than the memory limit" in said
    assert not out.exists()


def test_pipes(folder):
    rows = FRAME.write_ndjson()
    options = ["-o", "-", "--objectives", "help,harm", "-k", 3]
    select = python("-m", "paretohqd", "select", "-", *options, input=rows)
    expected = pq.select(FRAME, ["help", "harm"], k=3)
    assert_frame_equal(pl.read_ndjson(select.stdout.encode()), expected, check_dtypes=False)
    assert select.stderr.startswith("11 preferences x 3 rows of 200")
    layers = python("-m", "paretohqd", "layers", folder, "-o", "-", "--objectives", "help,harm")
    assert_frame_equal(
        pl.read_ndjson(layers.stdout.encode()),
        FRAME.pareto.layers(["help", "harm"]),
        check_dtypes=False,
    )


@pytest.mark.parametrize(
    ("text", "message"),
    [("", "standard input: no rows"), ("{no json", "standard input: no JSON lines: ")],
)
def test_pipes_with_nothing_in_them(text, message):
    done = python("-m", "paretohqd", "layers", "-", "-o", "-", "--objectives", "a,b", input=text)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith(f"paretohqd: error: {message}")
    assert done.stderr.count("\n") == 1


def test_a_reader_that_has_enough(tmp_path):
    write_frame(
        pl.DataFrame({"a": np.arange(200_000.0), "b": np.ones(200_000)}), tmp_path / "x.csv"
    )
    command = (
        f"{sys.executable} -m paretohqd layers {tmp_path / 'x.csv'} -o - --objectives a,b | head -1"
    )
    done = subprocess.run(command, shell=True, capture_output=True, text=True)
    assert json.loads(done.stdout) == {"a": 0.0, "b": 1.0, "layer": 199_999}
    assert done.stderr == ""


def test_a_bad_file_leaves_the_old_output(fails, folder, tmp_path):
    out = tmp_path / "out.parquet"
    out.write_bytes(b"old")
    path = folder / "2.parquet"
    path.write_bytes(path.read_bytes()[:400])
    for command in ("select", "layers"):
        said = fails(command, folder, "-o", out, "--objectives", "help,harm")
        assert f"{path}: cannot be read: " in said
    assert out.read_bytes() == b"old"
    assert sorted(os.listdir(tmp_path)) == ["out.parquet", "parts"]


def test_rows_are_counted_on_a_terminal(folder, tmp_path):
    """A terminal of its own, through `script`, sees the line redrawn."""
    from paretohqd.plots.progress import RowCounter

    class Terminal(io.StringIO):
        def isatty(self):
            return True

    screen = Terminal()
    counter = RowCounter(200, file=screen)
    counter.every = 0
    pq.choose(folder, ["help", "harm"], 3, k=5, progress=counter)
    counter.close()
    assert "\r200 of 200 rows, " in screen.getvalue()
    assert screen.getvalue().endswith(" \r")
    lines = io.StringIO()
    counter = RowCounter(file=lines)
    counter(50)
    assert lines.getvalue() == ""
    counter.every = 0
    counter(60)
    assert lines.getvalue().startswith("60 rows, ")


FULL = """
import resource, signal, sys
from paretohqd.cli.main import main
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (2_000, 2_000))
sys.exit(main(sys.argv[1:]))
"""


@pytest.mark.parametrize("ending", [".parquet", ".csv", ".jsonl"])
def test_a_full_disk_leaves_the_old_output(answers, tmp_path, ending):
    out = tmp_path / f"out{ending}"
    out.write_text("old")
    done = python("-c", FULL, "layers", answers, "--objectives", "help,harm", "-o", out)
    assert (done.returncode, done.stdout) == (1, "")
    assert re.fullmatch(
        f"paretohqd: error: {out}: cannot be written: .*File too large.*\n", done.stderr
    )
    assert out.read_text() == "old"
    assert sorted(os.listdir(tmp_path)) == ["answers.parquet", out.name]


def test_a_column_that_json_cannot_hold_is_one_line_on_a_pipe(tmp_path):
    write_frame(pl.DataFrame({"a": [1.0, 2.0], "raw": [b"x", b"y"]}), tmp_path / "x.parquet")
    options = ["-o", "-", "--objectives", "a"]
    done = python("-m", "paretohqd", "layers", tmp_path / "x.parquet", *options)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == (
        "paretohqd: error: standard output: JSON cannot hold column 'raw' (Binary): write Parquet\n"
    )


@pytest.mark.parametrize(
    ("option", "file", "message"),
    [
        ("--plot", "none/x.png", "no such folder"),
        ("--plot", "folder.svg", "is a folder"),
        ("-o", "x.csv", "CSV cannot hold column 'nested'"),
    ],
)
def test_targets_are_checked_before_the_work(fails, tmp_path, monkeypatch, option, file, message):
    rows = FRAME.with_columns(nested=pl.struct("help"))
    write_frame(rows, tmp_path / "in.parquet")
    (tmp_path / "folder.svg").mkdir()
    monkeypatch.setattr(
        select, "choose_by_rule", lambda *_, **__: pytest.fail("chosen before it was checked")
    )
    command = ["select", tmp_path / "in.parquet", "--objectives", "help,harm", "--explain"]
    assert message in fails(*command, option, tmp_path / file)
    assert sorted(os.listdir(tmp_path)) == ["folder.svg", "in.parquet"]


@pytest.mark.parametrize("command", ["select", "layers"])
def test_the_input_is_not_overwritten_by_a_name_with_a_tilde(fails, answers, monkeypatch, command):
    monkeypatch.setenv("HOME", str(answers.parent))
    before = answers.read_bytes()
    said = fails(
        command, "~/answers.parquet", "--objectives", "help,harm", "--output=~/answers.parquet"
    )
    assert "the input would be overwritten" in said
    assert answers.read_bytes() == before


def test_a_score_without_a_value_streams_to_a_row_without_a_layer(run, tmp_path):
    (tmp_path / "x.csv").write_text("help,safe\n1,0\nNA,2\n0.5,0.5\n")
    out = tmp_path / "out.csv"
    options = ["--objectives", "help,safe", "--nan", "drop", "-o", out]
    code, _, error = run("layers", tmp_path / "x.csv", *options)
    assert (code, error) == (0, "")
    assert read_frame(out)["layer"].to_list() == [0, None, 0]
