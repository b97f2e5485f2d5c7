"""The command that measures the kernels beside other packages: bench."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from paretohqd.cli.terminal import add_command

if TYPE_CHECKING:
    from paretohqd.cli.terminal import Commands


def add_commands(commands: Commands) -> None:
    """Add `bench` to the command line."""
    bench = add_command(
        commands,
        "bench",
        does="compare the kernels with other packages on this machine",
        example="paretohqd bench --quick --only 'hypervolume*'",
    )
    size = bench.add_mutually_exclusive_group()
    size.add_argument("--quick", action="store_true", help="about a minute instead of fifteen")
    size.add_argument("--huge", action="store_true", help="tasks of minutes each, too")
    bench.add_argument("--only", metavar="PATTERN", help="some tasks, such as 'hypervolume*'")
    # argparse takes --out, the name it had at first, for short.
    bench.add_argument(
        "-o",
        "--output",
        type=Path,
        metavar="FILE.csv",
        help="record the times; in a folder, as DATE-MACHINE.csv",
    )
    bench.set_defaults(work=_bench)


def _bench(parsed: argparse.Namespace) -> None:
    from paretohqd.bench.run import run

    try:
        run(quick=parsed.quick, huge=parsed.huge, only=parsed.only, out=parsed.output)
    except AssertionError as error:
        raise ValueError(f"the answers differ: {error}") from error
