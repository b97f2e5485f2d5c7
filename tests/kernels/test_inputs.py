import subprocess
import sys
import threading
from contextlib import suppress

import numpy as np
import polars as pl
import pytest

import paretohqd as pq
from paretohqd.kernels import _core
from paretohqd.kernels.inputs import KernelInput
from paretohqd.kernels.points import Objectives

HUGE = [2**31, 2**63, 2**64, 2**70, np.uint64(2**64 - 1)]


def layouts(points):
    """The same points as arrays that lie in memory in many ways."""
    n, m = points.shape
    wide = np.zeros((2 * n, m + 3))
    wide[::2, 1 : m + 1] = points
    unaligned = np.frombuffer(b"\0" + points.tobytes(), dtype=np.uint8)[1:].view(np.float64)
    yield "rows", points
    yield "columns", np.asfortranarray(points)
    yield "part of a table", np.hstack([points, points])[:, :m]
    yield "spread", wide[::2, 1 : m + 1]
    yield "backwards", points[::-1, ::-1].copy()[::-1, ::-1]
    yield "unaligned", unaligned.reshape(n, m)
    yield "big endian", points.astype(">f8")
    yield "read only", np.frombuffer(points.tobytes()).reshape(n, m)
    yield "subclass", points.view(type("Mine", (np.ndarray,), {}))
    yield "series", pl.DataFrame(points)
    yield "list of columns", list(points.T)
    yield "masked nowhere", np.ma.MaskedArray(points, mask=False)


def answers(points, *, maximize=True, m):
    """What every public kernel makes of points."""
    signs = [1.0] * m if maximize is True else [1.0 if up else -1.0 for up in maximize]
    ref, beyond = [0.1 * sign for sign in signs], [[1.25 * sign for sign in signs]]
    return [
        pq.pareto_layers(points, maximize=maximize),
        pq.pareto_layers(points, maximize=maximize, upto=2),
        pq.pareto_front(points, maximize=maximize),
        pq.hypervolume(points, maximize=maximize, ref=ref),
        pq.hypervolume_contributions(points, maximize=maximize, ref=ref),
        pq.hypervolume_estimate(points, maximize=maximize, ref=ref, samples=512),
        pq.hypervolume_subset(points, maximize=maximize, ref=ref, k=1).rows,
        pq.crowding_distance(points, maximize=maximize),
        pq.igd_plus(points, maximize=maximize, ref=beyond),
        pq.epsilon_additive(points, maximize=maximize, ref=beyond),
        pq.r2_indicator(points, maximize=maximize, weights=np.ones((1, m)), ideal=beyond[0]),
        *pq.least_achievement(points, None, np.ones((1, m)), maximize=maximize, k=1),
        *pq.least_achievement(points, beyond[0], np.eye(m), maximize=maximize, k=1),
    ]


def same(one, other):
    return all(np.array_equal(a, b) for a, b in zip(one, other, strict=True))


@pytest.mark.parametrize("n", [1, 40, 1500])
@pytest.mark.parametrize("m", [1, 2, 3, 4])
def test_no_layout_changes_an_answer(n, m):
    points = np.random.default_rng(n + m).random((n, m))
    expected = answers(points, m=m)
    assert same(answers(Objectives.of(points), m=m), expected)
    for name, given in layouts(points):
        assert same(answers(given, m=m), expected), name
        near = pq.nearest_to_rays(given, [1.0] * m, [[0.0] * m], k=1)
        assert same(near, pq.nearest_to_rays(points, [1.0] * m, [[0.0] * m], k=1)), name


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("order", ["C", "F"])
def test_minimised_objectives_are_negated_once(dtype, order):
    points = np.random.default_rng(5).random((300, 3)).astype(dtype)
    for maximize in ([True, False, True], [False] * 3):
        signs = np.where(maximize, 1, -1).astype(dtype)
        given = np.asarray(points * signs, order=order)
        kept = given.copy()
        assert same(answers(given, maximize=maximize, m=3), answers(points, m=3))
        for name, form in layouts(given.astype(float)):
            assert same(answers(form, maximize=maximize, m=3), answers(points, m=3)), name
        assert np.array_equal(given, kept), "the caller's array is as it was"


