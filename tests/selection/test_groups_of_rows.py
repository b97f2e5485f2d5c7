"""Selection within groups: `select` on each group alone, or the definition where that refuses."""

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import paretohqd as pq
from helpers import oracle
from paretohqd.kernels.points import Objectives
from paretohqd.selection.groups import choose_in_groups
from paretohqd.selection.rule import Rule

pytestmark = pytest.mark.filterwarnings("ignore:all .* preferences get the same")

FIELDS = ("pool", "layer", "rows", "distances", "preference", "position")


def frame_of(points):
    return pl.DataFrame({f"o{j}": points[:, j] for j in range(points.shape[1])})


def every_distance(values, ideal, weights):
    """(P, q) distance of the pool's rows to each ray, or to the ideal where there is none."""
    far = np.empty((len(weights), len(values)))
    for number, w in enumerate(weights):
        through = w * ideal
        directed = (through > 0).any() and (through != ideal).any()
        for i, value in enumerate(values):
            to_ideal = np.linalg.norm(value - ideal)
            far[number, i] = oracle.distance(value, ideal, through) if directed else to_ideal
    return far


def check_group(result, members, points, larger, weights, k, options):
    """The rows of one group, counted within it, against the group alone."""
    signed = np.where(larger, points, -points).astype(np.float64)
    stop = {name: options[name] for name in ("upto", "at_least") if name in options}
    stop = stop or {"at_least": k}
    layer = oracle.stopped(oracle.layers(signed), **stop)
    pool = np.flatnonzero(layer >= 0)
    in_group = np.isin(result.pool, members)
    np.testing.assert_array_equal(result.pool[in_group], members[pool])
    np.testing.assert_array_equal(result.layer[in_group], layer[pool])
    k = min(k, len(pool))
    chosen = np.flatnonzero(np.isin(result.rows, members))
    rows = np.searchsorted(members, result.rows[chosen]).reshape(len(weights), k)
    distances = result.distances[chosen].reshape(len(weights), k)
    np.testing.assert_array_equal(result.preference[chosen], np.repeat(range(len(weights)), k))
    np.testing.assert_array_equal(result.position[chosen], np.tile(range(k), len(weights)))
    reference = signed[pool] if options["bounds"] == "pool" else signed
    low, high = reference.min(axis=0), reference.max(axis=0)
    if (low < high).all():
        names = {f"o{j}": "max" if up else "min" for j, up in enumerate(larger)}
        alone = pq.select(frame_of(points), names, weights, k=k, **options | stop)
        assert alone["row"].to_list() == rows.ravel().tolist()
        assert alone["distance"].to_numpy().tobytes() == distances.tobytes()
        return
    scale = options["scale"]
    units = high - low if scale == "box" else np.ones(len(low)) if scale == "none" else scale
    units = np.where(low == high, 1, units)
    every = every_distance((signed[pool] - low) / units, (high - low) / units, weights)
    for far, near, taken in zip(every, distances, rows, strict=True):
        np.testing.assert_allclose(near, np.sort(far)[:k], atol=1e-12)
        np.testing.assert_allclose(near, far[np.searchsorted(pool, taken)], atol=1e-12)
        ranks = list(zip(near, layer[taken], taken, strict=True))
        assert ranks == sorted(set(ranks))
        for row in taken:
            twins = pool[(points[pool] == points[row]).all(axis=1) & (pool < row)]
            assert set(twins) <= set(taken)


