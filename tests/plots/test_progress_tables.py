"""Progress without rich, and tables of plain text."""

from __future__ import annotations

import subprocess
import sys

import pytest

from paretohqd.plots.progress import table


def test_a_table_is_as_wide_as_its_widest_cells() -> None:
    rows = [["task", "n"], ["layers", "1,000"], ["", "7"]]
    assert table(rows, rule=False).splitlines() == ["task    n", "layers  1,000", "        7"]
    ruled = table(rows, right=[1]).splitlines()
    assert ruled == ["task        n", "------  -----", "layers  1,000", "            7"]


def test_a_table_of_rows_of_unlike_lengths_is_refused() -> None:
    with pytest.raises(ValueError, match="argument 2 is"):
        table([["a", "b"], ["1"]])


def test_rows_are_counted_where_rich_and_altair_are_missing() -> None:
    program = (
        "import sys\n"
        "sys.modules |= dict.fromkeys(['rich', 'altair', 'vl_convert', 'jinja2'])\n"
        "from paretohqd.plots.progress import RowCounter, Screen, duration, table\n"
        "print(RowCounter(10).text(5, 1.0))\n"
        "try: Screen()\n"
        "except ModuleNotFoundError as error: print(error.name)\n"
    )
    run = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    assert run.stdout.splitlines() == ["5 of 10 rows, 5 per second, about 1 s left", "rich.console"]
