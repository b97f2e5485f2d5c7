"""What expressions refuse: arguments at once, columns by name when the query runs."""

import numpy as np
import polars as pl
import polars.selectors as cs
import pytest

import paretohqd as pq
from helpers.expressed import ENGINES, FRAME, HOLED, OBJECTIVES

LAYER = pq.layer_expr(OBJECTIVES)
EXPRESSIONS = [pq.layer_expr, pq.front_expr, pq.crowding_expr]
WRONG = {
    "objectives: name at least one column": ([], {}),
    "objectives: expected a list of column names, got 3": (3, {}),
    "objectives: expected names of columns or expressions, got 3": ([3], {}),
    "objectives: a set gives its names in no sure order": ({"a"}, {}),
    "objectives: column 'a' is named twice": (["a", "a"], {}),
    "objectives: a: expected 'max' or 'min', got 'up'": ({"a": "up"}, {}),
    "objectives: a: expected 'max', 'min', or a list of 2 of these": ({"a": ["max", "up"]}, {}),
    r"objectives: .* may be several columns, .* name it with .alias": ([cs.numeric()], {}),
    "by: name at least one column, got": (["a"], {"by": []}),
    "by: name at least one column, got 3": (["a"], {"by": 3}),
    "by: expected names of columns or expressions, got None": (["a"], {"by": [None]}),
    "by: column 'b' is named twice": (["a"], {"by": ["b", "b"]}),
    "by: .* may be several columns": (["a"], {"by": pl.col("b", "c")}),
    "nan must be 'raise' or 'drop', got 'keep'": (["a"], {"nan": "keep"}),
    "n_threads must be an integer of at least 1, got 0": (["a"], {"n_threads": 0}),
}


@pytest.mark.parametrize("expression", EXPRESSIONS, ids=lambda each: each.__name__)
@pytest.mark.parametrize("message", WRONG)
def test_wrong_arguments_are_refused_at_once(message, expression):
    objectives, options = WRONG[message]
    with pytest.raises(ValueError, match=message):
        expression(objectives, **options)


def test_wrong_stops_are_refused_at_once():
    with pytest.raises(ValueError, match=r"choose one of upto \(1\) and at_least \(2\)"):
        pq.layer_expr(["a"], upto=1, at_least=2)
    with pytest.raises(ValueError, match="upto must be an integer of at least 1, got 0"):
        pq.layer_expr(["a"], upto=0)


REFUSED = {
    "nulls": (HOLED, r"'helpful' holds 1 null and 1 NaN \(first at row 1\)"),
    "words": (
        FRAME.with_columns(length=pl.lit("long")),
        r"'length' has dtype String.*\(first at row 0: 'long'\)",
    ),
    "booleans": (FRAME.with_columns(length=True), "'length' has dtype Boolean, which is no score"),
    "structs": (FRAME.with_columns(length=pl.struct("prompt")), "'length' has dtype Struct"),
    "lists": (FRAME.with_columns(length=pl.concat_list("length")), "cast it to arrays of one"),
    "categories": (FRAME.with_columns(length=pl.col("prompt").cast(pl.Categorical)), "'length'"),
    "a choice": (FRAME.with_columns(length=pl.col("prompt").cast(pl.Enum(["x", "y"]))), "'length'"),
    "objects": (FRAME.with_columns(pl.Series("length", [object()] * 5, pl.Object)), "'length' has"),
    "large integers": (FRAME.with_columns(length=pl.lit(2**53 + 1)), "'length'.* 2\\*\\*53"),
}


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("expression", EXPRESSIONS, ids=lambda each: each.__name__)
@pytest.mark.parametrize("case", REFUSED)
def test_columns_are_refused_by_name_when_the_query_runs(case, expression, engine):
    frame, message = REFUSED[case]
    for options in ({}, {"by": "prompt"}):
        plan = frame.lazy().with_columns(expression(OBJECTIVES, **options))
        with pytest.raises(ValueError, match=message):
            plan.collect(engine=engine)
    with pytest.raises(ValueError, match="column 'length'" if case != "nulls" else "'helpful'"):
        frame.lazy().with_columns(expression(OBJECTIVES).over("prompt")).collect(engine=engine)


@pytest.mark.parametrize("engine", ENGINES)
def test_rows_within_groups_are_said_to_be_so(engine):
    message = r"'helpful' holds 1 .*\(first at row . ?.*\(counted within one group, for the expr"
    lazy = HOLED.filter(pl.col("prompt") == "y").lazy()
    for plan in (lazy.with_columns(LAYER.over("prompt")), lazy.group_by("prompt").agg(LAYER)):
        with pytest.raises(ValueError, match=r"1 null and 1 NaN \(first at row 0\).*one group"):
            plan.collect(engine=engine)
    day = HOLED.with_columns(day=pl.int_range(pl.len(), dtype=pl.Int64))
    with pytest.raises(ValueError, match=message):
        day.rolling("day", period="2i").agg(LAYER)
    with pytest.raises(ValueError, match="'length' has dtype Boolean") as caught:
        FRAME.with_columns(length=True).with_columns(LAYER.over("prompt"))
    assert "within one group" not in str(caught.value)


def test_keys_and_infinities_are_refused_by_name():
    with pytest.raises(ValueError, match=r"by: column 'helpful' is null or NaN in 2 of 5 rows"):
        HOLED.select(pq.layer_expr(["length"], by="helpful"))
    with pytest.raises(ValueError, match=r"by: column 'key' is null in 5 of 5 rows"):
        HOLED.select(
            pq.front_expr(
                ["length"],
                by=["prompt", pl.when(pl.col("length") > 99).then("length").alias("key")],
            )
        )
    with pytest.raises(ValueError, match=r"'x' holds 5 infinite values .* crowding distance needs"):
        FRAME.with_columns(x=np.inf).select(pq.crowding_expr(["x", "length"]))
    with pytest.raises(ValueError, match="'mean' has 1 rows but column 'length' has 5; pass col"):
        FRAME.select(pq.layer_expr(["length", pl.col("helpful").mean().alias("mean")]))
    with pytest.raises(ValueError, match="'prompt' has 2 rows but column 'length' has 5"):
        FRAME.select(pq.layer_expr(["length"], by=pl.col("prompt").head(2)))
    with pytest.raises(pl.exceptions.ColumnNotFoundError, match="absent"):
        FRAME.lazy().select(pq.layer_expr(["length", "absent"])).collect()
