"""The command `paretohqd`, with all its commands.

Only argparse and what a command itself needs are imported, so `select` and `layers` work in an
installation without torch. Exit codes: 0 done, 1 an error (one line on standard error, after the
traceback with --debug), 2 a wrong call, 130 stopped by Ctrl-C.
"""

from __future__ import annotations

import argparse
import os
import sys
import traceback
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import paretohqd as pq
from paretohqd.cli import bench, give, score, select, train, use
from paretohqd.cli.terminal import Parser, say
from paretohqd.runs import failures
from paretohqd.runs.processes import OtherFailedError
from paretohqd.safety.printing import printable
from paretohqd.safety.secrets import without_secrets


def main(given: Sequence[str] | None = None) -> int:
    """Run the command line and return the exit code."""
    parser = command_line()
    parsed = parser.parse_args(given)
    if parsed.command is None:
        parser.print_help()
        return 0
    try:
        with _plain_warnings():
            parsed.work(parsed)
    except KeyboardInterrupt:
        going = parsed.command in ("run", "compare")
        hint = ": the same command goes on from here" if going else ""
        say(f"paretohqd: stopped{hint}", file=sys.stderr)
        return 130
    except BrokenPipeError:
        # Whoever reads the output has enough; Python would complain again when it ends.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except SystemExit:
        raise
    except OtherFailedError:
        return 1  # the process that failed says why
    except BaseException as error:  # a panic of Rust's is no Exception
        if parsed.debug:
            lines = "".join(traceback.format_exception(error)).rstrip("\n").split("\n")
            say("\n".join(map(without_secrets, lines)), file=sys.stderr)
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
                say(f"paretohqd: warning: {message}", file=sys.stderr)
            else:
                other(printable(message), category, *place, **more)

        warnings.showwarning = show
        warnings.simplefilter("always", pq.SameRowsWarning)
        yield


def _fail(message: str) -> int:
    say(f"paretohqd: error: {' '.join(without_secrets(message).split())}", file=sys.stderr)
    return 1


def command_line() -> Parser:
    """The commands and their arguments."""
    parser = Parser(
        prog="paretohqd",
        description="Select the scored answers to fine-tune on, for a trade-off.",
        example="paretohqd select --help",
    )
    parser.add_argument("--version", action="version", version=f"paretohqd {pq.__version__}")
    commands = parser.add_subparsers(
        dest="command", metavar="COMMAND", title="commands", parser_class=Parser
    )

    for group in (select, score, train, use, give, bench):
        group.add_commands(commands)
    parser.set_defaults(debug=False)
    for each in (parser, *commands.choices.values()):
        each.add_argument(
            "--debug",
            action="store_true",
            default=argparse.SUPPRESS,
            help="show an error's whole traceback",
        )
    return parser


if __name__ == "__main__":
    sys.exit(main())
