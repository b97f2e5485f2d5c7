"""How answers are credited: PAMA's weakest objective, MOA's trends."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from paretohqd.trainers.credit import EPSILON, Asked, Rising, Weakest, min_norm


@given(st.lists(st.floats(-3, 3).map(lambda x: round(x, 2)), min_size=1, max_size=4))
def test_min_norm_weights_solve_the_convex_program(values: list[float]) -> None:
    numbers = np.array(values)
    weights = min_norm(numbers)
    assert weights.min() >= 0
    assert weights.sum() == pytest.approx(1)
    least = (weights @ numbers) ** 2
    steps = 12
    for parts in itertools.product(range(steps + 1), repeat=len(values)):
        if sum(parts) == steps:
            assert least <= (np.array(parts) / steps @ numbers) ** 2 + 1e-12


def test_the_weakest_objective_of_a_batch_decides() -> None:
    rewards = np.array([[1.0, 0.2], [0.0, 0.0], [3.0, 0.0], [0.0, 0.4]])
    advantages, facts = Weakest("batch")(rewards, 2, ["a", "a", "b", "b"])
    # Less their prompt's mean: (.5, .1), (-.5, -.1); (1.5, -.2), (-1.5, .2). The second gains less.
    assert facts == {"weights": [0.0, 1.0], "credited": 0.5}
    np.testing.assert_allclose(advantages, [0.1, 0, 0, 0.2])


def test_an_answer_counts_by_what_it_gains_least() -> None:
    rewards = np.array([[1.0, 0.2], [0.0, 0.0], [3.0, 0.0], [0.0, 0.4]])
    advantages, facts = Weakest("answer")(rewards, 2, ["a", "a", "b", "b"])
    np.testing.assert_allclose(advantages, [0.1, 0, 0, 0])
    assert facts["credited"] == 0.25


def test_what_is_ahead_of_its_trend_counts_more() -> None:
    credit = Rising(window=3, sharpness=2.0, drop=False)
    rng = np.random.default_rng(0)
    seen: list[np.ndarray] = []
    for _ in range(6):
        rewards = rng.normal(size=(8, 3))
        now = rewards.mean(axis=0)
        advantages, facts = credit(rewards, 4, [])
        past = np.array(seen[-3:])
        if not len(past):
            expected = now
        elif len(past) == 1:
            expected = past[0]
        else:
            expected = np.array(
                [np.polyval(np.polyfit(range(len(past)), y, 1), len(past)) for y in past.T]
            )
        power = np.exp(2 * (now - expected))
        np.testing.assert_allclose(facts["weights"], power / power.sum(), atol=1e-9)
        assert facts["pivot"] == int((now - expected).argmax()) or not seen
        seen.append(now)
        summed = (rewards @ facts["weights"]).reshape(2, 4)
        centred = summed - summed.mean(axis=1, keepdims=True)
        spread = summed.std(axis=1, ddof=1, keepdims=True)
        np.testing.assert_allclose(advantages, (centred / (spread + EPSILON)).ravel())
        assert facts["dropped"] == 0


def test_answers_that_hurt_the_foremost_objective_are_left_out() -> None:
    credit = Rising(window=2, sharpness=0.0)
    credit(np.zeros((3, 2)), 3, [])
    # The first objective is ahead by more. Both weigh one half.
    rewards = np.array([[0.0, 3.0], [1.0, 0.2], [2.0, -1.6]])
    advantages, facts = credit(rewards, 3, [])
    assert facts["pivot"] == 0
    assert facts["dropped"] == pytest.approx(1 / 3)
    assert advantages[0] == 0, "the best sum, and the worst in the foremost objective"
    rest = np.array([0.6, 0.2])
    np.testing.assert_allclose(advantages[1:], (rest - rest.mean()) / (rest.std(ddof=1) + EPSILON))


def test_without_a_trend_no_objective_is_ahead() -> None:
    rewards = np.array([[0.0, 3.0], [1.0, 0.2], [2.0, -1.6]])
    for columns in ([0, 1], [1, 0]):
        _, facts = Rising(sharpness=0.0)(rewards[:, columns], 3, [])
        assert facts["dropped"] == 0, "whichever is first"


@pytest.mark.parametrize("credit", [Weakest("batch"), Weakest("answer"), Rising()])
def test_equal_answers_train_nothing(credit: Weakest | Rising) -> None:
    advantages, _ = credit(np.full((8, 2), 0.7), 4, [])
    assert np.abs(advantages).max() < 1e-9


def test_each_prompt_is_credited_by_the_preference_it_asks_for() -> None:
    rewards = np.array([[1.0, 0.0], [0.0, 2.0], [1.0, 0.0], [0.0, 2.0]])
    credit = Asked({"first": (1.0, 0.0), "second": (0.0, 1.0)})
    advantages, facts = credit(rewards, 2, ["first", "first", "second", "second"])
    own = 0.5 / (np.sqrt(0.5) + EPSILON)
    other = 1.0 / (np.sqrt(2.0) + EPSILON)
    np.testing.assert_allclose(advantages, [own, -own, -other, other])
    assert facts == {"weights": [0.5, 0.5]}
