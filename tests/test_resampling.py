"""Intervals and verdicts of a comparison by drawing prompts again."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from compared import (
    XY,
    answers_frame,
    bounds_of,
    entry,
    run,
    stood,
)
from paretohqd.hypervolume import hypervolume
from paretohqd.standing.resampling import interval, prompt_shares, seed_shares, verdict, volumes


@settings(deadline=None)
@given(
    st.integers(1, 4).flatmap(
        lambda m: st.integers(1, 6).flatmap(
            lambda p: st.lists(
                st.lists(
                    st.lists(st.integers(-2, 5), min_size=m, max_size=m), min_size=p, max_size=p
                ),
                min_size=1,
                max_size=4,
            )
        )
    )
)
def test_volumes_of_many_sets_are_those_of_each(sets):
    points = np.array(sets, dtype=float) / 2
    one_by_one = [hypervolume(each, ref=[0.0] * points.shape[2]) for each in points]
    assert volumes(points) == pytest.approx(one_by_one, abs=1e-12)


def test_shares_are_draws_with_replacement():
    shares = prompt_shares(5, 4000, 3)
    assert shares.sum(axis=1) == pytest.approx(1)
    counts = shares * 5
    assert (counts == counts.round()).all()
    assert counts.mean(axis=0) == pytest.approx(1, abs=0.06)
    assert counts.var(axis=0) == pytest.approx(0.8, abs=0.08)  # binomial: 5 * 1/5 * 4/5
    assert (prompt_shares(5, 9, 3) == shares[:9]).all()
    assert (prompt_shares(5, 9, 4) != shares[:9]).any()
    assert not np.array_equal(seed_shares([0, 1], 99, 0), seed_shares([0, 2], 99, 0))
    assert not np.array_equal(seed_shares([-1, 1], 99, 0), seed_shares([1, 2], 99, 0))


def test_hypervolume_interval_is_that_of_resampled_prompts():
    rng = np.random.default_rng(0)
    answers = {k: answers_frame(rng.normal(size=(20, 2)), XY) for k in ("base", "a", "b")}
    runs = [run("base", ["base"]), run("m", ["a", "b"])]
    found = stood(runs, answers, replicates=300, seed=4)
    means = {k: f.select(XY).to_numpy().mean(axis=0) for k, f in answers.items()}
    low, high = (pick(list(means.values()), axis=0) for pick in (np.min, np.max))
    assert bounds_of(found) == pytest.approx(np.array([low, high]))
    points = (np.array([means["a"], means["b"]]) - low) / (high - low)
    mine = found["runs"][1]
    assert mine["hypervolume"] == pytest.approx(hypervolume(points, ref=[0, 0]))
    assert mine["best_single"] == pytest.approx(points.prod(axis=1).max())
    raw = np.array([means["a"], means["b"]])
    assert mine["raw"] == pytest.approx(hypervolume(raw, ref=[0, 0]))
    # By hand: each replicate's prompts, one at a time.
    values = []
    for counts in (prompt_shares(20, 300, 4) * 20).round().astype(int):
        rows = np.repeat(np.arange(20), counts)
        again = [answers[k].select(XY).to_numpy()[rows].mean(axis=0) for k in "ab"]
        values.append(hypervolume((np.array(again) - low) / (high - low), ref=[0, 0]))
    ends = interval(np.array(values), mine["hypervolume"])
    assert (mine["low"], mine["high"]) == pytest.approx(np.maximum(ends, 0))


def test_interval_holds_the_truth_about_as_often_as_it_says():
    rng = np.random.default_rng(1)
    hits = 0
    for seed in range(150):
        # Two methods whose means truly differ by .3 in x, with noise shared by prompt.
        level = rng.normal(size=(40, 1))
        pair = [1 + level + rng.normal(0, 0.5, (40, 1)) + gain for gain in (0.0, 0.3)]
        answers = {k: answers_frame(np.hstack([v, np.ones((40, 1))]), XY)
                   for k, v in zip("ab", pair, strict=True)}  # fmt: skip
        answers["low"] = answers_frame(np.zeros((40, 2)), XY)
        answers["high"] = answers_frame(np.full((40, 2), 4.0), XY)
        runs = [run("b", ["b"]), run("a", ["a"]), run("low", ["low"]), run("high", ["high"])]
        found = stood(runs, answers, reference="a", replicates=300, seed=seed)
        difference = entry(found, "b")["against"]["reference"]
        hits += difference["low"] <= 0.3 / 4 / 4 <= difference["high"]
    assert 0.88 <= hits / 150 <= 0.99


def test_a_difference_is_paired_by_prompt():
    # The prompts differ much, the methods by .1 on each of them: only pairing sees that.
    level = np.random.default_rng(2).normal(0, 1.5, (30, 2))
    answers = {
        "base": answers_frame(level - 1, XY),
        "a": answers_frame(level, XY),
        "b": answers_frame(level + 0.1, XY),
    }
    runs = [run("base", ["base"]), run("ParetoHqD", ["a"]), run("b", ["b"])]
    found = stood(runs, answers)
    mine = entry(found, "b")
    assert mine["against"]["reference"]["verdict"] == "better"
    assert mine["against"]["base"]["verdict"] == "better"
    assert entry(found, "base")["against"]["reference"]["verdict"] == "worse"
    assert entry(found, "ParetoHqD")["against"]["reference"] is None
    assert entry(found, "base")["against"]["base"] is None
    reference = entry(found, "ParetoHqD")
    assert mine["low"] < reference["high"]  # each alone, the intervals overlap


def test_equal_methods_show_no_difference():
    scores = np.random.default_rng(3).normal(size=(12, 2))
    answers = {k: answers_frame(scores, XY) for k in "abc"} | {"d": answers_frame(scores - 1, XY)}
    runs = [run("ParetoHqD", ["a"]), run("other", ["b", "c"]), run("base", ["d"])]
    found = stood(runs, answers)
    difference = entry(found, "other")["against"]["reference"]
    assert (difference["mean"], difference["low"], difference["high"]) == (0.0, 0.0, 0.0)
    assert difference["verdict"] == "no difference seen"
    assert found["runs"][1]["front"] == 1  # two equal points are one


def test_interval_of_a_constant():
    assert interval(np.full(7, 2.5), 2.5) == (2.5, 2.5)


@pytest.mark.parametrize(("count", "most"), [(1, 0.05), (3, 0.08), (11, 0.12)])
def test_several_models_that_equal_one_are_seldom_called_better(count, most):
    # Noise alone makes a set cover more; plain percentiles say "better" in 25 and 75 % of these.
    rng = np.random.default_rng(8)
    better = worse = 0
    for seed in range(200):
        level = rng.normal(size=(80, 1, 2))
        scores = 0.5 + 0.5 * level + 0.5 * rng.normal(size=(80, count + 1, 2))
        shares = prompt_shares(80, 200, seed)
        drawn, exact = (
            volumes(means[..., :-1, :]) - volumes(means[..., -1:, :])
            for means in (np.einsum("bn,npm->bpm", shares, scores), scores.mean(axis=0))
        )
        said = verdict(interval(drawn, float(exact)))
        better, worse = better + (said == "better"), worse + (said == "worse")
    assert better / 200 <= most
    assert worse / 200 <= 0.05
