import json
import os
import re
from io import TextIOWrapper

import polars as pl
import pytest
from polars.testing import assert_frame_equal

import paretohqd as pq
from helpers.answers_given import FRAME, python
from helpers.finished_run import make_run
from paretohqd.frames.reading.paths import find_files
from paretohqd.frames.sources import read_frame
from paretohqd.frames.writing import write_frame

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
    written = read_frame(out)
    if ending == ".csv":
        weights = [";".join(map(str, w)) for w in expected.rows["weights"].to_list()]
        assert written["weights"].to_list() == weights
        written = written.with_columns(expected.rows["weights"])
    assert_frame_equal(written, expected.rows, check_dtypes=ending == ".parquet", check_exact=True)


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
        ("help,harm --duplicates drop", ["help", "harm"], 11, {"duplicates": "drop"}),
        (
            "help,harm --preferences brief=harm:7,help:3;even=0.5,0.5",
            ["help", "harm"],
            {"brief": [0.3, 0.7], "even": [0.5, 0.5]},
            {},
        ),
        ("help,harm --preferences harm:7,help:3", ["help", "harm"], [[0.3, 0.7]], {}),
        ("help,harm,words", ["help", "harm", "words"], 10, {}),
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


def test_select_says_what_it_dropped_and_what_is_equal(run, tmp_path):
    source, out = tmp_path / "in.parquet", tmp_path / "out.parquet"
    frame = FRAME.with_columns(help=pl.when(pl.int_range(200) > 1).then("help"))
    write_frame(pl.concat([frame] * 3), source)
    command = ["select", source, "-o", out, "--objectives", "help,harm", "-k", 5, "--nan", "drop"]
    code, said, err = run(*command)
    assert (code, err) == (0, "")
    line, dropped, copies = said.splitlines()
    assert line.startswith("11 preferences x 5 rows of 600, from a pool of")
    assert dropped == "dropped    6 rows: null or NaN scores (6 in help)"
    assert re.fullmatch(
        r"copies     \d+ of 55 chosen rows repeat another of their preference \(equal in prompt, "
        r"response\); duplicates='drop' leaves them out",
        copies,
    )
    _, said, _ = run(*command, "--duplicates", "drop")
    assert re.fullmatch(
        r"copies     \d+ left out of the pool \(equal in .*\)", said.splitlines()[2]
    )
    written = read_frame(out)
    assert len(written.unique(["preference", "prompt", "response"])) == len(written)


def test_select_warns_in_one_line(run, tmp_path):
    source, out = tmp_path / "in.parquet", tmp_path / "out.parquet"
    write_frame(pl.DataFrame({"a": [4, 4, 4, 3, 2], "b": [4, 4, 4, 2, 3]}), source)
    for _ in range(2):  # not the first time alone
        code, said, err = run("select", source, "-o", out, "--objectives", "a,b", "-k", 1)
        assert code == 0
        assert said.count("\n") == 1
        assert re.fullmatch(
            r"paretohqd: warning: all 11 preferences get the same row: 3 rows hold the best .*\n",
            err,
        )


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


def test_layers_of_rows_without_scores(run, fails, tmp_path):
    source, out = tmp_path / "in.parquet", tmp_path / "out.parquet"
    frame = FRAME.with_columns(help=pl.when(pl.int_range(200) > 4).then("help"))
    write_frame(frame, source)
    command = ["layers", source, "--objectives", "help,harm", "-o", out]
    assert "'help' holds 5 nulls" in fails(*command)
    code, said, _ = run(*command, "--nan", "drop", "--upto", 2)
    assert code == 0
    assert_frame_equal(read_frame(out), frame.pareto.layers(["help", "harm"], upto=2, nan="drop"))
    first, second = said.splitlines()
    assert re.fullmatch(r"\d+ of 200 rows on the front; \d+ in 2 layers", first)
    assert second == "dropped    5 rows have no layer: null or NaN scores"


