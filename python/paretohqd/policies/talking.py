"""A chat in a terminal, with a word to move between trade-offs."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import IO, Any

import polars as pl

from paretohqd.frames.conversations.prompts import write_prompt
from paretohqd.policies.asking import Weights, in_words
from paretohqd.policies.loaded import Policy, Run
from paretohqd.policies.scorers import scorers_of
from paretohqd.rewards.scoring import Reward, score
from paretohqd.safety.printing import printable
from paretohqd.selection.preferences import format_weights

HELP = """\
/w .7 .3        move to these weights, or to a preference by its name
/side .7 .3     answer with these weights too, side by side; /side alone turns it off
/again          answer the last message once more, with another seed
/new            begin a new conversation
/where          which models answer, and what is expected of them
/help           these lines
/quit           end (or Ctrl-D)"""


def chat(
    run: Run,
    *,
    weights: Weights | None = None,
    seed: int = 0,
    device: str = "auto",
    lines: Iterator[str] | None = None,
    out: IO[str] | None = None,
) -> None:
    """Talk until the lines end.

    Args:
        run: A finished run.
        weights: Where to begin; even weights if not given.
        seed: Of the first answer; each further one has the next.
        device: Where scorers work.
        lines: What the user types; the terminal's if not given.
        out: Where answers are written; standard output if not given.
    """
    even = [1 / len(run.objectives)] * len(run.objectives)
    first = run.policy(even if weights is None else weights)
    try:
        rewards, reason = scorers_of(run, device=device), ""
    except (ValueError, ImportError) as error:
        rewards, reason = [], str(error)
    talk = Chat(run=run, policy=first, rewards=rewards, seed=seed, out=out or sys.stdout)
    names = ", ".join(run.objectives)
    talk.say(f"{run.finished.folder.name}: weights for {names}; /help says what there is")
    talk.say(f"no scores under answers: {reason}" if reason else "")
    talk.where()
    for line in _typed() if lines is None else lines:
        if not talk.hear(line):
            return


def _typed() -> Iterator[str]:
    """Lines from the terminal, with its editing and history where there are."""
    with contextlib.suppress(ImportError):
        import readline  # noqa: F401 - input() then edits
    while True:
        try:
            yield input("> ")
        except EOFError:
            print()
            return


@dataclass(kw_only=True)
class Chat:
    """A conversation and where it stands between the objectives."""

    run: Run
    policy: Policy
    rewards: Sequence[Reward]
    seed: int
    out: IO[str]
    other: Policy | None = None
    """Whose answers stand beside the first one's."""
    turns: list[dict[str, Any]] = field(default_factory=list)

    def say(self, text: str) -> None:
        """Write a line, if there is anything to say."""
        if text:
            print(printable(text), file=self.out, flush=True)

    def hear(self, line: str) -> bool:
        """Take a line; returns whether the chat goes on."""
        line = line.strip()
        if not line.startswith("/"):
            if line:
                self.turns.append({"role": "user", "content": line})
                self._safely(self.answer)
            return True
        word, *rest = line.split()
        if word in ("/quit", "/exit"):
            return False
        known: dict[str, Callable[[], None]] = {
            "/w": lambda: self._move(rest),
            "/side": lambda: self._side(rest),
            "/again": self._again,
            "/new": self.turns.clear,
            "/where": self.where,
            "/help": lambda: self.say(HELP),
        }
        if word in known:
            self._safely(known[word])
        else:
            self.say(f"no word {word}: /help says what there is")
        return True

    def where(self) -> None:
        """Say which models answer, and what is expected of them."""
        for policy in filter(None, (self.policy, self.other)):
            expected = ", ".join(
                f"{name} {value.mean:.3f}" + (f" (se {value.se:.3f})" if value.se else "")
                for name, value in policy.predicted.items()
            )
            self.say(policy.note)
            self.say(f"w = {format_weights(policy.asked)}: {policy}; expected {expected}")

    def answer(self) -> None:
        """Answer the conversation's last message; what is said first goes on with it."""
        prompt = write_prompt(self.turns)
        policies = [self.policy] if self.other is None else [self.policy, self.other]
        answers = []
        for policy in policies:
            if self.other is not None:
                self.say(f"-- w = {format_weights(policy.asked)}")
            pieces = []
            for piece in policy.stream(self.turns, seed=self.seed):
                pieces.append(piece)
                print(printable(piece), end="", file=self.out, flush=True)
            print(file=self.out, flush=True)
            answers.append("".join(pieces))
            self._score(prompt, answers[-1])
        self.seed += 1
        self.turns.append({"role": "assistant", "content": answers[0]})

    def _score(self, prompt: str, answer: str) -> None:
        if not self.rewards:
            return
        frame = pl.DataFrame({"prompt": [prompt], "response": [answer]})
        try:
            scored = score(frame, self.rewards, allow_empty=True, plain=True, keep_loaded=True)
        except ValueError as error:  # a scorer that reads a column that no chat has, say
            self.say(f"no scores: {error}")
            self.rewards = []
            return
        values = "  ".join(f"{name} {scored[name][0]:.3f}" for name in self.run.objectives)
        self.say(f"   [{values}]")

    def _move(self, words: list[str]) -> None:
        self.policy = self._named(words)
        self.where()

    def _side(self, words: list[str]) -> None:
        self.other = self._named(words) if words else None
        self.where()

    def _named(self, words: list[str]) -> Policy:
        if not words:
            raise ValueError("say the weights, or a preference's name")
        return self.run.policy(in_words(words))

    def _again(self) -> None:
        if not self.turns:
            raise ValueError("nothing was said yet")
        if self.turns[-1]["role"] == "assistant":
            self.turns.pop()
        self.answer()

    def _safely(self, work: Callable[[], None]) -> None:
        """Do something; what goes wrong is said, and what was typed is not kept."""
        try:
            work()
        except KeyboardInterrupt:
            self.say("\n(stopped)")
        except ValueError as error:
            self.say(str(error))
        else:
            return
        if self.turns and self.turns[-1]["role"] == "user":
            self.turns.pop()
