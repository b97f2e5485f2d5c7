"""Quotas, rows that serve one preference, rows far apart and rows that are drawn."""

from __future__ import annotations

import re
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from polars.testing import assert_frame_equal

import paretohqd as pq
from helpers import oracle
from paretohqd.selection.narrowing import drawn, k_centers

NAMES = ["help", "harm"]
RANKS = ["ray", "achievement", "sum", "ideal"]
SAME = pytest.mark.filterwarnings("ignore::paretohqd.selection.same_rows.SameRowsWarning")


def rows_of(n: int, seed: int = 0, prompts: int = 12, sources: int = 3) -> pl.DataFrame:
    """Rows with prompts, sources and embeddings; every tenth one is a copy of the one before."""
    rng = np.random.default_rng(seed)
    help_, harm = rng.normal(size=(2, n)).round(2)
    prompt, source = rng.integers(0, prompts, n), rng.integers(0, sources, n)
    frame = pl.DataFrame(
        {
            "prompt": [f"p{i}" for i in prompt],
            "response": [f"r{i // 10 if i % 10 == 1 else 1000 + i}" for i in range(n)],
            "source": [f"s{i}" for i in source],
            "help": help_,
            "harm": harm,
        }
    )
    return frame.with_columns(
        pl.Series("embedding", rng.normal(size=(n, 4)).astype(np.float32), pl.Array(pl.Float32, 4))
    )


def greedy(order: list[int], frame: pl.DataFrame, quotas: dict[str, int], k: int) -> list[int]:
    """The first k rows of an order within the quotas, by the definition."""
    counts = {name: Counter[Any]() for name in quotas}
    got: list[int] = []
    for row in order:
        values = {name: frame[row, name] for name in quotas}
        if len(got) < k and all(counts[name][values[name]] < quotas[name] for name in quotas):
            got.append(row)
            for name, value in values.items():
                counts[name][value] += 1
    return got


def turns(
    orders: list[list[int]], frame: pl.DataFrame, quotas: dict[str, int], k: int
) -> list[list[int]]:
    """What preferences take in turns, by the definition."""
    got: list[list[int]] = [[] for _ in orders]
    gone: set[int] = set()
    for _ in range(k):
        for own, order in zip(got, orders, strict=True):
            for row in order:
                if row not in gone and greedy([*own, row], frame, quotas, k) == [*own, row]:
                    own.append(row)
                    gone.add(row)
                    break
    return got


def orders_of(
    frame: pl.DataFrame, preferences: Any, rank: str, upto: int | None, **more: Any
) -> list[list[int]]:
    """All rows that a preference may get, in its order."""
    n = len(frame)
    if rank == "ray":
        n = int((pq.pareto_layers(frame.select(NAMES)) < upto).sum())
        more["upto"] = upto
    chosen = pq.choose(frame, NAMES, preferences, k=n, rank=rank, **more)
    return [rows["row"].to_list() for _, rows in chosen]


def pool_by_definition(
    frame: pl.DataFrame, count: int, k: int, quotas: dict[str, int], others: int = 0
) -> int:
    """The fewest layers with P * k rows, more than one score each, and enough within quotas."""
    layer = oracle.layers(frame.select(NAMES).to_numpy())
    by_layer = [int(row) for row in np.argsort(layer, kind="stable")]
    for upto in range(1, int(layer.max()) + 2):
        inside = [row for row in by_layer if layer[row] < upto]
        scores = frame.select(NAMES).to_numpy()[inside]
        if (
            len(inside) >= count * k
            and (np.ptp(scores, axis=0) > 0).all()
            and (not quotas or len(greedy(inside, frame, quotas, k + others)) >= k + others)
        ):
            return upto
    return int(layer.max()) + 1


def taken(chosen: pq.Selection) -> list[list[int]]:
    return [rows["row"].to_list() for _, rows in chosen]


QUOTAS: list[dict[str, int]] = [
    {"prompt": 1},
    {"prompt": 2},
    {"source": 4},
    {"prompt": 1, "source": 4},
    {"prompt": 3, "source": 2},
]


