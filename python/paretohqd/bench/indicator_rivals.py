"""Crowding distance, IGD+, epsilon and R2 with moocore, pymoo, pygmo and NumPy.

pymoo's IGD+ and epsilon are calls of moocore's, so that they are not measured a second time. No
package has R2 for given weights: moocore has its limit for ever more of them, in two objectives.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from paretohqd.bench import answers
from paretohqd.bench.clouds import Cloud
from paretohqd.bench.rivals import Rival, Trial, sampled_sets, use

R2_LIMIT = "r2_exact"


def crowding(package: str) -> Rival:
    """The crowding distance with pymoo, which divides it by the number of objectives, or pygmo."""

    def prepare(cloud: Cloud) -> Trial:
        points = cloud.points
        if package == "pygmo":
            pygmo = use("pygmo")
            return Trial(call=lambda: pygmo.crowding_distance(points), finish=np.array)
        distance = _pymoo_crowding()
        return Trial(call=lambda: distance(points), finish=lambda shares: shares * cloud.m)

    calls = {"pymoo": "get_crowding_function('cd')", "pygmo": "crowding_distance"}
    return Rival(package=package, call=calls[package], prepare=prepare)


def crowding_of_sets(size: int) -> Rival:
    """pymoo's crowding distance of one group after the other."""

    def prepare(cloud: Cloud) -> Trial:
        distance = _pymoo_crowding()
        sets, share = sampled_sets(cloud, size)
        return Trial(
            call=lambda: np.concatenate([distance(one) for one in sets]),
            finish=lambda shares: shares * cloud.m,
            share=share,
        )

    return Rival(package="pymoo", call="get_crowding_function('cd') per set", prepare=prepare)


def _pymoo_crowding() -> Any:
    metrics = use("pymoo.operators.survival.rank_and_crowding.metrics")
    return metrics.get_crowding_function("cd").do


def beside(call: str, rows: int) -> Rival:
    """An indicator of moocore's beside so many reference points."""

    def prepare(cloud: Cloud) -> Trial:
        indicator = getattr(use("moocore"), call)
        points, ref = cloud.points, cloud.others(rows)
        return Trial(call=lambda: indicator(points, ref=ref, maximise=True))

    return Rival(package="moocore", call=call, prepare=prepare)


def r2_by_vector(count: int) -> Rival:
    """R2 in NumPy: all points for one weight vector after the other."""

    def prepare(cloud: Cloud) -> Trial:
        short = np.ascontiguousarray(cloud.ideal[:, None] - cloud.points.T)
        weights = cloud.weights(count)

        def call() -> float:
            least = []
            for vector in weights:
                most = vector[0] * short[0]
                for weight, column in zip(vector[1:], short[1:], strict=True):
                    np.maximum(most, weight * column, out=most)
                least.append(most.min())
            return float(np.mean(least))

        return Trial(call=call)

    return Rival(package="numpy", call="our code, vector by vector", prepare=prepare)


def r2_of_all_weights() -> Rival:
    """moocore's R2 for all weights, which an even set of many comes near."""

    def prepare(cloud: Cloud) -> Trial:
        moocore = use("moocore")
        points, ideal = cloud.points, cloud.ideal
        return Trial(call=lambda: moocore.r2_exact(points, ref=ideal, maximise=True))

    return Rival(
        package="moocore",
        call=R2_LIMIT,
        prepare=prepare,
        judged=False,
        note="the integral over all weights",
        same=answers.near,
    )
