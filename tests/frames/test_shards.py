"""Files of one folder or list get the types that they have in common, or are refused by name."""

import datetime
import json

import numpy as np
import polars as pl
import pytest
from polars.testing import assert_frame_equal

import paretohqd as pq
from paretohqd.frames.reading.opening import open_files
from paretohqd.frames.reading.schemas import common_type
from paretohqd.frames.sources import Source

WRITE = {
    "parquet": pl.DataFrame.write_parquet,
    "arrow": pl.DataFrame.write_ipc,
    "csv": pl.DataFrame.write_csv,
    "jsonl": pl.DataFrame.write_ndjson,
}
ENDINGS = list(WRITE)
WHOLE = pl.DataFrame({"a": [1, 0], "b": [0.0, 1.0]})
PARTS = pl.DataFrame({"a": [0.5, 0.25], "b": [0.5, 0.75]})


def shards(folder, *frames, ending="parquet"):
    for number, frame in enumerate(frames):
        WRITE[ending](frame, folder / f"{number}.{ending}")
    return folder


def rows_of(folder):
    source = Source.of(folder)
    rows = source.collect(source.frame)
    assert rows.schema == source.schema
    return rows


@pytest.mark.parametrize("ending", ENDINGS)
@pytest.mark.parametrize("order", [1, -1])
def test_numbers_widen(tmp_path, ending, order):
    frames = [WHOLE, PARTS, WHOLE][::order] if order == 1 else [PARTS, WHOLE, PARTS]
    shards(tmp_path, *frames, ending=ending)
    together = pl.concat(frame.cast(pl.Float64) for frame in frames)
    assert_frame_equal(rows_of(tmp_path), together)
    assert_frame_equal(
        pq.select(tmp_path, ["a", "b"], 3, k=2), pq.select(together, ["a", "b"], 3, k=2)
    )


@pytest.mark.parametrize("ending", ENDINGS)
def test_columns_that_come_late_null_columns_and_another_order(tmp_path, ending):
    late = PARTS.with_columns(text=pl.lit("x"), empty=pl.lit(None))
    shards(tmp_path, WHOLE, late, PARTS.select("b", "a"), ending=ending)
    rows = rows_of(tmp_path)
    assert rows.columns == ["a", "b", "text", "empty"]
    assert rows["text"].to_list() == [None, None, "x", "x", None, None]
    assert rows["a"].to_list() == [1.0, 0.0, 0.5, 0.25, 0.5, 0.25]
    chosen = pq.select(tmp_path, ["a", "b"], 3, k=2)
    assert chosen.columns[:4] == ["a", "b", "text", "empty"]
    for row in chosen.iter_rows(named=True):
        assert row["text"] == rows["text"][row["row"]]


@pytest.mark.parametrize("ending", ENDINGS)
@pytest.mark.parametrize("order", [1, -1])
def test_a_file_without_a_score_is_refused(tmp_path, ending, order):
    shards(tmp_path, *[PARTS, PARTS.drop("b")][::order], ending=ending)
    lacking, having = (1, 0)[::order]
    message = rf"{lacking}\.{ending}: has no column 'b', which .*{having}\.{ending} has"
    for call in (
        lambda: pq.select(tmp_path, ["a", "b"], 2, k=1, nan="drop"),
        lambda: pq.layers(tmp_path, ["a", "b"]),
        lambda: pq.FirstLayers(["a", "b"], upto=1, nan="drop").add(tmp_path),
    ):
        with pytest.raises(ValueError, match=message):
            call()


@pytest.mark.parametrize("ending", ["parquet", "arrow"])
def test_text_against_numbers_names_both_files(tmp_path, ending):
    texts = PARTS.with_columns(c=pl.lit("x"))
    shards(tmp_path, texts, PARTS.with_columns(c=1), ending=ending)
    with pytest.raises(ValueError, match=r"1\.\w+: column 'c' is Int32, but String in .*0\.\w+: "):
        Source.of(tmp_path)


@pytest.mark.parametrize("ending", ["csv", "jsonl"])
def test_in_files_of_text_numbers_among_words_are_text(tmp_path, ending):
    shards(tmp_path, PARTS.with_columns(c=7), PARTS.with_columns(c=pl.lit("x")), ending=ending)
    assert rows_of(tmp_path)["c"].to_list() == ["7", "7", "x", "x"]
    shards(tmp_path, PARTS.with_columns(c=True), PARTS.with_columns(c=1), ending=ending)
    with pytest.raises(ValueError, match="column 'c' is Int64, but Boolean in"):
        Source.of(tmp_path)


