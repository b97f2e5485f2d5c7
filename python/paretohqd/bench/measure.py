"""Time one task: our call on one thread and on all, then each rival's, then compare."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from paretohqd.bench import answers
from paretohqd.bench.clouds import Cloud
from paretohqd.bench.rivals import Rival
from paretohqd.bench.task import Task

REPEATS, AT_LEAST, AT_MOST = 3, 0.1, 5.0
"""A call is repeated this often, more often until this many seconds are spent, fewer past that."""

Row = dict[str, Any]


class Meter:
    """Measures tasks one after the other, and remembers what serves several of them."""

    def __init__(self) -> None:
        """Start with nothing measured."""
        self._cloud = Cloud("uni", 0, 1)
        self._once: dict[tuple[Any, ...], tuple[float, Any]] = {}

    def measure(self, task: Task) -> list[Row]:
        """Time a task.

        Returns:
            A row per rival that is installed, and one without a rival if there is none.

        Raises:
            AssertionError: Two answers differ.
        """
        shape = (task.data, task.n, task.m)
        if shape != (self._cloud.name, self._cloud.n, self._cloud.m):
            self._cloud, self._once = Cloud(*shape), {}
        cloud = self._cloud
        cloud.points  # noqa: B018 - drawn off the clock
        try:
            one, answer = best_of(lambda: task.ours(cloud, 1))
            every, again = best_of(lambda: task.ours(cloud, None))
            answers.identical(answer, again)
            ours = {
                "task": task.name,
                "data": task.data,
                "n": task.n,
                "m": task.m,
                "ours_1_thread_s": one,
                "ours_all_threads_s": every,
            }
            rows = [
                ours | self._against(task, rival, cloud, answer, one, every)
                for rival in task.rivals
                if rival.version
            ]
        except AssertionError as error:
            raise AssertionError(
                f"{task.name}, {task.data}, n = {task.n}, m = {task.m}: {error}"
            ) from None
        return rows or [ours]

    def _against(
        self, task: Task, rival: Rival, cloud: Cloud, answer: Any, one: float, every: float
    ) -> Row:
        row: Row = {"rival": rival.package, "call": rival.call, "version": rival.version}
        try:
            seconds, theirs = self._timed(rival, cloud)
        except Exception as error:  # another package's fault is no reason to stop
            return row | {"note": f"not measured: {type(error).__name__}: {error}"[:200]}
        remark = (rival.same or task.same)(answer, theirs, cloud)
        row |= {
            "rival_s": seconds,
            "ratio_1_thread": seconds / one,
            "ratio_all_threads": seconds / every,
            "note": "; ".join(filter(None, (rival.note, remark))),
        }
        if task.target and rival.judged:
            row |= {"target": task.target, "met": seconds / every >= task.target}
        return row

    def _timed(self, rival: Rival, cloud: Cloud) -> tuple[float, Any]:
        trial = rival.prepare(cloud)
        key = (rival.package, rival.call)
        if key not in self._once:
            seconds, raw = best_of(trial.call)
            if not rival.once:
                return seconds / trial.share, trial.finish(raw)
            self._once[key] = seconds, raw
        seconds, raw = self._once[key]
        return seconds / trial.share, trial.finish(raw)


def best_of(call: Callable[[], Any]) -> tuple[float, Any]:
    """The smallest wall time of some repeats, in seconds, and the answer."""
    best, spent, done = float("inf"), 0.0, 0
    while not done or ((spent < AT_LEAST or done < REPEATS) and spent < AT_MOST):
        answer = None  # the last answer's memory is free before the next is made
        start = time.perf_counter()
        answer = call()
        took = time.perf_counter() - start
        best, spent, done = min(best, took), spent + took, done + 1
    return best, answer
