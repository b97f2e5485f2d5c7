"""How torch's threads wait when the command starts it."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from paretohqd.cli.main import main
from paretohqd.cli.train import WAITING

NAMES = ("OMP_WAIT_POLICY", "GOMP_SPINCOUNT", "KMP_BLOCKTIME")


@pytest.fixture(autouse=True)
def _unset(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in NAMES:
        monkeypatch.setenv(name, "")  # so that it is put back afterwards
        monkeypatch.delenv(name)


@pytest.mark.parametrize(
    "command",
    [
        ["run", "nowhere.yaml"],
        ["compare", "nowhere.yaml"],
        ["score", "nowhere.csv", "-o", "out.csv", "--reward", "a=embedded:harmless"],
    ],
)
def test_commands_that_load_torch_let_threads_sleep_soon(command: list[str]) -> None:
    assert main(command) == 1
    assert {name: os.environ.get(name) for name in NAMES} == dict.fromkeys(NAMES) | WAITING


@pytest.mark.parametrize("name", NAMES)
def test_what_was_set_stays(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.setenv(name, "4")
    main(["run", "nowhere.yaml"])
    assert {each: os.environ.get(each) for each in NAMES} == dict.fromkeys(NAMES) | {name: "4"}


@pytest.mark.train
@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="asks GNU's OpenMP")
def test_it_is_said_before_openmp_starts() -> None:
    code = (
        "import sys; from paretohqd.cli.main import main; main(['run', 'nowhere.yaml'])\n"
        "assert 'torch' not in sys.modules\nimport torch"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        env=os.environ | {"OMP_DISPLAY_ENV": "VERBOSE"},
        capture_output=True,
        text=True,
        check=True,
    )
    assert f"GOMP_SPINCOUNT = '{WAITING['GOMP_SPINCOUNT']}'" in done.stderr
