"""Ratings by a language model behind a server with OpenAI's interface, as rewards.

Objectives of one judge are rated in one call. Each reply is kept as it comes, so that what was paid
for is not paid for again, whoever asks next.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from importlib.metadata import version
from typing import Any

import numpy as np
from numpy.typing import NDArray

from paretohqd.models.endpoint import EndpointClient
from paretohqd.models.endpoint_requests import Counts, Request
from paretohqd.models.replies import Replies, Reply, key_of
from paretohqd.models.template_files import rubric_text
from paretohqd.rewards.rubric import (
    VERSION,
    Aspects,
    Judge,
    messages,
    read_ratings,
    response_format,
)

Scores = NDArray[np.float64]
Progress = Callable[[int, int], None]


@dataclass(kw_only=True)
class Panel:
    """A judge and what it rates of an answer in one call."""

    judge: Judge
    aspects: Aspects
    replies: Replies = field(default_factory=Replies)
    """What was said before, and where new replies are kept."""
    sends: str = ""
    """Who would send what, for the message where that is not allowed."""
    unreadable: int = field(default=0, init=False)
    """Answers since `begin` without a rating that could be read."""
    reported: str | None = field(default=None, init=False)
    """What the server called its model when it last replied."""
    _client: EndpointClient | None = field(default=None, init=False, repr=False)
    _rubric: str = field(default="", init=False, repr=False)
    _rated: dict[str, dict[str, Scores]] = field(default_factory=dict, init=False, repr=False)
    """What was rated since `begin`, for the other aspects of the same calls."""

    def __post_init__(self) -> None:
        """Read the rubric."""
        self._rubric = rubric_text(self.judge.rubric)
        if not self.sends:
            key = self.judge.api_key_env
            self.sends = (
                f"objectives: {', '.join(self.aspects)}: the judge at {self.judge.host} would get "
                "prompt and response of every row that is scored"
                + (f", with the key in the variable {key}" if key else "")
            )

    @property
    def client(self) -> EndpointClient:
        """The client of the judge's server."""
        if self._client is None:
            self._client = EndpointClient(
                spec=self.judge,
                sends=self.sends,
                replies=self.replies,
                # Another rubric does not begin a new budget.
                purse=f"judge-{self.judge.model}",
                optional=("response_format",),
                lenient=True,
            )
        return self._client

    def keep(self, replies: Replies) -> None:
        """Go on with what was said before, and keep what is said from now on."""
        self.replies, self._client = replies, None

    def begin(self) -> None:
        """Count anew."""
        self.unreadable, self._rated, self.client.counts = 0, {}, Counts()

    def identity(self) -> dict[str, Any]:
        """What ratings depend on: not where the judge is, nor how it is paid."""
        return {
            "version": VERSION,
            "model": self.judge.model,
            "rubric": hashlib.sha256(self._rubric.encode()).hexdigest(),
            "scale": [float(end) for end in self.judge.scale],
            "aspects": dict(self.aspects),
            "tries": self.judge.tries,
            "reply_tokens": self.judge.reply_tokens,
            "unreadable": self.judge.unreadable,
        }

    def rate(
        self, prompts: Sequence[str], responses: Sequence[str], progress: Progress | None = None
    ) -> dict[str, Scores]:
        """Ratings of n answers, by name.

        Args:
            prompts: n prompts.
            responses: An answer to each.
            progress: Called with the number of answers that were tried, and n.

        Raises:
            ValueError: As `EndpointClient.ask`; or more ratings than allowed could not be read
                after all were tried.
        """
        mark = key_of({"prompts": list(prompts), "responses": list(responses)})
        if mark in self._rated:
            return self._rated[mark]
        rows: list[dict[str, float] | None] = [None] * len(responses)
        pending, said = list(range(len(responses))), dict[int, Reply]()
        for attempt in range(self.judge.tries):
            if not pending:
                break
            asked = [self._request(i, prompts[i], responses[i], attempt) for i in pending]
            replies = self.client.ask(asked, progress=progress if attempt == 0 else None)
            for i, reply in zip(pending, replies, strict=True):
                rows[i], said[i] = read_ratings(reply.text, self.judge, self.aspects), reply
                self.reported = reply.model or self.reported
            pending = [i for i in pending if rows[i] is None]
        self.unreadable += len(pending)
        if len(pending) > self.judge.unreadable * len(responses):
            raise self._refusal(pending, len(responses), said[pending[0]])
        worst = float(self.judge.scale[0])
        ratings = {
            name: np.array([worst if row is None else row[name] for row in rows], dtype=np.float64)
            for name in self.aspects
        }
        self._rated[mark] = ratings
        return ratings

    def counts(self) -> dict[str, int]:
        """Requests and tokens of this process, for manifests."""
        return {**vars(self.client.counts), "unreadable": self.unreadable}

    def asked(self) -> str:
        """A line for people: what was asked and paid since `begin`."""
        counts = self.client.counts
        again = f", {counts.repeated} sent again" if counts.repeated else ""
        bad = f", {self.unreadable} answers without a readable rating" if self.unreadable else ""
        return (
            f"judge {self.judge.model} at {self.judge.host}: {counts.requests} requests{again}, "
            f"{counts.kept} replies were there, {counts.read + counts.written} tokens{bad}"
        )

    def _request(self, row: int, prompt: str, answer: str, attempt: int) -> Request:
        return Request(
            body={
                "messages": messages(self.judge, self._rubric, self.aspects, prompt, answer),
                "temperature": 0,
                "max_tokens": self.judge.reply_tokens,
                "seed": attempt,
                "response_format": response_format(self.aspects),
            },
            depends={"judge": VERSION, "model": self.judge.model},
            row=row,
        )

    def _refusal(self, pending: Sequence[int], rows: int, said: Reply) -> ValueError:
        names = ", ".join(self.aspects)
        text = " ".join(said.text.split())
        shown = repr(text if len(text) <= 200 else f"{text[:200]}...")
        if not text:  # what took it away, or what the server said in place of a reply
            shown = f"no text ({said.finish or 'no reason is given'})"
        limit = " (it was cut off: raise reply_tokens)" if said.finish == "length" else ""
        return ValueError(
            f"objectives: {names}: of {rows} answers {len(pending)} have no rating that can be "
            f"read after {self.judge.tries} tries, the first in row {pending[0]}: {shown}{limit}; "
            "make the rubric plainer, take another model, or allow a share of them with "
            "judge.unreadable (they get the worst rating); what was paid for is kept"
        )


