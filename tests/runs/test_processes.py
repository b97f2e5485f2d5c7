"""A run of several processes, and one that is told to stop."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
import yaml
from torch.distributed import HashStore  # type: ignore[attr-defined]

from helpers.small_run import do, settings
from paretohqd.runs import config_reader
from paretohqd.runs.config import Config, load_settings
from paretohqd.runs.processes import Divided, OtherFailedError

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[2]


@pytest.fixture
def written(parts: Path, tmp_path: Path) -> Path:
    """A configuration file."""
    chosen = settings(parts, str(tmp_path / "run"), preferences=2, generation__prompts=6)
    path = tmp_path / "run.yaml"
    path.write_text(yaml.safe_dump(json.loads(json.dumps(config_reader.to_mapping(chosen)))))
    return path


def launched(written: Path, run: Path, processes: int, *more: str) -> subprocess.Popen[str]:
    """A run as torchrun starts it: on CPUs `accelerate launch` does so under MPI alone."""
    launch = ["-m", "torch.distributed.run", "--standalone", "--nproc_per_node", str(processes)]
    script = str(ROOT / "examples" / "train_two_stage.py")
    return subprocess.Popen(
        [sys.executable, *launch, script, str(written), "--run-folder", str(run), *more],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "CUDA_VISIBLE_DEVICES": ""},
        start_new_session=True,
    )


def finished(process: subprocess.Popen[str]) -> str:
    """What the processes print, once all have ended well."""
    out, errors = process.communicate(timeout=600)
    assert process.returncode == 0, errors[-3000:]
    return out


def contents(run: Path) -> dict[str, bytes]:
    """The files that a run makes, but for books and pages, which hold times."""
    kinds = (".safetensors", ".parquet")
    names = {"metrics.json", "table.csv", "adapter_config.json", "log.json"}
    return {
        str(file.relative_to(run)): file.read_bytes()
        for file in sorted(run.rglob("*"))
        if file.suffix in kinds or file.name in names
    }


def test_three_processes_make_what_one_makes(written: Path, tmp_path: Path) -> None:
    one, three = tmp_path / "one", tmp_path / "three"
    do(load_settings(Config, written, {"run": str(one)}))
    out = finished(launched(written, three, 3))
    assert out.count("report: ") == 1, "one process speaks"
    assert contents(three) == contents(one)
    notes = json.loads((three / "stage2/fit/01/manifest.json").read_text())["notes"]
    assert notes["processes"] == 1
    # One process alone takes what three have made as it is.
    lines = do(load_settings(Config, written, {"run": str(three)}))
    assert sum(line.endswith(": done before") for line in lines) == len(
        list(three.rglob("manifest.json"))
    )


def by_themselves(written: Path, run: Path, *more: str) -> list[subprocess.Popen[str]]:
    """Two processes of a run as srun and MPI start them: nobody keeps a store for them."""
    script = str(ROOT / "examples" / "train_two_stage.py")
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        port = str(one.getsockname()[1])
    own = {"WORLD_SIZE": "2", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port}
    return [
        subprocess.Popen(
            [sys.executable, script, str(written), "--run-folder", str(run), *more],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env={**os.environ, "CUDA_VISIBLE_DEVICES": "", **own, "RANK": str(rank)},
        )
        for rank in range(2)
    ]


def test_processes_that_keep_the_store_themselves_end_well(written: Path, tmp_path: Path) -> None:
    made = [finished(process) for process in by_themselves(written, tmp_path / "two")]
    assert [out.count("report: ") for out in made] == [1, 0]
    # The first, which says why, fails at once: the other ends without a traceback.
    bad = by_themselves(written, tmp_path / "bad", "--set", "data.held_out=10000")
    outs = [process.communicate(timeout=300) for process in bad]
    assert all(process.returncode for process in bad)
    assert "held_out" in outs[0][1]
    assert "Traceback" not in outs[1][1]


def test_a_run_of_two_that_is_killed_goes_on_with_one(written: Path, tmp_path: Path) -> None:
    one, two = tmp_path / "one", tmp_path / "two"
    do(load_settings(Config, written, {"run": str(one)}))
    process = launched(written, two, 2)
    while not (two / "stage1/fit/00/manifest.json").exists():
        assert process.poll() is None, process.communicate()[1][-3000:]
        time.sleep(0.05)
    os.killpg(process.pid, signal.SIGKILL)
    process.communicate()
    do(load_settings(Config, written, {"run": str(two)}))
    assert contents(two) == contents(one)


def test_processes_that_train_together_hold_the_batch(written: Path, tmp_path: Path) -> None:
    one, two = tmp_path / "one", tmp_path / "two"
    do(load_settings(Config, written, {"run": str(one)}))
    finished(launched(written, two, 2, "--set", "train_together=true"))
    notes = json.loads((two / "stage1/fit/01/manifest.json").read_text())["notes"]
    assert (notes["processes"], notes["steps"]) == (2, 3)
    assert notes["train"]["per_device_train_batch_size"] == 1
    losses = [
        [step["loss"] for step in json.loads((run / "stage1/fit/01/log.json").read_text())]
        for run in (one, two)
    ]
    assert losses[0] == pytest.approx(losses[1], rel=0.2), "the same rows a step, in other order"
    batch = launched(written, two, 2, "--set", "train_together=true", "--set",
                     "train.per_device_train_batch_size=3")  # fmt: skip
    _, errors = batch.communicate(timeout=300)
    assert "3 rows are not to be divided among 2 processes" in errors


def test_a_process_that_fails_ends_the_waiting_of_the_others() -> None:
    store = HashStore()
    first, second = (Divided(rank, 2, store, "run") for rank in range(2))
    second.fail(ValueError("no such column"))
    with pytest.raises(OtherFailedError, match="process 1 ended: ValueError: no such column"):
        first.barrier()
    first.fail(OtherFailedError("of another"))
    assert b"process 1" in store.get("paretohqd-run-failed"), "the first reason stays"


def test_processes_wait_for_each_other_and_deal_the_pieces() -> None:
    store = HashStore()
    several = [Divided(rank, 3, store, "run") for rank in range(3)]
    passed: list[int] = []

    def wait(one: Divided) -> None:
        one.barrier()
        passed.append(one.rank)

    threads = [threading.Thread(target=wait, args=(one,)) for one in several]
    for thread in threads[:2]:
        thread.start()
    threads[0].join(0.3)
    assert passed == [], "one is missing"
    threads[2].start()
    for thread in threads:
        thread.join(60)
    assert sorted(passed) == [0, 1, 2]
    assert [[one.takes(piece) for one in several].index(True) for piece in range(4)] == [0, 1, 2, 0]


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
