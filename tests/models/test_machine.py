"""Where models run, and in which number format."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from paretohqd.models import machine


def test_a_gpu_that_is_not_there(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(ValueError, match="cuda is asked for, but torch finds no GPU"):
        machine.find_machine("cuda")
    assert machine.find_machine("auto", "float32").device == "cpu"


def test_a_gpu_that_torch_does_not_find(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Hours on a CPU are not what was asked for where there is a GPU's driver."""

    def lost() -> None:
        raise RuntimeError("The NVIDIA driver on your system is too old")

    (driver := tmp_path / "version").write_text("NVRM version: 525")
    monkeypatch.setattr(machine, "DRIVER", driver)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(torch.cuda, "init", lost)
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    with pytest.raises(ValueError, match=r"driver on your system is too old.*device: cpu"):
        machine.find_machine("auto", "float32")
    assert machine.find_machine("cpu", "float32").device == "cpu"
    for hidden in ("", "-1"):
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", hidden)
        assert machine.find_machine("auto", "float32").device == "cpu", "hidden on purpose"


def test_the_precision_is_probed_or_as_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    assert isinstance(machine._cpu_likes_bfloat16(), bool)
    for likes in (True, False):
        monkeypatch.setattr(machine, "_cpu_likes_bfloat16", lambda likes=likes: likes)
        assert machine.find_machine("cpu").bfloat16 is likes
        assert machine.find_machine("cpu", "float32").dtype == torch.float32
        assert machine.find_machine("cpu", "bfloat16").dtype == torch.bfloat16


def test_threads_are_set_and_described() -> None:
    threads = torch.get_num_threads()
    try:
        here = machine.find_machine("cpu", "float32", threads=2)
        assert torch.get_num_threads() == here.threads == 2
        assert here.describe() == "2 CPU threads, float32"
    finally:
        torch.set_num_threads(threads)
