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
from finished_run import make_run
from paretohqd import cli
from paretohqd.files import read_frame, write_frame

rng = np.random.default_rng(0)
FRAME = pl.DataFrame(
    {
        "prompt": [f"Question {i % 50}?" for i in range(200)],
        "response": [f"I love answer {i}." for i in range(200)],
        "help": rng.random(200),
        "harm": rng.random(200).round(2),
        "words": rng.integers(1, 90, 200),
    }
)


@pytest.fixture
def answers(tmp_path):
    path = tmp_path / "answers.parquet"
    write_frame(FRAME, path)
    return path


@pytest.fixture
def run(capsys):
    """Runs a command; returns exit code, output and error."""

    def call(*arguments):
        try:
            code = cli.main([str(a) for a in arguments])
        except SystemExit as stop:
            code = stop.code
        return code, *capsys.readouterr()

    return call


@pytest.fixture
def fails(run):
    """Runs a command that must end with exit code 1 and one line; returns the line."""

    def call(*arguments):
        code, out, err = run(*arguments)
        assert (code, out) == (1, "")
        assert err.startswith("paretohqd: error: ")
        assert err.count("\n") == 1
        return err.removeprefix("paretohqd: error: ").strip()

    return call


def python(*arguments, **more):
    return subprocess.run(
        [sys.executable, *map(str, arguments)], capture_output=True, text=True, **more
    )


# ── select ───────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("ending", [".parquet", ".csv", ".jsonl"])
@pytest.mark.parametrize("of", [".parquet", ".csv", ".jsonl"])
def test_select_writes_what_paretohqd_select_returns(run, tmp_path, of, ending):
    source, out = tmp_path / f"in{of}", tmp_path / f"out{ending}"
    write_frame(FRAME, source)
    code, said, err = run("select", source, "--objectives", "help,harm", "-k", 10, "-o", out)
    assert (code, err) == (0, "")
    expected = pq.choose(FRAME, ["help", "harm"], k=10)
    sizes, different = expected.layer_sizes(), expected.rows["row"].n_unique()
    assert said == (
        f"11 preferences x 10 rows of 200, from a pool of {sum(sizes)} rows in {len(sizes)} "
        f"layers; {different} different rows\n"
    )
    found = read_frame(out)
    if ending == ".csv":
        weights = [";".join(map(str, w)) for w in expected.rows["weights"].to_list()]
        assert found["weights"].to_list() == weights
        found = found.with_columns(expected.rows["weights"])
    assert_frame_equal(found, expected.rows, check_dtypes=ending == ".parquet", check_exact=True)


@pytest.mark.parametrize(
    ("given", "objectives", "preferences", "options"),
    [
        ("help,words:min --preferences 3", {"help": "max", "words": "min"}, 3, {}),
        ("help,harm:max,words --preferences 6", ["help", "harm", "words"], 6, {}),
        ("help,harm --preferences 1,0;0.25,0.75", ["help", "harm"], [[1, 0], [0.25, 0.75]], {}),
        ("help,harm --upto 5", ["help", "harm"], 11, {"upto": 5}),
        ("help,harm --at-least 90", ["help", "harm"], 11, {"at_least": 90}),
        ("help,harm --bounds all", ["help", "harm"], 11, {"bounds": "all"}),
        ("help,harm --scale none", ["help", "harm"], 11, {"scale": "none"}),
        ("help,harm --distinct prompt", ["help", "harm"], 11, {"distinct": "prompt"}),
        ("help,harm --threads 1", ["help", "harm"], 11, {"n_threads": 1}),
    ],
)
def test_options_of_select(run, answers, tmp_path, given, objectives, preferences, options):
    out = tmp_path / "out.parquet"
    code, _, err = run("select", answers, "-o", out, "-k", 7, "--objectives", *given.split())
    assert (code, err) == (0, "")
    expected = pq.select(FRAME, objectives, preferences, k=7, **options)
    assert_frame_equal(read_frame(out), expected)


def test_select_drops_missing_scores_when_asked(run, fails, tmp_path):
    source, out = tmp_path / "in.csv", tmp_path / "out.csv"
    write_frame(FRAME.with_columns(help=pl.when(pl.col("words") > 9).then("help")), source)
    command = ["select", source, "-o", out, "--objectives", "help,harm", "-k", 2]
    assert re.match(r"column 'help' holds \d+ nulls? \(first at row \d+\)", fails(*command))
    assert not out.exists()
    assert run(*command, "--nan", "drop")[0] == 0
    assert read_frame(out)["help"].null_count() == 0


