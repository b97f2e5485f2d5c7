"""The command `paretohqd`: select, layers, score, run, report, bench.

Only argparse and what a command itself needs are imported, so `select` and `layers` work in an
installation without torch. Exit codes: 0 done, 1 an error (one line on standard error), 2 a wrong
call, 130 stopped by Ctrl-C.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Sequence
from pathlib import Path

import polars as pl

import paretohqd as pq
from paretohqd.files import check_output, read_frame, write_frame
from paretohqd.namespace import ParetoFrame


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line and return the exit code."""
    parsed = _parser().parse_args(arguments)
    try:
        parsed.work(parsed)
    except KeyboardInterrupt:
        hint = ": the same command goes on from here" if parsed.command == "run" else ""
        print(f"paretohqd: stopped{hint}", file=sys.stderr)
        return 130
    except ModuleNotFoundError as error:
        if isinstance(error, ValueError):  # one of ours, which says what to install
            return _fail(str(error))
        return _fail(f"{error.name} is not installed: pip install 'paretohqd[train]'")
    except OSError as error:
        where = f"{error.filename}: " if error.filename else ""
        return _fail(f"{where}{error.strerror or error}")
    except (ValueError, ImportError, pl.exceptions.PolarsError) as error:
        return _fail(str(error))
    except RuntimeError as error:
        if type(error).__name__ != "OutOfMemoryError":
            raise
        return _fail(
            "the GPU's memory is full: lower train.per_device_train_batch_size or "
            "generation.batch_size, or set train.gradient_checkpointing: true"
        )
    return 0


def _fail(message: str) -> int:
    print(f"paretohqd: error: {' '.join(message.split())}", file=sys.stderr)
    return 1


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="paretohqd", description="Select the scored answers to fine-tune on, for a trade-off."
    )
    parser.add_argument("--version", action="version", version=f"paretohqd {pq.__version__}")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")

    select = commands.add_parser("select", help="choose a training set for each preference")
    _frame_arguments(select)
    select.add_argument(
        "--preferences", type=_preferences, default=11, metavar="N",
        help="how many, or weights such as '1,0;0.5,0.5;0,1' (default: 11)",
    )  # fmt: skip
    select.add_argument("-k", type=_positive, default=100, help="rows per preference (100)")
    _stop_arguments(select)
    select.add_argument("--bounds", choices=("pool", "all"), default="pool",
                        help="rows that r_min and r_max are taken from")  # fmt: skip
    select.add_argument("--scale", choices=("box", "none"), default="box",
                        help="units of the distance")  # fmt: skip
    select.add_argument("--distinct", metavar="COLUMN",
                        help="no value of this column twice per preference")  # fmt: skip
    select.add_argument("--nan", choices=("raise", "drop"), default="raise",
                        help="refuse null and NaN scores, or leave such rows out")  # fmt: skip
    select.set_defaults(work=_select)

    layers = commands.add_parser("layers", help="add each row's Pareto layer")
    _frame_arguments(layers)
    _stop_arguments(layers)
    layers.add_argument("--by", metavar="COLUMN", help="layers within each value of this column")
    layers.set_defaults(work=_layers)

    score = commands.add_parser("score", help="add a column of scores per reward")
    _file_arguments(score)
    score.add_argument(
        "--reward", action="append", required=True, type=_pair, dest="rewards",
        metavar="NAME=WHAT",
        help="embedded:harmless, or a sequence-classification model (hub name or folder); "
        "give it again for more",
    )  # fmt: skip
    score.add_argument("--prompt", default="prompt", metavar="COLUMN")
    score.add_argument("--response", default="response", metavar="COLUMN")
    score.add_argument("--template", help="text with {prompt} and {response}, for reward models")
    score.set_defaults(work=_score)

    run = commands.add_parser("run", help="do a whole run, or go on with it")
    run.add_argument("config", type=Path, metavar="CONFIG.yaml")
    run.add_argument(
        "--set", action="append", default=[], type=_pair, dest="overrides", metavar="KEY=VALUE",
        help="replace a setting, such as selection.k=50",
    )  # fmt: skip
    run.set_defaults(work=_run)

    report = commands.add_parser("report", help="write the page of a finished run")
    report.add_argument("run", type=Path, metavar="RUN", help="the run folder")
    report.add_argument("-o", "--output", type=Path, help="the page (RUN/report.html)")
    report.set_defaults(work=_report)

    bench = commands.add_parser("bench", help="compare with other packages on this machine")
    size = bench.add_mutually_exclusive_group()
    size.add_argument("--quick", action="store_true", help="about a minute instead of fifteen")
    size.add_argument("--huge", action="store_true", help="tasks of minutes each, too")
    bench.add_argument("--only", metavar="PATTERN", help="some tasks, such as 'hypervolume*'")
    bench.add_argument(
        "--out", type=Path, metavar="FILE.csv",
        help="record the times; in a folder, as DATE-MACHINE.csv",
    )  # fmt: skip
    bench.set_defaults(work=_bench)
    return parser


def _file_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("input", type=Path, help="a Parquet, CSV or JSONL file")
    parser.add_argument("-o", "--output", type=Path, required=True, help="the file to write")


def _frame_arguments(parser: argparse.ArgumentParser) -> None:
    _file_arguments(parser)
    parser.add_argument(
        "--objectives", type=_objectives, required=True, metavar="NAMES",
        help="score columns, larger is better: helpful,harmless,length:min",
    )  # fmt: skip
    parser.add_argument("--threads", type=_positive, help="threads (all)")


