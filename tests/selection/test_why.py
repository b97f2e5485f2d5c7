"""Why a row was chosen or not: against definitions, whole orders, and a walk down them."""

from __future__ import annotations

import pickle
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from polars.testing import assert_frame_equal

import paretohqd as pq
from helpers import oracle
from helpers.drawn import NAMES
from paretohqd.selection.why import Why

pytestmark = pytest.mark.filterwarnings("ignore::paretohqd.selection.same_rows.SameRowsWarning")

RANKS = ["ray", "achievement", "sum", "ideal"]
TEXTS = ["prompt", "response"]
Options = dict[str, Any]


@st.composite
def frames(draw: st.DrawFn) -> tuple[pl.DataFrame, dict[str, str]]:
    """Rows with ties and copies, perhaps with gaps, and the directions of their objectives."""
    m, n = draw(st.integers(2, 3)), draw(st.integers(4, 24))
    number = draw(st.sampled_from([st.integers(0, 3), st.integers(-50, 50)]))
    rows = draw(st.lists(st.tuples(*[number] * m), min_size=n, max_size=n))
    dtype = draw(st.sampled_from([pl.Float64, pl.Float32, pl.Int16]))
    scale = draw(st.sampled_from([1, 1 / 3])) if dtype != pl.Int16 else 1
    texts = [draw(st.lists(st.sampled_from("pqrs"), min_size=n, max_size=n)) for _ in range(3)]
    frame = pl.DataFrame(
        {name: [row[j] * scale for row in rows] for j, name in enumerate(NAMES[:m])}
    ).cast(dict.fromkeys(NAMES[:m], dtype))
    frame = frame.with_columns(prompt=pl.Series(texts[0]), response=pl.Series(texts[1]))
    frame = frame.with_columns(source=pl.Series(texts[2]))
    if draw(st.booleans()):
        gaps = draw(st.lists(st.booleans(), min_size=n, max_size=n))
        name = draw(st.sampled_from(NAMES[:m]))
        frame = frame.with_columns(pl.when(~pl.Series(gaps)).then(name).alias(name))
    ways = draw(st.lists(st.sampled_from(["max", "min"]), min_size=m, max_size=m))
    return frame, dict(zip(NAMES, ways, strict=False))


@st.composite
def rules(draw: st.DrawFn) -> Options:
    rank = draw(st.sampled_from(RANKS))
    options: Options = {"rank": rank, "k": draw(st.integers(1, 4)), "nan": "drop"}
    options["bounds"] = draw(st.sampled_from(["pool", "all", "points"]))
    options["duplicates"] = draw(st.sampled_from(["keep", "drop"]))
    if rank != "achievement":
        options["scale"] = draw(st.sampled_from(["box", "none", "numbers"]))
    if rank in ("ray", "achievement"):
        options["directions"] = draw(st.sampled_from(["paper", "tchebycheff"]))
    if rank == "ray":
        options |= draw(st.sampled_from([{}, {"upto": 2}, {"upto": 30}, {"at_least": 7}]))
    return options


def chosen_by(data: Any, objectives: dict[str, str], options: Options, given_: Any) -> pq.Selection:
    """A selection by drawn options, if there can be one."""
    options, m = dict(options), len(objectives)
    if options["bounds"] == "points":
        up = [way == "max" for way in objectives.values()]
        ends = [(-9, 9) if each else (9, -9) for each in up]
        options["bounds"] = [list(end) for end in zip(*ends, strict=True)]
    if options.get("scale") == "numbers":
        options["scale"] = [0.5, 3, 7][:m]
    try:
        return pq.choose(data, objectives, given_, **options)
    except ValueError:
        assume(False)
        raise


def signed(frame: pl.DataFrame, objectives: dict[str, str]) -> np.ndarray:
    """(n, M) larger is better; null is NaN."""
    signs = [1 if way == "max" else -1 for way in objectives.values()]
    columns = [pl.col(name).cast(pl.Float64).fill_null(float("nan")) for name in objectives]
    return frame.select(columns).to_numpy() * signs


def dominators(points: np.ndarray, row: int, among: np.ndarray) -> list[int]:
    return [int(i) for i in among if oracle.dominates(points[i], points[row])]


