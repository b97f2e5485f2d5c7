"""Errors are one line on the terminal, and whole in a file of the run's folder."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from helpers.small_run import mapping
from paretohqd.cli import main
from paretohqd.runs import failures, pipeline


class OutOfMemoryError(RuntimeError):
    """Stands in for torch's."""


@pytest.mark.parametrize(
    ("error", "line"),
    [
        (ValueError("no rows\nto train on"), "no rows to train on"),
        (ValueError(), "ValueError"),
        (KeyError("layer"), "KeyError: 'layer'"),
        (RuntimeError("CUDA error:\n  an assert"), "RuntimeError: CUDA error: an assert"),
        (OutOfMemoryError("CUDA out of memory"), "the GPU's memory is full: lower train.per_"),
        (MemoryError(), "memory is full: close other programs, or lower batch sizes"),
        (OSError(28, "No space left on device"), "No space left on device"),
        (FileNotFoundError(2, "No such file", "a.yaml"), "a.yaml: No such file"),
        (OSError("could not read"), "could not read"),
        (ModuleNotFoundError("x", name="trl"), "trl is not installed: pip install"),
        (ImportError("cannot import x"), "cannot import x"),
        (NotImplementedError(), "NotImplementedError"),
    ],
)
def test_an_error_as_one_line(error: BaseException, line: str) -> None:
    said = failures.sentence(error)
    assert said.startswith(line)
    assert "\n" not in said


class Panic(BaseException):
    """Stands in for a panic of Rust's, which is no Exception."""


@pytest.fixture
def command(parts: Path, tmp_path: Path) -> list[str]:
    file = tmp_path / "run.yaml"
    file.write_text(yaml.safe_dump(mapping(parts, str(tmp_path / "run"))))
    return ["run", str(file), "--run-folder", str(tmp_path / "run")]


def breaks(monkeypatch: pytest.MonkeyPatch, error: BaseException) -> None:
    def broken(*given: Any, **more: Any) -> None:
        raise error from ZeroDivisionError("the reason")

    monkeypatch.setattr(pipeline, "split", broken)


@pytest.mark.parametrize("error", [KeyError("layer"), Panic("index out of bounds"), MemoryError()])
def test_a_runs_error_is_kept_whole_until_it_goes_well(
    command: list[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    error: BaseException,
) -> None:
    breaks(monkeypatch, error)
    file = tmp_path / "run" / "error.txt"
    assert main.main(command) == 1
    last = capsys.readouterr().err.splitlines()[-1]
    assert last == f"paretohqd: error: {failures.sentence(error)} (more in {file})"
    text = file.read_text()
    assert "Traceback (most recent call last)" in text
    assert "ZeroDivisionError: the reason" in text, "what it came from, too"
    assert "in broken" in text
    for key in ("time: 2", "command: ", "python: ", "torch: ", "polars: "):
        assert f"\n{key}" in f"\n{text}"
    for name in ("split", "score", "select", "fit", "sample", "evaluate", "summarise", "report"):
        monkeypatch.setattr(pipeline, name, lambda *given: None)
    assert main.main(command) == 1
    assert "metrics.json: No such file" in capsys.readouterr().err, "the run itself went well"
    assert not file.exists()


def test_ctrl_c_is_no_error(
    command: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    breaks(monkeypatch, KeyboardInterrupt())
    assert main.main(command) == 130
    assert (tmp_path / "run" / "run.json").exists()
    assert not (tmp_path / "run" / "error.txt").exists()


def test_debug_shows_the_traceback(
    command: list[str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    breaks(monkeypatch, RuntimeError("no such kernel"))
    for given in (["--debug", *command], [*command, "--debug"]):
        assert main.main(given) == 1
        shown = capsys.readouterr().err
        assert "ZeroDivisionError: the reason" in shown
        assert "in broken" in shown
        assert shown.splitlines()[-1].startswith("paretohqd: error: RuntimeError: no such kernel")
    assert main.main(command) == 1
    assert "Traceback" not in capsys.readouterr().err
    assert main.main(["select", "none.csv", "--objectives", "a,b", "-o", "x.csv", "--debug"]) == 1
    assert "Traceback" in capsys.readouterr().err


def test_a_folder_that_is_no_run_gets_no_file(tmp_path: Path) -> None:
    for folder in (tmp_path, tmp_path / "none"):
        with pytest.raises(KeyError), failures.recorded(folder):
            raise KeyError("x")
    assert list(tmp_path.iterdir()) == []


def test_processes_do_not_share_a_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "run.json").write_text("{}")
    monkeypatch.setenv("RANK", "3")
    with pytest.raises(KeyError), failures.recorded(tmp_path):
        raise KeyError("x")
    assert sorted(p.name for p in tmp_path.iterdir()) == ["error-3.txt", "run.json"]


def test_a_comparison_keeps_its_error_too(
    parts: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    file = tmp_path / "compare.yaml"
    file.write_text(yaml.safe_dump(mapping(parts, str(tmp_path / "run"), methods=["base"])))
    breaks(monkeypatch, RuntimeError("no such kernel"))
    assert main.main(["compare", str(file), "--run-folder", str(tmp_path / "run")]) == 1
    assert "(more in " in capsys.readouterr().err
    assert "in broken" in (tmp_path / "run" / "error.txt").read_text()
