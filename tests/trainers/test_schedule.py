from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from paretohqd.trainers.schedule import schedule

LENGTHS = st.lists(st.integers(1, 50), min_size=1, max_size=40)


@given(LENGTHS, st.integers(1, 9), st.integers(1, 30), st.integers(0, 5))
def test_steps_are_whole_passes_over_all_rows(
    lengths: list[int], batch: int, steps: int, seed: int
) -> None:
    order = schedule(lengths, batch=batch, seed=seed, steps=steps)
    assert len(order) == steps * batch
    whole = len(order) // len(lengths) * len(lengths)
    for start in range(0, whole, len(lengths)):
        assert sorted(order[start : start + len(lengths)]) == list(range(len(lengths)))
    assert len(set(order[whole:])) == len(order) - whole, "a last pass takes no row twice"
    assert order.tolist() == schedule(lengths, batch=batch, seed=seed, steps=steps).tolist()


@given(LENGTHS, st.integers(1, 9), st.integers(1, 5000))
def test_the_budget_is_met_as_nearly_as_whole_steps_can(
    lengths: list[int], batch: int, tokens: int
) -> None:
    sizes = np.array(lengths)
    first = int(sizes[schedule(lengths, batch=batch, seed=1, steps=1)].sum())
    if tokens < first / 2:
        with pytest.raises(ValueError, match="does not pay for one step"):
            schedule(lengths, batch=batch, seed=1, tokens=tokens)
        return
    order = schedule(lengths, batch=batch, seed=1, tokens=tokens)
    assert len(order) % batch == 0
    more = schedule(lengths, batch=batch, seed=1, steps=len(order) // batch + 1)
    spent, next_step = int(sizes[order].sum()), int(sizes[more[-batch:]].sum())
    last_step = int(sizes[order[-batch:]].sum())
    assert abs(spent - tokens) <= abs(spent + next_step - tokens), "one step more is no nearer"
    if len(order) > batch:
        assert abs(spent - tokens) <= abs(spent - last_step - tokens), "nor is one less"


def test_seeds_shuffle() -> None:
    orders = {tuple(schedule([1] * 20, batch=4, seed=seed, steps=5)) for seed in range(5)}
    assert len(orders) == 5


@pytest.mark.parametrize(
    ("given_", "message"),
    [
        ({"lengths": [], "steps": 1}, "no rows to train on"),
        ({"lengths": [3]}, "steps or tokens"),
        ({"lengths": [3], "steps": 1, "tokens": 3}, "steps or tokens"),
    ],
)
def test_bad_input(given_: dict[str, object], message: str) -> None:
    lengths = given_.pop("lengths")
    with pytest.raises(ValueError, match=message):
        schedule(lengths, batch=1, seed=0, **given_)  # type: ignore[arg-type]