def test_an_old_output_is_replaced(run, answers, tmp_path):
    out = tmp_path / "out.csv"
    out.write_text("old")
    assert run("select", answers, "-o", out, "--objectives", "help,harm", "-k", 1)[0] == 0
    assert len(read_frame(out)) == 11
    assert sorted(os.listdir(tmp_path)) == ["answers.parquet", "out.csv"]


# ── layers ───────────────────────────────────────────────────────────────────────────────────


def test_layers(run, answers, tmp_path):
    out = tmp_path / "out.jsonl"
    objectives = {"help": "max", "words": "min"}
    code, said, err = run("layers", answers, "--objectives", "help,words:min", "-o", out)
    expected = FRAME.pareto.layers(objectives)
    assert (code, err) == (0, "")
    assert_frame_equal(read_frame(out), expected, check_dtypes=False)
    front, number = (expected["layer"] == 0).sum(), expected["layer"].n_unique()
    assert said == f"{front} of 200 rows on the front; 200 in {number} layers\n"


@pytest.mark.parametrize(
    ("given", "options"),
    [
        (["--upto", 2], {"upto": 2}),
        (["--at-least", 40], {"at_least": 40}),
        (["--by", "prompt"], {"by": "prompt"}),
    ],
)
def test_options_of_layers(run, answers, tmp_path, given, options):
    out = tmp_path / "out.parquet"
    code, said, _ = run("layers", answers, "--objectives", "help,harm", "-o", out, *given)
    expected = FRAME.pareto.layers(["help", "harm"], **options)
    assert code == 0
    assert_frame_equal(read_frame(out), expected)
    within = expected.filter(pl.col("layer") >= 0)
    assert said.endswith(f"; {len(within)} in {within['layer'].n_unique()} layers\n")


def test_layers_of_no_rows(run, tmp_path):
    write_frame(FRAME[:0], tmp_path / "in.parquet")
    code, said, _ = run(
        "layers", tmp_path / "in.parquet", "--objectives", "help", "-o", tmp_path / "out.parquet"
    )
    assert (code, said) == (0, "0 of 0 rows on the front; 0 in 0 layers\n")


# ── score and report ─────────────────────────────────────────────────────────────────────────


def test_score_adds_columns_and_says_how(run, answers, tmp_path):
    out = tmp_path / "out.parquet"
    code, said, err = run(
        "score", answers, "-o", out, "--reward", "tone=embedded:positivity",
        "--reward", "info=embedded:informativeness",
    )  # fmt: skip
    assert (code, err) == (0, "")
    assert said == "200 answers scored by tone, info\n"
    found = read_frame(out)
    assert_frame_equal(found.select(FRAME.columns), FRAME)
    assert found.columns[-2:] == ["tone", "info"]
    manifest = json.loads((tmp_path / "out.parquet.manifest.json").read_text())
    assert manifest["rows"] == 200
    assert [reward["name"] for reward in manifest["rewards"]] == ["tone", "info"]


def test_score_reads_other_columns(run, answers, tmp_path):
    out = tmp_path / "out.parquet"
    columns = ["--prompt", "response", "--response", "prompt"]
    reward = ["--reward", "tone=embedded:positivity"]
    assert run("score", answers, "-o", out, *reward, *columns)[0] == 0
    assert read_frame(out)["tone"].n_unique() == 1


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--reward", "x=embedded:harmles"], "did you mean 'harmless'"),
        (["--reward", "help=embedded:harmless"], r"already has the column\(s\) help"),
        (["--reward", "x=embedded:harmless", "--prompt", "q"], "no column 'q' to score"),
        (["--reward", "x=embedded:harmless", "--template", "{prompt}"], "--template is for reward"),
    ],
)
def test_wrong_scores(fails, answers, tmp_path, arguments, message):
    assert re.search(message, fails("score", answers, "-o", tmp_path / "out.csv", *arguments))
    assert os.listdir(tmp_path) == ["answers.parquet"]


def test_report(run, fails, tmp_path):
    folder = tmp_path / "finished"
    make_run(folder, ["help", "harm"], [(1.0, 0.0), (0.0, 1.0)], stages=1)
    code, said, err = run("report", folder)
    assert (code, said, err) == (0, f"{folder / 'report.html'}\n", "")
    page = tmp_path / "page.html"
    assert run("report", folder, "-o", page)[:2] == (0, f"{page}\n")
    assert page.read_text().startswith("<!")
    (tmp_path / "empty").mkdir()
    for name in ("empty", "none"):
        assert str(tmp_path / name) in fails("report", tmp_path / name)
        assert not (tmp_path / name / "report.html").exists()


