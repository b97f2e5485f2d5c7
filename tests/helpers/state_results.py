"""Results of rows that are added in parts; data sets and pictures of selections."""

from __future__ import annotations

import copy
import json
import pickle
from functools import partial
from typing import Any

import polars as pl

import paretohqd as pq
from helpers.drawn_rows import KINDS, names, rows, with_gaps
from helpers.world import Call, World


def _parts(frame: pl.DataFrame, size: int) -> list[pl.DataFrame]:
    return [frame[start : start + size] for start in range(0, len(frame), size)]


def _told(state: pq.FirstLayers) -> list[Any]:
    """What a state has to say."""
    return [state.frame, state.layer_sizes(), state.rows, state.enough(), repr(state)]


def _added(frame: pl.DataFrame, size: int, stop: dict[str, Any], w: World) -> Any:
    """A state of parts, saved, loaded and gone on with; and what is chosen from it."""
    ways: Any = dict.fromkeys(names(2), "max") | stop.get("ways", {})
    options = {key: value for key, value in stop.items() if key != "ways"}
    state = pq.FirstLayers(ways, n_threads=w.threads, **options)
    first, *others = _parts(frame, size)
    state.add(first)
    path = w.folder / "state.parquet"
    state.save(path)
    other = pq.FirstLayers.load(path, n_threads=w.threads)
    for part in others:
        state.add(part)
        other.add(part.lazy())
    chosen = [
        pq.choose_from(each, 5, k=4, n_threads=w.threads, **more)
        for each in (state, copy.copy(other), pickle.loads(pickle.dumps(state)))
        for more in (
            {},
            {"bounds": "all"},
            {"directions": "tchebycheff", "scale": "none"},
            {"duplicates": "drop"},
            {"distinct": "prompt"},
        )
    ]
    return [_told(state), _told(other), chosen]


def _saved(w: World) -> Any:
    """The file of a state: what it says of itself, and its rows."""
    path = w.folder / "state.parquet"
    ways: Any = {"s0": "max", "s1": "min"}
    state = pq.FirstLayers(ways, at_least=40, nan="drop", n_threads=w.threads)
    state.add(with_gaps(rows("ties", 300))).save(path)
    said = pl.read_parquet_metadata(path)
    return [
        json.loads(said["paretohqd.first_layers"]),
        sorted(said.keys() - {"ARROW:schema"}),
        pl.read_parquet(path),
    ]


STOPS: dict[str, dict[str, Any]] = {
    "upto=3": {"upto": 3},
    "at_least=40": {"at_least": 40},
    "at_least=40, minimised": {"at_least": 40, "ways": {"s1": "min"}},
}
RESULTS: dict[str, Call] = {
    f"FirstLayers: {kind}, parts of {size}: {name}": partial(_added, rows(kind, 600), size, stop)
    for kind in KINDS
    for size in ((37, 200) if kind == "uniform" else (90,))
    for name, stop in STOPS.items()
}
RESULTS["FirstLayers: a saved file"] = _saved
RESULTS["FirstLayers: gaps dropped"] = partial(
    _added, with_gaps(rows("uniform", 600)), 50, {"at_least": 40, "nan": "drop"}
)


# ── why a row was chosen or not ──────────────────────────────────────────────────────────────────


def _why(kind: str, given: dict[str, Any], w: World) -> Any:
    options = {"k": 12, "n_threads": w.threads, **given}
    once = rows(kind, 250)
    frame = pl.concat([once, once[:50]])
    chosen = pq.choose(frame, {"s0": "max", "s1": "min"}, 5, **options)
    several = [chosen.why(row) for row in (0, 150, 299, *chosen[2]["row"][:3])]
    return [[repr(each), each.dominated_by, each.table] for each in several]


WHY: dict[str, dict[str, Any]] = {
    "plain": {},
    "distinct": {"distinct": "prompt"},
    "no duplicates": {"duplicates": "drop"},
    "bounds of all": {"bounds": "all", "scale": "none"},
    "by": {"by": "source"},
    "achievement": {"rank": "achievement"},
    "sum, distinct, no duplicates": {"rank": "sum", "distinct": "prompt", "duplicates": "drop"},
    "ideal, by": {"rank": "ideal", "by": "source"},
}
RESULTS |= {
    f"Selection.why: {kind}: {name}": partial(_why, kind, given)
    for kind in KINDS
    for name, given in WHY.items()
}


# ── data sets and pictures ────────────────────────────────────────────────────────────────────────

TALK = [
    {"role": "system", "content": "Be brief."},
    {"role": "user", "content": "Tea?"},
    {"role": "assistant", "content": "Yes."},
]
TABLES: dict[str, dict[str, Any]] = {
    "prompts and responses": {"prompt": "Tea?", "response": "Yes."},
    "an instruction with an input": {"instruction": "Add.", "input": "1 + 1", "output": "2"},
    "a question with a context": {"question": "Why?", "context": "Because.", "answer": "So."},
    "a system message": {"system": "Be brief.", "prompt": "Tea?", "completion": "Yes."},
    "messages": {"messages": TALK},
    "messages as JSON": {"messages": json.dumps(TALK)},
    "messages as Python": {"conversation": str(TALK)},
    "ShareGPT": {
        "conversations": [{"from": "human", "value": "Tea?"}, {"from": "gpt", "value": "Yes."}]
    },
    "hh-rlhf": {"chosen": "\n\nHuman: Tea?\n\nAssistant: Yes."},
    "tools": {"prompt": "Tea?", "response": "Yes.", "tools": '[{"name": "kettle"}]'},
    "history": {"instruction": "And?", "output": "No.", "history": [["Tea?", "Yes."]]},
    "parts of text": {
        "messages": [
            {"role": "user", "content": [{"type": "text", "text": "Tea?"}]},
            {"role": "assistant", "content": [{"type": "text", "text": "Yes."}]},
        ]
    },
}


def _dataset(columns: dict[str, Any], w: World) -> Any:
    scores = rows("uniform", 12).select(names(2))
    frame = scores.with_columns(pl.Series(n, [v] * 12) for n, v in columns.items())
    chosen = pq.choose(frame, names(2), {"kind": [0.2, 0.8], "brief": [0.8, 0.2]}, k=2)
    datasets = [chosen.to_dataset(), chosen.to_dataset("brief"), chosen.to_dataset(0)]
    return [[each.column_names, each.to_list()] for each in datasets]


RESULTS |= {
    f"Selection.to_dataset: {name}": partial(_dataset, given) for name, given in TABLES.items()
}


def _plot(kind: str, m: int, given: dict[str, Any], options: dict[str, Any], w: World) -> Any:
    chosen = pq.choose(rows(kind, 300, m), names(m), k=6, n_threads=w.threads, **given)
    return json.loads(json.dumps(chosen.plot(**options).to_dict(), default=str))


PLOTS: dict[str, tuple[int, dict[str, Any], dict[str, Any]]] = {
    "plain": (2, {}, {}),
    "three objectives": (3, {}, {}),
    "four objectives": (4, {}, {"preferences": [0, 2], "bins": 20}),
    "named preferences": (2, {"preferences": {"kind": [0.3, 0.7]}}, {"width": 600}),
    "groups": (2, {"by": "source"}, {"points": 50}),
}
RESULTS |= {
    f"Selection.plot: {kind}: {name}": partial(_plot, kind, *given)
    for kind in ("uniform", "ties")
    for name, given in PLOTS.items()
    if kind == "uniform" or given[0] == 2
}
