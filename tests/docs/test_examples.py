"""The scripts in examples/ run, on less than they take by themselves."""

import io
import runpy
import subprocess
import sys
from pathlib import Path

import polars as pl
import pytest

from helpers.small_comparison import comparison, do
from paretohqd.compare.methods import METHODS
from paretohqd.plots.progress import Screen
from paretohqd.runs import pipeline
from paretohqd.runs.config import Config, load_settings

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


KNOWN = sorted((EXAMPLES / "known_sets").glob("*.yaml"))


def test_known_sets_are_what_their_script_makes(tmp_path: Path) -> None:
    runpy.run_path(str(EXAMPLES / "make_known_sets.py"))["write"](tmp_path)
    made = {file.name: file.read_text(encoding="utf-8") for file in tmp_path.iterdir()}
    folder = EXAMPLES / "known_sets"
    assert made == {f.name: f.read_text(encoding="utf-8") for f in folder.glob("*.jsonl")}
    assert sorted(made) == [f"{file.stem}.jsonl" for file in KNOWN]


@pytest.mark.parametrize("file", KNOWN, ids=lambda file: file.stem)
def test_known_sets_run(file: Path, parts: Path, tmp_path: Path) -> None:
    """Each with its own configuration, but for the model and the number of steps."""
    small = {"run": str(tmp_path / "run"), "model.name": str(parts / "model"), "device": "cpu"}
    small |= {"train.max_steps": 1, "train.max_length": 1000, "generation.max_new_tokens": 4}
    small |= {"precision": "float32", "threads": 1, "preferences": 2, "lora": {"r": 1}}
    chosen = load_settings(Config, file, small)
    pipeline.run(chosen, screen=Screen(file=io.StringIO()))
    rows = pl.read_parquet(tmp_path / "run" / "stage1" / "select" / "selection.parquet")
    assert len(rows) == 2 * chosen.selection.k
    given = [o.name for o in chosen.objectives if o.column is not None]
    assert all(rows[name].is_finite().all() for name in given)