# ── errors ───────────────────────────────────────────────────────────────────────────────────


# ── files, folders, pipes ────────────────────────────────────────────────────────────────────


@pytest.fixture
def folder(tmp_path):
    """The answers in four files."""
    inside = tmp_path / "parts"
    inside.mkdir()
    for part in range(4):
        write_frame(FRAME[50 * part : 50 * (part + 1)], inside / f"{part}.parquet")
    return inside


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
        "select", folder, "-o", out, "--objectives", "help,harm:min", "--by", "prompt", "-k", 1,
        "--preferences", "frank=0.8,0.2;kind=0.2,0.8",
    )  # fmt: skip
    expected = pq.select(
        FRAME, {"help": "max", "harm": "min"}, {"frank": [0.8, 0.2], "kind": [0.2, 0.8]}, k=1,
        by="prompt",
    )  # fmt: skip
    assert code == 0
    assert "2 preferences x 1 rows of 200 within groups" in said
    assert_frame_equal(read_frame(out), expected)
    assert expected["preference_name"].unique(maintain_order=True).to_list() == ["frank", "kind"]


def test_the_file_says_how_it_was_made(run, folder, tmp_path):
    out = tmp_path / "out.parquet"
    run("select", folder, "-o", out, "--objectives", "help,harm", "-k", 5, "--distinct", "prompt")
    manifest = json.loads(pl.read_parquet_metadata(out)["paretohqd"])
    found = pq.choose(FRAME, ["help", "harm"], k=5, distinct="prompt")
    assert manifest["version"] == version("paretohqd")
    assert manifest["layers"] == found.layer_sizes()
    assert manifest["options"]["distinct"] == "prompt"
    assert manifest["r_max"] == found.r_max.tolist()
    assert manifest["input"] == str(folder)
    run("layers", folder, "-o", out, "--objectives", "help,harm", "--at-least", 9)
    assert json.loads(pl.read_parquet_metadata(out)["paretohqd"])["at_least"] == 9


def test_explain_needs_no_output(run, folder):
    code, said, _ = run("select", folder, "--objectives", "help,harm:min", "-k", 5, "--explain")
    found = pq.choose(FRAME, {"help": "max", "harm": "min"}, k=5)
    assert code == 0
    assert found.explain() in said
    sizes = found.layer_sizes()
    for part in (
        f"200 in all, {sum(sizes)} in the pool", f"{len(sizes)} in the pool, with {sizes[0]},",
        f"harm (min): worst {found.r_min[1]:g}, best {found.r_max[1]:g}",
        f"(1, 0): {found.overlap()[0, 1]:.2f}",
    ):  # fmt: skip
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
        pl.read_ndjson(layers.stdout.encode()), FRAME.pareto.layers(["help", "harm"]),
        check_dtypes=False,
    )  # fmt: skip


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
    from paretohqd.counting import RowCounter

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


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--memory-limit", "lots"], "expected a size such as 1.5GB or 800MB, got 'lots'"),
        (["--by", "a,,b"], "an empty name in 'a,,b'"),
        (["--preferences", "a=1,0;0,1"], "name every preference"),
        (["--preferences", "a=1,0;a=0,1"], "none twice"),
        (["--plot", "x.bmp"], "x.bmp"),
    ],
)
def test_options_that_make_no_sense(run, folder, arguments, message):
    code, _, err = run("select", folder, "--objectives", "help,harm", "--explain", *arguments)
    assert code != 0
    assert message in err


def test_version_and_help(run):
    assert run("--version") == (0, f"paretohqd {version('paretohqd')}\n", "")
    code, said, _ = run("--help")
    assert code == 0
    for command in ("select", "layers", "score", "run", "report"):
        assert f"\n    {command} " in said
        assert run(command, "--help")[0] == 0


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "the following arguments are required: COMMAND"),
        (["selct"], "invalid choice: 'selct'"),
        (["select"], "required: input, --objectives"),
        (["select", "IN", "-o", "OUT", "--objectives", "help,"], "an empty name in 'help,'"),
        (["select", "IN", "-o", "OUT", "--objectives", "a,a:min"], "a is named twice"),
        (["select", "IN", "-o", "OUT", "--objectives", "a,b", "-k", "0"], "at least 1, got '0'"),
        (["select", "IN", "-o", "OUT", "--objectives", "a,b", "-k", "1.5"], "got '1.5'"),
        (["select", "IN", "-o", "OUT", "--objectives", "a,b", "--preferences", "1,x"], "'1,x'"),
        (["select", "IN", "-o", "OUT", "--objectives", "a,b", "--preferences", "0"], "got '0'"),
        (["select", "IN", "-o", "OUT", "--objectives", "a,b", "--bounds", "front"], "'front'"),
        (
            ["select", "IN", "-o", "OUT", "--objectives", "a,b", "--upto", "1", "--at-least", "9"],
            "argument --at-least: not allowed with argument --upto",
        ),
        (["layers", "IN", "--objectives", "a"], "required: -o/--output"),
        (["score", "IN", "-o", "OUT"], "required: --reward"),
        (["score", "IN", "-o", "OUT", "--reward", "tone"], "a name, =, and a value, got 'tone'"),
        (["run"], "required: CONFIG.yaml"),
        (["run", "x.yaml", "--set", "=1"], "a name, =, and a value, got '=1'"),
    ],
)
def test_wrong_calls_end_with_2(run, arguments, message):
    code, said, err = run(*arguments)
    assert (code, said) == (2, "")
    assert message in err
    assert "Traceback" not in err


