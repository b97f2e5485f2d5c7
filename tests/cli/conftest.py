"""A command called in this process, and the rows as a file."""

import pytest

from helpers.answers_given import FRAME
from paretohqd.cli import main
from paretohqd.frames.writing import write_frame


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
            code = main.main([str(a) for a in arguments])
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


@pytest.fixture
def folder(tmp_path):
    """The answers in four files."""
    inside = tmp_path / "parts"
    inside.mkdir()
    for part in range(4):
        write_frame(FRAME[50 * part : 50 * (part + 1)], inside / f"{part}.parquet")
    return inside
