"""Runs that are killed, interrupted or out of disk go on to the very same result."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

import helpers
from helpers.small_run import contents, finished, settings
from paretohqd.runs import config, config_reader

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not hasattr(os, "fork"), reason="the attempts are forked"),
]

TUNED = [f"stage{stage}-{number:02d}" for stage in (1, 2) for number in range(3)]

# Point of death, and stages that are finished by then and not before.
KILLS = {
    "before run.json": [],
    "half of held_out.parquet": [],
    "stage 1, second reward": ["data"],
    "half of scored.parquet": [],
    "stage 1, choosing": ["stage1/score"],
    "half of selection.parquet": [],
    "stage 1, second fit, before a checkpoint": ["stage1/select", "stage1/fit/00"],
    "stage 1, fit, after a checkpoint": [],
    "stage 1, fit, within a checkpoint": [],
    "stage 1, fit, adapter saved": [],
    "stage 1, third fit, before its name": ["stage1/fit/01"],
    "sampling for stage 2": ["stage1/fit/02", "stage2/generate/00"],
    "half of answers.parquet": [],
    "stage 2, choosing": [
        "stage2/generate/01",
        "stage2/generate/02",
        "stage2/answers",
        "stage2/score",
    ],
    "stage 2, second fit": ["stage2/select", "stage2/fit/00"],
    "stage 2, manifest of a fit": [],
    "sampling for evaluation": [
        "stage2/fit/01",
        "stage2/fit/02",
        "answers/base",
        "answers/stage1-00",
    ],
    "measuring": [
        *(f"answers/{model}" for model in TUNED[1:]),
        "evaluate/base",
        "evaluate/stage1-00",
    ],
    "half of metrics.json": [f"evaluate/{model}" for model in TUNED[1:]],
    "writing the report": ["evaluate/summary"],
}


TESTS = Path(helpers.__file__).parents[1]


class Attempts:
    """Runs in processes of their own; see killed_runs.py."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.count = folder, 0
        self.process = subprocess.Popen(
            [sys.executable, "-m", "helpers.killed_runs"],
            cwd=TESTS,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def __call__(
        self, chosen: config.Config, die: str | None = None, **env: str
    ) -> tuple[int, str]:
        """Exit code (negative: the signal) and what was printed."""
        self.count += 1
        log, file = self.folder / f"{self.count}.log", self.folder / f"{self.count}.yaml"
        file.write_text(yaml.safe_dump(json.loads(json.dumps(config_reader.to_mapping(chosen)))))
        order = {"config": str(file), "run": chosen.run, "die": die, "log": str(log), "env": env}
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.write(json.dumps(order) + "\n")
        self.process.stdin.flush()
        code = self.process.stdout.readline()
        assert code, "the process that forks is gone"
        return int(code), log.read_text()


@pytest.fixture(scope="module")
def attempts(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Attempts]:
    made = Attempts(tmp_path_factory.mktemp("attempts"))
    yield made
    made.process.kill()
    made.process.communicate()


SAVING = {"train__max_steps": 4, "train__save_strategy": "steps", "train__save_steps": 2}


def chosen(parts: Path, folder: Path, **more: Any) -> config.Config:
    return settings(parts, str(folder / "run"), **{**SAVING, **more})


@pytest.fixture(scope="module")
def undisturbed(
    attempts: Attempts, parts: Path, tmp_path_factory: pytest.TempPathFactory
) -> dict[str, bytes]:
    folder = tmp_path_factory.mktemp("undisturbed")
    code, log = attempts(chosen(parts, folder), RAYON_NUM_THREADS="2")
    assert code == 0, log
    files = contents(folder / "run")
    assert {
        "stage1/select/selection.parquet",
        "stage2/select/selection.parquet",
        "stage2/fit/02/adapter/adapter_model.safetensors",
        "evaluate/summary/metrics.json",
    } <= files.keys()
    return files


def assert_same(run: Path, undisturbed: dict[str, bytes]) -> None:
    files = contents(run)
    assert files.keys() == undisturbed.keys()
    assert [name for name in files if files[name] != undisturbed[name]] == []


def test_a_run_killed_at_twenty_places_ends_as_if_it_had_not_been(
    attempts: Attempts, parts: Path, tmp_path: Path, undisturbed: dict[str, bytes]
) -> None:
    run = tmp_path / "run"
    done: set[str] = set()
    for point, stages in KILLS.items():
        code, log = attempts(chosen(parts, tmp_path), point)
        assert code == -signal.SIGKILL, f"{point}: {log}"
        done |= set(stages)
        assert finished(run) == done, point
    code, log = attempts(chosen(parts, tmp_path))
    assert code == 0, log
    assert "evaluate/summary: done before" in log
    assert log.rstrip().endswith("report.html")
    assert_same(run, undisturbed)
    assert not list(run.rglob("*.work"))
    assert not (run / "superseded").exists()


def test_one_thread_or_two_select_the_same_bytes(
    attempts: Attempts, parts: Path, tmp_path: Path, undisturbed: dict[str, bytes]
) -> None:
    env = {"RAYON_NUM_THREADS": "1", "POLARS_MAX_THREADS": "1"}
    code, log = attempts(chosen(parts, tmp_path), **env)
    assert code == 0, log
    assert_same(tmp_path / "run", undisturbed)


def test_a_run_interrupted_or_out_of_disk_goes_on(
    attempts: Attempts, parts: Path, tmp_path: Path, undisturbed: dict[str, bytes]
) -> None:
    run = tmp_path / "run"
    code, log = attempts(chosen(parts, tmp_path), "full disk in a fit")
    assert code == 1, log
    assert "Traceback" not in log
    assert "error: " in log.splitlines()[-1]
    assert finished(run) == {"data", "stage1/score", "stage1/select", "stage1/fit/00"}
    for point, last in (
        ("interrupted in a fit", {"stage1/fit/01"}),
        ("interrupted in sampling", {"stage1/fit/02", "stage2/generate/00"}),
    ):
        before = finished(run)
        code, log = attempts(chosen(parts, tmp_path), point)
        assert code == 130, log
        assert "Traceback" not in log
        assert log.splitlines()[-1] == ("paretohqd: stopped: the same command goes on from here")
        assert finished(run) == before | last
    code, log = attempts(chosen(parts, tmp_path))
    assert code == 0, log
    assert_same(run, undisturbed)
