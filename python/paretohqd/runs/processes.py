"""Several processes that share a run, each with a GPU of its own: what they divide, how they wait.

A launcher (`accelerate launch`, torchrun) starts them and tells each its number. Adapters do not
depend on each other, so each is trained by one process as it would be by a single one; answers and
scores are divided by rows. So libraries are not to know that there are several processes: what the
launcher said is taken out of the environment, and processes meet at a store of torch's.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from paretohqd.frames import offline

LAUNCHED = (
    "RANK",
    "LOCAL_RANK",
    "WORLD_SIZE",
    "LOCAL_WORLD_SIZE",
    "GROUP_RANK",
    "GROUP_WORLD_SIZE",
)
"""What a launcher says of the number of processes."""

WAIT = 0.05, 1.0
"""Seconds between looks at the store: at first, and after a while."""

LOST = timedelta(minutes=5)
"""How long the store may not answer."""


class OtherFailedError(RuntimeError):
    """Another process of the run has failed, and has said why."""


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
            attempt=f"{environment.get('TORCHELASTIC_RESTART_COUNT', '0')}",
        )


class Processes:
    """This process among those of a run; by default the only one."""

    rank, world, together = 0, 1, False

    def barrier(self) -> None:
        """Wait until every process is here."""

    def fail(self, error: BaseException) -> None:
        """Tell the others that this process ends."""

    def takes(self, number: int) -> bool:
        """Whether a numbered piece of the work is this process's."""
        return number % self.world == self.rank


class Divided(Processes):
    """One of several, which meet at a store."""

    def __init__(self, launch: Launch, store: Any, run: int) -> None:
        """Take what the launcher said, a store that all reach, and the run's number in it."""
        self.rank, self.world = launch.rank, launch.world
        self._store, self._at = store, f"paretohqd-{launch.attempt}-{run}"
        self._waits = 0

    def barrier(self) -> None:
        """Wait until every process is here.

        Raises:
            OtherFailedError: One has failed.
        """
        self._waits += 1
        key = f"{self._at}-{self._waits}"
        if self._store.add(key, 1) == self.world:
            self._store.set(f"{key}-all", "1")
        pause, longest = WAIT
        while not self._store.check([f"{key}-all"]):
            if self._store.check([f"{self._at}-failed"]):
                raise OtherFailedError(self._store.get(f"{self._at}-failed").decode())
            time.sleep(pause)
            pause = min(longest, 2 * pause)

    def fail(self, error: BaseException) -> None:
        """Tell the others that this process ends, if none has told them yet."""
        if not isinstance(error, OtherFailedError):
            what = f"process {self.rank} ended: {type(error).__name__}: {error}"
            self._store.set(f"{self._at}-failed", what)


class Together(Processes):
    """One of several that train an adapter together: the libraries know of each other."""

    together = True

    def __init__(self, rank: int, world: int, wait: Callable[[], None]) -> None:
        """Take the process's number and how they wait."""
        self.rank, self.world, self._wait = rank, world, wait

    def barrier(self) -> None:
        """Wait until every process is here."""
        self._wait()


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
            is_master=launch.rank == 0 and not launch.agent,
            timeout=LOST,
            wait_for_workers=False,
        )
        _alone(given, launch, device)
        _launch = launch
    _runs += 1
    return Divided(launch, _store, _runs)


def _alone(environment: Any, launch: Launch, device: str) -> None:
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