@SAME
@settings(deadline=None, max_examples=60)
@given(
    st.integers(20, 120),
    st.integers(0, 10_000),
    st.sampled_from(QUOTAS),
    st.sampled_from(RANKS),
    st.integers(2, 4),
    st.integers(1, 5),
    st.booleans(),
)
def test_rows_within_quotas_by_the_definition(
    n: int, seed: int, quotas: dict[str, int], rank: str, count: int, k: int, exclusive: bool
) -> None:
    frame = rows_of(n, seed)
    others = (count - 1) * k if exclusive else 0
    options: dict[str, Any] = {"k": k, "rank": rank, "at_most": quotas, "exclusive": exclusive}
    upto = pool_by_definition(frame, count, k, quotas, others) if rank == "ray" else None
    while True:
        orders = orders_of(frame, count, rank, upto)
        wanted = (
            turns(orders, frame, quotas, k)
            if exclusive
            else [greedy(order, frame, quotas, k) for order in orders]
        )
        short = min(map(len, wanted)) < k
        if not short:
            break
        layers = int(oracle.layers(frame.select(NAMES).to_numpy()).max()) + 1
        if upto is None or upto >= layers:
            with pytest.raises(ValueError, match=f"k={k}"):
                pq.choose(frame, NAMES, count, **options)
            return
        upto += 1  # within several quotas somebody went short: the pool doubles what it holds
    chosen = pq.choose(frame, NAMES, count, **options)
    if len(quotas) > 1 and rank == "ray":
        assert len(chosen.layer_sizes()) >= upto  # the fewest in which nobody goes short
        upto = len(chosen.layer_sizes())
        orders = orders_of(frame, count, rank, upto)
        wanted = (
            turns(orders, frame, quotas, k)
            if exclusive
            else [greedy(order, frame, quotas, k) for order in orders]
        )
    elif upto is not None:
        assert len(chosen.layer_sizes()) == upto
    assert taken(chosen) == wanted
    assert chosen.rows["position"].to_list() == [*range(k)] * count
    lazy = pq.choose(frame.lazy(), NAMES, count, **options)
    assert_frame_equal(lazy.rows, chosen.rows, check_exact=True)


@SAME
@pytest.mark.parametrize("rank", RANKS)
@pytest.mark.parametrize("exclusive", [False, True])
@pytest.mark.parametrize("quotas", [{}, {"prompt": 1}, {"prompt": 2, "source": 2}])
@pytest.mark.parametrize("copies", ["keep", "drop"])
def test_within_groups_each_is_as_if_it_were_alone(
    rank: str, exclusive: bool, quotas: dict[str, int], copies: str
) -> None:
    frame = rows_of(160, 3, prompts=20, sources=2).with_columns(
        topic=pl.int_range(pl.len()) * 7 % 5, group=pl.col("source")
    )
    options: dict[str, Any] = {
        "k": 3, "rank": rank, "exclusive": exclusive, "at_most": quotas or None,
        "duplicates": copies,
    }  # fmt: skip
    whole = pq.choose(frame, NAMES, 3, by="topic", **options)
    for topic in range(5):
        rows = np.flatnonzero(frame["topic"] == topic)
        part = frame.filter(topic=topic)
        if rank == "ray" and not (exclusive or quotas):
            options["at_least"] = 3  # alone, the pool is for all preferences
        elif rank == "ray":
            options["at_least"] = None
        own = whole.rows.filter(topic=topic)
        if rank == "ray" and quotas and not exclusive:
            # The same pool, in which each preference takes what it may.
            upto = 1 + int(whole.layer[rows].max())
            options |= {"upto": upto, "at_least": None}
        alone = pq.choose(part, NAMES, 3, **options)
        options.pop("upto", None)
        assert own["row"].to_list() == rows[alone.rows["row"].to_numpy()].tolist()
        np.testing.assert_array_equal(own["distance"], alone.rows["distance"])
        np.testing.assert_array_equal(own["position"], alone.rows["position"])


def test_distinct_of_several_columns_is_a_quota_of_one_each() -> None:
    frame = rows_of(200, 1, prompts=30, sources=40)
    several = pq.select(frame, NAMES, 3, k=5, distinct=["prompt", "source"])
    quotas = pq.select(frame, NAMES, 3, k=5, at_most={"prompt": 1, "source": 1})
    assert_frame_equal(several, quotas)
    few = rows_of(200, 1, prompts=30, sources=3)
    one = pq.select(few, NAMES, 3, k=5, distinct="prompt", at_most={"source": 2})
    counted = one.group_by("preference").agg(pl.col("prompt").n_unique())
    assert counted["prompt"].to_list() == [5] * 3
    assert one.group_by("preference", "source").len()["len"].max() == 2


def test_a_row_serves_one_preference() -> None:
    frame = rows_of(300)
    chosen = pq.choose(frame, NAMES, 5, k=20, exclusive=True)
    assert chosen.rows["row"].n_unique() == 100
    shared = pq.choose(frame, NAMES, 5, k=20)
    assert shared.rows["row"].n_unique() < 100
    # The first preference takes its very best; nobody gets a row that is nearer to nobody else.
    assert chosen[0]["row"][0] == shared[0]["row"][0]


