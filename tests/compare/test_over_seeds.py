"""Methods over seeds: intervals, verdicts, and when there is none."""

from __future__ import annotations

from itertools import product
from typing import Any

import numpy as np
import polars as pl
import pytest

from helpers.compared import XY, answers_frame, entry, make, measured, result_of, run
from paretohqd.compare.crossed import Crossed, crossed, holm, verdict
from paretohqd.compare.tables import methods_table, summary_table
from paretohqd.compare.text import render

WORDS = ("better", "worse", "equal within", "no worse than", "open")


@pytest.mark.parametrize("between", [0.0, 0.03, 0.1])
def test_an_interval_holds_the_truth_about_as_often_as_it_says(between: float) -> None:
    rng = np.random.default_rng(2)
    hits, repeats = 0, 600
    for _ in range(repeats):
        prompts, seeds = rng.normal(0, 0.3, (60, 1)), rng.normal(0, between, (1, 3))
        result = crossed(0.1 + prompts + seeds + rng.normal(0, 0.5, (60, 3)))
        assert result is not None
        assert (result.p < 0.05) == (not result.low <= 0 <= result.high)
        hits += result.low <= 0.1 <= result.high
    assert 0.92 <= hits / repeats <= 0.99


def test_an_interval_by_its_definition() -> None:
    values = np.random.default_rng(3).normal(size=(5, 3))
    mean = values.mean()
    rows, columns = values.mean(axis=1), values.mean(axis=0)
    prompts = 3 * sum((row - mean) ** 2 for row in rows) / 4
    seeds = 5 * sum((column - mean) ** 2 for column in columns) / 2
    rest = sum(
        (values[i, s] - rows[i] - columns[s] + mean) ** 2 for i in range(5) for s in range(3)
    )
    rest /= 4 * 2
    total = max(prompts + seeds - rest, prompts)
    result = crossed(values)
    assert result is not None
    assert (result.low + result.high) / 2 == pytest.approx(mean)
    from scipy.stats import t

    free = total**2 / (prompts**2 / 4 + seeds**2 / 2 + rest**2 / 8)
    assert (result.high - result.low) / 2 == pytest.approx(t.ppf(0.975, free) * (total / 15) ** 0.5)


def seen(low: float, high: float) -> Crossed:
    """A difference with this 90 % interval, and a wider one of 95 %."""
    return Crossed(
        mean=(low + high) / 2, low=low - 0.01, high=high + 0.01, low_90=low, high_90=high, p=0.04
    )


@pytest.mark.parametrize(
    ("low", "high", "corrected", "said"),
    [
        (0.01, 0.03, 0.049, "better"),
        (-0.03, -0.01, 0.049, "worse"),
        (0.001, 0.005, 0.01, "better"),
        (0.001, 0.019, 0.05, "equal within .02"),
        (-0.019, 0.019, 0.3, "equal within .02"),
        (-0.019, 0.02, 0.3, "no worse than .02"),
        (0.03, 0.3, 0.06, "no worse than .02"),
        (-0.02, 0.0, 0.3, "open: from -0.030 to +0.010"),
        (-0.3, -0.03, 0.06, "open: from -0.310 to -0.020"),
    ],
)
def test_what_a_difference_says(low: float, high: float, corrected: float, said: str) -> None:
    assert verdict(seen(low, high), corrected) == said


def test_the_90_percent_interval_is_two_tests_at_5() -> None:
    values = np.random.default_rng(5).normal(0.01, 0.1, (80, 3))
    whole = crossed(values)
    assert whole is not None
    assert whole.low < whole.low_90 < whole.mean < whole.high_90 < whole.high
    moved = crossed(values - whole.low_90)
    assert moved is not None
    assert moved.p / 2 == pytest.approx(0.05)


def test_equal_methods_are_called_equal_where_seeds_agree() -> None:
    runs, answers = seeded({"ParetoHqD": 0.0, "b": 0.0}, {"ParetoHqD": range(3), "b": range(3)})
    result = measured(runs, answers)
    assert entry(result, "b").against.reference.verdict == "equal within .02"
    text = render(result)
    assert "b against ParetoHqD: equal within .02 (utility" in text
    assert "else equal within 0.02 where the 90 % interval lies within" in text
    row = summary_table(result).row(by_predicate=pl.col("method") == "b", named=True)
    assert -0.02 < row["reference low_90"] < row["reference high_90"] < 0.02
    assert row["reference low"] < row["reference low_90"]


