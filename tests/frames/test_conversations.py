"""Every layout in which data sets carry answers: read right, or refused by its name."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

import paretohqd as pq
from helpers.written_layouts import (
    CALL,
    HH,
    LAYOUTS,
    LONG,
    OTHER,
    RESULT,
    SHAREGPT,
    TALK,
    assistant,
    frame_of,
    system,
    user,
)
from paretohqd.frames.sources import read_frame
from paretohqd.frames.writing import write_frame
from paretohqd.selection.dataset import sft_dataset


@pytest.mark.parametrize("ending", ["", ".parquet", ".jsonl"])
@pytest.mark.parametrize("name", LAYOUTS)
def test_a_layout_is_read(name: str, ending: str, tmp_path: Path) -> None:
    row, prompt = LAYOUTS[name]
    frame = frame_of([row, row])
    if ending:
        write_frame(frame, tmp_path / f"rows{ending}")
        frame = read_frame(tmp_path / f"rows{ending}")
    data = sft_dataset(frame)
    assert data.column_names == ["prompt", "completion"]
    assert list(data) == [{"prompt": prompt, "completion": [assistant("Yes.")]}] * 2


def test_layouts_side_by_side_leave_no_trace_in_each_other() -> None:
    rows = [{"messages": TALK}, {"messages": [user("?", name="Ann"), assistant("!", weight=1)]}]
    frame = frame_of([*rows, {"messages": SHAREGPT}])
    assert frame["messages"][0].struct.fields == [
        "role",
        "content",
        "name",
        "weight",
        "from",
        "value",
    ]
    data = sft_dataset(frame)
    assert data[0] == data[2] == {"prompt": TALK[:1], "completion": TALK[1:]}
    assert data[1]["prompt"] == [user("?", name="Ann")]


@pytest.mark.parametrize("ending", ["", ".parquet", ".jsonl"])
def test_tools_and_their_calls_stay_as_they_are(ending: str, tmp_path: Path) -> None:
    ask, call = user("Weather in Rome?"), assistant("", tool_calls=[CALL])
    tools = json.dumps([{"name": "weather"}])
    rows = [
        {"messages": [ask, call, RESULT, assistant("It is 21 C.")], "tools": tools},
        {"messages": [ask, call], "tools": tools},
        {"messages": [ask, assistant(None, tool_calls=[OTHER])], "tools": None},
        {"messages": TALK, "tools": "[]"},
    ]
    frame = pl.DataFrame(
        {key: pl.Series([row[key] for row in rows], strict=False) for key in ("messages", "tools")}
    )
    if ending:
        write_frame(frame, tmp_path / f"rows{ending}")
        frame = read_frame(tmp_path / f"rows{ending}")
    data = sft_dataset(frame)
    expected = [
        {"prompt": [ask, call, RESULT], "completion": [assistant("It is 21 C.")], "tools": tools},
        {"prompt": [ask], "completion": [call], "tools": tools},
        {"prompt": [ask], "completion": [assistant("", tool_calls=[OTHER])], "tools": None},
        {"prompt": TALK[:1], "completion": TALK[1:], "tools": None},
    ]
    assert list(data) == expected
    # And once more from what has become of them.
    assert list(sft_dataset(data.to_polars())) == expected


def test_tools_as_lists() -> None:
    tools = [{"name": "weather", "unit": "C"}, {"name": "days", "from": 1}]
    frame = pl.DataFrame({"messages": [TALK] * 2}).with_columns(
        tools=pl.Series([tools, []], strict=False)
    )
    data = sft_dataset(frame)
    assert data[0]["tools"] == tools
    assert data[1]["tools"] is None


def test_a_completion_may_go_on_with_calls() -> None:
    rest = [assistant("", tool_calls=[CALL]), RESULT, assistant("It is 21 C.")]
    frame = pl.DataFrame({"prompt": [TALK[:1]]}).with_columns(
        completion=pl.Series([rest], strict=False)
    )
    assert sft_dataset(frame)[0] == {"prompt": [TALK[0], *rest[:2]], "completion": rest[2:]}


REFUSED: dict[str, tuple[dict[str, Any], str]] = {
    "an image": (
        {
            "messages": [
                user([{"type": "image_url", "image_url": {"url": "x"}}]),
                assistant([{"type": "text", "text": "Yes."}]),
            ]
        },
        "messages: row 0 has a message with a part of the type 'image_url': only text is read",
    ),
    "an image beside texts": (
        {"messages": json.dumps([user([{"type": "image"}]), TALK[1]])},
        "messages: row 0 has a message with a part of the type 'image': only text is read",
    ),
    "parts beside texts": (
        {"messages": [user([{"type": "text", "text": "Tea?"}]), TALK[1]]},
        "messages: row 0 has parts that Polars made a text of",
    ),
    "another prompt": (
        {"prompt": "Coffee?", "chosen": TALK},
        "chosen: row 0 has another prompt than column 'prompt'",
    ),
    "another prompt as text": (
        {"prompt": "Coffee?", "chosen": HH},
        "chosen: row 0 has another prompt than column 'prompt'",
    ),
    "another system": (
        {"system": "Be kind.", "messages": [system("Be brief."), *TALK]},
        "system: row 0 has another system message than the conversation",
    ),
    "no answer": (
        {"messages": LONG[:3]},
        "messages: row 0 does not end with an assistant's message after another one",
    ),
    "no answer in hh-rlhf": (
        {"chosen": f"{HH}\n\nHuman: And milk?"},
        "chosen: row 0 does not end with an assistant's message",
    ),
    "no prompt in hh-rlhf": (
        {"chosen": "\n\nAssistant: Yes."},
        "chosen: row 0 holds no messages and no dialogue with 'Human:' and 'Assistant:' turns",
    ),
    "no prompt": ({"messages": TALK[1:]}, "messages: row 0 has no message of a user"),
    "two answers": (
        {"messages": [*TALK, assistant("No.")]},
        "messages: row 0 has no message of a user, or of a tool, right before an answer",
    ),
    "an open prompt": (
        {"prompt": TALK, "completion": "No."},
        "prompt: row 0 does not end with a message of a user or a tool",
    ),
    "an empty answer": (
        {"prompt": "Tea?", "response": " \n"},
        "response: row 0 has an empty answer",
    ),
    "an empty last message": (
        {"messages": [user("Tea?"), assistant("")]},
        "messages: row 0 has an empty answer",
    ),
    "a null answer": (
        {"prompt": "Tea?", "response": None},
        "response: row 0 holds neither .* it is null",
    ),
    "a null prompt": (
        {"prompt": None, "response": "Yes."},
        "prompt: row 0 holds neither .* it is null",
    ),
    "a null turn": (
        {"messages": [user(None), assistant("Yes.")]},
        "messages: row 0 has a message whose content is null",
    ),
    "a null message": ({"messages": [None, *TALK]}, "messages: row 0 has a message that is null"),
    "a role that is none": (
        {
            "conversations": [
                {"from": "human", "value": "?"},
                {"from": "function_call", "value": "x"},
            ]
        },
        "conversations: row 0 has a message of the role 'function_call'",
    ),
    "an old call": (
        {"messages": [user("?"), assistant("x", function_call={"name": "y"})]},
        "messages: row 0 has a message with 'function_call', which cannot be kept",
    ),
    "an answer of no weight": (
        {"messages": [user("Tea?"), assistant("Yes.", weight=0)]},
        "messages: row 0 ends with a message that is marked as one not to train on",
    ),
    "an answer not to train on": (
        {"messages": [user("Tea?"), assistant("Yes.", train=False)]},
        "messages: row 0 ends with a message that is marked",
    ),
    "text that only looks like JSON": (
        {"prompt": "Tea?", "chosen": str(np.array(TALK, dtype=object))},
        "chosen: row 0 is text that looks like a list of messages and is no JSON",
    ),
    "half of a character": (
        {"messages": json.dumps([user("Tea \ud83d"), TALK[1]])},
        "messages: row 0 has half of a character .* lone surrogate",
    ),
    "half of a character in Python's text": (
        {"prompt": "Tea?", "chosen": str([assistant("Yes \udc00")])},
        "chosen: row 0 has half of a character",
    ),
    "half of a character in a part": (
        {"messages": [user('[{"type": "text", "text": "Tea \\uD83D"}]'), TALK[1]]},
        "messages: row 0 has half of a character",
    ),
    "text that is no list": (
        {"messages": "['a', 'b']"},
        "messages: row 0 holds no messages and no dialogue",
    ),
    "answers in a list": (
        {"prompt": "Tea?", "response": ["Yes.", "No."]},
        "response: row 0 holds neither text nor messages",
    ),
    "tools that are none": (
        {"messages": TALK, "tools": "weather"},
        "tools: row 0 holds no list of tools, nor the JSON of one",
    ),
    "names of tools": (
        {"messages": TALK, "tools": ["weather"]},
        "tools: row 0 holds no list of tools",
    ),
    "a past that is none": (
        {"instruction": "Tea?", "output": "Yes.", "history": [["Hi"]]},
        "history: row 0 holds no list of pairs",
    ),
}


@pytest.mark.parametrize("name", REFUSED)
def test_a_row_is_refused(name: str) -> None:
    row, message = REFUSED[name]
    frame = pl.DataFrame({key: pl.Series([value] * 2, strict=False) for key, value in row.items()})
    with pytest.raises(ValueError, match=f"^{message}.* \\(2 of 2 rows\\): mend such rows or drop"):
        sft_dataset(frame)


def test_the_first_bad_row_is_named_and_others_are_counted() -> None:
    rows = [TALK, LONG, LONG[:3], TALK, TALK[:1]]
    with pytest.raises(ValueError, match=r"messages: row 2 does not end .* \(2 of 5 rows\)"):
        sft_dataset(pl.DataFrame({"messages": rows}))


@pytest.mark.parametrize(
    ("columns", "given", "message"),
    [
        ({"ask": "x", "response": "y"}, {}, r"no column of prompts .* ask, response: name them \("),
        ({"prompt": "x", "say": "y"}, {}, r"no column of answers .*completion=, or messages=\)"),
        ({"conversation": 3, "response": "y"}, {}, "no column of prompts"),
        ({"conversation": "c3", "response": "y"}, {}, "no column of prompts"),
        ({"ask": "x"}, {"prompt": "asks"}, "no column 'asks': the rows have ask"),
        ({"messages": TALK, "response": "y"}, {}, "'messages' and 'response' could both hold the"),
        *(
            (
                {"prompt": "x", "chosen": "y", "rejected": "z", name: "2"},
                {},
                f"'chosen' and '{name}' could both hold the answers: .* or rename the other",
            )
            for name in ("completion", "response", "answer", "output")
        ),
        (
            {"messages": TALK},
            {"messages": "messages", "prompt": "messages"},
            "leave the others out",
        ),
        ({"prompt": "x", "response": "y", "system": 3}, {}, "'system' is Int32, not text: drop it"),
        ({"instruction": "x", "output": "y", "input": [1]}, {}, "'input' is List.*, not text"),
        (
            {"prompt": "x", "response": "y", "images": ["z"]},
            {},
            r"'images' has values in 1 of 1 rows",
        ),
        (
            {"prompt": "x", "response": "y", "documents": ["z"]},
            {},
            r"'documents' has values in 1 of 1 rows",
        ),
    ],
)
def test_columns_are_refused(columns: dict[str, Any], given: dict[str, str], message: str) -> None:
    frame = pl.DataFrame({key: pl.Series([value]) for key, value in columns.items()})
    frame = frame.with_columns(pl.col(pl.Int64).cast(pl.Int32))
    with pytest.raises(ValueError, match=message):
        sft_dataset(frame, **given)


def test_columns_that_are_named() -> None:
    frame = pl.DataFrame(
        {
            "messages": [LONG],
            "ask": [LONG[:1]],
            "say": ["Yes."],
            "told": ["Be brief."],
            "prompt": "?",
        }
    )
    row = sft_dataset(frame, prompt="ask", completion="say", system="told")[0]
    assert row == {"prompt": [system("Be brief."), LONG[0]], "completion": [assistant("Yes.")]}
    assert sft_dataset(frame, messages="messages")[0]["prompt"] == LONG[:3]
    # Prompts and their answers come before dialogues.
    frame = frame.with_columns(response=pl.lit("No."))
    assert sft_dataset(frame)[0]["completion"] == [assistant("No.")]
    for name in ("answer", "chosen", "rejected"):
        either = pl.DataFrame({"prompt": "Tea?", "chosen": "a", "rejected": "b", "answer": "c"})
        row = sft_dataset(either.with_columns(pl.lit(name).alias(name)), completion=name)[0]
        assert row["completion"] == [assistant(name)]
    # Dialogues may have any name.
    renamed = frame.select(dialogue="messages")
    assert sft_dataset(renamed, completion="dialogue")[0]["prompt"] == LONG[:3]


def test_whole_characters_may_be_written_as_two_escapes() -> None:
    talk = [user("Tea \U0001f375?"), assistant(r"write \ud83d")]
    assert r"\ud83c\udf75" in json.dumps(talk)
    row = sft_dataset(pl.DataFrame({"messages": [json.dumps(talk)]}))[0]
    assert [*row["prompt"], *row["completion"]] == talk


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_dialogues_with_any_line_ends(end: str) -> None:
    before = HH.removesuffix(" Yes.").replace("\n", end)
    for columns in (
        {"chosen": HH.replace("\n", end)},
        {"prompt": before, "response": "Yes."},
        {"prompt": before, "chosen": "Yes."},
    ):
        row = sft_dataset(pl.DataFrame(columns))[0]
        assert [*row["prompt"], *row["completion"]] == LONG


def test_neighbouring_turns_of_one_speaker_are_one() -> None:
    text = "\n\nHuman: Hi\n\nHuman: Tea?\n\nAssistant: \n\nAssistant: Yes.\n\nAssistant: Green."
    row = sft_dataset(pl.DataFrame({"chosen": [text]}))[0]
    assert row == {"prompt": [user("Hi\n\nTea?")], "completion": [assistant("Yes.\n\nGreen.")]}


def test_a_prompt_is_the_same_in_every_unicode_form() -> None:
    frame = pl.DataFrame({"prompt": ["Th\u00e9? "], "chosen": [[user("The\u0301?"), TALK[1]]]})
    assert sft_dataset(frame)[0]["completion"] == TALK[1:]


def test_all_preferences_keep_theirs() -> None:
    frame = pl.DataFrame({"messages": [TALK] * 3, "a": [1.0, 0, 0.6], "b": [0.0, 1, 0.7]})
    chosen = pq.choose(frame.with_columns(tools=pl.lit("[1]")), ["a", "b"], 2, k=1)
    data = chosen.to_dataset()
    assert data.column_names == ["prompt", "completion", "preference", "tools"]
    assert list(data["preference"]) == [0, 1]
    frame = frame.with_columns(told=pl.lit("Be brief."))
    data = pq.choose(frame, ["a", "b"], 2, k=1).to_dataset(0, system="told")
    assert data[0]["prompt"] == [system("Be brief."), TALK[0]]


def test_nulls_stand_for_nothing_beside_texts() -> None:
    frame = pl.DataFrame(
        {
            "instruction": ["a", "b", "c"],
            "output": ["x", "y", "z"],
            "input": ["", None, "d"],
            "context": pl.Series([None] * 3, dtype=pl.Null),
            "images": [[], None, []],
            "tools": ["", None, "[]"],
            "image": ["", None, " "],
            "audio": [0.1, None, 0.3],
        }
    )
    data = sft_dataset(frame)
    assert data.column_names == ["prompt", "completion"]
    assert [row["prompt"][0]["content"] for row in data] == ["a", "b", "c\n\nd"]


def test_a_context_belongs_to_a_query() -> None:
    row = {"query": "Who came?", "context": "Ann came.", "answer": "Ann."}
    assert sft_dataset(pl.DataFrame(row))[0]["prompt"] == [user("Who came?\n\nAnn came.")]