def test_columns_and_files_of_text_without_a_value_have_no_type(tmp_path):
    (tmp_path / "0.csv").write_text("a,b,c\n")
    (tmp_path / "1.csv").write_text("a,b,c\n1,2,\n")
    (tmp_path / "2.csv").write_text("")
    (tmp_path / "3.csv").write_text("a,b,c\n1.5,2,3\n")
    rows = rows_of(tmp_path)
    assert rows.schema == {"a": pl.Float64, "b": pl.Int64, "c": pl.Int64}
    assert rows.rows() == [(1.0, 2, None), (1.5, 2, 3)]
    assert Source.of(tmp_path).place(1) == f"row 1: row 0 of {tmp_path / '3.csv'}"


def test_missing_marks_in_one_of_the_files(tmp_path):
    (tmp_path / "0.csv").write_text("a,b\n1.5,0\n0,1\n")
    (tmp_path / "1.csv").write_text("a,b\n.5,0.6\nNA,.4\n")
    with pytest.raises(ValueError, match=r"'a' holds 1 null .*row 3: row 1 of .*1\.csv: 'NA'\)"):
        pq.select(tmp_path, ["a", "b"], 2, k=1)
    assert pq.select(tmp_path, ["a", "b"], 2, k=1, nan="drop")["row"].to_list() == [0, 1]


def test_lines_that_need_care_beside_others(tmp_path):
    (tmp_path / "0.jsonl").write_text('{"a": 1, "b": 2}\n')
    (tmp_path / "1.jsonl").write_text('{"a": NaN, "b": 2.5, "t": "cut \\ud83d"}\n')
    (tmp_path / "2.jsonl").write_text(json.dumps([{"b": 1, "t": {"x": 1}}]))
    rows = rows_of(tmp_path)
    assert repr(rows.rows()) == repr(
        [(1.0, 2.0, None), (float("nan"), 2.5, "cut \ufffd"), (None, 1.0, '{"x": 1}')]
    )


def test_files_of_several_kinds_by_name(tmp_path):
    files = [tmp_path / f"x.{ending}" for ending in ENDINGS]
    for ending, file in zip(ENDINGS, files, strict=True):
        WRITE[ending](WHOLE if ending == "csv" else PARTS.with_columns(c=pl.lit(ending)), file)
    rows = rows_of(files)
    assert rows["c"].to_list() == [
        None if ending == "csv" else ending for ending in ENDINGS for _ in range(2)
    ]
    assert rows["a"].to_list()[4:6] == [1.0, 0.0]
    with pytest.raises(ValueError, match="files of different kinds"):
        Source.of(tmp_path)


def test_integers_that_floats_cannot_hold_are_refused(tmp_path):
    shards(tmp_path, PARTS.with_columns(c=pl.lit(2**53 + 1)), PARTS.with_columns(c=0.5))
    with pytest.raises(ValueError, match=r"0\.parquet: column 'c' holds integers beyond 2\*\*53"):
        Source.of(tmp_path)


MOMENT = datetime.datetime(2026, 1, 2)


@pytest.mark.parametrize(
    ("one", "other", "common"),
    [
        (pl.Int8(), pl.UInt8(), pl.Int16()),
        (pl.UInt64(), pl.Int64(), pl.Int128()),
        (pl.Int16(), pl.Float32(), pl.Float32()),
        (pl.Int32(), pl.Float32(), pl.Float64()),
        (pl.Float32(), pl.Float64(), pl.Float64()),
        (pl.Decimal(10, 2), pl.Decimal(12, 4), pl.Decimal(38, 4)),
        (pl.Decimal(10, 2), pl.Float64(), pl.Float64()),
        (pl.Categorical(), pl.String(), pl.String()),
        (pl.Enum(["x"]), pl.Enum(["y"]), pl.String()),
        (pl.Datetime("ms"), pl.Datetime("ns"), pl.Datetime("ns")),
        (pl.Datetime("ms"), pl.Datetime("ms", "UTC"), None),
        (pl.Date(), pl.Datetime("us"), pl.Datetime("us")),
        (pl.List(pl.Int8), pl.List(pl.Float64), pl.List(pl.Float64)),
        (pl.List(pl.Null), pl.Array(pl.Int8, 2), pl.List(pl.Int8)),
        (pl.Array(pl.Int8, 2), pl.Array(pl.Int16, 2), pl.Array(pl.Int16, 2)),
        (pl.Struct({"x": pl.Int8}), pl.Struct({"y": pl.String}), {"x": pl.Int8, "y": pl.String}),
        (pl.Boolean(), pl.Int8(), None),
        (pl.Binary(), pl.String(), None),
        (pl.List(pl.String), pl.List(pl.Int8), None),
        (pl.Null(), pl.Duration("ms"), pl.Duration("ms")),
    ],
)
def test_common_types(tmp_path, one, other, common):
    common = pl.Struct(common) if isinstance(common, dict) else common
    assert common_type(one, other) == common
    assert (
        common is None or set(common_type(other, one)) == set(common)
        if (isinstance(common, pl.Struct))
        else common_type(other, one) == common
    )
    if common is None:
        return
    frames = [PARTS.with_columns(pl.Series("c", [None, None], dtype=t)) for t in (one, other)]
    assert rows_of(shards(tmp_path, *frames)).schema["c"] == common


