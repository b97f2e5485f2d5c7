"""Rewards: numbers for (prompt, response) pairs, and the frame that carries them.

A reward is anything with the three members of `Reward`: an embedded scorer, a reward model
(`ClassifierReward`), or a class of your own. Only reward models load torch.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import fields
from typing import Any, Protocol

import numpy as np
import polars as pl
from numpy.typing import NDArray

from paretohqd.exceptions import unknown_word
from paretohqd.frames.conversations.layouts import holds_values
from paretohqd.frames.conversations.rows import PAIR, Layout
from paretohqd.frames.conversations.texts import default_layout, prompts_and_answers
from paretohqd.rewards import embedded
from paretohqd.rewards.classifier import ClassifierReward
from paretohqd.rewards.inputs import refuse_blank
from paretohqd.rewards.judge import JudgeReward, judge_rewards
from paretohqd.rewards.rubric import Judge

__all__ = ["ClassifierReward", "Reward", "make_reward", "score"]

Scores = NDArray[np.float64]

# Long enough that equal lengths meet within a chunk, short enough to show progress.
_CHUNK = 1024


class Reward(Protocol):
    """A scorer of answers; larger is better."""

    @property
    def name(self) -> str:
        """Name of the column that its scores get."""

    def score(self, prompts: Sequence[str], responses: Sequence[str]) -> Scores:
        """(n,) finite scores of n pairs; a pair's score does not depend on the other pairs.

        A prompt of several messages is their JSON: `read_prompt` in `frames.conversations.prompts`
        reads any prompt.
        """

    def manifest(self) -> dict[str, Any]:
        """What to keep beside the scores: kind, model or package, versions, constants."""


def make_reward(
    *,
    name: str,
    scorer: str | None = None,
    model: str | None = None,
    judge: Judge | None = None,
    **options: Any,
) -> Reward:
    """Build a reward from a section of a configuration.

    Args:
        name: Column of the scores.
        scorer: "embedded:" and a key of `rewards.embedded.SCORERS`; or
        model: A sequence classifier, by hub name or folder; or
        judge: A language model behind a server, see `rewards.judge`.
        options: The other settings of `ClassifierReward`, with `model` only; `aspect`, what a
            rating is about, with `judge` only.

    Raises:
        ValueError: Neither or both of scorer and model, an unknown scorer or setting.

    Example:
        >>> make_reward(name="helpful", scorer="embedded:relevance")
        Relevance(name='helpful')
    """
    if judge is not None and scorer is None and model is None:
        aspect = options.pop("aspect", None)
        if options:
            raise ValueError(f"reward {name!r}: {', '.join(options)} go with model:, not judge:")
        return judge_rewards(judge, {name: aspect})[0]
    if (scorer is None) == (model is None) or judge is not None:
        raise ValueError(f"reward {name!r} needs either scorer: or model:, and not both")
    if model is not None:
        known = [f.name for f in fields(ClassifierReward) if f.init]
        for option in options:
            if option not in known:
                raise unknown_word(f"reward {name!r} has no setting", option, known)
        return ClassifierReward(name=name, model=model, **options)
    if options:
        raise ValueError(f"reward {name!r}: {', '.join(options)} go with model:, not with scorer:")
    origin, _, kind = str(scorer).partition(":")
    if origin != "embedded":
        raise ValueError(
            f"reward {name!r}: scorer must be embedded:<kind>, not {scorer!r}; kinds: "
            f"{', '.join(embedded.SCORERS)}"
        )
    return embedded.scorer(kind, name=name)


def score(
    frame: pl.DataFrame,
    rewards: Sequence[Reward],
    *,
    prompt: str = "prompt",
    response: str = "response",
    allow_empty: bool = False,
    plain: bool = False,
    progress: Callable[[int, int], None] | None = None,
) -> pl.DataFrame:
    """Add a column of scores for each reward.

    The frame that comes back has the schema that selection takes, so answers of a fine-tuned model
    go round the same loop.

    Args:
        frame: One row per answer.
        rewards: What to score by; each names its column.
        prompt: Column of the prompts: texts, or messages of a conversation that an answer ends;
            they may be empty but not null. Where the frame has no column "prompt", it is found as
            `Selection.to_dataset` finds it.
        response: Column of the answers, likewise, not null, and blank only with `allow_empty`.
        allow_empty: Score blank answers too, as a model's evaluation must; by default they are
            refused, because they are no training data.
        plain: The columns hold texts, as a run makes them, whatever these look like: no messages
            are looked for in them and nothing beside them.
        progress: Called with the number of scores done and the number in all.

    Returns:
        The frame with one Float64 column per reward after its own.

    Raises:
        ValueError: A column is missing or holds no texts, a null or empty text, a row with tools
            or with reasoning apart from its answer, no rewards, a name used twice or taken by a
            column, a score that is not finite.

    Example:
        >>> frame = pl.DataFrame({"prompt": ["How was it?"], "response": ["I loved it!"]})
        >>> score(frame, [embedded.Positivity()])["positivity"].to_list()
        [0.636]
    """
    _check(frame, [reward.name for reward in rewards])
    texts = read_texts(
        frame, prompt=prompt, response=response, allow_empty=allow_empty, plain=plain
    )
    prompts, responses = texts["prompt"].to_list(), texts["response"].to_list()
    columns = {reward.name: np.zeros(len(frame)) for reward in rewards}
    done, total = 0, len(frame) * len(rewards)

    def advance(rows: int) -> None:
        nonlocal done
        done += rows
        if progress is not None:
            progress(done, total)

    for reward in rewards:
        if isinstance(reward, JudgeReward):
            # What is unreadable is counted over the whole frame.
            columns[reward.name] = reward.score_rows(prompts, responses, {}, advance)
            continue
        for start in range(0, len(frame), _CHUNK):
            part = slice(start, start + _CHUNK)
            scores = np.asarray(reward.score(prompts[part], responses[part]), dtype=np.float64)
            if scores.shape != (len(responses[part]),):
                raise ValueError(
                    f"reward {reward.name!r} returned an array of shape {scores.shape} for "
                    f"{len(responses[part])} pairs: its score() must return one number per pair"
                )
            columns[reward.name][part] = scores
            advance(len(scores))
        bad = np.flatnonzero(~np.isfinite(columns[reward.name]))
        if bad.size:
            raise ValueError(
                f"reward {reward.name!r} gave {bad.size} score(s) that are not finite, the first, "
                f"{columns[reward.name][bad[0]]}, in row {bad[0]}: look at that answer, or load "
                "the model in float32"
            )
    return frame.with_columns(pl.Series(name, values) for name, values in columns.items())


def read_texts(
    frame: pl.DataFrame, *, prompt: str, response: str, allow_empty: bool, plain: bool = False
) -> pl.DataFrame:
    """What `score` reads in a frame: columns prompt and response, in the rows' order.

    Raises:
        ValueError: As `score`.
    """
    for name, column in (("prompt", prompt), ("response", response)):
        if column not in frame.columns and (plain or column != name):
            raise ValueError(
                f"no column {column!r} to score; the frame has {', '.join(frame.columns)}. Name "
                "the text columns with prompt= and response="
            )
        if column in frame.columns and not holds_values(frame.schema[column]):
            raise ValueError(f"column {column!r} holds {frame.schema[column]}, not strings")
    if plain:
        layout = Layout(prompt=prompt, answer=response)
        prompts, responses = frame[prompt], frame[response]
    else:
        layout = default_layout(
            frame, prompt=prompt, response=response, options="prompt=, response="
        )
        if layout.answer in PAIR and set(PAIR) <= set(frame.columns) and response not in PAIR:
            raise ValueError(
                "columns 'chosen' and 'rejected' hold two answers a row: name one with response="
            )
        prompts, responses = prompts_and_answers(frame, layout, allow_empty=allow_empty)
    refuse_blank(layout.prompt or str(layout.answer), prompts.to_list(), empty=True)
    refuse_blank(str(layout.answer), responses.to_list(), empty=allow_empty)
    return pl.DataFrame({"prompt": prompts, "response": responses})


def _check(frame: pl.DataFrame, names: list[str]) -> None:
    if not names:
        raise ValueError("no rewards to score by")
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise ValueError(f"two rewards are called {', '.join(twice)}: give each its own name")
    taken = [name for name in names if name in frame.columns]
    if taken:
        raise ValueError(
            f"the frame already has the column(s) {', '.join(taken)}: drop them, or rename them or "
            "the reward"
        )
