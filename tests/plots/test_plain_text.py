"""What a person sees of a run under way, with a terminal and without."""

from __future__ import annotations

import io

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
