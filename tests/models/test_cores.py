"""How many processors this process may use, read from made-up control groups."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
import torch

from paretohqd.models import cores, machine


@pytest.fixture
def groups(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Eight cores, and a folder in the place of /sys/fs/cgroup."""
    monkeypatch.setattr(os, "sched_getaffinity", lambda process: set(range(8)), raising=False)
    monkeypatch.setattr(cores, "GROUPS", tmp_path / "groups")
    monkeypatch.setattr(cores, "MEMBER", tmp_path / "member")
    return tmp_path / "groups"


def write(files: dict[Path, str]) -> None:
    for path, text in files.items():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)


@pytest.mark.parametrize(
    ("quota", "expected"),
    [
        ("max 100000\n", 8),
        ("200000 100000\n", 2),
        ("250000 100000\n", 2),
        ("50000 100000\n", 1),
        ("1000 100000\n", 1),
        ("3200000 100000\n", 8),
        ("", 8),
        ("strange\n", 8),
        ("100000 0\n", 8),
    ],
)
def test_version_two(groups: Path, quota: str, expected: int) -> None:
    write({cores.MEMBER: "0::/jobs/mine\n", groups / "jobs/mine/cpu.max": quota})
    assert cores.usable_cores() == expected


def test_the_tightest_of_nested_groups(groups: Path) -> None:
    write(
        {
            cores.MEMBER: "0::/jobs/mine\n",
            groups / "jobs/mine/cpu.max": "600000 100000\n",
            groups / "jobs/cpu.max": "300000 100000\n",
        }
    )
    assert cores.usable_cores() == 3


def test_a_container_that_is_told_its_path_on_the_host(groups: Path) -> None:
    write({cores.MEMBER: "0::/host/path/abc\n", groups / "cpu.max": "400000 100000\n"})
    assert cores.usable_cores() == 4


@pytest.mark.parametrize("folder", ["cpu,cpuacct", "cpu"])
@pytest.mark.parametrize(
    ("quota", "expected"), [("-1", 8), ("300000", 3), ("20000", 1), ("no number", 8)]
)
def test_version_one(groups: Path, folder: str, quota: str, expected: int) -> None:
    write(
        {
            cores.MEMBER: "4:memory:/a\n3:cpu,cpuacct:/a/b\n0::/a\n",
            groups / folder / "a/b/cpu.cfs_quota_us": f"{quota}\n",
            groups / folder / "a/b/cpu.cfs_period_us": "100000\n",
        }
    )
    assert cores.usable_cores() == expected


def test_memory_groups_say_nothing(groups: Path) -> None:
    write({cores.MEMBER: "4:memory:/a\n", groups / "memory/a/cpu.max": "100000 100000\n"})
    assert cores.usable_cores() == 8


def test_the_affinity_counts_too(groups: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write({cores.MEMBER: "0::/\n", groups / "cpu.max": "400000 100000\n"})
    monkeypatch.setattr(os, "sched_getaffinity", lambda process: {5, 7}, raising=False)
    assert cores.usable_cores() == 2


def test_without_control_groups(groups: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert cores.usable_cores() == 8
    monkeypatch.delattr(os, "sched_getaffinity", raising=False)
    monkeypatch.setattr(os, "cpu_count", lambda: None)
    assert cores.usable_cores() == 1


def test_torch_takes_no_more_threads(groups: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = torch.get_num_threads()
    write({cores.MEMBER: "0::/\n", groups / "cpu.max": "200000 100000\n"})
    try:
        torch.set_num_threads(4)
        # Whoever says a number knows why.
        monkeypatch.setenv("OMP_NUM_THREADS", "4")
        assert machine.find_machine("cpu", "float32").threads == 4
        assert machine.find_machine("cpu", "float32", threads=3).threads == 3
        torch.set_num_threads(4)
        monkeypatch.delenv("OMP_NUM_THREADS")
        assert machine.find_machine("cpu", "float32").threads == 2
        torch.set_num_threads(1)
        assert machine.find_machine("cpu", "float32").threads == 1
    finally:
        torch.set_num_threads(before)
