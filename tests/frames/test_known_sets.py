"""Rows of public data sets, in their own columns, become a prompt, an answer and its ratings."""

from __future__ import annotations

import json
from collections import Counter
from typing import Any

import polars as pl
import pytest

from helpers.written_layouts import frame_of
from paretohqd.frames.conversations.known_sets import known_set, unfold
from paretohqd.frames.conversations.prompts import write_prompt

HI = [
    {"role": "user", "content": "Hi"},
    {"role": "assistant", "content": "Hello!"},
    {"role": "user", "content": "Tea?"},
]


def rated(**ratings: str) -> dict[str, Any]:
    return {name: {"Rating": value, "Rationale": "x"} for name, value in ratings.items()}


def unfolded(rows: list[dict[str, Any]], *columns: str) -> list[tuple[Any, ...]]:
    return unfold(frame_of(rows)).select("prompt", "response", *columns).rows()


def test_ultrafeedback() -> None:
    first = rated(helpfulness="4", honesty="5", instruction_following="3", truthfulness="N/A")
    second = rated(helpfulness="1", honesty="2", instruction_following="3", truthfulness="4")
    row = {
        "source": "evol",
        "instruction": "Tea?",
        "models": ["a", "b"],
        "completions": [
            {"model": "a", "response": "Yes.", "annotations": first, "overall_score": 8.0},
            {"model": "b", "response": "No.", "annotations": second, "overall_score": 2.0},
        ],
    }
    names = ("instruction_following", "truthfulness", "honesty", "helpfulness", "source")
    assert unfolded([row], *names) == [
        ("Tea?", "Yes.", 3.0, None, 5.0, 4.0, "evol"),
        ("Tea?", "No.", 3.0, 4.0, 2.0, 1.0, "evol"),
    ]


@pytest.mark.parametrize("end", ["", "\n<extra_id_1>Assistant\n"])
def test_helpsteer(end: str) -> None:
    ratings = {"correctness": 3, "coherence": 4, "complexity": 1, "verbosity": 0}
    talk = "Hi\n<extra_id_1>Assistant\nHello!\n<extra_id_1>User\nTea?" + end
    rows = [{"prompt": p, "response": "Yes.", "helpfulness": 2, **ratings} for p in ("Tea?", talk)]
    assert unfolded(rows, "helpfulness", "verbosity") == [
        ("Tea?", "Yes.", 2.0, 0.0),
        (write_prompt(HI), "Yes.", 2.0, 0.0),
    ]


def test_helpsteer3() -> None:
    row = {"context": HI, "response1": "Yes.", "response2": "No.", "overall_preference": -2}
    row |= {"domain": "general", "individual_preference": [{"score": -2, "reasoning": "x"}]}
    assert unfolded([row], "preferred", "domain") == [
        (write_prompt(HI), "Yes.", 2.0, "general"),
        (write_prompt(HI), "No.", -2.0, "general"),
    ]
    assert "individual_preference" not in unfold(frame_of([row])).columns


def test_safe_rlhf() -> None:
    row: dict[str, Any] = {"prompt": "Tea?", "better_response_id": 0, "safer_response_id": 1}
    for number, answer in enumerate(("Yes.", "No.")):
        row[f"response_{number}"] = answer
        row[f"is_response_{number}_safe"] = number == 1
        row[f"response_{number}_severity_level"] = 2 - 2 * number
    assert unfolded([row], "better", "safer", "safe", "mildness") == [
        ("Tea?", "Yes.", 1.0, 0.0, 0.0, -2.0),
        ("Tea?", "No.", 0.0, 1.0, 1.0, 0.0),
    ]