def order_of_all(frame: pl.DataFrame, chosen: pq.Selection, options: Options) -> pl.DataFrame:
    """What the same rule chooses if it may take every row, by the same reference points."""
    more = {key: options[key] for key in ("rank", "directions", "nan") if key in options}
    more["bounds"] = [chosen.r_min.tolist(), chosen.r_max.tolist()]
    assert chosen.rule is not None
    more["scale"] = chosen.rule.scale
    if chosen.rank == "ray":
        whole = len(chosen.pool) + chosen.left_out == chosen.n_rows - chosen.dropped_rows
        layers = len(frame) if whole else len(chosen.layer_sizes())
        more |= {"k": len(chosen.pool), "upto": layers, "duplicates": chosen.duplicates}
    else:
        more["k"] = chosen.n_rows - chosen.dropped_rows
    return pq.select(frame, chosen.objectives, chosen.preferences, **more)


def distances(points: np.ndarray, chosen: pq.Selection, number: int) -> np.ndarray:
    """(n,) from each row to a preference's ray, or what it loses, by the definitions."""
    signs = np.array([1 if d == "max" else -1 for d in chosen.objectives.values()])
    low, high = chosen.r_min * signs, chosen.r_max * signs
    assert chosen.rule is not None
    units = chosen.rule.units(len(signs))
    units = high - low if units is None else units
    weights = chosen.preferences[number]
    if chosen.rank == "ray":
        ideal, through = (high - low) / units, chosen.through[number] * (high - low) / units
        return np.array([oracle.distance((p - low) / units, ideal, through) for p in points])
    short = (high - points) / units
    if chosen.rank == "sum":
        return (weights * short).sum(axis=1)
    if chosen.rank == "ideal":
        return np.sqrt(np.square(weights * np.maximum(short, 0)).sum(axis=1))
    fall = 1 - chosen.through[number]
    if (firm := fall == 0).any():
        return (high - points)[:, firm].max(axis=1)
    return (short / fall).max(axis=1)


def walked(
    frame: pl.DataFrame, chosen: pq.Selection, order: list[int], taken: list[int], distinct: Any
) -> Iterator[tuple[int, str | None, int | None]]:
    """Down an order to the last row that was taken: each row, why it was left out, for which."""
    texts: dict[Any, int] = {}
    keys: dict[Any, int] = {}
    for row in order[: order.index(taken[-1]) + 1]:
        text, key = frame.select(TEXTS).row(row), None if distinct is None else frame[distinct][row]
        first = texts.setdefault(text, row) if chosen.duplicates == "drop" else row
        if first != row and (first in taken or keys.get(key) is None):
            yield row, "copy", first if first in taken else None
        elif key in keys:
            yield row, "distinct", keys[key]
        else:
            if distinct is not None and first == row:
                keys[key] = row
            yield row, None, None


def checked(frame: pl.DataFrame, chosen: pq.Selection, options: Options) -> None:
    """All that is said of every row, where all scores are at hand and there are no groups."""
    points = signed(frame, chosen.objectives)
    usable = np.flatnonzero(~np.isnan(points).any(axis=1))
    layer = np.full(len(frame), -1)
    layer[usable] = oracle.layers(points[usable])
    every = order_of_all(frame, chosen, options)
    orders = [every.filter(preference=p)["row"].to_list() for p in range(len(chosen))]
    taken = [chosen[p]["row"].to_list() for p in range(len(chosen))]
    reasons = [
        {
            row: (word, other)
            for row, word, other in walked(frame, chosen, *each, options.get("distinct"))
        }
        for each in zip(orders, taken, strict=True)
    ]
    pool = chosen.pool["row"].to_list()
    copies = {frame.select(TEXTS).row(row): row for row in pool} if chosen.left_out else {}
    for row in range(len(frame)):
        why = chosen.why(row)
        assert why.row == row
        assert why.complete or why.left_out == "dropped"
        assert why.scores is not None
        np.testing.assert_array_equal(
            list(why.scores.values()), signed(frame[[row]], dict.fromkeys(why.scores, "max"))[0]
        )
        assert why.chosen == any(row in own for own in taken)
        if row not in usable:
            assert (why.left_out, why.layer, len(why.dominated_by)) == ("dropped", None, 0)
            assert why.table["distance"].null_count() == len(chosen)
            continue
        assert why.dominated_by.tolist() == dominators(points, row, usable)
        assert why.layer == layer[row] or (why.layer is None and layer[row] >= why.layers)
        if chosen.rank == "ray" and row not in pool:
            other = copies.get(frame.select(TEXTS).row(row))
            inside = why.layer is not None or len(pool) + chosen.left_out == len(usable)
            assert (why.left_out, why.copy_of) == (("copy", other) if inside else ("layer", None))
            assert not inside or other is not None
        else:
            assert (why.left_out, why.layer is None) == (
                None,
                row not in pool and why.layer is None,
            )
        assert why.ranked == (len(pool) if chosen.rank == "ray" else len(usable))
        assert why.taken == options["k"]
        assert why.layers == len(chosen.layer_sizes())
        for number, each in enumerate(why.table.iter_rows(named=True)):
            own = distances(points, chosen, number)
            assert each["distance"] == pytest.approx(own[row], rel=1e-9, abs=1e-9)
            assert each["last"] == chosen[number]["distance"][-1]
            position = taken[number].index(row) if row in taken[number] else None
            assert each["position"] == position
            if position is not None:
                assert each["distance"] == chosen[number]["distance"][position]
            if why.left_out is not None:
                assert each["place"] is None
                continue
            place = orders[number].index(row)
            assert each["place"] == place
            assert each["distance"] == every.filter(preference=number)["distance"][place]
            assert (each["skipped"], each["instead"]) == reasons[number].get(row, (None, None))
        assert repr(why)
    nothing_skipped = chosen.duplicates == "keep" and options.get("distinct") is None
    for number, own in enumerate(taken if nothing_skipped else []):
        places = [chosen.why(row).table["place"][number] for row in own]
        assert places == list(range(len(own)))


