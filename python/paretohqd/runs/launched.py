"""What a launcher says of the processes that it has started, and how these find each other.

A launcher (`accelerate launch`, torchrun) tells each process its number in the environment. Where
each trains whole adapters, libraries are not to know of the others: what the launcher said is taken
out of the environment, each process sees one GPU, and they meet at a store of torch's.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, MutableMapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from paretohqd.frames import offline
from paretohqd.runs import processes
from paretohqd.runs.processes import Divided, Processes, Together

LAUNCHED = (
    "RANK",
    "LOCAL_RANK",
    "WORLD_SIZE",
    "LOCAL_WORLD_SIZE",
    "GROUP_RANK",
    "GROUP_WORLD_SIZE",
)
"""What a launcher says of the number of processes."""

LOST = timedelta(minutes=5)
"""How long the store may not answer."""


@dataclass(frozen=True)
class Launch:
    """What the launcher said to this process."""

    rank: int
    local_rank: int
    world: int
    address: str
    port: int
    agent: bool
    """The launcher keeps the store; else the first process does."""
    attempt: str
    """Names this start of the processes."""

    @property
    def keeps_store(self) -> bool:
        """Whether this process keeps the store."""
        return self.rank == 0 and not self.agent

    @classmethod
    def of(cls, environment: Mapping[str, str]) -> Launch | None:
        """What an environment says; None of a single process."""
        world = int(environment.get("WORLD_SIZE", "1"))
        if world == 1:
            return None
        return cls(
            rank=int(environment["RANK"]),
            local_rank=int(environment.get("LOCAL_RANK", environment["RANK"])),
            world=world,
            address=environment.get("MASTER_ADDR", "127.0.0.1"),
            port=int(environment["MASTER_PORT"]),
            agent=environment.get("TORCHELASTIC_USE_AGENT_STORE") == "True",
            attempt=environment.get("TORCHELASTIC_RESTART_COUNT", "0"),
        )


_launch: Launch | None = None
_store: Any = None
_runs = 0


def join(device: str, *, together: bool = False) -> Processes:
    """Find out whether there are several processes, and how they share the work.

    Args:
        device: Where models run.
        together: Let them train each adapter together, for models that need several GPUs.

    Raises:
        ValueError: Some are on other machines, and none is to be reached (PARETOHQD_OFFLINE).
    """
    global _launch, _store, _runs
    launch = _launch or Launch.of(os.environ)
    if launch is None:
        return Processes()
    given = os.environ
    if given.get("LOCAL_WORLD_SIZE", str(launch.world)) != str(launch.world):
        offline.refuse("a part of the processes")  # torch's connections are its own
    if together:
        from accelerate import PartialState

        # One process may sample for hours while the others wait for it.
        state = PartialState(cpu=device == "cpu", timeout=timedelta(days=7))
        return Together(state.process_index, state.num_processes, state.wait_for_everyone)
    if _launch is None:
        from torch.distributed import TCPStore  # type: ignore[attr-defined]

        _store = TCPStore(
            launch.address,
            launch.port,
            is_master=launch.keeps_store,
            timeout=LOST,
            wait_for_workers=False,
        )
        processes.remembered_rank = launch.rank
        _alone(given, launch, device)
        _launch = launch
    _runs += 1
    name = f"{launch.attempt}-{_runs}"
    return Divided(launch.rank, launch.world, _store, name, keeps_store=launch.keeps_store)


def _alone(environment: MutableMapping[str, str], launch: Launch, device: str) -> None:
    """Leave nothing that tells a library of other processes, and one GPU to see."""
    for name in [*LAUNCHED, *(key for key in environment if key.startswith("ACCELERATE_"))]:
        environment.pop(name, None)
    if device != "cpu":
        import torch

        visible = environment.get("CUDA_VISIBLE_DEVICES")
        if visible is None:
            gpus = [str(number) for number in range(torch.cuda.device_count())]
        else:
            gpus = [part for part in visible.split(",") if part]
        if gpus:
            environment["CUDA_VISIBLE_DEVICES"] = gpus[launch.local_rank % len(gpus)]
