"""Scores as they are published: no texts, the same bytes, and every number again."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from helpers.compared import make, run
from paretohqd.compare import choosing
from paretohqd.compare.measuring import measure_record
from paretohqd.compare.records import ComparisonRecord, load
from paretohqd.compare.scores import SCORES, measure_scores, published, read_scores

FAILS = {("MODPO", 0): "no pairs", **{("RCS", seed): "out of memory" for seed in range(3)}}


def write(folder: Path, results: dict[str, Any], answers: dict[str, pl.DataFrame]) -> Path:
    folder.mkdir(parents=True)
    (folder / "results.json").write_text(json.dumps(results))
    for key, frame in answers.items():
        (folder / key).mkdir(parents=True)
        frame.write_parquet(folder / key / "answers.parquet")
    record = ComparisonRecord.of(results)
    published(folder, record).write_parquet(folder / SCORES)
    return folder


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Path:
    results, answers = make(fails=FAILS, prompts=20)
    return write(tmp_path_factory.mktemp("demo") / "run", results, answers)


def test_every_number_comes_again_from_the_scores(demo: Path, tmp_path: Path) -> None:
    for name in (SCORES, "results.json"):
        shutil.copy(demo / name, tmp_path / name)
    assert measure_scores(tmp_path) == measure_record(*load(demo))


def test_scores_are_complete_ordered_and_without_texts(demo: Path) -> None:
    record, answers = load(demo)
    table = pl.read_parquet(demo / SCORES)
    names = ["budget", "method", "seed", "policy", "weights", "part", "position"]
    assert table.columns[: len(names)] == names
    assert table.columns[len(names) :][:3] == [*record.objectives, "short"]
    assert "echo" in table.columns
    assert not {"prompt", "response"} & set(table.columns)
    assert [name for name, kind in table.schema.items() if kind == pl.String] == [
        "budget",
        "method",
        "part",
    ]
    policies = [(each, policy) for each in record.runs for policy in each.policies]
    assert len(table) == 20 * len(policies)
    for at, (each, policy) in enumerate(policies):
        own = table[20 * at : 20 * (at + 1)]
        assert own["method"].unique().to_list() == [each.method]
        assert own["position"].to_list() == list(range(20))
        assert own.select(record.objectives).equals(
            answers[policy.answers].select(record.objectives)
        )
        assert own["weights"][0] is None or tuple(own["weights"][0]) == policy.weights
    assert set(table["part"]) == {"test"}


def test_the_bytes_are_the_same_again(demo: Path, tmp_path: Path) -> None:
    published(demo, load(demo)[0]).write_parquet(tmp_path / SCORES)
    assert (tmp_path / SCORES).read_bytes() == (demo / SCORES).read_bytes()


def test_parts_are_read_apart(tmp_path: Path) -> None:
    results, answers = make(budgets=["own"], ablations=(), seeds=[0, 1], prompts=12)
    for each in results["runs"]:
        for policy in each["policies"]:
            policy["validation"] = f"validation/{policy['answers']}"
            # Other scores, so that a mistake would show.
            answers[policy["validation"]] = answers[policy["answers"]].head(5).reverse()
    results["positions"] = {"validation": list(range(5)), "test": list(range(5, 17))}
    folder = write(tmp_path / "run", results, answers)
    given = {"bounds": results["bounds"], "preferences": results["preferences"]}
    record = ComparisonRecord.of(results)
    runs = choosing.with_choices(folder, record.runs, **given)
    chosen = {**results, "runs": [each.to_mapping() for each in runs]}
    (folder / "results.json").write_text(json.dumps(chosen))
    record = load(folder)[0]
    assert measure_scores(folder) == measure_record(*load(folder))
    validation = read_scores(folder, "validation", record)
    for each in record.runs:
        again = choosing.choices([validation[p.validation] for p in each.policies], **given)
        assert each.chosen == again
    one = validation[record.runs[0].policies[0].validation]
    assert one["prompt"].to_list() == [0, 1, 2, 3, 4]
    test = read_scores(folder, "test", record)
    assert test[record.runs[0].policies[0].answers]["prompt"].to_list() == list(range(5, 17))
    assert not test.keys() & validation.keys()


def test_entropy_may_be_unknown(tmp_path: Path) -> None:
    results, answers = make(budgets=["own"], ablations=(), seeds=[0], prompts=6)
    bare = {key: frame.drop("entropy") for key, frame in answers.items()}
    folder = write(tmp_path / "run", results, bare)
    assert measure_scores(folder) == measure_record(*load(folder))


def test_a_comparison_of_failures_has_an_empty_table(tmp_path: Path) -> None:
    results, _ = make(budgets=["own"], ablations=(), seeds=[0])
    runs = [run("sft", [], error="disk full")]
    folder = write(tmp_path / "run", {**results, "runs": runs}, {})
    assert pl.read_parquet(folder / SCORES).is_empty()
    assert measure_scores(folder) == measure_record(*load(folder))


def test_what_is_missing_is_named(tmp_path: Path) -> None:
    results, answers = make(budgets=["own"], ablations=(), seeds=[0], prompts=6)
    folder = write(tmp_path / "run", results, answers)
    (folder / SCORES).unlink()
    with pytest.raises(ValueError, match=r"scores.parquet is missing"):
        measure_scores(folder)
