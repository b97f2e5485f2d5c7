"""Bad files, and good files with bad rows."""

from __future__ import annotations

import gzip
from pathlib import Path
from typing import Any

import polars as pl

from helpers.world import FRAME, Call, World, changed, with_value

NAN = float("nan")
HEAD = "prompt,response,a,b\n"


def _file(name: str, content: str | bytes, **more: Any) -> Call:
    return lambda w: w.choose(w.text(name, content), **more)


def _files(frames: dict[str, pl.DataFrame], given: str = "", **more: Any) -> Call:
    """Choose from Parquet files of a folder, or from what is named in it."""

    def call(w: World) -> object:
        for name, frame in frames.items():
            w.parquet(frame, name)
        return w.choose(w.folder / given if given else w.folder, **more)

    return call


def _path(name: str) -> Call:
    return lambda w: w.choose(str(w.folder / name))


def _cut(w: World) -> object:
    path = Path(w.parquet())
    path.write_bytes(path.read_bytes()[:-20])
    return w.choose(path)


def _twice(w: World) -> object:
    path = w.parquet()
    return w.choose([path, path])


def _link(w: World) -> object:
    (w.folder / "link.parquet").symlink_to("gone.parquet")
    return w.choose(w.folder / "link.parquet")


def _in_text(kind: str, frame: pl.DataFrame, **more: Any) -> Call:
    return lambda w: w.choose(getattr(w, kind)(frame), **more)


