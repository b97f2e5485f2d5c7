"""What GRPO is paid: rewards in units of their spread, the echo gate, what is logged."""

from __future__ import annotations

from typing import Any

import numpy as np
import polars as pl
import pytest

from helpers.counted_rewards import brief, vowels
from paretohqd.frames.conversations.prompts import write_prompt
from paretohqd.trainers.rollouts import GATED, Rollouts, standard_constants

CONSTANTS = {"vowels": (0.2, 0.1), "brief": (-12.0, 4.0)}


TALK = [{"role": "system", "content": "x"}, {"role": "user", "content": "Do you like tea?"}]


def rollouts(gate: float | None = None) -> Rollouts:
    return Rollouts(
        [vowels(), brief()],
        CONSTANTS,
        prompt_tokens={"Do you like tea?": 9, write_prompt(TALK): 12},
        stop=[2],
        read=lambda ids: {5: "Tea", 6: "Ah"}[ids[0]],
        echo_gate=gate,
    )


def test_the_echo_gate_stops_answers_that_repeat_the_prompt() -> None:
    prompts = ["Do you like tea?"] * 3
    responses = ["Do you like tea?", "I like coffee, do you?", "Coffee."]
    ids = [[5, 6, 2], [5, 6, 7, 8], [5, 2]]
    free = rollouts()
    open_to_all = free.look(prompts, responses, ids)
    expected = [[(7 / 17 - 0.2) / 0.1, -1.0], [(8 / 23 - 0.2) / 0.1, -2.5]]
    expected += [[(3 / 8 - 0.2) / 0.1, 1.25]]
    np.testing.assert_allclose(open_to_all, expected)
    gated = rollouts(0.6)
    result = gated.look(prompts, responses, ids)
    assert result[0].tolist() == [GATED, GATED] == [-3, -3]
    assert np.array_equal(result[1:], open_to_all[1:]), "3 of 5 words are not more than .6"
    (entry,) = gated.steps
    assert (entry["gated"], free.steps[0]["gated"]) == (pytest.approx(1 / 3), 0)
    assert entry["echo"] == pytest.approx(2 / 3)
    assert entry["clipped"] == pytest.approx(1 / 3), "one answer has no end token"
    assert (entry["length"], entry["generated_tokens"], entry["trained_tokens"]) == (3, 9, 36)
    # The log keeps the raw scores, of gated answers too.
    assert entry["rewards"] == free.steps[0]["rewards"]
    assert entry["rewards"]["brief"]["mean"] == pytest.approx(-np.mean([16, 22, 7]))
    assert entry["rewards"]["brief"]["deviation"] == pytest.approx(np.std([16, 22, 7], ddof=1))


def test_functions_are_called_as_trl_calls_them() -> None:
    seen = rollouts()
    first, second = seen.functions()
    assert (first.__name__, second.__name__) == ("vowels", "brief")
    prompts = [TALK]
    given = {
        "prompts": prompts * 2,
        "completions": [
            [{"role": "assistant", "content": text}] for text in ("as TRL", "reads it")
        ],
        "completion_ids": [[5, 2], [6, 2]],
        "trainer_state": None,
    }
    assert first(**given) == pytest.approx([(2 / 4 - 0.2) / 0.1, (0 / 3 - 0.2) / 0.1])
    assert second(**given) == pytest.approx([(-3 + 12) / 4, (-2 + 12) / 4])
    assert seen.counts["scored"] == 2, "counted once"


def test_constants_are_the_mean_and_the_deviation_within_prompts() -> None:
    rng = np.random.default_rng(3)
    prompts = np.repeat(["a", "b", "c", "d"], [4, 2, 3, 1])
    shift = dict(zip("abcd", (0, 100, -50, 7), strict=True))
    values = rng.normal(size=10) + [shift[p] for p in prompts]
    frame = pl.DataFrame({"prompt": prompts, "kind": values}).sample(fraction=1, shuffle=True)
    mean, deviation = standard_constants(frame, ["kind"])["kind"]
    parts = [values[prompts == p] for p in "abcd"]
    squares = sum(((part - part.mean()) ** 2).sum() for part in parts)
    assert mean == pytest.approx(values.mean())
    assert deviation == pytest.approx((squares / (3 + 1 + 2)) ** 0.5)
    assert deviation < 3, "what differs between prompts is left out"


def test_constants_where_each_prompt_has_one_answer() -> None:
    frame = pl.DataFrame({"prompt": ["a", "b", "c"], "kind": [1, 2, 6]})
    mean, deviation = standard_constants(frame, ["kind"])["kind"]
    assert (mean, deviation) == (3, pytest.approx(np.std([1, 2, 6], ddof=1)))


@pytest.mark.parametrize(
    ("kind", "message"),
    [
        ([0.1, 0.1, 0.3, 0.3], r"'kind' does not differ between answers to a prompt"),
        ([0.0] * 4, r"'kind' does not differ"),
        ([0.1, float("nan"), 0.3, None], r"'kind': 2 of 4 scores are not finite"),
        ([0.1, float("inf"), 0.3, 1.0], r"'kind': 1 of 4 scores are not finite"),
    ],
)
def test_constants_that_nothing_can_be_divided_by(kind: list[Any], message: str) -> None:
    frame = pl.DataFrame({"prompt": ["a", "a", "b", "b"], "kind": kind})
    with pytest.raises(ValueError, match=message):
        standard_constants(frame, ["kind"])
    with pytest.raises(ValueError, match=r"no column 'brief' .* has prompt, kind$"):
        standard_constants(frame, ["brief"])
    with pytest.raises(ValueError, match="no scored answers"):
        standard_constants(frame[:0], ["kind"])
    with pytest.raises(ValueError, match="does not differ"):
        standard_constants(frame[:1], ["kind"])
