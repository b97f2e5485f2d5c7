"""Groups of every size, order and kind of key, against each group on its own."""

from datetime import date

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from helpers import oracle
from paretohqd import hypervolume, pareto_front, pareto_layers
from paretohqd.kernels.groups import group_ids


def apart(points, keys, **stop):
    """Each group by a call of its own."""
    result = np.full(len(points), -9, dtype=np.int32)
    for key in np.unique(keys):
        members = np.flatnonzero(keys == key)
        result[members] = pareto_layers(points[members], **stop)
    return result


@given(st.data())
def test_small_groups_are_those_of_the_definition(data):
    m = data.draw(st.integers(1, 6))
    limits = [1, 2, 3, 7, 8, 9, 16, 63, 64, 65, 70, 127, 128, 129, 191, 255, 256, 257]
    sizes = data.draw(st.lists(st.sampled_from(limits), max_size=5))
    rng = np.random.default_rng(data.draw(st.integers(0, 99)))
    keys = np.repeat(np.arange(len(sizes)), sizes)
    if data.draw(st.booleans()):
        rng.shuffle(keys)
    kinds = data.draw(st.sampled_from([[0.0, -0.0, 1.0], [-np.inf, 0.0, np.inf], range(9)]))
    points = rng.choice(list(kinds), (len(keys), m))
    stop = data.draw(
        st.sampled_from([{}, {"upto": 1}, {"upto": 3}, {"at_least": 1}, {"at_least": 9}])
    )
    layer = pareto_layers(points, groups=keys, **stop)
    for key in range(len(sizes)):
        members = keys == key
        expected = oracle.layers(points[members])
        expected = oracle.stopped(expected, **stop) if stop else expected
        np.testing.assert_array_equal(layer[members], expected)


