"""`score` with judges on its command line: what they are asked, who allows it, what is kept."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from helpers.answers_given import python
from helpers.servers import Got, Said, Server, failure, judging, serving
from paretohqd.frames.reading.paths import find_files
from paretohqd.frames.sources import read_frame
from paretohqd.models import endpoint_wire

pytestmark = pytest.mark.train
"""A judge takes the package openai."""

BOTH = ["--reward", "kind=judge:JUDGE", "--reward", "brief=judge:JUDGE"]


def rate(shown: dict[str, Any], name: str) -> float:
    number = int(shown["answer"].split()[-1])
    return 1 + number % 9 + (name == "brief") * 0.5


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(endpoint_wire, "FIRST_WAIT", 0.01)
    monkeypatch.setattr(endpoint_wire, "LONGEST_WAIT", 0.02)


@pytest.fixture
def server() -> Iterator[Server]:
    with serving(judging(rate)) as started:
        yield started


@pytest.fixture
def rows(tmp_path: Path) -> Path:
    path = tmp_path / "rows.jsonl"
    pl.DataFrame(
        {"prompt": [f"p{i % 4}" for i in range(12)], "response": [f"Answer {i}" for i in range(12)]}
    ).write_ndjson(path)
    return path


@pytest.fixture
def judge(tmp_path: Path) -> Any:
    """Writes a judge's file; returns its path."""

    def write(url: str, text: str = "rubric: Is it good?\nretries: 1\n") -> Path:
        path = tmp_path / "judge.yaml"
        path.write_text(f"url: {url}\nmodel: m\n{text}")
        return path

    return write


def arguments(given: list[str], judge: Path) -> list[str]:
    return [each.replace("JUDGE", str(judge)) for each in given]


def test_rewards_of_one_file_are_asked_for_together(
    run: Any, rows: Path, judge: Any, server: Server, tmp_path: Path
) -> None:
    out = tmp_path / "scored.parquet"
    aspect = ["--options", 'brief={aspect: "Is it short?"}']
    given = arguments([*BOTH, *aspect, "--reward", "tidy=rule:finished"], judge(server.url))
    code, said, err = run("score", rows, "-o", out, *given)
    assert (code, err) == (0, "")
    assert said == (
        "12 answers scored by kind, brief, tidy\n"
        "judge m at 127.0.0.1: 12 requests, 0 replies were there, 120 tokens\n"
    )
    scored = read_frame(out)
    assert scored.columns == ["prompt", "response", "kind", "brief", "tidy"]
    assert scored["kind"].to_list() == [1 + i % 9 for i in range(12)]
    assert scored["brief"].to_list() == [1.5 + i % 9 for i in range(12)]
    assert len(server.asked) == 12
    assert '- "brief": Is it short?' in server.asked[0]["messages"][0]["content"]
    manifest = json.loads(out.with_name("scored.parquet.manifest.json").read_text())
    assert [reward["kind"] for reward in manifest["rewards"][:2]] == ["judge", "judge"]
    assert manifest["rewards"][0]["asked"]["requests"] == 12


def test_what_was_paid_for_is_kept_beside_the_output(
    run: Any, fails: Any, rows: Path, judge: Any, tmp_path: Path
) -> None:
    out = tmp_path / "scored.parquet"
    wrong = True

    def dies_later(got: Got) -> Said:
        later = "Answer 11" in got.body.get("messages", [{}])[-1].get("content", "")
        return failure(500) if wrong and later else judging(rate)(got)

    with serving(dies_later) as server:
        given = arguments(BOTH, judge(server.url))
        assert "500" in fails("score", rows, "-o", out, *given)
        assert not out.exists()
        kept = tmp_path / "_scored.parquet.replies"
        assert kept.stat().st_mode & 0o77 == 0
        before = len((kept / "0.jsonl").read_text().splitlines())
        assert 0 < before <= 11
        wrong = False
        code, said, _ = run("score", rows, "-o", out, *given)
        assert code == 0
        assert f"{12 - before} requests, {before} replies were there" in said
        assert read_frame(out)["kind"].to_list() == [1 + i % 9 for i in range(12)]
        # Once more, after all was done: nothing is asked.
        assert "0 requests, 12 replies were there" in run("score", rows, "-o", out, *given)[1]
    # Whoever reads the output's folder gets no replies as rows.
    assert all("replies" not in name for name in find_files(str(tmp_path)))


