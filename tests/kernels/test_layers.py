import subprocess
import sys

import moocore
import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from helpers import oracle
from paretohqd.kernels.groups import group_ids
from paretohqd.kernels.layers import pareto_front, pareto_layers

few_values = st.sampled_from([-np.inf, -1.0, -0.0, 0.0, 0.5, 1.0, 1e300, np.inf])
many_values = st.floats(allow_nan=False, width=32)


def clouds(values, *, max_rows=40, max_objectives=6):
    shapes = st.tuples(st.integers(0, max_rows), st.integers(1, max_objectives))
    return shapes.flatmap(lambda shape: hnp.arrays(np.float64, shape, elements=values))


points_of_all_kinds = (
    clouds(few_values) | clouds(many_values) | clouds(st.integers(0, 3).map(float))
)


def cloud(kind, n, m, seed=0):
    rng = np.random.default_rng(seed)
    if kind == "uni":
        return rng.random((n, m))
    if kind == "anti":
        return rng.dirichlet(np.ones(m), n) + rng.normal(0, 0.01, (n, m))
    if kind == "disc":
        return rng.integers(0, 11, (n, m)).astype(float)
    if kind == "tails":
        return rng.standard_cauchy((n, m)) ** 3
    if kind == "few":
        return rng.integers(0, 5, (n, m)).astype(float)
    if kind == "mixed":  # one objective with ties, one constant, one copied
        points = rng.random((n, m))
        points[:, 0] = rng.integers(0, 20, n)
        points[:, m // 2] = 1.0
        points[:, -1] = points[:, 0]
        return points
    raise AssertionError(kind)


KINDS = ["uni", "anti", "disc", "tails", "few", "mixed"]


class TestDefinition:
    @given(points_of_all_kinds)
    def test_layers_are_the_peeled_fronts(self, points):
        layer = pareto_layers(points)
        assert layer.dtype == np.int32
        np.testing.assert_array_equal(layer, oracle.layers(points))

    @given(points_of_all_kinds, st.data())
    def test_stops_cut_whole_layers(self, points, data):
        everything = oracle.layers(points)
        n = data.draw(st.integers(1, len(points) + 2))
        np.testing.assert_array_equal(
            pareto_layers(points, upto=n), oracle.stopped(everything, upto=n)
        )
        np.testing.assert_array_equal(
            pareto_layers(points, at_least=n), oracle.stopped(everything, at_least=n)
        )
        np.testing.assert_array_equal(pareto_front(points), everything == 0)

    @given(points_of_all_kinds, st.data())
    def test_groups_are_numbered_apart(self, points, data):
        keys = np.array(
            data.draw(st.lists(st.sampled_from("abc"), min_size=len(points), max_size=len(points)))
        )
        stop = data.draw(st.sampled_from([{}, {"upto": 2}, {"at_least": 3}]))
        layer = pareto_layers(points, groups=keys, **stop)
        for key in set(keys):
            expected = oracle.layers(points[keys == key])
            if stop:
                expected = oracle.stopped(expected, **stop)
            np.testing.assert_array_equal(layer[keys == key], expected)

    @given(points_of_all_kinds, st.randoms(use_true_random=False))
    def test_row_order_and_scale_do_not_matter(self, points, random):
        layer = pareto_layers(points)
        order = list(range(len(points)))
        random.shuffle(order)
        np.testing.assert_array_equal(pareto_layers(points[order]), layer[order])
        with np.errstate(over="ignore"):
            np.testing.assert_array_equal(
                pareto_layers(np.arctan(points / 1e3)),
                pareto_layers(np.arctan(points / 1e3)[:, ::-1]),
            )
        np.testing.assert_array_equal(pareto_layers(-points, maximize=False), layer)

    @given(points_of_all_kinds)
    def test_doubling_the_rows_changes_nothing(self, points):
        layer = pareto_layers(points)
        np.testing.assert_array_equal(pareto_layers(np.vstack([points, points])), [*layer, *layer])


class TestLarge:
    @pytest.mark.parametrize("m", [2, 3, 4, 5, 8])
    @pytest.mark.parametrize("kind", KINDS)
    def test_parity_with_moocore(self, kind, m):
        points = cloud(kind, 6000, m)
        expected = moocore.pareto_rank(-points)
        for threads in (1, 2):
            np.testing.assert_array_equal(pareto_layers(points, n_threads=threads), expected)
        for upto in (1, 5, 40):
            np.testing.assert_array_equal(
                pareto_layers(points, upto=upto), oracle.stopped(expected, upto=upto)
            )
        for at_least in (1, 300, 5999):
            np.testing.assert_array_equal(
                pareto_layers(points, at_least=at_least),
                oracle.stopped(expected, at_least=at_least),
            )

    @pytest.mark.parametrize("m", [2, 3, 4, 5])
    @pytest.mark.parametrize("kind", ["uni", "disc", "anti"])
    def test_threads_do_not_matter(self, kind, m):
        points = cloud(kind, 40_000, m)
        one = pareto_layers(points, n_threads=1)
        np.testing.assert_array_equal(pareto_layers(points, n_threads=2), one)
        np.testing.assert_array_equal(pareto_layers(points, n_threads=5), one)
        for stop in ({"upto": 5}, {"at_least": 2000}):
            expected = oracle.stopped(one, **stop)
            for threads in (1, 2, 3):
                np.testing.assert_array_equal(
                    pareto_layers(points, n_threads=threads, **stop), expected
                )

    @pytest.mark.parametrize("m", [1, 2, 3, 4, 5])
    def test_shapes_that_break_fast_code(self, m):
        n = 30_000
        chain = np.repeat(np.arange(n, dtype=float)[:, None], m, axis=1)
        np.testing.assert_array_equal(pareto_layers(chain), np.arange(n)[::-1])
        np.testing.assert_array_equal(pareto_layers(chain[::-1]), np.arange(n))
        np.testing.assert_array_equal(pareto_layers(np.ones((n, m))), np.zeros(n))
        if m > 1:
            front = chain.copy()
            front[:, -1] *= -1
            np.testing.assert_array_equal(pareto_layers(front), np.zeros(n))
            steps = np.hstack([front, chain[:, :1] // 100])
            np.testing.assert_array_equal(pareto_layers(steps), np.zeros(n))

    def test_a_chain_of_fronts_in_three_objectives(self):
        # Layer i of size 50 lies wholly above layer i + 1.
        rng = np.random.default_rng(3)
        base = rng.dirichlet(np.ones(3), 50)
        points = np.vstack([base - 10.0 * i for i in range(400)])
        order = rng.permutation(len(points))
        expected = np.repeat(np.arange(400), 50)[order]
        np.testing.assert_array_equal(pareto_layers(points[order]), expected)

    def test_groups_of_all_sizes(self):
        rng = np.random.default_rng(5)
        points = np.round(rng.random((30_000, 3)), 2)
        keys = np.repeat(np.arange(2000), rng.multinomial(30_000, rng.dirichlet(np.ones(2000) / 9)))
        keys = rng.permutation(keys)
        layer = {t: pareto_layers(points, groups=keys, n_threads=t) for t in (1, 2)}
        np.testing.assert_array_equal(layer[1], layer[2])
        for key in np.unique(keys):
            here = keys == key
            np.testing.assert_array_equal(layer[1][here], pareto_layers(points[here]))


class TestGroups:
    @pytest.mark.parametrize(
        "keys",
        [
            ["a", "b", "a"],
            np.array(["a", "b", "a"]),
            np.array([5, -3, 5]),
            np.array([2**60, 7, 2**60], dtype=np.uint64),
            np.array([1.5, 0.0, 1.5]),
            pl.Series(["x", "y", "x"], dtype=pl.Categorical),
            pl.Series([True, False, True]),
            [("p", 1), ("p", 2), ("p", 1)],
            ["a", 1, "a"],
            (0, 1, 0),
        ],
        ids=str,
    )
    def test_keys_of_any_kind(self, keys):
        np.testing.assert_array_equal(pareto_layers([[1], [2], [3]], groups=keys), [1, 0, 0])

    def test_ids_are_below_their_bound(self):
        for keys in (["a", "b"], [7, 0], [100, 7]):
            ids, size = group_ids(keys, 2)
            assert ids.dtype == np.uint32
            assert ids.max() < size

    @pytest.mark.parametrize(
        ("keys", "message"),
        [
            ([1, 2], "groups has 2 keys but there are 3 rows"),
            (["a", None, "b"], r"groups holds 1 null or NaN keys \(first at row 1\)"),
            ([1.0, float("nan"), float("nan")], r"2 null or NaN keys \(first at row 1\)"),
            ([("p", 1), None, ("q",)], r"1 null or NaN keys \(first at row 1\)"),
            ([[1], [2], [3]], "hashable"),
            ("abc", "one key per row"),
            (7, "one hashable key per row"),
        ],
    )
    def test_bad_keys(self, keys, message):
        with pytest.raises(ValueError, match=message):
            pareto_layers([[1], [2], [3]], groups=keys)


class TestArguments:
    @pytest.mark.parametrize("name", ["upto", "at_least", "n_threads"])
    @pytest.mark.parametrize("value", [0, -1, 1.5, "2", True])
    def test_counts_are_positive_integers(self, name, value):
        with pytest.raises(ValueError, match=f"{name} must be an integer of at least 1"):
            pareto_layers([[1, 2]], **{name: value})

    def test_two_stops(self):
        with pytest.raises(ValueError, match="choose one of upto"):
            pareto_layers([[1, 2]], upto=1, at_least=1)

    def test_huge_counts(self):
        assert pareto_layers([[1, 2]], upto=2**200).tolist() == [0]
        assert pareto_layers([[1, 2]], at_least=2**200).tolist() == [0]

    def test_no_row(self):
        for stop in ({}, {"upto": 1}, {"at_least": 3}, {"groups": []}):
            layer = pareto_layers(np.zeros((0, 3)), **stop)
            assert layer.shape == (0,)
            assert layer.dtype == np.int32
        assert pareto_front(np.zeros((0, 3))).dtype == bool

    def test_one_row(self):
        assert pareto_layers([[1.0, 2.0, 3.0]]).tolist() == [0]

    def test_infinity_with_three_objectives(self):
        # moocore 0.3.2 crashes the process here.
        points = cloud("uni", 60, 3)
        points[::7] = np.inf
        points[::11, 1] = -np.inf
        np.testing.assert_array_equal(pareto_layers(points), oracle.layers(points))

    def test_interpreter_lock_is_released(self):
        code = (
            "import threading, time, numpy as np\n"
            "from paretohqd.kernels.layers import pareto_layers\n"
            "points = np.random.default_rng(0).random((200_000, 4))\n"
            "thread = threading.Thread(target=pareto_layers, args=(points,))\n"
            "thread.start()\n"
            "ticks = 0\n"
            "while thread.is_alive():\n"
            "    time.sleep(0.001)\n"
            "    ticks += 1\n"
            "assert ticks > 20, ticks\n"
        )
        subprocess.run([sys.executable, "-c", code], check=True)


@pytest.mark.parametrize("m", [2, 3, 4, 5, 6])
@pytest.mark.parametrize("sort", [True, False])
def test_a_noisy_chain_has_the_same_layers_on_any_number_of_threads(m, sort):
    # Nearly as many fronts as rows, in the order of the rows or not.
    n, rng = 150_000, np.random.default_rng(m)
    level = np.arange(n) if sort else rng.permutation(n)
    points = level[:, None] + rng.normal(0, 1, (n, m))
    numbers = pareto_layers(points, n_threads=1)
    for threads in (2, 8):
        assert np.array_equal(pareto_layers(points, n_threads=threads), numbers)
    for i in rng.choice(n, 60, replace=False):
        above = (points >= points[i]).all(axis=1) & (points > points[i]).any(axis=1)
        assert numbers[i] == (numbers[above].max() + 1 if above.any() else 0)


SHAPES = {
    "uniform": lambda rng, n, m: rng.random((n, m)),
    "ties": lambda rng, n, m: rng.integers(0, 30, (n, m)).astype(float),
    "grades": lambda rng, n, m: rng.integers(0, 4, (n, m)).astype(float),
    "front": lambda rng, n, m: rng.dirichlet(np.ones(m), n),
    "near a front": lambda rng, n, m: rng.dirichlet(np.ones(m), n) + rng.normal(0, 0.05, (n, m)),
    "chain": lambda rng, n, m: np.sort(rng.random(n))[:, None] + rng.normal(0, 1e-4, (n, m)),
    "equal": lambda rng, n, m: np.zeros((n, m)),
    "infinite": lambda rng, n, m: rng.choice([-np.inf, 0.0, 1.0, np.inf], (n, m)),
    "one above": lambda rng, n, m: np.vstack([np.full(m, 2.0), rng.random((n - 1, m))]),
}


@pytest.mark.parametrize("m", [1, 2, 3, 4, 5, 7])
@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_the_front_alone_is_the_first_of_all_layers(m, shape, dtype):
    # Few rows are compared, more are held against pivots, many are shared among threads.
    for n in (3, 700, 3_000, 40_000 if m < 5 else 5_000):
        rng = np.random.default_rng(n + m)
        points = SHAPES[shape](rng, n, m).astype(dtype)
        points[rng.integers(0, n, n // 9)] = points[rng.integers(0, n, n // 9)]
        front = np.where(pareto_layers(points, n_threads=1) == 0, 0, -1)
        for table in (points, np.asfortranarray(points), points[:, ::-1][:, ::-1]):
            for threads in (1, 3):
                assert np.array_equal(pareto_layers(table, upto=1, n_threads=threads), front)
        assert np.array_equal(pareto_layers(points, at_least=1), front)


@pytest.mark.parametrize("m", [2, 3, 4, 5])
@pytest.mark.parametrize("shape", ["uniform", "ties", "front", "near a front", "chain"])
def test_a_number_of_rows_is_covered_by_whole_layers(m, shape):
    n = 20_000
    points = SHAPES[shape](np.random.default_rng(m), n, m)
    numbers = pareto_layers(points, n_threads=1)
    held = np.cumsum(np.bincount(numbers))
    for rows in (2, 30, 400, n // 9, n // 7, n // 2, n):
        last = np.searchsorted(held, rows)
        expected = np.where(numbers <= last, numbers, -1)
        assert np.array_equal(pareto_layers(points, at_least=rows, n_threads=2), expected)