def test_layers_of_no_rows(run, tmp_path):
    write_frame(FRAME[:0], tmp_path / "in.parquet")
    code, said, _ = run(
        "layers", tmp_path / "in.parquet", "--objectives", "help", "-o", tmp_path / "out.parquet"
    )
    assert (code, said) == (0, "0 of 0 rows on the front; 0 in 0 layers\n")


# ── score and report ─────────────────────────────────────────────────────────────────────────


@pytest.mark.train
def test_score_adds_columns_and_says_how(run, answers, tmp_path):
    out = tmp_path / "out.parquet"
    code, said, err = run(
        "score",
        answers,
        "-o",
        out,
        "--reward",
        "tone=embedded:positivity",
        "--reward",
        "info=embedded:informativeness",
    )
    assert (code, err) == (0, "")
    assert said == "200 answers scored by tone, info\n"
    written = read_frame(out)
    assert_frame_equal(written.select(FRAME.columns), FRAME)
    assert written.columns[-2:] == ["tone", "info"]
    manifest = json.loads((tmp_path / "out.parquet.manifest.json").read_text())
    assert manifest["rows"] == 200
    assert [reward["name"] for reward in manifest["rewards"]] == ["tone", "info"]


def test_score_takes_rules_and_functions_that_are_named(run, fails, answers, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mine.py").write_text(
        "def louder(completions, help):\n    return [h + len(c) for h, c in zip(help, completions)]"
    )
    given = ["score", answers, "-o", "out.parquet"]
    given += ["--reward", "short=rule:length", "--options", "short={most: 2, fall: 40}"]
    mine = ["--reward", "loud=mine.py:louder"]
    assert fails(*given, *mine).endswith(
        "scorer mine.py:louder: is code, which no configuration may run by itself: --allow-code "
        "mine.py:louder on the command line lets it run, in Python allow_code=['mine.py:louder']"
    )
    assert "no scorer of this run is written so" in fails(*given, "--allow-code", "mine.py:louder")
    assert "no reward 'shrt'; did you mean 'short'" in fails(*given, "--options", "shrt={a: 1}")
    assert "expected {KEY: VALUE}, got '3'" in fails(*given, "--options", "short=3")
    code, said, err = run(*given, *mine, "--allow-code", "mine.py:louder")
    assert (code, err) == (0, "")
    assert said == "200 answers scored by short, loud\n"
    written = read_frame(tmp_path / "out.parquet")
    lengths = written["response"].str.len_chars()
    assert written["loud"].to_list() == (written["help"] + lengths).to_list()
    words = written["response"].str.split(" ").list.len().to_numpy()
    assert written["short"].to_list() == pytest.approx((1 - (words - 2).clip(0) / 40).tolist())
    manifest = json.loads((tmp_path / "out.parquet.manifest.json").read_text())
    assert [one["kind"] for one in manifest["rewards"]] == ["rule:length", "callable"]
    assert str(tmp_path) not in json.dumps(manifest)


