"""Several processes that share a run, each with a GPU of its own: what they divide, how they wait.

Adapters do not depend on each other, so each is trained by one process as it would be by a single
one; answers and scores are divided by rows.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Any

WAIT = 0.05, 1.0
"""Seconds between looks at the store: at first, and after a while."""
LAST = 60.0
"""Seconds that the store's process waits for the others once all is done."""


remembered_rank: int | None = None
"""This process's number, once what the launcher said of it is taken out of the environment."""


def own_rank() -> int:
    """The number of this process among those that a launcher started."""
    return int(os.environ.get("RANK", "0")) if remembered_rank is None else remembered_rank


class OtherFailedError(RuntimeError):
    """Another process of the run has failed, and has said why."""


class Processes:
    """This process among those of a run; by default the only one."""

    rank, world, together = 0, 1, False

    def barrier(self) -> None:
        """Wait until every process is here."""

    def fail(self, error: BaseException) -> None:
        """Tell the others that this process ends."""

    def leave(self) -> None:
        """Say that this process has done all of its part."""

    def takes(self, number: int) -> bool:
        """Whether a numbered piece of the work is this process's."""
        return number % self.world == self.rank


class Divided(Processes):
    """One of several, which meet at a store."""

    def __init__(
        self, rank: int, world: int, store: Any, name: str, *, keeps_store: bool = False
    ) -> None:
        """Take the process's number, a store that all reach, and the run's name in it.

        `keeps_store`: the store ends with this process.
        """
        self.rank, self.world, self._keeps_store = rank, world, keeps_store
        self._store, self._at = store, f"paretohqd-{name}"
        self._waits = 0

    def barrier(self) -> None:
        """Wait until every process is here.

        Raises:
            OtherFailedError: One has failed, or the store has ended with its process.
        """
        try:
            self._wait()
        except OtherFailedError:
            raise
        except RuntimeError as error:
            raise OtherFailedError(
                f"the process that keeps the store has ended: see what it said ({error})"
            ) from None

    def _wait(self) -> None:
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
            with suppress(RuntimeError):  # the store may be gone, which the others see
                self._store.set(f"{self._at}-failed", what)

    def leave(self) -> None:
        """Say that this process has done all of its part; who keeps the store ends last."""
        key, since = f"{self._at}-left", time.monotonic()
        with suppress(RuntimeError):
            left = self._store.add(key, 1)
            while self._keeps_store and left < self.world and time.monotonic() - since < LAST:
                time.sleep(WAIT[0])
                left = self._store.add(key, 0)


class Together(Processes):
    """One of several that train an adapter together: the libraries know of each other."""

    together = True

    def __init__(self, rank: int, world: int, wait: Callable[[], None]) -> None:
        """Take the process's number and how they wait."""
        self.rank, self.world, self._wait = rank, world, wait

    def barrier(self) -> None:
        """Wait until every process is here."""
        self._wait()
