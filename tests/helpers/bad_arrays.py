"""Bad calls of the functions on arrays."""

from __future__ import annotations

import datetime
from decimal import Decimal
from typing import Any

import numpy as np
import polars as pl

import paretohqd as pq
from helpers.world import FRAME, Call, World, points

SQUARE = [[3.0, 1.0], [1.0, 3.0], [2.0, 1.0]]
INFINITE = [[np.inf, 1.0], [1.0, 3.0]]
NANS = [[np.nan, 1.0], [1.0, 3.0], [np.nan, 2.0]]


def _layers(given: Any, **more: Any) -> Call:
    return lambda w: pq.pareto_layers(given, **{"n_threads": w.threads, **more})


def _volume(given: Any = SQUARE, **more: Any) -> Call:
    return lambda w: pq.hypervolume(given, **{"ref": [0, 0], "n_threads": w.threads, **more})


def _estimate(given: Any = SQUARE, **more: Any) -> Call:
    options = {"ref": [0, 0], "samples": 256, **more}
    return lambda w: pq.hypervolume_estimate(given, **{"n_threads": w.threads, **options})


def _contributions(given: Any = SQUARE, **more: Any) -> Call:
    options = {"ref": [0, 0], **more}
    return lambda w: pq.hypervolume_contributions(given, **{"n_threads": w.threads, **options})


def _rays(
    given: Any = SQUARE, origin: Any = (1, 1), through: Any = ((0, 0),), k: Any = 1, **more: Any
) -> Call:
    options = {"k": k, **more}
    return lambda w: pq.nearest_to_rays(
        given, origin, through, **{"n_threads": w.threads} | options
    )


def _grid(m: Any, divisions: Any) -> Call:
    return lambda w: pq.preference_grid(m, divisions)


def _torch_like() -> Any:
    class Tensor:
        device, dtype, ndim = "cuda:0", "torch.float32", 2

        def detach(self) -> Any:
            return self

        def numpy(self) -> Any:
            raise AssertionError("it lies on another device")

    return Tensor()


POINTS: dict[str, Any] = {
    "a number": 3.0,
    "text": "points",
    "None": None,
    "one axis": [1.0, 2.0, 3.0],
    "three axes": np.zeros((2, 2, 2)),
    "no column": np.zeros((3, 0)),
    "an empty list": [],
    "rows of two lengths": [[1.0, 2.0], [1.0]],
    "columns of two lengths": [np.zeros(3), np.zeros(2)],
    "a lazy frame": FRAME.lazy().select("a", "b"),
    "a column of text": FRAME.select("a", "prompt"),
    "a column of words among numbers": pl.DataFrame({"a": [1.0, 2.0], "b": ["1", "bad"]}),
    "a column of dates": pl.DataFrame({"a": [datetime.date(2024, 1, 1)]}),
    "a column of lists": pl.DataFrame({"a": [[1.0], [2.0]]}),
    "a column of structs": pl.DataFrame({"a": [{"x": 1.0}]}),
    "a column of bytes": pl.DataFrame({"a": [b"x"]}),
    "a column of durations": pl.DataFrame({"a": [datetime.timedelta(1)]}),
    "arrays of arrays": pl.DataFrame(
        {"a": [[[1.0], [2.0]]]}, schema={"a": pl.Array(pl.Float64, (2, 1))}
    ),
    "nulls": pl.DataFrame({"a": [1.0, None, None], "b": [0.0, 1.0, 2.0]}),
    "nulls in a column called by a pattern": pl.DataFrame({"^a.*$": [1.0, None], "a": [0.0, 1.0]}),
    "nan": NANS,
    "nan and null": pl.DataFrame({"a": [1.0, None, float("nan")]}),
    "a masked array": np.ma.MaskedArray([[1.0, 2.0], [3.0, 4.0]], mask=[[0, 1], [0, 0]]),
    "complex numbers": np.array([[1j, 2j]]),
    "objects": np.array([[object(), object()]]),
    "texts in an array": np.array([["1", "x"], ["2", "y"]]),
    "dates in an array": np.array([["2024-01-01"], ["2024-01-02"]], dtype="datetime64[D]"),
    "integers beyond 2**53": pl.DataFrame({"a": [2**53 + 1, 1], "b": [0, 1]}),
    "integers beyond 2**53 in an array": np.array([[2**53 + 1, 1], [0, 1]]),
    "unsigned integers beyond 2**53": np.array([[2**63 + 5], [1]], dtype=np.uint64),
    "wide integers": pl.DataFrame({"a": [2**90, 1]}, schema={"a": pl.Int128}),
    "a tensor of another device": _torch_like(),
    "a list of texts": ["ab", "cd"],
    "a list of None": [None, None],
    "decimals in a list": [[Decimal("1.5"), Decimal("2.5")]],
}

GROUPS: dict[str, Any] = {
    "too few": [0, 1],
    "too many": [0, 1, 2, 3],
    "null": ["a", None, "b"],
    "nan": [0.0, float("nan"), 1.0],
    "text": "abc",
    "a number": 3,
    "unhashable": [{"a": 1}, [2], {3}],
    "lists": [[1], [2], [3]],
}

COUNTS: dict[str, Any] = {
    "0": 0,
    "-1": -1,
    "1.5": 1.5,
    "text": "2",
    "true": True,
    "a list": [1],
    "nan": float("nan"),
}