@pytest.mark.parametrize("command", ["select", "layers"])
@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["none.csv", "-o", "out.csv"], "none.csv: no such file"),
        (["answers.parquet", "-o", "out.xlsx"], "out.xlsx: expected a name that ends in .parquet"),
        (["answers.json", "-o", "out.csv"], "answers.json: expected a name that ends in .parquet"),
        (["broken.csv", "-o", "out.csv"], "broken.csv: cannot be read: "),
        (["answers.parquet", "-o", "answers.parquet"], "the input would be overwritten"),
        (["answers.parquet", "-o", "link.parquet"], "the input would be overwritten"),
        (["answers.parquet", "-o", "none/out.csv"], "none/out.csv: no such folder: none"),
        (["answers.parquet", "-o", "answers.parquet/out.csv"], "no such folder: answers.parquet"),
        (["answers.parquet", "-o", "folder.csv"], "folder.csv: is a folder, not a file"),
        (["answers.parquet", "-o", "out.csv", "--objectives", "help,hram"], "no column 'hram'"),
        (["answers.parquet", "-o", "out.csv", "--objectives", "help,prompt"], "'prompt' has dtype"),
        (["layered.csv", "-o", "out.csv"], "already has a column 'layer', which is added"),
    ],
)
def test_errors_are_one_line(fails, answers, tmp_path, monkeypatch, command, arguments, message):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "broken.csv").write_text("help,harm\n1,2,3\n")
    (tmp_path / "link.parquet").symlink_to(answers)
    (tmp_path / "folder.csv").mkdir()
    write_frame(FRAME.with_columns(layer=1), tmp_path / "layered.csv")
    before = {name: os.lstat(name).st_mtime_ns for name in os.listdir()}
    assert message in fails(command, "--objectives", "help,harm", *arguments)
    assert {name: os.lstat(name).st_mtime_ns for name in os.listdir()} == before


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["-k", 201], "k=201, but there are only 200 rows to choose from: lower k"),
        (["-k", 9, "--upto", 1], "raise upto or at_least"),
        (["--preferences", "0.5,0.6"], "1 of 1 are off the simplex"),
        (["--objectives", "help,harm,words", "--preferences", 13], "take 10 or 15, or pass"),
        (["--distinct", "promt"], "distinct: no column 'promt'"),
    ],
)
def test_errors_of_select(fails, answers, tmp_path, arguments, message):
    command = ["select", answers, "-o", tmp_path / "out.csv", "--objectives", "help,harm"]
    assert message in fails(*command, *arguments)
    assert os.listdir(tmp_path) == ["answers.parquet"]


def test_an_output_that_cannot_be_written_costs_no_work(fails, answers, tmp_path, monkeypatch):
    monkeypatch.setattr(cli, "read_frame", lambda path: pytest.fail("read before it was checked"))
    for name in ("out.xlsx", "none/out.csv"):
        fails("score", answers, "-o", tmp_path / name, "--reward", "x=embedded:harmless")


def test_errors_of_layers(fails, answers, tmp_path):
    command = ["layers", answers, "-o", tmp_path / "out.csv", "--objectives", "help,harm"]
    assert "by: no column 'promt': the frame has prompt" in fails(*command, "--by", "promt")


WHOLE = """
run: x
data: {source: x}
objectives: [{name: a, scorer: "embedded:harmless"}, {name: b, scorer: "embedded:relevance"}]
"""


