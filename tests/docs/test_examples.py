"""The scripts in examples/ run, on less than they take by themselves."""

import runpy
import subprocess
import sys
from pathlib import Path

import polars as pl
import pytest

from helpers.small_comparison import comparison, do
from paretohqd.compare.methods import METHODS

pytestmark = pytest.mark.slow

EXAMPLES = Path(__file__).parents[2] / "examples"


def said_by(name: str, given: str, folder: Path) -> str:
    """What a script prints, in a process of its own, where nothing is imported yet."""
    code = f"import runpy; from pathlib import Path; runpy.run_path({str(EXAMPLES / name)!r})"
    done = subprocess.run(
        [sys.executable, "-c", f"{code}['main']({given})"],
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=600,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return done.stdout


def test_select_rows(tmp_path: Path) -> None:
    assert "both: mean relevance" in said_by("select_rows.py", "Path('x'), rows=800", tmp_path)
    assert len(pl.read_parquet(tmp_path / "x" / "both.parquet")) == 80
    assert (tmp_path / "x" / "chosen.svg").stat().st_size > 10_000


def test_sort_and_compare(tmp_path: Path) -> None:
    said = said_by("sort_and_compare.py", "20_000", tmp_path)
    chosen, drawn = (line for line in said.splitlines() if line.startswith("10 rows"))
    share = [float(line.split(":")[1].split("%")[0]) for line in (chosen, drawn)]
    assert share[0] > share[1]
    assert said.count("weights [") == 15


def test_train_with_trl(tmp_path: Path) -> None:
    said = said_by("train_with_trl.py", "Path('x'), rows=400, steps=1", tmp_path)
    assert "\nharmless: " in said
    assert (tmp_path / "x" / "relevance" / "adapter_model.safetensors").is_file()


def test_add_a_reward(tmp_path: Path) -> None:
    assert "Great!" in said_by("add_a_reward.py", "", tmp_path)


def test_add_a_method(parts: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(METHODS, "ranksum", METHODS["base"])  # so that it is taken out again
    runpy.run_path(str(EXAMPLES / "add_a_method.py"))
    assert METHODS["ranksum"] is not METHODS["base"]
    chosen = comparison(parts, str(tmp_path / "run"), methods=["base", "ranksum"], budgets=["own"])
    assert any("ranksum" in line for line in do(chosen))
