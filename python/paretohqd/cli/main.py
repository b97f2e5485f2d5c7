"""The command `paretohqd`: select, layers, score, run, compare, report, bench.

Only argparse and what a command itself needs are imported, so `select` and `layers` work in an
installation without torch. Exit codes: 0 done, 1 an error (one line on standard error, after the
traceback with --debug), 2 a wrong call, 130 stopped by Ctrl-C.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import traceback
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import paretohqd as pq
from paretohqd.cli import arguments, select
from paretohqd.frames.sources import read_frame
from paretohqd.frames.writing import check_output, refuse_overwriting, write_frame, write_text
from paretohqd.runs import failures, layout
from paretohqd.runs.config import Settings

VERIFY = "read every file of the finished stages, also where size and times are unchanged"


def main(given: Sequence[str] | None = None) -> int:
    """Run the command line and return the exit code."""
    parsed = _parser().parse_args(given)
    try:
        with _plain_warnings():
            parsed.work(parsed)
    except KeyboardInterrupt:
        going = parsed.command in ("run", "compare")
        hint = ": the same command goes on from here" if going else ""
        print(f"paretohqd: stopped{hint}", file=sys.stderr)
        return 130
    except BrokenPipeError:
        # Whoever reads the output has enough; Python would complain again when it ends.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except SystemExit:
        raise
    except BaseException as error:  # a panic of Rust's is no Exception
        if parsed.debug:
            traceback.print_exception(error)
        notes = "".join(f" ({note})" for note in getattr(error, "__notes__", ()))
        return _fail(f"{failures.sentence(error)}{notes}")
    return 0


@contextmanager
def _plain_warnings() -> Iterator[None]:
    """Print our own warnings as one line, without a place in the code, and each time."""
    with warnings.catch_warnings():
        other = warnings.showwarning

        def show(message: Warning | str, category: type[Warning], *place: Any, **more: Any) -> None:
            if issubclass(category, pq.SameRowsWarning):
                print(f"paretohqd: warning: {message}", file=sys.stderr)
            else:
                other(message, category, *place, **more)

        warnings.showwarning = show
        warnings.simplefilter("always", pq.SameRowsWarning)
        yield


def _fail(message: str) -> int:
    print(f"paretohqd: error: {' '.join(message.split())}", file=sys.stderr)
    return 1


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="paretohqd", description="Select the scored answers to fine-tune on, for a trade-off."
    )
    parser.add_argument("--version", action="version", version=f"paretohqd {pq.__version__}")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")

    select.add_commands(commands)

    score = commands.add_parser("score", help="add a column of scores per reward")
    score.add_argument("input", type=Path, help="a Parquet, CSV or JSONL file")
    score.add_argument("-o", "--output", type=Path, required=True, help="the file to write")
    score.add_argument(
        "--reward",
        action="append",
        required=True,
        type=arguments.pair,
        dest="rewards",
        metavar="NAME=WHAT",
        help="embedded:harmless, or a sequence-classification model (hub name or folder); "
        "give it again for more",
    )
    score.add_argument("--prompt", default="prompt", metavar="COLUMN")
    score.add_argument("--response", default="response", metavar="COLUMN")
    score.add_argument("--template", help="text with {prompt} and {response}, for reward models")
    score.add_argument(
        "--pair",
        action=argparse.BooleanOptionalAction,
        help="give reward models prompt and answer as a pair of texts, or as one (found out)",
    )
    score.set_defaults(work=_score)

    run = commands.add_parser("run", help="do a whole run, or go on with it")
    run.add_argument("config", type=Path, metavar="CONFIG.yaml")
    run.add_argument(
        "--set",
        action="append",
        default=[],
        type=arguments.pair,
        dest="overrides",
        metavar="KEY=VALUE",
        help="replace a setting, such as selection.k=50",
    )
    run.add_argument("--verify", action="store_true", help=VERIFY)
    run.set_defaults(work=_run)

    compare = commands.add_parser("compare", help="run several methods on the same data, or go on")
    compare.add_argument("config", type=Path, metavar="CONFIG.yaml")
    compare.add_argument(
        "--set",
        action="append",
        default=[],
        type=arguments.pair,
        dest="overrides",
        metavar="KEY=VALUE",
        help="replace a setting, such as seeds=[0,1,2]",
    )
    compare.add_argument("--verify", action="store_true", help=VERIFY)
    compare.set_defaults(work=_compare)

    report = commands.add_parser("report", help="write the page of a finished run or comparison")
    report.add_argument("run", type=Path, metavar="RUN", help="the run folder")
    report.add_argument("-o", "--output", type=Path, help="the page (RUN/report.html)")
    report.set_defaults(work=_report)

    bench = commands.add_parser("bench", help="compare with other packages on this machine")
    size = bench.add_mutually_exclusive_group()
    size.add_argument("--quick", action="store_true", help="about a minute instead of fifteen")
    size.add_argument("--huge", action="store_true", help="tasks of minutes each, too")
    bench.add_argument("--only", metavar="PATTERN", help="some tasks, such as 'hypervolume*'")
    bench.add_argument(
        "--out",
        type=Path,
        metavar="FILE.csv",
        help="record the times; in a folder, as DATE-MACHINE.csv",
    )
    bench.set_defaults(work=_bench)
    parser.set_defaults(debug=False)
    for known in (parser, *commands.choices.values()):
        known.add_argument(
            "--debug",
            action="store_true",
            default=argparse.SUPPRESS,
            help="show an error's whole traceback",
        )
    return parser


def _score(parsed: argparse.Namespace) -> None:
    from paretohqd.rewards import scoring

    check_output(parsed.output)
    frame = read_frame(parsed.input)
    refuse_overwriting(parsed.output, [parsed.input])
    check_output(parsed.output, frame.schema)
    embedded = [what.startswith("embedded:") for _, what in parsed.rewards]
    given = {"template": parsed.template, "pair": parsed.pair}
    options = {name: value for name, value in given.items() if value is not None}
    if options and all(embedded):
        raise ValueError(
            f"--{next(iter(options))} is for reward models: the embedded scorers take none"
        )
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
    write_text(beside, json.dumps(manifest, indent=1, default=str))
    print(f"{len(scored)} answers scored by {', '.join(r.name for r in rewards)}")


def _run(parsed: argparse.Namespace) -> None:
    from paretohqd.runs.config import Config

    settings = _settings(Config, parsed)
    from paretohqd.runs import evaluation
    from paretohqd.runs.metrics import Facts, Metrics
    from paretohqd.runs.pipeline import run

    with failures.recorded(Path(settings.run)):
        folder = run(settings, verify=parsed.verify)
    if os.environ.get("RANK", "0") == "0":
        metrics = Metrics.from_json((folder / layout.SUMMARY / layout.METRICS).read_text())
        facts = Facts.from_json((folder / layout.FACTS).read_text())
        print(evaluation.render(metrics))
        print(evaluation.render_seconds(facts.seconds))
        print(f"report: {folder / layout.REPORT}")


def _compare(parsed: argparse.Namespace) -> None:
    from paretohqd.compare.config import Comparison

    settings = _settings(Comparison, parsed)
    from paretohqd.compare.comparison import compare, measure_folder
    from paretohqd.compare.text import render

    with failures.recorded(Path(settings.run)):
        folder = compare(settings, verify=parsed.verify)
    limits = json.loads((folder / "results.json").read_text())["limits"]
    print(render(measure_folder(folder), limits))
    print(f"tables: {folder / 'methods.csv'}, points.csv, summary.csv, costs.csv")
    print(f"report: {folder / layout.REPORT}")


def _settings(kind: type[Settings], parsed: argparse.Namespace) -> Settings:
    """Read a configuration with what --set replaces, and keep tokenizers quiet."""
    from paretohqd.runs.config import load_settings
    from paretohqd.runs.config_reader import read_yaml

    overrides = {}
    for key, value in parsed.overrides:
        try:
            overrides[key] = read_yaml(value)
        except ValueError as error:
            raise ValueError(f"--set {key}: {error}") from None
    settings = load_settings(kind, parsed.config, overrides)
    # Tokenizers warn about forking; a run tells nobody that it runs.
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
    os.environ.setdefault("HF_HUB_DISABLE_TELEMETRY", "1")
    return settings


def _report(parsed: argparse.Namespace) -> None:
    from paretohqd.compare.report import write_comparison
    from paretohqd.runs.report import write_report

    compared = (parsed.run / "results.json").is_file()
    write = write_comparison if compared else write_report
    print(write(parsed.run, parsed.output or parsed.run / layout.REPORT))


def _bench(parsed: argparse.Namespace) -> None:
    from paretohqd.bench.run import run

    try:
        run(quick=parsed.quick, huge=parsed.huge, only=parsed.only, out=parsed.out)
    except AssertionError as error:
        raise ValueError(f"the answers differ: {error}") from error


if __name__ == "__main__":
    sys.exit(main())