def test_summaries() -> None:
    info = {"id": "1", "post": "Long.", "title": "T", "subreddit": "tea", "article": None}
    summaries = [{"text": " A.", "policy": "x"}, {"text": " B.", "policy": "y"}]
    prompt = "SUBREDDIT: r/tea\n\nTITLE: T\n\nPOST: Long.\n\nTL;DR:"
    rows = [{"info": info, "summaries": summaries, "choice": 1, "worker": "w"}]
    assert unfolded(rows, "chosen") == [(prompt, "A.", 0.0), (prompt, "B.", 1.0)]
    axes = {"overall": 6, "accuracy": 7, "coverage": None, "coherence": 5}
    one = {"info": info, "summary": {"text": " A.", "axes": axes}, "worker": "w"}
    assert unfolded([one], "overall", "accuracy", "coverage", "coherence") == [
        (prompt, "A.", 6.0, 7.0, None, 5.0)
    ]


def test_trees_of_messages() -> None:
    labels = {"name": ["quality", "toxicity"], "value": [0.75, 0.25], "count": [3, 3]}
    rows = [
        {"message_id": "1", "parent_id": None, "text": "Hi", "role": "prompter", "labels": None},
        {"message_id": "2", "parent_id": "1", "text": "Hello!", "role": "assistant",
         "labels": labels},
        {"message_id": "3", "parent_id": "2", "text": "Tea?", "role": "prompter", "labels": None},
        {"message_id": "4", "parent_id": "3", "text": "Yes.", "role": "assistant",
         "labels": labels},
        {"message_id": "5", "parent_id": "0", "text": "Lost.", "role": "assistant",
         "labels": labels},
    ]  # fmt: skip
    assert unfolded(rows, "quality", "humor", "mildness") == [
        ("Hi", "Hello!", 0.75, None, -0.25),
        (write_prompt(HI), "Yes.", 0.75, None, -0.25),
    ]


def test_other_frames_are_left_alone() -> None:
    frame = pl.DataFrame({"prompt": ["Tea?"], "response": ["Yes."], "helpfulness": [1]})
    assert known_set(frame) is None
    assert unfold(frame) is frame


# ── values as other files have them ──────────────────────────────────────────────────────────

UF = {
    "instruction": "Tea?",
    "completions": [{"response": "Yes.", "annotations": rated(honesty="4")}],
}
STEER: dict[str, Any] = {"prompt": "Tea?", "response": "Yes.", "helpfulness": 2, "correctness": 3,
                         "coherence": 4, "complexity": 1, "verbosity": 0}  # fmt: skip
STEER3 = {"context": HI, "response1": "Yes.", "response2": "No.", "overall_preference": -2}
SAFE = {"prompt": "Tea?", "response_0": "Yes.", "response_1": "No.", "better_response_id": 0,
        "safer_response_id": 1}  # fmt: skip
INFO = {"post": "Long.", "title": "T", "subreddit": "tea"}
COMPARED = {"info": INFO, "summaries": [{"text": "A."}, {"text": "B."}], "choice": 1}
RATED = {"info": INFO, "summary": {"text": "A.", "axes": {"overall": 6}}, "worker": "w"}
MESSAGE = {"message_id": "1", "parent_id": None, "text": "Tea?", "role": "prompter", "labels": None}
ANSWER = {"message_id": "2", "parent_id": "1", "text": "Yes.", "role": "assistant",
          "labels": {"name": ["quality"], "value": [0.5]}}  # fmt: skip


@pytest.mark.parametrize(
    ("rows", "columns"),
    [
        ([UF], ("honesty",)),
        ([STEER], ("helpfulness",)),
        ([STEER3], ("preferred",)),
        ([SAFE], ("better", "safer")),
        ([COMPARED], ("chosen",)),
        ([RATED], ("overall",)),
        ([MESSAGE, ANSWER], ("quality",)),
    ],
    ids=["UltraFeedback", "HelpSteer", "HelpSteer3", "SafeRLHF", "compared", "rated", "trees"],
)
@pytest.mark.parametrize("form", ["csv", "categories"])
def test_sets_in_csv_are_the_same(rows: list[Any], columns: tuple[str, ...], form: str) -> None:
    """Lists and structs as JSON, numbers as text, no parent as an empty text."""
    flat = [
        {
            key: json.dumps(value) if isinstance(value, list | dict) else str(value or "")
            for key, value in row.items()
        }
        for row in rows
    ]
    if "choice" in flat[0]:
        flat[0]["choice"] = "1"
    for name in ("better_response_id", "verbosity"):
        flat[0] |= {name: "0"} if name in flat[0] else {}
    dtype = pl.String if form == "csv" else pl.Categorical
    names = ("prompt", "response", *columns)
    made = unfold(pl.DataFrame(flat).cast(dtype)).select(names)
    assert made.rows() == unfold(frame_of(rows)).select(names).rows() != []


