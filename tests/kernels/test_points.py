import re
import subprocess
import sys
from decimal import Decimal
from importlib.util import find_spec

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from paretohqd.kernels.layers import pareto_layers
from paretohqd.kernels.points import Objectives

ROWS = [[3.0, 1.0], [1.0, 3.0], [2.0, 0.5], [0.0, 0.0]]
LAYERS = [0, 0, 1, 2]


def carriers():
    """The same four points in every type that may hold them, tensors where there is torch."""
    array = np.array(ROWS)
    wide = np.zeros((8, 6))
    wide[::2, 1:6:3] = array
    frame = pl.DataFrame({"a": array[:, 0], "b": array[:, 1]})
    chunked = pl.concat([frame[:1], frame[1:]], rechunk=False)
    yield "rows", ROWS
    yield "tuple of tuples", tuple(map(tuple, ROWS))
    yield "C order", array
    yield "Fortran order", np.asfortranarray(array)
    yield "strided", wide[::2, 1:6:3]
    yield "reversed", array[::-1, ::-1][::-1, ::-1]
    yield "big endian", array.astype(">f8")
    yield "float32", array.astype(np.float32)
    yield "float16", array.astype(np.float16)
    for dtype in ("i1", "i2", "i4", "i8", "u1", "u2", "u4", "u8", ">i4"):
        yield dtype, (array * 2).astype(dtype)
    yield "read only", np.frombuffer(array.tobytes()).reshape(4, 2)
    yield "object", array.astype(object)
    yield "masked", np.ma.MaskedArray(array)
    yield "record", np.array([tuple(r) for r in ROWS], dtype=[("a", "f8"), ("b", "f4")])
    yield "columns", [array[:, 0], array[:, 1].astype(np.float32)]
    yield "series", (frame["a"], frame["b"])
    yield "mapping", {"a": ROWS and [r[0] for r in ROWS], "b": array[:, 1]}
    yield "polars", frame
    yield "polars chunked", chunked
    yield "polars sliced", pl.concat([frame, frame])[4:]
    yield (
        "polars mixed",
        frame.with_columns(pl.col("a").cast(pl.Int8), pl.col("b").cast(pl.Float32)),
    )
    yield "polars decimal", frame.with_columns(pl.col("b").cast(pl.Decimal(10, 2)))
    yield "polars array", pl.Series("scores", array.tolist(), dtype=pl.Array(pl.Float64, 2))
    yield "polars array column", pl.DataFrame({"s": pl.Series(ROWS, dtype=pl.Array(pl.Float32, 2))})
    yield "arrow table", frame.to_arrow()
    yield "arrow batch", frame.to_arrow().to_batches()[0]
    yield "arrow columns", [pa.array(array[:, 0]), pa.chunked_array([array[:2, 1], array[2:, 1]])]
    yield "pandas", pd.DataFrame({"a": array[:, 0], "b": array[:, 1]})
    yield "pandas nullable", pd.DataFrame(array * 2).astype("Int64")
    yield "pandas columns", [pd.Series(array[:, 0]), pd.Series(array[:, 1])]
    if not find_spec("torch"):
        return
    import torch

    yield "torch", torch.tensor(ROWS)
    yield "torch transposed", torch.tensor(ROWS).T.contiguous().T
    yield "torch bfloat16", torch.tensor(ROWS, dtype=torch.bfloat16)
    yield "torch gradient", torch.tensor(ROWS, requires_grad=True)
    yield "torch columns", list(torch.tensor(ROWS).T)


CARRIERS = dict(carriers())


@pytest.mark.parametrize("points", CARRIERS.values(), ids=CARRIERS)
def test_points_in_anything(points):
    assert pareto_layers(points).tolist() == LAYERS
    objectives = Objectives.of(points)
    assert (objectives.n, objectives.m) == (4, 2)
    for column in objectives.columns:
        assert column.flags.aligned
        assert column.dtype in (np.float32, np.float64)
        assert column.dtype.isnative


def test_polars_floats_are_not_copied():
    frame = pl.DataFrame({"a": [1.0, 2.0], "b": pl.Series([1.0, 2.0], dtype=pl.Float32)})
    columns = Objectives.of(frame).columns
    assert columns[1].dtype == np.float32
    for name, column in zip("ab", columns, strict=True):
        assert np.shares_memory(column, frame[name].to_numpy())


