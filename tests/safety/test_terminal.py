"""Names from files and configurations reach a terminal as what they are, not as what they do."""

import io
import warnings

import polars as pl
import pytest
from rich.console import Console

from paretohqd.cli import main as command
from paretohqd.cli.main import main
from paretohqd.cli.terminal import Parser, say
from paretohqd.plots.progress import Screen, table
from paretohqd.safety.printing import first_acting, printable

ACTING = {
    "\x1b[2J": "\\x1b[2J",
    "\x1b]0;title\x07": "\\x1b]0;title\\x07",
    "\x9b2J": "\\x9b2J",
    "a\rb": "a\\x0db",
    "a\x08b": "a\\x08b",
    "\x00": "\\x00",
    "\x7f": "\\x7f",
    "\u202eabc": "\\u202eabc",
    "\u2066a\u2069": "\\u2066a\\u2069",
    "a\u2028b": "a\\u2028b",
    "\u200b": "\\u200b",
    "\ufeff": "\\ufeff",
    "\udc80": "\\udc80",
    "\U000e0041": "\\U000e0041",
}
PLAIN = [
    "a\tb\nc",
    "caf\xe9",
    "日本語",
    "\N{FAMILY}\u200d\N{BOY}",
    "\u0645\u06cc\u200c\u062e\u0648\u0627\u0647\u0645",
    "a\xa0b",
    "\\x1b",
]


@pytest.mark.parametrize("text", ACTING)
def test_what_acts_is_written_as_an_escape(text):
    assert printable(text) == ACTING[text]
    assert first_acting(text) is not None
    assert printable(printable(text)) == printable(text)
    assert first_acting(printable(text)) is None


@pytest.mark.parametrize("text", PLAIN)
def test_what_is_read_stays(text):
    assert printable(text) == text
    assert first_acting(text) is None


def test_every_control_character_is_an_escape():
    for code in [*range(9), *range(11, 32), *range(127, 160)]:
        assert printable(chr(code)) == f"\\x{code:02x}"


@pytest.mark.parametrize("terminal", [False, True])
def test_lines_and_bars(terminal):
    screen, file = Screen(silent=True), io.StringIO()
    screen.console = Console(file=file, force_terminal=terminal, width=200, highlight=False)
    screen.line("column \x1b]0;title\x07 \u202e [red]x[/red]")
    # A title that is rich's markup, or broken markup, is a text too.
    with screen.bar("fit \x1b[5m [bold]a[/] [/b]") as advance:
        advance(1, 2)
    said = file.getvalue()
    assert "column \\x1b]0;title\\x07 \\u202e [red]x[/red]" in said
    assert "\x1b]" not in said
    assert "\x1b[5m" not in said
    assert not terminal or "fit \\x1b[5m [bold]a[/] [/b]" in said


def test_cells_of_tables_are_as_wide_as_they_are_shown():
    text = table([["method", "n"], ["\x1b[2J", "1"], ["plain", "22"]])
    assert text.splitlines()[2:] == ["\\x1b[2J  1", "plain    22"]


def test_what_the_commands_say(capsys):
    say("a \x1b[2J", file=None)
    assert capsys.readouterr().out == "a \\x1b[2J\n"


def test_columns_and_names_of_files(tmp_path, capsys):
    name = "\x1b[31mhelp\u202e"
    file = tmp_path / "rows.csv"
    pl.DataFrame({name: [0.5], "harm": [1.0]}).write_csv(file)
    out = tmp_path / "out.csv"
    for words in (
        ["select", str(file), "--objectives", "help,harm", "-o", str(out)],
        ["select", str(tmp_path / "\x1b[2J.csv"), "--objectives", "a,b", "-o", str(out)],
        ["layers", str(file), "--objectives", f"{name},none", "-o", str(out)],
        ["run", str(tmp_path / "\x1b[2J.yaml")],
        ["report", str(tmp_path / "\x1b[2J")],
    ):
        assert main(words) == 1
        said = capsys.readouterr().err
        assert "\\x1b[" in said
        assert printable(said) == said


def test_tracebacks(tmp_path, capsys):
    words = ["select", str(tmp_path / "\x1b[2J.csv"), "--objectives", "a,b", "-o", "x.csv"]
    assert main([*words, "--debug"]) == 1
    said = capsys.readouterr().err
    assert "Traceback" in said
    assert printable(said) == said


def test_wrong_calls(capsys):
    for words in (
        ["sel\x1bect"],
        ["select", "a.csv", "--objectives", "a:min,a", "\x1b[2J", "--no"],
    ):
        with pytest.raises(SystemExit):
            main(words)
        said = capsys.readouterr().err
        assert printable(said) == said
    with pytest.raises(SystemExit):
        Parser(prog="x").parse_args(["\x1b[2J"])
    assert "\\x1b[2J" in capsys.readouterr().err


def test_warnings_of_all_kinds(capsys, monkeypatch):
    def work(parsed):
        warnings.warn("column \x1b[2J", stacklevel=1)
        warnings.warn("same \u202e", command.pq.SameRowsWarning, stacklevel=1)

    class Parsed:
        command, debug = "select", False

    Parsed.work = staticmethod(work)

    class Given:
        def parse_args(self, given):
            return Parsed

    monkeypatch.setattr(command, "command_line", Given)
    with warnings.catch_warnings():
        warnings.simplefilter("always")
        monkeypatch.setattr(warnings, "showwarning", _written)
        assert main([]) == 0
    said = capsys.readouterr().err
    assert "column \\x1b[2J" in said
    assert "paretohqd: warning: same \\u202e" in said
    assert printable(said) == said


def _written(message, category, filename, lineno, file=None, line=None):
    import sys

    print(f"{category.__name__}: {message}", file=sys.stderr)