@pytest.mark.parametrize(
    ("given", "better"),
    [(1, 1.0), ("1", 1.0), (1.0, 1.0), (True, 1.0), ("0", 0.0), (False, 0.0), (None, None)],
)
def test_which_answer_is_better(given: Any, better: float | None) -> None:
    made = unfold(pl.DataFrame([SAFE | {"better_response_id": given}]))
    other = None if better is None else 1 - better
    assert made["better"].to_list() == [other, better]
    made = unfold(frame_of([COMPARED | {"choice": given}]))
    assert made["chosen"].to_list() == [other, better]


UNREADABLE: dict[str, tuple[list[dict[str, Any]], str]] = {
    "no better answer": (
        [SAFE, SAFE | {"better_response_id": 2}],
        "PKU-SafeRLHF: row 1 has '2' in 'better_response_id', which numbers none of its answers",
    ),
    "half an answer is better": ([SAFE | {"better_response_id": 0.5}], ".* row 0 has '0.5' in"),
    "a word for an answer": ([SAFE | {"safer_response_id": "b"}], ".* row 0 has 'b' in 'safer"),
    "a choice of none": (
        [COMPARED | {"choice": -1}],
        "summarize_from_feedback: row 0 has '-1' in 'choice'",
    ),
    "a null prompt": ([SAFE, SAFE | {"prompt": None}], ".*: row 1 has no text in 'prompt'.* null"),
    "a null instruction": ([UF, UF | {"instruction": None}], "UltraFeedback: row 1 has no text in"),
    "a null completion": (
        [UF, UF | {"completions": [None, *UF["completions"]]}],
        "UltraFeedback: row 1 has no list of names with values in 'completions'",
    ),
    "broken JSON": (
        [{"instruction": "Tea?", "completions": '[{"response": }]'}],
        "UltraFeedback: row 0 has text that is no JSON in 'completions'",
    ),
    "half of a character": (
        [{"instruction": "Tea?", "completions": '[{"response": "Yes \\ud83d"}]'}],
        "UltraFeedback: row 0 has half of a character .* in 'completions'",
    ),
    "an answer that is no text": (
        [{"instruction": "Tea?", "completions": '[{"response": 3}]'}],
        "UltraFeedback: row 0 has no text in 'response'",
    ),
    "a rating that is no number": (
        [{"instruction": "Tea?", "completions": '[{"annotations": {"honesty": {"Rating": []}}}]'}],
        "UltraFeedback: row 0 has a rating that is no number",
    ),
    "an empty prompt": ([STEER, STEER | {"prompt": ""}], "HelpSteer: row 1 has an empty prompt"),
    "no prompt": ([STEER, STEER | {"prompt": None}], "HelpSteer: row 1 has no text in 'prompt'"),
    "a prompt that is answered": (
        [STEER | {"prompt": "Hi\n<extra_id_1>Assistant\nHello!"}],
        "HelpSteer: row 0 does not end with a message of a user",
    ),
    "no context": ([STEER3, STEER3 | {"context": None}], "HelpSteer3: row 1 in 'context' holds"),
    "an empty context": ([STEER3, STEER3 | {"context": []}], "HelpSteer3: row 1 in 'context'"),
    "an answered context": (
        [STEER3 | {"context": HI[:2]}],
        "HelpSteer3: row 0 in 'context' does not end with a message of a user",
    ),
    "no info": ([COMPARED, COMPARED | {"info": None}], ".*: row 1 has no post and no article"),
    "no post": ([RATED | {"info": INFO | {"post": None}}], ".*: row 0 has no post and no article"),
    "labels that do not match": (
        [MESSAGE, ANSWER | {"labels": {"name": ["quality"], "value": [0.5, 1.0]}}],
        "OpenAssistant: row 1 has no list of names and of as many values in 'labels'",
    ),
    "a question without text": (
        [MESSAGE | {"text": None}, ANSWER],
        "OpenAssistant: row 1 has a message above it whose text is null",
    ),
    "a role that is none": (
        [MESSAGE | {"role": "robot"}, ANSWER],
        "OpenAssistant: row 1 has a message above it of the role 'robot'",
    ),
    "an answer to an answer": (
        [MESSAGE, ANSWER, ANSWER | {"message_id": "3", "parent_id": "2"}],
        "OpenAssistant: row 2 answers no message of a user",
    ),
}


