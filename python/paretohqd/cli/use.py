"""The commands on a finished run's models: eval, chat and serve."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from paretohqd.cli.terminal import add_command, say
from paretohqd.cli.train import add_trust, wait_briefly

if TYPE_CHECKING:
    from paretohqd.cli.terminal import Commands, Parser
    from paretohqd.policies.loaded import Run


def add_commands(commands: Commands) -> None:
    """Add what is done with a finished run to the command line."""
    measure = add_command(
        commands,
        "eval",
        does="measure a trade-off on a run's held-out prompts, beside its trained neighbours",
        example="paretohqd eval runs/quickstart --weights .7 .3",
    )
    add_run(measure)
    measure.add_argument(
        "--weights",
        nargs="+",
        action="append",
        required=True,
        metavar="W",
        help="a weight for each objective, or a preference's name; give it again for more",
    )
    measure.add_argument("-o", "--output", type=Path, help="Parquet file for the answers")
    measure.set_defaults(work=trusting(_measure))

    chat = add_command(
        commands,
        "chat",
        does="talk with a run's models, at any trade-off",
        example="paretohqd chat runs/quickstart --weights .7 .3",
    )
    add_run(chat)
    chat.add_argument("--weights", nargs="+", metavar="W", help="where to begin (even weights)")
    chat.add_argument("--seed", type=int, default=0, help="the first answer's seed (0)")
    chat.set_defaults(work=trusting(_chat))

    serve = add_command(
        commands,
        "serve",
        does="answer as a server with OpenAI's interface, at any trade-off",
        example="paretohqd serve runs/quickstart --ui",
    )
    add_run(serve)
    serve.add_argument("--host", default="127.0.0.1", help="where to listen (127.0.0.1)")
    serve.add_argument("--port", type=int, default=8000, help="the port (8000)")
    serve.add_argument("--ui", action="store_true", help="the explorer at /, with live answers")
    serve.add_argument(
        "--api-key-file",
        type=Path,
        metavar="FILE",
        help="a file with the key that every request must bring; needed where others can connect",
    )
    serve.add_argument(
        "--name",
        action="append",
        default=[],
        metavar="HOST",
        help="a name that clients call this server by, beside the host; give it again for more",
    )
    serve.set_defaults(work=trusting(_serve))


def add_run(parser: Parser) -> None:
    """Add the run folder and what may be elsewhere by now."""
    parser.add_argument("run", type=Path, metavar="RUN", help="the folder of a finished run")
    parser.add_argument("--stage", type=int, help="which stage's models (the last one's)")
    parser.add_argument("--model", help="the base, where it lies elsewhere by now")
    parser.add_argument("--device", choices=["auto", "cpu", "cuda"], default="auto")
    add_trust(parser.add_argument_group("trust"))


def trusting(work: Callable[[argparse.Namespace], None]) -> Callable[[argparse.Namespace], None]:
    """A command that works with the trust that its line gives."""

    def begin(parsed: argparse.Namespace) -> None:
        wait_briefly()
        from paretohqd.models.consent import consenting

        with consenting(trust_remote_code=parsed.trust_remote_code, allow_code=parsed.allow_code):
            work(parsed)

    return begin


def opened(parsed: argparse.Namespace) -> Run:
    """The run that a command names."""
    from paretohqd.policies.loaded import load

    return load(parsed.run, stage=parsed.stage, model=parsed.model, device=parsed.device)


def _measure(parsed: argparse.Namespace) -> None:
    run = opened(parsed)
    import polars as pl

    from paretohqd.frames.new_files import write_parquet
    from paretohqd.plots.progress import Screen
    from paretohqd.policies.asking import in_words
    from paretohqd.policies.measuring import measure, render
    from paretohqd.policies.scorers import scorers_of

    policies = [run.policy(in_words(words)) for words in parsed.weights]
    for policy in policies:
        if policy.note:
            say(policy.note)
    rewards = scorers_of(run, device=parsed.device)
    found = [measure(policy, rewards, screen=Screen()) for policy in policies]
    say(render(found))
    if parsed.output is not None:
        frames = [one.answers.with_columns(weights=pl.lit(str(one.policy.asked))) for one in found]
        write_parquet(pl.concat(frames), parsed.output)
        say(f"answers: {parsed.output}")


def _chat(parsed: argparse.Namespace) -> None:
    run = opened(parsed)
    from paretohqd.policies.asking import in_words
    from paretohqd.policies.talking import chat

    weights = in_words(parsed.weights) if parsed.weights else None
    chat(run, weights=weights, seed=parsed.seed, device=parsed.device)


def _serve(parsed: argparse.Namespace) -> None:
    try:
        import starlette  # noqa: F401
        import uvicorn  # noqa: F401
    except ImportError as error:
        raise ValueError(f"serve needs {error.name}: pip install 'paretohqd[serve]'") from None
    run = opened(parsed)
    from paretohqd.policies.server import access_for, serve

    if parsed.ui and parsed.api_key_file is not None:
        raise ValueError("--ui: a page has no key to bring: leave out one of the two")
    access = access_for(parsed.host, names=parsed.name, key_file=parsed.api_key_file)
    place = f"[{parsed.host}]" if ":" in parsed.host else parsed.host
    say(f"http://{place}:{parsed.port}/v1: {', '.join(run.preferences)}, base, and w:.. between")
    serve(run, host=parsed.host, port=parsed.port, access=access, ui=parsed.ui)
