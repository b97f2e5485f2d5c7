"""A run of several processes, and one that is told to stop."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from helpers.small_run import do, settings
from paretohqd.runs import config_reader
from paretohqd.runs.config import Config, load_settings

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[2]


@pytest.fixture
def written(parts: Path, tmp_path: Path) -> Path:
    """A configuration file."""
    chosen = settings(parts, str(tmp_path / "run"), preferences=2, generation__prompts=6)
    path = tmp_path / "run.yaml"
    path.write_text(yaml.safe_dump(json.loads(json.dumps(config_reader.to_mapping(chosen)))))
    return path


def test_two_processes_share_a_run(written: Path, tmp_path: Path) -> None:
    """As torchrun starts them (on CPUs `accelerate launch` does so under MPI alone); training is
    shared, sampling is divided.
    """
    launch = ["-m", "torch.distributed.run", "--standalone", "--nproc_per_node", "2"]
    script = str(ROOT / "examples" / "train_two_stage.py")
    done = subprocess.run(
        [sys.executable, *launch, script, str(written), "--run-folder", str(tmp_path / "run")],
        capture_output=True,
        text=True,
        timeout=300,
        env={**os.environ, "CUDA_VISIBLE_DEVICES": ""},
    )
    assert done.returncode == 0, done.stderr[-3000:]
    run = tmp_path / "run"
    assert done.stdout.count("report: ") == 1, "one process speaks"
    notes = json.loads((run / "stage2/fit/01/manifest.json").read_text())["notes"]
    assert (notes["processes"], notes["steps"]) == (2, 3)
    assert (run / "evaluate" / "summary" / "metrics.json").is_file()
    # One process alone takes what two have made as it is.
    lines = do(load_settings(Config, written, {"run": str(run)}))
    assert sum(line.endswith(": done before") for line in lines) == len(
        list(run.rglob("manifest.json"))
    )


def test_ctrl_c_stops_a_run_that_can_go_on(written: Path, tmp_path: Path) -> None:
    run = str(tmp_path / "run")
    command = ["run", str(written), "--run-folder", run, "--set", "train.max_steps=100000"]
    with subprocess.Popen(
        [sys.executable, "-m", "paretohqd", *command],
        stderr=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stderr is not None
        lines = []
        for line in process.stderr:
            lines.append(line)
            if line.startswith("estimate: "):  # the first fit has begun, and would take hours
                process.send_signal(signal.SIGINT)
                break
        lines += process.stderr.readlines()
        assert process.wait(60) == 130, "".join(lines)
    assert "Traceback" not in "".join(lines)
    assert lines[-1] == "paretohqd: stopped: the same command goes on from here\n"
    assert "stage1/select: done before" in do(load_settings(Config, written, {"run": run}))
