"""The scripts in examples/ run, on less than they take by themselves."""

import runpy
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from helpers.small_comparison import comparison, do
from paretohqd.compare.methods import METHODS

EXAMPLES = Path(__file__).parents[2] / "examples"


def functions(name: str) -> dict[str, Any]:
    return runpy.run_path(str(EXAMPLES / name))


def test_select_rows(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    functions("select_rows.py")["main"](tmp_path, rows=800)
    assert "both: mean relevance" in capsys.readouterr().out
    assert len(pl.read_parquet(tmp_path / "both.parquet")) == 80
    assert (tmp_path / "chosen.svg").stat().st_size > 10_000


def test_sort_and_compare(capsys: pytest.CaptureFixture[str]) -> None:
    functions("sort_and_compare.py")["main"](20_000)
    said = capsys.readouterr().out
    chosen, drawn = (line for line in said.splitlines() if line.startswith("10 rows"))
    share = [float(line.split(":")[1].split("%")[0]) for line in (chosen, drawn)]
    assert share[0] > share[1]
    assert said.count("weights [") == 15


def test_train_with_trl(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    functions("train_with_trl.py")["main"](tmp_path, rows=400, steps=1)
    assert "\nharmless: " in capsys.readouterr().out
    assert (tmp_path / "relevance" / "adapter_model.safetensors").is_file()


def test_add_a_reward(capsys: pytest.CaptureFixture[str]) -> None:
    functions("add_a_reward.py")["main"]()
    assert "Great!" in capsys.readouterr().out


def test_add_a_method(parts: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(METHODS, "ranksum", METHODS["base"])  # so that it is taken out again
    functions("add_a_method.py")
    assert METHODS["ranksum"] is not METHODS["base"]
    lines = do(
        comparison(parts, str(tmp_path / "run"), methods=["base", "ranksum"], budgets=["own"])
    )
    assert any("ranksum" in line for line in lines)
