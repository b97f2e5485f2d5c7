"""Bad calls of the functions on frames: of a DataFrame, a LazyFrame and a Parquet file alike."""

from __future__ import annotations

import datetime
from typing import Any

import numpy as np
import polars as pl

import paretohqd as pq
from helpers.world import FRAME, OBJECTIVES, Call, changed, with_value

NAN, INF = float("nan"), float("inf")
THREE = changed("c", [float(i * 5 % 12) for i in range(12)])
ARRAYS = changed(
    "r", pl.Series([[float(i), -float(i)] for i in range(12)], dtype=pl.Array(pl.Float64, 2))
)
NESTED = changed("r", pl.Series([[[1.0], [2.0]]] * 12, dtype=pl.Array(pl.Float64, (2, 1))))
COPIES = pl.concat([FRAME[:3]] * 4)

FRAMES: dict[str, pl.DataFrame] = {
    "a null": with_value("a", 3, None),
    "nulls in both": with_value("b", 5, None, with_value("a", 3, None)),
    "nan": with_value("b", 7, NAN),
    "infinite": with_value("a", 2, INF),
    "minus infinite": with_value("b", 11, -INF),
    "constant": changed("b", [2.5] * 12),
    "all null": changed("b", pl.Series([None] * 12, dtype=pl.Float64)),
    "a column of the type null": changed("b", pl.Series([None] * 12)),
    "text": changed("b", [f"word {i}" for i in range(12)]),
    "text among numbers": changed("b", [*map(str, range(11)), "bad"]),
    "dates": changed("b", [datetime.date(2024, 1, 1 + i) for i in range(12)]),
    "lists": changed("b", [[float(i)] for i in range(12)]),
    "structs": changed("b", [{"x": float(i)} for i in range(12)]),
    "integers beyond 2**53": changed("b", [2**53 + 1 + i for i in range(12)]),
    "too wide a span": changed("b", [-1.7e308, 1.7e308] * 6),
    "no rows": FRAME[:0],
    "one row": FRAME[:1],
}

LAYERED = ("infinite", "minus infinite", "constant", "too wide a span", "no rows", "one row")
"""Those that have layers."""

OBJECTIVES_GIVEN: dict[str, Any] = {
    "text": "a",
    "text with a comma": "a,b",
    "a missing column": ["a", "c"],
    "a misspelt column": ["a", "B"],
    "a column twice": ["a", "a"],
    "an unknown direction": {"a": "max", "b": "up"},
    "a direction that is none": {"a": "max", "b": None},
    "a direction of two for one": {"a": "max", "b": ["max", "min"]},
    "a set": {"a"},
    "an iterator": iter(["a", "b"]),
    "None": None,
    "a number": 3,
    "numbers": [0, 1],
    "a column of text": ["a", "prompt"],
}

PREFERENCES: dict[str, Any] = {
    "0": 0,
    "-3": -3,
    "true": True,
    "2.5": 2.5,
    "text": "many",
    "no rows": [],
    "off the simplex": [[0.5, 0.6], [1, 0], [-0.5, 1.5]],
    "nan": [[np.nan, 1.0]],
    "infinite": [[np.inf, 0.0]],
    "all zero": [[0.0, 0.0]],
    "one axis": [0.5, 0.5],
    "too wide": [[0.2, 0.3, 0.5]],
    "of two lengths": [[1, 0], [1]],
    "words": [["much", "little"]],
    "names: an unknown objective": {"a": 1, "c": 2},
    "names: an objective is missing": [{"a": 1}],
    "names: negative": {"a": -1, "b": 2},
    "names: all zero": {"a": 0, "b": 0},
    "names: nan": {"a": NAN, "b": 1},
    "names: text": [{"a": "much", "b": 1}],
    "named: an unknown objective": {"kind": {"a": 1, "safe": 1}},
    "named: empty": {" ": [0.5, 0.5]},
    "named: no text": {1: [0.5, 0.5]},
    "named: none": {},
    "named: off the simplex": {"kind": [0.5, 0.6]},
    "a frame: another objective": pl.DataFrame({"a": [1.0], "c": [0.0]}),
    "a frame: one objective": pl.DataFrame({"a": [1.0]}),
    "a frame: two columns of text": pl.DataFrame({"a": [1.0], "b": [0.0], "x": ["m"], "y": ["n"]}),
    "a frame: a name twice": pl.DataFrame({"a": [1.0, 0], "b": [0.0, 1], "x": ["m", "m"]}),
    "a frame: a null": pl.DataFrame({"a": [None, 1.0], "b": [1.0, 0.0]}),
    "a frame: no rows": pl.DataFrame({"a": [], "b": []}, schema={"a": pl.Float64, "b": pl.Float64}),
}

