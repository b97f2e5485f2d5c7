"""What type checkers and Python say of a user's script."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

import paretohqd

SCRIPT = Path(__file__).with_name("user_script.py")
PACKAGE = Path(paretohqd.__file__).parents[1]

# Errors in the package itself are the linters' to find, and the types of what it stands on take a
# minute to read.
MYPY = """
[mypy]
strict = True
follow_imports = silent
[mypy-torch.*,transformers.*,trl.*,peft.*,datasets.*,accelerate.*,altair.*,jinja2.*,rich.*,scipy.*]
follow_imports = skip
ignore_missing_imports = True
"""

WRONG = {
    "assert_type(len(chosen), int)": "assert_type(len(chosen), str)",
    'pq.layers(FRAME, NAMES, by="prompt", name="rank")': "pq.layers(FRAME, NAMES, by=1)",
    "best(FRAME, k=1, upto=2)": "best(FRAME, k=1, up_to=2)",
    "assert_type(lazy.front(WAYS), pl.LazyFrame)": "assert_type(lazy.front(WAYS), pl.DataFrame)",
    "pq.score(FRAME, [Short()])": "pq.score(FRAME, [3])",
}
"""Mistakes that a checker must find."""


def mypy(folder: Path, script: Path) -> list[str]:
    pytest.importorskip("mypy")
    (folder / "mypy.ini").write_text(MYPY + "[mypy-paretohqd.*]\nfollow_imports = silent\n")
    command = [sys.executable, "-m", "mypy", "--config-file", folder / "mypy.ini"]
    command += ["--cache-dir", folder / "cache", "--no-error-summary", script]
    done = subprocess.run(
        command, capture_output=True, text=True, check=False, env=environment("MYPYPATH")
    )
    assert done.stderr == ""
    assert done.returncode in (0, 1)
    return [line for line in done.stdout.splitlines() if ": error:" in line]


def pyright(folder: Path, script: Path) -> list[str]:
    pytest.importorskip("basedpyright")
    config = {
        "typeCheckingMode": "strict",
        "extraPaths": [str(PACKAGE)],
        "include": [str(script)],
    }
    (folder / "pyrightconfig.json").write_text(json.dumps(config))
    command = [sys.executable, "-m", "basedpyright", "--pythonpath", sys.executable]
    command += ["--outputjson", "-p", folder / "pyrightconfig.json"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    said = json.loads(done.stdout)
    assert said["summary"]["filesAnalyzed"] >= 1
    return [each["message"] for each in said["generalDiagnostics"]]


def environment(path: str) -> dict[str, str]:
    return {**os.environ, path: str(PACKAGE)}


CHECKERS = [mypy, pyright]


@pytest.mark.parametrize("check", CHECKERS)
def test_checkers_find_nothing(check, tmp_path):
    assert check(tmp_path, SCRIPT) == []


@pytest.mark.parametrize("check", CHECKERS)
def test_checkers_find_every_mistake(check, tmp_path):
    text = SCRIPT.read_text(encoding="utf-8")
    for right, wrong in WRONG.items():
        assert text.count(right) == 1
        text = text.replace(right, wrong)
    script = tmp_path / "wrong.py"
    script.write_text(text, encoding="utf-8")
    assert len(check(tmp_path, script)) >= len(WRONG)


def test_the_script_runs():
    pytest.importorskip("torch")
    done = subprocess.run(
        [sys.executable, "-W", "ignore", SCRIPT],
        capture_output=True,
        text=True,
        check=False,
        env=environment("PYTHONPATH"),
    )
    assert done.stderr == ""
    assert done.returncode == 0
    assert done.stdout.splitlines()[-1] == paretohqd.__version__
