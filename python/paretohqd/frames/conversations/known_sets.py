"""Data sets that are known by their columns: several answers, or several ratings, a row.

Each becomes rows of a prompt and one answer, with a column of numbers for each rating, larger being
better, so that objectives can be taken from columns. What else a row holds stays beside each of its
answers. Sets whose rows are conversations with one answer need nothing of this, see `layouts`.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from typing import Any, NamedTuple

import polars as pl

from paretohqd.frames.conversations import trees
from paretohqd.frames.conversations.messages import Message, Unreadable
from paretohqd.frames.conversations.refused import ADVICE, CANNOT_BE_READ, Refused
from paretohqd.frames.conversations.set_values import (
    Row,
    answer,
    anything,
    are_numbers,
    are_records,
    are_texts,
    is_record,
    number,
    picked,
    prompt,
    record,
    records,
    text,
    whole_prompt,
)

Answers = Iterator[dict[str, Any]]
"""Rows of prompt, response and ratings that a row of a set becomes."""

ORPHANS = "a message above is missing"
"""What a run says of answers in trees that it leaves out."""


class KnownSet(NamedTuple):
    """One data set, or several that share their columns."""

    name: str
    columns: Mapping[str, Callable[[pl.Series], bool]]
    """The columns by which it is known, and what each holds."""
    answers: Callable[[Row], Answers]
    ratings: tuple[str, ...]
    """Its columns of numbers."""
    dropped: frozenset[str] = frozenset()
    """Columns that hold answers and what is said of one of them."""

    def is_of(self, frame: pl.DataFrame) -> bool:
        """Whether a frame has these columns, and they hold what the set's do."""
        return _has(frame, self.columns)


def _has(frame: pl.DataFrame, columns: Mapping[str, Callable[[pl.Series], bool]]) -> bool:
    return set(columns) <= set(frame.columns) and all(
        holds(frame[name]) for name, holds in columns.items()
    )


def known_set(frame: pl.DataFrame) -> KnownSet | None:
    """The data set that has a frame's columns, if one is known.

    Example:
        >>> frame = pl.DataFrame({
        ...     "prompt": ["Tea?"], "response_0": ["No."], "response_1": ["Yes."],
        ...     "better_response_id": [1], "safer_response_id": [0],
        ... })
        >>> known_set(frame).name
        'PKU-SafeRLHF'
        >>> known_set(frame.select("prompt", response="response_1")) is None
        True
    """
    return next((one for one in SETS if one.is_of(frame)), None)


def has_trees(schema: pl.Schema) -> bool:
    """Whether rows are messages of trees, so that an answer's prompt lies in other rows."""
    return _has(pl.DataFrame(schema=schema), trees.COLUMNS)


def unfold(
    frame: pl.DataFrame,
    *,
    drop: bool = False,
    left_out: Counter[str] | None = None,
    advice: str = ADVICE,
) -> pl.DataFrame:
    """A known set's answers, one a row; any other frame as it is.

    Args:
        frame: Rows of a set. Of a tree of messages all that belong together.
        drop: Whether rows that cannot be read are left out.
        left_out: Counts what is left out, by reason: these rows, and answers of which no tree has
            the messages above.
        advice: What to do about rows that cannot be read.

    Raises:
        ValueError: A row cannot be read.

    Example:
        >>> frame = pl.DataFrame({
        ...     "prompt": ["Tea?"], "response_0": ["No."], "response_1": ["Yes."],
        ...     "better_response_id": [1], "safer_response_id": [0],
        ... })
        >>> unfold(frame).select("prompt", "response", "better", "safer").rows()
        [('Tea?', 'No.', 0.0, 1.0), ('Tea?', 'Yes.', 1.0, 0.0)]
    """
    refused, counts = Refused(), Counter[str]()
    if has_trees(frame.schema):
        made = trees.unfold_trees(frame, refused)
        rows, numbers, ratings, taken = made.rows, made.numbers, trees.RATINGS, trees.TAKEN
        counts[ORPHANS] = made.orphans
    else:
        known = known_set(frame)
        if known is None:
            return frame
        rows, numbers = _answers(frame, known, refused)
        ratings, taken = known.ratings, known.dropped | known.columns.keys()
    if drop:
        counts[CANNOT_BE_READ] = sum(map(len, refused.rows.values()))
    else:
        refused.check(len(frame), advice)
    if left_out is not None:
        left_out.update(+counts)
    schema: dict[str, Any] = {"prompt": pl.String, "response": pl.String}
    schema |= dict.fromkeys(ratings, pl.Float64)
    answers = pl.DataFrame(rows, schema=schema)
    places = pl.Series(numbers, dtype=pl.UInt32)
    others = [name for name in frame.columns if name not in taken | schema.keys()]
    return answers.with_columns(frame[name].gather(places) for name in others)


def _answers(
    frame: pl.DataFrame, known: KnownSet, refused: Refused
) -> tuple[list[dict[str, Any]], list[int]]:
    """The answers of a set that is no tree, and the row of each."""
    rows: list[dict[str, Any]] = []
    numbers: list[int] = []
    for place, row in enumerate(frame.iter_rows(named=True)):
        try:
            answers = list(known.answers(row))
        except Unreadable as error:
            refused.add(known.name, str(error), place)
            continue
        rows += answers
        numbers += [place] * len(answers)
    return rows, numbers


