"""JSON lines as Python, pandas and judges write them: read as meant, or refused by line."""

import gzip
import json
import math

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st
from polars.testing import assert_frame_equal

import paretohqd as pq
from paretohqd.frames.reading import json_files
from paretohqd.frames.sources import read_frame

ROWS = [{"a": 1.0, "b": 0.0}, {"a": 0.0, "b": 1.0}, {"a": 0.75, "b": 0.75}]


def lines_of(*rows):
    return "".join(json.dumps(row) + "\n" for row in rows).encode()


def written(tmp_path, content, name="x.jsonl"):
    path = tmp_path / name
    path.write_bytes(content)
    return path


def test_nan_and_infinity(tmp_path):
    more = [{"a": math.nan, "b": 1.0}, {"a": 1.0, "b": -math.inf}, {"a": None, "b": 2}, {"b": 3}]
    path = written(tmp_path, lines_of(*ROWS, *more))
    frame = read_frame(path)
    assert repr(frame["a"].to_list()) == "[1.0, 0.0, 0.75, nan, 1.0, None, None]"
    assert frame["b"].to_list() == [0.0, 1.0, 0.75, 1.0, -math.inf, 2.0, 3.0]
    path = written(tmp_path, lines_of(*ROWS, more[0]))
    with pytest.raises(ValueError, match=r"column 'a' holds 1 NaN \(first at row 3\)"):
        pq.select(path, ["a", "b"], 2, k=1)
    assert pq.select(path, ["a", "b"], 2, k=1, nan="drop")["row"].to_list() == [0, 1]


def test_what_lies_within_lists_and_objects(tmp_path):
    row = {"t": {"x": math.nan, "y": [{"z": "cut \ud83d"}, {"w": -math.inf}]}, "n": [1, 2.5, None]}
    rows = read_frame(written(tmp_path, lines_of(row))).to_dicts()
    assert repr(rows) == repr(
        [
            {
                "t": {
                    "x": math.nan,
                    "y": [{"z": "cut \ufffd", "w": None}, {"z": None, "w": -math.inf}],
                },
                "n": [1.0, 2.5, None],
            }
        ]
    )


@pytest.mark.parametrize(
    ("escaped", "text"),
    [
        (r"cut \ud83d", "cut \ufffd"),
        (r"cut \uD83D and more", "cut \ufffd and more"),
        (r"low \ude00 first", "low \ufffd first"),
        (r"\ud83d\ud83d\ude00", "\ufffd\U0001f600"),
        (r"\ud83d\u0041", "\ufffdA"),
        (r"\\ud83d", r"\ud83d"),
        (r"\\\ud83d", "\\\ufffd"),
        (r"\ud83d\ude00", "\U0001f600"),
    ],
)
@pytest.mark.parametrize("pack", [bytes, gzip.compress])
def test_halves_of_emojis(tmp_path, escaped, text, pack):
    content = lines_of(ROWS[0]) + f'{{"a": 2, "b": 3, "text": "{escaped}"}}\n'.encode()
    frame = read_frame(written(tmp_path, pack(content)))
    assert frame.rows() == [(1.0, 0.0, None), (2.0, 3.0, text)]


@given(st.lists(st.text(st.characters(codec=None), max_size=5), min_size=1))
def test_texts_are_read_as_python_reads_them(tmp_path_factory, texts):
    path = written(tmp_path_factory.mktemp("texts"), lines_of(*({"t": text} for text in texts)))
    mended = [text.encode("utf-16", "surrogatepass").decode("utf-16", "replace") for text in texts]
    assert read_frame(path)["t"].to_list() == mended


def test_lines_are_read_with_care_where_they_need_it(tmp_path, monkeypatch):
    """What Polars reads and what Python reads of one file are the same rows, in order."""
    rows = [{"a": i / 7, "b": i, "t": ["x", "y\u2028"], "s": str(i)} for i in range(50)]
    path = written(tmp_path, lines_of(*rows, {"a": math.nan}))
    monkeypatch.setattr(json_files, "CHUNK_BYTES", 500)
    frame = read_frame(path)
    assert_frame_equal(frame[:50], pl.DataFrame(rows))
    assert frame.row(50)[1:] == (None, None, None)


@pytest.mark.parametrize("indent", [None, 1])
def test_an_array_instead_of_lines(tmp_path, indent):
    path = written(tmp_path, json.dumps(ROWS, indent=indent).encode(), "x.json")
    assert read_frame(path).to_dicts() == ROWS
    assert pq.select(path, ["a", "b"], 2, k=1)["row"].to_list() == [0, 1]


@pytest.mark.parametrize("name", ["x.jsonl", "x.json", "x.ndjson"])
def test_marks_and_ends_of_lines(tmp_path, name):
    text = lines_of(*ROWS).replace(b"\n", b"\r\n")
    path = written(tmp_path, b"\xef\xbb\xbf" + text + b"\r\n   \n", name)
    assert read_frame(path).to_dicts() == ROWS


@pytest.mark.parametrize("name", ["x.jsonl.gz", "x.json.GZ"])
def test_packed(tmp_path, name):
    path = written(tmp_path, gzip.compress(lines_of(*ROWS)), name)
    assert read_frame(path).to_dicts() == ROWS
    assert pq.select(path, ["a", "b"], 2, k=1)["row"].to_list() == [0, 1]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b'{"a": 1, "b": 2},\n', "line 4: Extra data at column 17: take away the comma"),
        (b'{"a": 1} more\n', "line 4: Extra data at column 10"),
        (b'{"a": 1, "b":\n', "line 4: Expecting value"),
        (b"{\n", r"line 4: .*one object per line is needed"),
        (b"5\n", "line 4 is no object, but 5"),
        (b"null\n", "line 4 is no object, but null"),
        (b'{"t": "a\0b"}\n', "line 4: Invalid control character"),
        (b'{"t": "\xe9"}\n', "line 4: byte 0xe9 at position 7 is not UTF-8: save it as UTF-8"),
        (b'{"a": true}\n', "key 'a' is true or false in line 4 and a number in line 1"),
    ],
)
@pytest.mark.parametrize("pack", [bytes, gzip.compress])
def test_the_line_of_what_is_wrong_is_named(tmp_path, content, message, pack):
    path = written(tmp_path, pack(lines_of(*ROWS) + content))
    with pytest.raises(ValueError, match=rf"x\.jsonl: cannot be read: .*{message}"):
        read_frame(path)
    with pytest.raises(ValueError, match=rf"x\.jsonl: cannot be read: .*{message}"):
        pq.select([path], ["a", "b"], 2, k=1)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "it is empty"),
        (b"\n \n", "it is empty"),
        (lines_of(*ROWS).decode().encode("utf-16"), "it is in UTF-16"),
        (json.dumps([*ROWS, 5]).encode(), "element 3 of its array is no object, but 5"),
        (json.dumps(ROWS).encode()[:-1], "Expecting ',' delimiter"),
        (gzip.compress(lines_of(*ROWS) * 500, mtime=0)[:-20], "ended before"),
    ],
)
def test_other_files_that_are_refused(tmp_path, content, message):
    with pytest.raises(ValueError, match=rf"x\.jsonl: cannot be read: .*{message}"):
        read_frame(written(tmp_path, content))
