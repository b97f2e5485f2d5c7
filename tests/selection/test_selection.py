"""Selection against its definition in method.md, and the laws that follow from it."""

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from polars.testing import assert_frame_equal

import paretohqd as pq
from helpers import oracle
from helpers.drawn import NAMES, frame_of
from paretohqd.selection.choosing import ADDED

pytestmark = pytest.mark.filterwarnings("ignore:all .* preferences get the same")


def by_definition(points, enough, *, upto=None, at_least=None, bounds="pool", **_):
    """Layers, nadir and ideal."""
    every = oracle.layers(points)
    if upto is None and at_least is None:
        upto = int(oracle.stopped(every, at_least=enough).max()) + 1
        while upto <= every.max() and (np.ptp(points[every < upto], axis=0) == 0).any():
            upto += 1
    layer = oracle.stopped(every, upto=upto, at_least=at_least)
    reference = points[layer >= 0] if bounds == "pool" else points
    return layer, reference.min(axis=0), reference.max(axis=0)


def distance_by_definition(point, w, r_min, r_max, scale):
    units = {"box": r_max - r_min, "none": np.ones(len(w))}
    size = units[scale] if isinstance(scale, str) else np.array(scale)
    return oracle.distance(point / size, r_max / size, (r_min + w * (r_max - r_min)) / size)


@st.composite
def problems(draw):
    m = draw(st.sampled_from([2, 3]))
    n = draw(st.integers(2, 24))
    value = draw(st.sampled_from([st.integers(-3, 3), st.integers(-1000, 1000)]))
    rows = draw(st.lists(st.tuples(*[value] * m), min_size=n, max_size=n))
    points = np.array(rows, dtype=np.float64) / 4
    larger = draw(st.lists(st.booleans(), min_size=m, max_size=m))
    divisions = draw(st.integers(1, 4) if m == 2 else st.integers(1, 2))
    options = {
        **draw(st.sampled_from([{}, {"upto": 1}, {"upto": 2}, {"at_least": 3}, {"at_least": 99}])),
        "bounds": draw(st.sampled_from(["pool", "all"])),
        "scale": draw(st.sampled_from(["box", "none", [0.5, 3.0, 2.0][:m]])),
    }
    return points, larger, divisions, draw(st.integers(1, n)), options


@settings(max_examples=300)
@given(problems())
def test_selection_is_that_of_the_definition(problem):
    points, larger, divisions, k, options = problem
    names = NAMES[: points.shape[1]]
    signed = np.where(larger, points, -points)
    weights = pq.preference_grid(len(names), divisions)
    layer, r_min, r_max = by_definition(signed, len(weights) * k, **options)
    pool = np.flatnonzero(layer >= 0)
    directions = {n: "max" if up else "min" for n, up in zip(names, larger, strict=True)}

    def choose():
        return pq.choose(frame_of(points), directions, len(weights), k=k, **options)

    if (np.ptp(points, axis=0) == 0).any():
        with pytest.raises(ValueError, match="is constant"):
            choose()
        return
    if len(pool) < k:
        with pytest.raises(ValueError, match=f"k={k}, but the pool has only {len(pool)} rows"):
            choose()
        return
    if (r_min == r_max).any():
        with pytest.raises(ValueError, match="one value in the whole pool"):
            choose()
        return
    selected = choose()
    np.testing.assert_array_equal(selected.layer, layer)
    np.testing.assert_array_equal(selected.preferences, weights)
    np.testing.assert_array_equal(selected.r_min, np.where(larger, r_min, -r_min))
    np.testing.assert_array_equal(selected.r_max, np.where(larger, r_max, -r_max))
    rows = selected.rows
    assert rows["preference"].to_list() == [i for i in range(len(weights)) for _ in range(k)]
    assert rows["position"].to_list() == list(range(k)) * len(weights)
    assert rows["weights"].to_list() == [w for w in weights.tolist() for _ in range(k)]
    np.testing.assert_array_equal(rows["layer"], layer[rows["row"]])
    np.testing.assert_array_equal(rows.select(names), points[rows["row"]])
    for number, w in enumerate(weights):
        every = {
            int(row): distance_by_definition(signed[row], w, r_min, r_max, options["scale"])
            for row in pool
        }
        part = rows.filter(preference=number)
        chosen, far = part["row"].to_list(), part["distance"].to_numpy()
        assert len(set(chosen)) == k
        np.testing.assert_allclose(far, [every[row] for row in chosen], atol=1e-9)
        np.testing.assert_allclose(far, sorted(every.values())[:k], atol=1e-9)
        ranks = list(zip(far, layer[chosen], chosen, strict=True))
        assert ranks == sorted(ranks)
        # So of rows that are equally far, none comes before one that beats it, nor a later twin.
        for row in chosen:
            better = [p for p in pool if oracle.dominates(signed[p], signed[row])]
            twins = pool[(points[pool] == points[row]).all(axis=1) & (pool < row)]
            equal = [p for p in better if abs(every[int(p)] - every[row]) < 1e-15]
            assert {*equal, *twins} <= set(chosen)


