"""The command `score`: a column of scores per reward, by scorers, models, code and judges."""

from __future__ import annotations

import argparse
import dataclasses
import json
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from paretohqd.cli import arguments, rows
from paretohqd.cli.terminal import add_command
from paretohqd.cli.train import add_hosts, add_trust, wait_briefly
from paretohqd.exceptions import check_keys, unknown_word
from paretohqd.frames.writing import write_text
from paretohqd.safety.secrets import redacted, refuse_secrets

if TYPE_CHECKING:
    from paretohqd.cli.terminal import Commands
    from paretohqd.frames.sources import Source
    from paretohqd.rewards.judge import Panel
    from paretohqd.rewards.rubric import Judge
    from paretohqd.rewards.scoring import Reward

JUDGE = "judge:"
"""What a reward begins with that is a judge's rating; the file that says who judges follows."""


def add_commands(commands: Commands) -> None:
    """Add `score` to the command line."""
    score = add_command(
        commands,
        "score",
        does="add a column of scores per reward",
        example="paretohqd score a.jsonl -o scored.parquet --reward harmless=embedded:harmless",
    )
    rows.add_arguments(score, required=True)
    rewards = score.add_argument_group("rewards")
    rewards.add_argument(
        "--reward",
        action="append",
        required=True,
        type=arguments.pair,
        dest="rewards",
        metavar="NAME=WHAT",
        help="embedded:harmless, rule:finished, package.module:function, file.py:function, "
        "judge:FILE.yaml (a language model behind a server), or a sequence-classification model "
        "(hub name, or a path that begins with ./, ../, ~/ or /); give it again for more",
    )
    rewards.add_argument("--template", help="text with {prompt} and {response}, for reward models")
    rewards.add_argument(
        "--pair",
        action=argparse.BooleanOptionalAction,
        help="give reward models prompt and answer as a pair of texts, or as one (found out)",
    )
    rewards.add_argument(
        "--options",
        action="append",
        default=[],
        type=arguments.pair,
        metavar="NAME={KEY: VALUE}",
        help="settings of the rule or function of that name, such as 'brief={most: 40}', or what "
        "a judge's rating is about: 'kind={aspect: \"Is it kind?\"}'; give it again for more",
    )
    texts = score.add_argument_group("texts")
    texts.add_argument("--prompt", default="prompt", metavar="COLUMN", help="prompts (prompt)")
    texts.add_argument(
        "--response", default="response", metavar="COLUMN", help="answers (response)"
    )
    trust = score.add_argument_group("trust")
    add_trust(trust)
    add_hosts(trust, whose="judges")
    score.set_defaults(work=_score)


def _score(parsed: argparse.Namespace) -> None:
    wait_briefly()
    from paretohqd.models.consent import consenting
    from paretohqd.rewards import judge
    from paretohqd.rewards.code import is_code

    with consenting(
        trust_remote_code=parsed.trust_remote_code,
        allow_code=parsed.allow_code,
        send_to=parsed.send_to,
    ) as allowed:
        given = [what for _, what in parsed.rewards]
        allowed.check_models(given)
        allowed.check_scorers(filter(is_code, given))
        source = rows.opened(parsed)
        rewards = _rewards(parsed)
        panels = judge.panels(rewards)
        allowed.check_hosts(panel.judge.host for panel in panels)
        for panel in panels:
            panel.client.check()
        with _kept_replies(parsed.output, panels):
            _scored(parsed, source, rewards)
        for panel in panels:
            rows.say(parsed, panel.asked())


def _rewards(parsed: argparse.Namespace) -> list[Reward]:
    """What --reward names, in its order; rewards of one judge's file are asked for together."""
    from paretohqd.rewards import judge, scoring
    from paretohqd.rewards.code import is_code

    own = _options(parsed)
    judges = {what: _judge(what) for _, what in parsed.rewards if what.startswith(JUDGE)}
    judged = judge.shared(
        {
            name: (judges[what], own.get(name, {}).get("aspect"))
            for name, what in parsed.rewards
            if what in judges
        }
    )
    given = {"template": parsed.template, "pair": parsed.pair}
    of_models = {name: value for name, value in given.items() if value is not None}
    rewards: list[Reward] = []
    models = 0
    for name, what in parsed.rewards:
        options: dict[str, Any] = {"options": own[name]} if name in own else {}
        if name in judged:
            rewards.append(judged[name])
        elif what.startswith(("embedded:", "rule:")) or is_code(what):
            rewards.append(scoring.make_reward(name=name, scorer=what, **options))
        else:
            models += 1
            rewards.append(scoring.make_reward(name=name, model=what, **options, **of_models))
    if of_models and not models:
        raise ValueError(
            f"--{next(iter(of_models))} is for reward models: the embedded scorers take none"
        )
    return rewards


