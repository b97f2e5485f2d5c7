"""Data sets that are known by their columns: several answers, or several ratings, a row.

Each becomes rows of a prompt and one answer, with a column of numbers for each rating, larger being
better, so that objectives can be taken from columns. What else a row holds stays beside each of its
answers. Sets whose rows are conversations with one answer need nothing of this, see `layouts`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any, NamedTuple

import polars as pl

from paretohqd.frames.conversations.messages import ROLES, Message
from paretohqd.frames.conversations.prompts import write_prompt

Row = Mapping[str, Any]
Answers = Iterator[dict[str, Any]]
"""Rows of prompt, response and ratings that a row of a set becomes."""


class KnownSet(NamedTuple):
    """One data set, or several that share their columns."""

    name: str
    columns: frozenset[str]
    """The columns by which it is known."""
    answers: Callable[[Row], Answers]
    ratings: tuple[str, ...]
    """Its columns of numbers."""
    dropped: frozenset[str] = frozenset()
    """Columns that hold answers and what is said of one of them."""


def known_set(columns: list[str]) -> KnownSet | None:
    """The data set that has these columns, if one is known.

    Example:
        >>> known_set(["context", "response1", "response2", "overall_preference"]).name
        'HelpSteer3'
        >>> known_set(["prompt", "response"]) is None
        True
    """
    return next((one for one in SETS if one.columns <= set(columns)), None)


def unfold(frame: pl.DataFrame) -> pl.DataFrame:
    """A known set's answers, one a row; any other frame as it is.

    Example:
        >>> frame = pl.DataFrame({
        ...     "prompt": ["Tea?"], "response_0": ["No."], "response_1": ["Yes."],
        ...     "better_response_id": [1], "safer_response_id": [0],
        ... })
        >>> unfold(frame).select("prompt", "response", "better", "safer").rows()
        [('Tea?', 'No.', 0.0, 1.0), ('Tea?', 'Yes.', 1.0, 0.0)]
    """
    if set(frame.columns) >= TREE:
        return _trees(frame)
    known = known_set(frame.columns)
    if known is None:
        return frame
    rows, numbers = [], []
    for number, row in enumerate(frame.iter_rows(named=True)):
        for answer in known.answers(row):
            rows.append(answer)
            numbers.append(number)
    schema: dict[str, Any] = {"prompt": pl.String, "response": pl.String}
    schema |= dict.fromkeys(known.ratings, pl.Float64)
    answers = pl.DataFrame(rows, schema=schema)
    taken = known.columns | known.dropped | set(schema)
    places = pl.Series(numbers, dtype=pl.UInt32)
    others = [frame[name].gather(places) for name in frame.columns if name not in taken]
    return answers.with_columns(others)


def _number(value: Any) -> float | None:
    """A rating; None where there is none ("N/A")."""
    try:
        return None if value is None else float(value)
    except ValueError:
        return None


ULTRAFEEDBACK = ("instruction_following", "truthfulness", "honesty", "helpfulness")


def _ultrafeedback(row: Row) -> Answers:
    for completion in row["completions"] or []:
        ratings = completion["annotations"] or {}
        yield {
            "prompt": row["instruction"],
            "response": completion["response"],
            **{name: _number((ratings.get(name) or {}).get("Rating")) for name in ULTRAFEEDBACK},
        }


HELPSTEER = ("helpfulness", "correctness", "coherence", "complexity", "verbosity")
_TURN = re.compile(r"\s*<extra_id_1>(User|Assistant)\n")


def _helpsteer(row: Row) -> Answers:
    first, *others = _TURN.split(row["prompt"])
    turns: list[Message] = [{"role": "user", "content": first}] if first.strip() else []
    for role, content in zip(others[::2], others[1::2], strict=True):
        turns.append({"role": role.lower(), "content": content})
    # Some prompts end where the answer begins.
    if len(turns) > 1 and turns[-1] == {"role": "assistant", "content": ""}:
        turns.pop()
    ratings = {name: _number(row[name]) for name in HELPSTEER}
    yield {"prompt": write_prompt(turns), "response": row["response"], **ratings}


def _helpsteer3(row: Row) -> Answers:
    prompt = write_prompt(row["context"])
    preference = _number(row["overall_preference"])  # from -3, the first is much better, to 3
    for side, name in ((-1, "response1"), (1, "response2")):
        preferred = None if preference is None else side * preference
        yield {"prompt": prompt, "response": row[name], "preferred": preferred}


def _safe_rlhf(row: Row) -> Answers:
    for number in (0, 1):
        severity = _number(row.get(f"response_{number}_severity_level"))
        yield {
            "prompt": row["prompt"],
            "response": row[f"response_{number}"],
            "better": float(row["better_response_id"] == number),
            "safer": float(row["safer_response_id"] == number),
            "safe": _number(row.get(f"is_response_{number}_safe")),
            "mildness": None if severity is None else -severity,
        }


def _post(info: Row) -> str:
    """A post or an article, as the models of the set read it."""
    if info.get("post"):
        head = f"SUBREDDIT: r/{info.get('subreddit')}\n\nTITLE: {info.get('title')}\n\n"
        return f"{head}POST: {info['post']}\n\nTL;DR:"
    return f"{info.get('title') or ''}\n\n{info.get('article') or ''}\n\nTL;DR:".lstrip()


def _compared_summaries(row: Row) -> Answers:
    for number, summary in enumerate(row["summaries"]):
        chosen = float(row["choice"] == number)
        yield {"prompt": _post(row["info"]), "response": summary["text"].strip(), "chosen": chosen}


AXES = ("overall", "accuracy", "coverage", "coherence")


def _rated_summary(row: Row) -> Answers:
    summary = row["summary"]
    axes = summary["axes"] or {}
    yield {
        "prompt": _post(row["info"]),
        "response": summary["text"].strip(),
        **{name: _number(axes.get(name)) for name in AXES},
    }


TREE = {"message_id", "parent_id", "text", "role"}
LABELS = ("quality", "helpfulness", "creativity", "humor")


def _trees(frame: pl.DataFrame) -> pl.DataFrame:
    """Trees of messages, as OpenAssistant's: each answer with all messages above it."""
    messages = {row["message_id"]: row for row in frame.iter_rows(named=True)}
    rows = []
    for row in messages.values():
        if ROLES.get(row["role"]) != "assistant" or row["parent_id"] not in messages:
            continue
        path: list[Message] = []
        above = row["parent_id"]
        while above is not None:
            if above not in messages or len(path) > len(messages):
                path = []
                break
            message = messages[above]
            path.append({"role": ROLES.get(message["role"], ""), "content": message["text"]})
            above = message["parent_id"]
        if not path:  # a message above is missing
            continue
        labels = row.get("labels") or {}
        given = dict(zip(labels.get("name") or [], labels.get("value") or [], strict=True))
        toxicity = given.get("toxicity")
        rows.append(
            {"prompt": write_prompt(path[::-1]), "response": row["text"]}
            | {name: given.get(name) for name in LABELS}
            | {"mildness": None if toxicity is None else -toxicity}
        )
    schema: dict[str, Any] = {"prompt": pl.String, "response": pl.String}
    return pl.DataFrame(rows, schema=schema | dict.fromkeys([*LABELS, "mildness"], pl.Float64))