def test_values_within_structs_keep_their_names(tmp_path):
    frames = [
        PARTS.with_columns(c=pl.Series([{"x": 1}, None])),
        PARTS.with_columns(c=pl.Series([{"y": "t", "x": 1.5}, {"y": None, "x": 2.5}])),
    ]
    assert rows_of(shards(tmp_path, *frames))["c"].to_list() == [
        {"x": 1.0, "y": None},
        None,
        {"x": 1.5, "y": "t"},
        {"x": 2.5, "y": None},
    ]


@pytest.mark.parametrize("ending", ENDINGS)
def test_folders_whose_names_say_something_have_common_types_too(tmp_path, ending):
    folder = tmp_path / "run=1" / "scores"
    for week, frame in (("1", WHOLE), ("2", PARTS), ("__HIVE_DEFAULT_PARTITION__", PARTS)):
        (folder / f"week={week}" / "by=x%2Fy").mkdir(parents=True)
        WRITE[ending](frame, folder / f"week={week}" / "by=x%2Fy" / f"x.{ending}")
    rows = rows_of(folder)
    assert rows.columns == ["a", "b", "week", "by"]
    assert rows["week"].to_list() == [1, 1, 2, 2, None, None]
    assert rows["by"].to_list() == ["x/y"] * 6
    assert rows["a"].to_list() == [1.0, 0.0, 0.5, 0.25, 0.5, 0.25]
    assert_frame_equal(Source.of(folder).take(np.array([0, 3])), rows[[0, 3]])


def test_files_with_equal_columns_are_compared_at_once(tmp_path, monkeypatch):
    """One query compares many files; each by itself is opened only where they differ."""
    looked_at = []
    whole = pl.scan_parquet

    def scan(files, **options):
        looked_at.append(len(files) if isinstance(files, list) else 1)
        return whole(files, **options)

    monkeypatch.setattr(pl, "scan_parquet", scan)
    shards(tmp_path, *[PARTS] * 40)
    source = Source.of(tmp_path)
    assert source.place(79) == f"row 79: row 1 of {tmp_path / '9.parquet'}"
    assert len(looked_at) <= 4
    assert looked_at.count(1) <= 1
    WHOLE.write_parquet(tmp_path / "9.parquet")
    assert open_files([str(tmp_path)]).schema["a"] == pl.Float64


@pytest.mark.parametrize("again", [["a.csv", "a.csv"], [".", "a.csv"], ["a.csv", "./a.csv"]])
def test_a_file_that_is_named_twice_is_refused(tmp_path, monkeypatch, again):
    monkeypatch.chdir(tmp_path)
    for name in ("a.csv", "b.csv"):
        (tmp_path / name).write_text("a,b\n1,0\n0,1\n")
    with pytest.raises(ValueError, match=r"a\.csv: is named twice"):
        pq.select(again, ["a", "b"], 2, k=1)


@pytest.mark.parametrize("values", [["", "true"], ["7", "12345678901234567890123"], ["1", "x"]])
def test_types_of_text_do_not_depend_on_the_order_of_files(tmp_path, values):
    types_and_values = []
    for attempt, order in enumerate((values, values[::-1])):
        folder = tmp_path / str(attempt)
        folder.mkdir()
        for number, value in enumerate(order):
            (folder / f"{number}.csv").write_text(f"a,b,m\n1,0,{value}\n0,1,{value}\n")
        chosen = pq.select(str(folder), ["a", "b"], [[1, 0]], k=2)
        types_and_values.append((chosen.schema["m"], sorted(map(str, chosen["m"]))))
    assert types_and_values[0] == types_and_values[1]
