"""Volumes, contributions and estimates with moocore, pygmo, hvwfg and optuna.

pymoo's hypervolume is a call of moocore's, so that it is not measured a second time.
"""

from __future__ import annotations

import numpy as np

from paretohqd.bench.clouds import Cloud
from paretohqd.bench.rivals import SAMPLED_NOTE, Rival, Trial, sampled_sets, use


def volume(package: str) -> Rival:
    """The exact hypervolume with moocore, pygmo, hvwfg or optuna."""

    def prepare(cloud: Cloud) -> Trial:
        points, ref, costs = cloud.points, cloud.reference, cloud.costs
        if package == "moocore":
            moocore = use("moocore")
            return Trial(call=lambda: moocore.hypervolume(points, ref=ref, maximise=True))
        if package == "pygmo":
            pygmo = use("pygmo")
            return Trial(call=lambda: pygmo.hypervolume(costs).compute(-ref))
        if package == "hvwfg":
            wfg = use("hvwfg").wfg
            return Trial(call=lambda: wfg(costs, -ref))
        compute = use("optuna._hypervolume").compute_hypervolume
        return Trial(call=lambda: compute(costs, -ref, assume_pareto=True))

    calls = {
        "moocore": "hypervolume",
        "pygmo": "hypervolume.compute",
        "hvwfg": "wfg",
        "optuna": "compute_hypervolume",
    }
    note = "told that no point is dominated" if package == "optuna" else ""
    return Rival(package=package, call=calls[package], prepare=prepare, note=note)


def contributions(package: str) -> Rival:
    """What each point adds to the hypervolume, with moocore or pygmo."""

    def prepare(cloud: Cloud) -> Trial:
        points, ref, costs = cloud.points, cloud.reference, cloud.costs
        if package == "moocore":
            moocore = use("moocore")
            return Trial(call=lambda: moocore.hv_contributions(points, ref=ref, maximise=True))
        pygmo = use("pygmo")
        return Trial(call=lambda: np.array(pygmo.hypervolume(costs).contributions(-ref)))

    call = "hv_contributions" if package == "moocore" else "hypervolume.contributions"
    return Rival(package=package, call=call, prepare=prepare)


def approximation() -> Rival:
    """moocore's estimate of the hypervolume, at its defaults."""

    def prepare(cloud: Cloud) -> Trial:
        moocore = use("moocore")
        return Trial(
            call=lambda: moocore.hv_approx(cloud.points, ref=cloud.reference, maximise=True)
        )

    return Rival(package="moocore", call="hv_approx", prepare=prepare)


def volume_of_sets(size: int) -> Rival:
    """moocore's hypervolume of one group after the other."""

    def prepare(cloud: Cloud) -> Trial:
        hypervolume, ref = use("moocore").hypervolume, cloud.reference
        sets, share = sampled_sets(cloud, size)
        return Trial(
            call=lambda: np.array([hypervolume(one, ref=ref, maximise=True) for one in sets]),
            share=share,
        )

    return Rival(package="moocore", call="hypervolume per set", prepare=prepare, note=SAMPLED_NOTE)