def test_a_view_of_one_value_is_read_as_many_rows():
    constant = np.broadcast_to(np.array([0.5, 0.25]), (1000, 2))
    assert not pq.pareto_layers(constant).any()
    assert pq.hypervolume(constant, ref=[0, 0]) == 0.125
    ramp = np.arange(1000.0)
    layer = pq.pareto_layers([np.broadcast_to(1.0, 1000), ramp])
    assert np.array_equal(layer, np.arange(1000)[::-1])


@pytest.mark.parametrize("value", [1.0, np.float32(1), 1, True])
def test_more_rows_than_a_kernel_takes_are_refused_before_a_copy(value):
    rows = np.broadcast_to(value, (2**31 + 5, 2))
    with pytest.raises(ValueError, match="2147483653 rows are more than the 2147483647"):
        pq.pareto_layers(rows)
    with pytest.raises(ValueError, match="2147483653 rows are more than the 2147483647"):
        pq.hypervolume([rows[:, 0], rows[:, 1]], ref=[0, 0])
    with pytest.raises(ValueError, match="groups has 2147483653 keys but there are 2 rows"):
        pq.pareto_layers([[1.0], [2.0]], by=rows[:, 0])


def test_many_columns_without_a_value_are_no_objectives():
    with pytest.raises(ValueError, match="no objective"):
        pq.pareto_layers(np.empty((2**40, 0)))


@pytest.mark.parametrize("many", HUGE)
def test_counts_past_all_there_are(many):
    points = np.random.default_rng(0).random((9, 2))
    layers = pq.pareto_layers(points)
    assert np.array_equal(pq.pareto_layers(points, n_threads=many), layers)
    assert np.array_equal(pq.pareto_layers(points, upto=many), layers)
    assert np.array_equal(pq.pareto_layers(points, at_least=many), layers)
    assert pq.hypervolume(points, ref=[0, 0], n_threads=many) == pq.hypervolume(points, ref=[0, 0])
    frame = pl.DataFrame(points)
    assert pq.layers(frame, frame.columns, n_threads=many, nan="drop")["layer"].to_list() == (
        layers.tolist()
    )
    with pytest.raises(ValueError, match="more than the 9 rows"):
        pq.nearest_to_rays(points, [1, 1], [[0, 0]], k=many)
    with pytest.raises(ValueError, match="seed must be an integer"):
        pq.hypervolume_estimate(points, ref=[0, 0], seed=2**64 + int(many))


def test_numbers_no_double_holds_are_refused():
    points = [[1.0, 2.0]]
    for large in ([10**400, 0], [-(10**400), 0]):
        with pytest.raises(ValueError, match="ref must hold 2 numbers"):
            pq.hypervolume(points, ref=large)
        with pytest.raises(ValueError, match="through must hold rows of 2 numbers"):
            pq.nearest_to_rays(points, [0, 0], [large], k=1)
    with pytest.raises(ValueError, match="maximize must be a bool"):
        pq.pareto_layers(points, maximize=np.array(True))
    with pytest.raises(ValueError, match="one hashable key per row"):
        pq.pareto_layers(points, by=pl.Series([[]], dtype=pl.Object))
    assert pq.pareto_layers([[1.0], [2.0]], by=pl.Series(["a", 1], dtype=pl.Object)).tolist() == [
        0,
        0,
    ]


@pytest.mark.parametrize(("m", "divisions"), [(40, 40), (2, 2**70), (2**70, 2), (2**40, 2**40)])
def test_a_grid_past_memory_is_refused_before_it_is_made(m, divisions):
    with pytest.raises(MemoryError, match="too many rows for any memory"):
        pq.preference_grid(m, divisions)


