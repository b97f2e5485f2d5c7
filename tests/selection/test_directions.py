"""Rays whose shortfalls are as 1 / w, against the definition of the Tchebycheff utility."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from polars.testing import assert_frame_equal

import paretohqd as pq
from helpers import oracle
from helpers.drawn import NAMES, frame_of
from paretohqd.plots.selection_picture import rays
from paretohqd.selection.preferences import ray_weights

pytestmark = pytest.mark.filterwarnings("ignore:all .* preferences get the same")

WAY = {"directions": "tchebycheff"}


def shortfall(w: np.ndarray) -> np.ndarray:
    """In proportion to 1 / w; where some weights are 0, the limit: these alone, and all alike."""
    if (w == 0).any():
        return np.where(w == 0, 1.0, 0.0)
    return 1 / w


simplex = st.lists(st.integers(0, 5), min_size=3, max_size=3).filter(any)


@given(st.lists(simplex, min_size=1, max_size=5))
def test_the_way_is_that_of_the_weighted_utility(raw: list[list[int]]) -> None:
    weights = np.array(raw, dtype=float)
    weights /= weights.sum(axis=1, keepdims=True)
    through = ray_weights(weights, "tchebycheff")
    for w, end in zip(weights, through, strict=True):
        way, expected = 1 - end, shortfall(w)
        np.testing.assert_allclose(way / way.max(), expected / expected.max(), atol=1e-12)
        # Groups take 0 for an objective without a weight.
        assert ((end == 0) == (w == 0)).all()
        weighted = (w * way)[w > 0]
        assert np.ptp(weighted) < 1e-12, "no objective with a weight is worse off than another"


@given(st.lists(st.sampled_from([0.0, 1.0]) | st.floats(1e-6, 1), min_size=1, max_size=9))
def test_two_objectives_have_one_ray_to_the_bit(shares: list[float]) -> None:
    weights = np.array([[share, 1 - share] for share in shares])
    np.testing.assert_array_equal(ray_weights(weights, "tchebycheff"), weights)
    # And this is what the general formula comes to.
    for w in weights:
        a, b = shortfall(w), 1 - w
        np.testing.assert_allclose(a / a.max(), b / b.max(), atol=1e-9)


def test_a_weight_near_zero_is_near_the_limit() -> None:
    for small in (1e-9, 1e-300, 5e-324):
        near = ray_weights(np.array([[small, 0.5, 0.5], [small, small, 1.0]]), "tchebycheff")
        limit = ray_weights(np.array([[0, 0.5, 0.5], [0, 0, 1.0]]), "tchebycheff")
        way = 1 - near
        np.testing.assert_allclose(way / way.max(axis=1, keepdims=True), 1 - limit, atol=1e-8)


coordinate = st.integers(-6, 6)


@settings(max_examples=150, deadline=None)
@given(
    st.lists(st.tuples(*[coordinate] * 3), min_size=6, max_size=24),
    st.sampled_from(["pool", "all"]),
    st.sampled_from(["box", "none", [0.5, 3.0, 2.0]]),
    st.tuples(st.booleans(), st.booleans(), st.booleans()),
)
def test_the_rows_nearest_to_these_rays_are_chosen(
    rows: list[tuple[int, ...]], bounds: str, scale: object, larger: tuple[bool, ...]
) -> None:
    # The last four span a box in every objective, on the first layer and beyond it.
    points = np.array([*rows, (7, 0, 0), (0, 7, 0), (0, 0, 7), (-7, -7, -7)], dtype=float)
    signed = np.where(larger, points, -points)
    weights = pq.preference_grid(3, 3)
    k = 3
    chosen = pq.choose(
        frame_of(points),
        {n: "max" if up else "min" for n, up in zip(NAMES, larger, strict=True)},
        weights,
        k=k,
        at_least=8,
        bounds=bounds,
        scale=scale,
        **WAY,
    )
    pool = np.flatnonzero(chosen.layer >= 0)
    reference = signed[pool] if bounds == "pool" else signed
    low, high = reference.min(axis=0), reference.max(axis=0)
    units = {"box": high - low, "none": np.ones(3)}
    unit = units[scale] if isinstance(scale, str) else np.array(scale)
    for number, w in enumerate(weights):
        end = high - shortfall(w) / shortfall(w).max() * (high - low)
        far = {int(i): oracle.distance(signed[i] / unit, high / unit, end / unit) for i in pool}
        part = chosen.rows.filter(preference=number)
        np.testing.assert_allclose(part["distance"], sorted(far.values())[:k], atol=1e-9)
        np.testing.assert_allclose(
            part["distance"], [far[row] for row in part["row"].to_list()], atol=1e-9
        )


def spread(m: int, n: int = 400, seed: int = 0) -> pl.DataFrame:
    rng = np.random.default_rng(seed)
    return frame_of(rng.normal(size=(n, m))).with_columns(
        prompt=pl.Series(rng.integers(0, n // 20, n))
    )


@pytest.mark.parametrize("options", [{}, {"by": "prompt"}, {"distinct": "prompt"}])
def test_two_objectives_get_the_same_rows_byte_for_byte(options: dict[str, str]) -> None:
    frame = spread(2)
    same = [pq.select(frame, NAMES[:2], 11, k=5, **options, **way) for way in ({}, WAY)]
    assert_frame_equal(*same, check_exact=True)


def test_three_objectives_get_others_except_at_corners_and_centre() -> None:
    frame, weights = spread(3), pq.preference_grid(3, 3)
    paper, other = (pq.select(frame, NAMES, weights, k=5, **way) for way in ({}, WAY))
    same = {
        number
        for number in range(len(weights))
        if paper.filter(preference=number)["row"].equals(other.filter(preference=number)["row"])
    }
    # (1, 0, 0) falls in the two others alike, (1/3, 1/3, 1/3) in all alike: one ray both ways.
    one = {n for n, w in enumerate(weights) if w.max() == 1 or np.ptp(w) == 0}
    assert one <= same
    assert len(same) < len(weights)


def test_streams_states_and_memory_choose_alike(tmp_path: object) -> None:
    frame, weights = spread(3), pq.preference_grid(3, 2)
    expected = pq.select(frame, NAMES, weights, k=5, **WAY)
    assert_frame_equal(pq.select(frame.lazy(), NAMES, weights, k=5, **WAY), expected)
    assert_frame_equal(frame.lazy().pareto.select(NAMES, weights, k=5, **WAY).collect(), expected)
    state = pq.FirstLayers(NAMES, at_least=5 * len(weights))
    for part in (frame[:150], frame[150:]):
        state.add(part)
    assert_frame_equal(pq.choose_from(state, weights, k=5, **WAY).rows, expected)


def test_each_group_has_its_own_rays() -> None:
    frame, weights = spread(3), pq.preference_grid(3, 3)
    within = pq.select(frame, NAMES, weights, k=2, by="prompt", **WAY)
    for prompt in frame["prompt"].unique().to_list()[:6]:
        part = frame.with_row_index("at").filter(prompt=prompt)
        alone = pq.select(part.drop("at"), NAMES, weights, k=2, at_least=2, **WAY)
        theirs = within.filter(prompt=prompt)
        assert part["at"].gather(alone["row"]).to_list() == theirs["row"].to_list()
        assert alone["distance"].to_list() == theirs["distance"].to_list()


def test_a_group_where_only_what_has_no_weight_trades_ranks_by_the_ideal() -> None:
    frame = pl.DataFrame({"a": [0.0, 2.0, 1.0], "b": [1.0] * 3, "c": [4.0] * 3, "g": [0, 0, 0]})
    other = pl.DataFrame({"a": [1.0, 2, 3], "b": [2.0, 0, 1], "c": [3.0, 5, 6], "g": [1, 1, 1]})
    chosen = pq.select(
        pl.concat([frame, other]),
        NAMES,
        [[0.0, 0.5, 0.5]],
        k=3,
        by="g",
        **WAY,
    )
    assert chosen.filter(g=0)["a"].to_list() == [2.0, 1.0, 0.0]


def test_a_selection_knows_its_rays_and_they_are_drawn() -> None:
    frame, weights = spread(3), np.array([[0.2, 0.3, 0.5], [0.0, 0.5, 0.5]])
    chosen = pq.choose(frame, NAMES, weights, k=5, **WAY)
    np.testing.assert_array_equal(chosen.preferences, weights)
    assert chosen.summary()["directions"] == "tchebycheff"
    assert pq.choose(frame, NAMES, weights, k=5).summary()["directions"] == "paper"
    np.testing.assert_allclose(1 - chosen.through[0], [1 / 2, 1 / 3, 0.2])
    span = chosen.r_max - chosen.r_min

    class Axis:
        low, high = -100.0, 100.0

    for p, (x, y) in ((p, pair) for p in (0, 1) for pair in ((0, 1), (1, 2), (0, 2))):
        lines = rays(chosen.through, [p], (x, y), chosen.r_max, chosen.r_min, [Axis()] * 3)  # type: ignore[list-item]
        way = (shortfall(weights[p]) * span)[[x, y]]
        if not way.any():
            assert lines == []
            continue
        drawn = np.array([lines[0]["x"] - lines[0]["x2"], lines[0]["y"] - lines[0]["y2"]])
        np.testing.assert_allclose(drawn / drawn.max(), way / way.max(), atol=1e-9)


def test_other_directions_are_refused() -> None:
    for options in ({}, {"by": "prompt"}):
        with pytest.raises(ValueError, match="directions: expected 'paper' or 'tchebycheff'"):
            pq.select(spread(2), ["a", "b"], 3, k=2, directions="straight", **options)  # type: ignore[arg-type]
