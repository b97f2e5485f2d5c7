"""Make known_sets/*.jsonl: small files in the columns of public preference data sets.

The texts are those of human conversations (chitchat-dataset, MIT), of which each is continued by
four people: the one who did and three who said something else. The ratings are those of the offline
scorers, cut into five grades. So the files say nothing about the sets whose columns they have; they
show how such a set goes into a run, and are what the configurations beside them are tried with.

    python examples/make_known_sets.py examples/known_sets
"""

import argparse
import json
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from paretohqd.models.embedded import conversations
from paretohqd.rewards.embedded import SCORERS
from paretohqd.rewards.scoring import score

TALKS, ANSWERS, SEED = 48, 4, 0
Row = dict[str, Any]


def talks() -> list[Row]:
    """Conversations of two turns: messages, four answers to the last, and grades of each answer."""
    # A row's response is the next row's prompt.
    frame = (
        conversations()
        .sort("conversation", "turn")
        .with_columns(
            first=pl.col("prompt").shift(2).over("conversation"),
            reply=pl.col("prompt").shift(1).over("conversation"),
            begin=pl.col("turn").shift(2).over("conversation"),
        )
    )
    texts = [pl.col(name).str.len_chars() for name in ("first", "reply", "prompt", "response")]
    short = pl.all_horizontal(length.is_between(8, 160) for length in texts)
    frame = frame.drop_nulls().filter(short & (pl.col("turn") == pl.col("begin") + 2))
    frame = frame.unique("conversation", keep="first", maintain_order=True)
    rng = np.random.default_rng(SEED)
    chosen = frame[np.sort(rng.permutation(len(frame))[:TALKS])]
    others = rng.permutation(frame["response"].to_numpy())
    answers = [
        [row["response"], *others[i * 3 : i * 3 + ANSWERS - 1]]
        for i, row in enumerate(chosen.iter_rows(named=True))
    ]
    pairs = pl.DataFrame({"prompt": chosen["prompt"], "response": answers}).explode("response")
    scored = score(pairs, [make() for make in SCORERS.values()])
    grade = pl.selectors.by_name(*SCORERS).rank() * 5 / (len(scored) + 1)
    grades = scored.select(grade.floor().cast(pl.Int64)).rows(named=True)
    rows = []
    for i, row in enumerate(chosen.iter_rows(named=True)):
        messages = [
            {"role": "user", "content": row["first"]},
            {"role": "assistant", "content": row["reply"]},
            {"role": "user", "content": row["prompt"]},
        ]
        own = grades[i * ANSWERS : (i + 1) * ANSWERS]
        rows.append({"messages": messages, "answers": answers[i], "grades": own})
    return rows


def better(row: Row) -> int:
    """Which of the first two answers has more of all grades."""
    sums = [sum(grades.values()) for grades in row["grades"][:2]]
    return int(sums[1] > sums[0])


def dialogue(row: Row, answer: str) -> str:
    names = {"user": "Human", "assistant": "Assistant"}
    turns = [*row["messages"], {"role": "assistant", "content": answer}]
    return "".join(f"\n\n{names[turn['role']]}: {turn['content']}" for turn in turns)


def hh_rlhf(row: Row) -> list[Row]:
    sides = [dialogue(row, answer) for answer in row["answers"][:2]]
    return [{"chosen": sides[better(row)], "rejected": sides[1 - better(row)]}]


def ultrafeedback(row: Row) -> list[Row]:
    names = ("instruction_following", "truthfulness", "honesty", "helpfulness")
    completions = [
        {
            "model": f"person {number}",
            "response": answer,
            "annotations": {
                name: {"Rating": str(1 + grade), "Rationale": ""}
                for name, grade in zip(names, grades.values(), strict=True)
            },
        }
        for number, (answer, grades) in enumerate(zip(row["answers"], row["grades"], strict=True))
    ]
    return [{"instruction": row["messages"][-1]["content"], "completions": completions}]