@st.composite
def problems(draw):
    m = draw(st.integers(2, 4))
    sizes = draw(st.lists(st.sampled_from([1, 2, 3, 5, 8, 9, 17]), min_size=1, max_size=6))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    keys = rng.choice(draw(st.sampled_from([len(sizes), 50, 2**32])), len(sizes), replace=False)
    ids = np.repeat(np.sort(keys) if draw(st.booleans()) else keys, sizes).astype(np.uint32)
    if draw(st.booleans()):
        rng.shuffle(ids)
    levels = draw(st.sampled_from([2, 4, 10**6]))
    points = (rng.integers(0, levels, (len(ids), m)) / 8).astype(draw(st.sampled_from("fd")))
    options = {
        **draw(st.sampled_from([{}, {"upto": 1}, {"upto": 2}, {"at_least": 3}, {"at_least": 9}])),
        "bounds": draw(st.sampled_from(["pool", "all"])),
        "scale": draw(st.sampled_from(["box", "none", [0.7, 3.1, 2.3, 1e-3][:m]])),
    }
    larger = draw(st.lists(st.booleans(), min_size=m, max_size=m))
    return points, ids, larger, draw(st.integers(1, 12)), options


@settings(max_examples=300, deadline=None)
@given(problems(), st.integers(1, 3))
def test_each_group_is_as_alone(problem, divisions):
    points, ids, larger, k, options = problem
    weights = pq.preference_grid(points.shape[1], divisions)
    rule = Rule(k=k, **options)
    chosen = choose_in_groups(Objectives.of(points, maximize=larger), ids, weights, rule)
    _, first = np.unique(ids, return_index=True)
    in_order = ids[np.sort(first)]
    for key in in_order:
        members = np.flatnonzero(ids == key)
        check_group(chosen, members, points[members], larger, weights, k, options)
    # Preference by preference, groups as they first appear.
    groups = [list(in_order).index(key) for key in ids[chosen.rows]]
    order = list(zip(chosen.preference, groups, chosen.position, strict=True))
    assert order == sorted(order)
    np.testing.assert_array_equal(chosen.pool, np.sort(chosen.pool))
    for threads in (1, 2, 3):
        again = choose_in_groups(
            Objectives.of(points, maximize=larger), ids, weights, rule, n_threads=threads
        )
        for field in FIELDS:
            assert getattr(again, field).tobytes() == getattr(chosen, field).tobytes()


def one_group(points, weights, k=1, **options):
    points = np.array(points, dtype=np.float64)
    ids = np.zeros(len(points), dtype=np.uint32)
    return choose_in_groups(Objectives.of(points), ids, np.array(weights), Rule(k=k, **options))


def test_what_has_no_span_trades_nothing():
    # The second objective is constant: weight on the first leaves the ideal point, so the best of
    # it comes first; with all weight on the second there is nothing to trade, and the same holds.
    points = [[0.0, 7.0], [4.0, 7.0], [3.0, 7.0]]
    chosen = one_group(points, [[1.0, 0.0], [0.5, 0.5], [0.0, 1.0]], k=3)
    assert chosen.rows.reshape(3, 3)[[0, 2]].tolist() == [[1, 2, 0]] * 2
    assert chosen.distances.reshape(3, 3)[[0, 2]].tolist() == [[0.0, 0.25, 1.0]] * 2
    # Between them the ray runs along the first objective: all rows lie on it, so layers decide.
    assert chosen.rows.reshape(3, 3)[1].tolist() == [1, 2, 0]
    assert chosen.distances.reshape(3, 3)[1].tolist() == [0.0, 0.0, 0.0]


def test_a_group_of_one_row_gives_it_and_equal_rows_come_in_order():
    chosen = one_group([[1.0, 2.0]], [[0.5, 0.5], [1.0, 0.0]], k=5)
    assert chosen.rows.tolist() == [0, 0]
    assert chosen.distances.tolist() == [0.0, 0.0]
    chosen = one_group([[1.0, 2.0]] * 4, [[0.5, 0.5]], k=3)
    assert (chosen.rows.tolist(), chosen.position.tolist()) == ([0, 1, 2], [0, 1, 2])


def test_no_row_is_no_error():
    empty = Objectives.of(np.empty((0, 2)))
    chosen = choose_in_groups(
        empty, np.empty(0, dtype=np.uint32), np.array([[0.5, 0.5]]), Rule(k=2)
    )
    assert all(len(getattr(chosen, field)) == 0 for field in FIELDS)


