"""Tables of other libraries: read, or refused by the column that is in the way."""

from decimal import Decimal

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from datasets import Dataset, DatasetDict

import paretohqd as pq

SCORES = {"a": [1.0, 0.0, 0.5], "b": [0.0, 1.0, 0.25]}


@pytest.mark.parametrize(
    "data",
    [
        pd.DataFrame(SCORES).convert_dtypes(),
        pd.DataFrame({**SCORES, "a": pd.Categorical([4, 1, 2])}),
        pd.DataFrame({**SCORES, "a": [Decimal(4), Decimal("0.5"), Decimal(1)]}),
        pd.DataFrame({**SCORES, "a": pd.array(["4", "0.5", "1"], dtype="string")}),
        pd.DataFrame({**SCORES, "m": pd.period_range("2026", periods=3)}),
        [dict(zip(SCORES, row, strict=True)) for row in zip(*SCORES.values(), strict=True)],
        np.rec.fromarrays(list(SCORES.values()), names="a,b"),
        {"a": [1, 0, 0.5], "b": np.array(SCORES["b"])},
        pa.table({**SCORES, "m": pa.array(["x", "y", "x"]).dictionary_encode()}),
        Dataset.from_dict(SCORES).to_iterable_dataset(),
        pl.DataFrame({**SCORES, "m": pl.Series([object()] * 3, dtype=pl.Object)}),
    ],
    ids=lambda data: type(data).__module__,
)
def test_tables_that_are_read(data):
    assert pq.select(data, ["a", "b"], 2, k=1)["row"].to_list() == [0, 1]


@pytest.mark.parametrize(
    "make", [pd.DataFrame, pa.table, pa.RecordBatch.from_pydict, Dataset.from_dict]
)
def test_a_column_without_a_name_gets_none(make):
    data = make({"": SCORES["a"], "b": SCORES["b"]})
    chosen = pq.select(data, ["", "b"], 2, k=1)
    assert chosen["row"].to_list() == [0, 1]
    assert chosen.columns[:2] == ["", "b"]


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (pd.DataFrame({**SCORES, "m": ["x", 3, None]}), "column 'm': values that make no column"),
        (pd.DataFrame({**SCORES, "m": [{"x": 1}, "y", [1]]}), "column 'm': values that"),
        (pd.DataFrame({**SCORES, "m": [1j, 2j, 3j]}), "column 'm': values that"),
        ({**SCORES, "m": ["x", 3, None]}, "column 'm': values that"),
        ({**SCORES, "m": [1]}, "columns that make no frame"),
        (pd.DataFrame([[1, 2]], columns=["a", "a"]), "2 columns are called 'a'"),
        (pd.DataFrame([[1, 2]], columns=[1, "1"]), "2 columns are called '1'"),
        (pa.table([pa.array([1]), pa.array([2])], names=["a", "a"]), "2 columns are called 'a'"),
        (
            pa.table({"m": pa.array([(1, 2, 3)], pa.month_day_nano_interval())}),
            "column 'm': values that make",
        ),
        (pd.Series([1, 2]), "a pandas Series is one column"),
        (DatasetDict(train=Dataset.from_dict(SCORES)), r"splits of a dataset \(train\): pass one"),
        ({"x": pd.DataFrame(SCORES)}, r"splits of a dataset \(x\): pass one of them, data\['x'\]"),
    ],
)
def test_tables_that_are_refused(data, message):
    with pytest.raises(ValueError, match=message):
        pq.select(data, ["a", "b"], 2, k=1)


@pytest.mark.parametrize(
    ("column", "advice"),
    [
        (pl.Series([[1.0, 2.0], [3.0]]), r"cast it to arrays .*pl\.Array\(pl\.Float64, 2\), or"),
        (pl.Series([{"x": 1, "y": 2}, None]), r"write a column for each of its fields \(x, y\)"),
        (pl.Series([True, False]), "write it as 0 and 1"),
        (pl.Series([0, 1]).cast(pl.Date), "write it as a number"),
        (pl.Series([b"x", b"y"]), "convert it"),
        (pl.Series([object()] * 2, dtype=pl.Object), "convert it"),
    ],
)
def test_what_to_do_about_columns_that_are_no_scores(column, advice):
    frame = pl.DataFrame({"a": column, "b": [0.0, 1.0]})
    for call in (
        lambda: pq.select(frame, ["a", "b"], 2, k=1),
        lambda: pq.select(frame, ["a"], 2, k=1),
        lambda: pq.layers(frame.lazy().filter(pl.col("b") >= 0), ["a"]),
        lambda: pq.FirstLayers(["a", "b"], upto=1).add(frame),
    ):
        with pytest.raises(ValueError, match=f"column .a. has dtype .*no score; .*{advice}"):
            call()


def test_a_single_column_of_lists_is_told_what_it_is():
    frame = pl.DataFrame({"r": [[1.0, 0.0], [0.0, 1.0]]})
    with pytest.raises(ValueError, match=r"column 'r' has dtype List.*, which is no score; "):
        pq.select(frame, "r", 2, k=1)


ODD = ["^a.*$", "^.*$", "*", "", "a b", "a\nb", "[x]", "{y}", "\\d"]


@pytest.mark.parametrize("name", ODD)
@pytest.mark.parametrize("lazy", [False, True])
def test_a_name_is_no_pattern(name, lazy):
    keys = pl.DataFrame({**SCORES, name: ["x", "x", "y"]})
    data = keys.lazy() if lazy else keys
    assert pq.select(data, ["a", "b"], 2, k=1, by=name)["row"].to_list() == [0, 2, 1, 2]
    assert pq.select(data, ["a", "b"], 2, k=1, by=[name, "a"]).height == 6
    assert pq.select(data, ["a", "b"], 2, k=2, distinct=name).height == 4
    layers = pq.layers(data, ["a", "b"], by=name).lazy().collect()
    assert layers["layer"].to_list() == [0, 0, 0]
    assert pq.pareto_layers(keys.select("a", "b"), groups=keys.to_series(2)).tolist() == [0, 0, 0]
    gone = pl.DataFrame({**SCORES, name: ["x", None, "y"]})
    for option in ("by", "distinct"):
        with pytest.raises(ValueError, match="is null"):
            pq.select(gone.lazy() if lazy else gone, ["a", "b"], 2, k=1, **{option: name})


@pytest.mark.parametrize("name", ODD)
@pytest.mark.parametrize("lazy", [False, True])
@pytest.mark.parametrize("text", [False, True])
def test_nor_is_the_name_of_a_score(name, lazy, text):
    scores = pl.Series([1.0, None, 0.5, 0.0])
    frame = pl.DataFrame({name: scores.cast(pl.String) if text else scores, "b": [0, 9, 2, 3]})
    data = frame.lazy() if lazy else frame
    with pytest.raises(ValueError, match=r"holds 1 null \(first at row 1"):
        pq.select(data, [name, "b"], 2, k=1)
    assert pq.select(data, [name, "b"], 2, k=1, nan="drop")["row"].to_list() == [0, 3]
    arrays = pl.DataFrame({name: [[1, 0], [0, 1]]}, schema={name: pl.Array(pl.Int8, 2)})
    assert pq.select(arrays.lazy() if lazy else arrays, name, 2, k=1)["row"].to_list() == [0, 1]


def test_whole_numbers_and_none_beside_floats():
    frame = {"a": [1, 0.5, None], "b": [0.0, 1.0, 2.0]}
    assert pq.select(frame, ["a", "b"], 2, k=1, nan="drop")["row"].to_list() == [0, 1]