def helpsteer2(row: Row) -> list[Row]:
    first, reply, last = (message["content"] for message in row["messages"])
    prompt = f"{first}\n<extra_id_1>Assistant\n{reply}\n<extra_id_1>User\n{last}"
    names = ("helpfulness", "correctness", "coherence", "complexity")
    return [
        {"prompt": prompt, "response": answer}
        | dict(zip(names, grades.values(), strict=True))
        | {"verbosity": min(4, len(answer) // 40)}
        for answer, grades in zip(row["answers"], row["grades"], strict=True)
    ]


def helpsteer3(row: Row) -> list[Row]:
    first, second, *_ = row["answers"]
    return [
        {
            "domain": "general",
            "context": row["messages"],
            "response1": first,
            "response2": second,
            "overall_preference": 2 if better(row) else -2,
        }
    ]


def safe_rlhf(row: Row) -> list[Row]:
    made: Row = {"prompt": row["messages"][-1]["content"]}
    harmless = [grades["harmless"] for grades in row["grades"][:2]]
    for number in (0, 1):
        made[f"response_{number}"] = row["answers"][number]
        made[f"is_response_{number}_safe"] = harmless[number] > 1
        made[f"response_{number}_severity_level"] = max(0, 3 - harmless[number])
    relevance = [grades["relevance"] for grades in row["grades"][:2]]
    made["better_response_id"] = int(relevance[1] > relevance[0])
    made["safer_response_id"] = int(harmless[1] > harmless[0])
    return [made]


def summaries(row: Row) -> list[Row]:
    text = " ".join(message["content"] for message in row["messages"])
    info = {"post": text, "title": "A talk", "subreddit": "casualconversation", "article": None}
    names = ("overall", "accuracy", "coverage", "coherence")
    return [
        {
            "info": info,
            "summary": {
                "text": " " + answer,
                "axes": dict(zip(names, (1 + grade for grade in grades.values()), strict=True)),
            },
            "worker": "scorers",
        }
        for answer, grades in zip(row["answers"], row["grades"], strict=True)
    ]


def messages(row: Row) -> list[Row]:
    system = {"role": "system", "content": "You talk with a friend."}
    return [
        {"messages": [system, *row["messages"], {"role": "assistant", "content": answer}]}
        for answer in row["answers"]
    ]


def trees(row: Row, place: int) -> list[Row]:
    made = [
        {
            "message_id": f"{place}-{number}",
            "parent_id": f"{place}-{number - 1}" if number else None,
            "text": message["content"],
            "role": {"user": "prompter", "assistant": "assistant"}[message["role"]],
            "labels": None,
        }
        for number, message in enumerate(row["messages"])
    ]
    names = ("quality", "helpfulness", "creativity", "toxicity")
    for number, (answer, grades) in enumerate(zip(row["answers"], row["grades"], strict=True)):
        values = [grade / 4 for grade in grades.values()]
        labels = {"name": list(names), "value": values, "count": [3] * len(names)}
        made.append(
            {
                "message_id": f"{place}-answer-{number}",
                "parent_id": made[2]["message_id"],
                "text": answer,
                "role": "assistant",
                "labels": labels,
            }
        )
    return made


SETS = {
    "hh_rlhf": hh_rlhf,
    "ultrafeedback": ultrafeedback,
    "helpsteer2": helpsteer2,
    "helpsteer3": helpsteer3,
    "safe_rlhf": safe_rlhf,
    "summarize_from_feedback": summaries,
    "tulu": messages,
}


def write(folder: Path) -> None:
    rows = talks()
    files = {name: [made for row in rows for made in make(row)] for name, make in SETS.items()}
    files["open_assistant"] = [made for i, row in enumerate(rows) for made in trees(row, i)]
    for name, made in files.items():
        lines = (json.dumps(row, ensure_ascii=False) + "\n" for row in made)
        (folder / f"{name}.jsonl").write_text("".join(lines), encoding="utf-8")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    folder = parser.parse_args().folder
    folder.mkdir(parents=True, exist_ok=True)
    write(folder)


if __name__ == "__main__":
    main()