def test_groups_of_many_rows():
    rng = np.random.default_rng(0)
    sizes = [3000, 8, 1, 20_000, 1024, 1025]
    ids = np.repeat([9, 4, 7, 1, 0, 2], sizes).astype(np.uint32)
    points = rng.random((len(ids), 3))
    weights = pq.preference_grid(3, 3)
    for shuffle in (False, True):
        if shuffle:
            rng.shuffle(ids)
        one, two, three = (
            choose_in_groups(Objectives.of(points), ids, weights, Rule(k=9), n_threads=threads)
            for threads in (1, 2, 3)
        )
        for field in FIELDS:
            assert getattr(one, field).tobytes() == getattr(two, field).tobytes()
            assert getattr(one, field).tobytes() == getattr(three, field).tobytes()
        for key in (9, 1, 0, 2):
            members = np.flatnonzero(ids == key)
            alone = pq.choose(
                frame_of(points[members]), ["o0", "o1", "o2"], weights, k=9, at_least=9
            )
            here = np.isin(one.rows, members)
            np.testing.assert_array_equal(one.rows[here], members[alone.rows["row"]])
            assert one.distances[here].tobytes() == alone.rows["distance"].to_numpy().tobytes()


@pytest.mark.parametrize("size", [1e-200, 1e150, 1e250])
@pytest.mark.parametrize("scale", ["box", "none"])
def test_numbers_whose_squares_no_double_holds(size, scale):
    rng = np.random.default_rng(1)
    points, ids = rng.random((60, 2)) * size, np.repeat(np.arange(6), 10).astype(np.uint32)
    points[:10] /= size
    points[10:20, 1] = 0
    weights = pq.preference_grid(2, 2)
    chosen = choose_in_groups(Objectives.of(points), ids, weights, Rule(k=3, scale=scale))
    options = {"bounds": "pool", "scale": scale}
    for number in (0, 2, 3, 4, 5):
        members = np.arange(10 * number, 10 * number + 10)
        check_group(chosen, members, points[members], [True] * 2, weights, 3, options)
    # The second group has one objective left, whose corner is the ideal point.
    assert chosen.rows[3:6].tolist() == (10 + np.argsort(-points[10:20, 0])[:3]).tolist()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"k": 0}, "k must be an integer of at least 1"),
        ({"upto": 1, "at_least": 1}, "choose one of upto"),
        ({"bounds": "front"}, "bounds: expected 'pool', 'all' or two points .*, got 'front'"),
        ({"scale": [1.0]}, "scale: expected 'box', 'none' or 2 numbers above 0"),
        ({"n_threads": 0}, "n_threads must be an integer of at least 1"),
        ({"through": np.ones((1, 3))}, r"through: expected shape \(P, 2\), got \(1, 3\)"),
        ({"ids": np.zeros(3, dtype=np.uint32)}, "groups has 3 keys but there are 2 rows"),
        ({"points": [[1.0, 0.0], [np.inf, 0.0]]}, "column 0 holds 1 infinite values"),
        ({"points": [[1.7e308, 0.0], [-1.7e308, 1.0]]}, "column 0 spans more than doubles"),
    ],
)
def test_wrong_calls_say_what_is_wrong(options, message):
    given = {"points": [[1.0, 0.0], [0.0, 1.0]], "ids": np.zeros(2, dtype=np.uint32)}
    given |= {"through": np.array([[0.5, 0.5]]), "n_threads": None, "k": 1} | options
    points, ids, through, n_threads = map(given.pop, ("points", "ids", "through", "n_threads"))
    with pytest.raises(ValueError, match=message):
        choose_in_groups(
            Objectives.of(np.array(points)), ids, through, Rule(**given), n_threads=n_threads
        )
