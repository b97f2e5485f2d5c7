from __future__ import annotations

import dataclasses
import json
import math
from typing import Any

import polars as pl
import pytest

from paretohqd.runs import evaluation
from paretohqd.runs.evaluation import measure, summarise
from paretohqd.runs.metrics import Collapse, Metrics, SampleMean
from paretohqd.runs.sections import Evaluation
from paretohqd.runs.verdicts import mean_and_error

BOX = {"a": (-1.0, 4.0), "b": (0.0, 5.0)}


RECORDED = """
{"objectives": ["a", "b"], "preferences": [[1.0, 0.0], [0.5, 0.5], [0.0, 1.0]], "models": [
{"model": "base", "stage": 0, "preference": null, "weights": null, "n": 2, "reward": {"a":
  {"mean": 1.0, "se": 1.0}, "b": {"mean": 1.0, "se": 1.0}}, "gain": null, "collapse": {"short":
  0.0, "repetitive": 0.0, "any": 0.0}, "echo": 0.0, "words": 6.0, "tokens": 6.0, "finished": 0.5},
{"model": "stage1-00", "stage": 1, "preference": 0, "weights": [1.0, 0.0], "n": 2, "reward": {"a":
  {"mean": 5.0, "se": 1.0}, "b": {"mean": 0.0, "se": 0.0}}, "gain": {"a": {"mean": 4.0, "se":
  0.0}, "b": {"mean": -1.0, "se": 1.0}}, "collapse": {"short": 0.5, "repetitive": 0.0, "any":
  0.5}, "echo": 0.0, "words": 4.0, "tokens": 6.0, "finished": 1.0},
{"model": "stage1-01", "stage": 1, "preference": 1, "weights": [0.5, 0.5], "n": 2, "reward": {"a":
  {"mean": 3.0, "se": 2.0}, "b": {"mean": 3.0, "se": 1.0}}, "gain": {"a": {"mean": 2.0, "se":
  1.0}, "b": {"mean": 2.0, "se": 2.0}}, "collapse": {"short": 0.0, "repetitive": 0.0, "any": 0.0},
  "echo": 1.0, "words": 4.0, "tokens": 6.0, "finished": 1.0},
{"model": "stage1-02", "stage": 1, "preference": 2, "weights": [0.0, 1.0], "n": 2, "reward": {"a":
  {"mean": 0.0, "se": 0.0}, "b": {"mean": 5.0, "se": 0.0}}, "gain": {"a": {"mean": -1.0, "se":
  1.0}, "b": {"mean": 4.0, "se": 1.0}}, "collapse": {"short": 0.5, "repetitive": 0.5, "any": 0.5},
  "echo": 0.0, "words": 4.0, "tokens": 6.0, "finished": 1.0}],
"bounds": {"a": [-1.0, 4.0], "b": [0.0, 5.0]},
"utility": {"sets": {"base": 0.30000000000000004, "stage1": 0.9666666666666667, "best_single":
  0.7000000000000001}, "best_single_model": "stage1-01"},
"hypervolume": {"sets": {"base": 0.08000000000000002, "stage1": 0.56, "best_single": 0.48},
  "best_single_model": "stage1-01"},
"findings": [
{"objective": "a", "corner": "(1, 0)", "verdict": "wins", "rivals": [{"text": "(0, 1)", "verdict":
  "wins", "mean": 5.0, "se": 1.0}], "base": {"text": "base", "verdict": "wins", "mean": 4.0, "se":
  0.0}},
{"objective": "b", "corner": "(0, 1)", "verdict": "wins", "rivals": [{"text": "(1, 0)", "verdict":
  "wins", "mean": 5.0, "se": 0.0}], "base": {"text": "base", "verdict": "wins", "mean": 4.0, "se":
  1.0}}],
"rank_correlation": {"stage1": {"a": 1.0, "b": 1.0}}}
"""
"""What earlier versions wrote of `models`, there in lines of one value each."""