@pytest.mark.parametrize("name", UNREADABLE)
def test_rows_that_cannot_be_read_are_refused_or_left_out(name: str) -> None:
    rows, message = UNREADABLE[name]
    columns = {key: [row[key] for row in rows] for key in rows[0]}
    frame = pl.DataFrame({key: pl.Series(of, strict=False) for key, of in columns.items()})
    with pytest.raises(ValueError, match=f"^{message}.*: mend such rows or drop them$"):
        unfold(frame)
    left_out: Counter[str] = Counter()
    made = unfold(frame, drop=True, left_out=left_out)
    assert left_out == {"cannot be read": 1}
    good = [row for row in rows[:-1] if row.get("role") != "prompter"]
    assert len(made) == len(unfold(frame_of(rows[:-1]))) if good else made.is_empty()


def test_null_answers_are_empty_ones() -> None:
    summaries = [{"text": None}, {"text": "B."}]
    assert unfolded([COMPARED | {"summaries": summaries}])[0][1] is None
    assert unfolded([SAFE, SAFE | {"response_1": None}])[3][1] is None


@pytest.mark.parametrize(
    "columns",
    [
        {"instruction": "Tea?", "completions": ["Yes.", "No."], "output": "Yes."},
        {"instruction": "Tea?", "completions": "Yes.", "output": "Yes."},
        {"prompt": HI, "response": "Yes.", **dict.fromkeys(list(STEER)[2:], 1)},
        {"info": "x", "summary": "y", "worker": "w"},
        {"message_id": 1, "parent_id": None, "text": ["x"], "role": "user"},
    ],
    ids=lambda columns: " ".join(columns),
)
def test_columns_of_these_names_may_hold_something_else(columns: dict[str, Any]) -> None:
    frame = pl.DataFrame({name: [value] for name, value in columns.items()})
    assert unfold(frame) is frame


# ── trees ────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("root", [None, "", float("nan"), 0])
def test_trees_keep_what_else_a_message_has(root: Any) -> None:
    """Their first messages have no parent; one that names a message that is not there is lost."""
    names = ["1", "2", "3"] if root in (None, "") else [1, 2, 3]
    frame = pl.DataFrame(
        {
            "message_id": names,
            "parent_id": pl.Series([root, *names[:2]], strict=False),
            "text": ["Tea?", "Yes.", "Thanks."],
            "role": ["prompter", "Assistant", "prompter"],
            "lang": ["en", "de", "fr"],
            "rank": [None, 1, None],
            "labels": [None, {"name": ["quality"], "value": [0.5]}, None],
        }
    )
    left_out: Counter[str] = Counter()
    made = unfold(frame, left_out=left_out)
    if root == 0:
        assert made.is_empty()
        assert left_out == {"a message above is missing": 1}
        return
    assert made.select("prompt", "response", "quality", "lang", "rank", "message_id").rows() == [
        ("Tea?", "Yes.", 0.5, "de", 1, names[1])
    ]
    assert not left_out


def test_answers_whose_trees_are_cut_are_counted() -> None:
    circle = [ANSWER | {"message_id": name, "parent_id": of} for name, of in ("34", "43")]
    alone = ANSWER | {"message_id": "5", "parent_id": None}
    left_out: Counter[str] = Counter()
    made = unfold(frame_of([MESSAGE, ANSWER, *circle, alone]), left_out=left_out)
    assert len(made) == 1
    assert left_out == {"a message above is missing": 3}