def shapes():
    rng = np.random.default_rng(0)
    n = 40_000
    skewed = np.where(np.arange(n) < 0.9 * n, 0, np.arange(n))
    yield "one group", np.zeros(n, dtype=int)
    yield "every row alone", rng.permutation(n)
    yield "skewed", skewed
    yield "skewed, shuffled", rng.permutation(skewed)
    yield "adjacent", np.repeat(np.arange(n // 8), 8)
    yield "adjacent, descending", np.repeat(np.arange(n // 8), 8)[::-1].copy()
    yield "sizes around the limits", np.repeat(np.arange(200), rng.integers(55, 75, 200))
    yield "sizes of several words", np.repeat(np.arange(150), rng.integers(100, 270, 150))
    yield "sizes around a run", np.repeat(np.arange(9), [4095, 1, 4096, 1, 4097, 5000, 64, 65, 2])


@pytest.mark.parametrize(("name", "keys"), list(shapes()))
def test_shapes_and_threads(name, keys):
    rng = np.random.default_rng(1)
    distinct = np.unique(keys)
    for m, stop in ((2, {}), (3, {"upto": 2}), (3, {"at_least": 4}), (4, {})):
        points = rng.integers(0, 50, (len(keys), m)).astype(np.float32 if m == 3 else np.float64)
        one, two, three = (
            pareto_layers(points, groups=keys, n_threads=threads, **stop) for threads in (1, 2, 3)
        )
        np.testing.assert_array_equal(one, two)
        np.testing.assert_array_equal(one, three)
        for key in distinct if len(distinct) < 50 else rng.choice(distinct, 50):
            members = keys == key
            np.testing.assert_array_equal(one[members], pareto_layers(points[members], **stop))


KEYS = {
    "strings": ["b", "b", "a", "a", "a", "b", "c"],
    "adjacent strings": ["b", "b", "b", "a", "a", "a", "c"],
    "far integers": [10**15, 10**15, 10**15, -7, -7, 10**15, 0],
    "floats": [0.0, -0.0, 1.5, 1.5, 1.5, 0.0, 2.0],
    "dates": [date(2026, 1, day) for day in (1, 1, 2, 2, 2, 1, 3)],
    "booleans": [True, True, False, False, False, True, True],
    "bytes": [b"b", b"b", b"a", b"a", b"a", b"b", b"c"],
    "tuples": [(1, 2), (1, 2), (), (), (), (1, 2), (3,)],
    "a mix": [1, 1, "a", "a", "a", 1, 2.5],
    "categories": pl.Series(["b", "b", "a", "a", "a", "b", "c"], dtype=pl.Categorical),
    "structs": pl.Series([{"x": x} for x in (1, 1, 2, 2, 2, 1, 3)]),
    "pairs": pl.Series([[x, x] for x in (1, 1, 2, 2, 2, 1, 3)], dtype=pl.Array(pl.Int64, 2)),
}


@pytest.mark.parametrize("name", KEYS)
@pytest.mark.parametrize("times", [1, 300])
def test_ids_are_equal_where_keys_are(name, times):
    keys = KEYS[name]
    keys = pl.concat([keys] * times) if isinstance(keys, pl.Series) else keys * times
    ids, size = group_ids(keys, len(keys))
    assert ids.dtype == np.uint32
    assert len(ids) == len(keys)
    assert ids.max() < size
    plain = keys.to_list() if isinstance(keys, pl.Series) else keys
    numbers = np.array([plain.index(key) for key in plain])
    np.testing.assert_array_equal(ids[:, None] == ids, numbers[:, None] == numbers)


def test_keys_in_runs_match_keys_in_disorder():
    rng = np.random.default_rng(2)
    keys = np.repeat([f"prompt {i % 700}" for i in range(900)], 5)
    points = rng.random((len(keys), 3))
    order = rng.permutation(len(keys))
    layer = pareto_layers(points, groups=keys)
    np.testing.assert_array_equal(layer, apart(points, keys))
    np.testing.assert_array_equal(layer[order], pareto_layers(points[order], groups=keys[order]))


@pytest.mark.parametrize("name", KEYS)
def test_volumes_within_groups_come_in_the_order_of_first_rows(name):
    keys = KEYS[name]
    plain = keys.to_list() if isinstance(keys, pl.Series) else keys
    points = np.random.default_rng(3).integers(-2, 9, (len(keys), 3)).astype(float)
    numbers = np.array([plain.index(key) for key in plain])
    order = list(dict.fromkeys(numbers.tolist()))
    volumes = hypervolume(points, ref=[0, 0, 0], by=keys)
    expected = [hypervolume(points[numbers == i], ref=[0, 0, 0]) for i in order]
    assert volumes.tolist() == expected
    assert volumes.dtype == np.float64
    flipped = hypervolume(-points, ref=[0, 0, 0], groups=keys, maximize=False, n_threads=2)
    assert flipped.tolist() == expected


@given(st.data())
def test_volumes_within_groups_are_those_of_the_definition(data):
    m = data.draw(st.integers(1, 4))
    keys = data.draw(st.lists(st.sampled_from("abc"), max_size=9))
    points = np.array(
        data.draw(
            st.lists(st.tuples(*[st.integers(0, 4)] * m), min_size=len(keys), max_size=len(keys))
        )
    ).reshape(len(keys), m)
    volumes = hypervolume(points, ref=[1] * m, by=keys)
    groups = list(dict.fromkeys(keys))
    expected = [
        oracle.hypervolume(points[[key == group for key in keys]], [1] * m) for group in groups
    ]
    np.testing.assert_allclose(volumes, expected)


def test_keys_go_by_either_name_but_not_by_both():
    points, keys = [[3, 1], [1, 3], [2, 1], [0, 0]], ["a", "a", "b", "b"]
    assert pareto_layers(points, by=keys).tolist() == pareto_layers(points, groups=keys).tolist()
    assert pareto_front(points, by=keys).tolist() == [True, True, True, False]
    for call in (pareto_layers, pareto_front, lambda *a, **b: hypervolume(*a, ref=[0, 0], **b)):
        with pytest.raises(ValueError, match="groups and by are two names of one argument"):
            call(points, groups=keys, by=keys)
        with pytest.raises(ValueError, match="groups has 3 keys but there are 4 rows"):
            call(points, by=keys[:3])
        with pytest.raises(ValueError, match=r"groups holds 1 null or NaN keys \(first at row 3\)"):
            call(points, by=[*keys[:3], None])
