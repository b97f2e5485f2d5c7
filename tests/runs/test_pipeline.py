from __future__ import annotations

import dataclasses
import io
import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
import torch
from polars.testing import assert_frame_equal

from helpers.small_run import do, settings
from helpers.small_sampling import sample
from paretohqd import select
from paretohqd.plots.progress import Screen
from paretohqd.runs import pipeline
from paretohqd.runs.config import load_config
from paretohqd.runs.context import RunContext
from paretohqd.selection.preferences import ray_weights

ROOT = Path(__file__).parents[2]
STAGES = [
    "data",
    "stage1/score",
    "stage1/select",
    *(f"stage1/fit/{i:02d}" for i in range(3)),
    *(f"stage2/generate/{i:02d}" for i in range(3)),
    "stage2/answers",
    "stage2/score",
    "stage2/select",
    *(f"stage2/fit/{i:02d}" for i in range(3)),
    *(f"{verb}/{model}" for verb in ("answers", "evaluate") for model in ["base"]),
    *(
        f"{verb}/stage{stage}-{i:02d}"
        for verb in ("answers", "evaluate")
        for stage in (1, 2)
        for i in range(3)
    ),
    "evaluate/summary",
]


@pytest.fixture(scope="module")
def finished(parts: Path) -> Path:
    """The folder of a finished run."""
    do(settings(parts, "finished"))
    return parts / "finished"


@pytest.fixture
def run(finished: Path, tmp_path: Path) -> str:
    """A copy of it to go on with: a run folder can be moved."""
    return str(shutil.copytree(finished, tmp_path / "run"))


def done_now(lines: list[str]) -> list[str]:
    """Stages that were worked on, in order."""
    stages = [line.split(":")[0] for line in lines if line.split(":")[0] in STAGES]
    before = [line.split(":")[0] for line in lines if line.endswith(": done before")]
    return [stage for stage in stages if stage not in before]


def times(run: str | Path) -> dict[str, int]:
    """When each file of each stage was last written."""
    return {
        str(path.relative_to(run)): path.stat().st_mtime_ns
        for stage in STAGES
        for path in (Path(run) / stage).rglob("*")
        if path.is_file()
    }


def test_a_whole_run_makes_every_stage(finished: Path) -> None:
    manifests = {
        path.parent.relative_to(finished).as_posix(): json.loads(path.read_text())
        for path in finished.rglob("manifest.json")
    }
    assert sorted(manifests) == sorted(STAGES)
    top = {p.name for p in finished.iterdir() if p.is_file()}
    kept = {"run.json", "machine.json", "checked.json", "config.yaml", "facts.json", "report.html"}
    assert top == {".lock", *kept}
    assert not (finished / "superseded").exists()
    facts = json.loads((finished / "facts.json").read_text())
    assert sorted(facts["seconds"]) == sorted(STAGES)
    assert facts["machine"] == "1 CPU thread, float32"
    assert facts["versions"]["torch"] == torch.__version__.split("+")[0]
    assert json.loads((finished / "machine.json").read_text())["precision"] == "float32"


def test_what_the_stages_hold(finished: Path) -> None:
    pool = pl.read_parquet(finished / "data" / "pool.parquet")
    held_out = pl.read_parquet(finished / "data" / "held_out.parquet")
    assert len(held_out) == 5
    assert not set(pool["prompt"]) & set(held_out["prompt"])
    for stage, k in ((1, 6), (2, 3)):
        rows = pl.read_parquet(finished / f"stage{stage}" / "select" / "selection.parquet")
        assert rows.group_by("preference").len()["len"].to_list() == [k] * 3
        notes = json.loads((finished / f"stage{stage}/fit/01/manifest.json").read_text())["notes"]
        assert (notes["rows"], notes["steps"], notes["cut_answers"]) == (k, 3, 0)
    scored = pl.read_parquet(finished / "stage2" / "score" / "scored.parquet")
    assert {"prompt", "response", "kind", "brief", "model"} <= set(scored.columns)
    assert set(scored["model"]) == {"stage1-00", "stage1-01", "stage1-02"}
    asked = [pl.read_parquet(p)["prompt"] for p in sorted(finished.glob("answers/*/*.parquet"))]
    assert len(asked) == 7
    assert all(prompts.equals(held_out["prompt"]) for prompts in asked)
    reward = json.loads((finished / "stage1/score/manifest.json").read_text())["notes"]["rewards"]
    assert [r["name"] for r in reward] == ["kind", "brief"]
    summary = json.loads((finished / "evaluate" / "summary" / "metrics.json").read_text())
    assert [m["model"] for m in summary["models"]][:2] == ["base", "stage1-00"]
    table = pl.read_csv(finished / "evaluate" / "summary" / "table.csv")
    assert len(table) == 7


