"""Conversations as texts for runs and scores: read right, or refused by what is too much."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

from helpers.written_layouts import CALL, HH, LAYOUTS, LONG, TALK, assistant, frame_of, user
from paretohqd.frames.conversations.layouts import find_layout
from paretohqd.frames.conversations.prompts import write_prompt
from paretohqd.frames.conversations.texts import prompts_and_answers
from paretohqd.frames.writing import write_frame
from paretohqd.rewards.scoring import score
from paretohqd.runs import data, sections
from paretohqd.selection.dataset import sft_dataset


def texts(frame: pl.DataFrame, **more: Any) -> list[tuple[str, str]]:
    return list(zip(*prompts_and_answers(frame, find_layout(frame), **more), strict=True))


def expected(name: str) -> list[tuple[str, str]] | None:
    """Two rows of a layout as texts; None where texts do not say all that they hold."""
    row, prompt = LAYOUTS[name]
    roles = {message["role"] for message in prompt}
    if "tools" in row or "tool" in roles:
        return None
    return [(write_prompt(prompt), "Yes.")] * 2


TOO_MUCH = r"row 0 has tools or calls of them \(2 of 2 rows\), which is neither scored nor trained"


@pytest.mark.parametrize("name", LAYOUTS)
def test_a_conversation_is_a_text_and_more_is_refused(name: str) -> None:
    frame = frame_of([LAYOUTS[name][0]] * 2)
    if (pairs := expected(name)) is not None:
        assert texts(frame) == pairs
    else:
        with pytest.raises(ValueError, match=TOO_MUCH):
            texts(frame)


@pytest.mark.parametrize(
    ("row", "what"),
    [
        ({"messages": [user("?"), assistant("", tool_calls=[CALL])]}, "tools or calls of them"),
        ({"messages": TALK, "tools": '[{"name": "x"}]'}, "tools or calls of them"),
        ({"prompt": "?", "response": "!", "tools": '[{"name": "x"}]'}, "tools or calls of them"),
        ({"messages": [user("?"), assistant("!", reasoning_content="Hm.")]}, "reasoning apart"),
    ],
)
def test_what_texts_cannot_say_is_refused(row: dict[str, Any], what: str) -> None:
    frame = pl.DataFrame({key: pl.Series([value], strict=False) for key, value in row.items()})
    with pytest.raises(ValueError, match=rf"row 0 has {what}"):
        texts(frame)


def test_a_dialogue_without_an_answer_has_an_empty_one() -> None:
    frame = pl.DataFrame({"chosen": [f"{HH}\n\nHuman: And milk?", HH]})
    assert texts(frame, allow_empty=True) == [
        (write_prompt([*LONG, user("And milk?")]), ""),
        (write_prompt(LONG[:3]), "Yes."),
    ]
    with pytest.raises(ValueError, match="chosen: row 0 does not end with"):
        texts(frame)


@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_a_prompt_with_turns_may_have_any_line_ends(end: str) -> None:
    frame = pl.DataFrame(
        {"prompt": [HH.removesuffix(" Yes.").replace("\n", end)], "response": "Yes."}
    )
    assert texts(frame) == [(write_prompt(LONG[:3]), "Yes.")]


# ── scores ───────────────────────────────────────────────────────────────────────────────────


class Seen:
    """A reward that keeps what it is given."""

    name = "seen"

    def __init__(self) -> None:
        self.pairs: list[tuple[str, str]] = []

    def score(self, prompts: list[str], responses: list[str]) -> np.ndarray:
        self.pairs += zip(prompts, responses, strict=True)
        return np.zeros(len(prompts))

    def manifest(self) -> dict[str, Any]:
        return {}


@pytest.mark.parametrize("name", LAYOUTS)
def test_scores_are_of_the_same_texts(name: str) -> None:
    frame, reward = frame_of([LAYOUTS[name][0]] * 2), Seen()
    if "rejected" in frame.columns:
        with pytest.raises(ValueError, match="hold two answers a row: name one with response="):
            score(frame, [reward])
    elif (pairs := expected(name)) is not None:
        assert score(frame, [reward]).columns == [*frame.columns, "seen"]
        assert reward.pairs == pairs
    else:
        with pytest.raises(ValueError, match=TOO_MUCH):
            score(frame, [reward])
        assert reward.pairs == []


def test_scores_of_either_side_of_a_pair() -> None:
    frame = pl.DataFrame({"chosen": [HH], "rejected": [HH.replace("Yes", "No")]})
    reward = Seen()
    for side in frame.columns:
        score(frame, [reward], response=side)
    before = write_prompt(LONG[:3])
    assert reward.pairs == [(before, "Yes."), (before, "No.")]


def test_a_runs_own_texts_are_scored_whatever_they_look_like() -> None:
    odd = '[{"role": "user", "content": "x"}]'
    frame = pl.DataFrame({"prompt": [odd], "response": [odd], "system": ["Be brief."]})
    reward = Seen()
    score(frame, [reward], plain=True)
    assert reward.pairs == [(odd, odd)]
    with pytest.raises(ValueError, match="response: row 0 does not end with"):
        score(frame, [reward])


# ── sources of a run ─────────────────────────────────────────────────────────────────────────


def load(frame: pl.DataFrame, folder: Path, *, answers: bool = True, **more: Any) -> pl.DataFrame:
    path = folder / "source.parquet"
    write_frame(frame, path)
    return data.load_source(sections.Data(source=str(path), **more), str(path), answers=answers)


@pytest.mark.parametrize("name", LAYOUTS)
def test_runs_read_the_same_texts(name: str, tmp_path: Path) -> None:
    frame = frame_of([LAYOUTS[name][0]] * 2)
    if (pairs := expected(name)) is None:
        with pytest.raises(ValueError, match=rf"source\.parquet: \w+: {TOO_MUCH}"):
            load(frame, tmp_path)
        return
    texts = load(frame, tmp_path)
    if "rejected" in frame.columns:
        assert texts["side"].to_list() == ["chosen", "rejected"] * 2
        texts = texts.filter(pl.col("side") == "chosen")
    assert texts.select("prompt", "response").rows() == pairs


def test_columns_that_a_run_is_told(tmp_path: Path) -> None:
    frame = pl.DataFrame({"instruction": ["Add."], "input": ["1 + 1"], "output": ["2"], "n": 3})
    texts = load(frame, tmp_path, prompt="instruction", response="output")
    assert texts.row(0) == ("Add.\n\n1 + 1", "2", "Add.\n\n1 + 1", "1 + 1", 3)
    dialogue = pl.DataFrame({"talk": [TALK], "thread": ["a"]})
    texts = load(dialogue, tmp_path, response="talk", conversation="thread")
    assert texts.row(0) == ("Tea?", "Yes.", "a")


def test_prompts_alone(tmp_path: Path) -> None:
    for frame in (
        pl.DataFrame({"prompt": [TALK[:1]]}),
        pl.DataFrame({"messages": [TALK[:1]]}),
        pl.DataFrame({"messages": [TALK]}),
        pl.DataFrame({"prompt": ["Tea?"], "response": [3]}),
    ):
        texts = load(frame, tmp_path, answers=False)
        assert texts["prompt"].to_list() == texts["conversation"].to_list() == ["Tea?"]
    texts = load(pl.DataFrame({"prompt": [LONG[:3]]}), tmp_path, answers=False)
    assert texts.row(0) == (write_prompt(LONG[:3]), "Hi")


def test_pairs_keep_the_prompts_of_their_own_dialogues(tmp_path: Path) -> None:
    frame = pl.DataFrame(
        {
            "chosen": [" \n\nHuman: a Assistant: b\nHuman: c\n\nAssistant: d Human: e\n", HH],
            "rejected": ["Human: other\n\nAssistant:", f"{HH}\n\nHuman: And milk?"],
        }
    )
    before = write_prompt(LONG[:3])
    assert load(frame, tmp_path).rows() == [
        ("a Assistant: b\nHuman: c", "d Human: e", "a Assistant: b\nHuman: c", "chosen"),
        ("other", "", "other", "rejected"),
        (before, "Yes.", "Hi", "chosen"),
        (write_prompt([*LONG, user("And milk?")]), "", "Hi", "rejected"),
    ]


def test_pairs_beside_their_prompts(tmp_path: Path) -> None:
    no = [TALK[0], assistant("No.")]
    for frame in (
        pl.DataFrame({"prompt": ["Tea?"], "chosen": [TALK], "rejected": [no], "messages": [TALK]}),
        pl.DataFrame({"question": ["Tea?"], "chosen": ["Yes."], "rejected": ["No."]}),
        pl.DataFrame({"prompt": [TALK[:1]], "chosen": [TALK[1:]], "rejected": [no[1:]]}),
        pl.DataFrame({"chosen": [TALK], "rejected": [no]}),
    ):
        texts = load(frame.with_columns(thread=pl.lit(7)), tmp_path, conversation="thread")
        rows = [("Tea?", "Yes.", "7", "chosen"), ("Tea?", "No.", "7", "rejected")]
        assert texts.select("prompt", "response", "conversation", "side").rows() == rows
        assert texts.columns[4:] == [name for name in frame.columns if name == "messages"]
    other = frame.with_columns(rejected=pl.Series([[user("Coffee?"), assistant("No.")]]))
    assert load(other, tmp_path)["prompt"].to_list() == ["Tea?", "Coffee?"]
    with pytest.raises(ValueError, match="rejected: row 0 has another prompt than column 'prompt'"):
        load(other.with_columns(prompt=pl.lit("Tea?")), tmp_path)
    with pytest.raises(ValueError, match=r"no column 'x' .*: set data.conversation"):
        load(frame, tmp_path, conversation="x")


def test_names_that_look_like_patterns(tmp_path: Path) -> None:
    frame = pl.DataFrame({"^a.*$": ["Tea?"], "^b.*$": ["Yes."], "^c.*$": ["7"]})
    named = {"prompt": "^a.*$", "response": "^b.*$"}
    texts = load(frame, tmp_path, **named, conversation="^c.*$")
    assert texts.row(0) == ("Tea?", "Yes.", "7")
    reward = Seen()
    score(frame, [reward], **named)
    assert reward.pairs == [("Tea?", "Yes.")]
    made = sft_dataset(frame, prompt="^a.*$", completion="^b.*$", system="^c.*$")
    assert made[0]["prompt"][0] == {"role": "system", "content": "7"}