@given(
    points=st.lists(st.tuples(*[st.integers(0, 5)] * 2), min_size=4, max_size=30),
    k=st.integers(1, 4),
)
def test_the_corners_rank_by_one_objective_then_by_layer_then_by_row(points, k):
    """Distances along an axis are exact, so ties are ties and order is known to the row."""
    points = np.array([*points, (0, 6), (6, 0)], dtype=np.float64)
    chosen = pq.select(frame_of(points), ["a", "b"], 2, k=k, at_least=len(points), scale="none")
    for number in range(2):
        expected = np.lexsort((oracle.layers(points), -points[:, number]))[:k]
        assert chosen.filter(preference=number)["row"].to_list() == expected.tolist()


@given(
    points=st.lists(st.tuples(*[st.integers(-50, 50)] * 2), min_size=5, max_size=40),
    shift=st.tuples(st.integers(-64, 64), st.integers(-64, 64)),
    power=st.tuples(st.integers(-6, 6), st.integers(-6, 6)),
)
def test_two_objectives_need_no_scale(points, shift, power):
    points = np.array([*points, (-51, 50), (51, -49)], dtype=np.float64)
    k = 3
    before = pq.select(frame_of(points), ["a", "b"], 5, k=k)
    # Sums and products with these are exact, so the boxes hold the very same numbers.
    moved = (points + shift) * np.exp2(power)
    after = pq.select(frame_of(moved), ["a", "b"], 5, k=k)
    assert_frame_equal(before.select(ADDED), after.select(ADDED), check_exact=True)
    # Without a box, the distances to a ray all change by one factor: the ranking stays.
    raw = pq.select(frame_of(moved), ["a", "b"], 5, k=k, scale="none")
    for number in range(5):
        one, other = (f.filter(preference=number)["distance"].to_numpy() for f in (before, raw))
        np.testing.assert_allclose(one * other.max(), other * one.max(), rtol=1e-6, atol=1e-9)


def test_three_objectives_do():
    points = np.random.default_rng(0).random((200, 3))
    box = pq.select(frame_of(points), NAMES, 6, k=10)
    raw = pq.select(frame_of(points * [1, 1, 100]), NAMES, 6, k=10, scale="none")
    again = pq.select(frame_of(points * [1, 1, 128]), NAMES, 6, k=10)
    assert box["row"].to_list() != raw["row"].to_list()
    assert_frame_equal(box.select(ADDED), again.select(ADDED), check_exact=True)


def test_scale_by_numbers_divides_by_them():
    points = np.random.default_rng(1).random((80, 3))
    sizes = [0.5, 4.0, 0.25]
    scaled = pq.select(frame_of(points), NAMES, 6, k=9, scale=sizes)
    divided = pq.select(frame_of(points / sizes), NAMES, 6, k=9, scale="none")
    assert_frame_equal(scaled.select(ADDED), divided.select(ADDED), check_exact=True)


def test_the_reference_set_matters():
    front = np.column_stack([np.linspace(0, 1, 30), np.linspace(1, 0, 30) ** 2])
    points = np.vstack([front, front - [3.0, 0.5]])
    pool = pq.choose(frame_of(points), ["a", "b"], 3, k=5, upto=1)
    every = pq.choose(frame_of(points), ["a", "b"], 3, k=5, upto=1, bounds="all")
    assert pool.r_min.tolist() == [0, 0]
    assert every.r_min.tolist() == [-3, -0.5]
    assert pool.r_max.tolist() == every.r_max.tolist() == [1, 1]
    assert pool.rows["row"].to_list() != every.rows["row"].to_list()


def test_the_default_pool_is_the_fewest_layers_that_hold_p_times_k():
    points = np.random.default_rng(2).random((500, 2))
    chosen = pq.choose(frame_of(points), ["a", "b"], 5, k=7)
    sizes = chosen.layer_sizes()
    assert sum(sizes) >= 35 > sum(sizes[:-1])
    assert sizes == np.bincount(oracle.layers(points))[: len(sizes)].tolist()


def test_overlap_is_that_of_the_rows():
    points = np.random.default_rng(3).random((300, 2))
    chosen = pq.choose(frame_of(points), ["a", "b"], 3, k=20, upto=4)
    sets = [set(part["row"]) for part in chosen.rows.partition_by("preference")]
    expected = [[len(a & b) / len(a | b) for b in sets] for a in sets]
    np.testing.assert_allclose(chosen.overlap(), expected)


def test_k_may_be_all_rows_but_not_more():
    points = np.random.default_rng(4).random((12, 2))
    chosen = pq.select(frame_of(points), ["a", "b"], 2, k=12)
    assert chosen["row"].sort().to_list() == sorted([*range(12)] * 2)
    with pytest.raises(ValueError, match="k=13, but there are only 12 rows to choose from: lower"):
        pq.select(frame_of(points), ["a", "b"], 2, k=13)
    with pytest.raises(ValueError, match=r"k=12, but the pool has only \d rows: raise upto"):
        pq.select(frame_of(points), ["a", "b"], 2, k=12, upto=1)


