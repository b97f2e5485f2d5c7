"""Bad calls of the methods of `frame.pareto`, on a DataFrame and a LazyFrame."""

from __future__ import annotations

from typing import Any

import polars as pl

from helpers.bad_frames import FRAMES, taken
from helpers.world import FRAME, OBJECTIVES, Call, World

CALLS: dict[str, Call] = {}


def _rays(frame: Any, origin: Any = (1, 1), through: Any = ((0, 0),), **more: Any) -> Call:
    def call(w: World) -> object:
        given = {"objectives": OBJECTIVES, "k": 2, **more}
        result = frame.pareto.rays(given.pop("objectives"), origin, through, **given)
        return result.lazy().collect()

    return call


def _method(method: str, /, *given: Any, **more: Any) -> Call:
    """A bad call of a method of `frame.pareto`."""

    def call(w: World) -> object:
        frame = more.get("frame", FRAME)
        options = {key: value for key, value in more.items() if key != "frame"}
        result = getattr(frame.pareto, method)(*given, **options)
        return result.collect() if isinstance(result, pl.LazyFrame) else result

    return call


for kind, frame in (("", FRAME), ("lazy: ", FRAME.lazy())):
    CALLS |= {
        f"frame.pareto: {kind}layers: a missing column": _method("layers", ["a", "z"], frame=frame),
        f"frame.pareto: {kind}layers: upto": _method("layers", OBJECTIVES, upto=0, frame=frame),
        f"frame.pareto: {kind}layers: a taken name": _method(
            "layers", OBJECTIVES, name="b", frame=frame
        ),
        f"frame.pareto: {kind}front: a missing column": _method("front", ["z"], frame=frame),
        f"frame.pareto: {kind}front: text": _method("front", ["prompt"], frame=frame),
        f"frame.pareto: {kind}front: nan": _method("front", OBJECTIVES, nan="fill", frame=frame),
        f"frame.pareto: {kind}front: by": _method("front", OBJECTIVES, by="z", frame=frame),
        f"frame.pareto: {kind}select: k": _method("select", OBJECTIVES, 3, k=0, frame=frame),
        f"frame.pareto: {kind}select: preferences": _method(
            "select", OBJECTIVES, [[2, 0]], frame=frame
        ),
        f"frame.pareto: {kind}select: option": _method(
            "select", OBJECTIVES, 3, size=1, frame=frame
        ),
        f"frame.pareto: {kind}hypervolume: no ref": _method("hypervolume", OBJECTIVES, frame=frame),
        f"frame.pareto: {kind}hypervolume: ref": _method(
            "hypervolume", OBJECTIVES, ref=[0], frame=frame
        ),
        f"frame.pareto: {kind}hypervolume: column": _method(
            "hypervolume", ["z"], ref=[0], frame=frame
        ),
        f"frame.pareto: {kind}rays: no k": _method(
            "rays", OBJECTIVES, [1, 1], [[0, 0]], frame=frame
        ),
        f"frame.pareto: {kind}rays: k": _rays(frame, k=0),
        f"frame.pareto: {kind}rays: k beyond the rows": _rays(frame, k=13),
        f"frame.pareto: {kind}rays: origin": _rays(frame, [1]),
        f"frame.pareto: {kind}rays: through": _rays(frame, [1, 1], [1, 1]),
        f"frame.pareto: {kind}rays: no direction": _rays(frame, [1, 1], [[1, 1]]),
        f"frame.pareto: {kind}rays: column": _rays(frame, objectives=["a", "z"]),
    }

CALLS |= {
    "frame.pareto: hypervolume: infinite": _method(
        "hypervolume", OBJECTIVES, ref=[0, 0], frame=FRAMES["infinite"]
    ),
    "frame.pareto: lazy: hypervolume: infinite": _method(
        "hypervolume", OBJECTIVES, ref=[0, 0], frame=FRAMES["infinite"].lazy()
    ),
    "frame.pareto: rays: a taken column": _rays(taken("ray")),
    "frame.pareto: rays: nan": _rays(FRAMES["nan"]),
    "frame.pareto: lazy: rays: nan": _rays(FRAMES["nan"].lazy()),
    "frame.pareto: lazy: rays: infinite": _rays(FRAMES["infinite"].lazy()),
}