def test_every_model_answers_in_its_own_way(finished: Path) -> None:
    """Each adapter is the one that its name says: none is mixed up with another's."""
    texts = {
        path.parent.name: tuple(pl.read_parquet(path)["response"])
        for path in finished.glob("answers/*/answers.parquet")
    }
    assert len(set(texts.values())) == len(texts) == 7
    weights = {p.read_bytes() for p in finished.glob("stage*/fit/*/adapter/*.safetensors")}
    assert len(weights) == 6


def test_evaluation_uses_the_stage_two_adapter(parts: Path, finished: Path) -> None:
    """Sampled again with nothing but this adapter loaded."""
    from paretohqd.models import base as models
    from paretohqd.models.adapters import load_adapter

    spec = settings(parts, "finished")
    for model, folder in (("stage1-01", "stage1/fit/01"), ("stage2-01", "stage2/fit/01")):
        base, tokenizer = models.load_base(spec.model, device="cpu", dtype=torch.float32)
        found = sample(
            load_adapter(base, finished / folder / "adapter"),
            tokenizer,
            pl.read_parquet(finished / "data" / "held_out.parquet")["prompt"].to_list(),
            seed=spec.seed + 1,
            max_new_tokens=8,
        )
        written = pl.read_parquet(finished / "answers" / model / "answers.parquet")
        assert found["response"].equals(written["response"])


def test_running_again_does_nothing(parts: Path, run: str) -> None:
    before = times(run)
    lines = do(settings(parts, run))
    assert done_now(lines) == []
    assert sum(line.endswith(": done before") for line in lines) == len(STAGES)
    assert times(run) == before


