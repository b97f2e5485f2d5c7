"""The methods that `paretohqd compare` knows: one function each, bench in, policies out."""

from __future__ import annotations

from collections.abc import Callable

from paretohqd.methods.base import base
from paretohqd.methods.bench import Bench
from paretohqd.methods.ham import ham
from paretohqd.methods.linear import linear
from paretohqd.methods.modpo import modpo
from paretohqd.methods.morlhf import morlhf
from paretohqd.methods.paretohqd import paretohqd, stage1
from paretohqd.methods.policy import Policy
from paretohqd.methods.rcs import rcs
from paretohqd.methods.ric import ric
from paretohqd.methods.sft import full, sft
from paretohqd.methods.soups import soups
from paretohqd.methods.ucmoa import ucmoa

METHODS: dict[str, Callable[..., list[Policy]]] = {
    "base": base,
    "sft": sft,
    "linear": linear,
    "full": full,
    "stage1": stage1,
    "paretohqd": paretohqd,
    "soups": soups,
    "ric": ric,
    "ham": ham,
    "ucmoa": ucmoa,
    "morlhf": morlhf,
    "modpo": modpo,
    "rcs": rcs,
}
"""Methods by name."""

__all__ = ["METHODS", "Bench", "Policy"]
