"""A comparison as a whole: its files, failures, and going on after an interruption."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from helpers.small_comparison import comparison, do
from paretohqd.cli import main
from paretohqd.compare import comparison as compare
from paretohqd.compare.config import Entry
from paretohqd.compare.method import MethodOptions
from paretohqd.compare.methods import METHODS
from paretohqd.compare.plan import Job
from paretohqd.compare.policy import Policy
from paretohqd.compare.workbench import Workbench
from paretohqd.kernels.hull import Shape
from paretohqd.models import sampling
from paretohqd.runs.config_reader import to_mapping
from paretohqd.trainers import sft as training

pytestmark = pytest.mark.slow


def tables(run: Path) -> dict[str, pl.DataFrame]:
    """The comparison's tables without what a clock says."""
    frames = {name: pl.read_csv(run / f"{name}.csv") for name in compare.TABLES}
    return {name: f.select(pl.exclude("^.*seconds.*$")) for name, f in frames.items()}


def same(one: dict[str, pl.DataFrame], other: dict[str, pl.DataFrame]) -> bool:
    return all(one[name].equals(other[name]) for name in one)


METHODS_HERE = ["base", "soups", "paretohqd"]


@pytest.fixture(scope="module")
def finished(parts: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    run = tmp_path_factory.mktemp("compare") / "run"
    do(comparison(parts, str(run), methods=METHODS_HERE, seeds=[0, 1]))
    return run


def test_the_tables(finished: Path) -> None:
    csv = tables(finished)
    runs = csv["methods"].select("budget", "method", "seed", "status").rows()
    names = ["paretohqd", "base", "soups"]
    assert runs == [("matched", name, seed, "ok") for seed in (0, 1) for name in names]
    assert len(csv["points"]) == 2 * (2 + 1 + 2)
    assert csv["summary"]["method"].to_list() == names
    assert (finished / "report.html").is_file()


def test_the_scale_and_the_front_are_the_datas(finished: Path) -> None:
    results = json.loads((finished / "results.json").read_text())
    scored = next((finished / "stage1" / "score").glob("scored.parquet"))
    for name, (low, high) in results["bounds"].items():
        column = pl.read_parquet(scored)[name]
        assert (low, high) == (column.quantile(0.1), column.quantile(0.9))
    assert results["front"]["chance"]["clouds"] == 200
    assert "points of the data's front" in results["limits"][-1]
    summary = tables(finished)["summary"]
    assert summary["seeds"].to_list() == [2, 1, 2], "the base's two runs are one"


def test_a_base_is_the_same_for_every_seed(finished: Path) -> None:
    base = tables(finished)["points"].filter(pl.col("method") == "base").drop("seed")
    assert base[0].equals(base[1])
    assert len(list((finished / "answers").iterdir())) < len(tables(finished)["points"]) + 6


def test_what_is_done_is_not_done_again(
    parts: Path, finished: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = {p: p.stat().st_mtime_ns for p in finished.glob("*/**/*.parquet")}
    csv = (finished / "methods.csv").read_bytes()
    monkeypatch.setattr(training, "fit", None)
    lines = do(comparison(parts, str(finished), methods=METHODS_HERE, seeds=[0, 1]))
    first = next(line for line in lines if line.startswith("1 of 6 done"))
    assert "about 0" not in first, "an estimate from what the work took, not from finding it done"
    again = do(comparison(parts, str(finished), methods=METHODS_HERE, seeds=[0, 1]))
    done = [[line for line in said if " done: " in line] for said in (lines, again)]
    assert len(done[0]) == 6
    assert done[0] == done[1], "no clock of its own"
    assert before == {p: p.stat().st_mtime_ns for p in finished.glob("*/**/*.parquet")}
    assert (finished / "methods.csv").read_bytes() == csv, "seconds are those of the work itself"


@pytest.mark.parametrize(
    ("module", "name", "calls"),
    [(training, "fit", 4), (sampling, "decode_batch", 7), (compare, "measure_record", 1)],
)
def test_an_interrupted_comparison_goes_on(
    parts: Path,
    finished: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    module: Any,
    name: str,
    calls: int,
) -> None:
    settings = comparison(parts, str(tmp_path / "run"), methods=METHODS_HERE, seeds=[0, 1])
    work, done = getattr(module, name), 0

    def interrupted(*given: Any, **more: Any) -> Any:
        nonlocal done
        done += 1
        if done == calls:
            raise KeyboardInterrupt
        return work(*given, **more)

    with monkeypatch.context() as patch:
        patch.setattr(module, name, interrupted)
        with pytest.raises(KeyboardInterrupt):
            do(settings)
    assert not (tmp_path / "run" / "methods.csv").exists()
    do(settings)
    assert same(tables(tmp_path / "run"), tables(finished))


def test_a_method_that_fails_does_not_end_the_others(
    parts: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def sft(bench: Workbench, options: MethodOptions) -> list[Policy]:
        bench.scored()
        raise RuntimeError("the adapter\nexploded")

    monkeypatch.setitem(METHODS, "sft", replace(METHODS["sft"], run=sft))
    methods = ["sft", "base", "paretohqd"]
    lines = do(comparison(parts, str(tmp_path / "run"), methods=methods))
    (beside,) = (path.name for path in (tmp_path / "run").glob("failed-sft-matched-seed-0-*.txt"))
    message = "RuntimeError: the adapter exploded"
    assert f"sft (matched, seed 0) failed: {message} (more in {beside})" in lines
    assert "Traceback" in (tmp_path / "run" / beside).read_text()
    methods_csv = tables(tmp_path / "run")["methods"]
    failed = methods_csv.filter(pl.col("method") == "sft")
    assert failed.select("status", "error", "scored").row(0) == (
        "failed",
        message,
        100,
    )
    assert methods_csv.filter(pl.col("method") != "sft")["status"].to_list() == ["ok", "ok"]
    monkeypatch.undo()
    do(comparison(parts, str(tmp_path / "run"), methods=methods))
    assert not (tmp_path / "run" / beside).exists(), "what went right has no failure"


def test_titles_that_differ_fail_in_different_files() -> None:
    titles = ["L = 1", "L - 1", "方法一", "方法二"]
    names = {Job(Entry(method="sft", name=title), "own", 0).failure for title in titles}
    assert len(names) == 4
    assert all(name.isascii() and " " not in name for name in names)


def test_tables_do_without_the_shape_of_the_front(
    parts: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def failing(points: object) -> Shape:
        raise RuntimeError("the linear program of point 3 failed")

    monkeypatch.setattr("paretohqd.compare.comparison.front_shape", failing)
    settings = comparison(parts, str(tmp_path / "run"), methods=["base"], budgets=["own"])
    lines = do(settings)
    assert any("shape of the data's front is not known: the linear" in line for line in lines)
    results = json.loads((tmp_path / "run" / "results.json").read_text())
    assert results["front"] is None
    assert tables(tmp_path / "run")["methods"]["status"].to_list() == ["ok"]


def test_without_the_reference_there_is_no_budget_to_match(
    parts: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(bench: Workbench, options: MethodOptions) -> list[Policy]:
        raise ValueError("no such luck")

    monkeypatch.setitem(METHODS, "paretohqd", replace(METHODS["paretohqd"], run=broken))
    do(comparison(parts, str(tmp_path / "run"), methods=["base", "paretohqd", "sft"]))
    errors = dict(tables(tmp_path / "run")["methods"].select("method", "error").rows())
    assert errors["paretohqd"] == "no such luck"
    assert errors["sft"] == "no budget to match: paretohqd failed with seed 0"


def test_a_full_disk_ends_it(parts: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(bench: Workbench, options: MethodOptions) -> list[Policy]:
        raise OSError(28, "No space left on device")

    monkeypatch.setitem(METHODS, "base", replace(METHODS["base"], run=full))
    with pytest.raises(OSError, match="No space left"):
        do(comparison(parts, str(tmp_path / "run"), methods=["base"], budgets=["own"]))


def test_a_budget_too_small_for_a_step(parts: Path, tmp_path: Path) -> None:
    methods = ["paretohqd", "sft"]
    more = {"train__per_device_train_batch_size": 8, "train__max_steps": 1}
    settings = comparison(parts, str(tmp_path / "run"), methods=methods, **more)
    bench_sft = METHODS["sft"]
    from paretohqd.compare.budget import Tokens

    def starved(bench: Workbench, options: MethodOptions) -> list[Policy]:
        bench.allowed = Tokens(100, 0)
        return bench_sft.run(bench, options)

    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(METHODS, "sft", replace(METHODS["sft"], run=starved))
        do(settings)
    error = tables(tmp_path / "run")["methods"].row(1, named=True)["error"]
    assert "a budget of 100 tokens does not pay for one step: its 8 rows have" in error


@pytest.fixture
def single(parts: Path, tmp_path: Path) -> Path:
    """Data with one answer per prompt."""
    frame = pl.read_parquet(parts / "data.parquet").unique("prompt", maintain_order=True)
    frame.write_parquet(tmp_path / "single.parquet")
    return tmp_path / "single.parquet"


@pytest.mark.parametrize("method", ["rcs", "modpo"])
def test_pairs_are_sampled_where_the_data_have_none(
    parts: Path, tmp_path: Path, single: Path, method: str
) -> None:
    more = {"methods": [method], "budgets": ["own"], "data__source": str(single), "selection__k": 2}
    settings = comparison(parts, str(tmp_path / "run"), sample_pairs=3, **more)
    do(settings)
    (run,) = json.loads((tmp_path / "run" / "results.json").read_text())["runs"]
    assert run["error"] is None
    assert run["generated_tokens"] > 0
    assert run["notes"]["answers compared"] == "of the base: 6 prompts x 3 answers"
    do(comparison(parts, str(tmp_path / "none"), sample_pairs=0, **more))
    (run,) = json.loads((tmp_path / "none" / "results.json").read_text())["runs"]
    assert "needs two answers or more per prompt" in run["error"]
    assert "set sample_pairs" in run["error"]


def test_one_process(parts: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WORLD_SIZE", "2")
    with pytest.raises(ValueError, match="is one process"):
        do(comparison(parts, str(tmp_path / "run"), methods=["base"], budgets=["own"]))


def test_the_command(
    parts: Path, finished: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    settings = comparison(parts, str(finished), methods=METHODS_HERE, seeds=[0, 1])
    path = tmp_path / "compare.yaml"
    path.write_text(json.dumps(to_mapping(settings)))
    command = ["compare", str(path), "--run-folder", str(finished)]
    assert main.main(command) == 0
    out = capsys.readouterr().out
    assert "budget: matched" in out
    assert f"report: {finished / 'report.html'}" in out
    page = tmp_path / "page.html"
    assert main.main(["report", str(finished), "-o", str(page)]) == 0
    assert "Comparison of methods" in page.read_text()
    capsys.readouterr()
    assert main.main([*command, "--set", "methods=[sfft]"]) == 1
    assert "did you mean sft?" in capsys.readouterr().err


def test_a_changed_comparison_that_was_killed_is_not_finished(
    parts: Path, finished: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    before, results = tables(finished), (finished / "results.json").read_bytes()

    def interrupted(*given: Any, **more: Any) -> Any:
        raise KeyboardInterrupt

    changed = comparison(parts, str(finished), methods=[*METHODS_HERE, "sft"], seeds=[0, 1])
    with monkeypatch.context() as patch:
        patch.setattr(training, "fit", interrupted)
        with pytest.raises(KeyboardInterrupt):
            do(changed)
    assert (finished / "superseded" / "results.json.0").read_bytes() == results
    assert main.main(["report", str(finished)]) == 1, "its settings are not those of its results"
    assert "paretohqd compare" in capsys.readouterr().err
    do(comparison(parts, str(finished), methods=METHODS_HERE, seeds=[0, 1]))
    assert same(tables(finished), before)
    assert main.main(["report", str(finished)]) == 0


def test_results_are_written_last(
    parts: Path, finished: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*given: Any) -> None:
        raise OSError(28, "No space left on device")

    settings = comparison(parts, str(finished), methods=METHODS_HERE, seeds=[0, 1])
    with monkeypatch.context() as patch:
        patch.setattr(compare, "write_parquet", full)
        with pytest.raises(OSError, match="No space"):
            do(settings)
    assert not (finished / "results.json").exists(), "scores of another comparison may lie there"
    do(settings)
    assert (finished / "results.json").exists()