CALLS: dict[str, Call] = {
    **{f"pareto_layers: points: {name}": _layers(given) for name, given in POINTS.items()},
    **{
        f"pareto_layers: groups: {name}": _layers(SQUARE, groups=groups)
        for name, groups in GROUPS.items()
    },
    **{
        f"pareto_layers: {option}: {name}": _layers(SQUARE, **{option: value})
        for option in ("upto", "at_least", "n_threads")
        for name, value in COUNTS.items()
    },
    "pareto_layers: upto and at_least": _layers(SQUARE, upto=1, at_least=2),
    "pareto_layers: maximize: text": _layers(SQUARE, maximize="yes"),
    "pareto_layers: maximize: None": _layers(SQUARE, maximize=None),
    "pareto_layers: maximize: a number": _layers(SQUARE, maximize=1),
    "pareto_layers: maximize: numbers": _layers(SQUARE, maximize=[1, 0]),
    "pareto_layers: maximize: too few": _layers(SQUARE, maximize=[True]),
    "pareto_layers: maximize: too many": _layers(SQUARE, maximize=[True, False, True]),
    "pareto_layers: an unknown option": _layers(SQUARE, up_to=3),
    "pareto_front: nan": lambda w: pq.pareto_front(NANS, n_threads=w.threads),
    "pareto_front: a number": lambda w: pq.pareto_front(7, n_threads=w.threads),
    "pareto_front: maximize": lambda w: pq.pareto_front(SQUARE, maximize=[True]),
    "pareto_front: groups": lambda w: pq.pareto_front(SQUARE, groups=[None] * 3),
    "pareto_front: upto": lambda w: pq.pareto_front(SQUARE, upto=1),
    **{
        f"{name}: {what}": make(**options)
        for name, make in (
            ("hypervolume", _volume),
            ("hypervolume_contributions", _contributions),
            ("hypervolume_estimate", _estimate),
        )
        for what, options in {
            "ref: too short": {"ref": [0]},
            "ref: too long": {"ref": [0, 0, 0]},
            "ref: a number": {"ref": 0},
            "ref: two axes": {"ref": [[0, 0]]},
            "ref: nan": {"ref": [0, np.nan]},
            "ref: infinite": {"ref": [0, -np.inf]},
            "ref: text": {"ref": "origin"},
            "ref: texts": {"ref": ["x", "y"]},
            "ref: None": {"ref": None},
            "ref: of two lengths": {"ref": [[0], [0, 1]]},
            "infinite points": {"given": INFINITE},
            "nan": {"given": NANS},
            "nulls": {"given": POINTS["nulls"]},
            "text": {"given": POINTS["a column of text"]},
            "maximize": {"maximize": [True, True, False]},
            "n_threads": {"n_threads": 0},
        }.items()
    },
    "hypervolume: no ref": lambda w: pq.hypervolume(SQUARE),
    "hypervolume: infinite in a named column": _volume(
        pl.DataFrame({"a": [1.0, 2.0], "b": [1.0, float("-inf")]})
    ),
    **{
        f"hypervolume_estimate: samples: {value!r}": _estimate(samples=value)
        for value in (255, 0, -1, 2**32 + 1, 1000.0, "many", True, None)
    },
    **{
        f"hypervolume_estimate: seed: {value!r}": _estimate(seed=value)
        for value in (-1, 2**64, 0.5, "x", False, None)
    },
    **{f"nearest_to_rays: k: {name}": _rays(k=value) for name, value in COUNTS.items()},
    "nearest_to_rays: k: more than the rows": _rays(k=4),
    "nearest_to_rays: k: None": _rays(k=None),
    "nearest_to_rays: n_threads": _rays(n_threads=-2),
    "nearest_to_rays: no rows": _rays(np.zeros((0, 2))),
    "nearest_to_rays: nan": _rays(NANS),
    "nearest_to_rays: infinite points": _rays(INFINITE),
    "nearest_to_rays: nulls": _rays(POINTS["nulls"]),
    "nearest_to_rays: text": _rays(POINTS["a column of text"]),
    "nearest_to_rays: columns of two lengths": _rays(POINTS["columns of two lengths"]),
    "nearest_to_rays: through: one axis": _rays(through=[0, 0]),
    "nearest_to_rays: through: three axes": _rays(through=[[[0, 0]]]),
    "nearest_to_rays: through: too long": _rays(through=[[0, 0, 0]]),
    "nearest_to_rays: through: of two lengths": _rays(through=[[0, 0], [1]]),
    "nearest_to_rays: through: text": _rays(through="there"),
    "nearest_to_rays: through: nan": _rays(through=[[0, np.nan]]),
    "nearest_to_rays: through: infinite": _rays(through=[[0, np.inf], [-np.inf, 0]]),
    "nearest_to_rays: through: the origin": _rays(through=[[0, 0], [1, 1]]),
    "nearest_to_rays: origin: too long": _rays(origin=[1, 1, 1]),
    "nearest_to_rays: origin: a number": _rays(origin=1),
    "nearest_to_rays: origin: text": _rays(origin=["x", "y"]),
    "nearest_to_rays: origin: nan": _rays(origin=[np.nan, 1]),
    "nearest_to_rays: origin: other rows than through": _rays(origin=[[1, 1], [2, 2]]),
    **{f"preference_grid: m: {name}": _grid(value, 2) for name, value in COUNTS.items()},
    **{f"preference_grid: divisions: {name}": _grid(2, value) for name, value in COUNTS.items()},
    "selection_overlap: no row": lambda w: pq.selection_overlap(pl.DataFrame({"preference": [0]})),
    "selection_overlap: neither column": lambda w: pq.selection_overlap(FRAME),
}


def _no_rows(w: World) -> object:
    return pq.nearest_to_rays(points(0), [1, 1], [[0, 0]], k=1, n_threads=w.threads)


CALLS["nearest_to_rays: no points"] = _no_rows
