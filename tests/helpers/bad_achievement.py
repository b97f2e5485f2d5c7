"""Bad calls for the rows of least achievement, on arrays and on frames."""

from __future__ import annotations

from typing import Any

import numpy as np

import paretohqd as pq
from helpers.bad_arrays import COUNTS, GROUPS, INFINITE, NANS, POINTS, SQUARE
from helpers.bad_frames import FRAMES
from helpers.world import FRAME, OBJECTIVES, Call


def _least(
    given: Any = SQUARE, ideal: Any = (3, 3), directions: Any = ((1, 1),), **more: Any
) -> Call:
    return lambda w: pq.least_achievement(
        given, ideal, directions, **{"k": 1, "n_threads": w.threads, **more}
    )


def _of_frame(
    frame: Any = FRAME,
    objectives: Any = OBJECTIVES,
    ideal: Any = (1, 1),
    directions: Any = ((1, 1),),
    **more: Any,
) -> Call:
    options = {"k": 1, **more}
    return lambda w: (
        pq.achievement(frame, objectives, ideal, directions, **{"n_threads": w.threads, **options})
        .lazy()
        .collect()
    )


VECTORS: dict[str, dict[str, Any]] = {
    "ideal: too long": {"ideal": [3, 3, 3]},
    "ideal: two axes": {"ideal": [[3, 3]]},
    "ideal: a number": {"ideal": 3},
    "ideal: nan": {"ideal": [np.nan, 3]},
    "ideal: infinite": {"ideal": [3, np.inf]},
    "ideal: text": {"ideal": "best"},
    "ideal: texts": {"ideal": ["x", "y"]},
    "ideal: beyond all doubles": {"ideal": [10**400, 0]},
    "directions: one axis": {"directions": [1, 1]},
    "directions: a number": {"directions": 1},
    "directions: None": {"directions": None},
    "directions: too long": {"directions": [[1, 1, 1]]},
    "directions: of two lengths": {"directions": [[1, 1], [1]]},
    "directions: text": {"directions": "down"},
    "directions: nan": {"directions": [[1, np.nan]]},
    "directions: infinite": {"directions": [[1, 1], [np.inf, 1]]},
    "directions: negative": {"directions": [[1, 1], [1, -1]]},
    "directions: zeros": {"directions": [[1, 1], [0, 0]]},
    "directions: beyond all doubles": {"directions": [[10**400, 1]]},
}

CALLS: dict[str, Call] = {
    **{f"least_achievement: points: {name}": _least(given) for name, given in POINTS.items()},
    **{
        f"least_achievement: groups: {name}": _least(groups=groups)
        for name, groups in GROUPS.items()
    },
    **{f"least_achievement: {name}": _least(**bad) for name, bad in VECTORS.items()},
    **{f"least_achievement: k: {name}": _least(k=k) for name, k in COUNTS.items()},
    **{
        f"least_achievement: {what}: {name}": _least(given, ideal, groups=groups)
        for what, given in (("infinite points", INFINITE), ("nan", NANS))
        for name, ideal, groups in (
            ("no ideal", None, None),
            ("groups", (3, 3), [0] * len(given)),
            ("groups, no ideal", None, [0] * len(given)),
            ("groups apart, no ideal", None, [0, 1, 0][: len(given)]),
        )
    },
    "least_achievement: infinite points": _least(INFINITE),
    "least_achievement: infinite points, minimised": _least(INFINITE, None, maximize=False),
    "least_achievement: nan, no preference": _least(NANS, directions=np.zeros((0, 2))),
    "least_achievement: k: more than the rows": _least(k=4),
    "least_achievement: k: None": _least(k=None),
    "least_achievement: no rows": _least(np.zeros((0, 2))),
    "least_achievement: no rows, no ideal": _least(np.zeros((0, 2)), None),
    "least_achievement: groups and by": _least(groups=[1] * 3, by=[1] * 3),
    "least_achievement: maximize": _least(maximize=[True]),
    "least_achievement: n_threads": _least(n_threads=0),
    **{
        f"achievement: {form}: {name}": _of_frame(frame if form == "frame" else frame.lazy())
        for form in ("frame", "lazy")
        for name, frame in FRAMES.items()
        if name not in ("constant", "too wide a span", "one row")
    },
    **{f"achievement: {name}": _of_frame(**bad) for name, bad in VECTORS.items()},
    **{f"achievement: k: {name}": _of_frame(k=k) for name, k in COUNTS.items()},
    "achievement: k beyond the rows": _of_frame(k=13),
    "achievement: a missing column": _of_frame(objectives=["a", "c"]),
    "achievement: by: no such column": _of_frame(by="topic"),
    "achievement: a name that it adds": _of_frame(FRAME.rename({"source": "achievement"})),
    "achievement: no frame": _of_frame(3),
    "achievement: n_threads": _of_frame(n_threads=-1),
    **{
        f"achievement: by: {name}": _of_frame(FRAMES[name], ideal=None, by="source")
        for name in ("a null", "nan", "infinite", "minus infinite")
    },
}
