"""PARETOHQD_OFFLINE=1 where several machines could take part: Ray, and processes of accelerate."""

from __future__ import annotations

import socket
from types import SimpleNamespace

import pytest

from helpers.offline_python import in_python

SAYS = "PARETOHQD_OFFLINE is set"


def test_processes_of_several_machines_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    from paretohqd.runs import launched

    monkeypatch.setenv("PARETOHQD_OFFLINE", "1")
    ranks = {"RANK": "0", "LOCAL_RANK": "0", "WORLD_SIZE": "4", "LOCAL_WORLD_SIZE": "2"}
    for name, value in {**ranks, "MASTER_PORT": "29500"}.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(ValueError, match=f"a part of the processes: on another .*{SAYS}"):
        launched.join("cpu")


def test_a_ray_cluster_of_several_machines_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    cluster = pytest.importorskip("paretohqd.distributed.cluster")
    begun: list[object] = []
    here = {"Alive": True, "NodeManagerHostname": socket.gethostname()}
    there = {"Alive": True, "NodeManagerHostname": "worker-7"}
    gone = {"Alive": False, "NodeManagerHostname": "worker-8"}
    nodes = [here, gone]
    fake = SimpleNamespace(
        is_initialized=lambda: bool(begun),
        init=lambda **options: begun.append(options),
        nodes=lambda: nodes,
    )
    monkeypatch.setattr(cluster, "ray", fake)
    monkeypatch.delenv("PARETOHQD_OFFLINE", raising=False)
    cluster.stay_here()
    assert begun == []
    monkeypatch.setenv("PARETOHQD_OFFLINE", "1")
    cluster.stay_here()
    assert begun == [{"address": "local", "include_dashboard": False}]
    nodes.append(there)
    with pytest.raises(ValueError, match=f"the Ray cluster with worker-7: on another .*{SAYS}"):
        cluster.stay_here()


def test_ray_on_this_machine_works() -> None:
    pytest.importorskip("ray")
    done = in_python(
        """
import tempfile
from pathlib import Path
import polars as pl
import paretohqd as pq
from paretohqd import distributed
folder = Path(tempfile.mkdtemp())
rows = pl.DataFrame({"a": [0.0, 0.5, 1.0, 0.4], "b": [1.0, 0.5, 0.0, 0.4]})
rows.write_parquet(folder / "rows.parquet")
chosen = distributed.select(str(folder), ["a", "b"], 3, k=1)
assert chosen.equals(pq.select(rows, ["a", "b"], 3, k=1))
print("the same")
""",
        RAY_ADDRESS="10.0.0.1:6379",
    )
    assert done.stdout.endswith("the same\n"), done.stderr[-3000:]
