"""The layouts in which data sets carry one answer, and the prompt that each of them has."""

from __future__ import annotations

import json
from typing import Any

import datasets
import polars as pl


def user(text: Any, **more: Any) -> dict[str, Any]:
    return {"role": "user", "content": text, **more}


def assistant(text: Any, **more: Any) -> dict[str, Any]:
    return {"role": "assistant", "content": text, **more}


def system(text: str) -> dict[str, Any]:
    return {"role": "system", "content": text}


def frame_of(rows: list[dict[str, Any]]) -> pl.DataFrame:
    """Rows as a Dataset of Hugging Face hands them to Polars: structs have all fields of all."""
    return datasets.Dataset.from_list(rows).to_polars()


TALK = [user("Tea?"), assistant("Yes.")]
LONG = [user("Hi"), assistant("Hello!"), *TALK]
HH = "\n\nHuman: Hi\n\nAssistant: Hello!\n\nHuman: Tea?\n\nAssistant: Yes."
SHAREGPT = [{"from": "human", "value": "Tea?"}, {"from": "gpt", "value": "Yes."}]
CALL = {"type": "function", "function": {"name": "weather", "arguments": {"city": "Rome"}}}
OTHER = {"type": "function", "function": {"name": "days", "arguments": {"from": 1, "to": 3}}}
RESULT = {"role": "tool", "content": "21 C", "tool_call_id": "1", "name": "weather"}

# A row's columns, and the prompt that it has; all answers are "Yes."
LAYOUTS: dict[str, tuple[dict[str, Any], list[dict[str, Any]]]] = {
    "texts": ({"prompt": "Tea?", "response": "Yes."}, TALK[:1]),
    "other names": ({"query": "Tea?", "answer": "Yes."}, TALK[:1]),
    "lists": ({"prompt": LONG[:3], "completion": LONG[3:]}, LONG[:3]),
    "one message": ({"prompt": "Tea?", "completion": assistant("Yes.")}, TALK[:1]),
    "messages": ({"messages": LONG}, LONG[:3]),
    "conversation": ({"conversation": TALK}, TALK[:1]),
    "a system's message": (
        {"messages": [system("Be brief."), *TALK]},
        [system("Be brief."), TALK[0]],
    ),
    "sharegpt": ({"conversations": SHAREGPT}, TALK[:1]),
    "sharegpt with a system": (
        {"conversations": [{"from": "system", "value": "Be brief."}, *SHAREGPT]},
        [system("Be brief."), TALK[0]],
    ),
    "odd roles": (
        {"messages": [{"role": "Human", "content": "Tea?"}, {"role": "BOT ", "content": "Yes."}]},
        TALK[:1],
    ),
    "a prompt beside its dialogue": (
        {"prompt": "Tea?", "prompt_id": "1", "messages": TALK},
        TALK[:1],
    ),
    "chosen is the dialogue": (
        {
            "prompt": "Tea?",
            "chosen": TALK,
            "rejected": [TALK[0], assistant("No.")],
            "messages": TALK,
        },
        TALK[:1],
    ),
    "the first of several prompts": ({"prompt": "Hi", "chosen": LONG}, LONG[:3]),
    "the last of several prompts": ({"prompt": "Tea?", "chosen": LONG}, LONG[:3]),
    "an explicit prompt": (
        {"prompt": LONG[:3], "chosen": LONG[3:], "rejected": LONG[3:]},
        LONG[:3],
    ),
    "an implicit prompt": ({"chosen": LONG, "rejected": [*LONG[:3], assistant("No.")]}, LONG[:3]),
    "chosen as text": ({"prompt": "Tea?", "chosen": "Yes.", "rejected": "No."}, TALK[:1]),
    "hh-rlhf": ({"chosen": HH, "rejected": HH.replace("Yes", "No")}, LONG[:3]),
    "hh-rlhf beside its prompt": ({"prompt": "Tea?", "chosen": HH}, LONG[:3]),
    "hh-rlhf, cut at the answer": (
        {"prompt": HH.removesuffix(" Yes."), "chosen": "Yes."},
        LONG[:3],
    ),
    "alpaca": (
        {"instruction": "Tea", "input": "or coffee?", "output": "Yes."},
        [user("Tea\n\nor coffee?")],
    ),
    "alpaca without": ({"instruction": "Tea?", "input": "", "output": "Yes."}, TALK[:1]),
    "alpaca, input alone": ({"instruction": "", "input": "Tea?", "output": "Yes."}, TALK[:1]),
    "alpaca with a past": (
        {
            "instruction": "Tea?",
            "input": "",
            "output": "Yes.",
            "system": "Be brief.",
            "history": [["Hi", "Hello!"]],
        },
        [system("Be brief."), *LONG[:3]],
    ),
    "dolly": (
        {"instruction": "Tea?", "context": "It is five.", "response": "Yes."},
        [user("Tea?\n\nIt is five.")],
    ),
    "a context": (
        {"question": "Tea?", "context": "It is five.", "answer": "Yes."},
        [user("Tea?\n\nIt is five.")],
    ),
    "a system's column": (
        {"system_prompt": "Be brief.", "question": "Tea?", "response": "Yes."},
        [system("Be brief."), TALK[0]],
    ),
    "an empty system": ({"system": " ", "question": "Tea?", "response": "Yes."}, TALK[:1]),
    "a system twice": (
        {"system": "Be brief.", "messages": [system("Be brief."), *TALK]},
        [system("Be brief."), TALK[0]],
    ),
    "parts": (
        {
            "messages": [
                user([{"type": "text", "text": "Te"}, {"type": "text", "text": "a?"}]),
                assistant([{"type": "text", "text": "Yes."}]),
            ]
        },
        TALK[:1],
    ),
    "parts as text": (
        {"messages": [user('[{"type": "text", "text": "Tea?"}]'), TALK[1]]},
        TALK[:1],
    ),
    "JSON": ({"messages": json.dumps(LONG)}, LONG[:3]),
    "JSON on both sides": (
        {"prompt": json.dumps(LONG[:3]), "completion": json.dumps(LONG[3:])},
        LONG[:3],
    ),
    "Python's text": ({"messages": str(LONG)}, LONG[:3]),
    "an instruction as messages": (
        {"instruction": [user("Tea?", weight=0)], "input": "x", "output": "Yes."},
        TALK[:1],
    ),
    "keys of no matter": ({"messages": [user("Tea?", id=1), assistant("Yes.", id=2)]}, TALK[:1]),
    "weights before the answer": (
        {
            "messages": [
                user("Hi"),
                assistant("Hello!", weight=0),
                user("Tea?"),
                assistant("Yes.", weight=1),
            ]
        },
        LONG[:3],
    ),
}
