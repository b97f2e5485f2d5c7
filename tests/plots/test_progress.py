"""What a person sees of a run under way, with a terminal and without."""

from __future__ import annotations

import builtins
import io
import os
import re
import sys

import pytest

pytest.importorskip("rich")

from helpers.clock import Clock
from paretohqd.plots import progress


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def screen() -> tuple[progress.Screen, io.StringIO]:
    file = io.StringIO()
    return progress.Screen(file=file), file


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(progress.time, "monotonic", clock.monotonic)
    return clock


def test_without_a_terminal_there_are_lines_only(clock: Clock) -> None:
    shown, file = screen()
    with shown.bar("fit stage1-00") as advance:
        for done in range(1, 11):
            clock.now += 12
            advance(done, 10)
    text = file.getvalue()
    assert text.splitlines() == [
        "  fit stage1-00: 3 of 10, about 1 min 24 s left",
        "  fit stage1-00: 6 of 10, about 48 s left",
        "  fit stage1-00: 9 of 10, about 12 s left",
    ]
    assert "\x1b" not in text
    assert "\r" not in text


def test_on_a_terminal_there_is_a_bar(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.delenv("NO_COLOR", raising=False)
    file = Terminal()
    shown = progress.Screen(file=file)
    with shown.bar("fit stage1-00") as advance:
        advance(3, 10)
        advance(10, 10)
    assert "fit stage1-00" in file.getvalue()
    assert "10/10" in file.getvalue()
    assert "\x1b" in file.getvalue()


def test_lines_are_not_taken_for_markup_and_not_wrapped() -> None:
    shown, file = screen()
    text = "selection.k: [1, 2] -> [bold]3[/bold] " + "x" * 300
    shown.line(text)
    assert file.getvalue() == text + "\n"


def test_a_silent_screen_says_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    made = progress.Screen(silent=True)
    made.line("text")
    with made.bar("what") as advance:
        advance(1, 2)
    assert capsys.readouterr() == ("", "")


def test_a_notebook_gets_plain_lines(monkeypatch: pytest.MonkeyPatch) -> None:
    class ZMQInteractiveShell:
        """What rich takes for a notebook."""

    monkeypatch.setattr(builtins, "get_ipython", ZMQInteractiveShell, raising=False)
    file = io.StringIO()
    screen = progress.Screen(file=file)
    screen.line("scoring")
    with screen.bar("scores") as advance:
        advance(1, 2)
    assert file.getvalue() == "scoring\n"


def everything_said(there: int) -> str:
    """All that was written: one read may return the first of several writes alone."""
    parts = []
    while True:
        try:
            part = os.read(there, 1 << 16)
        except OSError:  # Linux: the other side has closed
            part = b""
        if not part:
            break
        parts.append(part)
    return b"".join(parts).decode()


@pytest.mark.skipif(sys.platform == "win32", reason="has no pseudo-terminals")
@pytest.mark.parametrize("colours", [True, False])
def test_no_color_is_obeyed(colours: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    import pty

    for name in ("NO_COLOR", "FORCE_COLOR"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("TERM", "xterm-256color")
    if not colours:
        monkeypatch.setenv("NO_COLOR", "1")
    there, here = pty.openpty()
    with os.fdopen(here, "w") as file, progress.Screen(file=file).bar("scores") as advance:
        advance(1, 2)
    said = everything_said(there)
    os.close(there)
    assert "scores" in said
    assert bool(re.search(r"\x1b\[[0-9;]*m", said.replace("\x1b[0m", ""))) == colours
