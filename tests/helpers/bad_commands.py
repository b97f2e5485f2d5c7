"""Bad calls of the command line."""

from __future__ import annotations

from typing import Any

import polars as pl

from helpers.commands import command
from helpers.world import FRAME, Call, World, changed, with_value

NAN = float("nan")


def _select(*more: object, frame: pl.DataFrame = FRAME, output: str = "chosen.parquet") -> Call:
    def call(w: World) -> object:
        words = [w.folder / word[1:] if str(word).startswith("@") else word for word in more]
        objectives = [] if "--objectives" in more else ["--objectives", "a,b"]
        end = ["-o", w.folder / output] if output else []
        return command("select", w.parquet(frame), *objectives, *end, *words)

    return call


def _layers(*more: object, frame: pl.DataFrame = FRAME, output: str = "layers.parquet") -> Call:
    def call(w: World) -> object:
        objectives = [] if "--objectives" in more else ["--objectives", "a,b"]
        words = ["layers", w.parquet(frame), *objectives, "-o", w.folder / output, *more]
        return command(*words)

    return call


def _plain(*words: object, stdin: bytes = b"") -> Call:
    return lambda w: command(
        *(w.folder / word[1:] if str(word).startswith("@") else word for word in words), stdin=stdin
    )


def _onto_itself(name: str) -> Call:
    def call(w: World) -> object:
        path = w.parquet()
        return command(name, path, "--objectives", "a,b", "-k", 2, "--preferences", 3, "-o", path)

    def layers(w: World) -> object:
        path = w.parquet()
        return command(name, path, "--objectives", "a,b", "-o", path)

    return layers if name == "layers" else call


WRONG: dict[str, list[Any]] = {
    "-k of 0": ["-k", 0],
    "-k of -1": ["-k", "-1"],
    "-k of text": ["-k", "many"],
    "-k of 1.5": ["-k", 1.5],
    "-k without a value": ["-k"],
    "--preferences of 0": ["--preferences", 0],
    "--preferences of text": ["--preferences", "many"],
    "--preferences off the simplex": ["--preferences", "0.5,0.6", "-k", 1],
    "--preferences of three weights": ["--preferences", "0.2,0.3,0.5", "-k", 1],
    "--preferences with a word": ["--preferences", "1,x"],
    "--preferences: a name twice": ["--preferences", "kind=1,0;kind=0,1"],
    "--preferences: one name of two": ["--preferences", "kind=1,0;0,1"],
    "--preferences: an unknown objective": ["--preferences", "kind=a:1,c:2", "-k", 1],
    "--preferences: an objective twice": ["--preferences", "a:1,a:2"],
    "--preferences: an objective is missing": ["--preferences", "a:1", "-k", 1],
    "--objectives: none": ["--objectives", ""],
    "--objectives: an empty name": ["--objectives", "a,,b"],
    "--objectives: only a direction": ["--objectives", ":min,a"],
    "--objectives: twice": ["--objectives", "a,a:min"],
    "--objectives: one": ["--objectives", "a"],
    "--objectives: a missing column": ["--objectives", "a,z", "-k", 1],
    "--objectives: text": ["--objectives", "a,prompt", "-k", 1],
    "--bounds": ["--bounds", "rows"],
    "--scale": ["--scale", "std"],
    "--directions": ["--directions", "up"],
    "--duplicates": ["--duplicates", "remove"],
    "--nan": ["--nan", "fill"],
    "--distinct: no such column": ["--distinct", "topic", "-k", 1],
    "--distinct with --by": ["--distinct", "topic", "--by", "source", "-k", 1],
    "--by: no such column": ["--by", "topic", "-k", 1],
    "--by: an empty name": ["--by", "source,"],
    "--upto of 0": ["--upto", 0],
    "--upto and --at-least": ["--upto", 1, "--at-least", 2],
    "--at-least of text": ["--at-least", "all"],
    "--memory-limit of text": ["--memory-limit", "much"],
    "--memory-limit of 0": ["--memory-limit", "0MB"],
    "--memory-limit with --by": ["--memory-limit", "1GB", "--by", "source", "-k", 1],
    "--threads of 0": ["--threads", 0],
    "--plot: another ending": ["--plot", "@plot.pdf", "-k", 1],
    "--plot: no such folder": ["--plot", "@none/plot.png", "-k", 1],
    "an unknown option": ["--layers", 3],
    "k beyond the rows": [],
}


def _without_k(words: list[Any]) -> list[Any]:
    """The same words for a command that takes no -k."""
    return words[:-2] if words[-2:] == ["-k", 1] else words


