"""Which rows take part, what counts as noise, and how the added columns are called."""

from __future__ import annotations

import re
import sys
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
from paretohqd.cli.main import main
from paretohqd.frames.condition import Condition
from paretohqd.frames.sources import read_frame
from paretohqd.selection.choosing import ADDED

NAMES = ["help", "harm"]
RANKS = ["ray", "achievement", "sum", "ideal"]
SAME = pytest.mark.filterwarnings("ignore::paretohqd.selection.same_rows.SameRowsWarning")


def rows_of(n: int, seed: int = 0) -> pl.DataFrame:
    rng = np.random.default_rng(seed)
    help_, harm = rng.normal(size=(2, n)).round(2)
    return pl.DataFrame(
        {
            "prompt": [f"p{i}" for i in rng.integers(0, 9, n)],
            "response": [f"r{i // 10 if i % 10 == 1 else 1000 + i}" for i in range(n)],
            "source": pl.Series([f"s{i}" for i in rng.integers(0, 3, n)]),
            "safe": rng.integers(0, 10, n),
            "help": help_,
            "harm": harm,
        }
    ).with_columns(safe=pl.when(pl.int_range(pl.len()) % 13 != 0).then("safe"))


def sources(frame: pl.DataFrame, folder: Path) -> dict[str, Any]:
    """The same rows in memory, lazy, in a file, in two files, in text, and in chunks."""
    frame.write_parquet(folder / "rows.parquet")
    half = folder / "half"
    half.mkdir()
    for name, part in (("0", frame[: len(frame) // 3]), ("1", frame[len(frame) // 3 :])):
        part.write_parquet(half / f"{name}.parquet", row_group_size=17)
    frame.write_csv(folder / "rows.csv")
    return {
        "memory": frame,
        "lazy": frame.lazy(),
        "file": folder / "rows.parquet",
        "folder": half,
        "text": folder / "rows.csv",
        "chunks": pl.concat([frame[:50], frame[50:]], rechunk=False),
    }


@SAME
@pytest.mark.parametrize("rank", RANKS)
@pytest.mark.parametrize(
    "options",
    [
        {"k": 7},
        {"k": 7, "bounds": "all"},
        {"k": 7, "bounds": [[-4, -4], [4, 4]]},
        {"k": 4, "distinct": "prompt"},
        {"k": 7, "duplicates": "drop"},
        {"k": 3, "at_most": {"prompt": 2, "source": 4}, "exclusive": True},
        {"k": 3, "by": "source"},
        {"k": 3, "by": ["source", "prompt"], "sample": 3},
    ],
)
def test_it_is_as_if_the_other_rows_were_not_there(
    rank: Any, options: dict[str, Any], tmp_path: Path
) -> None:
    frame = rows_of(400)
    inside = np.flatnonzero((frame["safe"] >= 4).fill_null(False) & (frame["source"] != "s1"))
    wanted = pq.choose(frame[inside], NAMES, 3, rank=rank, **options)
    for where in (
        "safe >= 4 AND source <> 's1'",
        (pl.col("safe") >= 4) & ~pl.col("source").is_in(["s1"]),
    ):
        for name, data in (
            sources(frame, tmp_path).items() if isinstance(where, str) else (("memory", frame),)
        ):
            chosen = pq.choose(data, NAMES, 3, rank=rank, where=where, **options)
            assert chosen.rows["row"].to_list() == inside[wanted.rows["row"].to_numpy()].tolist()
            assert_frame_equal(
                chosen.rows.drop("row"), wanted.rows.drop("row"), check_exact=name != "text"
            )
            np.testing.assert_array_equal(chosen.r_min, wanted.r_min)
            np.testing.assert_array_equal(chosen.r_max, wanted.r_max)
            assert chosen.layer_sizes() == wanted.layer_sizes()
            assert (chosen.n_rows, chosen.excluded, chosen.dropped_rows) == (
                400, 400 - len(inside), 0,
            )  # fmt: skip
            assert chosen.left_out == wanted.left_out


def test_bad_scores_and_keys_of_rows_that_take_no_part_do_no_harm(tmp_path: Path) -> None:
    frame = rows_of(300, 4).with_columns(
        help=pl.when(pl.col("safe") >= 2).then("help").otherwise(float("nan")),
        prompt=pl.when(pl.col("safe") >= 2).then("prompt"),
        source=pl.when(pl.col("safe") >= 2).then("source"),
    )
    inside = np.flatnonzero((frame["safe"] >= 2).fill_null(False))
    for options in ({"k": 3}, {"k": 3, "distinct": "prompt"}, {"k": 2, "by": "source"}):
        wanted = pq.choose(frame[inside], NAMES, 3, **options)
        for data in (frame, frame.lazy()):
            chosen = pq.choose(data, NAMES, 3, where="safe >= 2", **options)
            assert chosen.rows["row"].to_list() == inside[wanted.rows["row"].to_numpy()].tolist()


@pytest.mark.parametrize("lazy", [False, True])
@pytest.mark.parametrize("rank", RANKS)
def test_what_is_wrong_keeps_its_number_in_the_input(lazy: bool, rank: Any) -> None:
    frame = rows_of(100).with_columns(pl.int_range(pl.len()).alias("i"))
    bad = frame.with_columns(
        help=pl.when(pl.col("i").is_in([3, 41, 77])).then(float("nan")).otherwise("help"),
        prompt=pl.when(~pl.col("i").is_in([5, 60])).then("prompt"),
    )
    data = bad.lazy() if lazy else bad
    with pytest.raises(ValueError, match=r"'help' holds 2 NaN \(first at row 41"):
        pq.choose(data, NAMES, 3, k=2, rank=rank, where="i > 10")
    with pytest.raises(ValueError, match=r"row:? 60"):
        pq.choose(data, NAMES, 3, k=2, rank=rank, where="i > 10", nan="drop", distinct="prompt")
    chosen = pq.choose(data, NAMES, 3, k=2, rank=rank, where="i > 10", nan="drop")
    assert (chosen.excluded, chosen.dropped_rows, chosen.dropped) == (11, 2, {"help": 2})
    assert "excluded   11 rows do not meet the condition" in chosen.explain()
    assert chosen.summary()["excluded"] == 11


@pytest.mark.parametrize(
    ("where", "message"),
    [
        ("safe >", "where: 'safe >' is no condition"),
        ("safety >= 5", "where: no column 'safety': the frame has prompt, response"),
        ("safe + 1", "is Int64 for a row, and must be true or false"),
        ("safe > avg(safe)", "looks at more than its own row"),
        ("source > 5 AND help", "where: "),
        (pl.col("safe") > pl.col("safe").mean(), "looks at more than its own row"),
        (pl.col("help").rank() < 5, "looks at more than its own row"),
        (pl.col("help").map_batches(lambda s: s > 0, pl.Boolean), "looks at more than its own row"),
        (pl.all_horizontal(pl.all().is_null()), "looks at more than its own row"),
        (pl.col("safe").cast(pl.String), "must be true or false"),
        (3, "where: expected a condition such as"),
        (True, "where: expected a condition such as"),
        ("safe > 100", "there are only 0 rows to choose from|there are no rows"),
        ("CAST(prompt AS INT) > 3", "where: "),
    ],
)
@pytest.mark.parametrize("lazy", [False, True])
@pytest.mark.parametrize("by", [None, "source"])
def test_what_is_no_condition(where: Any, message: str, lazy: bool, by: str | None) -> None:
    frame = rows_of(50)
    match = message if "|" in message else re.escape(message)
    with pytest.raises(ValueError, match=match) as raised:
        pq.choose(frame.lazy() if lazy else frame, NAMES, 3, k=2, where=where, by=by)
    assert "\n" not in str(raised.value)  # nor Polars' plan


def test_a_python_function_is_refused_without_cloudpickle(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "cloudpickle", None)
    where = pl.col("help").map_batches(lambda s: s > 0, pl.Boolean)
    with pytest.raises(ValueError, match="looks at more than its own row, or Polars cannot tell"):
        pq.choose(rows_of(50), NAMES, 3, k=2, where=where)


def test_conditions_as_people_write_them() -> None:
    frame = rows_of(80)
    for where in (
        "source IN ('s0', 's2') AND safe BETWEEN 2 AND 8",
        "NOT (source = 's1') OR safe IS NULL",
        "length(prompt) < 3 AND prompt LIKE 'p%'",
        "coalesce(safe, 9) > 5",
        "1 = 1",
    ):
        context = pl.SQLContext(rows=frame.with_row_index("number"))
        wanted = context.execute(f"SELECT number FROM rows WHERE {where}", eager=True)
        assert Condition.of(where).met(frame).tolist() == wanted["number"].to_list()


@pytest.mark.parametrize(
    "text",
    [
        *("a < 0.5", "0.5 >= a", "a = 0.1", "f = 0.1", "d = 0.1", "a <> 0.1", "NOT a > 0.4"),
        *("b > 1.5", "b = 1.0", "a + b < 2.2", "a - 0.5 > 0", "-a < -0.5", "a * 2 <= 1.5"),
        *("a / 2 > 0.2", "b / 2 = 1", "b // 2 = 1", "b % 2 = 0", "MOD(b, 2) = 1", "POW(a, 2) > .2"),
        *("a IN (0.5, 1)", "f IN (0.1)", "d IN (0.1, 0.3)", "b IN (0.5, 2)", "b NOT IN (1, 2)"),
        *("a IN (1, 2)", "a NOT IN (1, 2)", "f IN (2, 1)", "d IN (1)", "b IN (1, NULL)"),
        *("a IN (0.5, NULL)", "a NOT IN (0.5, NULL)", f"b IN ({', '.join(map(str, range(200)))})"),
        *("a NOT IN (0.5)", "s IN ('0.5', 'x')", "f BETWEEN 0.1 AND 0.5", "ROUND(a, 1) = 0.1"),
        *("a IS NULL OR a > 0.5", "a IS DISTINCT FROM 0.5", "a <=> 0.5", "COALESCE(a, 0.7) > 0.6"),
        *("CASE WHEN a > 0.5 THEN b ELSE 1.5 END > 1.7", "b > 123456789012345678901.5"),
        *("CAST(a AS FLOAT) > 0.2", "a > 1e-3 AND b < 4.5", "LENGTH(s) > 1.5", "ABS(a - 1) > .6"),
    ],
)
def test_the_text_of_a_condition_means_what_it_means_in_sql(text: str) -> None:
    frame = pl.DataFrame(
        {"a": [0.5, 1.0, 0.1, 0.3, None], "b": [1, 2, 3, 4, 5], "s": ["x", "y", "0.5", "z", None]}
    ).with_columns(
        f=pl.col("a").cast(pl.Float32), d=pl.col("a").cast(pl.Decimal(10, 2)), row=pl.int_range(5)
    )
    condition = Condition.of(text)
    condition.check(frame.schema)
    expected = frame.sql(f"SELECT row FROM self WHERE {text}")["row"].to_list()
    assert condition.met(frame).tolist() == expected


@pytest.mark.parametrize(
    "text", ["a / AVG(b) > 0.1", "ROUND(SUM(a), 1) = 0.5", "a > 0.5 OR MAX(b) % 2 = 1"]
)
def test_other_rows_are_no_part_of_a_condition_in_sql_either(text: str) -> None:
    with pytest.raises(ValueError, match="looks at more than its own row"):
        Condition.of(text)


# ── noise ────────────────────────────────────────────────────────────────────────────────────


@SAME
@settings(deadline=None, max_examples=80)
@given(
    st.integers(8, 60),
    st.integers(0, 10_000),
    st.sampled_from([0.25, 0.5, [0.5, 0.0], {"harm": 0.75}, {"help": 1, "harm": 0.1}]),
    st.sampled_from([{"upto": 2}, {"at_least": 6}, {}]),
)
def test_layers_within_noise_by_the_definition(
    n: int, seed: int, epsilon: Any, stop: dict[str, int]
) -> None:
    frame = rows_of(n, seed)
    directions = {"help": "max", "harm": "min"}
    if isinstance(epsilon, dict):
        units = [epsilon.get(name, 0) for name in NAMES]
    else:
        units = epsilon if isinstance(epsilon, list) else [epsilon, epsilon]
    signed = frame.select(pl.col("help"), -pl.col("harm")).to_numpy()
    rounded = np.column_stack(
        [np.floor(x / unit) if unit else x for x, unit in zip(signed.T, units, strict=True)]
    )
    every = oracle.layers(rounded)
    for data in (frame, frame.lazy()):
        chosen = pq.choose(data, directions, 2, k=1, epsilon=epsilon, bounds="all", **stop)
        upto = len(chosen.layer_sizes())
        inside = np.where(every < upto, every, -1)
        np.testing.assert_array_equal(chosen.layer, inside)
        if stop:
            np.testing.assert_array_equal(inside, oracle.stopped(every, **stop))
        # The rays run between the scores themselves.
        np.testing.assert_array_equal(chosen.r_max, [frame["help"].max(), frame["harm"].min()])
    grouped = pq.choose(frame, directions, 2, k=1, epsilon=epsilon, by="source", upto=2)
    for source in frame["source"].unique():
        rows = np.flatnonzero(frame["source"] == source)
        own = oracle.stopped(oracle.layers(rounded[rows]), upto=2)
        np.testing.assert_array_equal(grouped.layer[rows], own)


def test_many_batches_within_noise(tmp_path: Path) -> None:
    frame = rows_of(30_000, 2).select(NAMES)
    frame.write_parquet(tmp_path / "rows.parquet", row_group_size=1000)
    several: list[dict[str, Any]] = [{}, {"epsilon": 0.2}, {"epsilon": 0.2, "where": "help < 2"}]
    for options in several:
        whole = pq.choose(frame, NAMES, 5, k=50, **options)
        read = pq.choose(
            tmp_path / "rows.parquet", NAMES, 5, k=50, memory_limit=3_000_000, **options
        )
        assert_frame_equal(read.rows, whole.rows, check_exact=True)


@pytest.mark.parametrize(
    ("epsilon", "message"),
    [
        (-1, "epsilon: expected a number from 0 on, or 2 of them, got -1"),
        ([1, 2, 3], "epsilon: expected a number from 0 on, or 2 of them, got [1, 2, 3]"),
        ("much", "epsilon: expected a number from 0 on, or 2 of them, got 'much'"),
        (float("nan"), "epsilon: expected a number from 0 on"),
        ({"hlep": 1}, "epsilon: no objective 'hlep'; did you mean 'help'?"),
        (True, "epsilon: expected a number from 0 on, or 2 of them, got True"),
        ("0.5", "epsilon: expected a number from 0 on, or 2 of them, got '0.5'"),
        (
            {"help": "0.5"},
            "epsilon: expected a number from 0 on, or 2 of them, got {'help': '0.5'}",
        ),
        (1e-320, "epsilon: column 'help': 9.99989e-321 is too small for its values: raise it"),
    ],
)
def test_what_is_no_noise(epsilon: Any, message: str) -> None:
    with pytest.raises(ValueError, match=re.escape(message)):
        pq.choose(rows_of(50), NAMES, 2, k=2, epsilon=epsilon)
    with pytest.raises(ValueError, match=re.escape(message)):
        pq.FirstLayers(NAMES, upto=1, epsilon=epsilon).add(rows_of(50))
    with pytest.raises(ValueError, match="epsilon: rank='sum' knows no layers"):
        pq.choose(rows_of(50), NAMES, 2, k=2, epsilon=1, rank="sum")


# ── names of the added columns ───────────────────────────────────────────────────────────────


@pytest.mark.parametrize("by", [None, "source"])
def test_a_selection_can_be_selected_from_again(by: str | None) -> None:
    frame = rows_of(200)
    first = pq.choose(frame, NAMES, {"kind": [0.2, 0.8], "useful": [1, 0]}, k=30, by=by)
    named = pq.choose(
        frame, NAMES, {"kind": [0.2, 0.8], "useful": [1, 0]}, k=30, by=by, prefix="first_"
    )
    added = [*ADDED, "preference_name"]
    assert_frame_equal(named.rows.rename({f"first_{name}": name for name in added}), first.rows)
    assert named.explain() == first.explain()
    assert named.copies() == first.copies()
    np.testing.assert_array_equal(named.overlap(), first.overlap())
    assert named["kind"]["first_row"].to_list() == first["kind"]["row"].to_list()
    assert named.plot().to_dict() == first.plot().to_dict()
    again = pq.choose(named.rows, NAMES, 2, k=5, where="first_preference_name = 'kind'")
    assert set(ADDED) < set(again.rows.columns)
    with pytest.raises(ValueError, match="already has a column 'first_preference'"):
        pq.choose(named.rows, NAMES, 2, k=5, prefix="first_")
    with pytest.raises(ValueError, match="prefix must be text, got 3"):
        pq.choose(frame, NAMES, 2, k=5, prefix=3)  # type: ignore[arg-type]


@SAME
@pytest.mark.parametrize("rank", RANKS)
@pytest.mark.parametrize("lazy", [False, True])
def test_objectives_may_be_columns_that_a_selection_adds(rank: Any, lazy: bool) -> None:
    first = pq.choose(rows_of(200), NAMES, 3, k=30).rows
    renamed = {"layer": "a", "row": "b", "distance": "c"}
    objectives = {"layer": "min", "distance": "min", "row": "max"}
    data = first.lazy() if lazy else first
    chosen = pq.choose(data, objectives, 3, k=4, rank=rank, prefix="second_")
    plain = first.rename(renamed).drop("preference", "weights", "position")
    expected = pq.choose(
        plain, {renamed[name]: way for name, way in objectives.items()}, 3, k=4, rank=rank
    )
    assert [rows["second_row"].to_list() for _, rows in chosen] == [
        rows["row"].to_list() for _, rows in expected
    ]
    assert chosen.layer.tolist() == expected.layer.tolist()
    assert chosen.layer_sizes() == expected.layer_sizes()
    assert {"second_row", "second_layer", *objectives} == set(chosen.pool.columns)
    for row in (0, 50, chosen.rows["second_row"][0]):
        why, other = chosen.why(row), expected.why(row)
        assert_frame_equal(why.table, other.table)
        assert (why.layer, why.left_out) == (other.layer, other.left_out)
    assert len(str(chosen.plot().to_dict())) > 1000


def test_a_lazy_selection_knows_the_names_that_it_will_have() -> None:
    frame = rows_of(60)
    plan = frame.lazy().pareto.select(NAMES, {"a": [0.5, 0.5]}, k=4, prefix="x_")
    eager = frame.pareto.select(NAMES, {"a": [0.5, 0.5]}, k=4, prefix="x_")
    assert plan.collect_schema() == eager.schema
    assert_frame_equal(plan.collect(), eager)
    assert_frame_equal(plan.select("x_row").collect(), eager.select("x_row"))
    with pytest.raises(ValueError, match="prefix must be text, got 3"):
        frame.lazy().pareto.select(NAMES, 2, k=4, prefix=3)


@pytest.mark.parametrize("name", ["", "^h.*$", "*", "row"])
@pytest.mark.parametrize("rank", RANKS)
@pytest.mark.parametrize("lazy", [False, True])
def test_columns_of_any_name(name: str, rank: Any, lazy: bool) -> None:
    embedding = pl.Series(np.random.default_rng(0).normal(size=(200, 2)), dtype=pl.List(pl.Float64))
    frame = rows_of(200).with_columns(embedding.alias("^e.*$"))
    options: dict[str, Any] = {"k": 4, "rank": rank, "where": pl.col("safe") > 1, "prefix": "x_"}
    expected = pq.choose(frame, NAMES, 3, diverse="^e.*$", at_most={"help": 1}, **options)
    renamed = frame.rename({"help": name})
    data = renamed.lazy() if lazy else renamed
    chosen = pq.choose(data, [name, "harm"], 3, diverse="^e.*$", at_most={name: 1}, **options)
    assert chosen.rows["x_row"].to_list() == expected.rows["x_row"].to_list()
    assert_frame_equal(chosen.why(7).table, expected.why(7).table)


def test_the_command_line_takes_them_all(tmp_path: Path, capsys: Any) -> None:
    frame = rows_of(400).with_columns(
        pl.Series("e", np.random.default_rng(0).normal(size=(400, 3)), pl.Array(pl.Float64, 3))
    )
    source, out = tmp_path / "rows.parquet", tmp_path / "out.parquet"
    frame.write_parquet(source)
    base = ["select", str(source), "-o", str(out), "--objectives", "help,harm", "-k", "4"]
    given_: list[tuple[list[str], dict[str, Any]]] = [
        (["--where", "safe >= 3 AND source <> 's1'"], {"where": "safe >= 3 AND source <> 's1'"}),
        (["--epsilon", "0.5"], {"epsilon": 0.5}),
        (["--epsilon", "harm=0.5,help=1"], {"epsilon": {"harm": 0.5, "help": 1}}),
        (["--distinct", "prompt,safe", "--where", "safe > 0"],
         {"distinct": ["prompt", "safe"], "where": "safe > 0"}),
        (["--at-most", "prompt=2,source=3"], {"at_most": {"prompt": 2, "source": 3}}),
        (["--exclusive"], {"exclusive": True}),
        (["--diverse", "e"], {"diverse": "e"}),
        (["--sample", "3"], {"sample": 3}),
        (["--prefix", "a_", "--explain"], {"prefix": "a_"}),
    ]  # fmt: skip
    for arguments, options in given_:
        assert main([*base, *arguments]) == 0
        capsys.readouterr()
        assert_frame_equal(read_frame(out), pq.select(frame, NAMES, k=4, **options))
    for arguments, message in (
        (["--at-most", "prompt"], "expected NAME=NUMBER, several with commas, got 'prompt'"),
        (["--at-most", "prompt=none"], "expected a whole number of at least 1, got 'none'"),
        (["--epsilon", "much"], "expected a number, got 'much'"),
        (["--sample", "-1"], "expected"),
        (["--sample", "1", "--diverse", "e"], "not allowed with argument"),
    ):
        with pytest.raises(SystemExit):
            main([*base, *arguments])
        assert message in capsys.readouterr().err
