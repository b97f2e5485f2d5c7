"""Names in run folders: finished runs have them, so they stay as they are."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from paretohqd.runs import layout


def test_stages_are_called_as_in_the_folders_that_there_are() -> None:
    assert layout.DATA == "data"
    assert [layout.score(1), layout.select(2), layout.fit(1, 0), layout.fit(2, 10)] == [
        "stage1/score",
        "stage2/select",
        "stage1/fit/00",
        "stage2/fit/10",
    ]
    assert [layout.generate(4), layout.CANDIDATES] == ["stage2/generate/04", "stage2/answers"]
    assert [layout.answers("base"), layout.evaluate("stage1-00")] == [
        "answers/base",
        "evaluate/stage1-00",
    ]
    assert f"{layout.SUMMARY}/{layout.METRICS}" == "evaluate/summary/metrics.json"


def test_the_models_of_a_run() -> None:
    names = ["base", "stage1-00", "stage1-01", "stage2-00", "stage2-01"]
    assert layout.models(2, 2) == names
    assert [tuple(layout.parse_model(name)) for name in names] == [
        (0, None),
        (1, 0),
        (1, 1),
        (2, 0),
        (2, 1),
    ]


@given(st.integers(1, 12), st.integers(0, 1000))
def test_a_models_name_says_which_it_is(stage: int, preference: int) -> None:
    assert layout.parse_model(layout.model_name(stage, preference)) == (stage, preference)


@pytest.mark.parametrize("name", ["", "stage1", "stage0-00", "stage1-0", "stage1-00/x", "summary"])
def test_other_names_are_no_models(name: str) -> None:
    with pytest.raises(ValueError, match="no model's name"):
        layout.parse_model(name)


def test_phases() -> None:
    stages = [layout.DATA, layout.score(1), layout.fit(2, 3), layout.generate(0), layout.CANDIDATES]
    assert [layout.phase(name) for name in [*stages, layout.answers("base"), layout.SUMMARY]] == [
        "data",
        "stage1/score",
        "stage2/fit",
        "stage2/generate",
        "stage2/answers",
        "answers",
        "evaluate",
    ]


names = st.lists(st.text(max_size=50), min_size=1, max_size=12)


@given(names, st.sampled_from([layout.fit, layout.generate, layout.answers, layout.evaluate]))
def test_a_folder_with_a_name_is_the_same_stage(names: list[str], kind: object) -> None:
    for number in range(len(names)):
        stage = {
            layout.fit: layout.fit(2, number),
            layout.generate: layout.generate(number),
            layout.answers: layout.answers(layout.model_name(1, number)),
            layout.evaluate: layout.evaluate(layout.model_name(2, number)),
        }[kind]
        folder = layout.placed(stage, names)
        assert folder == stage or folder.startswith(f"{stage}-")
        assert folder.isascii()
        assert len(folder) <= len(stage) + 41
        assert folder.count("/") == stage.count("/")
        assert layout.NUMBERED.fullmatch(folder)[1] == stage  # type: ignore[index]


def test_folders_are_renamed_with_the_preferences(tmp_path: Path) -> None:
    had = ["stage1/fit/00", "stage1/fit/01-old", "stage2/fit/00.work", "answers/stage1-01"]
    untouched = ["answers/base", "evaluate/summary", "stage1/fit/notes", "stage1/fit/00.old"]
    for name in (*had, *untouched):
        (tmp_path / name).mkdir(parents=True)
    moved = list(layout.renamed(tmp_path, ["New", "!"]))
    assert [to.relative_to(tmp_path).as_posix() for _, to in moved] == [
        "stage1/fit/00-new",
        "stage1/fit/01",
        "stage2/fit/00-new.work",
    ]
    for path, to in moved:
        path.rename(to)
    assert list(layout.renamed(tmp_path, ["New", "!"])) == []
    assert layout.find(tmp_path, "stage1/fit/00") == tmp_path / "stage1/fit/00-new"
    assert layout.find(tmp_path, "stage2/fit/00") == tmp_path / "stage2/fit/00", "unfinished"