def answers(a: list[float], b: list[float], **more: Any) -> pl.DataFrame:
    n = len(a)
    columns = {
        "a": a,
        "b": b,
        "words": [4] * n,
        "tokens": [6] * n,
        "short": [False] * n,
        "repetitive": [False] * n,
        "echo": [False] * n,
        "finished": [True] * n,
    }
    return pl.DataFrame({**columns, **more})


@pytest.fixture
def models() -> dict[str, pl.DataFrame]:
    return {
        "base": answers([0.0, 2.0], [0.0, 2.0], words=[4, 8], finished=[True, False]),
        "stage1-00": answers([4.0, 6.0], [0.0, 0.0], short=[True, False]),
        "stage1-01": answers([1.0, 5.0], [4.0, 2.0], echo=[True, True]),
        "stage1-02": answers([0.0, 0.0], [5.0, 5.0], short=[True, False], repetitive=[True, False]),
    }


@pytest.fixture
def summary(models: dict[str, pl.DataFrame]) -> Metrics:
    return summarise(
        models,
        objectives=["a", "b"],
        preferences=[[1.0, 0.0], [0.5, 0.5], [0.0, 1.0]],
        bounds=BOX,
    )


def test_metrics_json_has_the_same_bytes_as_ever(summary: Metrics) -> None:
    text = json.dumps(json.loads(RECORDED), indent=1)
    assert summary.to_json() == text
    assert Metrics.from_json(text) == summary
    assert Metrics.from_json(text).to_json() == text