def _judge(what: str) -> Judge:
    """The judge that a file describes, as `judge:` does in a run's configuration."""
    from paretohqd.models.template_files import find_rubric
    from paretohqd.rewards.rubric import Judge
    from paretohqd.runs.config_reader import from_mapping
    from paretohqd.runs.yaml_reader import read_yaml_file

    path = Path(what.removeprefix(JUDGE)).expanduser()
    if path.suffix not in (".yaml", ".yml"):
        raise ValueError(
            f"--reward {what}: expected judge:FILE.yaml, with the url, model and rubric of a judge"
        )
    try:
        mapping = read_yaml_file(path)
        refuse_secrets(mapping)  # before any message could show one
        judge = from_mapping(Judge, mapping)
        rubric = find_rubric(judge.rubric, path.absolute().parent)
    except FileNotFoundError:
        raise ValueError(f"{path}: no such file") from None
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from None
    return dataclasses.replace(judge, rubric=rubric)


@contextmanager
def _kept_replies(output: Path, panels: Sequence[Panel]) -> Iterator[None]:
    """Keep what judges say in a folder beside the output: nothing is paid for twice."""
    if not panels or output == rows.STREAM:
        yield
        return
    from paretohqd.models.replies import Replies
    from paretohqd.runs.locking import lock_folder
    from paretohqd.runs.trusted import make_folders

    place = _beside(output, "replies")
    make_folders(place.parent, place)
    lock = lock_folder(place)
    replies = Replies(place)
    for panel in panels:
        panel.keep(replies)
    try:
        yield
    finally:
        replies.close()
        if lock is not None:
            lock.release()


def _beside(output: Path, what: str) -> Path:
    """A folder beside the output; no reader of the output's folder takes it for rows."""
    return output.absolute().with_name(f"_{output.name}.{what}")


def _scored(parsed: argparse.Namespace, source: Source, rewards: Sequence[Reward]) -> None:
    from paretohqd.cli.kept_scores import score_and_keep
    from paretohqd.rewards import scoring

    frame, columns = source.whole(), {"prompt": parsed.prompt, "response": parsed.response}
    if parsed.output == rows.STREAM:
        rows.write(scoring.score(frame, rewards, **columns), parsed.output)
    else:
        place = _beside(parsed.output, "scores")
        rows.write(score_and_keep(frame, rewards, place, **columns), parsed.output)
        shutil.rmtree(place)
        manifest = {"rewards": [reward.manifest() for reward in rewards], "rows": len(frame)}
        beside = parsed.output.with_name(f"{parsed.output.name}.manifest.json")
        write_text(beside, json.dumps(redacted(manifest), indent=1, default=str))
    rows.say(parsed, f"{len(frame)} answers scored by {', '.join(r.name for r in rewards)}")


def _options(parsed: argparse.Namespace) -> dict[str, dict[str, Any]]:
    """What --options says of each reward."""
    from paretohqd.runs.yaml_reader import read_yaml

    rewards = dict(parsed.rewards)
    options: dict[str, dict[str, Any]] = {}
    for name, text in parsed.options:
        where = f"--options {name}"
        if name not in rewards:
            raise unknown_word(f"{where}: no reward", name, list(rewards))
        judged = rewards[name].startswith(JUDGE)
        try:
            value = read_yaml(text)
            if judged and isinstance(value, dict):
                check_keys(value, ["aspect"], "")
        except ValueError as error:
            raise ValueError(f"{where}: {error}") from None
        if not isinstance(value, dict):
            raise ValueError(f"{where}: expected {{KEY: VALUE}}, got {text!r}")
        if judged and not isinstance(value.get("aspect"), str | None):
            raise ValueError(f"{where}: aspect: expected text, got {value['aspect']!r}")
        options[name] = value
    return options
