"""Intervals of a run's hypervolume by drawing prompts again."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from helpers.compared import BOX, XY, answers_frame, measured, run
from paretohqd.compare.bootstrap import interval, prompt_shares, volumes
from paretohqd.kernels.hypervolume import hypervolume
from paretohqd.runs.utility import scaled


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


def test_hypervolume_interval_is_that_of_resampled_prompts():
    rng = np.random.default_rng(0)
    answers = {k: answers_frame(rng.normal(size=(20, 2)), XY) for k in ("base", "a", "b")}
    runs = [run("base", ["base"]), run("m", ["a", "b"])]
    result = measured(runs, answers, replicates=300, seed=4)
    tables = {k: scaled(f.select(XY).to_numpy(), BOX) for k, f in answers.items()}
    points = np.array([tables[k].mean(axis=0) for k in "ab"])
    mine = result.runs[1]
    assert mine.hypervolume == pytest.approx(hypervolume(points, ref=[0, 0]))
    assert mine.best_single == pytest.approx(points.prod(axis=1).max())
    # By hand: each replicate's prompts, one at a time.
    values = []
    for counts in (prompt_shares(20, 300, 4) * 20).round().astype(int):
        rows = np.repeat(np.arange(20), counts)
        again = [tables[k][rows].mean(axis=0) for k in "ab"]
        values.append(hypervolume(np.array(again), ref=[0, 0]))
    ends = interval(np.array(values), mine.hypervolume)
    assert (mine.hypervolume_low, mine.hypervolume_high) == pytest.approx(np.maximum(ends, 0))


def test_interval_holds_the_truth_about_as_often_as_it_says():
    rng = np.random.default_rng(1)
    hits = 0
    for seed in range(150):
        # A paired difference of .3: what a prompt does to both falls out of it.
        level = rng.normal(size=(40, 1))
        pair = [1 + level + rng.normal(0, 0.5, (40, 1)) + gain for gain in (0.0, 0.3)]
        shares = prompt_shares(40, 300, seed)
        drawn = shares @ (pair[1] - pair[0])
        low, high = interval(drawn[:, 0], float((pair[1] - pair[0]).mean()))
        hits += low <= 0.3 <= high
    assert 0.88 <= hits / 150 <= 0.99


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
        low, high = interval(drawn, float(exact))
        better, worse = better + (low > 0), worse + (high < 0)
    assert better / 200 <= most
    assert worse / 200 <= 0.05
