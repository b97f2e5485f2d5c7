import os
from importlib.metadata import version
from types import SimpleNamespace

import polars as pl
import pytest

from helpers.answers_given import FRAME
from paretohqd.cli import select
from paretohqd.frames.sources import Source
from paretohqd.frames.writing import write_frame


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--memory-limit", "lots"], "expected a size such as 1.5GB or 800MB, got 'lots'"),
        (["--by", "a,,b"], "an empty name in 'a,,b'"),
        (["--preferences", "a=1,0;0,1"], "name every preference"),
        (["--preferences", "a=1,0;a=0,1"], "none twice"),
        (["--preferences", "help:1,3"], "expected a number, or weights such as"),
        (["--preferences", "help:1,help:3"], "expected a number, or weights such as"),
        (["--preferences", "a=help:x,harm:3"], "expected a number, or weights such as"),
        (["--duplicates", "first"], "invalid choice: 'first'"),
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
        code, one, _ = run(command, "--help")
        assert code == 0
        assert f"\nexample:\n  paretohqd {command} " in one
    assert run() == (0, said, "")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["selct"], "invalid choice: 'selct'"),
        (["select"], "required: input, --objectives"),
        (["select", "IN", "-o", "OUT", "--objectives", "help,"], "an empty name in 'help,'"),
        (["select", "IN", "-o", "OUT", "--objectives", "a,a:min"], "a is named twice"),
        (["select", "IN", "-o", "OUT", "--objectives", "a,b", "-k", "0"], "at least 1, got '0'"),
        (["select", "IN", "-o", "OUT", "--objectives", "a,b", "-k", "1.5"], "got '1.5'"),
        (["select", "IN", "-o", "OUT", "--objectives", "a,b", "--preferences", "1,x"], "'1,x'"),
        (["select", "IN", "-o", "OUT", "--objectives", "a,b", "--preferences", "0"], "got '0'"),
        (["select", "IN", "-o", "OUT", "--objectives", "a,b", "--bounds", "front"], "'front'"),
        (["select", "IN", "--objectives", "a,b", "--at-most", "p=1,p=2"], "a name twice in 'p=1,p"),
        (["select", "IN", "--objectives", "a,b", "--epsilon", "a=1,a=2"], "a name twice in 'a=1,a"),
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
        (["answers.txt", "-o", "out.csv"], "answers.txt: expected a name that ends in .parquet"),
        (["broken.csv", "-o", "out.csv"], "broken.csv: cannot be read: "),
        (["answers.parquet", "-o", "answers.parquet"], "the input would be overwritten"),
        (["answers.parquet", "-o", "link.parquet"], "link.parquet: is a link, to "),
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
        (["--preferences", "a=help:1"], "preferences: 'a' has no weight for 'harm'"),
        (["--preferences", "help:1,harmful:2"], "number 0 weighs 'harmful': the objectives are"),
        (["--objectives", "help,harm,words", "--preferences", 13], "take 10 or 15, or pass"),
        (["--distinct", "promt"], "distinct: no column 'promt'"),
    ],
)
def test_errors_of_select(fails, answers, tmp_path, arguments, message):
    command = ["select", answers, "-o", tmp_path / "out.csv", "--objectives", "help,harm"]
    assert message in fails(*command, *arguments)
    assert os.listdir(tmp_path) == ["answers.parquet"]


def test_an_output_that_cannot_be_written_costs_no_work(fails, answers, tmp_path, monkeypatch):
    monkeypatch.setattr(Source, "of", lambda _: pytest.fail("read before it was checked"))
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

    monkeypatch.setattr(select, "choose_by_rule", stop)
    monkeypatch.setattr("paretohqd.runs.config.load_settings", stop)
    rest = [answers, "-o", tmp_path / "out.csv", "--objectives", "help,harm"]
    result = run(command, *(rest if command == "select" else ["x.yaml"]))
    assert result == (130, "", f"paretohqd: stopped{hint}\n")


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

    monkeypatch.setattr("paretohqd.runs.config.load_settings", broken)
    assert fails("run", "x.yaml").startswith(message)


def test_libraries_that_do_not_fit_are_one_line(fails, answers, tmp_path, monkeypatch):
    def broken(*_, **__):
        raise ImportError("cannot import name 'x' from 'y'")

    monkeypatch.setattr(select, "choose_by_rule", broken)
    command = ["select", answers, "-o", tmp_path / "out.csv", "--objectives", "help,harm"]
    assert fails(*command) == "cannot import name 'x' from 'y'"


@pytest.mark.train
@pytest.mark.parametrize(
    ("command", "function"),
    [("run", "paretohqd.runs.pipeline.run"), ("compare", "paretohqd.compare.comparison.compare")],
)
def test_to_verify_is_passed_on(fails, monkeypatch, tmp_path, command, function):
    def called(settings, *, verify, **_):
        raise ValueError(f"verify: {verify}")

    settings = SimpleNamespace(run=str(tmp_path / "run"))
    monkeypatch.setattr("paretohqd.runs.config.load_settings", lambda *_: settings)
    monkeypatch.setattr(function, called)
    assert fails(command, "x.yaml") == "verify: False"
    assert fails(command, "--verify", "x.yaml") == "verify: True"
