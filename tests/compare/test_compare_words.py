from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import polars as pl
import pytest

from paretohqd.compare.policy import Policy
from paretohqd.compare.records import FrontRecord
from paretohqd.compare.words import asked_high_or_low, limits, shape

HIGH = [1.0, 1.1, 0.9, 1.0]
LOW = [0.0, 0.2, 0.1, 0.1]


def folders(tmp_path: Path, *columns: list[float]) -> list[Path]:
    made = []
    for number, values in enumerate(columns):
        folder = tmp_path / f"{number}"
        folder.mkdir()
        pl.DataFrame({"kind": values}).write_parquet(folder / "answers.parquet")
        made.append(folder)
    return made


@pytest.mark.parametrize(
    ("high", "low", "said"),
    [
        (HIGH, LOW, "+0.900 (se 0.041): follows"),
        (LOW, HIGH, "-0.900 (se 0.041): goes the other way"),
        ([1.0, 0.0, 2.0, 0.0], LOW, "+0.650 (se 0.497): open"),
    ],
)
def test_asked_high_against_asked_low(
    tmp_path: Path, high: list[float], low: list[float], said: str
) -> None:
    middle = [0.5] * 4
    policies = [Policy(weights=(w, 1 - w), system_prompt="x") for w in (0.0, 0.5, 1.0)]
    tests = asked_high_or_low(["kind"], policies, folders(tmp_path, low, middle, high))
    assert tests == {"kind": said}


def test_nothing_is_asked_of_one_preference(tmp_path: Path) -> None:
    one = [Policy(weights=(0.5, 0.5), system_prompt="x")]
    assert asked_high_or_low(["kind"], one, folders(tmp_path, HIGH)) == {}


def test_one_prompt_tells_nothing(tmp_path: Path) -> None:
    policies = [Policy(weights=(w, 1 - w), system_prompt="x") for w in (0.0, 1.0)]
    assert asked_high_or_low(["kind"], policies, folders(tmp_path, [0.0], [1.0])) == {}


def test_the_embedded_models_size_is_said_first() -> None:
    assert "135 million" in limits("embedded", None)[0]
    assert len(limits("some/model", None)) == len(limits("embedded", None)) - 1


def test_a_front_is_told_beside_what_chance_makes() -> None:
    chance = {"clouds": 200, "unreached": [0.57, 0.33, 0.75], "depth": [0.066, 0.018, 0.143]}
    given = {"points": 13, "unreached": 0.54, "depth": 0.032, "chance": chance}
    front = FrontRecord.of(given)
    *_, text = limits("some/model", front)
    assert "13 points of the data's front lies .032 of its box" in text
    assert "54 % of them; 200 clouds" in text
    assert ".066 (.018 to .143) and 57 % (33 to 75)" in text
    assert text.endswith("nothing shows that these data are non-convex.")
    assert shape(replace(front, depth=0.2)).endswith("hollower than chance makes one.")
    assert "was not drawn" in shape(replace(front, chance=None))