def test_few_or_equal_values_have_no_doubt_or_no_interval() -> None:
    assert crossed(np.zeros((9, 1))) is None
    assert crossed(np.zeros((1, 9))) is None
    same, none = crossed(np.full((4, 2), 0.5)), crossed(np.zeros((4, 2)))
    assert same is not None
    assert none is not None
    assert (same.low, same.high, same.p) == (0.5, 0.5, 0.0)
    assert (none.low, none.high, none.p) == (0.0, 0.0, 1.0)


def test_holm_by_hand() -> None:
    assert holm([0.03, 0.001, 0.02, 0.9]) == pytest.approx([0.06, 0.004, 0.06, 0.9])
    assert holm([0.4, 0.6]) == [0.8, 0.8]
    assert holm([]) == []


def seeded(gains: dict[str, float], seeds: Any, *, jitter: float = 0.05) -> Any:
    """A base, and methods with a gain over it, a little noise and these seeds."""
    level = np.random.default_rng(4).normal(0, 1.5, size=(50, 2))
    answers, runs = {"base": answers_frame(level - 1, XY)}, [run("base", ["base"])]
    for at, ((name, gain), seed) in enumerate(product(gains.items(), range(9))):
        if seed in seeds[name]:
            noise = np.random.default_rng(at).normal(0, jitter, size=(50, 2))
            answers[f"{name}{seed}"] = answers_frame(level + gain + noise, XY)
            runs.append(run(name, [f"{name}{seed}"], seed=seed))
    return runs, answers


def test_prompts_are_paired() -> None:
    # Prompts differ much, the methods by .4 on each of them: only pairing sees that.
    runs, answers = seeded({"ParetoHqD": 0.0, "b": 0.4}, {"ParetoHqD": range(3), "b": range(3)})
    result = measured(runs, answers)
    mine, reference = entry(result, "b"), entry(result, "ParetoHqD")
    against = mine.against.reference
    assert (against.verdict, against.seeds) == ("better", (0, 1, 2))
    assert against.low < 0.4 / 8 < against.high, "the box is 8 wide"
    assert mine.low < reference.high, "each alone, the intervals overlap"
    assert mine.against.base.low > 0
    assert entry(result, "base").against.reference.high < 0
    assert reference.against.reference is entry(result, "base").against.base is None
    assert "b against ParetoHqD: better" in render(result)


def test_seeds_that_differ_leave_it_open() -> None:
    runs, answers = seeded({"ParetoHqD": 0.0, "b": 0.4}, {"ParetoHqD": range(3), "b": range(3)})
    for seed, shift in enumerate((-1.0, 0.0, 1.0)):
        moved = answers[f"b{seed}"].with_columns(pl.col(XY) + shift)
        answers[f"b{seed}"] = moved
    result = entry(measured(runs, answers), "b")
    against = result.against.reference
    assert against.verdict == f"open: from {against.low:+.3f} to {against.high:+.3f}"
    assert result.against.reference.low < 0 < result.against.reference.high
    assert result.spread == pytest.approx(1 / 8, rel=0.05)


def test_a_method_is_the_mean_of_its_runs() -> None:
    runs, answers = seeded({"ParetoHqD": 0.0, "b": 0.4}, {"ParetoHqD": range(3), "b": range(3)})
    result = measured(runs, answers)
    for kind in ("utility", "hypervolume"):
        each = [getattr(r, kind) for r in result.runs if r.run.method == "b"]
        assert getattr(entry(result, "b"), kind) == pytest.approx(np.mean(each))
    mean = np.mean([answers[f"b{seed}"]["x"].mean() for seed in range(3)])
    assert entry(result, "b").points[0].reward["x"].mean == pytest.approx(mean)


def test_a_difference_is_over_the_seeds_that_both_have() -> None:
    runs, answers = seeded({"ParetoHqD": 0.0, "b": 0.4}, {"ParetoHqD": range(4), "b": (1, 3, 7)})
    answers["ParetoHqD0"] = answers["ParetoHqD0"].with_columns(pl.col(XY) + 3)
    against = entry(measured(runs, answers), "b").against.reference
    assert against.seeds == (1, 3)
    assert against.p is not None
    assert against.mean == pytest.approx(0.4 / 8, abs=0.01)


def test_without_a_common_seed_nothing_is_tested() -> None:
    runs, answers = seeded({"ParetoHqD": 0.0, "b": 0.4}, {"ParetoHqD": (0, 1), "b": (2, 3)})
    against = entry(measured(runs, answers), "b").against.reference
    assert (against.verdict, against.low, against.p) == (
        "no common seed: not tested",
        None,
        None,
    )


