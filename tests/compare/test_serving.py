"""How a run serves the preferences: each measure against its plain definition."""

from __future__ import annotations

from itertools import product

import numpy as np
import polars as pl
import pytest

from helpers.compared import BOX, CORNERS, XY, answers_frame, entry, make, measured, result_of, run
from paretohqd.compare.crossed import crossed
from paretohqd.compare.serving import following, tchebycheff, wins
from paretohqd.compare.tables import methods_table, summary_table
from paretohqd.compare.text import render
from paretohqd.runs.utility import scaled


def test_the_tchebycheff_utility_is_that_of_mean_scores() -> None:
    rng = np.random.default_rng(1)
    rewards, weights = rng.normal(0.5, 0.4, (3, 40, 2)), np.array(CORNERS)
    values = tchebycheff(rewards, [0, 1, 2], CORNERS)
    plain = [
        1 - max(w[m] * (1 - rewards[p, :, m].mean()) for m in range(2))
        for p, w in enumerate(weights)
    ]
    assert values.mean() == pytest.approx(np.mean(plain))


def test_a_prompts_value_is_what_the_gradient_says_of_it() -> None:
    rng = np.random.default_rng(2)
    rewards, step = rng.normal(0.5, 0.4, (2, 30, 2)), 1e-6
    chosen, preferences = [0, 1], [(0.7, 0.3), (0.2, 0.8)]
    values = tchebycheff(rewards, chosen, preferences)
    for prompt in (0, 17):
        # Counting a prompt a little more moves the means, and the measure by its value's surplus.
        more = np.full(30, (1 - step) / 30)
        more[prompt] += step
        moved = np.einsum("n,pnm->pm", more, rewards)[:, None]
        change = (tchebycheff(moved, chosen, preferences)[0] - values.mean()) / step
        assert change == pytest.approx(values[prompt] - values.mean(), abs=1e-6)


def test_following_is_the_slope_of_each_prompt() -> None:
    rng = np.random.default_rng(3)
    weights = np.array([(1, 0), (0.7, 0.3), (0.5, 0.5), (0, 1)])
    rewards = rng.normal(size=(4, 9, 2))
    slopes = following(rewards, weights.tolist())
    assert slopes is not None
    for prompt in range(9):
        each = [np.polyfit(weights[:, m], rewards[:, prompt, m], 1)[0] for m in range(2)]
        assert slopes[prompt] == pytest.approx(np.mean(each))


def test_without_two_different_weights_nothing_is_followed() -> None:
    rewards = np.zeros((2, 3, 2))
    assert following(rewards, [None, None]) is None
    assert following(rewards, [(0.5, 0.5), (0.5, 0.5)]) is None
    assert following(rewards[:1], [(0.5, 0.5)]) is None
    assert following(rewards, [(0.5, 0.5), (1.0, 0.0)]) is not None
    assert following(rewards, [None, (1.0, 0.0)]) is None


def test_an_objective_of_one_weight_does_not_count() -> None:
    rewards = np.random.default_rng(4).normal(size=(2, 5, 3))
    three = following(rewards, [(0.6, 0.2, 0.2), (0.3, 0.5, 0.2)])
    two = following(rewards[..., :2], [(0.6, 0.2), (0.3, 0.5)])
    assert three is not None
    assert two is not None
    assert np.allclose(three, two)


def test_equal_scores_win_half() -> None:
    mine = np.random.default_rng(5).normal(size=(3, 20))
    assert set(wins(mine, mine)) == {0.5}
    theirs = mine + np.where(np.arange(20) < 5, 1.0, -1.0)
    assert wins(mine, theirs).mean() == 0.75
    assert np.allclose(wins(mine, theirs) + wins(theirs, mine), 1)