@pytest.mark.parametrize(
    ("text", "arguments", "message"),
    [
        ("run: x\nmodle: {}\n", [], "unknown key modle: did you mean model?"),
        ("run: [", [], "not valid YAML"),
        ("run: x\n", [], "missing key data"),
        ("run: x\n", ["--set", "run=[1"], "--set run: not valid YAML"),
        (WHOLE, ["--set", "data.sorce=x"], "unknown key data.sorce: did you mean source?"),
        (WHOLE, ["--set", "seed=1e-5"], "seed: expected a whole number, got 1e-05"),
        (WHOLE, ["--set", "generation.top_p=2"], "generation.top_p: must be from 0 to 1, got 2.0"),
    ],
)
def test_errors_of_run(fails, tmp_path, text, arguments, message):
    path = tmp_path / "run.yaml"
    path.write_text(text)
    assert message in fails("run", path, *arguments)
    assert os.listdir(tmp_path) == ["run.yaml"]


def test_a_run_without_its_file(fails, tmp_path):
    assert fails("run", tmp_path / "x.yaml") == f"{tmp_path / 'x.yaml'}: No such file or directory"


@pytest.mark.parametrize(
    ("command", "hint"),
    [
        ("select", ""),
        ("run", ": the same command goes on from here"),
        ("compare", ": the same command goes on from here"),
    ],
)
def test_ctrl_c(run, answers, tmp_path, monkeypatch, command, hint):
    def stop(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr(pq, "choose", stop)
    monkeypatch.setattr("paretohqd.config.load_settings", stop)
    rest = [answers, "-o", tmp_path / "out.csv", "--objectives", "help,harm"]
    found = run(command, *(rest if command == "select" else ["x.yaml"]))
    assert found == (130, "", f"paretohqd: stopped{hint}\n")


class OutOfMemoryError(RuntimeError):
    """Stands in for torch's."""


@pytest.mark.parametrize(
    ("error", "message"),
    [
        (pl.exceptions.ComputeError("No space left on device (os error 28)"), "No space left"),
        (OutOfMemoryError("CUDA out of memory"), "the GPU's memory is full: lower train"),
    ],
)
def test_what_libraries_raise_in_a_run_is_one_line(fails, monkeypatch, error, message):
    def broken(*_, **__):
        raise error

    monkeypatch.setattr("paretohqd.config.load_settings", broken)
    assert fails("run", "x.yaml").startswith(message)


def test_libraries_that_do_not_fit_are_one_line(fails, answers, tmp_path, monkeypatch):
    def broken(*_, **__):
        raise ImportError("cannot import name 'x' from 'y'")

    monkeypatch.setattr(pq, "choose", broken)
    command = ["select", answers, "-o", tmp_path / "out.csv", "--objectives", "help,harm"]
    assert fails(*command) == "cannot import name 'x' from 'y'"


# ── as a command ─────────────────────────────────────────────────────────────────────────────


def test_as_a_module(answers, tmp_path):
    out = tmp_path / "out.csv"
    command = ["-m", "paretohqd", "select", answers, "--objectives", "help,harm", "-k", 3, "-o"]
    done = python(*command, out)
    assert (done.returncode, done.stderr) == (0, "")
    assert len(read_frame(out)) == 33
    refused = python(*command, answers)
    assert (refused.returncode, refused.stdout) == (1, "")
    assert refused.stderr.count("\n") == 1


FULL = """
import resource, signal, sys
from paretohqd.cli import main
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


BASE = """
import sys

class Absent:
    names = {"torch", "transformers", "trl", "peft", "datasets", "accelerate", "gguf", "altair",
             "yaml", "rich", "jinja2", "vl_convert", "pandas", "pyarrow", "sklearn"}

    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in self.names:
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)

sys.meta_path.insert(0, Absent())
from paretohqd.cli import main
sys.exit(main(sys.argv[1:]))
"""


def test_select_needs_numpy_and_polars_alone(answers, tmp_path):
    out = tmp_path / "out.parquet"
    command = ["select", answers, "--objectives", "help,harm", "-k", 3, "-o", out]
    done = python("-c", BASE, *command)
    assert (done.returncode, done.stderr) == (0, "")
    assert_frame_equal(read_frame(out), pq.select(FRAME, ["help", "harm"], k=3))


@pytest.mark.parametrize("command", ["run", "report"])
def test_without_the_extra_other_commands_say_what_to_install(tmp_path, command):
    path = tmp_path / "run.yaml"
    path.write_text("run: x\n")
    done = python("-c", BASE, command, path)
    assert done.returncode == 1
    message = r"paretohqd: error: \w+ is not installed: pip install 'paretohqd\[train\]'\n"
    assert re.fullmatch(message, done.stderr)
