"""Conversations, a function, a rule and a judge, with a server that samples; killed three times."""

from __future__ import annotations

import json
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from helpers.judged_runs import Both, Killer, served, started
from helpers.servers import serving
from helpers.small_run import contents, mapping
from helpers.talks import talks
from paretohqd.runs import layout

pytestmark = pytest.mark.slow

FUNCTION = '''
def vowels(prompts, completions, trace, **columns):
    """How many vowels an answer has, with what belongs to its prompt."""
    return [float(sum(map(text.count, "aeiou"))) + mark for text, mark in zip(completions, trace)]
'''


def road(parts: Path, folder: Path, url: str) -> Path:
    """A configuration beside its data and its function."""
    folder.mkdir()
    rows = talks().with_row_index("trace")
    rows.with_columns(trace=rows["trace"] // 4).write_parquet(folder / "talks.parquet")
    (folder / "own.py").write_text(FUNCTION)
    servers = served(url)
    judge = servers["objectives"][0]["judge"]
    more = {
        "data__source": str(folder / "talks.parquet"),
        "preferences": {"vowels!": [0.6, 0.2, 0.2], "kind": [0.1, 0.1, 0.8]},
        "generation__prompts": 12,
        "train__max_steps": 4,
        "train__save_strategy": "steps",
        "train__save_steps": 2,
    }
    chosen = mapping(parts, "run", **{**servers, **more})
    chosen["objectives"] = [
        {"name": "vowels", "scorer": "own.py:vowels", "columns": ["trace"]},
        {"name": "brief", "scorer": "rule:length", "options": {"most": 25, "unit": "characters"}},
        {"name": "kind", "judge": judge, "aspect": "Is it friendly?"},
    ]
    file = folder / "run.yaml"
    file.write_text(json.dumps(chosen))
    return file


@contextmanager
def going(file: Path, run: Path) -> Iterator[Any]:
    with started(file, run, "--allow-code", "own.py:vowels") as process:
        yield process


def finish(file: Path, run: Path) -> dict[str, bytes]:
    with going(file, run) as process:
        out, _ = process.communicate(timeout=600)
    assert process.returncode == 0, out
    return contents(run)


def kill_in_training(file: Path, run: Path) -> None:
    """Once the second adapter has a checkpoint."""
    with going(file, run) as process:
        fit = run / layout.placed(layout.fit(1, 1), ["vowels!", "kind"])
        checkpoints = fit.with_name(f"{fit.name}{layout.WORK}") / "checkpoints"
        until = time.monotonic() + 300
        while not list(checkpoints.glob("checkpoint-2/trainer_state.json")):
            assert process.poll() is None, process.communicate()[0]
            assert time.monotonic() < until
            time.sleep(0.002)
        process.kill()
        process.wait()
    assert not fit.exists()


def test_the_road_for_real_data_survives_three_kills(parts: Path, tmp_path: Path) -> None:
    killer = Killer(Both(parts / "model"))
    with serving(killer) as server:
        file = road(parts, tmp_path / "road", server.url)
        whole = finish(file, tmp_path / "whole")
        run = tmp_path / "killed"
        with going(file, run) as killer.process:
            killer.at = {"judge": 40}
            out, _ = killer.process.communicate(timeout=300)
            assert killer.process.returncode == -signal.SIGKILL, out
        killer.process = None
        assert not (run / layout.score(1)).exists()
        kill_in_training(file, run)
        with going(file, run) as killer.process:
            killer.at = {"sample": 3}
            out, _ = killer.process.communicate(timeout=300)
            assert killer.process.returncode == -signal.SIGKILL, out
        killer.process = None
        assert (run / layout.select(1)).exists()
        assert not (run / layout.score(2)).exists()
        killed = finish(file, run)
    assert killed.keys() == whole.keys()
    assert [name for name in whole if killed[name] != whole[name]] == []
    assert "stage2/fit/00-vowels/adapter/adapter_model.safetensors" in whole
    assert "stage2/select/selection.parquet" in whole
    manifest = json.loads((run / layout.score(1) / "manifest.json").read_text())
    kinds = [reward["kind"] for reward in manifest["notes"]["rewards"]]
    assert len(set(kinds)) == 3, kinds