@pytest.mark.parametrize("rank", RANKS)
def test_copies_are_not_shared_out_either(rank: str) -> None:
    frame = pl.concat([rows_of(80, 2), rows_of(80, 2)])
    options: dict[str, Any] = {"k": 8, "rank": rank, "exclusive": True, "duplicates": "drop"}
    chosen = pq.select(frame, NAMES, 4, **options)
    assert chosen.select("prompt", "response").n_unique() == 32
    assert_frame_equal(pq.select(frame.lazy(), NAMES, 4, **options), chosen)


# ── among the best 4 k ───────────────────────────────────────────────────────────────────────


def centers(points: np.ndarray, k: int) -> list[int]:
    """Greedy k-center, by the definition."""
    got = [0]
    while len(got) < min(k, len(points)):
        left = [i for i in range(len(points)) if i not in got]
        got.append(
            max(left, key=lambda i: (min(((points[i] - points[j]) ** 2).sum() for j in got), -i))
        )
    return sorted(got)


@settings(deadline=None, max_examples=80)
@given(
    st.lists(st.tuples(st.integers(-3, 3), st.integers(-3, 3)), min_size=1, max_size=14),
    st.integers(1, 16),
)
def test_centers_by_the_definition(rows: list[tuple[int, int]], k: int) -> None:
    points = np.array(rows, dtype=np.float64)
    assert k_centers(points, k).tolist() == centers(points, k)


@SAME
@pytest.mark.parametrize("rank", RANKS)
@pytest.mark.parametrize("lazy", [False, True])
def test_rows_far_apart_among_the_best(rank: str, lazy: bool, tmp_path: Path) -> None:
    frame = rows_of(400, 5)
    frame.write_parquet(tmp_path / "rows.parquet")
    data = tmp_path / "rows.parquet" if lazy else frame
    options: dict[str, Any] = {"k": 6, "rank": rank, "at_most": {"prompt": 3}}
    chosen = pq.choose(data, NAMES, 3, diverse="embedding", **options)
    if rank == "ray":
        options["upto"] = len(chosen.layer_sizes())
    orders = orders_of(frame, 3, rank, options.get("upto"))
    for number, rows in chosen:
        best = greedy(orders[int(number)], frame, {"prompt": 3}, 24)
        points = frame["embedding"].gather(best).to_numpy().astype(np.float64)
        assert rows["row"].to_list() == [best[i] for i in centers(points, 6)]
        assert rows["position"].to_list() == [*range(6)]
        assert rows["distance"].is_sorted()
    # Lists do as well as arrays.
    lists = frame.with_columns(pl.col("embedding").arr.to_list())
    assert pq.choose(lists, NAMES, 3, diverse="embedding", **options).rows["row"].to_list() == (
        chosen.rows["row"].to_list()
    )


@SAME
@pytest.mark.parametrize("rank", RANKS)
@pytest.mark.parametrize("by", [None, "source"])
def test_rows_that_are_drawn(rank: str, by: str | None) -> None:
    frame = rows_of(400, 6)
    options: dict[str, Any] = {"k": 5, "rank": rank, "by": by}
    chosen = pq.choose(frame, NAMES, 3, sample=7, **options)
    again = pq.choose(frame.lazy(), NAMES, 3, sample=7, **options)
    assert_frame_equal(chosen.rows, again.rows)
    other = pq.choose(frame, NAMES, 3, sample=8, **options)
    assert chosen.rows["row"].to_list() != other.rows["row"].to_list()
    sizes = chosen.rows.group_by("preference", *([by] if by else []), maintain_order=True).len()
    assert set(sizes["len"]) == {5}
    if rank != "ray":
        offered = pq.choose(frame, NAMES, 3, **{**options, "k": 20})
        best = {(p, r) for p, r in offered.rows.select("preference", "row").iter_rows()}
        assert {(p, r) for p, r in chosen.rows.select("preference", "row").iter_rows()} <= best


def test_better_places_are_drawn_more_often() -> None:
    rng = np.random.default_rng(0)
    counts = np.bincount(np.concatenate([drawn(8, 1, rng) for _ in range(20_000)]), minlength=8)
    chances = 1 / np.arange(1, 9)
    chances /= chances.sum()
    # Five standard errors.
    assert (abs(counts / 20_000 - chances) < 5 * np.sqrt(chances / 20_000)).all()
    assert drawn(5, 9, rng).tolist() == [*range(5)]


