"""Queries with expressions: what Polars makes of them changes no value."""

import io
import pickle

import numpy as np
import polars as pl
import pytest
from polars.testing import assert_frame_equal

import paretohqd as pq
from helpers.expressed import ENGINES, FRAME, OBJECTIVES

MANY = pl.DataFrame(
    np.random.default_rng(0).integers(0, 12, (300, 5)), schema=["a", "b", "c", "g", "k"]
)
OTHER = pl.DataFrame({"k": range(0, 12, 2), "w": range(6)})
RANKED = {"on": "k", "maintain_order": "left_right"}

PLANS = {
    "filtered before": lambda f, p: f.filter(pl.col("c") > 5).filter(p),
    "filtered behind": lambda f, p: f.filter(p).filter(pl.col("c") > 5),
    "both in one": lambda f, p: f.filter(p, pl.col("c") > 5),
    "added, then filtered": lambda f, p: f.with_columns(p=p).filter(pl.col("c") > 5),
    "added, then filtered by key": lambda f, p: f.with_columns(p=p).filter(pl.col("g") == 3),
    "added, then a slice": lambda f, p: f.with_columns(p=p).slice(20, 9).select("p"),
    "a slice before": lambda f, p: f.head(99).filter(p),
    "a slice behind": lambda f, p: f.filter(p).head(2),
    "joined": lambda f, p: f.join(OTHER.lazy(), **RANKED).filter(p),
    "joined left": lambda f, p: f.join(OTHER.lazy(), how="left", **RANKED).filter(p),
    "a union": lambda f, p: pl.concat([f, f.with_columns(pl.col("a") + 3)]).filter(p),
    "sorted": lambda f, p: f.sort("c", maintain_order=True).head(50).filter(p),
    "unique": lambda f, p: f.unique(["a", "b"], keep="first", maintain_order=True).filter(p),
    "unpivoted": lambda f, p: (
        f.unpivot(["a", "c"], index=["b", "g"]).rename({"value": "a"}).filter(p)
    ),
    "numbered": lambda f, p: f.with_row_index().filter(p).filter(pl.col("index") > 50),
    "counted": lambda f, p: f.filter(p).select(pl.len()),
    "grouped": lambda f, p: f.filter(p).group_by("g", maintain_order=True).agg(pl.len()),
}
FRONTS = {
    "whole": pq.layer_expr(["a", "b"]) == 0,
    "over": pq.layer_expr(["a", "b"]).over("g") == 0,
    "by": pq.front_expr(["a", "b"], by="g"),
}


@pytest.fixture(scope="module")
def parquet(tmp_path_factory):
    path = tmp_path_factory.mktemp("rows") / "many.parquet"
    MANY.write_parquet(path, row_group_size=50)
    return path


@pytest.mark.parametrize("front", FRONTS)
@pytest.mark.parametrize("plan", PLANS)
def test_no_optimisation_changes_which_rows_are_compared(plan, front, parquet):
    """A filter or a slice that went past the expression, or into a scan, would change layers."""
    keep = FRONTS[front]
    none = pl.QueryOptFlags.none()
    expected = PLANS[plan](MANY.lazy(), keep).collect(optimizations=none)
    for source in (MANY.lazy(), pl.scan_parquet(parquet)):
        for engine in ENGINES:
            result = PLANS[plan](source, keep).collect(engine=engine)
            # Polars promises no order of unpivoted rows.
            assert_frame_equal(result, expected, check_row_order=plan != "unpivoted")


@pytest.mark.parametrize("engine", ENGINES)
def test_several_expressions_in_one_query(engine):
    """Polars may compute them at the same time, and must not take one for another."""
    big = pl.DataFrame(np.random.default_rng(1).random((40_000, 3)), schema=["a", "b", "c"])
    big = big.with_columns(g=pl.int_range(pl.len()) % 50)
    added, expected = {}, {}
    for upto in (1, 2, 3):
        for by in (None, "g"):
            for objectives in (["a", "b"], ["b", "a", "c"], {"a": "min", "b": "max"}):
                name = f"{upto} {by} {objectives}"
                options = {"by": by, "upto": upto}
                added[name] = pq.layer_expr(objectives, **options)
                expected[name] = pq.layers(big, objectives, **options)["layer"]
    result = big.lazy().with_columns(**added).collect(engine=engine)
    assert_frame_equal(result, big.with_columns(**expected))


@pytest.mark.parametrize("engine", ENGINES)
def test_thousands_of_groups_of_columns_that_polars_itself_reads(engine):
    """Arrays and numerals are read by queries within the query that calls."""
    frame = MANY.select(pl.concat_arr("a", "b").alias("r"), pl.col("c").cast(pl.String))
    frame = pl.concat([frame] * 20).with_columns(g=pl.int_range(pl.len()) // 2)
    layer = pq.layer_expr(["r", "c"], nan="drop")
    result = frame.lazy().with_columns(layer.over("g")).collect(engine=engine)
    assert_frame_equal(result, pq.layers(frame, ["r", "c"], by="g"))


def test_names():
    """What is added has a name of its own, so that no score is written over."""
    exact = FRAME.rename({"helpful": "^l.*$"})
    layer = pq.layer_expr(["^l.*$"])
    assert exact.with_columns(layer).columns == [*exact.columns, "layer"]
    assert exact.select(layer.over("prompt").alias("rank")).columns == ["rank"]
    assert exact.select(layer).to_series().equals(FRAME.select(pq.layer_expr(["helpful"]))["layer"])
    both = pl.col("helpful") + pl.col("length")
    with pytest.raises(ValueError, match="objectives: column 'helpful' is named twice; name an"):
        pq.layer_expr(["helpful", both])
    assert FRAME.select(pq.layer_expr(["helpful", both.alias("both")])).width == 1
    keyed = FRAME.select(pq.layer_expr(["length"], by="length"))
    assert keyed["layer"].to_list() == [0] * 5


def test_plans_can_be_pickled_and_serialized():
    plan = FRAME.lazy().with_columns(pq.layer_expr(OBJECTIVES, by="prompt", upto=1))
    expected = FRAME.pareto.layers(OBJECTIVES, by="prompt", upto=1)
    assert_frame_equal(pickle.loads(pickle.dumps(plan)).collect(), expected)
    assert_frame_equal(pl.LazyFrame.deserialize(io.BytesIO(plan.serialize())).collect(), expected)
