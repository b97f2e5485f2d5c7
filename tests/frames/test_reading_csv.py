"""CSV as R, pandas and spreadsheets write it: scores that are missing, and what is broken where."""

import gzip

import polars as pl
import pytest

import paretohqd as pq
from paretohqd.frames.sources import read_frame
from paretohqd.kernels.numerals import MISSING, numbers_of

BODY = "a,b\n1.0,0.0\n0.0,1.0\n0.5,0.6\n"


def written(tmp_path, content, name="x.csv"):
    path = tmp_path / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


@pytest.mark.parametrize("token", ["NA", "N/A", "nan", "None", "NULL", "-", "#N/A", "#DIV/0!", ""])
def test_scores_that_are_missing(tmp_path, token):
    path = written(tmp_path, f"{BODY}{token},0.4\n")
    text_in_message = f": '{token}'" if token else ""
    with pytest.raises(ValueError, match=rf"'a' holds 1 null \(first at row 3{text_in_message}\)"):
        pq.select(path, ["a", "b"], 2, k=1)
    assert pq.select(path, ["a", "b"], 2, k=1, nan="drop")["row"].to_list() == [0, 1]


@pytest.mark.parametrize("token", ["4/5", "true", "1_000", '"1,000"', "12%", "2024-01-01"])
@pytest.mark.parametrize("nan", ["raise", "drop"])
def test_words_are_no_scores(tmp_path, token, nan):
    path = written(tmp_path, f"{BODY}NA,0.1\n{token},0.4\n")
    bare = token.strip('"')
    message = rf"'a' holds 1 texts that are no numbers \(first at row 4: '{bare}'\)"
    with pytest.raises(ValueError, match=message):
        pq.select(path, ["a", "b"], 2, k=1, nan=nan)
    with pytest.raises(ValueError, match=message):
        pq.select(read_frame(path), ["a", "b"], 2, k=1, nan=nan)


def test_the_file_of_a_word_is_named(tmp_path):
    paths = [written(tmp_path, BODY, "1.csv"), written(tmp_path, f"{BODY}bad,1\n", "2.csv")]
    with pytest.raises(ValueError, match=r"first at row 6: row 3 of .*2\.csv: 'bad'"):
        pq.select(paths, ["a", "b"], 2, k=1)


def test_text_as_numbers():
    texts = pl.Series(["4", " 4.5 ", "1e-3", "+.5", "-inf", *MISSING, None])
    numbers = numbers_of("a", texts).to_list()
    assert numbers[:5] == [4.0, 4.5, 0.001, 0.5, float("-inf")]
    assert numbers[5:] == [None] * (len(MISSING) + 1)
    with pytest.raises(ValueError, match=r"'a' holds 1 integers beyond 2\*\*53 .*row 1"):
        numbers_of("a", pl.Series(["1", "9007199254740993"]))
    with pytest.raises(ValueError, match="'a' has dtype String, which is no score; none of its 2"):
        numbers_of("a", pl.Series(["x", None, "y"]))


def test_numbers_that_stand_as_text_are_compared_as_numbers():
    frame = pl.DataFrame({"a": ["10", "9", "NA", "1"], "b": [0, 1, 5, 2], "t": ["NA"] * 4})
    for data in (frame, frame.lazy(), frame.cast({"a": pl.Categorical})):
        chosen = pq.select(data, ["a", "b"], 2, k=1, nan="drop")
        assert chosen["row"].to_list() == [0, 3]
        assert chosen["t"].to_list() == ["NA", "NA"]
    drawn = pq.choose(frame.lazy(), ["a", "b"], 2, k=1, nan="drop").scores.collect()
    assert drawn["a"].to_list() == [10.0, 9.0, None, 1.0]
    filled = frame.filter(pl.col("a") != "NA")
    assert pq.layers(filled, ["a", "b"])["layer"].to_list() == [0, 0, 0]