_SIDES = (0, 1)
SETS = (
    KnownSet(
        "UltraFeedback",
        frozenset({"instruction", "completions"}),
        _ultrafeedback,
        ULTRAFEEDBACK,
        frozenset({"models"}),
    ),
    KnownSet("HelpSteer", frozenset({"prompt", "response", *HELPSTEER}), _helpsteer, HELPSTEER),
    KnownSet(
        "HelpSteer3",
        frozenset({"context", "response1", "response2", "overall_preference"}),
        _helpsteer3,
        ("preferred",),
        frozenset({"individual_preference"}),
    ),
    KnownSet(
        "PKU-SafeRLHF",
        frozenset(
            {"prompt", "response_0", "response_1", "better_response_id", "safer_response_id"}
        ),
        _safe_rlhf,
        ("better", "safer", "safe", "mildness"),
        frozenset(
            name.format(side)
            for side in _SIDES
            for name in (
                "response_{}_source",
                "is_response_{}_safe",
                "response_{}_harm_category",
                "response_{}_severity_level",
                "response_{}_sha256",
            )
        ),
    ),
    KnownSet(
        "summarize_from_feedback",
        frozenset({"info", "summaries", "choice"}),
        _compared_summaries,
        ("chosen",),
    ),
    KnownSet(
        "summarize_from_feedback, axes",
        frozenset({"info", "summary", "worker"}),
        _rated_summary,
        AXES,
    ),
)
"""Columns and forms as the sets' own pages describe them: openbmb/UltraFeedback,
nvidia/HelpSteer, HelpSteer2 and HelpSteer3, PKU-Alignment/PKU-SafeRLHF,
openai/summarize_from_feedback; of trees OpenAssistant/oasst1."""
