"""What the commands print: texts from files and configurations, which may act on no terminal."""

from __future__ import annotations

import argparse
from typing import IO, Any

from paretohqd.safety.printing import printable


def say(text: object, *, file: IO[str] | None = None) -> None:
    """Print a text, by default on standard output."""
    print(printable(text), file=file)


class Parser(argparse.ArgumentParser):
    """Argparse, whose messages repeat what was given: names of files that a pattern found, say."""

    def _print_message(self, message: str, file: Any = None) -> None:
        super()._print_message(printable(message), file)
