"""Bad calls of the indicators on arrays."""

from __future__ import annotations

from typing import Any

import numpy as np
import polars as pl

import paretohqd as pq
from helpers.bad_arrays import COUNTS, GROUPS, INFINITE, NANS, POINTS, SQUARE
from helpers.world import Call


def _call(name: str, *args: Any, **options: Any) -> Call:
    return lambda w: getattr(pq, name)(*(args or (SQUARE,)), **{"n_threads": w.threads, **options})


AB = pl.DataFrame({"a": [1.0], "b": [2.0]})
R2: dict[str, Any] = {"weights": SQUARE, "ideal": [3, 3]}

CALLS: dict[str, Call] = {
    **{
        f"crowding_distance: points: {name}": _call("crowding_distance", points)
        for name, points in POINTS.items()
    },
    **{
        f"crowding_distance: groups: {name}": _call("crowding_distance", groups=groups)
        for name, groups in GROUPS.items()
    },
    "crowding_distance: infinite points": _call("crowding_distance", INFINITE),
    "crowding_distance: groups and by": _call("crowding_distance", groups=[1] * 3, by=[1] * 3),
    "crowding_distance: maximize": _call("crowding_distance", maximize=[True]),
    "crowding_distance: n_threads": _call("crowding_distance", n_threads=0),
    **{
        f"{indicator}: {what}": _call(indicator, *args, **options)
        for indicator in ("igd_plus", "epsilon_additive")
        for what, (args, options) in {
            "no ref": ((), {}),
            "ref: a number": ((), {"ref": 1.0}),
            "ref: None": ((), {"ref": None}),
            "ref: one axis": ((), {"ref": [1.0, 2.0]}),
            "ref: no row": ((), {"ref": np.zeros((0, 2))}),
            "ref: another number of objectives": ((), {"ref": [[1.0, 2.0, 3.0]]}),
            "ref: nan": ((), {"ref": NANS}),
            "ref: infinite": ((), {"ref": INFINITE}),
            "ref: text": ((), {"ref": POINTS["a column of text"]}),
            "ref: another order": ((AB,), {"ref": AB.select("b", "a")}),
            "infinite points": ((INFINITE,), {"ref": SQUARE}),
            "nan": ((NANS,), {"ref": SQUARE}),
            "maximize": ((), {"ref": SQUARE, "maximize": [True] * 3}),
            "n_threads": ((), {"ref": SQUARE, "n_threads": -1}),
        }.items()
    },
    **{
        f"r2_indicator: {what}": _call("r2_indicator", **{**R2, **bad})
        for what, bad in {
            "weights: one axis": {"weights": [1, 2]},
            "weights: too long": {"weights": [[1, 2, 3]]},
            "weights: none": {"weights": np.zeros((0, 2))},
            "weights: of two lengths": {"weights": [[1, 2], [1]]},
            "weights: text": {"weights": "even"},
            "weights: negative": {"weights": [[1, 2], [1, -1]]},
            "weights: zeros": {"weights": [[0, 0]]},
            "weights: nan": {"weights": [[1, np.nan]]},
            "weights: infinite": {"weights": [[1, np.inf]]},
            "ideal: too short": {"ideal": [3]},
            "ideal: a number": {"ideal": 3},
            "ideal: nan": {"ideal": [3, np.nan]},
            "ideal: text": {"ideal": "best"},
            "ideal: not ideal": {"ideal": [2, 3]},
            "maximize": {"maximize": False},
            "n_threads": {"n_threads": 0},
        }.items()
    },
    "r2_indicator: infinite points": _call("r2_indicator", INFINITE, **R2),
    **{
        f"hypervolume_subset: k: {name}": _call("hypervolume_subset", k=k, ref=[0, 0])
        for name, k in COUNTS.items()
    },
    **{
        f"hypervolume_subset: {what}": _call("hypervolume_subset", **{"k": 1, "ref": [0, 0], **bad})
        for what, bad in {
            "k: None": {"k": None},
            "k: more than the rows": {"k": 4},
            "ref: too short": {"ref": [0]},
            "ref: a number": {"ref": 0},
            "ref: nan": {"ref": [0, np.nan]},
            "ref: text": {"ref": "origin"},
            "maximize": {"maximize": [True]},
            "n_threads": {"n_threads": 0},
        }.items()
    },
    "hypervolume_subset: no k": _call("hypervolume_subset", ref=[0, 0]),
    "hypervolume_subset: no rows": _call("hypervolume_subset", np.zeros((0, 2)), k=1, ref=[0, 0]),
    "hypervolume_subset: infinite points": _call("hypervolume_subset", INFINITE, k=1, ref=[0, 0]),
}