def test_nan_is_never_written(summary: Metrics) -> None:
    metrics = dataclasses.replace(summary, rank_correlation={"stage1": {"a": math.nan}})
    with pytest.raises(ValueError, match="not JSON compliant"):
        metrics.to_json()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"objectives": "a"}, "objectives: expected a list"),
        ({"utility": {"sets": {"base": "high"}, "best_single_model": "base"}}, "utility.sets.base"),
        ({"findings": [{"objective": "a"}]}, "missing key"),
        ({"modles": []}, "unknown key modles: did you mean models"),
    ],
)
def test_another_files_metrics_are_refused(change: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Metrics.from_json(json.dumps(json.loads(RECORDED) | change))


def test_means_errors_and_gains(summary: Metrics) -> None:
    base, first, second, _ = summary.models
    assert (base.stage, base.preference, base.weights) == (0, None, None)
    assert base.gain is None
    assert (second.stage, second.preference, second.weights) == (1, 1, (0.5, 0.5))
    assert base.reward["a"] == SampleMean(1.0, pytest.approx(1.0))
    # 1 and 5: mean 3, standard deviation sqrt(8), error sqrt(8 / 2).
    assert second.reward["a"] == SampleMean(3.0, pytest.approx(2.0))
    # The same prompts: 4 - 0 and 6 - 2 gain 4 each, without any error.
    assert first.gain["a"] == SampleMean(4.0, 0.0)
    # 4 - 0 and 2 - 2: mean 2, error sqrt(8 / 2).
    assert second.gain["b"] == SampleMean(2.0, pytest.approx(2.0))


def test_shares(summary: Metrics) -> None:
    base, first, second, third = summary.models
    assert first.collapse == Collapse(short=0.5, repetitive=0.0, any=0.5)
    assert third.collapse == Collapse(short=0.5, repetitive=0.5, any=0.5)
    assert (second.echo, base.echo) == (1.0, 0.0)
    assert (base.words, base.tokens, base.finished, base.n) == (6.0, 6.0, 0.5, 2)


def test_utility_and_hypervolume(summary: Metrics) -> None:
    # Mean points: base (1, 1), then (5, 0), (3, 3), (0, 5), in a box of (-1, 0) to (4, 5).
    assert summary.bounds == {"a": (-1.0, 4.0), "b": (0.0, 5.0)}
    volume, utility = summary.hypervolume, summary.utility
    # (.4, .2); then (1.2, 0), (.8, .6), (.2, 1): what lies outside the box is not clipped.
    assert volume.sets == pytest.approx({"base": 0.08, "stage1": 0.56, "best_single": 0.48})
    assert volume.best_single_model == "stage1-01"
    # Asked for (1, 0), (.5, .5), (0, 1): 1.2, .7, 1; the best for all of them is .7 for each.
    assert utility.sets == pytest.approx({"base": 0.3, "stage1": 2.9 / 3, "best_single": 0.7})
    assert utility.best_single_model == "stage1-01"


def test_other_models_move_no_score(models: dict[str, pl.DataFrame]) -> None:
    given = {"objectives": ["a", "b"], "preferences": [[1, 0], [0.5, 0.5], [0, 1]], "bounds": BOX}
    before = summarise(models, **given)
    models |= {f"stage2-{i:02d}": answers([90.0, 90.0], [-40.0, -40.0]) for i in range(3)}
    after = summarise(models, **given)
    for kind in ("utility", "hypervolume"):
        for name in ("base", "stage1"):
            assert getattr(after, kind).sets[name] == getattr(before, kind).sets[name]


def test_an_objective_that_no_model_moves() -> None:
    same = answers([1.0, 1.0], [2.0, 3.0])
    metrics = summarise(
        {"base": same, "stage1-00": same, "stage1-01": answers([1.0, 1.0], [4.0, 4.0])},
        objectives=["a", "b"],
        preferences=[[1.0, 0.0], [0.0, 1.0]],
        bounds=BOX,
    )
    assert metrics.hypervolume.sets["stage1"] == pytest.approx(0.4 * 0.8)
    assert metrics.rank_correlation["stage1"]["a"] is None
    assert Metrics.from_json(metrics.to_json()) == metrics


def test_rank_correlation(summary: Metrics) -> None:
    assert summary.rank_correlation == {"stage1": {"a": 1.0, "b": 1.0}}


def test_two_stages(models: dict[str, pl.DataFrame]) -> None:
    models |= {f"stage2-{i:02d}": models["stage1-01"] for i in range(3)}
    metrics = summarise(
        models,
        objectives=["a", "b"],
        preferences=[[1, 0], [0.5, 0.5], [0, 1]],
        bounds=BOX,
    )
    assert list(metrics.hypervolume.sets) == ["base", "stage1", "stage2", "best_single"]
    assert metrics.rank_correlation["stage2"] == {"a": None, "b": None}


def test_one_held_out_prompt_has_no_error() -> None:
    one = {"base": answers([1.0], [1.0]), "stage1-00": answers([2.0], [0.0])}
    metrics = summarise(one, objectives=["a", "b"], preferences=[[0.5, 0.5]], bounds=BOX)
    assert metrics.models[1].reward["a"] == SampleMean(2.0, None)
    assert Metrics.from_json(metrics.to_json()) == metrics
    assert "2.000 (-)" in evaluation.render(metrics)
    assert evaluation.table(metrics)["a se"].to_list() == [None, None]


def test_one_held_out_prompt_decides_nothing() -> None:
    one = {
        "base": answers([1.0], [1.0]),
        "stage1-00": answers([2.0], [0.0]),
        "stage1-01": answers([0.0], [2.0]),
    }
    metrics = summarise(
        one, objectives=["a", "b"], preferences=[[1.0, 0.0], [0.0, 1.0]], bounds=BOX
    )
    assert Metrics.from_json(metrics.to_json()) == metrics
    assert [finding.verdict for finding in metrics.findings] == ["open", "open"]
    assert (
        "a: (1, 0) does not differ significantly from (0, 1): +2.000 (se unknown)"
        in evaluation.render(metrics)
    )


def test_utility_and_hypervolume_have_their_own_best_models() -> None:
    several = {
        "base": answers([0.0], [1.0]),
        "stage1-00": answers([9.0], [0.5]),
        "stage1-01": answers([2.0], [3.0]),
    }
    metrics = summarise(several, objectives=["a", "b"], preferences=[[1, 0], [0, 1]], bounds=BOX)
    assert metrics.utility.best_single_model == "stage1-00"
    assert metrics.utility.sets["best_single"] == pytest.approx((2.0 + 0.1) / 2)
    assert metrics.hypervolume.best_single_model == "stage1-01"
    assert metrics.hypervolume.sets["best_single"] == pytest.approx(0.6 * 0.6)


def test_the_table_has_a_row_per_model(summary: Metrics) -> None:
    table = evaluation.table(summary)
    assert table["model"].to_list() == ["base", "stage1-00", "stage1-01", "stage1-02"]
    assert table["weights"].to_list() == ["-", "(1, 0)", "(0.5, 0.5)", "(0, 1)"]
    assert table.columns == [
        "model",
        "weights",
        "a",
        "a se",
        "a gain",
        "a gain se",
        "b",
        "b se",
        "b gain",
        "b gain se",
        "collapse short",
        "collapse repetitive",
        "collapse any",
        "echo",
        "words",
        "tokens",
        "finished",
        "n",
    ]
    assert table["a"].to_list() == [1.0, 5.0, 3.0, 0.0]
    assert table["b gain"].to_list() == [None, -1.0, 2.0, 4.0]
    assert not any(value is None for value in table["a se"])


def test_the_rendered_table(summary: Metrics) -> None:
    lines = evaluation.render(summary).splitlines()
    head = ["model", "w", "a (se)", "b (se)", "vs base (se): a", "vs base (se): b"]
    starts = [lines[0].index(name) for name in head]
    assert starts == sorted(starts)
    assert [line.split("  ")[0] for line in lines[2:6]] == list(
        ("base", "stage1-00", "stage1-01", "stage1-02")
    )
    row = lines[4]
    cells = [row[a:b].strip() for a, b in zip(starts, [*starts[1:], None], strict=True)]
    assert cells[1:5] == ["(0.5, 0.5)", "3.000 (2.000)", "3.000 (1.000)", "+2.000 (1.000)"]
    text = "\n".join(lines[6:])
    assert "on the scale of the data, a [-1, 4], b [0, 5] to [0, 1]" in text
    assert "asked for w: base 0.3   stage1 0.9667   best single (stage1-01) 0.7" in text
    assert "reference 0: base 0.08   stage1 0.56   best single (stage1-01) 0.48" in text
    assert "one training each" in text
    assert "rank correlation of weight and reward, stage1: a +1.00, b +1.00" in text


def test_measures_of_the_text() -> None:
    frame = pl.DataFrame(
        {
            "prompt": ["Tell me about tea.", "Hello", "Again?", "Hi"],
            "response": ["tell me about tea", "Yes.", "na na na na na na", ""],
        }
    )
    measured = measure(frame, Evaluation())
    assert measured["words"].to_list() == [4, 1, 6, 0]
    assert measured["short"].to_list() == [False, True, False, True]
    assert measured["repetitive"].to_list() == [False, False, True, False]
    assert measured["echo"].to_list() == [True, False, False, False]
    assert measured.columns == ["prompt", "response", "words", "short", "repetitive", "echo"]
    strict = measure(frame, Evaluation(min_words=5, repeats=10, distinct=0.0, echo=1.0))
    assert strict["short"].to_list() == [True, True, False, True]
    assert strict["repetitive"].to_list() == [False] * 4


def test_means_of_floats_are_plain() -> None:
    estimate = mean_and_error(pl.Series([0.1, 0.2, 0.4]))
    assert estimate.mean == pytest.approx(0.7 / 3)
    deviation = math.sqrt(sum((x - 0.7 / 3) ** 2 for x in (0.1, 0.2, 0.4)) / 2)
    assert estimate.se == pytest.approx(deviation / math.sqrt(3))