def test_how_a_run_is_told(parts: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    chosen = settings(parts, str(tmp_path / "run"), stages=1, preferences=2)
    capfd.readouterr()
    lines = do(chosen)
    assert capfd.readouterr() == ("", ""), "libraries' own bars and warnings are kept off"
    assert lines[0] == f"paretohqd run in {tmp_path / 'run'}"
    assert lines[1] == "machine: 1 CPU thread, float32"
    assert sum(line.startswith("estimate: about ") for line in lines) == 1
    assert any(line.startswith("  pool: ") for line in lines)


SECOND_SELECTION = [
    "stage2/select",
    *(f"stage2/fit/{i:02d}" for i in range(3)),
    *(f"answers/stage2-{i:02d}" for i in range(3)),
    *(f"evaluate/stage2-{i:02d}" for i in range(3)),
    "evaluate/summary",
]
EVALUATIONS = [stage for stage in STAGES if stage.startswith("evaluate/")]


@pytest.mark.parametrize(
    ("change", "redone"),
    [
        ({"selection__k_stage2": 4}, SECOND_SELECTION),
        ({"train_stage2__learning_rate": 1e-3}, SECOND_SELECTION[1:]),
        ({"generation__batch_size": 2}, []),
        ({"evaluation__min_words": 2}, EVALUATIONS),
        ({"generation__trim": True}, ["stage2/answers"]),
        ({"evaluation__prompts": 3}, [s for s in STAGES if s.startswith(("answers", "evaluate"))]),
        ({"generation__temperature": 0.2}, STAGES[6:]),
        ({"precision": "bfloat16"}, STAGES[3:]),
        ({"threads": 2}, []),
    ],
    ids=lambda value: "".join(value) if isinstance(value, dict) else "",
)
def test_a_change_redoes_what_it_touches(
    parts: Path, run: str, change: dict[str, Any], redone: list[str]
) -> None:
    before = times(run)
    threads = torch.get_num_threads()
    try:
        lines = do(settings(parts, run, **change))
    finally:
        torch.set_num_threads(threads)
    now = done_now(lines)
    if change == {"generation__trim": True}:
        assert redone[0] in now
        assert all(stage in SECOND_SELECTION or "stage2" in stage for stage in now)
    else:
        assert sorted(now) == sorted(redone)
    told = [line for line in lines if " -> " in line and not line.startswith("  run: ")]
    assert len(told) == 1
    assert told[0].strip().startswith(next(iter(change)).replace("__", "."))
    after = times(run)
    kept = [file for file in before if not file.startswith(tuple(f"{s}/" for s in now))]
    assert [file for file in kept if after[file] != before[file]] == []
    for stage in now:
        assert (Path(run) / "superseded" / f"{stage}.0" / "manifest.json").is_file()


def test_changed_data_redo_everything(parts: Path, run: str, tmp_path: Path) -> None:
    source = tmp_path / "data.parquet"
    pl.read_parquet(parts / "data.parquet").reverse().write_parquet(source)
    now = done_now(do(settings(parts, run, data__source=str(source))))
    assert sorted(now) == sorted(STAGES)


def test_one_stage(parts: Path, run: str) -> None:
    lines = do(settings(parts, run, stages=1))
    assert done_now(lines) == ["evaluate/summary"]
    summary = json.loads((Path(run) / "evaluate" / "summary" / "metrics.json").read_text())
    assert {m["stage"] for m in summary["models"]} == {0, 1}
    assert list(summary["hypervolume"]["sets"]) == ["base", "stage1", "best_single"]


def test_three_objectives(parts: Path, tmp_path: Path) -> None:
    objectives = [
        {"name": "kind", "model": str(parts / "kind")},
        {"name": "brief", "model": str(parts / "brief")},
        {"name": "informative", "scorer": "embedded:informativeness"},
    ]
    weights = [[1, 0, 0], [0, 1, 0], [0, 0, 1], [0.4, 0.3, 0.3], [0.2, 0.5, 0.3]]
    chosen = settings(
        parts,
        str(tmp_path / "run"),
        objectives=objectives,
        preferences=weights,
        selection__k=4,
        selection__directions="tchebycheff",
        train__max_steps=1,
    )
    do(chosen)
    run = tmp_path / "run"
    selected = run / "stage1" / "select"
    through = json.loads((selected / "summary.json").read_text())["through"]
    assert through == ray_weights(np.array(weights), "tchebycheff").tolist()
    rows = pl.read_parquet(selected / "selection.parquet")["row"].to_list()
    names, options = ["kind", "brief", "informative"], {"k": 4}
    scored = pl.read_parquet(run / "stage1" / "score" / "scored.parquet")
    asked = select(scored, names, weights, directions="tchebycheff", **options)
    assert rows == asked["row"].to_list()
    assert rows != select(scored, names, weights, **options)["row"].to_list()
    summary = json.loads((run / "evaluate" / "summary" / "metrics.json").read_text())
    assert summary["preferences"] == weights
    assert len(summary["models"]) == 11
    # The corner of each objective and the balanced one answer for stage 2.
    assert sorted(p.name for p in (run / "stage2" / "generate").iterdir()) == [
        "00",
        "01",
        "02",
        "03",
    ]
    assert set(summary["rank_correlation"]["stage2"]) == {"kind", "brief", "informative"}


def test_the_shape_of_the_published_protocol(parts: Path, tmp_path: Path) -> None:
    """Eleven preferences, two stages, three models that answer; only sizes are made tiny."""
    full = load_config(ROOT / "examples" / "full_protocol.yaml")
    assert full.preferences == 11
    assert full.stages == 2
    assert (full.selection.k, full.selection.k_stage2) == (100, 50)
    assert (full.train["max_steps"], full.train["per_device_train_batch_size"]) == (200, 8)
    assert (full.generation.prompts, full.generation.max_new_tokens) == (10_000, 128)
    small = settings(parts, str(tmp_path / "run"))
    replace = dataclasses.replace
    chosen = replace(
        full,
        run=small.run,
        model=small.model,
        data=replace(
            full.data, source=small.data.source, conversation=None, held_out=2, prompts=None
        ),
        objectives=small.objectives,
        selection=replace(full.selection, k=4, k_stage2=2),
        train={**full.train, "max_steps": 1, "per_device_train_batch_size": 2},
        lora={**full.lora, "r": 4},
        generation=replace(full.generation, prompts=6, max_new_tokens=6),
        device="cpu",
        precision="float32",
        threads=1,
    )
    do(chosen)
    run = tmp_path / "run"
    assert len(list(run.glob("stage1/fit/*/adapter"))) == 11
    assert len(list(run.glob("stage2/fit/*/adapter"))) == 11
    assert sorted(p.name for p in run.glob("stage2/generate/*")) == ["00", "05", "10"]
    summary = json.loads((run / "evaluate" / "summary" / "metrics.json").read_text())
    assert [m["weights"][0] for m in summary["models"][1:12]] == pytest.approx(
        [1 - i / 10 for i in range(11)]
    )
    assert summary["models"][-1]["model"] == "stage2-10"
    assert (run / "report.html").stat().st_size > 10_000


def test_the_number_format_is_kept_when_a_run_goes_on(
    parts: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    chosen = settings(parts, str(tmp_path / "run"), precision="auto", stages=1, preferences=2)
    monkeypatch.setattr("paretohqd.models.machine._cpu_likes_bfloat16", lambda: True)
    assert "machine: 1 CPU thread, bfloat16" in do(chosen)
    monkeypatch.setattr("paretohqd.models.machine._cpu_likes_bfloat16", lambda: False)
    lines = do(chosen)
    assert "machine: 1 CPU thread, bfloat16" in lines
    assert done_now(lines) == []


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"train__learning_rat": 1}, r"train\.learning_rat: did you mean learning_rate\?"),
        ({"train_stage2__seed": 1}, r"train_stage2\.seed is set by the run itself"),
        ({"lora__rank_pattern_": {}}, r"lora\.rank_pattern_: did you mean rank_pattern\?"),
        ({"train__max_steps": "many"}, r"train\.max_steps: expected a whole number.*'many'"),
        ({"train__max_steps": None}, r"train\.max_steps: expected a whole number.*None"),
        ({"train__learning_rate": "high"}, r"train\.learning_rate: expected .*number, got 'high'"),
        ({"lora__r": 1.5}, r"lora\.r: expected a whole number.*1\.5"),
        ({"train__num_train_epochs": 2}, r"train\.num_train_epochs: max_steps is given too"),
        ({"train__disable_tqdm": True}, r"train\.disable_tqdm is set by the run itself"),
        ({"train_stage2__push_to_hub": True}, r"train_stage2\.push_to_hub is not followed"),
        ({"lora__init_lora_weights": "olora"}, r"lora\.init_lora_weights: .*'olora'"),
        ({"lora__target_modules": ["q_proj", "c_attn"]}, "'c_attn' matches no module: there are"),
        ({"train_stage2__max_length": 8}, "all of 120 prompts have 8 tokens"),
        ({"generation__max_new_tokens": 100_000}, "max_new_tokens fills the model's context"),
        ({"model__name": "/nowhere/model"}, "model /nowhere/model: cannot be loaded"),
        ({"data__held_out": 1000}, "data.held_out: 1000 conversations"),
        ({"train__max_length": 8}, "all of 120 prompts have 8 tokens"),
    ],
    ids=str,
)
def test_bad_settings_are_refused_before_any_training(
    parts: Path, tmp_path: Path, change: dict[str, Any], message: str
) -> None:
    with pytest.raises(ValueError, match=message) as caught:
        do(settings(parts, str(tmp_path / "run"), **change))
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "run" / "stage1").exists()