# ── one value once ───────────────────────────────────────────────────────────────────────────


@given(
    seed=st.integers(0, 2**32 - 1),
    n=st.integers(6, 120),
    groups=st.integers(1, 40),
    k=st.integers(1, 8),
)
def test_distinct_takes_the_nearest_of_each_value(seed, n, groups, k):
    rng = np.random.default_rng(seed)
    prompt = rng.integers(0, groups, n)
    frame = frame_of(rng.random((n, 2))).with_columns(prompt=pl.Series(prompt).cast(pl.String))
    if len(np.unique(prompt)) < k or n < k:
        with pytest.raises(ValueError, match=f"k={k}, but the"):
            pq.select(frame, ["a", "b"], 3, k=k, distinct="prompt")
        return
    chosen = pq.choose(frame, ["a", "b"], 3, k=k, distinct="prompt")
    size = int((chosen.layer >= 0).sum())
    whole = pq.select(frame, ["a", "b"], 3, k=size, at_least=size)
    expected = (
        whole.unique(["preference", "prompt"], keep="first", maintain_order=True)
        .group_by("preference", maintain_order=True)
        .head(k)
    )
    columns = ["preference", "a", "b", "prompt", "weights", "distance", "layer", "row"]
    assert_frame_equal(chosen.rows.select(columns), expected.select(columns))
    assert chosen.rows["position"].to_list() == [*range(k)] * 3


def test_distinct_grows_the_pool_unless_its_size_is_given():
    # One prompt has all the best answers.
    rng = np.random.default_rng(5)
    frame = frame_of(np.vstack([rng.random((300, 2)) + 2, rng.random((50, 2))])).with_columns(
        prompt=pl.Series([0] * 300 + list(range(1, 51)))
    )
    chosen = pq.choose(frame, ["a", "b"], 2, k=5, distinct="prompt")
    assert chosen.rows.group_by("preference").agg(pl.n_unique("prompt"))["prompt"].to_list() == [
        5,
        5,
    ]
    # The fewest layers: without the last one there are not enough values.
    sizes = chosen.layer_sizes()
    values = [
        frame.filter(chosen.layer <= last, chosen.layer >= 0)["prompt"].n_unique()
        for last in (len(sizes) - 1, len(sizes) - 2)
    ]
    assert values[0] >= 5 > values[1]
    np.testing.assert_array_equal(
        chosen.layer,
        oracle.stopped(oracle.layers(frame.select("a", "b").to_numpy()), upto=len(sizes)),
    )
    message = "pool has only 1 different values of the column `distinct`: raise upto or at_least"
    with pytest.raises(ValueError, match=message):
        pq.select(frame, ["a", "b"], 2, k=5, distinct="prompt", upto=3)
    with pytest.raises(ValueError, match=r"has only 51 different .*: lower k"):
        pq.select(frame, ["a", "b"], 2, k=52, distinct="prompt")


@pytest.mark.parametrize(
    "values",
    [
        pl.Series([1, 1, 2, 3]),
        pl.Series(["x", "x", "y", "z"]),
        pl.Series(["x", "x", "y", "z"], dtype=pl.Categorical),
        pl.Series([[1, 2], [1, 2], [2], []]),
        pl.Series([{"q": 1}, {"q": 1}, {"q": 2}, {"q": 3}]),
        pl.Series([0.5, 0.5, -1.0, 2.0]),
        pl.Series([None, None, None, None], dtype=pl.Int8).fill_null(3).extend_constant(3, 0),
    ],
)
def test_distinct_values_of_any_type(values):
    frame = pl.DataFrame({"a": [3.0, 2, 1, 0], "b": [0.0, 1, 2, 3], "prompt": values})
    k = values.n_unique()
    chosen = pq.select(frame, ["a", "b"], [[1, 0]], k=k, distinct="prompt")
    assert chosen["row"].to_list() == [0, 2, 3][:k]


def test_distinct_refuses_null_and_unknown_columns():
    frame = pl.DataFrame({"a": [1.0, 0, 0.5], "b": [0.0, 1, 0.5], "prompt": ["x", None, None]})
    with pytest.raises(ValueError, match=r"'prompt' is null in 2 of 3 rows \(first: row 1\)"):
        pq.select(frame, ["a", "b"], 2, k=1, distinct="prompt")
    with pytest.raises(ValueError, match="distinct: no column 'promt': the frame has a, b, prompt"):
        pq.select(frame, ["a", "b"], 2, k=1, distinct="promt")


# ── frames of every kind ─────────────────────────────────────────────────────────────────────


# ── what is refused ──────────────────────────────────────────────────────────────────────────