OPTIONS: dict[str, dict[str, Any]] = {
    "k of 0": {"k": 0},
    "k of -1": {"k": -1},
    "k of 1.5": {"k": 1.5},
    "k of text": {"k": "2"},
    "k of true": {"k": True},
    "k of None": {"k": None},
    "k beyond the rows": {"k": 13},
    "k beyond the pool": {"k": 12, "upto": 1},
    "k beyond the pool of at_least": {"k": 12, "at_least": 2},
    "upto of 0": {"upto": 0},
    "upto of text": {"upto": "all"},
    "at_least of -1": {"at_least": -1},
    "at_least of 2.5": {"at_least": 2.5},
    "upto and at_least": {"upto": 2, "at_least": 3},
    "bounds": {"bounds": "rows"},
    "bounds of None": {"bounds": None},
    "scale of another word": {"scale": "std"},
    "scale of too few": {"scale": [1.0]},
    "scale of 0": {"scale": [1.0, 0.0]},
    "scale of nan": {"scale": [1.0, NAN]},
    "scale of words": {"scale": ["x", "y"]},
    "scale of None": {"scale": None},
    "directions": {"directions": "chebyshev"},
    "directions of None": {"directions": None},
    "distinct: no such column": {"distinct": "question"},
    "distinct: a list": {"distinct": ["prompt", 3]},
    "distinct: too few values": {"distinct": "prompt", "k": 5},
    "distinct with by": {"distinct": "question", "by": "source"},
    "duplicates": {"duplicates": "remove"},
    "duplicates of None": {"duplicates": None},
    "by: no such column": {"by": "topic"},
    "by: no column": {"by": []},
    "by: a number": {"by": 3},
    "by: one of two is missing": {"by": ["source", "topic"]},
    "nan": {"nan": "ignore"},
    "nan of None": {"nan": None},
    "memory_limit of 0": {"memory_limit": 0},
    "memory_limit of text": {"memory_limit": "1GB"},
    "memory_limit with by": {"memory_limit": 10**9, "by": "source"},
    "n_threads of 0": {"n_threads": 0},
    "n_threads of text": {"n_threads": "all"},
    "an unknown option": {"layers": 3},
}


def _choose(frame: Any = FRAME, *given: Any, **more: Any) -> Call:
    return lambda w: w.choose(frame, *given, **more)


def _choose_in_file(frame: pl.DataFrame, *given: Any, **more: Any) -> Call:
    return lambda w: w.choose(w.parquet(frame), *given, **more)


def _layers(frame: Any = FRAME, *given: Any, **more: Any) -> Call:
    return lambda w: w.layers(frame, *given, **more)


def taken(name: str) -> pl.DataFrame:
    return changed(name, list(range(12)))


def _in_groups(frame: pl.DataFrame) -> Call:
    return lambda w: w.choose(frame, by="source")


KEYS: dict[str, pl.DataFrame] = {
    "null": changed("source", pl.Series(["web", None, *["book"] * 10])),
    "nan": changed("source", [1.0, NAN, *[2.0] * 10]),
    "objects": FRAME.with_columns(pl.Series("source", [object()] * 12, dtype=pl.Object)),
}

