"""Results of everything public, beside the hashes recorded of them (`helpers.recorded_results`)."""

import json

import numpy as np
import polars as pl
import pytest

from helpers import array_results
from helpers.digests import digest
from helpers.recorded_results import RECORD, RESULTS, hashes

DEAR = ("Selection.", "command: ")
"""Beginnings of the names of calls that are made once, not with several numbers of threads."""
THREADED = {name: call for name, call in RESULTS.items() if not name.startswith(DEAR)}


@pytest.fixture(scope="module")
def recorded():
    return json.loads(RECORD.read_text(encoding="utf-8"))


def test_all_calls_and_no_others_are_recorded(recorded):
    assert set(recorded) == set(RESULTS)


def test_results(recorded):
    assert differing(hashes(RESULTS), recorded) == []


@pytest.mark.parametrize(("threads", "calls"), [(1, array_results.RESULTS), (3, THREADED)])
def test_results_with_some_threads(recorded, threads, calls):
    assert differing(hashes(calls, threads), recorded) == []


def differing(result, recorded):
    """The names of the results that are not those recorded."""
    return [name for name, each in result.items() if each != recorded.get(name)]


FRAME = pl.DataFrame({"a": [1.0, None], "b": [["x"], []], "c": [{"d": 1}, None]})


@pytest.mark.parametrize(
    "other",
    [
        FRAME.rename({"a": "z"}),
        FRAME.select("b", "a", "c"),
        FRAME.reverse(),
        FRAME.with_columns(pl.col("a").fill_null(0.0)),
        FRAME.with_columns(pl.col("a").cast(pl.Float32)),
        FRAME.with_columns(a=pl.Series([np.nextafter(1.0, 2.0), None])),
        FRAME.with_columns(b=pl.Series([[], ["x"]])),
        FRAME.with_columns(c=pl.Series([{"d": 2}, None])),
        FRAME.lazy(),
    ],
)
def test_a_hash_tells_frames_apart(other):
    assert digest(FRAME) == digest(FRAME.clone())
    assert digest(other) != digest(FRAME)


def test_a_hash_tells_values_apart():
    values = [
        0,
        0.0,
        -0.0,
        "0",
        b"0",
        None,
        False,
        [],
        [0],
        [[0]],
        {},
        {"a": 0},
        {"b": 0},
        np.zeros(1),
        np.zeros(1, np.float32),
        np.zeros((1, 1)),
        np.zeros(2),
        ["a", "b"],
        ["ab"],
    ]
    assert len({digest(value) for value in values}) == len(values)


def test_what_has_no_canonical_bytes_is_refused():
    with pytest.raises(TypeError, match="no canonical bytes of object"):
        digest([object()])
    with pytest.raises(TypeError, match="no canonical bytes of ndarray"):
        digest(np.array([object()]))
