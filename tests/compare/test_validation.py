"""Validation and test prompts: parts of one permutation; chosen on one, measured on the other."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

from helpers.compared import XY, answers_frame, entry, measured, run
from helpers.small_comparison import comparison, do
from paretohqd.compare import choosing
from paretohqd.compare.comparison import measure_folder
from paretohqd.compare.records import ComparisonRecord, RunRecord, load
from paretohqd.compare.scores import measure_scores, read_scores
from paretohqd.compare.serving import per_prompt
from paretohqd.compare.tables import methods_table, summary_table
from paretohqd.compare.text import render

CORNERS = [(1.0, 0.0), (0.0, 1.0)]
METHODS = ["base", "soups", {"method": "ham", "count": 2}]
OWN = {"methods": METHODS, "budgets": ["own"], "train__max_steps": 1}


def test_a_choice_is_the_best_mean_on_the_scale() -> None:
    rng = np.random.default_rng(1)
    frames = [pl.DataFrame(dict(zip(XY, rng.normal(size=(2, 6)), strict=True))) for _ in range(3)]
    chosen = choosing.choices(frames, bounds={"x": (-1, 1), "y": (0, 9)}, preferences=CORNERS)
    assert chosen[0] == int(np.argmax([frame["x"].mean() for frame in frames]))
    assert chosen[1] == int(np.argmax([frame["y"].mean() for frame in frames]))


def two_policies(weights: Any, **more: Any) -> Any:
    """Two policies; on the test prompts the first is best in x and the second in y."""
    answers = {
        "a": answers_frame(np.tile([3.0, 0.0], (6, 1)), XY),
        "b": answers_frame(np.tile([1.0, 2.0], (6, 1)), XY),
    }
    return measured([run("b", ["a", "b"], weights=weights, **more)], answers, preferences=CORNERS)


def test_policies_without_weights_are_chosen_on_validation() -> None:
    z = {key: (value + 3) / 8 for key, value in (("0", 0.0), ("1", 1.0), ("2", 2.0), ("3", 3.0))}
    flattered = two_policies([None, None])
    honest = two_policies([None, None], chosen=[1, 1])
    assert entry(flattered, "b").utility == pytest.approx((z["3"] + z["2"]) / 2)
    assert entry(honest, "b").utility == pytest.approx((z["1"] + z["2"]) / 2)
    assert entry(honest, "b").missteering is None
    assert (entry(flattered, "b").chosen_on, entry(honest, "b").chosen_on) == ("test", "validation")
    assert "best on these very prompts, so utility is too high" in render(flattered)
    assert "best on the validation prompts." in render(honest)
    assert "too high" not in render(honest)
    assert summary_table(honest)["chosen_on"].to_list() == ["validation"]
    assert summary_table(flattered)["chosen_on"].to_list() == ["test"]
    assert "chosen_on" not in summary_table(two_policies(CORNERS)).columns
    assert "missteering" not in methods_table(flattered).columns


def test_missteering_is_what_other_policies_would_have_given() -> None:
    wrong = two_policies([(0.0, 1.0), (1.0, 0.0)], chosen=[0, 1])
    mine = entry(wrong, "b")
    assert mine.utility == pytest.approx((4 / 8 + 3 / 8) / 2)
    assert mine.missteering == pytest.approx((6 / 8 + 5 / 8) / 2 - mine.utility)
    right = entry(two_policies(CORNERS, chosen=[0, 1]), "b")
    assert right.missteering == 0
    # A choice on validation can also be worse than what was asked for.
    assert entry(two_policies(CORNERS, chosen=[1, 1]), "b").missteering < 0
    assert methods_table(wrong)["missteering"].to_list() == [mine.missteering]
    assert "Mis-steering: utility with" in render(wrong)


def test_missteering_has_an_interval_over_prompts_and_seeds() -> None:
    rng = np.random.default_rng(3)
    answers, runs = {}, []
    for seed in (0, 1):
        keys = [f"{seed}{i}" for i in range(2)]
        answers |= {key: answers_frame(rng.normal(size=(30, 2)), XY) for key in keys}
        runs.append(run("b", keys, seed=seed, weights=CORNERS, chosen=[1, 0]))
    found = entry(measured(runs, answers, preferences=CORNERS), "b").intervals["missteering"]
    assert found.low < found.high


def test_echoes_are_adjusted_for_the_same_choice() -> None:
    rewards = np.array([[[0.9, 0.1]], [[0.2, 0.3]]])
    lower = np.array([[[0.1, 0.1]], [[0.2, 0.3]]])
    run_ = per_prompt(rewards, lower, [None, None], CORNERS, [0, 0])
    assert run_.utility_adjusted is not None
    assert run_.utility_adjusted[0] == pytest.approx(0.1)


@pytest.fixture(scope="module")
def validated(parts: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("validated") / "run"
    do(comparison(parts, str(folder), **OWN, validation=2, data__held_out=6))
    return folder


def record_of(folder: Path) -> ComparisonRecord:
    return ComparisonRecord.of(json.loads((folder / "results.json").read_text()))


def prompts(folder: Path, key: str) -> list[str]:
    return pl.read_parquet(folder / key / "answers.parquet")["prompt"].to_list()


@pytest.mark.slow
def test_parts_are_of_one_permutation(validated: Path, parts: Path, tmp_path: Path) -> None:
    record = record_of(validated)
    policy = record.runs[0].policies[0]
    test, validation = prompts(validated, policy.answers), prompts(validated, policy.validation)
    held_out = pl.read_parquet(validated / "data" / "held_out.parquet")["prompt"].to_list()
    assert sorted(test + validation) == sorted(held_out)
    assert record.positions == {"test": (2, 3, 4, 5), "validation": (0, 1)}
    for each in record.runs:
        assert each.error is None
        for policy in each.policies:
            assert prompts(validated, policy.answers) == test
            assert prompts(validated, policy.validation) == validation
    # The first that are drawn are those that a smaller comparison holds out.
    small = {"methods": ["base"], "budgets": ["own"], "data__held_out": 2}
    do(comparison(parts, str(tmp_path / "small"), **small))
    smaller = pl.read_parquet(tmp_path / "small" / "data" / "held_out.parquet")["prompt"].to_list()
    assert sorted(smaller) == sorted(validation)


@pytest.mark.slow
def test_choices_are_the_validation_prompts(validated: Path) -> None:
    record = record_of(validated)
    for each in record.runs:
        files = [validated / policy.validation / "answers.parquet" for policy in each.policies]
        frames = [pl.read_parquet(file) for file in files]
        again = choosing.choices(frames, bounds=record.bounds, preferences=record.preferences)
        assert each.chosen == again
    result = measure_folder(validated)
    assert result.prompts == 4
    summary = pl.read_csv(validated / "summary.csv")
    assert summary.filter(method="ham")["chosen_on"].to_list() == ["validation"]
    assert summary.filter(method="soups")["missteering"].null_count() == 0
    assert "policies were chosen on 2 others" in (validated / "report.html").read_text()


@pytest.mark.slow
def test_every_number_comes_again_from_the_published_scores(
    validated: Path, tmp_path: Path
) -> None:
    for name in ("scores.parquet", "results.json"):
        shutil.copy(validated / name, tmp_path / name)
    assert measure_scores(tmp_path) == measure_folder(validated)
    record = record_of(validated)
    scores = read_scores(tmp_path, "validation", record)
    for each in record.runs:
        frames = [scores[policy.validation] for policy in each.policies]
        again = choosing.choices(frames, bounds=record.bounds, preferences=record.preferences)
        assert each.chosen == again


@pytest.mark.slow
def test_neither_side_can_read_the_other(validated: Path, tmp_path: Path) -> None:
    record = record_of(validated)
    sides = {
        part: {getattr(p, part) for each in record.runs for p in each.policies}
        for part in ("answers", "validation")
    }
    assert not sides["answers"] & sides["validation"]
    # Without any answer to validation the tables are the same ...
    blind = tmp_path / "blind"
    shutil.copytree(validated, blind)
    for key in sides["validation"]:
        shutil.rmtree(blind / key)
    assert measure_folder(blind) == measure_folder(validated)
    assert load(blind)[1].keys() == sides["answers"]
    # ... and without any answer to test prompts the choices are.
    unseen = tmp_path / "unseen"
    shutil.copytree(validated, unseen)
    for key in sides["answers"]:
        shutil.rmtree(unseen / key)
    again = choosing.with_choices(
        unseen, record.runs, bounds=record.bounds, preferences=record.preferences
    )
    assert again == record.runs


@pytest.mark.slow
def test_without_validation_nothing_is_kept_of_it(parts: Path, tmp_path: Path) -> None:
    folder = tmp_path / "run"
    do(comparison(parts, str(folder), methods=["base"], budgets=["own"]))
    results = json.loads((folder / "results.json").read_text())
    assert "positions" not in results
    assert not {"chosen", "validation"} & {*results["runs"][0], *results["runs"][0]["policies"][0]}
    assert not (folder / "data" / "drawn.parquet").exists()


@pytest.mark.slow
def test_a_prompt_of_both_parts_is_no_test_prompt(parts: Path, tmp_path: Path) -> None:
    # Conversations that begin alike: five of six prompts are the same.
    frame = pl.read_parquet(parts / "data.parquet").with_row_index("conversation")
    same = pl.when(pl.col("conversation") % 6 > 0).then(pl.lit(frame["prompt"][1]))
    frame = frame.with_columns(
        pl.col("conversation").cast(pl.String), prompt=same.otherwise("prompt")
    )
    frame.write_parquet(tmp_path / "alike.parquet")
    more = {"data__source": str(tmp_path / "alike.parquet"), "data__conversation": "conversation"}
    more |= {"methods": ["base"], "budgets": ["own"], "data__held_out": 40}
    do(comparison(parts, str(tmp_path / "run"), validation=20, **more))
    record = record_of(tmp_path / "run")
    policy = record.runs[0].policies[0]
    test = prompts(tmp_path / "run", policy.answers)
    assert test
    assert not {*test} & {*prompts(tmp_path / "run", policy.validation)}
    assert len(test) == len(record.positions["test"]) < 20


def test_a_record_without_validation_is_read() -> None:
    old = run("b", ["a"], weights=[CORNERS[0]])
    record = RunRecord.of(old)
    assert record.chosen is record.policies[0].validation is None
    assert "validation" not in record.to_mapping()["policies"][0]