# ── what is refused ──────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"at_most": {"prompt": 0}}, "at_most: prompt must be an integer of at least 1, got 0"),
        ({"at_most": {"prompts": 1}}, "at_most: no column 'prompts': the frame has prompt"),
        ({"at_most": {}}, "at_most: expected {column: how many}, such as {'prompt': 1}, got {}"),
        ({"at_most": "prompt"}, "at_most: expected {column: how many}"),
        ({"at_most": {3: 1}}, "at_most: expected the name of a column, got 3"),
        ({"at_most": {"prompt": 1}, "distinct": "prompt"}, "'prompt' is among distinct too"),
        ({"distinct": []}, "distinct: expected the name of a column, or several, got []"),
        ({"distinct": ["prompt", 3]}, "distinct: expected the name of a column, or several"),
        ({"distinct": ["prompt", "sauce"]}, "distinct: no column 'sauce'"),
        ({"at_most": {"gap": 1}}, "at_most: column 'gap' is null in 1 of 60 rows (first: row 7)"),
        ({"at_most": {"source": 1}, "k": 4}, "k=4, but the pool has only 3 rows within the quotas "
         "(at_most): lower k"),
        ({"at_most": {"source": 1}, "k": 4, "rank": "sum"}, "k=4, but there are only 3 rows within "
         "the quotas (at_most): lower k"),
        ({"exclusive": True, "k": 25}, "k=25 for 3 preferences that share no row are 75 rows, but "
         "the pool has only 60: lower k"),
        ({"exclusive": True, "k": 25, "rank": "ideal"}, "k=25, but there are only"),
        ({"exclusive": True, "k": 9, "upto": 1}, "raise upto or at_least, or lower k"),
        ({"exclusive": "yes"}, "exclusive must be True or False, got 'yes'"),
        ({"diverse": "vector"}, "diverse: no column 'vector'"),
        ({"diverse": "prompt"}, "diverse: column 'prompt' has dtype String: expected embeddings"),
        ({"diverse": 3}, "diverse must be the name of a column, got 3"),
        ({"diverse": "ragged"}, "diverse: column 'ragged' has no 2 finite numbers in"),
        ({"diverse": "holes"}, "diverse: column 'holes' has no 2 finite numbers in"),
        ({"diverse": "late"}, "diverse: column 'late' has no 2 finite numbers in"),
        ({"diverse": "endless"}, "diverse: column 'endless' has no 2 finite numbers in"),
        ({"diverse": "embedding", "sample": 1}, "choose one of diverse and sample"),
        ({"sample": -1}, "sample must be a seed, a whole number from 0 on, got -1"),
        ({"sample": True}, "sample must be a seed"),
        ({"sample": 0.5}, "sample must be a seed"),
    ],
)  # fmt: skip
@pytest.mark.parametrize("lazy", [False, True])
def test_what_is_refused(options: dict[str, Any], message: str, lazy: bool) -> None:
    frame = rows_of(60).with_columns(
        gap=pl.when(pl.int_range(pl.len()) != 7).then(pl.col("source")),
        ragged=pl.concat_list(*["help"] * 2).list.head(pl.int_range(pl.len()) % 2 + 1),
        holes=pl.when(pl.int_range(pl.len()) % 2 == 0).then(pl.concat_list("help", "harm")),
        endless=pl.concat_list("help", pl.lit(float("inf"))),
        late=pl.when(pl.int_range(pl.len()) >= 30).then(pl.concat_list("help", "harm")),
    )
    if "ragged" in options.values():
        frame = frame.with_columns(
            ragged=pl.when(pl.int_range(pl.len()) % 2 == 0)
            .then(pl.concat_list("help", "harm"))
            .otherwise(pl.concat_list("help"))
        )
        message = "diverse: column 'ragged' has no"
    if lazy and "is null in" in message:
        message = "column 'gap' is null or NaN (first at row 7): fill or drop such rows"
    given_ = {"k": 3, **options}
    with pytest.raises(ValueError, match=re.escape(message)):
        pq.choose(frame.lazy() if lazy else frame, NAMES, 3, **given_)


def test_a_state_is_chosen_from_in_the_same_ways() -> None:
    frame = rows_of(300, 9)
    state = pq.FirstLayers(NAMES, upto=12)
    for part in (frame[:100], frame[100:250], frame[250:]):
        state.add(part)
    for options in (
        {"at_most": {"prompt": 1, "source": 3}},
        {"exclusive": True},
        {"diverse": "embedding"},
        {"sample": 3, "prefix": "x_"},
    ):
        from_state = pq.choose_from(state, 3, k=4, **options)
        whole = pq.choose(frame, NAMES, 3, k=4, upto=12, **options)
        assert_frame_equal(from_state.rows, whole.rows, check_dtypes=False)