CALLS: dict[str, Call] = {
    **{
        f"choose: objectives: {name}": _choose(FRAME, given)
        for name, given in OBJECTIVES_GIVEN.items()
    },
    "choose: objectives: none": _choose(FRAME, []),
    "choose: objectives: one": _choose(FRAME, ["a"]),
    "choose: objectives: an array and its part": _choose(
        changed("r[0]", [1.0] * 12, ARRAYS), ["r", "r[0]"]
    ),
    "choose: objectives: too few directions of an array": _choose(ARRAYS, {"r": ["max"]}),
    "choose: objectives: an unknown direction of an array": _choose(ARRAYS, {"r": ["max", "up"]}),
    "choose: objectives: arrays of arrays": _choose(NESTED, ["r", "a"]),
    "layers: objectives: arrays of arrays": _layers(NESTED, ["r", "a"]),
    **{
        f"choose: preferences: {name}": _choose(FRAME, OBJECTIVES, given)
        for name, given in PREFERENCES.items()
    },
    "choose: preferences: no lattice of three": _choose(THREE, ["a", "b", "c"], 7),
    "choose: preferences: 1 of three": _choose(THREE, ["a", "b", "c"], 1),
    "choose: preferences: two of three weights": _choose(THREE, ["a", "b", "c"], [[0.5, 0.5]]),
    **{f"choose: {name}": _choose(**given) for name, given in OPTIONS.items()},
    **{f"choose: lazy: {name}": _choose(FRAME.lazy(), **given) for name, given in OPTIONS.items()},
    **{f"choose: rows: {name}": _choose(frame) for name, frame in FRAMES.items()},
    **{f"choose: lazy rows: {name}": _choose(frame.lazy()) for name, frame in FRAMES.items()},
    **{f"choose: rows of a file: {name}": _choose_in_file(frame) for name, frame in FRAMES.items()},
    **{
        f"choose: rows in groups: {name}": _in_groups(frame)
        for name, frame in FRAMES.items()
        if name != "too wide a span"
    },
    "choose: rows in groups: too wide a span": _in_groups(
        FRAMES["too wide a span"].with_columns(source=pl.lit("web"))
    ),
    **{
        f"choose: rows with nan='drop': {name}": _choose(FRAMES[name], nan="drop")
        for name in ("all null", "infinite", "text among numbers", "constant", "no rows")
    },
    **{f"choose: keys: {name}": _in_groups(frame) for name, frame in KEYS.items()},
    "choose: keys: null, lazy": lambda w: w.choose(KEYS["null"].lazy(), by="source"),
    **{
        f"choose: a taken column: {name}": _choose(taken(name))
        for name in ("preference", "weights", "position", "distance", "layer", "row")
    },
    "choose: a taken column: preference_name": _choose(
        taken("preference_name"), OBJECTIVES, {"kind": [0.5, 0.5]}
    ),
    "choose: a taken column, lazy": _choose(taken("row").lazy()),
    "choose: the pool's column has one value": _choose(
        with_value("b", 11, 1.0, changed("a", [1.0] * 11 + [0.5])), upto=1
    ),
    "choose: copies: too few rows": _choose(COPIES, duplicates="drop", k=4),
    "choose: copies: too few rows, lazy": _choose(COPIES.lazy(), duplicates="drop", k=4),
    "choose: copies: one value in all others": _choose(
        changed("b", [0.5, 0.5, 0.5, 1.0] * 3, COPIES), duplicates="drop", k=1
    ),
    "choose: copies: objects": _choose(
        FRAME.select("a", "b").with_columns(pl.Series("x", [object()] * 12, dtype=pl.Object)),
        duplicates="drop",
    ),
    "choose: a memory limit that is too small": _choose(
        pl.concat([FRAME] * 300).lazy(), k=500, memory_limit=1
    ),
    "select: k of 0": lambda w: pq.select(FRAME, OBJECTIVES, 3, k=0),
    "select: no objectives": lambda w: pq.select(FRAME, None),
    "select: k beyond the rows by default": lambda w: pq.select(FRAME, OBJECTIVES),
    **{
        f"layers: objectives: {name}": _layers(FRAME, given)
        for name, given in OBJECTIVES_GIVEN.items()
    },
    "layers: objectives: none": _layers(FRAME, []),
    **{
        f"layers: rows: {name}": _layers(frame)
        for name, frame in FRAMES.items()
        if name
        not in ("infinite", "minus infinite", "constant", "too wide a span", "no rows", "one row")
    },
    **{
        f"layers: lazy rows: {name}": _layers(frame.lazy(), upto=2)
        for name, frame in FRAMES.items()
        if name
        not in ("infinite", "minus infinite", "constant", "too wide a span", "no rows", "one row")
    },
    **{
        f"layers: {what}{name}": _layers(frame, **OPTIONS[name])
        for what, frame in (("", FRAME), ("lazy: ", FRAME.lazy()))
        for name in (
            "upto of 0",
            "upto of text",
            "at_least of -1",
            "at_least of 2.5",
            "upto and at_least",
            "by: no such column",
            "by: no column",
            "by: a number",
            "nan",
            "nan of None",
            "n_threads of 0",
            "an unknown option",
        )
    },
    "layers: name: taken": _layers(name="a"),
    "layers: name: taken by default": _layers(taken("layer")),
    "layers: name: a number": _layers(name=3),
    "layers: name: None": _layers(name=None),
    **{f"layers: keys: {name}": _layers(frame, by="source") for name, frame in KEYS.items()},
    "layers: keys: null, lazy": _layers(KEYS["null"].lazy(), by="source"),
    "layers: a LazyFrame that fails": _layers(FRAME.lazy().with_columns(pl.col("none"))),
    "layers: a LazyFrame that fails late": _layers(
        FRAME.lazy().with_columns(b=pl.col("prompt").cast(pl.Float64)), upto=1
    ),
    "choose: a LazyFrame that fails late": _choose(
        FRAME.lazy().with_columns(b=pl.col("prompt").cast(pl.Float64))
    ),
}

NO_FRAMES: dict[str, Any] = {
    "a number": 3,
    "None": None,
    "an array": np.zeros((3, 2)),
    "a list of numbers": [1.0, 2.0],
    "an empty list": [],
    "a series": FRAME["a"],
    "a mapping of columns of two lengths": {"a": [1.0], "b": [1.0, 2.0]},
    "a mapping of a column of mixed types": {"a": [1.0, "x"], "b": [1.0, 2.0]},
    "a mapping of a number": {"a": 3, "b": 4},
    "records": [{"a": 1.0, "b": 2.0}],
    "splits": {"train": FRAME, "test": FRAME},
}

CALLS |= {f"choose: frame: {name}": _choose(frame) for name, frame in NO_FRAMES.items()}
CALLS |= {
    f"layers: frame: {name}": _layers(frame)
    for name, frame in NO_FRAMES.items()
    if name not in ("a mapping of a number", "records")
}
