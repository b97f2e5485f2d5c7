"""What the commands print: texts from files and configurations, which may act on no terminal."""

from __future__ import annotations

import argparse
from typing import IO, TYPE_CHECKING, Any

from paretohqd.safety.printing import printable

if TYPE_CHECKING:
    from argparse import _SubParsersAction

    Commands = _SubParsersAction["Parser"]
    """What commands are added to."""


def say(text: object, *, file: IO[str] | None = None) -> None:
    """Print a text, by default on standard output."""
    print(printable(text), file=file)


class Parser(argparse.ArgumentParser):
    """Argparse, with an example below the help.

    Its messages repeat what was given, names of files that a pattern found, say: they act on no
    terminal either.
    """

    def __init__(self, *, example: str | None = None, **more: Any) -> None:
        """Take an example, a command line; the rest is argparse's."""
        more.setdefault("formatter_class", argparse.RawDescriptionHelpFormatter)
        if example is not None:
            more["epilog"] = f"example:\n  {example}"
        super().__init__(**more)

    def _print_message(self, message: str, file: Any = None) -> None:
        super()._print_message(printable(message), file)


def add_command(commands: Commands, name: str, *, does: str, example: str) -> Parser:
    """Add a command; what it does stands in the list of all and in its own help."""
    parser: Parser = commands.add_parser(
        name, help=does, description=f"{does[0].upper()}{does[1:]}.", example=example
    )
    return parser