def test_one_seed_never_has_a_verdict() -> None:
    # However large the difference is: another seed may lie anywhere.
    runs, answers = seeded({"ParetoHqD": 0.0, "b": 4.0}, {"ParetoHqD": range(3), "b": (0,)})
    result = measured(runs, answers)
    mine = entry(result, "b")
    assert mine.low is mine.spread is mine.against.base.low is None
    against = mine.against.reference
    assert (against.verdict, against.low) == ("one seed: not tested", None)
    assert "b against ParetoHqD: one seed: not tested" in render(result)


def test_a_comparison_of_one_seed_has_no_verdict_anywhere() -> None:
    results, answers = make(seeds=[0])
    result = result_of(results, answers)
    text = render(result)
    assert "With one seed there is no interval and no verdict" in text
    assert not any(word in text for word in WORDS)
    summary = summary_table(result)
    said = dict(summary.filter(budget="own").select("method", "reference verdict").iter_rows())
    assert said.pop("ParetoHqD") is None
    assert said.pop("base") == "the base: not tested"
    assert set(said.values()) == {"one seed: not tested"}
    for name in ("low", "high", "spread", "reference low", "reference p", "base low"):
        assert summary[name].null_count() == summary.height, name
    for table in (summary, methods_table(result)):
        cells = {str(value) for row in table.rows() for value in row}
        assert not any(cell.startswith(WORDS) for cell in cells)


def test_the_base_of_several_seeds_is_one_run() -> None:
    runs, answers = seeded({"ParetoHqD": 0.5}, {"ParetoHqD": range(3)})
    runs += [{**runs[0], "seed": seed} for seed in (1, 2)]
    result = measured(runs, answers)
    base = entry(result, "base")
    assert (base.seeds, base.failed, base.spread, base.low) == ((0,), (), None, None)
    assert base.against.reference.seeds == (0, 1, 2), "the other side has seeds"
    assert "its runs are one" in render(result)


def test_what_is_not_trained_is_held_against_every_seed() -> None:
    runs, answers = seeded({"ParetoHqD": 0.0, "b": 0.4}, {"ParetoHqD": range(3), "b": (0,)})
    for one in runs:
        one["models"] = int(one["method"] == "ParetoHqD")
    result = entry(measured(runs, answers), "b")
    against = result.against.reference
    assert against.seeds == (0, 1, 2), "best of n has no seed of its own"
    assert against.p is not None
    assert (result.seeds, result.spread) == ((0,), None)


def test_verdicts_are_corrected_for_their_number() -> None:
    names = ["ParetoHqD", *(f"m{i}" for i in range(30))]
    gains = {name: 0.09 if name == "m0" else 0.0 for name in names}
    runs, answers = seeded(gains, dict.fromkeys(names, range(3)), jitter=0.3)
    alone = [r for r in runs if r["method"] in ("base", "ParetoHqD", "m0")]
    few, many = (entry(measured(some, answers), "m0").against.reference for some in (alone, runs))
    assert few.p == many.p < 0.05
    assert (few.verdict, many.verdict) == ("better", "equal within .02")
    assert many.corrected > 0.05 > few.corrected


def test_policies_that_take_no_weights_are_said_to_be_chosen() -> None:
    results, answers = make(budgets=["own"], ablations=())
    for each in results["runs"]:
        for policy in each["policies"] if each["kind"] == "modpo" else ():
            policy["weights"] = None
    result = result_of(results, answers)
    text = render(result)
    assert "MODPO: several policies that take no weights" in text
    assert "MODPO †" in text
    # Its utility is too high: nothing is said of it, and nobody else pays for it.
    against = entry(result, "MODPO").against.reference
    assert (against.verdict, against.corrected) == ("chosen on these prompts: not tested", None)
    assert against.p is not None
    runs = [each for each in results["runs"] if each["kind"] != "modpo"]
    without = result_of({**results, "runs": runs}, answers)
    for mine in without.methods:
        assert mine.against.reference == entry(result, mine.method).against.reference


def test_nothing_is_tested_against_what_was_chosen_on_the_same_prompts() -> None:
    results, answers = make(budgets=["own"], ablations=())
    for each in results["runs"]:
        for policy in each["policies"] if each["method"] == results["reference"] else ():
            policy["weights"] = None
    for mine in result_of(results, answers).methods:
        if mine.method != results["reference"]:
            assert mine.against.reference.corrected is None


def test_the_base_has_no_verdict() -> None:
    results, answers = make(budgets=["own"], ablations=())
    result = result_of(results, answers)
    against = entry(result, "base").against.reference
    assert (against.verdict, against.corrected) == ("the base: not tested", None)
    tested = [mine for mine in result.methods if (it := mine.against.reference) and it.corrected]
    assert f"corrects it for all {len(tested)} tested" in render(result)