def test_rows_are_not_copied():
    for dtype in (np.float64, np.float32):
        table = np.array(ROWS, dtype=dtype)
        views = [table, np.asfortranarray(table), table[1:], table[::2], table[:, ::-1]]
        views.append(np.array([ROWS, ROWS], dtype=dtype)[1])
        views.append(np.frombuffer(table.tobytes(), dtype=dtype).reshape(4, 2))
        for points in views:
            for column in Objectives.of(points).columns:
                assert np.shares_memory(column, points)
            expected = pareto_layers([list(row) for row in points.tolist()])
            np.testing.assert_array_equal(pareto_layers(points), expected)


def test_views_of_other_memory_are_copied():
    packed = np.zeros(4, dtype=[("skip", "i1"), ("a", "f8"), ("b", "f8")])
    packed["a"], packed["b"] = np.transpose(ROWS)
    wide = np.zeros((4, 6))
    wide[:, ::3] = ROWS
    backwards = np.array(ROWS)[::-1]
    shifted = np.ndarray((4, 2), buffer=bytearray(b"...." + np.array(ROWS).tobytes()), offset=4)
    for points in (packed, wide[:, ::3], backwards[::-1], shifted, np.broadcast_to(3.0, (4, 2))):
        objectives = Objectives.of(points)
        assert pareto_layers(points).tolist() in (LAYERS, [0] * 4)
        assert all(column.flags.aligned for column in objectives.columns)
    assert pareto_layers(backwards).tolist() == LAYERS[::-1]


def test_names():
    assert Objectives.of(CARRIERS["polars"]).names == ("a", "b")
    assert Objectives.of(CARRIERS["C order"]).names == (0, 1)
    assert Objectives.of(CARRIERS["polars array"]).names == ("scores[0]", "scores[1]")
    assert Objectives.of(CARRIERS["record"]).names == ("a", "b")


def test_one_column():
    for points in ([[3], [1], [3]], [np.array([3, 1, 3])], pl.Series("s", [3, 1, 3])):
        assert pareto_layers(points).tolist() == [0, 1, 0]


def test_negative_zero_equals_zero():
    assert pareto_layers([[-0.0, 1.0], [0.0, 1.0]]).tolist() == [0, 0]
    assert pareto_layers([[-0.0, 1.0], [0.0, 1.0]], maximize=False).tolist() == [0, 0]
    assert pareto_layers(np.array([[-0.0], [0.0]], dtype=np.float32)).tolist() == [0, 0]


@given(st.lists(st.integers(-(2**53), 2**53), min_size=1, max_size=20))
def test_integers_keep_their_order(values):
    expected = np.unique([-v for v in values], return_inverse=True)[1]
    assert pareto_layers(np.array(values).reshape(-1, 1)).tolist() == expected.tolist()
    assert pareto_layers(pl.Series(values, dtype=pl.Int64)).tolist() == expected.tolist()


@pytest.mark.parametrize("maximize", [[True, False], (False, True), np.array([True, False])])
def test_directions(maximize):
    objectives = Objectives.of(ROWS, maximize=maximize)
    assert objectives.maximize == tuple(maximize)
    np.testing.assert_array_equal(
        np.transpose(objectives.columns), np.where(maximize, ROWS, np.negative(ROWS))
    )
    for one in (True, False):
        assert Objectives.of(ROWS, maximize=one).maximize == (one, one)


def test_the_input_is_never_written_to():
    points = np.array(ROWS)
    for maximize in (True, False, [True, False]):
        pareto_layers(points, maximize=maximize)
    np.testing.assert_array_equal(points, ROWS)


