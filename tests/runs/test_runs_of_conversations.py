"""A run on conversations: every stage reads the same messages."""

from __future__ import annotations

from pathlib import Path

import polars as pl
import pytest

from helpers.shapes import NO_SYSTEM
from helpers.small_run import do, settings
from helpers.talks import SYSTEM, talks
from paretohqd.frames.conversations.prompts import read_prompt


def test_a_run_on_conversations(parts: Path, tmp_path: Path) -> None:
    source = tmp_path / "talks.parquet"
    talks().write_parquet(source)
    run = tmp_path / "run"
    chosen = settings(parts, str(run), data__source=str(source), preferences=2, train__max_steps=1)
    do(chosen)
    pool = pl.read_parquet(run / "data" / "pool.parquet")
    turns = [read_prompt(text) for text in pool["prompt"]]
    assert {len(each) for each in turns} == {2, 4}
    assert all(each[0] == SYSTEM for each in turns)
    # One conversation, whatever follows its first turn.
    assert pool["conversation"].to_list() == [each[1]["content"] for each in turns]
    held = pl.read_parquet(run / "data" / "held_out.parquet")
    assert not set(held["conversation"]) & set(pool["conversation"])
    prompts = set(pl.read_parquet(run / "data" / "prompts.parquet")["prompt"])
    for name in ("stage1/select", "stage2/select"):
        chosen_rows = pl.read_parquet(run / name / "selection.parquet")
        assert set(chosen_rows["prompt"]) <= prompts
    answers = pl.read_parquet(run / "answers" / "base" / "answers.parquet")
    assert answers["prompt"].equals(held["prompt"].gather(range(len(answers))))
    page = (run / "report.html").read_text()
    assert page.count('<small class="note">system</small> Be brief.') == 5


def test_a_template_without_a_place_for_system_messages(parts: Path, tmp_path: Path) -> None:
    source = tmp_path / "talks.parquet"
    talks().write_parquet(source)
    more = {"data__source": str(source), "model__chat_template": NO_SYSTEM}
    with pytest.raises(ValueError, match=r"takes no system message, and .* prompts; first: row 0"):
        do(settings(parts, str(tmp_path / "run"), **more))
    talks(system=False).write_parquet(source)
    do(settings(parts, str(tmp_path / "run"), stages=1, preferences=2, **more))


def test_an_answer_follows_its_user(parts: Path, tmp_path: Path) -> None:
    source = tmp_path / "talks.parquet"
    rows = talks()["messages"].to_list()
    rows[3] = rows[3][:-1]
    pl.DataFrame({"messages": rows}).write_parquet(source)
    chosen = settings(parts, str(tmp_path / "run"), data__source=str(source))
    with pytest.raises(ValueError, match="1 of 120 answers are empty"):
        do(chosen)
    frame = pl.DataFrame({"prompt": [row[:-1] for row in talks()["messages"]], "response": "Yes."})
    frame = frame.with_columns(pl.col("prompt").list.concat(pl.col("prompt").list.slice(0, 1)))
    frame.write_parquet(source)
    with pytest.raises(ValueError, match=r"prompt: row 0 does not end with .* \(120 of 120 rows\)"):
        do(chosen)
