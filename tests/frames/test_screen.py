"""Rows that a few others rule out: only such as are past the kept layers, whatever comes."""

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from helpers import oracle
from paretohqd import FirstLayers, pareto_layers
from paretohqd.frames.objectives import ObjectiveColumns
from paretohqd.frames.screen import MOST, StrongRows, look_at
from paretohqd.kernels import _core
from paretohqd.kernels.points import Objectives


def by_definition(points, others):
    beaten = (others[:, None, :] > points[None, :, :]).all(axis=2).any(axis=0)
    return np.flatnonzero(~beaten)


@settings(max_examples=300)
@given(
    seed=st.integers(0, 2**32 - 1),
    n=st.sampled_from([0, 1, 63, 64, 65, 500]),
    m=st.integers(1, 7),
    count=st.integers(0, 10),
    dtype=st.sampled_from([np.float64, np.float32]),
    layout=st.sampled_from(["columns", "rows"]),
    odd=st.booleans(),
)
def test_the_screen_is_that_of_the_definition(seed, n, m, count, dtype, layout, odd):
    rng = np.random.default_rng(seed)
    points = rng.integers(-4, 5, (n, m)).astype(dtype)
    if odd and n:
        points[rng.random((n, m)) < 0.1] = rng.choice([np.nan, np.inf, -np.inf, -0.0])
    larger = rng.random(m) < 0.5
    others = rng.integers(-3, 6, (count, m)).astype(np.float64)
    signed = np.where(larger, points, -points).astype(np.float64)
    table = np.asfortranarray(points) if layout == "columns" else points
    columns = [table[:, j] for j in range(m)]
    answers = [
        _core.unbeaten(columns, larger.tolist(), others.ravel(), threads) for threads in (1, 3)
    ]
    for rows, worst, best in answers:
        np.testing.assert_array_equal(rows, by_definition(signed, others))
        for j in range(m):
            values = signed[~np.isnan(signed[:, j]), j]
            assert worst[j] == values.min(initial=np.inf)
            assert best[j] == values.max(initial=-np.inf)


def test_many_parts():
    rng = np.random.default_rng(1)
    points = rng.random((200_000, 3))
    others = rng.random((8, 3)) ** 0.2
    columns = list(points.T.copy())
    one, two = (_core.unbeaten(columns, [True] * 3, others.ravel(), t) for t in (1, 2))
    np.testing.assert_array_equal(one[0], by_definition(points, others))
    for ours, theirs in zip(one, two, strict=True):
        np.testing.assert_array_equal(ours, theirs)


@pytest.mark.parametrize(
    ("larger", "others", "message"),
    [([True], [0.0, 0.0], "larger"), ([True, True], [0.0], "others")],
)
def test_lengths_are_checked(larger, others, message):
    with pytest.raises(ValueError, match=message):
        _core.unbeaten([np.zeros(3), np.zeros(3)], larger, np.array(others), None)


def test_a_few_rows_rule_out_most():
    points = Objectives.of(np.random.default_rng(2).random((50_000, 3)))
    layer = pareto_layers(points.columns, upto=5)
    last = Objectives.of([column[layer == 4] for column in points.columns])
    screen = StrongRows.of(last, points)
    assert 1 <= len(screen.others) <= MOST
    rows = np.column_stack(last.columns)
    assert all((rows == other).all(axis=1).any() for other in screen.others)
    frame = pl.DataFrame(dict(zip("abc", points.columns, strict=True)))
    scores = ObjectiveColumns.of(frame.schema, list("abc"))
    seen = look_at(frame, scores, screen, nan="raise", n_threads=None)
    assert len(seen.rows) < 5_000
    assert set(np.flatnonzero(layer >= 0)) <= set(seen.rows)
    unscreened = look_at(frame, scores, None, nan="raise", n_threads=None)
    assert len(unscreened.rows) == seen.usable == unscreened.usable
    np.testing.assert_array_equal([seen.worst, seen.best], [unscreened.worst, unscreened.best])


def test_nothing_to_compare_with():
    nothing = Objectives.of(np.empty((0, 2)))
    assert StrongRows.of(nothing, Objectives.of(np.ones((3, 2)))) is None


@settings(max_examples=300)
@given(
    st.floats(allow_nan=False, allow_infinity=False),
    st.floats(0, 1e300, exclude_min=True),
    st.floats(-1, 1),
)
def test_what_is_below_a_row_within_noise_holds_fewer_units(own, unit, near):
    """Of the numbers just below the screen's, and of any further down, none is in the same unit."""
    screen = StrongRows.of(
        Objectives.of([[own]]), Objectives.of([[-1.7e308]]), np.array([float(unit)])
    )
    if screen is None:  # as much as the lowest numbers: nothing is below
        return
    least = screen.others[0, 0]
    with np.errstate(over="ignore"):
        for other in (np.nextafter(least, -np.inf), least - abs(near) * unit, least * (1 - near)):
            if other < least:
                assert np.floor(other / unit) < np.floor(own / unit)


def test_a_screen_within_noise_leaves_little_in():
    points = Objectives.of(np.random.default_rng(5).random((50_000, 3)))
    noise = np.array([0.001, 0.01, 0])
    layer = pareto_layers(points.rounded_down(noise).columns, upto=5)
    last = Objectives.of([column[layer == 4] for column in points.columns])
    screen = StrongRows.of(last, points, noise)
    rows, _, _ = screen.left(points.columns, [True] * 3, None)
    assert len(rows) < 5_000
    assert set(np.flatnonzero(layer >= 0)) <= set(rows)


@pytest.mark.parametrize("minimised", [False, True])
@pytest.mark.parametrize("nan", ["raise", "drop"])
def test_screened_parts_have_the_layers_of_all_rows(minimised, nan):
    rng = np.random.default_rng(3)
    points = rng.normal(size=(900, 3))
    holes = nan == "drop"
    if holes:
        points[rng.random(points.shape) < 0.01] = np.nan
    names = ["a", "b", "c"]
    objectives = dict.fromkeys(names, "min") if minimised else names
    state = FirstLayers(objectives, upto=4, nan=nan)
    for part in np.split(points, 18):
        state.add(pl.DataFrame(part, schema=names))
    whole = np.flatnonzero(~np.isnan(points).any(axis=1))
    signed = -points[whole] if minimised else points[whole]
    layer = oracle.stopped(oracle.layers(signed), upto=4)
    assert state.frame["row"].to_list() == whole[layer >= 0].tolist()
    assert state.frame["layer"].to_list() == layer[layer >= 0].tolist()
    np.testing.assert_array_equal(state.low, signed.min(axis=0))
    np.testing.assert_array_equal(state.high, signed.max(axis=0))
    assert (state.rows, state.usable) == (900, len(whole))


def test_a_bad_score_that_passes_the_screen_is_counted_in_its_frame():
    rng = np.random.default_rng(4)
    state = FirstLayers(["a", "b"], upto=2).add(
        pl.DataFrame(rng.random((500, 2)), schema=["a", "b"])
    )
    part = pl.DataFrame(rng.random((500, 2)), schema=["a", "b"])
    part[321, "b"] = float("nan")
    with pytest.raises(ValueError, match=r"'b' holds 1 NaN \(first at row 321\)"):
        state.add(part)
    assert state.rows == 500