@pytest.mark.parametrize(
    ("points", "message"),
    [
        (
            [[1, 2], [np.nan, 1], [np.nan, 2]],
            "column 0 holds 2 NaN (first at row 1), which",
        ),
        (
            pl.DataFrame({"help": [1.0, None, np.nan]}),
            "'help' holds 1 null and 1 NaN (first at",
        ),
        (pl.DataFrame({"h": [1, None, None]}), "column 'h' holds 2 nulls (first at row 1)"),
        (pl.DataFrame({"h": [None, None]}), "column 'h' holds 2 nulls (first at row 0)"),
        (pl.Series("s", [[1, 2], None], dtype=pl.Array(pl.Int8, 2)), "'s[0]' holds 1 null"),
        (pa.table({"h": [1.0, None]}), "column 'h' holds 1 null (first at row 1)"),
        (pd.DataFrame({"h": [1.0, np.nan]}), "column 'h' holds 1 NaN (first at row 1)"),
        (pd.DataFrame({"h": pd.array([1, None], dtype="Int64")}), "column 'h' holds 1 null"),
        ([[1, 2], [None, 3]], "column 0 holds 1 null (first at row 1)"),
        (
            np.ma.MaskedArray([[1.0], [2.0]], mask=[[0], [1]]),
            "column 0 holds 1 null (first at row 1)",
        ),
        (pl.DataFrame({"h": [True, False]}), "column 'h' has dtype Boolean, which is no score"),
        (pl.DataFrame({"h": ["a", "b"]}), "column 'h' has dtype String"),
        (pl.DataFrame({"h": [[1], [2]]}), "column 'h' has dtype List(Int64)"),
        (pd.DataFrame({"h": ["a", "b"]}), "column 'h' has dtype"),
        (np.array([[True, False]]), "column 0 has dtype bool"),
        (np.array([[1j]]), "column 0 has dtype complex128"),
        (np.zeros((2, 2), dtype=np.longdouble), "column 0 has dtype"),
        (np.array([["1", "2"]]), "column 0 has dtype <U1"),
        (np.array([[2**53, 2**53 + 1]]).T, "holds 1 integers beyond 2**53 (first at row 1)"),
        (np.array([[2**64 - 1]], dtype=np.uint64), "holds 1 integers beyond 2**53"),
        (pl.DataFrame({"h": [-(2**53) - 1, 0]}), "column 'h' holds 1 integers beyond 2**53"),
        (pl.DataFrame({"h": [None, 2**60]}), "column 'h' holds 1 integers beyond 2**53"),
        ([np.zeros(2), np.zeros(3)], "column 1 has 3 rows but column 0 has 2"),
        ({"a": [1.0], "b": [1.0, 2.0]}, "column 'b' has 2 rows but column 'a' has 1"),
        ([np.zeros((2, 2)), np.zeros((2, 2))], "points have shape (2, 2, 2)"),
        (np.zeros(3), "pass points.reshape(-1, 1)"),
        ([1, 2, 3], "pass points.reshape(-1, 1)"),
        (np.zeros((2, 0)), "points have no objective"),
        (pl.DataFrame(), "points have no objective"),
        ([], "points have shape (0,)"),
        ([[1, 2], [3]], "are no table of numbers"),
        (7, "points have shape ()"),
        ("scores", "points have shape ()"),
        (pl.LazyFrame({"a": [1]}), "collect it first"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_errors(points, message):
    with pytest.raises(ValueError, match=re.escape(message)):
        pareto_layers(points)


@pytest.mark.parametrize(
    ("maximize", "message"),
    [
        ([True], "maximize has length 1 but there are 2 objectives"),
        ([True, False, True], "maximize has length 3"),
        ("max", "maximize must be a bool"),
        (["max", "min"], "maximize must hold bools, got 'max'"),
        ([1, 0], "maximize must hold bools, got 1"),
        (1, "maximize must be a bool"),
        (None, "maximize must be a bool"),
    ],
)
def test_bad_directions(maximize, message):
    with pytest.raises(ValueError, match=message):
        pareto_layers(ROWS, maximize=maximize)


def test_dropped_rows_are_recorded():
    frame = pl.DataFrame({"a": [1.0, None, 3.0, 4.0], "b": [1.0, 2.0, np.nan, 4.0]})
    objectives = Objectives.of(frame, nan="drop")
    np.testing.assert_array_equal(objectives.kept, [0, 3])
    np.testing.assert_array_equal(objectives.columns, [[1, 4], [1, 4]])
    assert Objectives.of(frame[:1], nan="drop").kept is None
    with pytest.raises(ValueError, match="nan must be 'raise' or 'drop', got 'skip'"):
        Objectives.of(frame, nan="skip")


def test_infinities_of_kept_rows_are_named_by_input_row():
    frame = pl.DataFrame({"a": [None, 1.0, np.inf]})
    with pytest.raises(ValueError, match=r"1 infinite values \(first at row 2\), but a mean needs"):
        Objectives.of(frame, nan="drop").require_finite("a mean")


def test_decimals_are_read_as_doubles():
    frame = pl.DataFrame({"a": [Decimal("0.10"), Decimal("0.30")]})
    np.testing.assert_array_equal(Objectives.of(frame).columns[0], [0.1, 0.3])


def test_conversion_imports_nothing_heavy():
    code = (
        "import sys, numpy as np\n"
        "from paretohqd.kernels.layers import pareto_layers\n"
        "pareto_layers(np.ones((3, 2)))\n"
        "assert not {'torch', 'pandas', 'pyarrow'} & set(sys.modules)\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