def test_scores_are_kept_while_they_come(run, fails, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("paretohqd.runs.parts.MOST_ROWS", 1)
    (tmp_path / "mine.py").write_text(
        "from pathlib import Path\n"
        "def slow(completions, **more):\n"
        "    calls = Path('calls').read_text() if Path('calls').exists() else ''\n"
        "    if len(calls) >= 2 and not Path('healthy').exists():\n"
        "        raise RuntimeError('it broke')\n"
        "    Path('calls').write_text(calls + '.')\n"
        "    return [len(c) for c in completions]\n"
    )
    rows = pl.DataFrame(
        {"prompt": ["Hi."] * 1000, "response": ["a" * (i % 7 + 1) for i in range(1000)]}
    )
    rows.write_parquet("rows.parquet")
    given = ["score", "rows.parquet", "-o", "out.parquet", "--reward", "slow=mine.py:slow"]
    given += ["--allow-code", "mine.py:slow"]
    assert "it broke" in fails(*given)
    kept = tmp_path / "_out.parquet.scores"
    assert kept.stat().st_mode & 0o77 == 0
    assert all("parquet.scores" not in name for name in find_files(str(tmp_path)))
    (tmp_path / "healthy").touch()
    assert run(*given)[0] == 0
    assert (tmp_path / "calls").read_text() == "....", "512 rows were there"
    assert not kept.exists()
    assert read_frame("out.parquet")["slow"].to_list() == [i % 7 + 1 for i in range(1000)]
    # What was kept of other rows is no part of these.
    for name in ("healthy", "calls", "out.parquet"):
        (tmp_path / name).unlink()
    assert "it broke" in fails(*given)
    (tmp_path / "healthy").touch()
    rows.reverse().write_parquet("rows.parquet")
    assert run(*given)[0] == 0
    assert (tmp_path / "calls").read_text() == "......"
    assert read_frame("out.parquet")["slow"].to_list() == [i % 7 + 1 for i in range(1000)][::-1]


@pytest.mark.train
def test_score_reads_other_columns(run, answers, tmp_path):
    out = tmp_path / "out.parquet"
    columns = ["--prompt", "response", "--response", "prompt"]
    reward = ["--reward", "tone=embedded:positivity"]
    assert run("score", answers, "-o", out, *reward, *columns)[0] == 0
    assert read_frame(out)["tone"].n_unique() == 1


TONE = ["--reward", "tone=embedded:positivity"]


@pytest.mark.train
@pytest.mark.parametrize("given", ["folder", "pattern", "files", "stdin"])
def test_score_reads_what_select_reads(run, folder, tmp_path, monkeypatch, given):
    out, expected = tmp_path / "out.parquet", tmp_path / "expected.parquet"
    whole = tmp_path / "whole.jsonl"
    write_frame(FRAME, whole)
    assert run("score", whole, "-o", expected, *TONE)[0] == 0
    inputs = {
        "folder": [folder],
        "pattern": [folder / "*.parquet"],
        "files": sorted(folder.iterdir()),
        "stdin": ["-"],
    }[given]
    with whole.open("rb") as file:
        monkeypatch.setattr("sys.stdin", TextIOWrapper(file))
        code, said, err = run("score", *inputs, "-o", out, *TONE)
    assert (code, said, err) == (0, "200 answers scored by tone\n", "")
    assert_frame_equal(read_frame(out), read_frame(expected))
    assert out.with_name("out.parquet.manifest.json").is_file()


@pytest.mark.train
def test_score_writes_to_standard_output(answers, tmp_path):
    done = python("-m", "paretohqd", "score", answers, "-o", "-", *TONE)
    assert (done.returncode, done.stderr) == (0, "200 answers scored by tone\n")
    (tmp_path / "out.jsonl").write_text(done.stdout)
    assert read_frame(tmp_path / "out.jsonl").columns == [*FRAME.columns, "tone"]
    assert sorted(os.listdir(tmp_path)) == ["answers.parquet", "out.jsonl"]


def test_scores_do_not_overwrite_what_they_are_of(fails, folder):
    for name in ("0.parquet", "3.parquet"):
        assert "the input would be overwritten" in fails(
            "score", folder, "-o", folder / name, *TONE
        )


@pytest.mark.parametrize("flag", ["-o", "--output", "--out"])
def test_one_flag_names_the_output_of_all_commands(run, monkeypatch, tmp_path, flag):
    calls = []
    monkeypatch.setattr("paretohqd.bench.run.run", lambda **options: calls.append(options))
    assert run("bench", "--quick", flag, tmp_path / "times.csv")[0] == 0
    assert calls == [{"quick": True, "huge": False, "only": None, "out": tmp_path / "times.csv"}]
    for command in ("select", "layers", "score", "report", "bench"):
        assert "-o OUTPUT, --output OUTPUT" in (said := run(command, "--help")[1]) or (
            command == "bench" and "-o FILE.csv, --output FILE.csv" in said
        )


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


@pytest.mark.train
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


BASE = """
import sys

class Absent:
    names = {"torch", "transformers", "trl", "peft", "datasets", "accelerate", "gguf", "altair",
             "yaml", "rich", "jinja2", "vl_convert", "pandas", "pyarrow", "sklearn"}

    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in self.names:
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)

sys.meta_path.insert(0, Absent())
from paretohqd.cli.main import main
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
