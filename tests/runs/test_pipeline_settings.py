"""Whole runs with other settings, and settings that no run can begin with."""

from __future__ import annotations

import dataclasses
import io
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from polars.testing import assert_frame_equal

from helpers.small_run import do, settings
from paretohqd import select
from paretohqd.plots.progress import Screen
from paretohqd.runs import pipeline
from paretohqd.runs.config import Config, load_settings
from paretohqd.runs.context import RunContext
from paretohqd.selection.preferences import ray_weights

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[2]


def test_nothing_is_drawn_before_it_is_trained() -> None:
    names = "'torch' in sys.modules, 'altair' in sys.modules"
    code = f"import sys, paretohqd.runs.pipeline; print({names})"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout.split() == ["True", "False"]


@pytest.mark.parametrize("package", ["altair", "jinja2", "vl_convert"])
def test_a_page_that_cannot_be_drawn_is_known_before_all_work(
    package: str, parts: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(ModuleNotFoundError) as caught:
        do(settings(parts, str(tmp_path / "run")))
    assert caught.value.name == package
    assert not (tmp_path / "run").exists()


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
    expected = select(scored, names, weights, directions="tchebycheff", **options)
    assert rows == expected["row"].to_list()
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
    full = load_settings(Config, ROOT / "examples" / "full_protocol.yaml")
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
        ({"train_stage2__push_to_hub": True}, r"train_stage2\.push_to_hub: not a setting"),
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


def test_an_empty_column_of_system_prompts_changes_nothing(parts: Path, tmp_path: Path) -> None:
    frame = pl.read_parquet(parts / "data.parquet")
    long = pl.col("prompt").str.head(1).repeat_by(9000).list.join("")
    frame = frame.with_columns(
        pl.when(pl.int_range(pl.len()) < 4).then(long).otherwise(pl.col("prompt")).alias("prompt")
    )
    pools = []
    for number, each in enumerate(
        [frame, frame.with_columns(system_prompt=pl.lit(None, pl.String))]
    ):
        each.write_parquet(tmp_path / f"{number}.parquet")
        source = str(tmp_path / f"{number}.parquet")
        chosen = settings(
            parts, str(tmp_path / f"run{number}"), data__source=source, data__invalid="drop"
        )
        s = RunContext(chosen, screen=Screen(file=io.StringIO()))
        made = pipeline.split(s)
        s.folder.close()
        assert made.notes["dropped"]["prompt too long"] == 4
        pools.append(pl.read_parquet(made.path / "pool.parquet"))
    assert_frame_equal(pools[1], pools[0])


def test_preferences_by_name_and_copies(parts: Path, tmp_path: Path) -> None:
    wish = {"short": {"brief": 3, "kind": 1}, "even": [0.5, 0.5]}
    chosen = settings(parts, str(tmp_path / "run"), preferences=wish, selection__duplicates="drop")
    s = RunContext(chosen, screen=Screen(file=io.StringIO()))
    scored = pipeline.score(s, 1, pipeline.split(s))
    selected = pipeline.select(s, 1, scored)
    s.folder.close()
    rows = pl.read_parquet(selected.path / "selection.parquet")
    expected = select(
        scored.path / "scored.parquet",
        ["kind", "brief"],
        {"short": [0.25, 0.75], "even": [0.5, 0.5]},
        k=6,
        duplicates="drop",
    )
    assert_frame_equal(rows, expected)
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
