"""Bad calls of states of layers and of selections: their parts, data sets and pictures."""

from __future__ import annotations

import copy
import pickle
from typing import Any

import polars as pl

import paretohqd as pq
from helpers.world import FRAME, OBJECTIVES, Call, World, changed, with_value

NAN = float("nan")


def _state(*frames: Any, objectives: Any = OBJECTIVES, **more: Any) -> pq.FirstLayers:
    state = pq.FirstLayers(objectives, **(more or {"at_least": 6}))
    for frame in frames:
        state.add(frame)
    return state


def _add(*frames: Any, **more: Any) -> Call:
    return lambda w: _state(*frames, **more).frame


def _saved(name: str) -> Call:
    return lambda w: _state(FRAME).save(w.folder / name)


def _from(*given: Any, state: dict[str, Any] | None = None, **more: Any) -> Call:
    options = {"k": 2, **more}
    return lambda w: pq.choose_from(
        _state(FRAME, **(state or {})), *given, **{"n_threads": w.threads, **options}
    )


def _pushed_aside(w: World) -> object:
    """Rows that come later dominate those that were kept."""
    state = pq.FirstLayers(["a", "b"], at_least=4)
    spread = pl.DataFrame(
        {"a": [float(i) for i in range(100)], "b": [float(-i) for i in range(100)]}
    )
    assert len(state.add(spread).frame) == 100
    return state.add(pl.DataFrame({"a": [1000.0], "b": [1000.0]})).frame


def _load_two(w: World) -> object:
    w.parquet(FRAME, "1.parquet")
    w.parquet(FRAME, "2.parquet")
    return pq.FirstLayers.load(w.folder)


def _added_again(w: World) -> object:
    """A saved state goes on with the columns that it has."""
    path = w.folder / "state.parquet"
    _state(FRAME).save(path)
    return pq.FirstLayers.load(path).add(FRAME.drop("source"))


CALLS: dict[str, Call] = {
    "FirstLayers: no stop": lambda w: pq.FirstLayers(OBJECTIVES),
    "FirstLayers: two stops": lambda w: pq.FirstLayers(OBJECTIVES, upto=1, at_least=2),
    "FirstLayers: upto of 0": lambda w: pq.FirstLayers(OBJECTIVES, upto=0),
    "FirstLayers: at_least of text": lambda w: pq.FirstLayers(OBJECTIVES, at_least="2"),
    "FirstLayers: nan": lambda w: pq.FirstLayers(OBJECTIVES, upto=1, nan="fill"),
    "FirstLayers: n_threads": lambda w: pq.FirstLayers(OBJECTIVES, upto=1, n_threads=0),
    "FirstLayers: a set": lambda w: pq.FirstLayers({"a", "b"}, upto=1),
    "FirstLayers: None": lambda w: pq.FirstLayers(None, upto=1),
    "FirstLayers: nothing was added": _add(),
    "FirstLayers: layer sizes of nothing": lambda w: _state().layer_sizes(),
    "FirstLayers: saved with nothing": lambda w: _state().save(w.folder / "x.parquet"),
    "FirstLayers: a missing column": _add(FRAME.drop("b")),
    "FirstLayers: objectives of text": _add(FRAME, objectives="a"),
    "FirstLayers: an unknown direction": _add(FRAME, objectives={"a": "up", "b": "max"}),
    "FirstLayers: nan in a score": _add(FRAME, with_value("a", 4, NAN)),
    "FirstLayers: a null in a score": _add(FRAME, with_value("b", 0, None).lazy()),
    "FirstLayers: text in a score": _add(changed("b", ["x"] * 12)),
    "FirstLayers: a taken column": _add(changed("row", [1] * 12)),
    "FirstLayers: another taken column": _add(changed("layer", [1] * 12)),
    "FirstLayers: no frame": _add(7),
    "FirstLayers: fewer columns": _add(FRAME, FRAME.drop("source")),
    "FirstLayers: more columns": _add(FRAME, changed("new", [1] * 12)),
    "FirstLayers: another order": _add(FRAME, FRAME.select(reversed(FRAME.columns))),
    "FirstLayers: another type": _add(FRAME, changed("source", [1] * 12)),
    "FirstLayers: large integers": _add(FRAME, changed("b", [2**53 + 1] * 12)),
    "FirstLayers: a file that is none": lambda w: _state(w.folder / "none.parquet"),
    "FirstLayers: pushed aside": _pushed_aside,
    "FirstLayers: saved as CSV": _saved("state.csv"),
    "FirstLayers: saved in no folder": _saved("none/state.parquet"),
    "FirstLayers: loaded from nothing": lambda w: pq.FirstLayers.load(w.folder / "none.parquet"),
    "FirstLayers: loaded from rows": lambda w: pq.FirstLayers.load(w.parquet()),
    "FirstLayers: loaded from a CSV": lambda w: pq.FirstLayers.load(w.csv()),
    "FirstLayers: loaded from a broken file": lambda w: pq.FirstLayers.load(
        w.text("x.parquet", b"PAR1" + b"\xff" * 40 + b"PAR1")
    ),
    "FirstLayers: loaded from two files": _load_two,
    "FirstLayers: loaded, then other columns": _added_again,
    "choose_from: k of 0": _from(k=0),
    "choose_from: k beyond the pool": _from(k=20),
    "choose_from: k of None": _from(k=None),
    "choose_from: preferences": _from([[0.5, 0.6]]),
    "choose_from: names of others": _from({"a": 1, "z": 1}),
    "choose_from: bounds": _from(3, bounds="rows"),
    "choose_from: scale": _from(3, scale=[1.0, -1.0]),
    "choose_from: directions": _from(3, directions="up"),
    "choose_from: distinct": _from(3, distinct="topic"),
    "choose_from: duplicates": _from(3, duplicates="remove"),
    "choose_from: upto": _from(3, upto=3),
    "choose_from: n_threads": _from(3, n_threads=0),
    "choose_from: no rows": lambda w: pq.choose_from(_state(), 3, k=1),
    "choose_from: infinite": lambda w: pq.choose_from(
        _state(with_value("a", 3, float("inf"))), 3, k=1
    ),
    "choose_from: constant": lambda w: pq.choose_from(_state(changed("a", [1.0] * 12)), 3, k=1),
}