def test_a_run_that_cannot_begin_lets_go_of_its_folder(parts: Path, tmp_path: Path) -> None:
    run = str(tmp_path / "run")
    with pytest.raises(ValueError, match="cuda") as held:
        do(settings(parts, run, device="cuda"))
    do(settings(parts, run, stages=1, preferences=2, train__max_steps=1))
    assert held is not None


def test_one_held_out_prompt_is_enough_to_finish(parts: Path, tmp_path: Path) -> None:
    run = str(tmp_path / "run")
    do(settings(parts, run, stages=1, preferences=2, train__max_steps=1, evaluation__prompts=1))
    assert (tmp_path / "run" / "report.html").is_file()


def test_a_failed_run_lets_go_of_its_folder(parts: Path, tmp_path: Path) -> None:
    run = str(tmp_path / "run")
    with pytest.raises(ValueError, match="held_out"):
        do(settings(parts, run, data__held_out=1000))
    do(settings(parts, run, stages=1, preferences=2, train__max_steps=1))


# ── processes ───────────────────────────────────────────────────────────────────────────────


def test_preferences_by_name_and_copies(parts: Path, tmp_path: Path) -> None:
    wish = {"short": {"brief": 3, "kind": 1}, "even": [0.5, 0.5]}
    chosen = settings(parts, str(tmp_path / "run"), preferences=wish, selection__duplicates="drop")
    s = RunContext(chosen, screen=Screen(file=io.StringIO()))
    scored = pipeline.score(s, 1, pipeline.split(s))
    selected = pipeline.select(s, 1, scored)
    s.folder.close()
    found = pl.read_parquet(selected.path / "selection.parquet")
    expected = select(
        scored.path / "scored.parquet",
        ["kind", "brief"],
        {"short": [0.25, 0.75], "even": [0.5, 0.5]},
        k=6,
        duplicates="drop",
    )
    assert_frame_equal(found, expected)
    wrong = settings(
        parts, str(tmp_path / "other"), preferences={"short": {"brieff": 3, "kind": 1}}
    )
    with pytest.raises(ValueError, match=r"preferences: 'short' weighs 'brieff': .* kind, brief"):
        RunContext(wrong, screen=Screen(file=io.StringIO()))
    assert not (tmp_path / "other").exists()


def test_the_number_of_preferences_is_that_of_the_lattice(parts: Path, tmp_path: Path) -> None:
    chosen = settings(parts, str(tmp_path / "run"), preferences=None)
    s = RunContext(chosen, screen=Screen(file=io.StringIO()))
    s.folder.close()
    assert len(s.weights) == 11
