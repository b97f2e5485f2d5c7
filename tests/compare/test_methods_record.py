"""The record of a comparison: its table is the comparison's; the documents show the record's."""

from __future__ import annotations

import json
import runpy
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from helpers.compared import make, result_of
from paretohqd.compare.measures import ComparisonResult
from paretohqd.compare.tables import cost_table, methods_table, points_table, summary_table

ROOT = Path(__file__).parents[2]
TABLES = {
    "methods": methods_table,
    "points": points_table,
    "summary": summary_table,
    "costs": cost_table,
}


@pytest.fixture(scope="module")
def bench() -> dict[str, Any]:
    return runpy.run_path(str(ROOT / "benches" / "methods.py"))


@pytest.fixture(scope="module")
def recorded(
    bench: dict[str, Any], tmp_path_factory: pytest.TempPathFactory
) -> tuple[Path, dict[str, Any], ComparisonResult, dict[str, pl.DataFrame]]:
    results, answers = make(budgets=["own"], ablations=("L = 1",))
    for each in results["runs"]:
        for policy in each["policies"] if each["kind"] == "modpo" else ():
            policy["weights"] = None
    result = result_of(results, answers)
    run = tmp_path_factory.mktemp("run")
    (run / "results.json").write_text(json.dumps(results))
    for name, table in TABLES.items():
        table(result).write_csv(run / f"{name}.csv")
    for key, frame in answers.items():
        (run / key).mkdir(parents=True)
        frame.write_parquet(run / key / "answers.parquet")
    bench["record"].__globals__["RESULTS"] = tmp_path_factory.mktemp("record")
    return bench["record"](run), results, result, answers


def table(bench: dict[str, Any], path: Path, name: str) -> pl.DataFrame:
    return pl.read_csv(bench["table_of"](path, name))


def test_a_record_gives_the_comparisons_numbers_again(bench, recorded) -> None:
    path, _, result, _ = recorded
    again = bench["measured_again"](table(bench, path, "points"), table(bench, path, "scale"))
    assert again["method"].to_list() == [entry.method for entry in result.methods]
    for row, entry in zip(again.to_dicts(), result.methods, strict=True):
        for name in ("utility", "hypervolume", "best_single", "spread"):
            assert row[name] == pytest.approx(getattr(entry, name), abs=2e-4), (entry.method, name)
        assert row["seeds"] == len(entry.seeds)
    text = bench["readme_table"](*(table(bench, path, n) for n in ("summary", "points", "scale")))
    (mine,) = (line for line in text.splitlines() if line.startswith("| SFT |"))
    entry = next(entry for entry in result.methods if entry.method == "SFT")
    assert f"| {entry.utility:.3f} |" in mine
    assert f"| {entry.against.reference.verdict} (ParetoHqD) |" in mine
    assert "| MODPO † |" in text
    assert "| RCS * |" in text
    assert "| UC-MOA * |" in text


@pytest.mark.parametrize("plain", [False, True])
def test_a_record_shows_what_failed_and_odd_names(bench, tmp_path: Path, plain: bool) -> None:
    """`plain`: no method takes weights, and nothing was chosen."""
    results, answers = make(
        budgets=["own"],
        ablations=(),
        fails={("RiC", 0): "no", ("RCS", 0): "no", ("RCS", 1): "no", ("RCS", 2): "no"},
    )
    for each in results["runs"]:
        if each["method"] == "SFT":
            each["method"] = "S|F|T"
    if plain:
        results["runs"] = [run for run in results["runs"] if len(run["policies"]) < 2]
    result = result_of(results, answers)
    scale = pl.DataFrame(
        [
            {"objective": name, "low": low, "high": high}
            for name, (low, high) in results["bounds"].items()
        ]
    )
    text = bench["readme_table"](summary_table(result), points_table(result), scale)
    lines = text.splitlines()
    assert {line.replace(r"\|", "").count("|") for line in lines} == {lines[0].count("|")}
    assert sum(line.startswith("| S\\|F\\|T |") for line in lines) == 1
    assert any(line.startswith("| RCS * | failed (3) |") for line in lines)
    assert plain or any(line.startswith("| RiC | 2 (1 failed) |") for line in lines)


def test_a_record_holds_every_score(bench, recorded) -> None:
    path, results, _, answers = recorded
    scores = pl.read_parquet(bench["table_of"](path, "scores").with_suffix(".parquet"))
    each = next(run for run in results["runs"] if run["method"] == "RiC" and run["seed"] == 2)
    policy = each["policies"][1]
    mine = scores.filter(method="RiC", seed=2, policy=1)
    assert mine.select(results["objectives"]).equals(
        answers[policy["answers"]].select(results["objectives"])
    )


@pytest.mark.parametrize("record", ["methods-2026-11-22-2x-AMD-EPYC.csv"])
def test_the_documents_show_the_records_table(bench, record: str) -> None:
    path = ROOT / "benches" / "results" / record
    text = bench["readme_table"](*(table(bench, path, n) for n in ("summary", "points", "scale")))
    shown = "".join((ROOT / "docs" / p).read_text("utf-8") for p in ("comparison.md", "methods.md"))
    missing = [line for line in text.splitlines() if line not in shown]
    assert not missing
    assert "better" not in text
    assert "worse" not in text
