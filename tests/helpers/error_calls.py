"""Bad calls of everything public, and what they say: recorded, to be compared after a change.

    PYTHONPATH=tests:python python -m helpers.error_calls

writes `error_messages.json` beside the tests: {name: {"type": .., "message": ..}}. The type is the
exception's class, or "exit 2" where a command ends with that code. Folders are written as FOLDER.
Where a library's own words are part of a message, they are those of the installed version.

With names of calls, it writes what these say now into `error_messages_changed.json` instead: for
messages that are changed on purpose, and listed so in `test_error_messages.py`.
"""

from __future__ import annotations

import json
import os
import re
import sys
import tempfile
import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path

from helpers import (
    bad_achievement,
    bad_arrays,
    bad_commands,
    bad_files,
    bad_frames,
    bad_indicators,
    bad_methods,
    bad_settings,
    bad_states,
    bad_training,
    foreign_calls,
)
from helpers.commands import Failed, without_quotes
from helpers.world import Call, World

RECORD = Path(__file__).resolve().parents[1] / "error_messages.json"
CHANGES = RECORD.with_name("error_messages_changed.json")

LIGHT: dict[str, Call] = {
    **bad_arrays.CALLS,
    **bad_indicators.CALLS,
    **bad_achievement.CALLS,
    **bad_frames.CALLS,
    **bad_methods.CALLS,
    **bad_files.CALLS,
    **bad_states.CALLS,
    **foreign_calls.CALLS,
    **{f"command: {name}": call for name, call in bad_commands.CALLS.items()},
    **{f"command: {name}": call for name, call in bad_settings.CALLS.items()},
}
"""Calls that need no torch."""

HEAVY: dict[str, Call] = {
    f"command: {name}": call for name, call in (bad_commands.HEAVY | bad_training.CALLS).items()
}
"""Calls that load torch."""


def message(call: Call, threads: int | None = None) -> dict[str, str]:
    """What a call says when it fails.

    Raises:
        AssertionError: It does not fail.
    """
    with tempfile.TemporaryDirectory() as name, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        folder = Path(name).resolve()
        try:
            call(World(folder, threads))
        except Failed as error:
            return {"type": f"exit {error.code}", "message": _plain(str(error), folder)}
        except Exception as error:
            text = _plain(str(error), folder)
            if isinstance(error, TypeError):  # Python names a method's class too.
                text = re.sub(r"\w+\.(\w+\(\))", r"\1", text)
            return {"type": type(error).__name__, "message": text}
    raise AssertionError("the call did not fail")


def _plain(text: str, folder: Path) -> str:
    """A message without what differs from call to call and from machine to machine."""
    text = without_quotes(text.replace(str(folder), "FOLDER"))
    # Which part of the rows Polars' threads get to first.
    text = re.sub(r"for \d+ out of \d+ values: \[.*\]", "for N out of N values: [..]", text)
    return re.sub(r"0x[0-9a-f]{6,}", "0x..", text)


def messages(calls: Mapping[str, Call], threads: int | None = None) -> dict[str, dict[str, str]]:
    """What each call says."""
    results = {}
    for name, call in calls.items():
        try:
            results[name] = message(call, threads)
        except AssertionError as error:
            raise AssertionError(f"{name}: {error}") from None
    return results


def main(names: Sequence[str]) -> None:
    """Record what all calls say now, or what some say that are changed on purpose."""
    os.environ["HF_HUB_OFFLINE"] = "1"
    if not names:
        write(RECORD, messages({**LIGHT, **HEAVY}))
        return
    calls = {**LIGHT, **HEAVY}
    write(CHANGES, read(CHANGES) | messages({name: calls[name] for name in names}))


def read(path: Path) -> dict[str, dict[str, str]]:
    """Recorded messages."""
    recorded: dict[str, dict[str, str]] = json.loads(path.read_text(encoding="utf-8"))
    return recorded


def write(path: Path, recorded: Mapping[str, dict[str, str]]) -> None:
    """Record messages."""
    path.write_text(json.dumps(recorded, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    print(f"{len(recorded)} messages in {path.name}")


if __name__ == "__main__":
    main(sys.argv[1:])