def test_a_bad_value_is_found_in_any_layout():
    points = np.random.default_rng(3).random((70_000, 3))
    points[[5, 69_999], 1] = np.nan
    points[[7, 9, 69_998], 2] = np.inf
    for _, given in layouts(points):
        with pytest.raises(ValueError, match=r"holds 2 NaN \(first at row 5\)"):
            pq.pareto_layers(given)
        with pytest.raises(ValueError, match=r"holds 2 NaN \(first at row 5\)"):
            pq.hypervolume(given, ref=[0, 0, 0])
    points[[5, 69_999], 1] = 0.5
    assert pq.pareto_layers(points)[7] == 0
    for _, given in layouts(points):
        with pytest.raises(ValueError, match=r"holds 3 infinite values \(first at row 7\)"):
            pq.hypervolume(given, ref=[0, 0, 0])


def test_points_that_were_looked_at_are_not_looked_at_again():
    objectives = Objectives.of([[1.0, 2.0], [3.0, np.inf]], maximize=[True, False])
    given = KernelInput.of(objectives)
    assert (given.checked, given.n, given.m, given.larger) == (True, 2, 2, (True, True))
    assert given.arrays is objectives.columns
    assert not objectives.finite
    assert Objectives.of([[1.0, 2.0]]).finite
    assert not KernelInput.of([[1.0, 2.0]]).checked


def test_non_finite_values_by_column():
    points = np.array([[0.0, np.inf], [np.nan, -np.inf], [np.nan, 1.0]])
    expected = [(2, 1, 0, None), (0, None, 2, 0)]
    for given in (points, np.asfortranarray(points), points.astype("f4"), list(points.T.copy())):
        assert _core.non_finite(given, None) == expected
    assert _core.non_finite(np.zeros((5, 2)), 1) is None
    with pytest.raises(ValueError, match="column 1 has 1 rows but column 0 has 2"):
        _core.non_finite([np.zeros(2), np.zeros(1)], None)


def test_values_that_change_during_a_call_break_nothing():
    points = np.random.default_rng(1).random((3000, 3))
    bad, stop = [np.nan, np.inf, -np.inf, 0.5], threading.Event()

    def write():
        rng = np.random.default_rng(2)
        while not stop.is_set():
            start = int(rng.integers(len(points) - 500))
            points[start : start + 500] = bad[int(rng.integers(4))]
            points[start : start + 500] = rng.random((500, 3))

    writer = threading.Thread(target=write)
    writer.start()
    try:
        for call in range(60):
            some = points[: [200, 3000][call % 2]]
            for kernel in (
                lambda some: pq.pareto_layers(some, maximize=[True, False, True]),
                lambda some: pq.hypervolume_contributions(some, ref=[0, 0, 0]),
                lambda some: pq.nearest_to_rays(some, [1, 1, 1], [[0, 0, 0]], k=3),
            ):
                with suppress(ValueError):
                    kernel(some)
    finally:
        stop.set()
        writer.join()


ONE_THREAD = """
import os, sys
import numpy as np, paretohqd as pq
points = np.random.default_rng(0).random((200_000, 2))
given = [points, np.asfortranarray(points), points[:, ::-1], points.astype("f4")]
before = len(os.listdir("/proc/self/task"))
for some in given:
    pq.pareto_layers(some, n_threads=1, maximize=[True, False])
    pq.pareto_front(some, n_threads=1)
    pq.hypervolume(some, ref=[0, 0], n_threads=1)
    pq.hypervolume_contributions(some, ref=[0, 0], n_threads=1)
    pq.nearest_to_rays(some, [1, 1], [[0, 0]], k=1, n_threads=1)
    some[0, 0] = np.nan
    for call in (pq.pareto_layers, lambda *a, **k: pq.hypervolume(*a, ref=[0, 0], **k)):
        try:
            call(some, n_threads=1)
        except ValueError:
            pass
    some[0, 0] = 0
print(len(os.listdir("/proc/self/task")) - before)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="threads are counted in /proc")
def test_one_thread_starts_no_other():
    run = subprocess.run(
        [sys.executable, "-c", ONE_THREAD], capture_output=True, text=True, check=True
    )
    assert run.stdout.strip() == "0"