FILES: dict[str, Call] = {
    "none": _path("none.parquet"),
    "none matches": _path("*.parquet"),
    "no ending": _path("rows"),
    "an unknown ending": _file("rows.xlsx", b"PK"),
    "another unknown ending": _file("rows.npy", b"x"),
    "text": _file("rows.txt", "x"),
    "a null character": _path("a\0b.parquet"),
    "an empty folder": lambda w: w.choose(w.folder),
    "a folder of others": lambda w: w.text("x.txt", "x") and w.choose(w.folder),
    "a file of another machine": lambda w: w.choose("file://far/rows.parquet"),
    "a link to nothing": _link,
    "twice": _twice,
    "an empty list": lambda w: w.choose([]),
    "numbers": lambda w: w.choose([1, 2]),
    "an empty Parquet": _file("rows.parquet", b""),
    "no Parquet": _file("rows.parquet", b"PAR1" + b"\xff" * 40 + b"PAR1"),
    "a cut Parquet": _cut,
    "a stream of Arrow's": _file("rows.arrow", b"\xff\xff\xff\xff0000"),
    "an empty CSV": _file("rows.csv", ""),
    "a CSV of a head": _file("rows.csv", HEAD),
    "a CSV with a blank head": _file("rows.csv", "\n1,2\n"),
    "a CSV with a column twice": _file("rows.csv", "a,b,a\n1,2,3\n"),
    "a CSV of semicolons": _file("rows.csv", "a;b\n1;2\n3;4\n"),
    "a CSV of Excel's separator": _file("rows.csv", "sep=;\na;b\n1;2\n"),
    "a CSV of an old Mac": _file("rows.csv", "a,b\r1,2\r3,4\r"),
    "a CSV of too many values": _file("rows.csv", "a,b\n1,2\n3,4,5\n"),
    "a CSV in UTF-16": _file("rows.csv", "a,b\n1,2\n".encode("utf-16")),
    "a CSV in Latin-1": _file("rows.csv", "a,b,c\n1,2,caf\xe9\n".encode("latin-1")),
    "a CSV of quotes within": _file("rows.csv", 'a,b,c\n1,2,"say \\"no, no\\""\n3,4,x\n'),
    "a CSV of words among numbers": _file("rows.csv", "a,b\n1,2\n2,bad\n3,1\n", k=1),
    "a CSV of an empty score": _file("rows.csv", "a,b\n1,2\n2,\n3,1\n", k=1),
    "a CSV without a column": _file("rows.csv", "a,c\n1,2\n2,3\n"),
    "a CSV whose column has a blank": _file("rows.csv", "a, b\n1,2\n2,3\n"),
    "a CSV of no text": _file("rows.csv", b"a,b\n\0\0\0\0,2\n"),
    "a packed CSV that is none": _file("rows.csv.gz", b"\x1f\x8bnot really"),
    "a packed CSV without a column": _file("rows.csv.gz", gzip.compress(b"a,c\n1,2\n")),
    "an empty JSONL": _file("rows.jsonl", ""),
    "a JSONL with no JSON": _file("rows.jsonl", '{"a": 1, "b": 2}\nnot json\n'),
    "a JSONL with a list": _file("rows.jsonl", '{"a": 1, "b": 2}\n[1, 2]\n'),
    "a JSONL with a number": _file("rows.jsonl", '{"a": 1, "b": 2}\n3\n'),
    "a JSONL of two types": _file("rows.jsonl", '{"a": 1, "b": 2}\n{"a": {"x": 1}, "b": 2}\n'),
    "a JSONL of true and 1": _file("rows.jsonl", '{"a": 1, "b": true}\n{"a": 1, "b": 3}\n'),
    "a JSONL in Latin-1": _file("rows.jsonl", b'{"a": 1, "b": 2, "c": "caf\xe9"}\n'),
    "a JSONL with a missing key": _file(
        "rows.jsonl", '{"a": 1, "b": 2}\n{"a": 2}\n{"a": 3, "b": 1}\n', k=1
    ),
    "a JSONL cut short": _file("rows.jsonl", '{"a": 1, "b": 2}\n{"a": 2, "b"'),
    "a JSON array cut short": _file("rows.json", '[{"a": 1, "b": 2}, {"a"'),
    "a JSON array of numbers": _file("rows.json", "[1, 2]"),
    "a JSON array of nothing": _file("rows.json", "[]"),
    "parts of two types": _files(
        {"1.parquet": FRAME, "2.parquet": changed("b", [f"{i}" for i in range(12)])}
    ),
    "parts without a column": _files({"1.parquet": FRAME, "2.parquet": FRAME.drop("b")}),
    "parts with large integers": _files(
        {"1.parquet": FRAME, "2.parquet": changed("b", [2**53 + 1] * 12)}
    ),
    "parts with nan": _files({"1.parquet": FRAME, "2.parquet": with_value("a", 4, NAN)}),
    "parts with a null": _files({"1.parquet": FRAME, "2.parquet": with_value("a", 4, None)}),
    "parts with infinities": _files(
        {"1.parquet": FRAME, "2.parquet": with_value("b", 4, -float("inf"))}
    ),
    "parts in folders for other keys": _files({"week=1/1.parquet": FRAME, "2.parquet": FRAME}),
    "nan in Parquet": _in_text("parquet", with_value("a", 4, NAN)),
    "nan in CSV": _in_text("csv", with_value("a", 4, NAN)),
    "a null in JSONL": _in_text("jsonl", with_value("a", 4, None)),
    "constant in CSV": _in_text("csv", changed("a", [1.0] * 12)),
    "k beyond the rows of a JSONL": _in_text("jsonl", FRAME, k=50),
    "a taken column in JSONL": _in_text("jsonl", changed("row", [1] * 12)),
    "distinct: no such column in Parquet": _in_text("parquet", FRAME, distinct="topic"),
    "by: a null in CSV": _in_text("csv", changed("source", ["x", None] * 6), by="source"),
}

CALLS: dict[str, Call] = {f"choose: file: {name}": call for name, call in FILES.items()}
CALLS |= {
    "layers: file: none": lambda w: w.layers(w.folder / "none.csv"),
    "layers: file: nan": lambda w: w.layers(w.parquet(with_value("a", 4, NAN)), upto=1),
    "layers: file: words": lambda w: w.layers(w.text("x.csv", "a,b\n1,2\n2,bad\n"), upto=1),
    "layers: file: a missing column": lambda w: w.layers(w.jsonl(FRAME.drop("a"))),
    "layers: file: a taken column": lambda w: w.layers(w.jsonl(changed("layer", [1] * 12))),
}
