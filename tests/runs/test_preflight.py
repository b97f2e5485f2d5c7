"""What is found out before any work: the machine that a run keeps to, and room for its adapters."""

from __future__ import annotations

import json
import shutil
from collections import namedtuple
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from transformers import AutoModelForCausalLM, LlamaConfig

from helpers.small_run import settings
from paretohqd.models.adapter_settings import adapter_weights
from paretohqd.models.base import fingerprint
from paretohqd.models.machine import Machine
from paretohqd.runs import preflight
from paretohqd.runs.config import Config
from paretohqd.runs.folder import RunFolder

Disk = namedtuple("Disk", "total used free")
ON_GPU = Machine(device="cuda", bfloat16=True, threads=1)
ON_CPU = Machine(device="cpu", bfloat16=False, threads=1)


@pytest.fixture(scope="module")
def llama() -> Any:
    """A Llama 2 of 7 billion weights, without them."""
    with torch.device("meta"):
        return AutoModelForCausalLM.from_config(LlamaConfig())


@pytest.fixture
def folder(tmp_path: Path) -> RunFolder:
    return RunFolder(tmp_path / "run")


def test_an_adapters_size(llama: Any) -> None:
    assert adapter_weights(llama, {}) == 159_907_840, "r = 64 on all linear layers: 640 MB"
    assert adapter_weights(llama, {"r": 8, "rank_pattern": {"q_proj": 16}}) == (
        159_907_840 // 8 + 32 * 8 * 2 * 4096
    )


@pytest.mark.parametrize(("free", "enough"), [(14.2e9, True), (13.9e9, False)])
def test_a_disk_that_does_not_hold_the_adapters(
    free: float,
    enough: bool,
    llama: Any,
    folder: RunFolder,
    parts: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(preflight.shutil, "disk_usage", lambda path: Disk(0, 0, int(free)))
    chosen = settings(parts, "run", preferences=11, lora={})
    if enough:
        preflight.check_room(folder, ON_CPU, llama, chosen, 11)
        return
    with pytest.raises(ValueError, match=r"13\.9 GB free, and 22 adapters take 14\.1 GB"):
        preflight.check_room(folder, ON_CPU, llama, chosen, 11)
    # Of those that are there already none is counted again.
    for number in range(2):
        (made := folder.folder / f"stage1/fit/{number:02d}").mkdir(parents=True)
        (made / "manifest.json").write_text("{}")
    preflight.check_room(folder, ON_CPU, llama, chosen, 11)
    saved = settings(parts, "run", lora={}, train__save_strategy="steps")
    with pytest.raises(ValueError, match=r"20 adapters take 14\.\d GB"):
        preflight.check_room(folder, ON_CPU, llama, saved, 11)


@pytest.mark.parametrize(
    ("memory", "more", "enough"),
    [
        (24e9, {}, True),
        (16e9, {}, False),
        (16e9, {"model__kwargs": {"quantization": "nf4"}}, True),
        (12e9, {"model__kwargs": {"device_map": "auto"}}, True),
    ],
)
def test_a_gpu_that_does_not_hold_the_training(
    memory: float,
    more: dict[str, Any],
    enough: bool,
    llama: Any,
    folder: RunFolder,
    parts: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    card = SimpleNamespace(total_memory=memory)
    monkeypatch.setattr(torch.cuda, "get_device_properties", lambda gpu: card)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    chosen = settings(parts, "run", lora={}, **more)
    if enough:
        preflight.check_room(folder, ON_GPU, llama, chosen, 1)
    else:
        with pytest.raises(ValueError, match=r"16\.0 GB of memory.*13\.5 GB for the base"):
            preflight.check_room(folder, ON_GPU, llama, chosen, 1)


def found(
    folder: RunFolder, chosen: Config, device: str, monkeypatch: pytest.MonkeyPatch
) -> Machine:
    """The machine of a run where `auto` means this device, and bfloat16 on a GPU alone."""

    def find(wish: str, precision: str, threads: int | None) -> Machine:
        bfloat16 = precision == "bfloat16" or (precision == "auto" and device == "cuda")
        return Machine(device=device, bfloat16=bfloat16, threads=1)

    monkeypatch.setattr(preflight, "find_machine", find)
    return preflight.settled_machine(folder, chosen)


def test_a_run_begun_on_a_cpu_and_gone_on_on_a_gpu(
    parts: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lines: list[str] = []
    folder = RunFolder(tmp_path / "run", report=lines.append)
    chosen = settings(parts, "run", device="auto", precision="auto")
    assert not found(folder, chosen, "cpu", monkeypatch).bfloat16
    assert found(folder, chosen, "cuda", monkeypatch).bfloat16, "nothing is trained yet"
    assert found(folder, chosen, "cpu", monkeypatch).bfloat16 is False
    (made := folder.folder / "stage1/fit/00").mkdir(parents=True)
    (made / "manifest.json").write_text("{}")
    assert lines == []
    assert not found(folder, chosen, "cuda", monkeypatch).bfloat16, "an adapter is trained"
    assert "began on cpu and goes on on cuda" in lines[0]
    asked = settings(parts, "run", device="auto", precision="bfloat16")
    assert found(folder, asked, "cuda", monkeypatch).bfloat16
    # A folder of an older version does not say which device it began on.
    folder.write_json("machine.json", {"wish": "auto", "precision": "float32"})
    assert not found(folder, chosen, "cuda", monkeypatch).bfloat16


def test_a_model_is_what_it_holds(parts: Path, tmp_path: Path) -> None:
    """A copy is the same; one byte in the middle of a large file makes another."""
    copy = shutil.copytree(parts / "model", tmp_path / "model")
    large = copy / "more.bin"
    large.write_bytes(bytes(60_000_000))
    one = fingerprint(copy)
    other = shutil.copytree(copy, tmp_path / "staged")
    (other / "more.bin").touch()
    assert fingerprint(other) == one
    with (other / "more.bin").open("r+b") as file:
        file.seek(30_000_000)
        file.write(b"x")
    assert fingerprint(other) != one
    asked: list[str] = []

    def remembered(path: Path) -> str:
        asked.append(path.name)
        return "hash"

    fingerprint(copy, remembered)
    assert sorted(asked) == sorted(p.name for p in copy.iterdir())
    assert json.loads((copy / "config.json").read_text())["model_type"] == "llama"