@dataclass(frozen=True, kw_only=True)
class JudgeReward:
    """One rating of a panel, as a reward.

    Example:
        >>> judge = Judge(url="http://localhost:8000/v1", model="m", rubric="Is it kind?")
        >>> [reward.name for reward in judge_rewards(judge, {"kind": None, "brief": "Short?"})]
        ['kind', 'brief']
    """

    name: str
    panel: Panel

    def reads(self, available: Sequence[str]) -> list[str]:
        """No columns but prompt and response."""
        return []

    def score(self, prompts: Sequence[str], responses: Sequence[str]) -> Scores:
        """(n,) ratings on the judge's scale.

        Raises:
            ValueError: As `Panel.rate`.
        """
        return self.score_rows(prompts, responses, {})

    def score_rows(
        self,
        prompts: Sequence[str],
        responses: Sequence[str],
        columns: Mapping[str, Any],
        progress: Callable[[int], None] | None = None,
    ) -> Scores:
        """(n,) ratings of a whole frame: how many are unreadable is counted over all of it.

        Args:
            prompts: n prompts.
            responses: An answer to each.
            columns: No others are read.
            progress: Called with the number of rows that are newly done.
        """
        done = 0

        def advance(now: int, total: int) -> None:
            nonlocal done
            if progress is not None and now > done:
                progress(now - done)
                done = now

        ratings = self.panel.rate(prompts, responses, advance)[self.name]
        advance(len(responses), len(responses))
        return ratings

    def manifest(self) -> dict[str, Any]:
        """Judge, rubric's hash, package, and what was asked and paid."""
        identity = self.panel.identity()
        return {
            "name": self.name,
            "kind": "judge",
            **identity,
            "reported_model": self.panel.reported,
            "packages": {"openai": version("openai")},
            "asked": self.panel.counts(),
        }


def judge_rewards(
    judge: Judge, aspects: Aspects, replies: Replies | None = None
) -> list[JudgeReward]:
    """The rewards of one judge, which rates them all in one call.

    Args:
        judge: The judge.
        aspects: Names of the rewards, and what each is about, or None where the rubric says it.
        replies: What was said before, and where new replies are kept; in memory by default.
    """
    panel = Panel(judge=judge, aspects=dict(aspects), replies=replies or Replies())
    return [JudgeReward(name=name, panel=panel) for name in aspects]


def panels(rewards: Sequence[object]) -> list[Panel]:
    """The panels of some rewards, each once."""
    found: dict[int, Panel] = {
        id(reward.panel): reward.panel for reward in rewards if isinstance(reward, JudgeReward)
    }
    return list(found.values())


def shared(given: Mapping[str, tuple[Judge, str | None]]) -> dict[str, JudgeReward]:
    """Rewards by name, those of equal judges in one panel.

    Args:
        given: The judge of each, and what it is about.

    Raises:
        ValueError: As `rubric_text`.
    """
    groups: dict[Judge, dict[str, str | None]] = {}
    for name, (judge, about) in given.items():
        groups.setdefault(judge, {})[name] = about
    return {
        reward.name: reward
        for judge, aspects in groups.items()
        for reward in judge_rewards(judge, aspects)
    }
