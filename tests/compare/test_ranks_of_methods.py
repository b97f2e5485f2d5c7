"""A comparison's selections by ranks that look at all rows."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

import paretohqd as pq
from paretohqd.compare.methods import stage1
from paretohqd.compare.methods._selection import SelectionOptions, select_rows


@pytest.mark.parametrize("rank", ["achievement", "sum"])
def test_a_method_chooses_as_select_does(bench: Callable[..., Any], rank: Any) -> None:
    b = bench(preferences=[[0.75, 0.25], [0.25, 0.75]])
    frame = b.scored()
    rows = select_rows(b, frame, stage1.Options(), k=4, rank=rank)
    expected = pq.select(frame, b.names, b.weights, k=4, rank=rank)
    assert rows["row"].to_list() == expected["row"].to_list()
    by_ray = select_rows(b, frame, stage1.Options(upto=2), k=4)
    assert by_ray["row"].to_list() != rows["row"].to_list()
    with pytest.raises(ValueError, match=f"rank: {rank} chooses from all rows"):
        stage1.Options(rank=rank, upto=2)


def test_the_settings_rank_is_every_selections(bench: Callable[..., Any]) -> None:
    """And an option of a method stands in its place."""
    b = bench(selection={"k": 6, "rank": "achievement"})
    frame = b.scored()
    rows = select_rows(b, frame, SelectionOptions(), k=4)
    expected = pq.select(frame, b.names, b.weights, k=4, rank="achievement")
    assert rows["row"].to_list() == expected["row"].to_list()
    assert "rank" in b.rule_settings(b.rule(k=4))
    assert "rank" not in bench().rule_settings(bench().rule(k=4)), "as in older folders"