@settings(deadline=None, max_examples=60)
@given(
    frames(),
    rules(),
    st.sampled_from([None, "prompt", "source"]),
    st.sampled_from([1, 3, "named"]),
    st.booleans(),
)
def test_all_that_is_said_is_what_the_definitions_say(
    rows: Any, options: Options, distinct: Any, preferences: Any, lazy: bool
) -> None:
    frame, objectives = rows
    m = len(objectives)
    given_: Any = {
        1: [np.eye(m)[0]],
        3: {2: 3, 3: 6}[m],
        "named": {"kind": [0.25] * (m - 1) + [1 - 0.25 * (m - 1)], "both": [1 / m] * m},
    }[preferences]
    options = {**options, "distinct": distinct}
    chosen = chosen_by(frame.lazy() if lazy else frame, objectives, options, given_)
    checked(frame, chosen, options)


@settings(deadline=None, max_examples=60)
@given(frames(), rules(), st.sampled_from(["prompt", ["prompt", "source"]]), st.booleans())
def test_within_groups_a_row_is_compared_with_those_of_its_group(
    rows: Any, options: Options, by: Any, lazy: bool
) -> None:
    frame, objectives = rows
    options = {**options, "by": by}
    data = frame.lazy() if lazy else frame
    chosen = chosen_by(data, objectives, options, 3 if len(objectives) == 2 else 6)
    more: Options = {"k": len(frame)}
    if options["rank"] == "ray" and not {"upto", "at_least"} & set(options):
        more["at_least"] = options["k"]  # the fewest layers that hold k rows
    every = chosen_by(data, objectives, {**options, **more}, chosen.preferences)
    points = signed(frame, objectives)
    usable = ~np.isnan(points).any(axis=1)
    keys = frame.select(by).rows()
    pool = chosen.pool["row"].to_list()
    for row in range(len(frame)):
        why = chosen.why(row)
        group = np.array([i for i, key in enumerate(keys) if key == keys[row]])
        assert why.group is not None
        assert why.group.tolist() == group.tolist()
        if not usable[row]:
            assert why.left_out == "dropped"
            continue
        members = group[usable[group]]
        assert why.complete
        assert why.dominated_by.tolist() == dominators(points, row, members)
        layer = oracle.layers(points[members])[members.tolist().index(row)]
        assert why.layer == layer or (why.layer is None and layer >= why.layers)
        inside = [i for i in members if i in pool]
        assert why.ranked == (len(inside) if chosen.rank == "ray" else len(members))
        assert (why.left_out is None) == (chosen.rank != "ray" or row in pool)
        if why.left_out == "copy":
            other = why.copy_of
            assert other in inside
            assert frame.select(TEXTS).row(row) == frame.select(TEXTS).row(other)
        for number, each in enumerate(why.table.iter_rows(named=True)):
            taken = [i for i in chosen[number]["row"] if i in members]
            order = every[number].filter(pl.col("row").is_in(members.tolist()))
            assert why.taken == len(taken)
            assert each["position"] == (taken.index(row) if row in taken else None)
            assert each["distance"] is not None
            if row in (found := order["row"].to_list()):
                assert each["distance"] == order["distance"][found.index(row)]
                if chosen.duplicates == "keep" or chosen.rank == "ray":
                    assert each["place"] == found.index(row)
                assert each["skipped"] is None
            elif why.left_out is None:  # every preference takes another for it
                other = each["instead"]
                assert (each["skipped"] is None) == (other is None)
                if other is not None:
                    assert each["skipped"] == "copy"
                    assert frame.select(TEXTS).row(row) == frame.select(TEXTS).row(other)
                    assert each["place"] > chosen.why(other).table["place"][number]


