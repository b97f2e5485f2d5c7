"""Results of commands: what they write, as frames or text, and what they print."""

from __future__ import annotations

import json
import os
import re
from functools import partial
from pathlib import Path
from typing import Any
from unittest import mock

import polars as pl

from helpers.commands import command
from helpers.drawn_rows import rows, with_gaps
from helpers.world import Call, World

COMMANDS = ("select", "layers", "score", "run", "compare", "report", "bench")
RESULTS: dict[str, Call] = {}


def _help(*words: str) -> str:
    """A command's help, without what versions of argparse write in other ways."""
    with mock.patch.dict(os.environ, COLUMNS="200"):
        text = command(*words, "--help")
    return " ".join(re.sub(r"(-\w) [\w.]+, --", r"\1, --", text).split())


def _written(path: Path) -> Any:
    """What a command wrote: a frame of Parquet with what it is said to be, or text."""
    if path.suffix != ".parquet":
        return path.read_bytes()
    said = json.loads(pl.read_parquet_metadata(path)["paretohqd"])
    return [pl.read_parquet(path), {key: said[key] for key in said if key != "version"}]


def _command(name: str, frame: pl.DataFrame, output: str, words: list[object], w: World) -> Any:
    given = w.jsonl(frame) if output.endswith("jsonl") else w.parquet(frame)
    threads = [] if w.threads is None else ["--threads", w.threads]
    text = command(name, given, "-o", w.folder / output, *words, *threads)
    return _plain([text, _written(w.folder / output)], w)


def _streamed(name: str, words: list[object], w: World) -> Any:
    """JSON lines on standard input and output."""
    stdin = Path(w.jsonl(rows("ties", 60))).read_bytes()
    return command(name, "-", "-o", "-", *words, stdin=stdin)


def _warned(w: World) -> Any:
    """What is said of preferences that get the same rows."""
    words = [*S, "-k", 12, "--preferences", 3, "-o", w.folder / "chosen.csv"]
    return command("select", w.parquet(rows("uniform", 12)), *words, errors=True)


def _plain(result: Any, w: World) -> Any:
    """The same without the name of the folder."""
    if isinstance(result, str):
        return result.replace(str(w.folder), "FOLDER")
    if isinstance(result, dict):
        return {key: _plain(value, w) for key, value in result.items()}
    return [_plain(each, w) for each in result] if isinstance(result, list) else result


S = ["--objectives", "s0,s1"]
SELECTS: dict[str, list[object]] = {
    "plain": [*S, "-k", 10],
    "explain": [*S, "-k", 10, "--preferences", 4, "--explain"],
    "minimised": ["--objectives", "s0:min,s1:max", "-k", 5],
    "weights": [*S, "-k", 5, "--preferences", "1,0;0.5,0.5", "--bounds", "all"],
    "named weights": [*S, "-k", 5, "--preferences", "kind=s0:1,s1:4", "--scale", "none"],
    "by": [*S, "-k", 5, "--by", "source,week", "--upto", 2, "--explain"],
    "distinct": [*S, "-k", 5, "--distinct", "prompt", "--directions", "tchebycheff"],
    "no duplicates": [*S, "-k", 5, "--duplicates", "drop", "--at-least", 60],
    "a memory limit": [*S, "-k", 5, "--memory-limit", "1GB"],
}
LAYERED: dict[str, list[object]] = {
    "plain": S,
    "upto": [*S, "--upto", 2],
    "at least": [*S, "--at-least", 20],
    "by": [*S, "--by", "source"],
    "one objective": ["--objectives", "s0:min"],
}
for kind in ("uniform", "ties"):
    frame = rows(kind)
    for output in ("chosen.parquet", "chosen.csv", "chosen.jsonl"):
        for name, words in SELECTS.items():
            title = f"command: select: {kind}, {output}: {name}"
            RESULTS[title] = partial(_command, "select", frame, output, words)
        for name, words in LAYERED.items():
            title = f"command: layers: {kind}, {output}: {name}"
            RESULTS[title] = partial(_command, "layers", frame, output, words)
GAPS = with_gaps(rows())
RESULTS |= {
    "command: select: gaps dropped": partial(
        _command, "select", GAPS, "chosen.parquet", [*S, "-k", 5, "--nan", "drop", "--explain"]
    ),
    "command: layers: gaps dropped": partial(
        _command, "layers", GAPS, "layers.parquet", [*S, "--nan", "drop"]
    ),
    "command: select: standard output": partial(_streamed, "select", [*S, "-k", 5]),
    "command: layers: standard output": partial(_streamed, "layers", S),
    "command: select: warnings": _warned,
    "command: help": lambda w: [_help(), *map(_help, COMMANDS)],
}
