"""Rewards: numbers for (prompt, response) pairs, and the frame that carries them.

A reward is anything with the three members of `Reward`: an embedded scorer, a rule, a function
(`CallableReward`), a reward model (`ClassifierReward`), or a class of your own. Only reward models
load torch.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import fields
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from paretohqd.exceptions import unknown_word
from paretohqd.frames.conversations.layouts import holds_values
from paretohqd.frames.conversations.rows import PAIR, Layout
from paretohqd.frames.conversations.texts import default_layout, prompts_and_answers
from paretohqd.rewards import classifier, embedded, rules
from paretohqd.rewards.callables import CallableReward, Progress
from paretohqd.rewards.classifier import ClassifierReward
from paretohqd.rewards.code import is_code
from paretohqd.rewards.inputs import refuse_blank
from paretohqd.rewards.judge import judge_rewards
from paretohqd.rewards.named_functions import named_callable
from paretohqd.rewards.protocols import ColumnReward, Reward, Scorer, named_rewards
from paretohqd.rewards.rubric import Judge

__all__ = ["CallableReward", "ClassifierReward", "ColumnReward", "Reward", "make_reward", "score"]

Scores = NDArray[np.float64]

# Rows that a reward of a user's own is given at a time, so that progress shows.
_CHUNK = 1024


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
        scorer: "embedded:" and a key of `rewards.embedded.SCORERS`; "rule:" and a key of
            `rewards.rules.RULES`; or "package.module:function" or "file.py:function", which is code
            and runs where `models.consent.consenting(allow_code=[...])` names it; or
        model: A sequence classifier, by hub name or folder; or
        judge: A language model behind a server, see `rewards.judge`.
        options: The other settings of `ClassifierReward` with `model`; `options` with a rule;
            `columns`, `messages`, `options` and `batch_size` with code; `aspect`, what a rating is
            about, with `judge`.

    Raises:
        ValueError: Neither or both of scorer and model, an unknown scorer or setting, or code that
            is not allowed or cannot be loaded.

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
    if scorer is None:
        known = [f.name for f in fields(ClassifierReward) if f.init]
        for option in options:
            if option not in known:
                raise unknown_word(f"reward {name!r} has no setting", option, known)
        assert model is not None
        return ClassifierReward(name=name, model=model, **options)
    origin, _, kind = scorer.partition(":")
    takes: tuple[str, ...] = ()
    if is_code(scorer):
        takes = ("columns", "messages", "options", "batch_size")
    elif origin == "rule":
        takes = ("options",)
    if others := [option for option in options if option not in takes]:
        raise ValueError(f"reward {name!r}: {_misplaced(others)}")
    if is_code(scorer):
        return named_callable(name=name, scorer=scorer, **options)
    if origin == "rule":
        return rules.rule(kind, name=name, options=options.get("options") or {})
    if origin != "embedded":
        raise ValueError(
            f"reward {name!r}: scorer must be embedded:<kind>, rule:<kind>, module:function or "
            f"file.py:function, not {scorer!r}; kinds: {', '.join(embedded.SCORERS)}; "
            f"{', '.join(rules.RULES)}"
        )
    return embedded.scorer(kind, name=name)


_OF_SCORERS = {
    "columns": "a function",
    "messages": "a function",
    "options": "a rule or a function",
}


def _misplaced(options: list[str]) -> str:
    """What goes with another kind of reward."""
    of_models = [option for option in options if option not in _OF_SCORERS]
    if of_models:
        return f"{', '.join(of_models)} go with model:, not with scorer:"
    return "; ".join(f"{option} goes with {_OF_SCORERS[option]}" for option in options)


def score(
    frame: pl.DataFrame,
    rewards: Sequence[Scorer] | Mapping[str, Scorer],
    *,
    prompt: str = "prompt",
    response: str = "response",
    allow_empty: bool = False,
    plain: bool = False,
    progress: Callable[[int, int], None] | None = None,
    keep_loaded: bool = False,
) -> pl.DataFrame:
    """Add a column of scores for each reward.

    The frame that comes back has the schema that selection takes, so answers of a fine-tuned model
    go round the same loop. Reward models that are outputs of one head share one network and its
    forward passes; of several networks one at a time is in memory.

    Args:
        frame: One row per answer.
        rewards: What to score by: rewards and functions, each by the name of its column, or in a
            list, where each names its column itself. A function is called as TRL's trainers call
            reward functions (see `CallableReward`), with the frame's other columns.
        prompt: Column of the prompts: texts, or messages of a conversation that an answer ends;
            they may be empty but not null. Where the frame has no column "prompt", it is found as
            `Selection.to_dataset` finds it.
        response: Column of the answers, likewise, not null, and blank only with `allow_empty`.
        allow_empty: Score blank answers too, as a model's evaluation must; by default they are
            refused, because they are no training data.
        plain: The columns hold texts, as a run makes them, whatever these look like: no messages
            are looked for in them and nothing beside them.
        progress: Called with the number of scores done and the number in all.
        keep_loaded: Keep the networks of all reward models in memory, for a call that will follow.

    Returns:
        The frame with one Float64 column per reward after its own.

    Raises:
        ValueError: A column is missing or holds no texts, a null or empty text, a row with tools
            or with reasoning apart from its answer, no rewards, a name used twice or taken by a
            column, a score that is not finite, a function that fails or returns no numbers.

    Example:
        >>> frame = pl.DataFrame({"prompt": ["How was it?"], "response": ["I loved it!"]})
        >>> score(frame, [embedded.Positivity()])["positivity"].to_list()
        [0.636]
        >>> def brief(completions, **more):
        ...     return [-float(len(text)) for text in completions]
        >>> score(frame, {"kind": embedded.Positivity(), "brief": brief}).row(0)[2:]
        (0.636, -11.0)
    """
    named = named_rewards(rewards)
    names = [name for name, _ in named]
    check_names(frame, names)
    groups = {id(group[0]): group for group in grouped([reward for _, reward in named])}
    models = [model for group in groups.values() for model in group]
    columns = {
        name: _columns(frame, name, reward, (prompt, response))
        for name, reward in named
        if isinstance(reward, ColumnReward)
    }
    texts = read_texts(
        frame, prompt=prompt, response=response, allow_empty=allow_empty, plain=plain
    )
    prompts, responses = texts["prompt"].to_list(), texts["response"].to_list()
    done, total = 0, len(frame) * len(named)

    def advance(rows: int) -> None:
        nonlocal done
        done += rows
        if progress is not None:
            progress(done, total)

    scores: dict[int, Scores] = {}
    for name, reward in named:
        if isinstance(reward, ClassifierReward):
            if group := groups.get(id(reward)):
                if not (keep_loaded or any(one.is_loaded() for one in group)):
                    _unload(models, group)
                together = classifier.score_together(group, prompts, responses, advance)
                scores |= {id(one): of_one for one, of_one in zip(group, together, strict=True)}
        elif isinstance(reward, ColumnReward):
            rows = reward.score_rows(prompts, responses, columns[name], advance)
            scores[id(reward)] = _checked(name, rows, len(frame))
        else:
            scores[id(reward)] = _in_parts(name, reward, prompts, responses, advance)
    for name, reward in named:
        refuse_infinite(name, scores[id(reward)])
    return frame.with_columns(pl.Series(name, scores[id(reward)]) for name, reward in named)


def grouped(rewards: Iterable[Reward]) -> list[list[ClassifierReward]]:
    """The reward models among some rewards, those that share a network together.

    Raises:
        ValueError: Two that read the same output.
    """
    return classifier.grouped([each for each in rewards if isinstance(each, ClassifierReward)])


def _columns(
    frame: pl.DataFrame, name: str, reward: ColumnReward, texts: tuple[str, str]
) -> dict[str, list[Any]]:
    """The values of the columns that a reward reads."""
    others = [column for column in frame.columns if column not in texts]
    wanted = reward.reads(others)
    missing = [column for column in wanted if column not in frame.columns]
    if missing:
        raise ValueError(
            f"reward {name!r} reads the column(s) {', '.join(missing)}, which the frame has not: "
            f"it has {', '.join(frame.columns)}"
        )
    return {column: frame[column].to_list() for column in wanted}


def _unload(models: Sequence[ClassifierReward], group: Sequence[ClassifierReward]) -> None:
    """Let the other networks go before one is loaded."""
    for model in models:
        if not any(model is one for one in group):
            model.unload()


def _in_parts(
    name: str,
    reward: Reward,
    prompts: Sequence[str],
    responses: Sequence[str],
    advance: Progress,
) -> Scores:
    scores = np.zeros(len(responses))
    for start in range(0, len(responses), _CHUNK):
        part = slice(start, start + _CHUNK)
        some = reward.score(prompts[part], responses[part])
        scores[part] = _checked(name, some, len(responses[part]))
        advance(len(responses[part]))
    return scores


def _checked(name: str, scores: Any, count: int) -> Scores:
    made = np.asarray(scores, dtype=np.float64)
    if made.shape != (count,):
        raise ValueError(
            f"reward {name!r} returned an array of shape {made.shape} for {count} pairs: its "
            "score() must return one number per pair"
        )
    return made


def refuse_infinite(name: str, scores: Scores, rows: NDArray[np.int64] | None = None) -> None:
    """Raise a ValueError if a score is not finite; `rows` are the rows' numbers, if not from 0."""
    bad = np.flatnonzero(~np.isfinite(scores))
    if bad.size:
        row = bad[0] if rows is None else rows[bad[0]]
        raise ValueError(
            f"reward {name!r} gave {bad.size} score(s) that are not finite, the first, "
            f"{scores[bad[0]]}, in row {row}: look at that answer, or load the model in float32"
        )


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


def check_names(frame: pl.DataFrame, names: list[str]) -> None:
    """Refuse names of scores that are none, given twice, or taken by a column.

    Raises:
        ValueError: Such names.
    """
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