def test_rows_on_standard_output_have_no_folder_beside_them(
    rows: Path, judge: Any, server: Server, tmp_path: Path
) -> None:
    given = arguments(BOTH, judge(server.url))
    done = python("-m", "paretohqd", "score", rows, "-o", "-", *given)
    assert done.returncode == 0
    assert [json.loads(line)["kind"] for line in done.stdout.splitlines()][:3] == [1, 2, 3]
    assert done.stderr.endswith(
        "judge m at 127.0.0.1: 12 requests, 0 replies were there, 120 tokens\n"
    )
    assert not list(tmp_path.glob("*replies*"))


def test_a_rubric_lies_below_the_judges_file(
    run: Any, fails: Any, rows: Path, judge: Any, server: Server, tmp_path: Path
) -> None:
    (tmp_path / "good.md").write_text("Warm words are good.")
    given = arguments(BOTH, judge(server.url, "rubric: good.md\n"))
    assert run("score", rows, "-o", tmp_path / "out.csv", *given)[0] == 0
    assert "Warm words are good." in server.asked[0]["messages"][0]["content"]
    given = arguments(BOTH, judge(server.url, "rubric: ../../etc/good.md\n"))
    assert "rubric" in fails("score", rows, "-o", tmp_path / "out2.csv", *given)


AWAY = "https://api.example.org/v1"


@pytest.mark.parametrize(
    ("url", "text", "more", "message"),
    [
        (AWAY, "rubric: Good?\n", [], "objectives: kind, brief: the judge at api.example.org would "
         "get prompt and response of every row that is scored, and data leave this machine only"),
        (AWAY, "rubric: Good?\napi_key_env: NO_SUCH_KEY\n", ["--send-to", "api.example.org"],
         "NO_SUCH_KEY"),
        (AWAY, "rubric: Good?\n", ["--send-to", "api.example.com"],
         "--send-to api.example.com: no server of this run has that host"),
        (AWAY, "rubric: Good?\nrubrics: x\n", [], "judge.yaml: unknown key rubrics: did you mean"),
        (AWAY, "", [], "judge.yaml: missing key rubric"),
        (AWAY, "rubric: Good?\napi_key: abc\n", [], "judge.yaml: api_key"),
        (AWAY, "rubric: Good?\nscale: [5, 1]\n", [], "scale must be the worst and the best"),
        (AWAY, "rubric: [\n", [], "judge.yaml: "),
        ("http://127.0.0.1:1/v1", "rubric: Good?\n", ["--options", "kind={about: x}"],
         "--options kind: unknown key about"),
        ("http://127.0.0.1:1/v1", "rubric: Good?\n", ["--options", "kind={aspect: [x]}"],
         "--options kind: aspect: expected text, got ['x']"),
        ("http://127.0.0.1:1/v1", "rubric: Good?\n", ["--template", "{prompt}"],
         "--template is for reward models"),
        ("http://127.0.0.1:1/v1", "rubric: Good?\nretries: 0\n", [], "127.0.0.1"),
    ],
)  # fmt: skip
def test_judges_that_cannot_be_asked(
    fails: Any, rows: Path, judge: Any, tmp_path: Path, url: str, text: str, more: list[str],
    message: str,
) -> None:  # fmt: skip
    given = arguments([*BOTH, *more], judge(url, text))
    said = fails("score", rows, "-o", tmp_path / "out.csv", *given)
    assert message in said
    assert "abc" not in said
    assert not (tmp_path / "out.csv").exists()


def test_files_that_are_no_judge(fails: Any, rows: Path, tmp_path: Path) -> None:
    out = tmp_path / "out.csv"
    said = fails("score", rows, "-o", out, "--reward", "kind=judge:none.yaml")
    assert said == "none.yaml: no such file"
    said = fails("score", rows, "-o", out, "--reward", "kind=judge:kind")
    assert said.startswith("--reward judge:kind: expected judge:FILE.yaml")
    (tmp_path / "judge.yaml").write_text("- a\n")
    said = fails("score", rows, "-o", out, "--reward", f"kind=judge:{tmp_path}/judge.yaml")
    assert "expected a section" in said


def test_settings_of_a_reward_model_that_takes_none(fails: Any, rows: Path, tmp_path: Path) -> None:
    given = ["--reward", "a=./model", "--options", "a={most: 4}"]
    said = fails("score", rows, "-o", tmp_path / "out.csv", *given)
    assert "reward 'a' has no setting 'options'" in said