CALLS: dict[str, Call] = {
    **{f"select: {name}": _select(*words) for name, words in WRONG.items()},
    "select: no output": _select("-k", 1, output=""),
    "select: another ending": _select("-k", 1, output="chosen.xlsx"),
    "select: no folder": _select("-k", 1, output="none/chosen.parquet"),
    "select: a folder": _select("-k", 1, "-o", "@", output=""),
    "select: the input": _onto_itself("select"),
    "select: no input": _plain("select", "--objectives", "a,b", "-o", "@x.parquet"),
    "select: no objectives": _plain("select", "@x.parquet", "-o", "@x.parquet"),
    "select: a missing input": _plain(
        "select", "@no.parquet", "--objectives", "a,b", "-o", "@x.csv"
    ),
    "select: an empty standard input": _plain("select", "-", "--objectives", "a,b", "-o", "@x.csv"),
    "select: no JSON": _plain(
        "select", "-", "--objectives", "a,b", "-o", "@x.csv", stdin=b'{"a": 1}\nno\n'
    ),
    "select: nan": _select("-k", 1, frame=with_value("a", 2, NAN)),
    "select: a null": _select("-k", 1, frame=with_value("a", 2, None)),
    "select: infinite": _select("-k", 1, frame=with_value("a", 2, float("inf"))),
    "select: constant": _select("-k", 1, frame=changed("a", [1.0] * 12)),
    "select: no rows": _select("-k", 1, frame=FRAME[:0]),
    "select: a taken column": _select("-k", 1, frame=changed("row", [1] * 12)),
    "select: structs as CSV": _select("-k", 1, frame=changed("x", [{"y": 1}] * 12), output="x.csv"),
    "select: bytes as JSONL": _select("-k", 1, frame=changed("x", [b"y"] * 12), output="x.jsonl"),
    "select: infinities as JSONL": _select(
        "-k", 1, frame=changed("x", [float("inf")] * 12), output="x.jsonl"
    ),
    "select: semicolons as CSV": _select(
        "-k", 1, frame=changed("x", [["a;b"]] * 12), output="x.csv"
    ),
    **{
        f"layers: {name}": _layers(*_without_k(WRONG[name]))
        for name in WRONG
        if name.startswith(("--objectives", "--nan", "--by", "--upto", "--at", "--threads", "an"))
        and name != "--objectives: one"
    },
    "layers: -k": _layers("-k", 1),
    "layers: another ending": _layers(output="layers.txt"),
    "layers: no folder": _layers(output="none/layers.csv"),
    "layers: the input": _onto_itself("layers"),
    "layers: no output": _plain("layers", "@x.parquet", "--objectives", "a,b"),
    "layers: a missing input": _plain("layers", "@no.csv", "--objectives", "a", "-o", "@x.csv"),
    "layers: nan": _layers(frame=with_value("a", 2, NAN)),
    "layers: a taken column": _layers(frame=changed("layer", [1] * 12)),
    "an unknown command": _plain("choose"),
    "an unknown option": _plain("--quick"),
    "run: no configuration": _plain("run"),
    "run: --set without a value": _plain("run", "@x.yaml", "--set", "seed"),
    "run: --set without a name": _plain("run", "@x.yaml", "--set", "=3"),
    "run: an unknown option": _plain("run", "@x.yaml", "--fast"),
    "run: a missing configuration": _plain("run", "@no.yaml"),
    "compare: no configuration": _plain("compare"),
    "compare: a missing configuration": _plain("compare", "@no.yaml"),
    "compare: --set without a value": _plain("compare", "@x.yaml", "--set", "seeds"),
    "score: no reward": _plain("score", "@x.parquet", "-o", "@y.parquet"),
    "score: no output": _plain("score", "@x.parquet", "--reward", "a=embedded:harmless"),
    "score: a reward without a name": _plain(
        "score", "@x.parquet", "-o", "@y.parquet", "--reward", "embedded:harmless"
    ),
    "report: no run": _plain("report"),
    "report: an unknown option": _plain("report", "@run", "--page", "x"),
    "bench: quick and huge": _plain("bench", "--quick", "--huge"),
    "bench: an unknown option": _plain("bench", "--fast"),
}


def _score(*words: object, frame: pl.DataFrame = FRAME) -> Call:
    """A bad call of `score`, which loads torch first."""

    def call(w: World) -> object:
        output = [] if "-o" in words else ["-o", w.folder / "scored.parquet"]
        given = [w.folder / word[1:] if str(word).startswith("@") else word for word in words]
        return command("score", w.parquet(frame), *output, *given)

    return call


HARMLESS = ("--reward", "safe=embedded:harmless")
HEAVY: dict[str, Call] = {
    "score: a missing input": _plain("score", "@no.parquet", "-o", "@y.parquet", *HARMLESS),
    "score: another ending": _score("-o", "@scored.txt", *HARMLESS),
    "score: no folder": _score("-o", "@none/scored.csv", *HARMLESS),
    "score: the input": _score("-o", "@rows.parquet", *HARMLESS),
    "score: an unknown scorer": _score("--reward", "safe=embedded:harmles"),
    "score: a template for an embedded scorer": _score("--template", "{prompt}", *HARMLESS),
    "score: a pair for an embedded scorer": _score("--pair", *HARMLESS),
    "score: no such prompt": _score("--prompt", "question", *HARMLESS),
    "score: no such response": _score("--response", "answer", *HARMLESS),
    "score: a number for a prompt": _score("--prompt", "a", *HARMLESS),
    "score: a taken column": _score("--reward", "a=embedded:harmless"),
    "score: a reward twice": _score(*HARMLESS, *HARMLESS),
    "score: a null answer": _score(
        *HARMLESS, frame=changed("response", pl.Series([None, *["x"] * 11]))
    ),
    "report: no such run": _plain("report", "@run"),
    "report: an empty folder": _plain("report", "@"),
    "bench: no task": _plain("bench", "--only", "nothing*"),
    "bench: no folder": _plain("bench", "--only", "hypervolume*", "--out", "@none/times.csv"),
}
