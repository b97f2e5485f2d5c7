"""Results of the functions on frames: in memory, lazy and in files."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import polars as pl

import paretohqd as pq
from helpers.drawn_rows import KINDS, names, rows, with_gaps
from helpers.world import Call, World


def _in_parts(frame: pl.DataFrame, w: World) -> Any:
    """Three files of a folder, in folders by a key of their own."""
    third = len(frame) // 3 + 1
    for part in range(3):
        w.parquet(frame[part * third : (part + 1) * third], f"part={part}/rows.parquet")
    return w.folder


FORMS: dict[str, Callable[[pl.DataFrame, World], Any]] = {
    "": lambda frame, w: frame,
    "lazy: ": lambda frame, w: frame.lazy(),
    "Parquet: ": lambda frame, w: w.parquet(frame),
    "parts: ": _in_parts,
    "CSV: ": lambda frame, w: w.csv(frame),
    "JSONL: ": lambda frame, w: w.jsonl(frame),
    "a mapping: ": lambda frame, w: frame.to_dict(as_series=False),
}


def _choose(frame: pl.DataFrame, form: str, given: dict[str, Any], w: World) -> Any:
    options = {"objectives": names(2), "preferences": 5, "k": 12, "n_threads": w.threads, **given}
    objectives, preferences = options.pop("objectives"), options.pop("preferences")
    return pq.choose(FORMS[form](frame, w), objectives, preferences, **options)


def _layers(frame: pl.DataFrame, form: str, given: dict[str, Any], w: World) -> Any:
    options = {"objectives": names(2), "n_threads": w.threads, **given}
    return pq.layers(FORMS[form](frame, w), options.pop("objectives"), **options)


MIXED = {"s0": "max", "s1": "min", "s2": "max"}
CHOICES: dict[str, dict[str, Any]] = {
    "plain": {},
    "upto=2": {"upto": 2, "k": 3},
    "upto=4": {"upto": 4},
    "at_least": {"at_least": 30},
    "bounds of all": {"bounds": "all"},
    "scale none": {"scale": "none"},
    "directions": {"directions": "tchebycheff"},
    "distinct": {"distinct": "prompt"},
    "distinct, upto": {"distinct": "source", "upto": 9, "k": 2},
    "no duplicates": {"duplicates": "drop"},
    "by": {"by": "source"},
    "by two": {"by": ["week", "source"], "k": 4},
    "by, no duplicates": {"by": "source", "duplicates": "drop", "at_least": 20},
    "by, bounds of all, upto": {"by": "source", "bounds": "all", "upto": 2},
    "by, scale none": {"by": "week", "scale": "none", "k": 300},
    "one preference": {"preferences": [[0.25, 0.75]]},
    "weights": {"preferences": [[1, 0], [0.5, 0.5], [0.1, 0.9]]},
    "weights by names": {"preferences": [{"s1": 3, "s0": 1}, {"s0": 1, "s1": 0}]},
    "named preferences": {"preferences": {"kind": [0.2, 0.8], "brief": {"s0": 7, "s1": 3}}},
    "a frame of preferences": {
        "preferences": pl.DataFrame({"s1": [1.0, 3.0], "who": ["a", "b"], "s0": [1.0, 1.0]})
    },
    "the default": {"preferences": None, "k": 5},
    "minimised": {"objectives": {"s0": "min", "s1": "max"}},
    "all minimised": {"objectives": {"s0": "min", "s1": "min"}, "bounds": "all"},
    "scale of numbers": {"scale": [0.5, 2.0]},
}
UNEVEN = {
    4: [[0.4, 0.3, 0.2, 0.1], [0.25] * 4, [0.7, 0.1, 0.1, 0.1], [0, 0.5, 0.25, 0.25]],
    5: [[0.4, 0.3, 0.15, 0.1, 0.05], [0.2] * 5, [0.96, 0.01, 0.01, 0.01, 0.01]],
}
"""Preferences with and without weights of 0."""
LAYERS: dict[str, dict[str, Any]] = {
    "plain": {},
    "upto": {"upto": 2},
    "at_least": {"at_least": 50},
    "minimised": {"objectives": {"s0": "min", "s1": "max"}},
    "by": {"by": "source"},
    "by two, upto": {"by": ["source", "week"], "upto": 1},
    "another name": {"name": "rank", "upto": 1},
    "one objective": {"objectives": ["s1"]},
}

RESULTS: dict[str, Call] = {}

for kind in KINDS:
    frame = rows(kind)
    RESULTS |= {
        f"choose: {kind}: {name}": partial(_choose, frame, "", given)
        for name, given in CHOICES.items()
    }
    RESULTS |= {
        f"layers: {kind}: {name}": partial(_layers, frame, "", given)
        for name, given in LAYERS.items()
    }
    three = rows(kind, 300, 3)
    for name in ("plain", "bounds of all", "scale none", "directions", "by", "the default"):
        given = {"preferences": 15, **CHOICES[name], "objectives": MIXED}
        RESULTS[f"choose: {kind}, 3 objectives: {name}"] = partial(_choose, three, "", given)
    for m in (4, 5):
        given = {"objectives": names(m), "preferences": UNEVEN[m], "k": 4}
        for way in ("paper", "tchebycheff"):
            RESULTS[f"choose: {kind}, {m} objectives: {way}"] = partial(
                _choose, rows(kind, 300, m), "", {**given, "directions": way}
            )

for form in FORMS:
    for kind in ("ties", "uniform", "single") if form else ():
        frame = rows(kind)
        if form in ("parts: ", "CSV: ", "JSONL: "):
            frame = frame.with_columns(pl.col(names(2)).cast(pl.Float64))
        RESULTS |= {
            f"choose: {form}{kind}: {name}": partial(_choose, frame, form, CHOICES[name])
            for name in (
                "plain",
                "upto=4",
                "bounds of all",
                "directions",
                "distinct",
                "no duplicates",
                "by",
                "named preferences",
                "minimised",
            )
        }
        RESULTS |= {
            f"layers: {form}{kind}: {name}": partial(_layers, frame, form, LAYERS[name])
            for name in ("plain", "upto", "at_least", "by", "minimised")
        }
    gaps = with_gaps(rows())
    for name, given in {
        "choose": {"nan": "drop"},
        "choose, by": {"nan": "drop", "by": "source"},
        "choose, no duplicates": {"nan": "drop", "duplicates": "drop"},
    }.items():
        if form != "JSONL: ":
            RESULTS[f"{name}: {form}gaps dropped"] = partial(_choose, gaps, form, given)
    for name, given in {
        "layers": {},
        "layers, upto": {"upto": 2},
        "layers, by": {"by": "week"},
    }.items():
        if form != "JSONL: ":
            RESULTS[f"{name}: {form}gaps dropped"] = partial(
                _layers, gaps, form, {"nan": "drop", **given}
            )


# Enough rows for several batches, and for rows that a screen passes over.
MANY = rows("uniform", 150_000, 2, seed=9)
MANY_THREE = rows("single", 150_000, 3, seed=9)
for form in ("", "lazy: ", "Parquet: ", "parts: "):
    for name in ("plain", "upto=4", "bounds of all", "by", "distinct"):
        RESULTS[f"choose: {form}many rows: {name}"] = partial(_choose, MANY, form, CHOICES[name])
    given = {"objectives": MIXED, "preferences": 15, "k": 50, "directions": "tchebycheff"}
    RESULTS[f"choose: {form}many rows, 3 objectives"] = partial(_choose, MANY_THREE, form, given)
    RESULTS[f"layers: {form}many rows: upto"] = partial(
        _layers, MANY.select(names(2)), form, LAYERS["upto"]
    )


# ── columns of other types, frame.pareto, warnings ───────────────────────────────────────────────


def _typed() -> dict[str, pl.DataFrame]:
    frame = rows("ties", 200)
    return {
        "integers": frame.with_columns(pl.col("s0", "s1") * 4).cast(
            {"s0": pl.Int16, "s1": pl.UInt8}
        ),
        "texts": frame.with_columns(pl.col("s0").cast(pl.String)),
        "decimals": frame.with_columns(pl.col("s1").cast(pl.Decimal(10, 2))),
        "half precision": frame.cast({"s0": pl.Float32, "s1": pl.Float64}),
        "categories beside": frame.with_columns(pl.col("source").cast(pl.Categorical)),
        "lists beside": frame.with_columns(tags=pl.concat_list("prompt", "source")),
        "structs beside": frame.with_columns(both=pl.struct("prompt", "s0")),
        "nulls beside": frame.with_columns(note=pl.when(pl.col("s0") > 0.5).then("prompt")),
    }


def _of_arrays(w: World) -> Any:
    frame = rows("uniform", 200, 3).with_columns(r=pl.concat_list(names(3)).list.to_array(3))
    given = {"objectives": {"r": ["max", "min", "max"]}, "preferences": 6}
    return [_choose(frame, form, given, w) for form in ("", "lazy: ", "Parquet: ")]


def _pattern_names(w: World) -> Any:
    frame = rows("uniform", 200).rename({"s0": "^s.*$", "source": "*"})
    given = {"objectives": ["^s.*$", "s1"], "by": "*"}
    return [_choose(frame, form, given, w) for form in ("", "lazy: ", "Parquet: ")]


def _methods(frame: pl.DataFrame | pl.LazyFrame, w: World) -> Any:
    pareto: Any = frame.pareto  # type: ignore[union-attr]
    more = {"n_threads": w.threads}
    return [
        pareto.layers(names(2), **more),
        pareto.layers(["s1"], by="source", name="rank", upto=3, **more),
        pareto.front({"s0": "min", "s1": "max"}, **more),
        pareto.front(names(2), by=["source", "week"], **more),
        pareto.select(names(2), 4, k=7, **more),
        pareto.select(names(2), {"kind": [0.5, 0.5]}, k=7, by="source", **more),
        pareto.hypervolume(names(2), ref=[0.1, 0.2], **more),
        pareto.hypervolume({"s0": "min", "s1": "max"}, ref=[1.0, 0.0], **more),
        pareto.rays(names(2), [1, 1], [[0, 0], [0.5, 0.0], [-1, 0.9]], k=6, **more),
    ]


def _warned(w: World) -> Any:
    """Preferences that get the same rows, for every reason; and which file the warning names."""
    small, best = rows("uniform", 12), rows("ties", 200).with_columns(s1="s0")
    close = pl.DataFrame({"s0": [0.0, 1.0, 0.5, 0.5], "s1": [1.0, 0.0, 0.5, 0.5]})
    results: list[Any] = []
    for frame, given in (
        (small, {"preferences": 3, "k": 12, "upto": 20}),
        (small, {"preferences": 3, "k": 12, "by": "source"}),
        (best, {"k": 5}),
        (close, {"preferences": [[0.5, 0.5], [0.51, 0.49]], "k": 2}),
    ):
        for form in ("", "lazy: "):
            with warnings.catch_warnings(record=True) as caught:
                warnings.simplefilter("always")
                results.append(_choose(frame, form, given, w))
            results += [
                [each.category.__name__, str(each.message), Path(each.filename).name]
                for each in caught
            ]
    return results


RESULTS |= {
    f"choose: columns of other types: {name}": partial(_choose, frame, "", {})
    for name, frame in _typed().items()
}
RESULTS |= {
    f"choose: lazy: columns of other types: {name}": partial(_choose, frame, "Parquet: ", {})
    for name, frame in _typed().items()
}
RESULTS |= {
    "choose: arrays": _of_arrays,
    "choose: names like patterns": _pattern_names,
    "choose: warnings": _warned,
    "select": lambda w: pq.select(rows(), names(2), 11, k=20, n_threads=w.threads),
    "select: the defaults": lambda w: pq.select(rows("front", 4000), names(2)),
    "select: in batches": lambda w: pq.select(
        w.parquet(rows("front", 4000)), names(2), k=20, memory_limit=10**8, n_threads=w.threads
    ),
    "selection_overlap": lambda w: pq.selection_overlap(pq.select(rows(), names(2), 11, k=20)),
}
RESULTS |= {
    f"frame.pareto: {kind}{form}": partial(_methods, frame.lazy() if form else frame)
    for kind in KINDS
    for frame in [rows(kind, 250)]
    for form in ("", ", lazy")
}
