"""Sources that are read block by block: the same files as of a source in memory."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import polars as pl
import pytest
from polars.testing import assert_frame_equal

from helpers.small_run import do, settings
from helpers.tiny import sentences
from paretohqd.frames import batches
from paretohqd.runs import data, parquet_rows


@pytest.fixture
def small_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every file is large, and every block small."""
    monkeypatch.setattr(data, "LARGE_BYTES", 0)
    monkeypatch.setattr(batches, "MAX_ROWS", 7)
    monkeypatch.setattr(parquet_rows, "GROUP", 16)


def rows() -> pl.DataFrame:
    texts = sentences()
    frame = pl.DataFrame(
        {
            "prompt": [texts[i // 4 * 7 % 588] for i in range(120)],
            "response": [texts[(i * 31 + 3) % 588] for i in range(120)],
            "n": range(120),
        }
    )
    blank = pl.col("n").is_in([9, 77])
    return frame.with_columns(response=pl.when(blank).then(pl.lit(" ")).otherwise("response"))


def files(run: Path) -> dict[str, pl.DataFrame]:
    names = ["data/pool", "data/prompts", "data/held_out", "stage1/score/scored"]
    names += ["stage1/select/selection", "stage2/select/selection", "answers/base/answers"]
    return {name: pl.read_parquet(run / f"{name}.parquet") for name in names}


@pytest.mark.parametrize("form", ["file", "folder", "pattern", "csv"])
def test_a_run_on_a_large_source(
    form: str, parts: Path, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    more: dict[str, Any] = {"preferences": 2, "train__max_steps": 1, "data__invalid": "drop"}
    whole = tmp_path / "whole.parquet"
    rows().write_parquet(whole)
    do(settings(parts, str(tmp_path / "one"), data__source=str(whole), **more))
    request.getfixturevalue("small_blocks")
    folder = tmp_path / "rows"
    folder.mkdir()
    source = {"file": whole, "csv": folder / "a.csv"}.get(form, folder)
    if form == "csv":
        rows().write_csv(source)
    elif form != "file":
        for i, start in enumerate(range(0, 120, 50)):
            rows()[start : start + 50].write_parquet(folder / f"{i}.parquet")
    name = str(folder / "*.parquet") if form == "pattern" else str(source)
    do(settings(parts, str(tmp_path / "other"), data__source=name, **more))
    one, other = files(tmp_path / "one"), files(tmp_path / "other")
    for name, frame in one.items():
        assert_frame_equal(other[name], frame, check_exact=True)


def test_rows_in_messages_are_those_of_the_file(
    parts: Path, tmp_path: Path, small_blocks: None
) -> None:
    talks = [[{"role": "user", "content": "Hi"}, {"role": "assistant", "content": "Ho"}]] * 30
    talks[20] = [{"role": "robot", "content": "Hi"}, *talks[20][1:]]
    source = tmp_path / "talks.parquet"
    pl.DataFrame({"messages": talks}).write_parquet(source)
    with pytest.raises(ValueError, match=r"talks.parquet: .*robot.*rows counted from row \d+ on"):
        do(settings(parts, str(tmp_path / "run"), data__source=str(source)))
