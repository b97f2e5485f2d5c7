"""The rows nearest to rays with numba: the loop one writes first, and one made for the machine.

Both run on all threads, keep the k nearest of a thread's rows in a heap per ray, and compute
distances in the residual form, which does not cancel.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable
from functools import cache
from typing import Any

import numpy as np

BLOCK = 512


def nearest_with_numba(scan: Callable[..., Any]) -> Callable[..., Any]:
    """Make (points, origin, through, k) -> (rows, distances), both of shape (P, k).

    Args:
        scan: `row_by_row()` or `in_blocks()`.
    """
    numba: Any = importlib.import_module("numba")
    part = _on_all_threads(scan)

    def nearest(points: Any, origin: Any, through: Any, k: int) -> tuple[Any, Any]:
        units = through - origin
        units /= np.sqrt((units * units).sum(axis=1, keepdims=True))
        far, row = part(points, origin, units, k, numba.get_num_threads())
        far = far.transpose(1, 0, 2).reshape(len(units), -1)
        row = row.transpose(1, 0, 2).reshape(len(units), -1)
        order = np.lexsort((row, far))[:, :k]
        return np.take_along_axis(row, order, 1), np.sqrt(np.take_along_axis(far, order, 1))

    return nearest


@cache
def _on_all_threads(scan: Callable[..., Any]) -> Callable[..., Any]:
    """Scan a share of the rows on each thread: the k nearest of each share, per ray."""
    numba: Any = importlib.import_module("numba")

    @numba.njit(parallel=True)  # type: ignore[untyped-decorator]
    def part(points: Any, origin: Any, units: Any, k: int, threads: int) -> Any:
        n = len(points)
        far = np.full((threads, len(units), k), np.inf)
        row = np.full((threads, len(units), k), n, dtype=np.int64)
        for thread in numba.prange(threads):
            start, stop = n * thread // threads, n * (thread + 1) // threads
            scan(points, origin, units, start, stop, far[thread], row[thread])
        return far, row

    return part  # type: ignore[no-any-return]


@cache
def row_by_row() -> Callable[..., Any]:
    """Each row against each ray in turn."""
    numba: Any = importlib.import_module("numba")
    push = _push()

    @numba.njit  # type: ignore[untyped-decorator]
    def scan(
        points: Any, origin: Any, units: Any, start: int, stop: int, far: Any, row: Any
    ) -> None:
        m = points.shape[1]
        for i in range(start, stop):
            for ray in range(len(units)):
                along = 0.0
                for j in range(m):
                    along += (points[i, j] - origin[j]) * units[ray, j]
                along = max(along, 0.0)
                apart = 0.0
                for j in range(m):
                    left = points[i, j] - origin[j] - along * units[ray, j]
                    apart += left * left
                if apart < far[ray, 0]:
                    push(far[ray], row[ray], apart, i)

    return scan  # type: ignore[no-any-return]


@cache
def in_blocks() -> Callable[..., Any]:
    """Blocks of rows, turned into columns that stay in cache: the inner loops vectorise."""
    numba: Any = importlib.import_module("numba")
    push = _push()

    @numba.njit  # type: ignore[untyped-decorator]
    def scan(
        points: Any, origin: Any, units: Any, start: int, stop: int, far: Any, row: Any
    ) -> None:
        m = points.shape[1]
        column = np.empty((m, BLOCK))
        along = np.empty(BLOCK)
        apart = np.empty(BLOCK)
        for first in range(start, stop, BLOCK):
            size = min(BLOCK, stop - first)
            for i in range(size):
                for j in range(m):
                    column[j, i] = points[first + i, j] - origin[j]
            for ray in range(len(units)):
                along[:] = 0.0
                apart[:] = 0.0
                for j in range(m):
                    for i in range(BLOCK):
                        along[i] += column[j, i] * units[ray, j]
                for i in range(BLOCK):
                    along[i] = max(along[i], 0.0)
                for j in range(m):
                    for i in range(BLOCK):
                        left = column[j, i] - along[i] * units[ray, j]
                        apart[i] += left * left
                for i in range(size):
                    if apart[i] < far[ray, 0]:
                        push(far[ray], row[ray], apart[i], first + i)

    return scan  # type: ignore[no-any-return]


@cache
def _push() -> Callable[..., Any]:
    numba: Any = importlib.import_module("numba")

    @numba.njit  # type: ignore[untyped-decorator]
    def push(far: Any, row: Any, new: float, at: int) -> None:
        """Replace the farthest of a heap; of equal distances the later row is the farther."""
        k, i = len(far), 0
        while True:
            child = 2 * i + 1
            if child >= k:
                break
            if child + 1 < k and (
                far[child + 1] > far[child]
                or (far[child + 1] == far[child] and row[child + 1] > row[child])
            ):
                child += 1
            if far[child] < new or (far[child] == new and row[child] < at):
                break
            far[i], row[i] = far[child], row[child]
            i = child
        far[i], row[i] = new, at

    return push  # type: ignore[no-any-return]