# ── other inputs ─────────────────────────────────────────────────────────────────────────────

RNG = np.random.default_rng(3)
FRAME = pl.DataFrame(RNG.integers(0, 30, (400, 2)).astype(float), schema=["help", "harm"])
FRAME = FRAME.with_columns(
    prompt=pl.Series([f"question {i % 40}" for i in range(400)]),
    response=pl.Series([f"answer {i % 300}" for i in range(400)]),
)
OBJECTIVES = {"help": "max", "harm": "min"}
NAMED = {"frank": [0.9, 0.1], "kind": [0.1, 0.9]}


def named(data: Any = FRAME, **options: Any) -> pq.Selection:
    return pq.choose(data, OBJECTIVES, NAMED, **{"k": 9, **options})


def same(one: Why, other: Why) -> bool:
    """Whether two values say the same."""
    assert_frame_equal(one.table, other.table, check_exact=True)
    return repr(one) == repr(other) and one.dominated_by.tolist() == other.dominated_by.tolist()


@pytest.mark.parametrize("rank", RANKS)
@pytest.mark.parametrize(
    "more", [{}, {"distinct": "prompt"}, {"duplicates": "drop"}, {"nan": "drop"}], ids=str
)
def test_files_say_what_a_frame_says(
    rank: Any, more: Options, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    frame = FRAME
    if "nan" in more:
        gaps = pl.when(pl.int_range(400) % 7 > 0).then("help").alias("help")
        frame = frame.with_columns(gaps)
    expected = named(frame, rank=rank, **more)
    for start in range(0, 400, 150):
        frame[start : start + 150].write_parquet(tmp_path / f"{start:03}.parquet")
    frame.write_csv(tmp_path / "all.csv")
    monkeypatch.setattr("paretohqd.frames.batches.MAX_ROWS", 64)
    for source in (frame.lazy(), tmp_path / "*.parquet", tmp_path / "all.csv"):
        found = named(source, rank=rank, **more)
        for row in (0, 63, 64, 150, 299, 301, 399, *expected[0]["row"][:3]):
            assert same(found.why(row), expected.why(row))


@pytest.mark.parametrize("rank", RANKS)
def test_rows_that_came_in_parts(rank: Any) -> None:
    """Of a row of the pool all is known but its place among all; of others, that they are none."""
    state = pq.FirstLayers(OBJECTIVES, upto=12)
    for start in range(0, 400, 150):
        state.add(FRAME[start : start + 150])
    found = pq.choose_from(state, NAMED, k=9, rank=rank)
    expected = named(rank=rank, **({"upto": 12} if rank == "ray" else {}))
    pool = found.pool["row"].to_list()
    for row in range(400):
        why, whole = found.why(row), expected.why(row)
        if row not in pool:
            assert why.left_out == ("layer" if rank == "ray" else "unknown")
            assert why.scores is None
            assert not why.complete
            assert why.table["distance"].null_count() == 2
            assert "were taken" in repr(why)
            continue
        assert set(why.dominated_by) <= set(whole.dominated_by)
        assert not why.complete or len(why.dominated_by) == len(whole.dominated_by)
        assert why.complete or rank != "ray"
        assert why.layer == whole.layer
        unplaced = [] if rank == "ray" else ["place"]
        assert_frame_equal(why.table.drop(unplaced), whole.table.drop(unplaced), check_exact=True)
        if rank != "ray":
            assert why.table["place"].null_count() == 2
            assert why.complete or "of the pool; others are not at hand" in repr(why)


@pytest.mark.parametrize("rank", RANKS)
@pytest.mark.parametrize("distinct", [None, "prompt"])
@pytest.mark.parametrize("duplicates", ["keep", "drop"])
def test_a_pickled_selection_says_what_it_can(
    rank: Any, distinct: str | None, duplicates: Any
) -> None:
    chosen = named(rank=rank, distinct=distinct, duplicates=duplicates)
    again = pickle.loads(pickle.dumps(chosen))
    skipped, pool = set(), chosen.pool["row"].to_list()
    for row in sorted({*pool[:60], *range(0, 400, 7)}):
        why, whole = again.why(row), chosen.why(row)
        if row not in pool:
            assert why.left_out == ("unknown" if rank != "ray" or chosen.left_out else "layer")
            continue
        assert why.table["distance"].to_list() == whole.table["distance"].to_list()
        assert why.table["position"].to_list() == whole.table["position"].to_list()
        assert set(why.dominated_by) <= set(whole.dominated_by)
        for now, before in zip(why.table["skipped"], whole.table["skipped"], strict=True):
            assert (now is None) == (before is None)
            assert now is None or before in now
            skipped.add(now)
        assert "earlier" in repr(why) or set(why.table["skipped"]) == {None}
    assert skipped <= {None, "copy", "distinct", "copy or distinct"}


def test_what_is_not_at_hand_is_refused_or_left_open() -> None:
    grouped = named(by="prompt", k=1)
    assert grouped.why(0).group is not None
    with pytest.raises(ValueError, match=r"of the same prompt, which are not at hand .* pickled"):
        pickle.loads(pickle.dumps(grouped)).why(0)
    bare = named()
    object.__setattr__(bare, "rule", None)
    with pytest.raises(ValueError, match=r"put together by hand: make it with paretohqd\.choose"):
        bare.why(0)


@pytest.mark.parametrize("row", [-1, 400, 10**30, 1.0, "1", None, True, np.True_, np.float64(2)])
def test_what_is_no_row_is_refused(row: Any) -> None:
    with pytest.raises(ValueError, match="row: expected a whole number from 0 to 399, got"):
        named().why(row)


def test_numbers_of_numpy_are_numbers() -> None:
    chosen = named()
    for kind in (np.int64, np.uint32, np.int8):
        assert same(chosen.why(kind(7)), chosen.why(7))
    assert type(chosen.why(np.int64(7)).row) is int


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
@pytest.mark.parametrize("rank", RANKS)
@pytest.mark.parametrize("by", [None, "group"])
def test_a_row_so_far_off_that_no_double_holds_its_distance_comes_last(rank: Any, by: Any) -> None:
    frame = pl.DataFrame({"a": [1.0, 0.5, 0.0, -1.7e308, 1.2], "b": [0.0, 0.6, 1.0, 0.3, -0.1]})
    frame = frame.with_columns(group=1)
    options: Options = {"k": 2, "rank": rank, "by": by, "bounds": [(0, 0), (1, 1)]}
    options |= {"upto": 1} if rank == "ray" else {}
    options |= {} if rank == "achievement" else {"scale": [0.5, 0.5]}
    why = pq.choose(frame, ["a", "b"], [[0, 1], [1, 0]], **options).why(3)
    assert why.left_out == ("layer" if rank == "ray" else None)
    assert why.dominated_by.tolist() == [1, 2]
    assert not why.chosen
    assert rank != "ray" or why.table["distance"].null_count() == 2
    if rank in ("sum", "ideal"):
        assert why.table["place"].to_list() == [4, 4]


def test_rows_in_another_order_are_refused() -> None:
    order = {"seed": 0}

    def rows(_: pl.DataFrame) -> pl.DataFrame:
        return FRAME.sample(fraction=1, shuffle=True, seed=order["seed"])

    chosen = named(FRAME.lazy().map_batches(rows), upto=3)
    far = int(np.flatnonzero(chosen.layer < 0)[0])
    assert chosen.why(far).left_out == "layer"
    order["seed"] = 1
    with pytest.raises(ValueError, match="the rows come in another order each time"):
        chosen.why(far)


def test_a_file_that_is_gone(tmp_path: Path) -> None:
    FRAME.write_parquet(tmp_path / "rows.parquet")
    chosen = named(tmp_path / "rows.parquet", upto=3)
    inside, far = chosen.pool["row"][0], int(np.flatnonzero(chosen.layer < 0)[0])
    (tmp_path / "rows.parquet").unlink()
    assert chosen.why(inside).layer is not None  # what is asked of the pool needs no file
    with pytest.raises(ValueError, match="cannot be read"):
        chosen.why(far)


def test_columns_with_odd_names_and_arrays() -> None:
    odd = FRAME.rename({"help": "^h.*$", "harm": "<b>", "prompt": "*"})
    for rank in RANKS:
        options: Options = {"k": 5, "rank": rank, "distinct": "*", "duplicates": "drop"}
        chosen = pq.choose(odd, {"^h.*$": "max", "<b>": "min"}, NAMED, **options)
        expected = named(k=5, rank=rank, distinct="prompt", duplicates="drop")
        for row in range(0, 400, 9):
            assert_frame_equal(chosen.why(row).table, expected.why(row).table)
        assert "&lt;b&gt;" in chosen.why(0)._repr_html_()
    arrays = FRAME.select(pl.concat_list("help", "harm").list.to_array(2).alias("r"))
    whole = pq.choose(arrays, {"r": ["max", "min"]}, NAMED, k=5, upto=2)
    assert list((whole.why(0).scores or {}).items()) == [
        ("r[0]", FRAME["help"][0]),
        ("r[1]", FRAME["harm"][0]),
    ]


def test_scores_that_stand_as_text_are_read_as_numbers(tmp_path: Path) -> None:
    text = FRAME.with_columns(pl.col("help").cast(pl.String))
    for rank in RANKS:
        chosen, expected = named(text, rank=rank, k=5), named(rank=rank, k=5)
        for row in range(0, 400, 50):
            assert_frame_equal(chosen.why(row).table, expected.why(row).table)


# ── as an object ─────────────────────────────────────────────────────────────────────────────

FIVE = pl.DataFrame(
    {
        "help": [4.0, 4.0, 0.0, 2.0, None],
        "safe": [0.0, 0.0, 4.0, 1.0, 1.0],
        "prompt": ["a", "a", "b", "c", "d"],
        "response": ["x", "x", "y", "z", "z"],
    }
)


def text_of(row: int, **options: Any) -> str:
    options = {"k": 1, "nan": "drop", **options}
    preferences = options.pop("preferences", {"kind": [0.75, 0.25]})
    return repr(pq.choose(FIVE, ["help", "safe"], preferences, **options).why(row))


def test_it_prints_as_a_text() -> None:
    assert text_of(0, k=2) == (
        "row        0, chosen for 1 of 1 preference\n"
        "scores     help (max) 4, safe (max) 0\n"
        "layer      0; the pool has 1 layer, 0 is the front\n"
        "dominated  by no row\n"
        "  0 kind: chosen, position 1 (place 1 of 4); distance 0.3162"
    )
    assert text_of(2, upto=1, preferences=[[0.5, 0.5]]) == (
        "row        2, not chosen\n"
        "scores     help (max) 0, safe (max) 4\n"
        "layer      0; the pool has 1 layer, 0 is the front\n"
        "dominated  by no row\n"
        "  0 (0.5, 0.5): place 3 of 4, 1 was taken; distance 0.7071, the last one taken 0.1768"
    )
    assert text_of(4).splitlines() == [
        "row        4, left out: its scores are null or NaN in help",
        "scores     help (max) nan, safe (max) 1",
    ]


def test_it_names_what_was_taken_instead() -> None:
    copy = text_of(1, duplicates="drop", k=2).splitlines()
    assert copy[0] == "row        1, left out as a copy of row 0"
    assert "not chosen, 2 were taken" in copy[-1]
    passed = text_of(1, duplicates="drop", k=2, rank="sum")
    assert "place 1 of 4, passed over as a copy of row 0, 2 were taken; shortfall" in passed
    passed = text_of(1, distinct="prompt", k=3)
    assert "passed over: row 0 has the same prompt, 3 were taken; distance" in passed


def test_it_counts_what_dominates() -> None:
    frame = pl.DataFrame({"a": [*range(1, 12), 0], "b": [*range(11, 0, -1), 0]})
    why = pq.choose(frame, ["a", "b"], 3, k=1, upto=1).why(11)
    assert why.dominated_by.tolist() == list(range(11))
    assert "by 11 rows: 0, 1, 2, 3, 4, 5, 6, 7, .." in repr(why)
    assert "layer      beyond the pool; the pool has 1 layer, 0 is the front" in repr(why)
    assert "not in the pool, which ends before its layer" in repr(why)
    html = why._repr_html_()
    assert html.startswith("<table><caption>Row 11</caption>")
    assert "<th>dominated</th><td>by 11 rows: 0" in html


def test_the_table_has_a_row_for_each_preference() -> None:
    table = named().why(3).table
    assert dict(table.schema) == {
        "preference": pl.Int32,
        "preference_name": pl.String,
        "weights": pl.List(pl.Float64),
        "distance": pl.Float64,
        "place": pl.Int64,
        "position": pl.Int32,
        "last": pl.Float64,
        "skipped": pl.String,
        "instead": pl.Int64,
    }
    assert table["preference_name"].to_list() == ["frank", "kind"]
    assert "preference_name" not in pq.choose(FRAME, OBJECTIVES, 3, k=2).why(3).table
    for rank in RANKS:
        gone = pickle.loads(pickle.dumps(named(rank=rank))).why(399)
        assert gone.table.schema == table.schema


def test_it_can_be_pickled_and_copied() -> None:
    why = named().why(3)
    assert same(pickle.loads(pickle.dumps(why)), why)
    assert re.match(r"row +3, ", str(why))


# ── conditions, noise, quotas, turns, draws ──────────────────────────────────────────────────


def asked_frame(n: int = 120) -> pl.DataFrame:
    rng = np.random.default_rng(4)
    return pl.DataFrame(
        {
            "prompt": [f"p{i}" for i in rng.integers(0, 15, n)],
            "response": [f"r{i}" for i in range(n)],
            "source": [f"s{i}" for i in rng.integers(0, 3, n)],
            "safe": rng.integers(0, 4, n),
            "a": rng.normal(size=n).round(1),
            "b": rng.normal(size=n).round(1),
            "e": pl.Series(rng.normal(size=(n, 2)), dtype=pl.Array(pl.Float64, 2)),
        }
    )


ASKED: list[dict[str, Any]] = [
    {"where": "safe > 0"},
    {"where": "safe > 0 AND source <> 's1'", "nan": "drop"},
    {"epsilon": 0.5, "upto": 3},
    {"at_most": {"prompt": 2}},
    {"at_most": {"prompt": 2, "source": 4}},
    {"distinct": ["prompt", "response"]},
    {"exclusive": True},
    {"exclusive": True, "at_most": {"source": 4}, "prefix": "x_"},
    {"sample": 1},
    {"diverse": "e"},
]


@pytest.mark.parametrize("options", ASKED, ids=lambda options: " ".join(options))
@pytest.mark.parametrize("rank", ["ray", "achievement"])
@pytest.mark.parametrize("by", [None, "source"])
@pytest.mark.parametrize("lazy", [False, True])
def test_what_else_may_be_asked(
    options: dict[str, Any], rank: Any, by: str | None, lazy: bool
) -> None:
    frame = asked_frame()
    if rank != "ray" and {"epsilon", "upto"} & options.keys():
        return
    data = frame.lazy() if lazy else frame
    chosen = pq.choose(data, ["a", "b"], 3, k=5, rank=rank, by=by, **options)
    inside = np.ones(len(frame), dtype=bool)
    if "where" in options:
        inside[:] = False
        kept = frame.with_row_index("n").filter(pl.sql_expr(options["where"]))
        inside[kept["n"].to_numpy()] = True
    units = options.get("epsilon")
    points = frame.select("a", "b").to_numpy()
    points = np.floor(points / units) if units else points
    prefix = options.get("prefix", "")
    for row in range(0, len(frame), 7):
        why = chosen.why(row)
        assert (why.left_out == "excluded") == (not inside[row])
        if not inside[row]:
            assert "does not meet the condition" in repr(why)
            assert why.table["distance"].null_count() == 3
            continue
        same = inside if by is None else inside & (frame[by] == frame[by][row]).to_numpy()
        beaten = [i for i in np.flatnonzero(same) if oracle.dominates(points[i], points[row])]
        assert why.dominated_by.tolist() == beaten
        if why.layer is not None:
            own = oracle.layers(points[same])
            assert why.layer == own[np.flatnonzero(same).tolist().index(row)]
        for number, position, skipped, place in why.table.select(
            "preference", "position", "skipped", "place"
        ).iter_rows():
            rows = chosen[number]
            if by is not None:
                rows = rows.filter(pl.col(by) == frame[by][row])
            taken = rows[f"{prefix}row"].to_list()
            assert (position is not None) == (row in taken)
            if skipped is None:
                continue
            assert row not in taken
            if skipped == "exclusive":
                assert any(row in chosen[other][f"{prefix}row"] for other in range(3))
            elif skipped in ("distinct", "at_most"):
                quotas = {"prompt": 1, "response": 1} | options.get("at_most", {})
                full = [
                    name
                    for name, most in quotas.items()
                    if (frame[name].gather(taken) == frame[name][row]).sum() >= most
                ]
                assert full
            else:
                assert skipped in options
                assert place is None or place < max(20, len(rows))


GROUPED: list[dict[str, Any]] = [
    {"exclusive": True},
    {"exclusive": True, "at_most": {"source": 1}},
    {"exclusive": True, "duplicates": "drop", "diverse": "e"},
    {"at_most": {"source": 2}, "duplicates": "drop"},
    {"distinct": "source", "duplicates": "drop"},
]


@pytest.mark.parametrize("options", GROUPED, ids=lambda options: " ".join(options))
@pytest.mark.parametrize("rank", ["ray", "achievement", "sum", "ideal"])
def test_groups_that_leave_a_preference_fewer_rows_than_it_wants(
    options: dict[str, Any], rank: Any
) -> None:
    number = pl.int_range(pl.len())
    frame = asked_frame()[:40].with_columns(
        prompt=pl.lit("p"), response=pl.format("r{}", number % 3), group=number // 5
    )
    chosen = pq.choose(frame, ["a", "b"], 3, k=5, rank=rank, by="group", **options)
    for row in range(len(frame)):
        why = chosen.why(row)
        mates = frame["group"] == frame["group"][row]
        members = mates.arg_true().to_list()
        taken = [[r for r in rows["row"].to_list() if r in members] for _, rows in chosen]
        assert why.taken_by == tuple(map(len, taken))
        for number, own in enumerate(taken):
            each = why.table.row(number, named=True)
            assert each["position"] == (own.index(row) if row in own else None)
            assert (each["last"] is None) == (not own)
            if row in own or each["place"] is None:
                continue
            if len(own) < 5:  # what it did not take it was kept from
                assert each["skipped"] is not None
            if each["skipped"] == "exclusive":
                assert any(row in other for other in taken)
            if each["instead"] is not None and each["skipped"] != "copy":
                assert frame["source"][each["instead"]] == frame["source"][row]
            if not own:
                assert "none was taken" in repr(why)


@pytest.mark.parametrize("narrow", [{"diverse": "e"}, {"sample": 1}])
@pytest.mark.parametrize("quotas", [{}, {"distinct": "source"}, {"at_most": {"source": 2}}])
@pytest.mark.parametrize("rank", ["ray", "achievement"])
def test_a_pickled_selection_says_all_that_may_have_been_the_reason(
    narrow: dict[str, Any], quotas: dict[str, Any], rank: Any
) -> None:
    chosen = pq.choose(asked_frame(), ["a", "b"], 3, k=2, rank=rank, **narrow, **quotas)
    pickled, found = pickle.loads(pickle.dumps(chosen)), set()
    every = [*quotas, *narrow]
    for row in chosen.pool["row"].to_list():
        reasons = chosen.why(row).table["skipped"].to_list()
        others = pickled.why(row).table["skipped"].to_list()
        for reason, other in zip(reasons, others, strict=True):
            assert other == (None if reason is None else " or ".join(every))
            found.add(reason)
    assert found > {None}


def test_a_preference_without_rows_has_its_line_and_its_overlap() -> None:
    frame = pl.DataFrame({"a": [1.0, 3.0], "b": [3.0, 1.0], "group": ["x", "x"]})
    chosen = pq.choose(frame, ["a", "b"], 3, k=10**9, by="group", exclusive=True)
    assert [len(rows) for _, rows in chosen] == [1, 1, 0]
    assert chosen.overlap().tolist() == [[1, 0, 0], [0, 1, 0], [0, 0, 1]]
    assert chosen.explain().splitlines()[-1] == "    2 (0, 1):    - 0.00; 0 rows"