# ── parts of a selection, data sets, pictures ────────────────────────────────────────────────────


def _of(preference: Any, preferences: Any = 3) -> Call:
    return lambda w: w.choose(preferences=preferences).of(preference)


def _dataset(frame: pl.DataFrame, *given: Any, **more: Any) -> Call:
    return lambda w: w.choose(frame).to_dataset(*given, **more)


def _column(**columns: Any) -> pl.DataFrame:
    """Scores with columns of one value."""
    frame = FRAME.select("a", "b")
    return frame.with_columns(pl.Series(n, [v] * 12) for n, v in columns.items())


def _talk(*turns: tuple[Any, Any]) -> list[dict[str, Any]]:
    return [{"role": role, "content": content} for role, content in turns]


NAMED = {"kind": [0.2, 0.8], "brief": [0.8, 0.2]}
CALLS |= {f"Selection.of: {what!r}": _of(what) for what in (3, -1, "kind", None, 1.0, True, [0])}
CALLS |= {f"Selection.of: named: {what!r}": _of(what, NAMED) for what in (2, "Kind", None)}


def _why(row: Any) -> Call:
    return lambda w: w.choose().why(row)


def _why_of_a_group(w: World) -> Any:
    return pickle.loads(pickle.dumps(w.choose(by="prompt"))).why(0)


CALLS |= {f"Selection.why: {row!r}": _why(row) for row in (-1, 12, 1.0, "0", None, True)}
CALLS["Selection.why: groups that were pickled"] = _why_of_a_group

DATASETS: dict[str, Call] = {
    "no such preference": _dataset(FRAME, 9),
    "no such name": _dataset(FRAME, "kind"),
    "prompt: no such column": _dataset(FRAME, prompt="question"),
    "completion: no such column": _dataset(FRAME, completion="answer"),
    "messages: no such column": _dataset(FRAME, messages="messages"),
    "system: no such column": _dataset(FRAME, system="system"),
    "messages and prompt": _dataset(
        changed("messages", ["x"] * 12), messages="messages", prompt="prompt"
    ),
    "no columns": _dataset(FRAME.select("a", "b")),
    "no answers": _dataset(FRAME.drop("response")),
    "no prompts": _dataset(FRAME.drop("prompt")),
    "numbers": _dataset(FRAME, prompt="a"),
    "two that could hold answers": _dataset(_column(messages="x", response="y")),
    "empty answers": _dataset(changed("response", [""] * 12)),
    "null answers": _dataset(changed("response", pl.Series([None] * 12, dtype=pl.String))),
    "null prompts": _dataset(changed("prompt", pl.Series([None] * 12, dtype=pl.String))),
    "images": _dataset(changed("image", ["x.png"] * 12)),
    "broken JSON": _dataset(_column(messages='[{"role": "user", "content": "x"]')),
    "no dialogue": _dataset(_column(messages="plain text")),
    "a dialogue that ends with a user": _dataset(_column(messages=_talk(("user", "x")))),
    "a dialogue of an answer": _dataset(_column(messages=_talk(("assistant", "x")))),
    "an unknown role": _dataset(_column(messages=_talk(("user", "x"), ("narrator", "y")))),
    "a null content": _dataset(_column(messages=_talk(("user", "x"), ("assistant", None)))),
    "an empty content": _dataset(_column(messages=_talk(("user", "x"), ("assistant", "")))),
    "an image in a content": _dataset(
        _column(
            messages=(
                '[{"role": "user", "content": [{"type": "image", "image": "x"}]},'
                ' {"role": "assistant", "content": "y"}]'
            )
        )
    ),
    "another prompt than the dialogue's": _dataset(
        _column(prompt="z", response=_talk(("user", "x"), ("assistant", "y")))
    ),
    "tools that are none": _dataset(changed("tools", ["a hammer"] * 12)),
    "history that is none": _dataset(_column(instruction="x", output="y", history="z")),
}
CALLS |= {f"Selection.to_dataset: {name}": call for name, call in DATASETS.items()}


def _plot(**more: Any) -> Call:
    return lambda w: w.choose(preferences=3).plot(**more)


def _plot_named(w: World) -> object:
    return w.choose(preferences=copy.deepcopy(NAMED)).plot(preferences=["Kind"])


CALLS |= {
    "Selection.plot: preferences: none": _plot(preferences=[]),
    "Selection.plot: preferences: twice": _plot(preferences=[0, 0]),
    "Selection.plot: preferences: beyond": _plot(preferences=[0, 3]),
    "Selection.plot: preferences: a name": _plot(preferences=["kind"]),
    "Selection.plot: preferences: an unknown name": _plot_named,
    "Selection.plot: width": _plot(width=100),
    "Selection.plot: bins": _plot(bins=1),
    "Selection.plot: points": _plot(points=0),
    "Selection.plot: an unknown option": _plot(colour="red"),
}
