"""Functions and rules as objectives of a run: leave, columns of prompts, what is done again."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import polars as pl
import pytest
import yaml

from helpers import small_run
from helpers.offline_answers import answers, source_in, split
from helpers.tiny import sentences
from paretohqd.frames.conversations.prompts import write_prompt
from paretohqd.plots.progress import Screen
from paretohqd.rewards.callables import CallableReward
from paretohqd.runs import layout, pipeline, rewards
from paretohqd.runs.config import Config, load_settings
from paretohqd.runs.context import RunContext
from paretohqd.runs.manifest import Manifest

SHARED = '''
def shared(completions, solution, completion_ids, **more):
    """Letters of the solution that an answer has."""
    assert not more.keys() & {"conversation", "extra"}
    assert len(completion_ids) == len(completions) == len(solution)
    return [len(set(a) & set(b)) / 10 for a, b in zip(completions, solution)]
'''
FLAG = "scorers/mine.py:shared"
OBJECTIVES = [
    {"name": "shared", "scorer": FLAG, "columns": ["solution"]},
    {
        "name": "brief",
        "scorer": "rule:length",
        "options": {"most": 1, "fall": 300, "unit": "characters"},
    },
]


@pytest.fixture
def folder(parts: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The working folder: a configuration, its code, and data with a solution of each prompt."""
    monkeypatch.chdir(tmp_path)
    texts = sentences()
    pl.DataFrame(
        {
            "prompt": [texts[i // 4 * 7] for i in range(60)],
            "response": [texts[(i * 31 + 3) % 588] for i in range(60)],
            "solution": [f"solution {i // 4}" for i in range(60)],
            "extra": range(60),
        }
    ).write_parquet(tmp_path / "data.parquet")
    (tmp_path / "scorers").mkdir()
    (tmp_path / "scorers" / "mine.py").write_text(SHARED)
    mapping = small_run.mapping(
        parts,
        "run",
        objectives=OBJECTIVES,
        preferences=2,
        selection__k=2,
        train__max_steps=1,
        generation__prompts=4,
        generation__max_new_tokens=4,
        data__source="data.parquet",
        data__held_out=3,
    )
    (tmp_path / "it.yaml").write_text(yaml.safe_dump({**mapping, "run": "run"}))
    return tmp_path


def do(folder: Path, allow: list[str], **changes: Any) -> list[str]:
    file = io.StringIO()
    settings = load_settings(Config, folder / "it.yaml", changes)
    pipeline.run(settings, screen=Screen(file=file), allow_code=allow)
    return file.getvalue().splitlines()


def keys(folder: Path) -> dict[str, str]:
    run = folder / "run"
    places = [p.parent for p in run.rglob("manifest.json") if "superseded" not in p.parts]
    return {p.relative_to(run).as_posix(): Manifest.read(p).key for p in places}


def test_a_run_with_a_function_and_a_rule(folder: Path) -> None:
    with pytest.raises(ValueError, match=f"is code, .* --allow-code {FLAG} on the command line"):
        do(folder, [])
    assert not (folder / "run").exists()
    with pytest.raises(ValueError, match=r"--allow-code mine.py:shared: no scorer of this run"):
        do(folder, [FLAG, "mine.py:shared"])
    lines = do(folder, [FLAG])
    assert f"this configuration runs code: {FLAG}" in lines
    run = folder / "run"
    consent = json.loads((run / layout.CONSENT).read_text())
    assert list(consent["scorers"]) == [FLAG]
    for file in ("data/prompts.parquet", "data/held_out.parquet"):
        assert pl.read_parquet(run / file).columns == ["prompt", "conversation", "solution"]
    solutions = dict(pl.read_parquet("data.parquet").select("prompt", "solution").iter_rows())
    for name in ("stage2/answers", "stage2/score", "answers/base", "evaluate/stage2-01"):
        [file] = (run / name).glob("*.parquet")
        answered = pl.read_parquet(file)
        assert answered["solution"].to_list() == [solutions[p] for p in answered["prompt"]]
        assert "extra" not in answered.columns
    scored = pl.read_parquet(run / "stage1/score/scored.parquet")
    expected = [
        len(set(a) & set(b)) / 10
        for a, b in zip(scored["response"], scored["solution"], strict=True)
    ]
    assert scored["shared"].to_list() == expected
    function, rule = Manifest.read(run / "stage1/score").notes["rewards"]
    assert function["kind"] == "callable"
    assert function["function"] == FLAG
    assert function["sha256"] == consent["scorers"][FLAG]
    assert rule["kind"] == "rule:length"
    assert str(folder) not in (run / "config.yaml").read_text()
    assert yaml.safe_load((run / "config.yaml").read_text())["objectives"][0]["scorer"] == FLAG

    before = keys(folder)
    with pytest.raises(ValueError, match="is code"):
        do(folder, [])  # what was allowed once is asked for again
    assert not any("redone" in line for line in do(folder, [FLAG]))
    assert keys(folder) == before
    mine = folder / "scorers" / "mine.py"
    mine.write_text(SHARED.replace("/ 10", "/ 20"))
    do(folder, [FLAG])
    now = keys(folder)
    assert now["data"] == before["data"]
    assert now["answers/base"] == before["answers/base"]
    assert now["stage1/score"] != before["stage1/score"]
    assert now["evaluate/base"] != before["evaluate/base"]
    again = pl.read_parquet(run / "stage1/score/scored.parquet")["shared"]
    assert again.to_list() == pytest.approx([value / 2 for value in expected])


def test_what_is_wrong_is_said_before_any_work(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pipeline, "score", lambda *given: pytest.fail("work was done"))
    frame = pl.read_parquet("data.parquet")
    frame.drop("solution").write_parquet("data.parquet")
    with pytest.raises(ValueError, match=r"no column\(s\) solution, which objectives or the"):
        do(folder, [FLAG])
    changed = [{**OBJECTIVES[0], "columns": None}, OBJECTIVES[1]]
    with pytest.raises(ValueError, match=r"shared needs solution: .*columns: \[solution\]"):
        do(folder, [FLAG], objectives=changed)
    changed = [OBJECTIVES[0], {**OBJECTIVES[1], "options": {"mots": 3}}]
    with pytest.raises(ValueError, match=r"reward 'brief': unknown key options.mots"):
        do(folder, [FLAG], objectives=changed)
    for name in ("words", "brief", "conversation"):
        changed = [{**OBJECTIVES[0], "columns": [name]}, OBJECTIVES[1]]
        with pytest.raises(ValueError, match=rf"objectives\[0\].columns: '{name}' is an objective"):
            do(folder, [FLAG], objectives=changed)


def test_what_would_fail_in_stage_2_is_found_in_stage_1(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pipeline, "fit", lambda *given: pytest.fail("something was trained"))
    data = pl.read_parquet("data.parquet").with_columns(given=pl.int_range(pl.len()) / 7)
    data.write_parquet("data.parquet")
    rule = {"name": "exact", "scorer": "rule:exact", "options": {"column": "solution"}}
    prompts = data.select("prompt", "solution").unique(maintain_order=True)
    prompts = prompts.with_columns(
        prompt="New: " + pl.col("prompt"),
        solution=pl.when(pl.int_range(pl.len()) != 3).then("solution"),
    )
    prompts.write_parquet("prompts.parquet")
    more: dict[str, Any] = {"objectives": [rule, OBJECTIVES[1]], "data.prompts": "prompts.parquet"}
    with pytest.raises(ValueError, match=r"data \(prompts\): .* 'solution' holds None in row 3"):
        do(folder, [], **more)
    assert not (folder / "run" / "stage1").exists()
    mine = folder / "scorers" / "mine.py"
    mine.write_text("def shared(completions, solution, **more):\n    raise KeyError('key')\n")
    objectives = [{**OBJECTIVES[0], "column": "given"}, OBJECTIVES[1]]
    with pytest.raises(ValueError, match=r"KeyError"):
        do(folder, [FLAG], objectives=objectives)
    assert not (folder / "run" / layout.score(1)).exists()


@pytest.mark.parametrize("value", [float("inf"), float("nan"), None, "N/A", "-inf", "much"])
def test_scores_that_are_none_are_found_with_the_data(folder: Path, value: Any) -> None:
    scores = [str(i / 7) if isinstance(value, str) else i / 7 for i in range(60)]
    data = pl.read_parquet("data.parquet").with_columns(
        given=pl.Series([value, *scores[1:]], strict=False)
    )
    data.write_parquet("data.parquet")
    objectives = [{**OBJECTIVES[0], "column": "given"}, OBJECTIVES[1]]
    with pytest.raises(ValueError, match="1 of 60 rows have no finite score in given"):
        do(folder, [FLAG], objectives=objectives)
    s = RunContext(
        load_settings(
            Config,
            folder / "it.yaml",
            {
                "objectives": [OBJECTIVES[1], {**OBJECTIVES[1], "name": "b", "column": "given"}],
                "data.invalid": "drop",
            },
        ),
        screen=Screen(file=io.StringIO()),
    )
    try:
        made = pipeline.split(s)
    finally:
        s.folder.close()
    assert made.notes["dropped"]["no score"] == 1


def test_other_prompts_leave_the_scores(folder: Path) -> None:
    do(folder, [FLAG])
    before = keys(folder)
    do(folder, [FLAG], **{"data.held_out": 3, "data.prompts": "data.parquet"})
    now = keys(folder)
    assert now["data"] != before["data"]
    assert now["stage1/score"] == before["stage1/score"]
    assert now["stage1/select"] == before["stage1/select"]


def test_an_objective_that_all_new_answers_keep(folder: Path) -> None:
    """Then there is nothing to trade in stage 2, and the way on is said."""
    mine = folder / "scorers" / "mine.py"
    mine.write_text(
        "def shared(completions, solution, **more):\n"
        "    return [len(set(a) & set(b)) if len(c) > 12 else 1 for a, b, c in "
        "zip(completions, solution, completions)]\n"
    )
    with pytest.raises(ValueError, match=r"stage 2: shared is 1 in all .*: set stages: 1, and"):
        do(folder, [FLAG], **{"generation.max_new_tokens": 1})
    lines = do(folder, [FLAG], **{"generation.max_new_tokens": 1, "stages": 1})
    for name in ("data", layout.score(1), layout.select(1), layout.fit(1, 0), layout.fit(1, 1)):
        assert f"{name}: done before" in lines
    assert (folder / "run" / layout.SUMMARY).exists()


def test_keys_of_older_folders_stay(parts: Path) -> None:
    """No setting that was not given stands in what scores depend on."""
    chosen = small_run.settings(parts, "run")
    made = rewards.make_rewards(chosen.objectives, "cpu")
    known = {"name", "scorer", "model", "revision", "template", "output", "max_length", "dtype"}
    for objective, reward in zip(chosen.objectives, made, strict=True):
        assert set(rewards.identity(objective, reward, "")) == known


def test_outputs_of_one_head_are_one_network_of_a_run(
    tmp_path: Path, parts: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from helpers.tiny import tiny_classifier
    from paretohqd.rewards import classifier

    heads = str(tiny_classifier(tmp_path / "heads", num_labels=2))
    loads: list[str] = []
    load = classifier.load_network

    def counted(model: str, *given: Any, **more: Any) -> Any:
        loads.append(model)
        return load(model, *given, **more)

    monkeypatch.setattr(classifier, "load_network", counted)
    objectives = [{"name": n, "model": heads, "output": i} for i, n in enumerate("ab")]
    chosen = small_run.settings(parts, str(tmp_path / "run"), objectives=objectives)
    s = RunContext(chosen, screen=Screen(file=io.StringIO()))
    try:
        pipeline.score(s, 1, pipeline.split(s))
    finally:
        s.folder.close()
    assert loads == [heads]
    twice = [{"name": n, "model": heads, "output": 1} for n in "ab"]
    with pytest.raises(ValueError, match="rewards 'a' and 'b' are the same output of"):
        RunContext(small_run.settings(parts, str(tmp_path / "two"), objectives=twice))


def test_a_function_gets_one_form_in_a_whole_run(tmp_path: Path) -> None:
    talk = write_prompt([{"role": "system", "content": "?"}, {"role": "user", "content": "Hi"}])
    plain = pl.DataFrame({"prompt": ["Hi", "[1]"]})
    for name in (layout.POOL, layout.PROMPTS, layout.HELD_OUT):
        plain.write_parquet(tmp_path / name)
    for prompts, expected in ((plain, False), (pl.DataFrame({"prompt": ["Hi", talk]}), True)):
        prompts.write_parquet(tmp_path / layout.PROMPTS)
        open_one, given = (
            CallableReward(name="x", function=lambda completions: [], messages=wish)
            for wish in (None, False)
        )
        rewards.settle_messages([open_one, given], tmp_path)
        assert open_one.messages is expected
        assert given.messages is False


def test_columns_stay_with_the_prompts(tmp_path: Path) -> None:
    source = source_in(tmp_path)
    parts = split(source(answers(), prompts=None), columns=["score"])
    for part in (parts.prompts, parts.held_out):
        assert part.columns == ["prompt", "conversation", "score"]
        assert [f"question {value * 10:.0f}" for value in part["score"]] == part["prompt"].to_list()
    twice = pl.concat([answers(), answers().with_columns(pl.col("score") + 1)])
    with pytest.raises(
        ValueError,
        match=r"column 'score', .* for each of 40 prompts \(the first: "
        "'question 0'",
    ):
        split(source(twice), columns=["score"])
    others = pl.DataFrame({"prompt": ["other"]})
    others.write_parquet(tmp_path / "prompts.parquet")
    with pytest.raises(
        ValueError, match=r"prompts.parquet: no column\(s\) score, which objectives"
    ):
        split(source(answers(), prompts=str(tmp_path / "prompts.parquet")), columns=["score"])