def _stop_arguments(parser: argparse.ArgumentParser) -> None:
    stop = parser.add_mutually_exclusive_group()
    stop.add_argument("--upto", type=_positive, metavar="L", help="this many layers")
    stop.add_argument("--at-least", type=_positive, metavar="ROWS",
                      help="the fewest layers with this many rows")  # fmt: skip


def _positive(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"expected a whole number of at least 1, got {text!r}")
    return int(text)


def _objectives(text: str) -> dict[str, str]:
    """Names with an optional direction: "helpful,length:min"."""
    found = {}
    for part in text.split(","):
        name, colon, direction = part.strip().rpartition(":")
        if not colon or direction not in ("min", "max"):
            name, direction = part.strip(), "max"
        if not name:
            raise argparse.ArgumentTypeError(f"an empty name in {text!r}")
        if name in found:
            raise argparse.ArgumentTypeError(f"{name} is named twice")
        found[name] = direction
    return found


def _preferences(text: str) -> int | list[list[float]]:
    if text.strip().isdecimal():
        return _positive(text.strip())
    try:
        return [[float(x) for x in row.split(",")] for row in text.split(";")]
    except ValueError:
        raise argparse.ArgumentTypeError(
            f"expected a number or weights such as '1,0;0,1', got {text!r}"
        ) from None


def _pair(text: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if not equals or not name:
        raise argparse.ArgumentTypeError(f"expected a name, =, and a value, got {text!r}")
    return name, value


def _read(parsed: argparse.Namespace) -> pl.DataFrame:
    """The input; that the output could be written is known before the work begins."""
    check_output(parsed.output)
    frame = read_frame(parsed.input)
    if parsed.output.exists() and parsed.output.samefile(parsed.input):
        raise ValueError(f"{parsed.output}: the input would be overwritten: name another file")
    return frame


def _select(parsed: argparse.Namespace) -> None:
    frame = _read(parsed)
    chosen = pq.choose(
        frame, parsed.objectives, parsed.preferences, k=parsed.k, upto=parsed.upto,
        at_least=parsed.at_least, bounds=parsed.bounds, scale=parsed.scale,
        distinct=parsed.distinct, nan=parsed.nan, n_threads=parsed.threads,
    )  # fmt: skip
    write_frame(chosen.rows, parsed.output)
    sizes = chosen.layer_sizes()
    print(
        f"{len(chosen.weights)} preferences x {parsed.k} rows of {len(frame)}, from a pool of "
        f"{sum(sizes)} rows in {len(sizes)} layers; {chosen.rows['row'].n_unique()} different rows"
    )


def _layers(parsed: argparse.Namespace) -> None:
    frame = _read(parsed)
    result = ParetoFrame(frame).layers(
        parsed.objectives, by=parsed.by, upto=parsed.upto, at_least=parsed.at_least,
        n_threads=parsed.threads,
    )  # fmt: skip
    write_frame(result, parsed.output)
    layer = result["layer"].to_numpy()
    number = layer.max(initial=-1) + 1
    print(
        f"{(layer == 0).sum()} of {len(frame)} rows on the front; "
        f"{(layer >= 0).sum()} in {number} layers"
    )


def _score(parsed: argparse.Namespace) -> None:
    from paretohqd import scoring

    frame = _read(parsed)
    embedded = [what.startswith("embedded:") for _, what in parsed.rewards]
    if parsed.template and all(embedded):
        raise ValueError("--template is for reward models: the embedded scorers take none")
    options = {"template": parsed.template} if parsed.template else {}
    rewards = [
        scoring.make_reward(name=name, scorer=what)
        if inside
        else scoring.make_reward(name=name, model=what, **options)
        for (name, what), inside in zip(parsed.rewards, embedded, strict=True)
    ]
    scored = scoring.score(frame, rewards, prompt=parsed.prompt, response=parsed.response)
    write_frame(scored, parsed.output)
    manifest = {"rewards": [reward.manifest() for reward in rewards], "rows": len(scored)}
    beside = parsed.output.with_name(f"{parsed.output.name}.manifest.json")
    beside.write_text(json.dumps(manifest, indent=1, default=str))
    print(f"{len(scored)} answers scored by {', '.join(r.name for r in rewards)}")


def _run(parsed: argparse.Namespace) -> None:
    from paretohqd.config import load_config
    from paretohqd.strict import read_yaml

    overrides = {}
    for key, value in parsed.overrides:
        try:
            overrides[key] = read_yaml(value)
        except ValueError as error:
            raise ValueError(f"--set {key}: {error}") from None
    settings = load_config(parsed.config, overrides)
    # Tokenizers warn about forking; a run tells nobody that it runs.
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
    os.environ.setdefault("HF_HUB_DISABLE_TELEMETRY", "1")
    from paretohqd import evaluation
    from paretohqd.pipeline import run

    folder = run(settings)
    if os.environ.get("RANK", "0") == "0":
        summary = json.loads((folder / "evaluate" / "summary" / "metrics.json").read_text())
        seconds = json.loads((folder / "facts.json").read_text())["seconds"]
        print(evaluation.render(summary))
        print(evaluation.render_seconds(seconds))
        print(f"report: {folder / 'report.html'}")


def _report(parsed: argparse.Namespace) -> None:
    from paretohqd.report import write_report

    print(write_report(parsed.run, parsed.output or parsed.run / "report.html"))


def _bench(parsed: argparse.Namespace) -> None:
    from paretohqd.bench.run import run

    try:
        run(quick=parsed.quick, huge=parsed.huge, only=parsed.only, out=parsed.out)
    except AssertionError as error:
        raise ValueError(f"the answers differ: {error}") from error


if __name__ == "__main__":
    sys.exit(main())
