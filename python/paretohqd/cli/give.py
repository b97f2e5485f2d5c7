"""The commands that give a finished run's models away: export and explore."""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from paretohqd.cli.terminal import add_command, say
from paretohqd.cli.use import add_run, opened, trusting

if TYPE_CHECKING:
    from paretohqd.cli.terminal import Commands


def add_commands(commands: Commands) -> None:
    """Add `export` and `explore` to the command line."""
    export = add_command(
        commands,
        "export",
        does="write a run's model, or its chosen rows, as a folder that others can load",
        example="paretohqd export runs/quickstart --weights .7 .3 -o helpful-adapter",
    )
    add_run(export)
    what = export.add_mutually_exclusive_group(required=True)
    what.add_argument("--preference", metavar="NAME", help="a trained preference, by its name")
    what.add_argument("--weights", nargs="+", metavar="W", help="a weight for each objective")
    what.add_argument(
        "--dataset", action="store_true", help="the chosen rows of all preferences, no model"
    )
    export.add_argument(
        "-o", "--output", type=Path, required=True, metavar="FOLDER", help="a new folder"
    )
    export.add_argument(
        "--merged", action="store_true", help="a whole model in place of an adapter on its base"
    )
    export.add_argument(
        "--gguf", type=Path, metavar="FILE", help="a GGUF file too, by llama.cpp's converter"
    )
    export.add_argument(
        "--push", metavar="OWNER/NAME", help="upload the adapter to a new repository of the Hub"
    )
    export.add_argument("--public", action="store_true", help="let everybody see what is pushed")
    export.add_argument("--yes", action="store_true", help="push without being asked")
    export.set_defaults(work=trusting(_export))

    explore = add_command(
        commands,
        "explore",
        does="write a page to move between the trade-offs of a run or a comparison",
        example="paretohqd explore runs/quickstart -o page.html",
    )
    explore.add_argument("run", type=Path, metavar="RUN", help="the folder of a finished run")
    explore.add_argument(
        "-o",
        "--output",
        type=Path,
        default=Path("tradeoffs.html"),
        help="the page (tradeoffs.html)",
    )
    explore.set_defaults(work=_explore)


def _export(parsed: argparse.Namespace) -> None:
    if parsed.push and (parsed.merged or parsed.dataset or parsed.gguf):
        raise ValueError("--push uploads an adapter: leave out --merged, --gguf and --dataset")
    if parsed.dataset and (parsed.merged or parsed.gguf):
        raise ValueError("--dataset writes no model: leave out --merged and --gguf")
    if (parsed.public or parsed.yes) and not parsed.push:
        raise ValueError("--public and --yes go with --push")
    if parsed.gguf is not None and parsed.gguf.exists():
        raise ValueError(f"{parsed.gguf} is there already: name another file or remove it")
    from paretohqd.policies import datasets, export, pushing
    from paretohqd.policies.asking import in_words
    from paretohqd.policies.finished import open_run

    if parsed.dataset:
        say(datasets.export_dataset(open_run(parsed.run, stage=parsed.stage), parsed.output))
        return
    if parsed.push:
        pushing.check_push(parsed.push)
    run = opened(parsed)
    policy = run.policy(parsed.preference or in_words(parsed.weights))
    say(policy.note or str(policy))
    if parsed.merged:
        say(export.export_merged(policy, parsed.output))
    else:
        say(export.export_adapter(policy, parsed.output))
    if parsed.gguf is not None:
        with tempfile.TemporaryDirectory() as place:
            whole = parsed.output
            if not parsed.merged:
                whole = export.export_merged(policy, Path(place) / "model")
            say(export.export_gguf(whole, parsed.gguf))
    if parsed.push:
        agreed = _asker(parsed.yes)
        say(pushing.push(parsed.output, parsed.push, agreed=agreed, public=parsed.public))


def _asker(yes: bool) -> Callable[[str], bool]:
    """What asks whether something may be done; without a terminal nobody says yes."""

    def ask(what: str) -> bool:
        say(what)
        if yes:
            return True
        if not sys.stdin.isatty():
            say("no terminal to ask on: --yes agrees")
            return False
        return input("upload? [y/N] ").strip().lower() in ("y", "yes")

    return ask


def _explore(parsed: argparse.Namespace) -> None:
    from paretohqd.policies.explorer import write_explorer

    say(write_explorer(parsed.run, parsed.output))