def seeded() -> tuple[list[dict[str, object]], dict[str, object]]:
    """A method that follows its weights and one that does not, two seeds of each, and a base."""
    rng = np.random.default_rng(6)
    level = rng.normal(0, 1, (40, 2))
    answers = {"base": answers_frame(level - 1, XY)}
    runs = [run("base", ["base"])]
    for name, seed in product(("ParetoHqD", "b"), (0, 1)):
        keys = []
        for i, w in enumerate(CORNERS):
            pull = 2 * np.array(w) if name == "b" else 0.5
            keys.append(f"{name}{seed}{i}")
            answers[keys[-1]] = answers_frame(level + pull + rng.normal(0, 0.3, (40, 2)), XY)
        runs.append(run(name, keys, seed=seed, weights=CORNERS))
    return runs, answers


def test_a_methods_measures_are_its_runs_over_prompts_and_seeds() -> None:
    runs, answers = seeded()
    result = measured(runs, answers)
    mine, reference = entry(result, "b"), entry(result, "ParetoHqD")
    z = np.array(
        [
            [scaled(answers[f"b{seed}{i}"].select(XY).to_numpy(), BOX) for i in range(3)]
            for seed in (0, 1)
        ]
    )
    slopes = np.stack([following(own, CORNERS) for own in z], axis=1)
    whole = crossed(slopes)
    assert whole is not None
    assert mine.following == pytest.approx(slopes.mean())
    found = mine.intervals["following"]
    assert (found.low, found.high) == pytest.approx((whole.low, whole.high))
    assert mine.following == pytest.approx(2 / 8, abs=0.03), "the box is 8 wide"
    assert abs(reference.following) < 0.03
    balanced = mine.intervals["utility_tchebycheff"]
    assert balanced.low < mine.utility_tchebycheff < balanced.high
    difference = mine.against.tchebycheff
    assert difference.mean == pytest.approx(
        mine.utility_tchebycheff - reference.utility_tchebycheff
    )
    assert difference.low < difference.mean < difference.high
    assert difference.verdict == "", "utility alone is tested"
    rate = mine.against.win_rate
    preferred = {
        (name, seed, i): scaled(answers[f"{name}{seed}{i}"].select(XY).to_numpy(), BOX) @ w
        for name in ("b", "ParetoHqD")
        for seed in (0, 1)
        for i, w in enumerate(CORNERS)
    }
    above = [
        preferred["b", seed, i] > preferred["ParetoHqD", seed, i]
        for seed in (0, 1)
        for i in range(3)
    ]
    assert rate.mean == pytest.approx(np.mean(above))
    assert rate.low < rate.mean < rate.high
    assert reference.against.win_rate is None
    base = entry(result, "base")
    assert base.following is None
    assert base.intervals == {}


def test_one_seed_has_values_and_no_intervals() -> None:
    results, answers = make(seeds=[0], budgets=["own"], ablations=())
    result = result_of(results, answers)
    mine = entry(result, "MODPO")
    assert mine.intervals == {}
    assert mine.following is not None
    assert mine.against.win_rate.low is None
    summary = summary_table(result)
    for name in ("utility_tchebycheff", "following", "win_rate"):
        assert summary[f"{name} low"].null_count() == summary.height
        assert summary[name].null_count() < summary.height


def test_tables_and_text_show_them() -> None:
    result = result_of(*make(budgets=["own"], ablations=()))
    row = summary_table(result).row(by_predicate=pl.col("method") == "MODPO", named=True)
    mine = entry(result, "MODPO")
    assert row["win_rate"] == mine.against.win_rate.mean
    assert row["following low"] == mine.intervals["following"].low
    assert row["tchebycheff mean"] == mine.against.tchebycheff.mean
    runs = methods_table(result).filter(method="MODPO")
    assert runs["following"].mean() == pytest.approx(mine.following)
    assert runs["utility_tchebycheff"].mean() == pytest.approx(mine.utility_tchebycheff)
    text = render(result)
    (line,) = (line for line in text.splitlines() if line.startswith("MODPO  "))
    assert f"{100 * mine.against.win_rate.mean:.0f} %" in line
    assert f"{mine.following:+.2f}" in line
    assert "equal methods have 50 %" in text
