"""The commands on whole runs: run, compare and report."""

from __future__ import annotations

import argparse
import json
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

from paretohqd.cli import arguments
from paretohqd.cli.terminal import add_command, say
from paretohqd.runs import failures, layout
from paretohqd.runs.config import Settings
from paretohqd.runs.place import run_path
from paretohqd.runs.processes import own_rank

if TYPE_CHECKING:
    from argparse import _ArgumentGroup as Group

    from paretohqd.cli.terminal import Commands, Parser


def add_commands(commands: Commands) -> None:
    """Add `run`, `compare` and `report` to the command line."""
    run = add_command(
        commands,
        "run",
        does="do a whole run, or go on with it",
        example="paretohqd run examples/quickstart.yaml --set selection.k=50",
    )
    _add_settings(run, example="selection.k=50")
    run.set_defaults(work=_run)

    compare = add_command(
        commands,
        "compare",
        does="run several methods on the same data, or go on",
        example="paretohqd compare examples/compare.yaml --set seeds=[0,1,2]",
    )
    _add_settings(compare, example="seeds=[0,1,2]")
    compare.set_defaults(work=_compare)

    report = add_command(
        commands,
        "report",
        does="write the page of a finished run or comparison",
        example="paretohqd report runs/quickstart -o page.html",
    )
    report.add_argument("run", type=Path, metavar="RUN", help="the run folder")
    report.add_argument("-o", "--output", type=Path, help="the page (RUN/report.html)")
    report.set_defaults(work=_report)


def _add_settings(parser: Parser, *, example: str) -> None:
    """Add the configuration and what replaces parts of it."""
    parser.add_argument("config", type=Path, metavar="CONFIG.yaml")
    parser.add_argument(
        "--run-folder",
        metavar="FOLDER",
        help="the run folder, anywhere; that of the configuration lies below the working folder",
    )
    parser.add_argument(
        "--set",
        action="append",
        default=[],
        type=arguments.pair,
        dest="overrides",
        metavar="KEY=VALUE",
        help=f"replace a setting, such as {example}",
    )
    parser.add_argument(
        "--verify",
        action="store_true",
        help="read every file of the finished stages, also where size and times are unchanged",
    )
    trust = parser.add_argument_group("trust")
    trust.add_argument(
        "--unsafe-settings",
        action="store_true",
        help="let settings of trainers pass that send data out or that nobody has judged",
    )
    add_trust(trust)
    add_hosts(trust, whose="the configuration's servers")


def add_hosts(group: Group, *, whose: str) -> None:
    """Add what no file may say: where data may go."""
    group.add_argument(
        "--send-to",
        action="append",
        default=[],
        metavar="HOST",
        help=f"let {whose} on this host get prompts and answers; give it again for more",
    )


def add_trust(group: Group) -> None:
    """Add what no configuration may say: whose code may run."""
    group.add_argument(
        "--trust-remote-code",
        action="append",
        default=[],
        metavar="MODEL@COMMIT",
        help="run the code that comes with this model: a hub name with its whole commit, or a "
        "folder's path; give it again for more",
    )
    group.add_argument(
        "--allow-code",
        action="append",
        default=[],
        metavar="SCORER",
        help="run the code of this scorer, as it is written: package.module:function, or "
        "file.py:function; give it again for more",
    )


WAITING = {"GOMP_SPINCOUNT": "5000", "KMP_BLOCKTIME": "1"}
"""How long threads of GNU's OpenMP (in turns of a loop, some 50 microseconds) and of LLVM's (in
milliseconds) look for work before they sleep: theirs are some milliseconds and 200."""


def wait_briefly() -> None:
    """Let torch's threads sleep soon while they wait for each other; before torch is imported.

    OpenMP's spin, each on a core: where other programs want that core too, a training step took
    ten times as long and more. Sleeping at once would cost half a step's time on an idle machine.
    Whoever has set how threads wait is left alone.
    """
    if not {"OMP_WAIT_POLICY", *WAITING} & os.environ.keys():
        os.environ.update(WAITING)


def _run(parsed: argparse.Namespace) -> None:
    from paretohqd.runs.config import Config

    settings = _settings(Config, parsed)
    from paretohqd.runs import evaluation
    from paretohqd.runs.metrics import Facts, Metrics
    from paretohqd.runs.pipeline import run

    with failures.recorded(run_path(settings.run)):
        folder = run(settings, **_by_hand(parsed))
    if own_rank() == 0:
        metrics = Metrics.from_json((folder / layout.SUMMARY / layout.METRICS).read_text())
        facts = Facts.from_json((folder / layout.FACTS).read_text())
        say(evaluation.render(metrics))
        say(evaluation.render_seconds(facts.seconds))
        say(f"report: {folder / layout.REPORT}")


def _compare(parsed: argparse.Namespace) -> None:
    from paretohqd.compare.config import Comparison

    settings = _settings(Comparison, parsed)
    from paretohqd.compare.comparison import compare, measure_folder
    from paretohqd.compare.text import render

    with failures.recorded(run_path(settings.run)):
        folder = compare(settings, **_by_hand(parsed))
    limits = json.loads((folder / layout.RESULTS).read_text())["limits"]
    say(render(measure_folder(folder), limits))
    say(f"tables: {folder / 'methods.csv'}, points.csv, summary.csv, costs.csv")
    say(f"report: {folder / layout.REPORT}")


def _by_hand(parsed: argparse.Namespace) -> dict[str, Any]:
    """What a run is told beside its configuration."""
    names = ("verify", "unsafe_settings", "trust_remote_code", "allow_code", "send_to")
    return {name: getattr(parsed, name) for name in names}


def _settings(kind: type[Settings], parsed: argparse.Namespace) -> Settings:
    """Read a configuration with what --set replaces, and keep tokenizers and threads quiet."""
    wait_briefly()
    from paretohqd.runs.config import load_settings
    from paretohqd.runs.yaml_reader import read_yaml

    overrides = {}
    for key, value in parsed.overrides:
        try:
            overrides[key] = read_yaml(value)
        except ValueError as error:
            raise ValueError(f"--set {key}: {error}") from None
    if parsed.run_folder is not None:
        overrides["run"] = parsed.run_folder
    settings = load_settings(kind, parsed.config, overrides)
    # Tokenizers warn about forking; a run sends no telemetry.
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
    os.environ.setdefault("HF_HUB_DISABLE_TELEMETRY", "1")
    return settings


def _report(parsed: argparse.Namespace) -> None:
    from paretohqd.compare.report import write_comparison
    from paretohqd.runs.report import write_report
    from paretohqd.runs.written import is_comparison

    write = write_comparison if is_comparison(parsed.run) else write_report
    say(write(parsed.run, parsed.output or parsed.run / layout.REPORT))
