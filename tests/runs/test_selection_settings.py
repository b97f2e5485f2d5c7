"""What a run's configuration asks of its selections: conditions, quotas, turns, draws."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import polars as pl
import pytest

import paretohqd as pq
from helpers import small_run
from helpers.tiny import sentences
from paretohqd.runs import layout
from paretohqd.runs.config import Config
from paretohqd.runs.config_reader import from_mapping
from paretohqd.runs.manifest import Manifest
from paretohqd.runs.sections import LATER

pytestmark = pytest.mark.train

ASKED: list[dict[str, Any]] = [
    {"where": "topic <> 't1' AND length(response) > 3", "sample": 0},
    {"at_most": {"topic": 3, "prompt": 2}, "exclusive": True},
    {"epsilon": {"kind": 0.01}},
    {"diverse": "topic_embedding"},
    {"at_most": {"conversation": 1}},
]


@pytest.fixture
def folder(parts: Path, tmp_path: Path) -> Path:
    """The parts of a run, and data in which each prompt has a topic and a topic's embedding."""
    texts = sentences()
    pl.DataFrame(
        {
            "prompt": [texts[i // 4 * 7 % 588] for i in range(160)],
            "response": [texts[(i * 31 + 3) % 588] for i in range(160)],
            "topic": [f"t{i // 4 % 4}" for i in range(160)],
            "topic_embedding": [[i // 4 % 4 / 3, 1.0] for i in range(160)],
        }
    ).write_parquet(tmp_path / "data.parquet")
    return tmp_path


def settings(parts: Path, folder: Path, run: str, **selection: Any) -> Config:
    return small_run.settings(
        parts,
        str(folder / run),
        data__source=str(folder / "data.parquet"),
        selection={"k": 4, "k_stage2": 2, **selection},
        train__max_steps=1,
        generation__prompts=20,
        preferences=2,
    )


@pytest.mark.parametrize("asked", ASKED, ids=lambda asked: " ".join(asked))
def test_both_stages_choose_as_select_does(
    parts: Path, folder: Path, asked: dict[str, Any]
) -> None:
    chosen = settings(parts, folder, "run", **asked)
    small_run.do(chosen)
    for stage, k in ((1, 4), (2, 2)):
        scored = pl.read_parquet(folder / "run" / layout.score(stage) / layout.SCORED)
        rows = pl.read_parquet(folder / "run" / layout.select(stage) / layout.SELECTION)
        expected = pq.select(scored, ["kind", "brief"], 2, k=k, **asked)
        assert rows["row"].to_list() == expected["row"].to_list()
    if "topic" in str(asked):
        column = asked.get("diverse", "topic")
        assert column in scored.columns  # of the prompts, for answers that the run made
        before = Manifest.read(folder / "run" / layout.select(1)).settings
        assert {name: before[name] for name in asked} == asked


def test_settings_that_are_not_given_leave_the_keys_of_older_folders(
    parts: Path, folder: Path
) -> None:
    small_run.do(settings(parts, folder, "run"))
    kept = Manifest.read(folder / "run" / layout.select(1)).settings
    assert not kept.keys() & {*LATER, "rank"}
    # 0 is a seed, and not the same as none.
    small_run.do(settings(parts, folder, "run", sample=0))
    assert Manifest.read(folder / "run" / layout.select(1)).settings["sample"] == 0


def test_a_column_of_which_a_prompt_has_several_values(parts: Path, folder: Path) -> None:
    data = pl.read_parquet(folder / "data.parquet").with_columns(
        topic=pl.format("t{}", pl.int_range(pl.len()))
    )
    data.write_parquet(folder / "data.parquet")
    with pytest.raises(ValueError, match="topic"):
        small_run.do(settings(parts, folder, "run", at_most={"topic": 3}))
    with pytest.raises(ValueError, match=r"no column\(s\) topics, which objectives or the"):
        small_run.do(settings(parts, folder, "run", where="topics = 'a'"))


@pytest.mark.parametrize(
    ("selection", "message"),
    [
        ({"where": "kind >"}, "selection: where: 'kind >' is no condition"),
        ({"where": "kind > avg(kind)"}, "selection: where: .* looks at more than its own row"),
        ({"at_most": {"prompt": 1}, "one_per_prompt": True}, "at_most: 'prompt' is among"),
        ({"at_most": {"topic": 0}}, "selection: at_most: topic must be an integer of at least 1"),
        ({"at_most": ["topic"]}, "selection.at_most: expected a section"),
        ({"epsilon": "much"}, "selection.epsilon: expected"),
        ({"where": "model <> '1'"}, "selection: 'model' is a column of the run's own, with other"),
        ({"at_most": {"tokens": 1}}, "selection: 'tokens' is a column of the run's own"),
        ({"diverse": "x", "sample": 0}, "selection: choose one of diverse and sample"),
        ({"sample": -1}, "selection.sample: must be at least 0, got -1"),
        ({"epsilon": 1, "rank": "sum"}, "selection: epsilon: rank='sum' knows no layers"),
        ({"exclusive": 1}, "selection.exclusive: expected true or false, got 1"),
    ],
)  # fmt: skip
def test_what_is_refused_before_anything_is_read(selection: dict[str, Any], message: str) -> None:
    mapping = {
        "run": "runs/x",
        "data": {"source": "embedded:conversations"},
        "objectives": [
            {"name": "kind", "scorer": "embedded:harmless"},
            {"name": "brief", "scorer": "rule:length", "options": {"most": 9}},
        ],
        "selection": selection,
    }
    with pytest.raises(ValueError, match=message):
        from_mapping(Config, mapping)
