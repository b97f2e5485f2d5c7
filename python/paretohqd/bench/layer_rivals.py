"""Layers and fronts with moocore, paretoset and pymoo.

pymoo's NonDominatedSorting and its find_non_dominated call moocore and lay the answer out anew;
its own sort (efficient non-dominated sort) is quadratic, minutes at 100,000 rows and hours at a
million, so that it stands beside up to 10,000 rows only.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from paretohqd.bench.clouds import Cloud
from paretohqd.bench.rivals import SAMPLED_GROUPS, SAMPLED_NOTE, Rival, Trial, sampled_sets, use


def pareto_rank(upto: int | None = None) -> Rival:
    """All layers with moocore; past the stop, rows become -1 off the clock."""

    def prepare(cloud: Cloud) -> Trial:
        moocore = use("moocore")
        return Trial(
            call=lambda: moocore.pareto_rank(cloud.points, maximise=True),
            finish=lambda rank: rank if upto is None else np.where(rank < upto, rank, -1),
        )

    return Rival(package="moocore", call="pareto_rank", prepare=prepare, once=True)


def peeled(upto: int, package: str) -> Rival:
    """The front with paretoset or moocore, then that of the rest, and so on."""

    def prepare(cloud: Cloud) -> Trial:
        front_of = _front_of(package, cloud.m)

        def call() -> Any:
            layers = np.full(cloud.n, -1)
            rest = np.arange(cloud.n)
            left = cloud.points
            for layer in range(upto):
                if not len(rest):
                    break
                front = front_of(left)
                layers[rest[front]] = layer
                rest, left = rest[~front], left[~front]
            return layers

        front_of(cloud.points[:50])
        return Trial(call=call)

    name = "paretoset" if package == "paretoset" else "is_nondominated"
    return Rival(package=package, call=f"{name}, peeled", prepare=prepare)


def _front_of(package: str, m: int) -> Callable[[Any], Any]:
    if package == "paretoset":
        paretoset = use("paretoset").paretoset
        return lambda points: paretoset(points, sense=["max"] * m, distinct=False)
    moocore = use("moocore")
    return lambda points: moocore.is_nondominated(points, maximise=True, keep_weakly=True)


def sorted_with_pymoo() -> Rival:
    """All layers with pymoo's class, which asks moocore for the ranks."""

    def prepare(cloud: Cloud) -> Trial:
        sort = use("pymoo.util.nds.non_dominated_sorting").NonDominatedSorting()
        costs = cloud.costs
        return Trial(call=lambda: sort.do(costs, return_rank=True), finish=lambda fronts: fronts[1])

    return Rival(package="pymoo", call="NonDominatedSorting", prepare=prepare, note="calls moocore")


def efficient_sort() -> Rival:
    """All layers with pymoo's own sort, compiled."""

    def prepare(cloud: Cloud) -> Trial:
        sort = use("pymoo.functions").load_function("efficient_non_dominated_sort")
        costs = cloud.costs

        def layers(fronts: Any) -> Any:
            numbers = np.empty(cloud.n, int)
            for number, front in enumerate(fronts):
                numbers[front] = number
            return numbers

        return Trial(call=lambda: sort(costs), finish=layers)

    return Rival(package="pymoo", call="efficient_non_dominated_sort", prepare=prepare)


def front(package: str) -> Rival:
    """The rows that no other dominates, with paretoset, moocore or pymoo."""

    def prepare(cloud: Cloud) -> Trial:
        if package != "pymoo":
            front_of = _front_of(package, cloud.m)
            front_of(cloud.points[:50])
            return Trial(call=lambda: front_of(cloud.points))
        find = use("pymoo.util.nds.non_dominated_sorting").find_non_dominated
        costs = cloud.costs

        def marked(rows: Any) -> Any:
            marks = np.zeros(cloud.n, bool)
            marks[rows] = True
            return marks

        return Trial(call=lambda: find(costs), finish=marked)

    calls = {"paretoset": "paretoset", "moocore": "is_nondominated", "pymoo": "find_non_dominated"}
    note = "calls moocore" if package == "pymoo" else ""
    return Rival(package=package, call=calls[package], prepare=prepare, note=note)


def ranked_sets(size: int) -> Rival:
    """moocore's layers of one group after the other."""

    def prepare(cloud: Cloud) -> Trial:
        pareto_rank = use("moocore").pareto_rank
        sets, share = sampled_sets(cloud, size)
        return Trial(
            call=lambda: np.concatenate([pareto_rank(one, maximise=True) for one in sets]),
            share=share,
        )

    return Rival(package="moocore", call="pareto_rank per set", prepare=prepare, note=SAMPLED_NOTE)


def fronts_within_sets(size: int) -> Rival:
    """moocore's own facility for the front of each group."""

    def prepare(cloud: Cloud) -> Trial:
        within = use("moocore").is_nondominated_within_sets
        rows = size * min(SAMPLED_GROUPS, cloud.n // size)
        points, sets = cloud.points[:rows], cloud.groups(size)[:rows]
        return Trial(
            call=lambda: within(points, sets=sets, maximise=True, keep_weakly=True),
            share=rows / cloud.n,
        )

    return Rival(
        package="moocore", call="is_nondominated_within_sets", prepare=prepare, note=SAMPLED_NOTE
    )
