"""Rows of public data sets, in their own columns, become a prompt, an answer and its ratings."""

from __future__ import annotations

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
    assert known_set(frame.columns) is None
    assert unfold(frame) is frame
