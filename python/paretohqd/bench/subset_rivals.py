"""The rows that keep most of a hypervolume with optuna, and in simple code on moocore and NumPy.

No package finds the best rows in two objectives: optuna chooses greedily there, too.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from paretohqd.bench import answers
from paretohqd.bench.clouds import Cloud
from paretohqd.bench.rivals import Rival, Trial, use


def greedy(k: int) -> Rival:
    """The row that adds most, k times, with optuna, which spares what bounds rule out."""

    def prepare(cloud: Cloud) -> Trial:
        solve = use("optuna._hypervolume.hssp")._solve_hssp
        costs, ref, rows = cloud.costs, -cloud.reference, np.arange(cloud.n)
        return Trial(call=lambda: solve(costs, rows, k, ref))

    return Rival(package="optuna", call="_solve_hssp", prepare=prepare, same=answers.no_better)


def plain_greedy(k: int) -> Rival:
    """The same with a hypervolume of moocore's for each row that is left."""

    def prepare(cloud: Cloud) -> Trial:
        hypervolume, points, ref = use("moocore").hypervolume, cloud.points, cloud.reference

        def call() -> Any:
            chosen: list[int] = []
            left = list(range(cloud.n))
            for _ in range(k):
                sets = points[[*chosen, 0]]

                def volume(row: int, sets: Any = sets) -> Any:
                    sets[-1] = points[row]
                    return hypervolume(sets, ref=ref, maximise=True)

                best = max(left, key=volume)
                chosen.append(best)
                left.remove(best)
            return np.array(chosen)

        return Trial(call=call)

    return Rival(package="moocore", call="our code on hypervolume", prepare=prepare)


def best_of_all(k: int) -> Rival:
    """The best k rows of a front in two objectives: the best j that end at each point, in NumPy."""

    def prepare(cloud: Cloud) -> Trial:
        order = np.argsort(cloud.points[:, 0])
        x, y = (cloud.points[order] - cloud.reference).T

        def call() -> Any:
            before = np.tri(cloud.n, k=-1, dtype=bool)
            steps = np.where(before, (x[:, None] - x) * y[:, None], -np.inf)
            volumes, ends = x * y, []
            for _ in range(k - 1):
                every = steps + volumes
                ends.append(every.argmax(axis=1))
                volumes = every.max(axis=1)
            path = [int(volumes.argmax())]
            for end in reversed(ends):
                path.append(int(end[path[-1]]))
            return np.sort(order[path])

        return Trial(call=call)

    return Rival(package="numpy", call="our code, all pairs", prepare=prepare)
