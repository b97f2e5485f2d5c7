"""The scale that the data fix, and the utility that a set of policies serves on it."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest

from paretohqd.runs.utility import data_bounds, scaled, served

CORNERS = [(1.0, 0.0), (0.5, 0.5), (0.0, 1.0)]


def test_the_scale_is_the_middle_four_fifths_of_the_data():
    scores = pl.DataFrame({"a": np.random.default_rng(0).permutation(1001), "b": [0.5] * 1001})
    assert data_bounds(scores) == {"a": [100.0, 900.0], "b": [0.5, 1.5]}


def test_a_score_that_is_nearly_always_the_same_still_has_a_scale():
    rare = [0.0] * 95 + [2.0, 4.0, 6.0, 8.0, 10.0]
    assert data_bounds(pl.DataFrame({"rare": rare, "flag": [True] * 97 + [False] * 3})) == {
        "rare": [0.0, 10.0],
        "flag": [0.0, 1.0],
    }


def test_what_is_no_number_has_no_say_in_the_scale():
    holes = pl.DataFrame({"a": [None, float("nan"), float("inf"), -float("inf"), *range(11)]})
    assert data_bounds(holes) == {"a": [1.0, 9.0]}
    for values in ([], [None, float("nan")]):
        with pytest.raises(ValueError, match=f"a: no finite score among {len(values)} offline"):
            data_bounds(pl.DataFrame({"a": values}, schema={"a": pl.Float64}))


def test_what_lies_outside_the_scale_is_not_clipped():
    bounds = {"a": [1.0, 3.0], "b": [-2.0, 2.0]}
    points = np.array([[5.0, -4.0], [1.0, 2.0]])
    assert scaled(points, bounds).tolist() == [[2.0, -0.5], [0.0, 1.0]]
    assert scaled(points[:, None], bounds).shape == (2, 1, 2)


def test_utility_is_the_mean_over_preferences_of_the_policy_asked_for_each():
    # Two prompts; by hand: (1, 0) gets .9 and .5, (.5, .5) gets .5 and .3, (0, 1) gets .8 and 1.2.
    rewards = [[[0.9, 0.0], [0.5, 0.1]], [[0.6, 0.4], [0.2, 0.4]], [[0.1, 0.8], [-0.3, 1.2]]]
    assert served(rewards, CORNERS, CORNERS) == pytest.approx([2.2 / 3, 2.0 / 3])
    # The policies know which they are: in another order they serve the same.
    assert served(rewards[::-1], CORNERS[::-1], CORNERS) == pytest.approx([2.2 / 3, 2.0 / 3])
    # Those that do not do what they were asked for serve badly, though their front is the same.
    assert served(rewards[::-1], CORNERS, CORNERS).mean() == pytest.approx((0.6 + 0.1) / 6)


def test_one_policy_serves_every_preference():
    assert served([[[0.8, 0.2]]], [None], CORNERS) == pytest.approx([0.5])
    assert served([[[0.8, 0.2]]], [(1.0, 0.0)], CORNERS) == pytest.approx([0.5])


def test_of_policies_that_take_no_weights_the_best_serves_each_preference():
    rewards = [[[0.1, 0.9], [0.1, 0.7]], [[0.8, 0.2], [0.4, 0.2]]]
    utility = served(rewards, [None, None], [(1.0, 0.0), (0.0, 1.0)])
    # One policy for all prompts: the first is better in b on the whole, the second in a.
    assert utility == pytest.approx([(0.8 + 0.9) / 2, (0.4 + 0.7) / 2])


def test_utility_is_that_of_the_mean_rewards():
    rng = np.random.default_rng(3)
    rewards = rng.normal(size=(3, 40, 2))
    whole = served(rewards.mean(axis=1, keepdims=True), CORNERS, CORNERS)
    assert served(rewards, CORNERS, CORNERS).mean() == pytest.approx(whole[0])
