"""Tables of other libraries: bad ones, and results of good ones. The libraries load when called."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import paretohqd as pq
from helpers.drawn_rows import names, rows
from helpers.world import Call, World

SCORES = {"a": [4.0, 0.5, 1.0], "b": [0.0, 3.0, 1.0]}


def _pandas(data: Any, /, **more: Any) -> Any:
    import pandas as pd

    return pd.DataFrame(data, **more)


def _series() -> Any:
    import pandas as pd

    return pd.Series([1, 2])


def _arrow(**columns: Any) -> Any:
    import pyarrow as pa

    return pa.table({**SCORES, **columns})


def _same_names() -> Any:
    import pyarrow as pa

    return pa.table([pa.array([1]), pa.array([2])], names=["a", "a"])


def _splits() -> Any:
    from datasets import Dataset, DatasetDict

    return DatasetDict(train=Dataset.from_dict(SCORES))


REFUSED: dict[str, Callable[[], Any]] = {
    "pandas: a column of mixed types": lambda: _pandas({**SCORES, "m": ["x", 3, None]}),
    "pandas: a column of objects": lambda: _pandas({**SCORES, "m": [{"x": 1}, "y", [1]]}),
    "pandas: complex numbers": lambda: _pandas({**SCORES, "m": [1j, 2j, 3j]}),
    "pandas: a column twice": lambda: _pandas([[1, 2]], columns=["a", "a"]),
    "pandas: a number and its text": lambda: _pandas([[1, 2]], columns=[1, "1"]),
    "pandas: a series": _series,
    "pandas: nan": lambda: _pandas({**SCORES, "b": [0.0, None, 1.0]}),
    "pandas: text": lambda: _pandas({**SCORES, "b": ["x", "y", "z"]}),
    "pandas: no such column": lambda: _pandas({"a": SCORES["a"]}),
    "pandas: in a mapping": lambda: {"x": _pandas(SCORES)},
    "Arrow: a column twice": _same_names,
    "Arrow: a null": lambda: _arrow(b=[0.0, None, 1.0]),
    "Arrow: text": lambda: _arrow(b=["x", "y", "z"]),
    "datasets: splits": _splits,
}


def _refused(make: Callable[[], Any], w: World) -> Any:
    return pq.choose(make(), ["a", "b"], 2, k=1, n_threads=w.threads)


CALLS: dict[str, Call] = {
    f"choose: table: {name}": partial(_refused, make) for name, make in REFUSED.items()
}


def _dataset(frame: Any) -> Any:
    from datasets import Dataset

    return Dataset.from_dict(frame.to_dict(as_series=False))


FORMS: dict[str, Callable[[Any], Any]] = {
    "pandas": lambda frame: frame.to_pandas(),
    "Arrow": lambda frame: frame.to_arrow(),
    "datasets": _dataset,
    "records": lambda frame: frame.to_dicts(),
}


def _results(make: Callable[[Any], Any], kind: str, w: World) -> Any:
    more: dict[str, Any] = {"n_threads": w.threads}
    return [
        pq.choose(make(rows(kind, 200)), names(2), 5, k=6, **more),
        pq.choose(make(rows(kind, 200)), names(2), 5, k=6, by="source", **more),
        pq.choose(make(rows(kind, 200)), names(2), 5, k=6, duplicates="drop", **more),
        pq.layers(make(rows(kind, 200)), {"s0": "min", "s1": "max"}, upto=3, **more),
        pq.FirstLayers(names(2), upto=2).add(make(rows(kind, 200))).frame,
    ]


RESULTS: dict[str, Call] = {
    f"tables: {name}: {kind}": partial(_results, make, kind)
    for name, make in FORMS.items()
    for kind in ("uniform", "ties")
}