ULTRAFEEDBACK = ("instruction_following", "truthfulness", "honesty", "helpfulness")


def _ultrafeedback(row: Row) -> Answers:
    for completion in records(row, "completions"):
        ratings = record(completion, "annotations")
        yield {
            "prompt": text(row, "instruction"),
            "response": answer(completion, "response"),
            **{name: number(record(ratings, name).get("Rating")) for name in ULTRAFEEDBACK},
        }


HELPSTEER = ("helpfulness", "correctness", "coherence", "complexity", "verbosity")
_TURN = re.compile(r"\s*<extra_id_1>(User|Assistant)\n")


def _helpsteer(row: Row) -> Answers:
    first, *others = _TURN.split(text(row, "prompt"))
    turns: list[Message] = [{"role": "user", "content": first}] if first.strip() else []
    for role, content in zip(others[::2], others[1::2], strict=True):
        turns.append({"role": role.lower(), "content": content})
    # Some prompts end where the answer begins.
    if len(turns) > 1 and turns[-1] == {"role": "assistant", "content": ""}:
        turns.pop()
    if not turns:
        raise Unreadable("has an empty prompt")
    ratings = {name: number(row[name]) for name in HELPSTEER}
    yield {"prompt": whole_prompt(turns), "response": answer(row, "response"), **ratings}


def _helpsteer3(row: Row) -> Answers:
    asked = prompt(row, "context")
    preference = number(row["overall_preference"])  # from -3, the first is much better, to 3
    for side, name in ((-1, "response1"), (1, "response2")):
        preferred = None if preference is None else side * preference
        yield {"prompt": asked, "response": answer(row, name), "preferred": preferred}


def _safe_rlhf(row: Row) -> Answers:
    for place in (0, 1):
        severity = number(row.get(f"response_{place}_severity_level"))
        yield {
            "prompt": text(row, "prompt"),
            "response": answer(row, f"response_{place}"),
            "better": picked(row, "better_response_id", place, 2),
            "safer": picked(row, "safer_response_id", place, 2),
            "safe": number(row.get(f"is_response_{place}_safe")),
            "mildness": None if severity is None else -severity,
        }


def _post(info: Row) -> str:
    """A post or an article, as the models of the set read it."""
    if info.get("post"):
        head = f"SUBREDDIT: r/{info.get('subreddit')}\n\nTITLE: {info.get('title')}\n\n"
        return f"{head}POST: {info['post']}\n\nTL;DR:"
    if not info.get("article"):
        raise Unreadable("has no post and no article in 'info'")
    return f"{info.get('title') or ''}\n\n{info['article']}\n\nTL;DR:".lstrip()


def _summary(row: Row) -> str | None:
    said = answer(row, "text")
    return None if said is None else said.strip()


def _compared_summaries(row: Row) -> Answers:
    asked, summaries = _post(record(row, "info")), records(row, "summaries")
    for place, summary in enumerate(summaries):
        chosen = picked(row, "choice", place, len(summaries))
        yield {"prompt": asked, "response": _summary(summary), "chosen": chosen}


AXES = ("overall", "accuracy", "coverage", "coherence")


def _rated_summary(row: Row) -> Answers:
    summary = record(row, "summary")
    axes = record(summary, "axes")
    yield {
        "prompt": _post(record(row, "info")),
        "response": _summary(summary),
        **{name: number(axes.get(name)) for name in AXES},
    }


_SIDES = (0, 1)
SETS = (
    KnownSet(
        "UltraFeedback",
        {"instruction": are_texts, "completions": are_records},
        _ultrafeedback,
        ULTRAFEEDBACK,
        frozenset({"models"}),
    ),
    KnownSet(
        "HelpSteer",
        {"prompt": are_texts, "response": are_texts, **dict.fromkeys(HELPSTEER, are_numbers)},
        _helpsteer,
        HELPSTEER,
    ),
    KnownSet(
        "HelpSteer3",
        {
            "context": are_records,
            "response1": are_texts,
            "response2": are_texts,
            "overall_preference": are_numbers,
        },
        _helpsteer3,
        ("preferred",),
        frozenset({"individual_preference"}),
    ),
    KnownSet(
        "PKU-SafeRLHF",
        {
            "prompt": are_texts,
            "response_0": are_texts,
            "response_1": are_texts,
            "better_response_id": are_numbers,
            "safer_response_id": are_numbers,
        },
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
        {"info": is_record, "summaries": are_records, "choice": are_numbers},
        _compared_summaries,
        ("chosen",),
    ),
    KnownSet(
        "summarize_from_feedback, axes",
        {"info": is_record, "summary": is_record, "worker": anything},
        _rated_summary,
        AXES,
    ),
)
"""Columns and forms as the sets' own pages describe them: openbmb/UltraFeedback,
nvidia/HelpSteer, HelpSteer2 and HelpSteer3, PKU-Alignment/PKU-SafeRLHF,
openai/summarize_from_feedback; of trees OpenAssistant/oasst1."""