def test_text_columns_keep_their_text(tmp_path):
    frame = read_frame(written(tmp_path, "a,b,t\n1,2,NA\n2,1,null\n"))
    assert frame["t"].to_list() == ["NA", "null"]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (f"{BODY}1,2,3\n", "line 5 has 3 values, but the first has 2 names"),
        ('a,b,t\n1,2,"x\ny"\n2,1,hello, you\n', "line 4 has 4 values, but the first has 3 names"),
        ('a,b,t\n1,2,"x\n2,1,y\n', "in what begins in line 2: a quote is never closed"),
        ('a,b,t\n1,2,x"y\n2,1,y\n', "line 2 has a quote within a value"),
        ("a,b,t\n1,2,x\n2,1,é\n".encode("latin-1"), "line 3: byte 0xe9 at position 4"),
        (BODY.encode("utf-16"), "it is in UTF-16, as Excel's"),
        ("a;b\n1,5;2,5\n", "its values are separated by semicolons, not by commas"),
        ("a\tb\n1.5\t2.5\n", r"separated by tabs, not by commas: let its name end in \.tsv"),
        ("sep=;\na;b\n1;2\n", "its first line names a separator"),
        (BODY.replace("\n", "\r"), "its lines end with a carriage return alone"),
        ("a,a,b\n1,2,3\n", "2 columns are called 'a'"),
        ("\na,b\n1,2\n", "its first line is blank"),
        (b"PK\x03\x04\x14\0\0\n", "it is no text"),
        ("\n", "it is empty"),
    ],
)
@pytest.mark.parametrize("pack", [None, gzip.compress])
def test_what_is_broken_is_named(tmp_path, content, message, pack):
    content = content.encode() if isinstance(content, str) else content
    path = written(tmp_path, pack(content) if pack else content)
    for call in (read_frame, lambda path: pq.select(path, ["a", "b"], 2, k=1)):
        with pytest.raises(ValueError, match=rf"x\.csv: cannot be read: .*{message}"):
            call(path)


@pytest.mark.parametrize(
    "content",
    [
        b"\xef\xbb\xbf" + BODY.encode(),
        BODY.replace("\n", "\r\n"),
        BODY.replace("0.5", '"0.5"'),
        gzip.compress(BODY.encode(), mtime=0),
    ],
)
def test_ordinary_files(tmp_path, content):
    assert pq.select(written(tmp_path, content), ["a", "b"], 2, k=1)["row"].to_list() == [0, 1]


def test_tabs_and_blanks_around_names(tmp_path):
    frame = read_frame(written(tmp_path, BODY.replace(",", "\t"), "x.tsv"))
    assert frame["b"].to_list() == [0.0, 1.0, 0.6]
    path = written(tmp_path, "a, b\n1,2\n")
    with pytest.raises(ValueError, match="no column 'b': the frame has a, ' b'"):
        pq.select(path, ["a", "b"], 2, k=1)


def test_columns_without_a_name_that_excel_adds(tmp_path):
    assert read_frame(written(tmp_path, "a,b,,\n1,2,,\n")).columns[:2] == ["a", "b"]


@pytest.mark.parametrize("text", [r'"say \"hi\", ok"', '"a "b" c"', r'"\"x\""'])
@pytest.mark.parametrize("packed", [False, True])
def test_quotes_that_are_not_doubled_are_refused(tmp_path, text, packed):
    path = tmp_path / ("x.csv.gz" if packed else "x.csv")
    content = f"prompt,help,safe\nb,0,1\n{text},1,0\n".encode()
    path.write_bytes(gzip.compress(content) if packed else content)
    with pytest.raises(ValueError, match=r"record that begins in line 3 has a quoted value with"):
        pq.select(str(path), ["help", "safe"], 2, k=1)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ('"say ""hi"", ok"', 'say "hi", ok'),
        ('say "hi"', 'say "hi"'),
        (r'"ends in \"', "ends in \\"),
        ('"two\nlines ""x"""', 'two\nlines "x"'),
    ],
)
def test_quotes_that_are_right_are_read(tmp_path, text, value):
    path = tmp_path / "x.csv"
    path.write_text(f"prompt,help,safe\n{text},1,0\nb,0,1\n")
    assert pq.select(str(path), ["help", "safe"], 2, k=1)["prompt"][0] == value
